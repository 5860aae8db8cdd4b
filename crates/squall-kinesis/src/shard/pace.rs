//! When a shard may be read again: five calls and 2 MiB a second, seldom at the tip.

use std::time::Duration;

use squall_core::Moment;

use crate::config::Limits;

/// What a shard gives in a second.
const BYTES_PER_SEC: u64 = 2 << 20;

/// The earliest moment of the next read.
#[derive(Debug)]
pub(crate) struct Pace {
    next_call: Moment,
}

/// What a read gave, as far as the pace goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) called_at: Moment,
    pub(crate) bytes: usize,
    pub(crate) records: usize,
    pub(crate) behind_ms: Option<u64>,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self {
            next_call: Moment::ZERO,
        }
    }

    pub(crate) const fn next_call(&self) -> Moment {
        self.next_call
    }

    /// Books a read that came back at `now`.
    ///
    /// Only `behind_ms == 0` means the tip, never an empty page; and a full page is no tip whatever the
    /// server says, for emulators say 0 always.
    pub(crate) fn read(&mut self, read: Read, limits: &Limits, now: Moment) {
        let full = read.records >= usize::try_from(limits.page_records).unwrap_or(usize::MAX);
        let at_tip = read.behind_ms == Some(0) && !full;
        let gap = if at_tip { limits.tip } else { limits.poll };
        let bytes = u64::try_from(read.bytes).unwrap_or(u64::MAX);
        let for_bytes = bytes.saturating_mul(1_000_000_000) / BYTES_PER_SEC;
        let for_bytes = Duration::from_nanos(for_bytes);
        self.next_call = (read.called_at + gap).max(now + for_bytes);
    }

    /// Books a read that failed: the interval holds for it too.
    pub(crate) fn failed(&mut self, called_at: Moment, limits: &Limits) {
        self.next_call = called_at + limits.poll;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KinesisConfig;

    fn next_ms(records: usize, bytes: usize, behind_ms: Option<u64>) -> u64 {
        let limits = Limits::of(&KinesisConfig::new("clicks"));
        let called_at = Moment::ZERO + Duration::from_millis(1000);
        let mut pace = Pace::new();
        let read = Read {
            called_at,
            bytes,
            records,
            behind_ms,
        };
        pace.read(read, &limits, called_at + Duration::from_millis(50));
        u64::try_from(pace.next_call().since(called_at).as_millis()).unwrap()
    }

    #[test]
    fn only_the_server_can_say_that_the_tip_is_reached() {
        assert_eq!(next_ms(0, 0, Some(0)), 1000);
        assert_eq!(next_ms(5, 100, Some(0)), 1000);
        assert_eq!(
            next_ms(0, 0, Some(1)),
            250,
            "an empty page far from the tip"
        );
        assert_eq!(next_ms(0, 0, None), 250);
        assert_eq!(next_ms(10_000, 100, Some(0)), 250, "a full page");
    }

    #[test]
    fn a_large_page_is_paid_for_in_time() {
        assert_eq!(next_ms(10, 10 << 20, Some(1)), 50 + 5000);
        assert_eq!(next_ms(10, 1 << 20, Some(1)), 50 + 500);
        assert_eq!(next_ms(10, 1 << 10, Some(1)), 250);
    }
}
