//! Squall, by its own bench: both with acks and without; over several processes with acks alone.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::child::{Child, finish};
use crate::console::say;
use crate::contender::Contender;
use crate::engine::{Course, PATIENCE, WARM_UP};
use crate::job::Job;
use crate::sample::Sample;

/// How many measurements `squall bench` makes of a case at most: with acks and without, at full speed, at rates, and
/// of the idle machine.
const N_MEASUREMENTS: u32 = 10;

/// What `squall bench -o json` prints, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Report {
    machine: Machine,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Machine {
    /// `debug` or `release`.
    build: String,
}

#[derive(Debug, Deserialize)]
struct Case {
    acked: bool,
    source_records_per_s: f64,
    cpu_ns_per_hop: f64,
    lost: f64,
}

pub(super) fn run(course: Course<'_>) -> Result<Vec<(Contender, Sample)>> {
    let span = course.span;
    let mut command = Command::new(&course.programs.squall);
    command
        .args(["bench", "--output", "json"])
        .args(["--case", course.job.driven().name()])
        .args(["--processes", &course.job.processes().to_string()])
        .args(["--seconds", &span.as_secs().to_string()]);
    let bench = Child::start("squall bench", &mut command)?;
    let within: Duration = (WARM_UP + span) * N_MEASUREMENTS + PATIENCE;
    let printed = finish(vec![bench], Some(within), course.stop)?;
    samples(course.job, &printed.concat())
}

fn samples(job: Job, printed: &str) -> Result<Vec<(Contender, Sample)>> {
    let report: Report = serde_json::from_str(printed)
        .with_context(|| format!("squall bench printed {printed:?}"))?;
    if report.machine.build == "debug" {
        say("  this is a debug build: its figures say nothing about a release build");
    }
    ensure!(!report.cases.is_empty(), "squall bench measured nothing");
    let samples = report.cases.iter().map(|case| {
        let lost = case.lost;
        ensure!(lost == 0.0, "squall bench says that {lost} were lost");
        let contender = if case.acked {
            Contender::SquallAcked
        } else {
            Contender::SquallUnacked
        };
        let sample = Sample {
            records_per_sec: case.source_records_per_s,
            cpu_ns_per_record: case.cpu_ns_per_hop * job.hops() as f64,
        };
        Ok((contender, sample))
    });
    samples.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"{"machine":{"n_cores":2,"build":"release"},"cases":[
        {"case":"word-count","acked":true,"processes":1,"parallelism":2,"source_records_per_s":510146,
         "cpu_ns_per_hop":111.5,"lost":0,"runs":[{"source_records_per_s":510146,"cpu_ns_per_hop":111.5,"lost":0}]},
        {"case":"word-count","acked":false,"processes":1,"parallelism":2,"source_records_per_s":520134,
         "cpu_ns_per_hop":78.0,"lost":0,"runs":[]}],
        "latencies":[{"case":"word-count","acked":true,"rate_per_s":10000,"p50_us":87}]}"#;

    #[test]
    fn a_bench_gives_both_kinds() {
        let samples = samples(Job::WordCount, PRINTED).unwrap();
        let sample = |records_per_sec, cpu_ns_per_record| Sample {
            records_per_sec,
            cpu_ns_per_record,
        };
        // A sentence of eight words is 17 hops.
        let expected = [
            (Contender::SquallAcked, sample(510_146.0, 1895.5)),
            (Contender::SquallUnacked, sample(520_134.0, 1326.0)),
        ];
        assert_eq!(samples, expected);
    }

    #[test]
    fn what_lost_something_is_no_figure() {
        let lossy = PRINTED.replacen("\"lost\":0", "\"lost\":7", 1);
        let error = samples(Job::WordCount, &lossy).unwrap_err();
        assert_eq!(error.to_string(), "squall bench says that 7 were lost");
        assert!(
            samples(
                Job::WordCount,
                r#"{"machine":{"build":"release"},"cases":[]}"#
            )
            .is_err()
        );
        assert!(samples(Job::WordCount, "").is_err());
    }
}
