//! Where calls report how they went: the line for the log, and the decision to give up.
//!
//! An application that has never read its stream gives up at a problem that waiting won't mend: nobody
//! has set it up right yet. One that has read it waits instead, and says so: to stop would make an outage
//! of what may be somebody's passing mistake.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use squall_core::Clock;

use crate::api::{ApiError, Call};
use crate::problem::quota::Key;
use crate::problem::{Place, Problem, Quota};

/// A quota that tasks share, so that two tasks of one spout don't tell the same twice.
pub(crate) type SharedQuota = Arc<Mutex<Quota>>;

/// How long a start may say nothing.
const PATIENCE: Duration = Duration::from_millis(1500);

/// One task's reporter; its coordinator and its shards' readers share it.
pub(crate) struct Reporter {
    quota: SharedQuota,
    clock: Arc<dyn Clock>,
    waker: Waker,
    place: Place,
    /// The region, once it is found.
    region: OnceLock<String>,
    /// The stream was read with this setup, in this run or before.
    proven: AtomicBool,
    /// Some problem was told that isn't over.
    troubled: AtomicBool,
    fatal: OnceLock<String>,
}

impl Reporter {
    /// Makes a reporter; `waker` is woken when the spout has to give up.
    pub(crate) fn new(
        quota: SharedQuota,
        clock: Arc<dyn Clock>,
        waker: Waker,
        place: Place,
    ) -> Self {
        Self {
            quota,
            clock,
            waker,
            place,
            region: OnceLock::new(),
            proven: AtomicBool::new(false),
            troubled: AtomicBool::new(false),
            fatal: OnceLock::new(),
        }
    }

    /// Books the region that was found.
    pub(crate) fn found_region(&self, region: &str) {
        self.region.get_or_init(|| region.to_owned());
    }

    /// Books that the application has read the stream before.
    pub(crate) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Books a call that succeeded.
    pub(crate) fn succeeded(&self, call: Call) {
        if call == Call::GetRecords {
            self.prove();
        }
        self.over(|problem| problem.is_over_after(call));
    }

    /// Books a call that failed: tells of it, or gives the spout up.
    pub(crate) fn failed(&self, call: Call, error: &ApiError) {
        let Some(problem) = Problem::of(call, error) else {
            tracing::debug!(%call, %error, "call failed");
            return;
        };
        let hopeless = problem == Problem::NoRegion || !self.proven.load(Ordering::Relaxed);
        if problem.is_permanent() && hopeless {
            self.give_up(problem, call, error);
        } else {
            self.tell(problem, &error.code, &error.message);
        }
    }

    /// Books an error of the checkpoint store.
    pub(crate) fn store_failed(&self, problem: Problem, error: &dyn Display) {
        self.tell(problem, "", error);
    }

    /// Books that the checkpoint store did what it could not do before.
    pub(crate) fn store_succeeded(&self, problem: Problem) {
        self.over(|open| open == problem);
    }

    /// Returns why the spout can't go on, once that is so.
    pub(crate) fn fatal(&self) -> Option<&str> {
        self.fatal.get().map(String::as_str)
    }

    /// Waits for a part of the start, and says what for when it takes long.
    pub(crate) async fn watch<T>(&self, waits_for: &str, part: impl Future<Output = T>) -> T {
        let mut part = std::pin::pin!(part);
        let soon = tokio::time::timeout(PATIENCE, part.as_mut()).await;
        if let Ok(done) = soon {
            return done;
        }
        let key = self.key(Problem::SlowStart, waits_for);
        if self.with_quota(|quota| quota.occurred(&key, self.clock.now()).is_some()) {
            let stream = &self.place.stream;
            tracing::warn!(target: TARGET, %stream, "still waiting for {waits_for}");
        }
        part.await
    }

    fn give_up(&self, problem: Problem, call: Call, error: &ApiError) {
        let (stream, said) = (&self.place.stream, &error.message);
        let advice = problem.advice(&self.place());
        self.fatal
            .get_or_init(|| format!("stream {stream}: {advice} ({call}: {said})"));
        self.waker.wake_by_ref();
    }

    fn tell(&self, problem: Problem, code: &str, said: &dyn Display) {
        let key = self.key(problem, code);
        let told = self.with_quota(|quota| quota.occurred(&key, self.clock.now()));
        let Some(n_before) = told else {
            return;
        };
        self.troubled.store(true, Ordering::Relaxed);
        let stream = &self.place.stream;
        let advice = problem.advice(&self.place());
        let repeated = (n_before > 0).then_some(n_before);
        if problem.is_permanent() {
            tracing::error!(target: TARGET, %stream, %said, repeated, "{advice}");
        } else {
            tracing::warn!(target: TARGET, %stream, %said, repeated, "{advice}");
        }
    }

    fn over(&self, is_over: impl Fn(Problem) -> bool) {
        if !self.troubled.load(Ordering::Relaxed) {
            return;
        }
        let stream = &self.place.stream;
        let told = self.with_quota(|quota| {
            let told = quota.over(|key| key.stream == *stream && is_over(key.problem));
            self.troubled.store(quota.has_open(), Ordering::Relaxed);
            told
        });
        let mut reliefs: Vec<_> = told.into_iter().map(Problem::relief).collect();
        reliefs.dedup();
        for relief in reliefs {
            tracing::info!(target: TARGET, %stream, "{relief}");
        }
    }

    fn key(&self, problem: Problem, code: &str) -> Key {
        Key {
            stream: self.place.stream.clone(),
            problem,
            code: code.to_owned(),
        }
    }

    fn place(&self) -> Place {
        let found = self.region.get().or(self.place.region.as_ref());
        Place {
            region: found.cloned(),
            ..self.place.clone()
        }
    }

    fn with_quota<T>(&self, work: impl FnOnce(&mut Quota) -> T) -> T {
        work(&mut self.quota.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The lines are the crate's, whichever of its files writes them.
const TARGET: &str = "squall_kinesis";

#[cfg(test)]
mod tests;
