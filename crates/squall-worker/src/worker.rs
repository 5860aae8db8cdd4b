//! The worker: a part of a topology, its links, its supervisor, and what keeps them together.

mod start;

use std::sync::Arc;
use std::time::Duration;

use squall_core::{Clock, Fence};
use squall_daemon::shutdown::Scope;
use squall_proto::WorkerStatus;
use squall_runtime::{Running, TopologyState};
use squall_transport::Links;
use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use crate::attend::Heard;
use crate::exit::ExitReason;
use crate::lifecycle::{Effect, Event, Lifecycle, Sight, Standing};
use crate::{counters, links};

pub use start::{Host, StartError};

/// How long threads and links may take to end once the worker is over. A component that blocks for longer is
/// left behind, and ends with the process.
const END_WITHIN: Duration = Duration::from_millis(500);

/// A worker whose tasks run and whose port is served. [`Worker::run`] lets it heed its supervisor.
pub struct Worker {
    /// Whose draining ends the worker.
    scope: Scope,
    /// What runs for the worker alone, and ends after it.
    parts: Scope,
    clock: Arc<dyn Clock>,
    lifecycle: Lifecycle,
    running: Arc<Running>,
    links: Links,
    /// How many other workers there are to be linked with.
    n_peers: usize,
    /// Why the tasks can't go on, as was seen with the last report.
    failing: Option<String>,
    statuses: watch::Sender<Option<WorkerStatus>>,
    heard: mpsc::Receiver<Heard>,
    superseded: watch::Receiver<Option<Fence>>,
    /// Held so that the other end never finds itself alone.
    _superseded: Arc<watch::Sender<Option<Fence>>>,
}

impl Worker {
    /// Runs until the worker is told to end, is superseded, or can't go on. Takes a few seconds after the
    /// scope has begun to drain; none after it is forced.
    pub async fn run(mut self) -> ExitReason {
        let reason = self.live().await;
        info!(%reason, "worker ends");
        self.wind_up().await;
        reason
    }

    async fn live(&mut self) -> ExitReason {
        let mut told = false;
        loop {
            let until_look = self.lifecycle.deadline().since(self.clock.now());
            let event = select! {
                biased;
                () = self.scope.forced() => {
                    let n_pending = counters::n_pending(&self.running.snapshot());
                    return ExitReason::Clean { n_pending };
                }
                () = self.scope.draining(), if !told => {
                    told = true;
                    Event::Told
                }
                Ok(()) = self.superseded.changed() => match *self.superseded.borrow_and_update() {
                    Some(fence) => Event::Superseded(fence),
                    None => continue,
                },
                Some(heard) = self.heard.recv() => match heard {
                    Heard::Order(order) => Event::Ordered(order),
                    Heard::Refusal(refusal) => Event::Refused(refusal),
                },
                () = sleep_until(Instant::now() + until_look) => Event::Looked(self.look()),
            };
            for effect in self.lifecycle.step(event, self.clock.now()) {
                if let Some(reason) = self.perform(effect) {
                    return reason;
                }
            }
        }
    }

    fn look(&self) -> Sight {
        let status = self.links.status();
        Sight {
            at: self.clock.now(),
            tasks_ready: self.running.is_ready(),
            links_stand: links::all_stand(&status, self.n_peers),
            links_idle: links::all_idle(&status),
            n_pending: if self.lifecycle.counts_pending() {
                counters::n_pending(&self.running.snapshot())
            } else {
                0
            },
            spouts_ended: self.running.spouts_have_ended(),
            failing: self.failing.clone(),
            outcome: self
                .running
                .wait(Some(Duration::ZERO))
                .map(|ended| ended.map_err(|error| error.reason)),
        }
    }

    /// Does what the lifecycle wants; returns the reason if that is to end.
    fn perform(&mut self, effect: Effect) -> Option<ExitReason> {
        match effect {
            Effect::Link(assignment) => {
                let peers = links::peers(&assignment, self.lifecycle.worker());
                info!(
                    assignment_version = assignment.version,
                    n_peers = peers.len(),
                    "assignment changed"
                );
                self.n_peers = peers.len();
                self.links.set_peers(&peers);
            }
            Effect::Activate => {
                info!("spouts are asked for tuples");
                self.running.activate();
            }
            Effect::Deactivate => {
                info!("spouts are asked for no more");
                self.running.deactivate();
            }
            Effect::Drain => {
                info!("draining");
                self.running.drain();
            }
            Effect::Force => self.running.force(),
            Effect::Report(standing) => self.report(standing),
            Effect::End(reason) => return Some(reason),
        }
        None
    }

    fn report(&mut self, standing: Standing) {
        let snapshot = self.running.snapshot();
        if let TopologyState::Failed(why) = &snapshot.state {
            self.failing = Some(why.clone());
        }
        let busy_us = snapshot.tasks.iter().map(|task| task.busy_us).max();
        self.statuses.send_replace(Some(WorkerStatus {
            ready: standing.ready,
            drained: standing.drained,
            assignment_version: standing.assignment_version,
            oldest_turn_ms: busy_us.unwrap_or(0) / 1000,
            counters: counters::sum(&snapshot),
        }));
    }

    /// Ends the tasks, the links, and all that ran for this worker.
    async fn wind_up(self) {
        self.running.force();
        if timeout(END_WITHIN, self.links.end()).await.is_err() {
            warn!("links don't end: left behind");
        }
        self.parts.force();
        let running = self.running.clone();
        let ended = spawn_blocking(move || running.wait(Some(END_WITHIN)).is_some()).await;
        if !ended.unwrap_or(false) {
            warn!("a component doesn't let go of its thread: left behind");
            // Dropping it would wait for that thread.
            std::mem::forget(self.running);
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("lifecycle", &self.lifecycle)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}
