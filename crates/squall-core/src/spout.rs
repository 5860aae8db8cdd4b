//! The source of a topology, as an author writes it.

use std::time::Duration;

use crate::context::TaskContext;
use crate::emitter::SpoutEmitter;
use crate::error::{Failure, Result};
use crate::fields::Outputs;
use crate::ids::MessageId;

/// What a spout did when it was asked for a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It emitted, or has more to do at once: ask again.
    Emitted,
    /// Nothing now: ask again after the task's waker was woken, or after a verdict.
    Idle,
    /// Nothing for this long, unless the waker is woken or a verdict comes before.
    IdleFor(Duration),
    /// Nothing any more. Once nothing is pending either, the task ends; a failed message that the spout
    /// wants to emit again takes the word back.
    Finished,
}

/// A source: emits tuples and hears what became of them.
///
/// One instance serves one task and is never called by two threads at once. An emit may run the reader's code before it
/// returns, see [`crate::Bolt`].
pub trait Spout: Send {
    /// Declares the streams that this spout emits to. Called on instances that never run as well.
    fn outputs(&self) -> Outputs;

    /// Called once before the first tuple.
    ///
    /// # Errors
    /// An error keeps the task from starting; it is tried again with back-off.
    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    /// Emits some tuples, best one or a few. Never blocks: waiting is done by returning
    /// [`Activity::Idle`] and waking the task's waker. Not called while max spout pending is reached.
    ///
    /// # Errors
    /// An error is logged, and the task is asked again after a pause. One that is permanent
    /// ([`crate::ComponentError::permanent`]) stops the topology, which then says why.
    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity>;

    /// Takes the good end of a tracked emit.
    fn ack(&mut self, id: MessageId) {
        let _ = id;
    }

    /// Takes the bad end of a tracked emit.
    fn fail(&mut self, id: MessageId, why: &Failure) {
        let _ = (id, why);
    }

    /// Hears that a window keeps the tuple: its body may be dropped if it can be read again.
    fn held(&mut self, id: MessageId) {
        let _ = id;
    }

    /// Called when the topology is activated again; every task starts active.
    fn activate(&mut self) {}

    /// Called when the topology is deactivated: `next_tuple` isn't called until it is activated again,
    /// verdicts go on coming.
    fn deactivate(&mut self) {}

    /// Called last, after all verdicts; not after a panic.
    fn close(&mut self) {}
}
