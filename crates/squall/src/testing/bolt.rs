//! One bolt, run by hand.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use squall_core::{
    Bolt, ComponentError, Emitter, Failure, InputSpec, ManualClock, MessageId, Metrics, Schema,
    Str, TaskId, Tuple, Verdict,
};

use crate::testing::recorder::Recorder;
use crate::testing::task::TestTask;
use crate::testing::{Emitted, Ended};

/// Runs one bolt on the test's own thread, with a clock that is wound by hand.
///
/// ```
/// use squall::prelude::*;
/// use squall::testing::{BoltHarness, tuple};
///
/// struct Split;
///
/// impl Bolt for Split {
///     fn outputs(&self) -> Outputs {
///         Outputs::fields(["word"])
///     }
///     fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
///         for word in input.str("sentence")?.split_whitespace() {
///             out.emit([word])?;
///         }
///         Ok(())
///     }
/// }
///
/// let effects = BoltHarness::new(Split).execute(tuple! { sentence: "a b" });
/// assert_eq!(effects.tuples(), [tuple! { word: "a" }, tuple! { word: "b" }]);
/// assert_eq!(effects.acked(), [0]);
/// ```
///
/// `prepare` is called before the first tuple or tick; the inputs it sees are those of
/// [`BoltHarness::input`], or else that of the first tuple.
pub struct BoltHarness {
    bolt: Box<dyn Bolt>,
    recorder: Recorder,
    task: TestTask,
    inputs: Vec<Arc<Schema>>,
    prepared: bool,
}

/// What one call of a bolt brought about.
#[derive(Debug)]
pub struct Effects {
    /// What it emitted, in order.
    pub emits: Vec<Emitted>,
    /// The inputs that ended, in order: the one in hand, and deferred ones of before.
    pub ended: Vec<Ended>,
    /// The inputs that it took out of the message timeout.
    pub held: Vec<usize>,
    /// The error that the call returned.
    pub error: Option<ComponentError>,
}

impl BoltHarness {
    /// Takes a bolt that was not prepared yet.
    pub fn new(bolt: impl Bolt + 'static) -> Self {
        let recorder = Recorder::new(&bolt.outputs());
        Self {
            bolt: Box::new(bolt),
            recorder,
            task: TestTask::new(),
            inputs: Vec::new(),
            prepared: false,
        }
    }

    /// Declares a stream that the bolt reads: `component` or `component/stream`, and its fields.
    #[must_use]
    pub fn input<F: AsRef<str>>(mut self, from: &str, fields: impl IntoIterator<Item = F>) -> Self {
        let input = InputSpec::from_text(from, squall_core::Grouping::default());
        let fields = fields.into_iter().map(Str::new).collect();
        self.inputs
            .push(Schema::new(input.component, input.stream, fields));
        self
    }

    /// Makes the bolt believe that its inputs are grouped by these fields.
    #[must_use]
    pub fn keyed_by<F: AsRef<str>>(mut self, fields: impl IntoIterator<Item = F>) -> Self {
        self.task.key_fields = fields.into_iter().map(Str::new).collect();
        self
    }

    /// Sets the seed that the bolt gets; 1 without it.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.task.seed = seed;
        self
    }

    /// Makes the bolt believe to be task `task_idx` of `n_tasks`.
    #[must_use]
    pub const fn task(mut self, task_idx: u32, n_tasks: u32) -> Self {
        (self.task.task_idx, self.task.n_tasks) = (task_idx, n_tasks);
        self
    }

    /// Tells the bolt of another component's tasks, for direct emits.
    #[must_use]
    pub fn tasks_of(mut self, component: &str, tasks: impl IntoIterator<Item = TaskId>) -> Self {
        let tasks = tasks.into_iter().collect();
        self.task.others.push((component.into(), tasks));
        self
    }

    /// Hands the bolt a tuple. Inputs are numbered from 0.
    #[track_caller]
    pub fn execute(&mut self, input: impl Borrow<Tuple>) -> Effects {
        let input = input.borrow();
        self.prepare(Some(input));
        self.recorder.begin_input();
        let result = self
            .bolt
            .execute(input, &mut Emitter::new(&mut self.recorder));
        self.recorder.end_input(result.as_ref().map(|&()| ()));
        self.effects(result.err())
    }

    /// Asks how often the bolt wants `tick` to be called, after `prepare`.
    #[track_caller]
    pub fn tick_every(&mut self) -> Option<Duration> {
        self.prepare(None);
        self.bolt.tick_every()
    }

    /// Calls `tick`.
    #[track_caller]
    pub fn tick(&mut self) -> Effects {
        self.call(|bolt, out| bolt.tick(out))
    }

    /// Calls `wake`, whether the bolt asked for it or not.
    #[track_caller]
    pub fn wake(&mut self) -> Effects {
        self.call(|bolt, out| bolt.wake(out))
    }

    /// Calls `flush`.
    #[track_caller]
    pub fn flush(&mut self) -> Effects {
        self.call(|bolt, out| bolt.flush(out))
    }

    /// Ends a tree of the bolt's own.
    #[track_caller]
    pub fn verdict(&mut self, id: MessageId, verdict: Verdict) -> Effects {
        self.call(|bolt, out| bolt.verdict(id, verdict, out))
    }

    /// Lets asynchronous work run as far as it can, and calls `wake` if it asks for that.
    #[track_caller]
    pub fn settle(&mut self) -> Effects {
        self.prepare(None);
        if self.task.settle() {
            return self.wake();
        }
        self.effects(None)
    }

    /// Moves the clock on, fires the timers of asynchronous work, and calls `wake` if it asks for that.
    #[track_caller]
    pub fn advance(&mut self, by: Duration) -> Effects {
        self.prepare(None);
        self.task.advance(by);
        self.settle()
    }

    /// Calls `close`, as after a drain.
    pub fn close(mut self) {
        self.bolt.close();
    }

    /// Returns the bolt's clock.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.task.clock
    }

    /// Returns the bolt's own metrics.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.task.metrics
    }

    #[track_caller]
    fn call(
        &mut self,
        call: impl FnOnce(&mut dyn Bolt, &mut Emitter<'_>) -> squall_core::Result<()>,
    ) -> Effects {
        self.prepare(None);
        let result = call(&mut *self.bolt, &mut Emitter::new(&mut self.recorder));
        self.effects(result.err())
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "a bolt that can't be prepared fails its test")]
    fn prepare(&mut self, input: Option<&Tuple>) {
        if std::mem::replace(&mut self.prepared, true) {
            return;
        }
        if let (true, Some(input)) = (self.inputs.is_empty(), input) {
            self.inputs.push(input.schema().clone());
        }
        let mut context = self.task.context(self.inputs.clone());
        if let Err(error) = self.bolt.prepare(&mut context) {
            panic!("prepare: {error}");
        }
    }

    fn effects(&mut self, error: Option<ComponentError>) -> Effects {
        let (emits, ended, held) = self.recorder.take();
        Effects {
            emits,
            ended,
            held,
            error,
        }
    }
}

impl Effects {
    /// Returns the tuples emitted, of all streams, in order.
    #[must_use]
    pub fn tuples(&self) -> Vec<Tuple> {
        self.emits.iter().map(|emit| emit.tuple.clone()).collect()
    }

    /// Returns the tuples emitted to one stream, in order.
    #[must_use]
    pub fn on(&self, stream: &str) -> Vec<Tuple> {
        let mut tuples = self.tuples();
        tuples.retain(|tuple| tuple.stream() == stream);
        tuples
    }

    /// Returns the numbers of the inputs that were acked.
    #[must_use]
    pub fn acked(&self) -> Vec<usize> {
        let acked = self
            .ended
            .iter()
            .filter(|end| end.verdict == Verdict::Acked);
        acked.map(|end| end.input).collect()
    }

    /// Returns the inputs that failed, and why.
    #[must_use]
    pub fn failed(&self) -> Vec<(usize, &Failure)> {
        let failed = self.ended.iter().filter_map(|end| match &end.verdict {
            Verdict::Failed(why) => Some((end.input, why)),
            Verdict::Acked => None,
        });
        failed.collect()
    }
}

#[cfg(test)]
mod tests;
