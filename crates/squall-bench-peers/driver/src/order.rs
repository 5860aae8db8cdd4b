//! What a driver is told to do, by its arguments.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::sentences::WORDS_PER_SENTENCE;

/// A job that an engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Sentences are split, and their words counted.
    WordCount,
    /// Numbers go from a source over an operator to a sink.
    PassThrough,
    /// The same, with the source on a thread of its own.
    PassThroughHop,
    /// The same, with each of the three on a thread of its own.
    PassThroughHops,
    /// The same, with sentences that are made anew for each record.
    TextHops,
}

/// A job, for how long, and what else the engine wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is run.
    pub job: Job,
    /// After the first tuple, before anything is measured.
    pub warm_up: Duration,
    /// How long it is measured.
    pub span: Duration,
    /// The engine's own arguments.
    pub rest: Vec<String>,
}

impl Job {
    const ALL: [Self; 5] = [
        Self::WordCount,
        Self::PassThrough,
        Self::PassThroughHop,
        Self::PassThroughHops,
        Self::TextHops,
    ];

    /// Returns its name as an argument.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WordCount => "word-count",
            Self::PassThrough => "pass-through",
            Self::PassThroughHop => "pass-through-hop",
            Self::PassThroughHops => "pass-through-hops",
            Self::TextHops => "text-hops",
        }
    }

    /// Returns how many tuples come to the sinks for one record of a source.
    pub const fn sunk_per_record(self) -> u64 {
        match self {
            Self::WordCount => WORDS_PER_SENTENCE,
            Self::PassThrough | Self::PassThroughHop | Self::PassThroughHops | Self::TextHops => 1,
        }
    }
}

impl Order {
    /// Reads `JOB WARM_UP_SECS SECS [ENGINE'S OWN ..]`.
    ///
    /// # Errors
    /// One of the three is missing or unknown.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut next = || args.next().context("JOB WARM_UP_SECS SECS are needed");
        let (name, warm_up, span) = (next()?, next()?, next()?);
        let job = Job::ALL.into_iter().find(|job| job.name() == name);
        let Some(job) = job else {
            bail!("no job {name:?}");
        };
        let secs = |text: String| text.parse().with_context(|| format!("{text:?} seconds"));
        Ok(Self {
            job,
            warm_up: Duration::from_secs(secs(warm_up)?),
            span: Duration::from_secs(secs(span)?),
            rest: args.collect(),
        })
    }

    /// Returns the arguments that [`parse`](Self::parse) reads.
    pub fn to_args(&self) -> Vec<String> {
        let mut args = vec![
            self.job.name().to_owned(),
            self.warm_up.as_secs().to_string(),
            self.span.as_secs().to_string(),
        ];
        args.extend_from_slice(&self.rest);
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_written() {
        for job in Job::ALL {
            let order = Order {
                job,
                warm_up: Duration::from_secs(1),
                span: Duration::from_secs(5),
                rest: vec!["-w".into(), "2".into()],
            };
            assert_eq!(Order::parse(order.to_args().into_iter()).unwrap(), order);
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_said() {
        let check = |args: &str, expected: &str| {
            let error = Order::parse(args.split(' ').map(str::to_owned)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check("word-count 1", "JOB WARM_UP_SECS SECS are needed");
        check("wordcount 1 5", "no job \"wordcount\"");
        check("word-count 1 long", "\"long\" seconds");
    }
}
