//! One spout, run by hand.

use std::time::Duration;

use squall_core::{
    Activity, Failure, FailureReason, ManualClock, MessageId, Metrics, Result, Spout, SpoutEmitter,
    Tuple,
};

use crate::testing::recorder::Recorder;
use crate::testing::task::TestTask;
use crate::testing::{Emitted, Tie};

/// The most calls that [`SpoutHarness::run`] makes.
const MAX_CALLS: usize = 100_000;

/// Runs one spout on the test's own thread, with a clock that is wound by hand.
///
/// ```
/// use squall::prelude::*;
/// use squall::testing::{SpoutHarness, tuple};
///
/// struct Once(bool);
///
/// impl Spout for Once {
///     fn outputs(&self) -> Outputs {
///         Outputs::fields(["n"])
///     }
///     fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
///         if std::mem::replace(&mut self.0, true) {
///             return Ok(Activity::Finished);
///         }
///         out.tracked(MessageId(1)).emit([42])?;
///         Ok(Activity::Emitted)
///     }
/// }
///
/// let mut spout = SpoutHarness::new(Once(false));
/// let turn = spout.run();
/// assert_eq!(turn.tuples(), [tuple! { n: 42 }]);
/// spout.ack(turn.ids()[0]);
/// ```
pub struct SpoutHarness {
    spout: Box<dyn Spout>,
    recorder: Recorder,
    task: TestTask,
    opened: bool,
}

/// What one or more calls of `next_tuple` brought about.
#[derive(Debug)]
pub struct Turn {
    /// What the spout emitted, in order.
    pub emits: Vec<Emitted>,
    /// What the last call returned.
    pub activity: Result<Activity>,
}

impl SpoutHarness {
    /// Takes a spout that was not opened yet; it is opened by the first call.
    pub fn new(spout: impl Spout + 'static) -> Self {
        let recorder = Recorder::new(&spout.outputs());
        Self {
            spout: Box::new(spout),
            recorder,
            task: TestTask::new(),
            opened: false,
        }
    }

    /// Sets the seed that the spout gets; 1 without it.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.task.seed = seed;
        self
    }

    /// Makes the spout believe to be task `task_idx` of `n_tasks`.
    #[must_use]
    pub const fn task(mut self, task_idx: u32, n_tasks: u32) -> Self {
        (self.task.task_idx, self.task.n_tasks) = (task_idx, n_tasks);
        self
    }

    /// Asks for tuples once.
    #[track_caller]
    pub fn next_tuple(&mut self) -> Turn {
        self.open();
        let activity = self
            .spout
            .next_tuple(&mut SpoutEmitter::new(&mut self.recorder));
        let (emits, _, _) = self.recorder.take();
        Turn { emits, activity }
    }

    /// Asks for tuples until the spout has none left, lets asynchronous work run in between.
    ///
    /// # Panics
    /// When the spout has not paused after 100,000 calls.
    #[track_caller]
    #[expect(clippy::panic, reason = "a spout that never pauses fails its test")]
    pub fn run(&mut self) -> Turn {
        let mut emits = Vec::new();
        for _ in 0..MAX_CALLS {
            let turn = self.next_tuple();
            emits.extend(turn.emits);
            match turn.activity {
                Ok(Activity::Emitted) => {}
                Ok(Activity::Idle | Activity::IdleFor(_)) if self.task.settle() => {}
                activity => return Turn { emits, activity },
            }
        }
        panic!("the spout did not pause within {MAX_CALLS} calls");
    }

    /// Acks a message.
    pub fn ack(&mut self, id: MessageId) {
        self.spout.ack(id);
    }

    /// Fails a message as a bolt does that returns an error saying `text`.
    pub fn fail(&mut self, id: MessageId, text: &str) {
        self.fail_with(id, &Failure::new(FailureReason::Rejected, None, text));
    }

    /// Fails a message for any reason.
    pub fn fail_with(&mut self, id: MessageId, why: &Failure) {
        self.spout.fail(id, why);
    }

    /// Tells the spout that a window holds a message.
    pub fn held(&mut self, id: MessageId) {
        self.spout.held(id);
    }

    /// Calls `deactivate`.
    pub fn deactivate(&mut self) {
        self.spout.deactivate();
    }

    /// Calls `activate`.
    pub fn activate(&mut self) {
        self.spout.activate();
    }

    /// Moves the clock on and fires the timers of asynchronous work.
    pub fn advance(&mut self, by: Duration) {
        self.task.advance(by);
    }

    /// Calls `close`, as after a drain.
    pub fn close(mut self) {
        self.spout.close();
    }

    /// Returns the spout's clock.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.task.clock
    }

    /// Returns the spout's own metrics.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.task.metrics
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "a spout that can't be opened fails its test")]
    fn open(&mut self) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        if let Err(error) = self.spout.open(&mut self.task.context(Vec::new())) {
            panic!("open: {error}");
        }
    }
}

impl Turn {
    /// Returns the tuples emitted, of all streams, in order.
    #[must_use]
    pub fn tuples(&self) -> Vec<Tuple> {
        self.emits.iter().map(|emit| emit.tuple.clone()).collect()
    }

    /// Returns the ids of the tracked ones, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<MessageId> {
        let ids = self.emits.iter().filter_map(|emit| match emit.tie {
            Tie::Root(id) => Some(id),
            Tie::Inputs(_) | Tie::Nothing => None,
        });
        ids.collect()
    }
}
