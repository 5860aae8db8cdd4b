//! How often a problem is told: at once, and then every ten seconds with a count.

use std::collections::BTreeMap;
use std::time::Duration;

use squall_core::Moment;

use crate::problem::Problem;

/// Between two lines on the same problem.
const EVERY: Duration = Duration::from_secs(10);
/// The most problems that are told apart. Streams and codes are few; more count as one.
const MAX_KEYS: usize = 64;

/// Which problem, of which stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) stream: String,
    pub(crate) problem: Problem,
    /// The service's code: two codes are two problems.
    pub(crate) code: String,
}

/// The problems there were, and when each was last told.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    entries: BTreeMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    told_at: Moment,
    /// Occurrences since then.
    n_untold: u64,
    /// It was told, and not told yet that it is over.
    open: bool,
}

impl Quota {
    /// Books an occurrence. When it is to be told, returns how many there were before it that were not.
    pub(crate) fn occurred(&mut self, key: &Key, now: Moment) -> Option<u64> {
        let key = if self.entries.len() < MAX_KEYS || self.entries.contains_key(key) {
            key.clone()
        } else {
            Key {
                stream: String::new(),
                code: String::new(),
                ..key.clone()
            }
        };
        let Some(entry) = self.entries.get_mut(&key) else {
            let entry = Entry {
                told_at: now,
                n_untold: 0,
                open: true,
            };
            self.entries.insert(key, entry);
            return Some(0);
        };
        // Tasks share the quota; a clock that began later is another run's.
        if now >= entry.told_at && now.since(entry.told_at) < EVERY {
            entry.n_untold += 1;
            return None;
        }
        entry.told_at = now;
        entry.open = true;
        Some(std::mem::take(&mut entry.n_untold))
    }

    /// Books that problems are over; returns those whose end is to be told.
    pub(crate) fn over(&mut self, mut which: impl FnMut(&Key) -> bool) -> Vec<Problem> {
        let mut told = Vec::new();
        for (key, entry) in &mut self.entries {
            if entry.open && which(key) {
                entry.open = false;
                told.push(key.problem);
            }
        }
        told
    }

    /// Tells whether a problem was told and is not over.
    pub(crate) fn has_open(&self) -> bool {
        self.entries.values().any(|entry| entry.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(problem: Problem, code: &str) -> Key {
        Key {
            stream: "clicks".to_owned(),
            problem,
            code: code.to_owned(),
        }
    }

    fn at(ms: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn each_problem_is_told_at_once_and_then_every_ten_seconds() {
        let mut quota = Quota::default();
        let unreachable = key(Problem::Unreachable, "Timeout");
        let mut told = Vec::new();
        // Ten a second, for twenty-five seconds.
        for ms in (0..25_000).step_by(100) {
            if let Some(n_before) = quota.occurred(&unreachable, at(ms)) {
                told.push((ms, n_before));
            }
        }
        assert_eq!(told, [(0, 0), (10_000, 99), (20_000, 99)]);
        assert_eq!(
            quota.occurred(&key(Problem::Server, "HTTP 500"), at(25_000)),
            Some(0)
        );
    }

    #[test]
    fn a_problem_that_comes_and_goes_is_told_no_more_often() {
        let mut quota = Quota::default();
        let server = key(Problem::Server, "HTTP 500");
        let (mut n_told, mut n_over) = (0, 0);
        for ms in (0..60_000).step_by(100) {
            n_told += quota.occurred(&server, at(ms)).iter().count();
            n_over += quota.over(|_| true).len();
        }
        assert_eq!((n_told, n_over), (6, 6));
        assert!(!quota.has_open());
    }

    #[test]
    fn a_clock_that_begins_anew_keeps_nothing_quiet() {
        let mut quota = Quota::default();
        let server = key(Problem::Server, "HTTP 500");
        assert_eq!(quota.occurred(&server, at(500_000)), Some(0));
        assert_eq!(quota.occurred(&server, at(1000)), Some(0));
    }

    #[test]
    fn codes_without_end_are_told_as_one() {
        let mut quota = Quota::default();
        let told = (0..1000).filter(|n| {
            let code = n.to_string();
            let told = quota.occurred(&key(Problem::Server, &code), at(0));
            told.is_some()
        });
        assert_eq!(told.count(), MAX_KEYS + 1);
    }
}
