//! Measures how much a source gets done in a stretch of its run: not its begin, not its drain.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use squall_core::{Clock, Moment};

use super::figures::Span;
use super::switches::context_switches;

/// How often the time is looked at, in records: reading it for each would be measured as well.
const LOOK_EVERY: u32 = 64;

/// Begins and stops by itself.
#[derive(Debug)]
pub(super) struct Stopwatch {
    begin: Moment,
    length: Duration,
    n_ticks: u32,
    first: Option<Mark>,
    last: Option<Mark>,
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Moment,
    cpu_nanos: u64,
    n_switches: u64,
    n_records: u64,
}

impl Stopwatch {
    /// Measures for `length` from `begin` on.
    pub(super) const fn new(begin: Moment, length: Duration) -> Self {
        Self {
            begin,
            length,
            n_ticks: 0,
            first: None,
            last: None,
        }
    }

    /// To be called for each record, with how many are done. Returns true when it stops by that.
    pub(super) fn tick(&mut self, clock: &dyn Clock, n_records: u64) -> bool {
        self.n_ticks = self.n_ticks.wrapping_add(1);
        if self.last.is_some() || !self.n_ticks.is_multiple_of(LOOK_EVERY) {
            return false;
        }
        let at = clock.now();
        let mark = || Mark {
            at,
            cpu_nanos: cpu_nanos(),
            n_switches: context_switches(),
            n_records,
        };
        match &self.first {
            None if at >= self.begin => self.first = Some(mark()),
            Some(first) if at.since(first.at) >= self.length => self.last = Some(mark()),
            None | Some(_) => {}
        }
        self.last.is_some()
    }

    /// Returns what was done; `None` when the run was too short.
    pub(super) fn read(self) -> Option<Span> {
        let (first, last) = (self.first?, self.last?);
        let nanos = last.at.since(first.at).as_nanos();
        Some(Span {
            pid: std::process::id(),
            n_records: last.n_records.saturating_sub(first.n_records),
            nanos: u64::try_from(nanos).unwrap_or(u64::MAX),
            cpu_nanos: last.cpu_nanos.saturating_sub(first.cpu_nanos),
            n_switches: last.n_switches.saturating_sub(first.n_switches),
        })
    }
}

/// Returns the CPU time of all threads of this process, those that have ended too.
pub(super) fn cpu_nanos() -> u64 {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let secs = u64::try_from(cpu.tv_sec).unwrap_or(0);
    secs * 1_000_000_000 + u64::try_from(cpu.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use squall_core::ManualClock;

    use super::*;

    #[test]
    fn measures_the_middle_of_a_run() {
        let clock = ManualClock::new();
        let secs = Duration::from_secs;
        let mut stopwatch = Stopwatch::new(clock.now() + secs(1), secs(5));
        let mut n_stops = 0;
        for n_records in 0..1000 {
            clock.advance(Duration::from_millis(10));
            n_stops += u32::from(stopwatch.tick(&clock, n_records));
        }
        assert_eq!(n_stops, 1);
        let span = stopwatch.read().unwrap();
        assert_eq!(span.pid, std::process::id());
        // A record each 10 ms.
        assert_eq!(span.nanos, span.n_records * 10_000_000);
        let length = Duration::from_nanos(span.nanos);
        assert!(length >= secs(5) && length < secs(6), "{length:?}");
        let mut short = Stopwatch::new(clock.now(), secs(5));
        for n_records in 0..100 {
            clock.advance(Duration::from_millis(10));
            assert!(!short.tick(&clock, n_records));
        }
        assert!(short.read().is_none());
    }
}
