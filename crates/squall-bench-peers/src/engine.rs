//! The engines, each run for one job at a time.

pub(crate) mod flink;
mod renoir;
mod squall;
mod timely;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use peer_driver::{Figures, Order};

use crate::child::{Child, Stop, finish};
use crate::contender::Contender;
use crate::job::Job;
use crate::programs::Programs;
use crate::sample::{self, Sample};

/// Before engines without a just-in-time compiler are measured: as long as `squall bench` takes.
const WARM_UP: Duration = Duration::from_secs(1);
/// How much longer than what is measured a run may take: to start, and to drain what is queued.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one program is run for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// Acked and unacked.
    Squall,
    Timely,
    Renoir(Contender),
    Flink,
}

/// What a turn is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course<'a> {
    pub(crate) job: Job,
    /// How long it is measured.
    pub(crate) span: Duration,
    pub(crate) programs: &'a Programs,
    pub(crate) stop: &'a Stop,
}

impl Turn {
    /// Returns who runs a job, in this order. Flink is among them only where its jars are.
    pub(crate) fn of(job: Job, programs: &Programs) -> Vec<Self> {
        let mut turns = vec![Self::Squall];
        match job {
            Job::WordCount | Job::PassThrough => {
                turns.extend([Self::Timely, Self::Renoir(Contender::Renoir)]);
            }
            Job::WordCountOverTwo => turns.push(Self::Timely),
            Job::PassThroughHop => turns.extend([
                Self::Renoir(Contender::Renoir),
                Self::Renoir(Contender::RenoirHops),
                Self::Renoir(Contender::RenoirTextHops),
            ]),
        }
        turns.extend(programs.flink.is_some().then_some(Self::Flink));
        turns
    }

    /// Returns what it is called while it runs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Squall => "Squall",
            Self::Timely => Contender::Timely.name(),
            Self::Renoir(contender) => contender.name(),
            Self::Flink => Contender::Flink.name(),
        }
    }

    /// Runs it once. Blocks until it is measured.
    ///
    /// # Errors
    /// It failed, took too long, or lost something; a signal came. Nothing of it is left.
    pub(crate) fn run(self, course: Course<'_>) -> Result<Vec<(Contender, Sample)>> {
        let ran = match self {
            Self::Squall => squall::run(course),
            Self::Timely => timely::run(course).map(|sample| vec![(Contender::Timely, sample)]),
            Self::Renoir(contender) => {
                renoir::run(course, contender).map(|sample| vec![(contender, sample)])
            }
            Self::Flink => flink::run(course).map(|sample| vec![(Contender::Flink, sample)]),
        };
        ran.with_context(|| format!("{} by {}", course.job.title(), self.name()))
    }
}

impl Course<'_> {
    /// Returns what to tell a driver that takes `rest` as well.
    fn order(self, warm_up: Duration, rest: Vec<String>) -> Order {
        Order {
            job: self.job.driven(),
            warm_up,
            span: self.span,
            rest,
        }
    }

    /// Returns how long a run with such an order may take.
    fn within(order: &Order) -> Option<Duration> {
        Some(order.warm_up + order.span + PATIENCE)
    }
}

/// Runs a process of a driver for each order, all at once, and returns what each found.
fn drive(name: &str, program: &Path, orders: &[Order], stop: &Stop) -> Result<Vec<Figures>> {
    let mut children = Vec::new();
    for order in orders {
        let mut command = Command::new(program);
        children.push(Child::start(name, command.args(order.to_args()))?);
    }
    let within = orders.first().and_then(Course::within);
    let printed = finish(children, within, stop)?;
    let figures = printed.iter().map(|printed| sample::figures(printed));
    figures.collect()
}
