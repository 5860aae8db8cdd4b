//! When a task that failed is started again: pure.

use std::time::Duration;

use squall_core::{Moment, Settings};

/// Counts failures that follow each other and spaces the restarts.
#[derive(Clone, Debug)]
pub(crate) struct Restarts {
    base: Duration,
    cap: Duration,
    n_failures: u32,
    up_since: Option<Moment>,
    due: Moment,
}

impl Restarts {
    /// Makes the state of a task that has never been started, and may be at once.
    pub(crate) const fn new(settings: &Settings) -> Self {
        Self {
            base: settings.restart_backoff.0,
            cap: settings.restart_backoff_cap.0,
            n_failures: 0,
            up_since: None,
            due: Moment::ZERO,
        }
    }

    /// Returns when the task may be started.
    pub(crate) const fn due(&self) -> Moment {
        self.due
    }

    /// Takes note that the task is up.
    pub(crate) const fn started(&mut self, now: Moment) {
        self.up_since = Some(now);
    }

    /// Takes note of a failure; it and those before it double the wait, up to the cap. A task that has
    /// been up for longer than the cap begins anew.
    pub(crate) fn failed(&mut self, now: Moment) {
        let was_up = self
            .up_since
            .take()
            .map_or(Duration::ZERO, |since| now.since(since));
        if was_up > self.cap {
            self.n_failures = 0;
        }
        self.due = now + self.wait();
        self.n_failures = self.n_failures.saturating_add(1);
    }

    /// Tells whether the task has ever failed.
    pub(crate) const fn has_failed(&self) -> bool {
        self.n_failures > 0
    }

    /// Tells whether a failure keeps the task from working.
    pub(crate) const fn is_down(&self) -> bool {
        self.has_failed() && self.up_since.is_none()
    }

    /// Tells whether the task fails again and again: the wait has reached its cap, and it hasn't been up
    /// for longer than that since.
    pub(crate) fn is_crash_looping(&self, now: Moment) -> bool {
        let was_up = self.up_since.map(|since| now.since(since));
        self.has_failed()
            && self.wait() >= self.cap
            && was_up.is_none_or(|was_up| was_up <= self.cap)
    }

    /// Returns when a task that fails again and again will have been up for long enough, if it is up.
    pub(crate) fn recovers_at(&self, now: Moment) -> Option<Moment> {
        let is_looping = self.is_crash_looping(now);
        let up_since = self.up_since.filter(|_| is_looping);
        up_since.map(|since| since + self.cap + Duration::from_nanos(1))
    }

    fn wait(&self) -> Duration {
        let factor = 1u32.checked_shl(self.n_failures).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_begin_anew_after_a_long_life() {
        let mut restarts = Restarts::new(&Settings::default());
        let mut now = Moment::ZERO;
        let mut waits = Vec::new();
        for _ in 0..10 {
            restarts.started(now);
            restarts.failed(now);
            waits.push(restarts.due().since(now).as_millis());
            now = restarts.due();
        }
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]
        );
        assert!(restarts.is_crash_looping(now) && restarts.is_down());
        restarts.started(now);
        assert!(restarts.is_crash_looping(now) && !restarts.is_down());
        let recovered = restarts.recovers_at(now).unwrap();
        assert!(!restarts.is_crash_looping(recovered));
        assert_eq!(recovered.since(now).as_secs(), 30);
        now = now + Duration::from_secs(31);
        assert_eq!(restarts.recovers_at(now), None);
        assert!(!restarts.is_crash_looping(now));
        restarts.failed(now);
        assert_eq!(restarts.due().since(now).as_millis(), 100);
        assert!(!restarts.is_crash_looping(now) && restarts.is_down());
    }
}
