//! How the services reach the leader.

use std::collections::BTreeMap;
use std::sync::Arc;

use squall_core::{Clock, Moment, SupervisorId};
use squall_proto::{Refusal, SupervisorHello, SupervisorStatus};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::TimerClock;
use crate::heart::{Desired, Event, Reply, SlotReport};

use super::MAX_WAITING;
use super::request::{Attendance, Request, View};

/// Reaches the leader.
#[derive(Clone)]
pub(crate) struct LeaderHandle {
    requests: mpsc::Sender<Request>,
    snapshot: watch::Receiver<Arc<Desired>>,
    clock: TimerClock,
}

impl LeaderHandle {
    pub(super) const fn new(
        requests: mpsc::Sender<Request>,
        snapshot: watch::Receiver<Arc<Desired>>,
        clock: TimerClock,
    ) -> Self {
        Self {
            requests,
            snapshot,
            clock,
        }
    }

    /// Has a command performed. It is, once it was taken, whether or not anybody waits for the answer.
    pub(crate) async fn command(&self, event: Event) -> Result<Reply, Refusal> {
        let (reply, answer) = oneshot::channel();
        let event = Box::new(event);
        self.try_send(Request::Command { event, reply })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Begins a supervisor's stream.
    pub(crate) async fn attend(&self, hello: SupervisorHello) -> Result<Attendance, Refusal> {
        let (reply, answer) = oneshot::channel();
        let hello = Box::new(hello);
        self.try_send(Request::Attend { hello, reply })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Passes a report on; waits for its place.
    pub(crate) async fn report(
        &self,
        (supervisor, attendance): (SupervisorId, u64),
        slots: BTreeMap<u16, SlotReport>,
        status: Arc<SupervisorStatus>,
    ) -> Result<(), Refusal> {
        let report = Request::Report {
            supervisor,
            attendance,
            slots,
            status,
        };
        self.requests.send(report).await.map_err(|_| stopped())
    }

    /// Ends a supervisor's stream.
    pub(crate) async fn leave(&self, supervisor: SupervisorId, attendance: u64) {
        let leave = Request::Leave {
            supervisor,
            attendance,
        };
        // A leader that has stopped has no streams.
        self.requests.send(leave).await.unwrap_or_default();
    }

    /// Asks a question.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.try_send(Request::Ask(Box::new(move |view| {
            // Who asked may have gone.
            reply.send(question(view)).ok();
        })))?;
        answer.await.map_err(|_| stopped())
    }

    /// Returns what is desired, as it was stored last.
    pub(crate) fn desired(&self) -> Arc<Desired> {
        Arc::clone(&self.snapshot.borrow())
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn unix_ms(&self) -> u64 {
        self.clock.unix_ms()
    }

    fn try_send(&self, request: Request) -> Result<(), Refusal> {
        self.requests
            .try_send(request)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Refusal::busy("requests", MAX_WAITING),
                mpsc::error::TrySendError::Closed(_) => stopped(),
            })
    }
}

fn stopped() -> Refusal {
    Refusal::unavailable("nimbus is stopping")
}
