//! When to try again: how often a slot's worker has ended, and the wait that follows.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use squall_core::Moment;

use super::limits::Limits;

/// The failures of what a slot was ordered to run. A new order starts with none.
#[derive(Clone, Debug, Default)]
pub(super) struct Restarts {
    /// All failures since the order.
    n_total: u32,
    /// Failures since the worker was last up and steady.
    n_early: u32,
    /// Attempts that failed by nobody's fault here, in a row.
    n_away: u32,
    /// The latest failures, at most one more than are borne.
    recent: VecDeque<Moment>,
    /// The last failure was one too many.
    given_up: bool,
}

impl Restarts {
    /// Returns the failures since the order.
    pub(super) const fn n_total(&self) -> u32 {
        self.n_total
    }

    /// Says whether it fails again and again, so that further attempts are few.
    pub(super) const fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// Books a failure, a worker that ended or one that couldn't be started, and returns when to try
    /// again. `steady` says that it had been ready for long enough.
    pub(super) fn book(
        &mut self,
        steady: bool,
        limits: &Limits,
        rng: &mut Rng,
        now: Moment,
    ) -> Moment {
        self.n_total = self.n_total.saturating_add(1);
        self.n_early = if steady {
            0
        } else {
            self.n_early.saturating_add(1)
        };
        self.recent.push_back(now);
        let borne = usize::try_from(limits.max_exits).unwrap_or(usize::MAX);
        while self.recent.len() > borne.saturating_add(1) {
            self.recent.pop_front();
        }
        let within = |at: &&Moment| now.since(**at) < limits.window;
        let n_recent = self.recent.iter().filter(within).count();
        self.given_up = self.n_early > limits.max_early_exits || n_recent > borne;
        let most = if self.given_up {
            limits.failed_retry
        } else {
            wait(self.n_early.saturating_sub(1), limits)
        };
        now + jittered(most, rng)
    }

    /// Books that somebody whom the attempt needs is away, and returns when to try again. It doesn't
    /// count: nothing is wrong here.
    pub(super) fn book_away(&mut self, limits: &Limits, rng: &mut Rng, now: Moment) -> Moment {
        let doublings = self.n_away;
        self.n_away = self.n_away.saturating_add(1);
        now + jittered(wait(doublings, limits), rng)
    }

    /// Books that nobody is away any more.
    pub(super) const fn met(&mut self) {
        self.n_away = 0;
    }
}

fn wait(doublings: u32, limits: &Limits) -> Duration {
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    limits
        .backoff
        .saturating_mul(factor)
        .min(limits.backoff_cap)
}

/// Draws from the upper half of `most`: never at once, and not all at the same time.
fn jittered(most: Duration, rng: &mut Rng) -> Duration {
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.u64(micros / 2..=micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn waits_double_up_to_the_cap_and_end_in_giving_up() {
        let limits = Limits {
            max_early_exits: 9,
            ..Limits::default()
        };
        for seed in 0..100 {
            let mut rng = Rng::with_seed(seed);
            let mut restarts = Restarts::default();
            for n in 0..9 {
                let until = restarts.book(false, &limits, &mut rng, at(1));
                assert!(!restarts.has_given_up(), "exit {n}");
                let most = (limits.backoff * 2_u32.pow(n)).min(limits.backoff_cap);
                let wait = until.since(at(1));
                assert!(wait >= most / 2 && wait <= most, "exit {n}: {wait:?}");
            }
            let until = restarts.book(false, &limits, &mut rng, at(1));
            assert!(restarts.has_given_up());
            assert!(until.since(at(1)) >= limits.failed_retry / 2);
            assert_eq!(restarts.n_total(), 10);
        }
    }

    #[test]
    fn a_steady_worker_that_is_killed_now_and_then_is_restarted_at_once() {
        let limits = Limits::default();
        let mut rng = Rng::with_seed(1);
        let mut restarts = Restarts::default();
        // Every 15 s for an hour: never more than 20 within the window.
        for n in 0..240 {
            let now = at(n * 15);
            let until = restarts.book(true, &limits, &mut rng, now);
            assert!(!restarts.has_given_up(), "exit {n}");
            assert!(until.since(now) <= limits.backoff);
        }
        assert!(restarts.recent.len() <= 31);
    }

    #[test]
    fn steady_workers_that_end_too_often_have_failed_as_well() {
        let limits = Limits::default();
        let mut rng = Rng::with_seed(1);
        let mut restarts = Restarts::default();
        let mut gave_up = Vec::new();
        for n in 0..40 {
            restarts.book(true, &limits, &mut rng, at(n));
            if restarts.has_given_up() {
                gave_up.push(n);
            }
        }
        assert_eq!(gave_up, (30..40).collect::<Vec<_>>());
        restarts.book(true, &limits, &mut rng, at(1000));
        assert!(!restarts.has_given_up());
    }

    #[test]
    fn what_nobody_here_can_help_never_counts() {
        let limits = Limits::default();
        let mut rng = Rng::with_seed(1);
        let mut restarts = Restarts::default();
        for _ in 0..100 {
            let until = restarts.book_away(&limits, &mut rng, at(5));
            assert!(until.since(at(5)) <= limits.backoff_cap);
        }
        assert_eq!(restarts.n_total(), 0);
        restarts.met();
        let until = restarts.book_away(&limits, &mut rng, at(5));
        assert!(until.since(at(5)) <= limits.backoff);
    }
}
