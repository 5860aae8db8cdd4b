//! The step of a topology, as an author writes it.

use std::time::Duration;

use crate::context::TaskContext;
use crate::emitter::Emitter;
use crate::error::{Result, Verdict};
use crate::fields::Outputs;
use crate::ids::MessageId;
use crate::inputs::Inputs;
use crate::tuple::Tuple;

/// A step: takes tuples, emits tuples.
///
/// One instance serves one task and is never called by two threads at once. Calls that block hold up
/// their own executor only: the engine moves the others away. An exception is the first time that a bolt blocks which
/// has not done so before: a task on the same loop may have been calling it, and waits with it that once.
///
/// So an emit may run the reader's code before it returns. Hold no lock across one that a reader takes as well, and
/// wait in no bolt for what a spout or a bolt before it is to do. A bolt that has to is `dedicated`.
///
/// ```
/// use squall_core::{Bolt, Emitter, Outputs, Result, Tuple};
///
/// struct Split;
///
/// impl Bolt for Split {
///     fn outputs(&self) -> Outputs {
///         Outputs::fields(["word"])
///     }
///
///     fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
///         for word in input.str("sentence")?.split_whitespace() {
///             out.emit([word])?;
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Bolt: Send {
    /// Declares the streams that this bolt emits to. Called on instances that never run as well.
    fn outputs(&self) -> Outputs {
        Outputs::none()
    }

    /// Declares the fields that it needs of its inputs, so that a topology that lacks one is refused before
    /// it runs. Need not be written; called on instances that never run as well.
    fn inputs(&self) -> Inputs {
        Inputs::any()
    }

    /// Called once before the first tuple.
    ///
    /// # Errors
    /// An error keeps the task from starting; it is tried again with back-off.
    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    /// Takes one tuple. `Ok` acks it, unless it was deferred; emits are anchored to it.
    ///
    /// # Errors
    /// An error fails the tuple's trees; [`crate::ComponentError`] says what else it can ask for.
    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()>;

    /// Says how often `tick` is to be called where the topology declares no interval; never by default.
    /// Asked once, after `prepare`.
    fn tick_every(&self) -> Option<Duration> {
        None
    }

    /// Called at the tick interval that the topology declares for the component, else at the one that
    /// [`Bolt::tick_every`] asks for. Ticks that are due while much of what the task has emitted waits for
    /// room at its readers are left out.
    ///
    /// # Errors
    /// An error is counted and logged; there is no tuple to fail.
    fn tick(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// Called after the task's waker was woken: results of asynchronous work are there.
    ///
    /// # Errors
    /// An error is counted and logged; there is no tuple to fail.
    fn wake(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// Takes the end of a tree that this bolt began with [`Emitter::tracked`].
    ///
    /// # Errors
    /// An error is counted and logged; there is no tuple to fail.
    fn verdict(&mut self, id: MessageId, verdict: Verdict, out: &mut Emitter<'_>) -> Result<()> {
        let _ = (id, verdict, out);
        Ok(())
    }

    /// Called at the end of input and when the topology drains: what the bolt has gathered is to be emitted
    /// or written now, and the tokens it keeps ended. Once, when all has come that will come; a bolt that
    /// keeps tokens is called before that as well, whenever it has nothing else to do.
    ///
    /// # Errors
    /// An error is counted and logged; there is no tuple to fail.
    fn flush(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// Called last, after `flush`; not after a panic.
    fn close(&mut self) {}
}
