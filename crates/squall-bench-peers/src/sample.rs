//! What one run of one contender showed, out of what its driver printed.

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use peer_driver::Figures;

/// The figures of one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// Of the sources, at full speed.
    pub(crate) records_per_sec: f64,
    /// CPU time of all processes, in nanoseconds.
    pub(crate) cpu_ns_per_record: f64,
}

impl Sample {
    /// Puts together what the processes of a job found.
    ///
    /// # Errors
    /// Something was lost, or nothing was measured.
    pub(crate) fn of(figures: &[Figures], sunk_per_record: u64) -> Result<Self> {
        let n_emitted: Option<u64> = figures.iter().map(|found| found.n_emitted).sum();
        let n_sunk: u64 = figures.iter().map(|found| found.n_sunk).sum();
        if let Some(n_emitted) = n_emitted {
            let expected = n_emitted * sunk_per_record;
            ensure!(
                n_sunk == expected,
                "{n_sunk} of {expected} tuples came to the sinks: it is broken, don't compare with it"
            );
        }
        let per_nano = |of: fn(&Figures) -> u64| -> f64 {
            let rates = figures
                .iter()
                .map(|found| of(found) as f64 / found.span.nanos.max(1) as f64);
            rates.sum()
        };
        let records_per_nano = per_nano(|found| found.span.n_sunk) / sunk_per_record as f64;
        ensure!(
            records_per_nano > 0.0,
            "nothing came to the sinks while it was measured"
        );
        Ok(Self {
            records_per_sec: records_per_nano * 1e9,
            cpu_ns_per_record: per_nano(|found| found.span.cpu_nanos) / records_per_nano,
        })
    }
}

/// Reads what a driver printed: its last line.
///
/// # Errors
/// There is none, or it says something else.
pub(crate) fn figures(printed: &str) -> Result<Figures> {
    let line = printed
        .lines()
        .last()
        .context("the driver printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("the driver printed {line:?}"))
}

#[cfg(test)]
mod tests {
    use peer_driver::Span;

    use super::*;

    const FOUND: Figures = Figures {
        n_emitted: Some(1000),
        n_sunk: 8000,
        span: Span {
            n_sunk: 4000,
            nanos: 2_000_000_000,
            cpu_nanos: 1_000_000_000,
        },
        n_checkpoints: 0,
    };

    #[test]
    fn what_comes_to_the_sinks_is_counted_in_records_of_the_source() {
        let one = Sample::of(&[FOUND], 8).unwrap();
        assert_eq!(one.records_per_sec, 250.0);
        assert_eq!(one.cpu_ns_per_record, 2_000_000.0);
        // One process splits all, and the other counts most.
        let (mut near, mut far) = (FOUND, FOUND);
        (near.n_emitted, near.n_sunk) = (Some(2000), 6000);
        (far.n_emitted, far.n_sunk) = (Some(0), 10_000);
        let both = Sample::of(&[near, far], 8).unwrap();
        assert_eq!(both.records_per_sec, 500.0);
        assert_eq!(both.cpu_ns_per_record, 2_000_000.0);
    }

    #[test]
    fn a_driver_that_loses_something_is_not_compared() {
        let lossy = Figures {
            n_sunk: 7999,
            ..FOUND
        };
        let error = Sample::of(&[lossy], 8).unwrap_err().to_string();
        assert!(error.starts_with("7999 of 8000 tuples"), "{error}");
        // One that was stopped doesn't know.
        let stopped = Figures {
            n_emitted: None,
            ..lossy
        };
        assert!(Sample::of(&[stopped], 8).is_ok());
        let mut idle = FOUND;
        idle.span.n_sunk = 0;
        assert!(Sample::of(&[idle], 8).is_err());
    }

    #[test]
    fn the_last_line_has_the_figures() {
        let line = serde_json::to_string(&FOUND).unwrap();
        let printed = format!("awaiting connections (at 0/1)\n{line}\n");
        assert_eq!(figures(&printed).unwrap(), FOUND);
        let check = |printed, expected: &str| {
            let error = figures(printed).unwrap_err().to_string();
            assert_eq!(error, expected);
        };
        check("", "the driver printed nothing");
        check("killed\n", "the driver printed \"killed\"");
    }

    #[test]
    fn flink_prints_the_same_line() {
        // As `PeerBench.java` has it.
        let line = r#"{"n_emitted":null,"n_sunk":9,"span":{"n_sunk":8,"nanos":1,"cpu_nanos":2},"n_checkpoints":3}"#;
        let java = include_str!("../flink/PeerBench.java").replace('\\', "");
        let shape = line.replace(|c: char| c.is_ascii_digit(), "%d");
        assert!(java.contains(&shape), "{shape}");
        let found = figures(line).unwrap();
        assert_eq!((found.n_emitted, found.n_checkpoints), (None, 3));
    }
}
