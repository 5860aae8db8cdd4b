//! The rounds: each job on each engine in turn, again and again.

use anyhow::Result;

use crate::args::Args;
use crate::child::Stop;
use crate::console::say;
use crate::contender::Contender;
use crate::engine::{Course, Turn};
use crate::job::Job;
use crate::programs::Programs;
use crate::sample::Sample;

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    rows: Vec<Row>,
}

/// A contender at a job.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) job: Job,
    pub(crate) contender: Contender,
    /// One of each round.
    pub(crate) samples: Vec<Sample>,
}

/// Runs all rounds. Blocks for as long as they take.
///
/// # Errors
/// A contender failed, or a signal came.
pub(crate) fn measure(args: &Args, programs: &Programs, stop: &Stop) -> Result<Measured> {
    let mut measured = Measured::default();
    for round in 1..=args.repeat.get() {
        for job in args.jobs() {
            for turn in Turn::of(job, programs) {
                let (title, name, n) = (job.title(), turn.name(), args.repeat);
                say(format_args!("round {round} of {n}: {title}: {name} …"));
                let course = Course {
                    job,
                    span: args.span(),
                    programs,
                    stop,
                };
                for (contender, sample) in turn.run(course)? {
                    measured.add(job, contender, sample);
                }
            }
        }
    }
    Ok(measured)
}

impl Measured {
    /// Adds what a round showed.
    pub(crate) fn add(&mut self, job: Job, contender: Contender, sample: Sample) {
        let mut rows = self.rows.iter_mut();
        match rows.find(|row| (row.job, row.contender) == (job, contender)) {
            Some(row) => row.samples.push(sample),
            None => self.rows.push(Row {
                job,
                contender,
                samples: vec![sample],
            }),
        }
    }

    /// Returns everything, in the order in which it was first measured.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the records a second of a contender at a job, round by round: none where it has none.
    pub(crate) fn records_per_sec(&self, job: Job, contender: Contender) -> Vec<f64> {
        let mut rows = self.rows.iter();
        let row = rows.find(|row| (row.job, row.contender) == (job, contender));
        let samples = row.map_or(&[][..], |row| &row.samples);
        samples
            .iter()
            .map(|sample| sample.records_per_sec)
            .collect()
    }
}
