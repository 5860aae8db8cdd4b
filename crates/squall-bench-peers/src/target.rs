//! What Squall is to reach.

use std::fmt;

use crate::contender::Contender;
use crate::job::Job;

/// How many times as many records a second as another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) job: Job,
    pub(crate) ours: Contender,
    pub(crate) theirs: Contender,
    /// The least ratio that reaches it.
    pub(crate) at_least: f64,
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    target(
        Job::WordCount,
        Contender::SquallUnacked,
        1.3,
        Contender::Timely,
    ),
    target(
        Job::WordCount,
        Contender::SquallAcked,
        3.0,
        Contender::Flink,
    ),
    target(
        Job::WordCountOverTwo,
        Contender::SquallAcked,
        2.0,
        Contender::Flink,
    ),
    target(
        Job::PassThroughHop,
        Contender::SquallUnacked,
        1.0,
        Contender::Renoir,
    ),
    target(
        Job::PassThroughHop,
        Contender::SquallUnacked,
        1.0,
        Contender::RenoirHops,
    ),
    target(
        Job::PassThroughHop,
        Contender::SquallUnacked,
        1.0,
        Contender::RenoirTextHops,
    ),
];

const fn target(job: Job, ours: Contender, at_least: f64, theirs: Contender) -> Target {
    Target {
        job,
        ours,
        theirs,
        at_least,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (job, at_least) = (self.job.title(), self.at_least);
        let (ours, theirs) = (self.ours.name(), self.theirs.name());
        write!(f, "{job}: {ours} ≥ {at_least} × {theirs}")
    }
}
