//! What the spouts of this crate share: messages that are emitted, and emitted again when they fail.

use std::sync::Arc;

use squall_core::replay::{Decision, OnExhausted, Pending, ReplayConfig};
use squall_core::{
    Activity, Clock, Failure, FailureReason, IntoRow, MessageId, Metric, Result, SpoutEmitter,
    TaskContext,
};
use tracing::warn;

/// A spout's messages in flight, with their metrics: `replayed`, and `exhausted` for those whose attempts
/// were used up.
pub(crate) struct Replayed<T> {
    pending: Pending<T>,
    /// The message that the last call gave up, if it did.
    given_up: Option<T>,
    clock: Arc<dyn Clock>,
    replayed: Metric,
    exhausted: Metric,
}

/// Refuses the one policy that the spouts here have no place for.
///
/// # Errors
/// `on_exhausted: dead-letter`.
pub(crate) fn check(config: &ReplayConfig) -> Result<()> {
    if config.on_exhausted == OnExhausted::DeadLetter {
        Err(
            "this spout has no place for dead letters: set `on_exhausted` to retry-at-cap or drop",
        )?;
    }
    Ok(())
}

impl<T> Replayed<T> {
    /// Begins with nothing in flight.
    pub(crate) fn new(config: &ReplayConfig, ctx: &TaskContext) -> Self {
        Self {
            pending: Pending::new(config, ctx.seed()),
            given_up: None,
            clock: ctx.clock().clone(),
            replayed: ctx.metrics().get("replayed", ""),
            exhausted: ctx.metrics().get("exhausted", ""),
        }
    }

    /// Tells whether another message may be emitted.
    pub(crate) const fn has_room(&self) -> bool {
        self.pending.has_room()
    }

    /// Emits a message for the first time; `bytes` is what its body keeps in memory.
    ///
    /// # Errors
    /// A row that can't be emitted; it then counts as failed for good.
    pub(crate) fn emit(
        &mut self,
        body: T,
        bytes: usize,
        row: impl IntoRow,
        out: &mut SpoutEmitter<'_>,
    ) -> Result<()> {
        let id = self.pending.insert(body, bytes);
        self.send(id, row, out)
    }

    /// Emits the retry that is due, if there is one; `row` makes its values.
    ///
    /// # Errors
    /// A row that can't be emitted; it then counts as failed for good.
    pub(crate) fn emit_due<R: IntoRow>(
        &mut self,
        row: impl FnOnce(&T) -> R,
        out: &mut SpoutEmitter<'_>,
    ) -> Result<bool> {
        if self.pending.next_due_at().is_none() {
            return Ok(false);
        }
        let Some(retry) = self.pending.next_due(self.clock.now()) else {
            return Ok(false);
        };
        let (id, row) = (retry.id, row(retry.body));
        self.replayed.add(1);
        self.send(id, row, out)?;
        Ok(true)
    }

    /// Says what a spout does that has nothing to emit now; `at_end`, it never will but for retries.
    pub(crate) fn rest(&self, at_end: bool) -> Activity {
        match self.pending.next_due_at() {
            Some(at) => Activity::IdleFor(at.since(self.clock.now())),
            None if at_end => Activity::Finished,
            None => Activity::Idle,
        }
    }

    /// Takes a good verdict, and hands the message back.
    pub(crate) fn ack(&mut self, id: MessageId) -> Option<T> {
        self.pending.ack(id)
    }

    /// Takes a bad verdict.
    pub(crate) fn fail(&mut self, id: MessageId, why: &Failure) {
        let decision = self.pending.fail(id, why, self.clock.now());
        self.given_up = match decision {
            Decision::Dropped(body) => {
                warn!(error = %why, "message dropped after its last attempt");
                Some(body)
            }
            _ => None,
        };
        let exhausted = self.pending.counters().exhausted;
        self.exhausted
            .set(i64::try_from(exhausted).unwrap_or(i64::MAX));
    }

    /// Takes the message that the last verdict, or the last emit that failed, has ended: its attempts were used
    /// up and the policy drops it.
    pub(crate) fn take_given_up(&mut self) -> Option<T> {
        self.given_up.take()
    }

    /// Hears that a window keeps a message: it makes room for others.
    pub(crate) fn held(&mut self, id: MessageId) {
        // The body stays: it is small, and the engine bounds what is held.
        self.pending.held(id);
    }

    fn send(&mut self, id: MessageId, row: impl IntoRow, out: &mut SpoutEmitter<'_>) -> Result<()> {
        let sent = out.tracked(id).emit(row);
        if let Err(error) = &sent {
            let mut why = Failure::new(FailureReason::Rejected, None, &error.to_string());
            why.permanent = true;
            self.fail(id, &why);
        }
        Ok(sent?)
    }
}
