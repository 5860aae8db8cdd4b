//! Where a task sits: whoever takes the seat's lock may run a slice of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use squall_core::engine::RootId;
use squall_core::{ComponentId, Metrics, Moment, TaskId};
use squall_plan::Kind;

use crate::ack::{Contribution, Inbox, Word};
use crate::bell::Bell;
use crate::control::Control;
use crate::edge::Edge;
use crate::stats::{TaskSnapshot, TaskStats};
use crate::task::{Hand, Next, TaskCell};

/// No moment: the seat isn't due.
const NEVER: u64 = u64::MAX;

/// A task and what others see of it.
#[repr(align(128))]
pub(crate) struct Seat {
    pub(crate) id: TaskId,
    pub(crate) component: ComponentId,
    pub(crate) kind: Kind,
    pub(crate) bell: Arc<Bell>,
    pub(crate) stats: Arc<TaskStats>,
    pub(crate) metrics: Metrics,
    pub(crate) inputs: Vec<Arc<Edge>>,
    outlets: Vec<Arc<Edge>>,
    pub(crate) hand: Arc<Hand>,
    cell: Arc<TaskCell>,
    due: AtomicU64,
    /// How often the task has left its loop.
    n_moves: AtomicU32,
    ended: AtomicBool,
}

/// What a seat is made of.
pub(crate) struct SeatParts {
    pub(crate) id: TaskId,
    pub(crate) component: ComponentId,
    pub(crate) kind: Kind,
    pub(crate) bell: Arc<Bell>,
    pub(crate) stats: Arc<TaskStats>,
    pub(crate) metrics: Metrics,
    pub(crate) inputs: Vec<Arc<Edge>>,
    /// The edges to tasks elsewhere.
    pub(crate) outlets: Vec<Arc<Edge>>,
    pub(crate) hand: Arc<Hand>,
    /// Where the task stands.
    pub(crate) cell: Arc<TaskCell>,
}

impl Seat {
    pub(crate) fn new(parts: SeatParts) -> Self {
        let SeatParts {
            id,
            component,
            kind,
            bell,
            stats,
            metrics,
            inputs,
            outlets,
            hand,
            cell,
        } = parts;
        bell.ring();
        Self {
            id,
            component,
            kind,
            bell,
            stats,
            metrics,
            inputs,
            outlets,
            hand,
            cell,
            due: AtomicU64::new(NEVER),
            n_moves: AtomicU32::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// Tells whether there is something to do.
    pub(crate) fn is_ready(&self, now: Moment) -> bool {
        !self.has_ended()
            && !self.cell.is_lent()
            && (self.bell.is_rung() || self.due.load(Ordering::Relaxed) <= now.as_nanos())
    }

    /// Takes the task out of its loop, for a thread of its own.
    pub(crate) fn move_out(&self) {
        self.n_moves.fetch_add(1, Ordering::Relaxed);
        self.bell.move_out();
    }

    /// Returns how often the task has left its loop.
    pub(crate) fn n_moves(&self) -> u32 {
        self.n_moves.load(Ordering::Relaxed)
    }

    /// Tells whether the task has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Returns when the task wants to be run even if nothing happens.
    pub(crate) fn due(&self) -> Option<Moment> {
        match self.due.load(Ordering::Relaxed) {
            NEVER => None,
            // One that is lent is rung for when it comes back.
            _ if self.has_ended() || self.cell.is_lent() => None,
            nanos => Some(Moment::from_nanos(nanos)),
        }
    }

    /// Runs one slice, unless there is nothing to do or somebody else is at it; tells whether it did.
    pub(crate) fn run(&self, now: Moment, control: &Control) -> bool {
        if !self.is_ready(now) {
            return false;
        }
        let ran = self.cell.run(now, |task| {
            self.bell.hush();
            self.due.store(NEVER, Ordering::Relaxed);
            let ran = catch_unwind(AssertUnwindSafe(|| task.run(now)));
            if ran.is_err() {
                task.give_back();
            }
            ran
        });
        let next = match ran {
            None => return false,
            Some(Ok(next)) => next,
            Some(Err(_)) => {
                // A defect of the engine's own: author code is guarded further down.
                self.ended.store(true, Ordering::SeqCst);
                self.inputs.iter().for_each(|edge| edge.close());
                control.fail(
                    format!(
                        "internal error: task {} of `{}` panicked",
                        self.id, self.component
                    ),
                    now,
                );
                control.task_ended(self.kind == Kind::Spout);
                return true;
            }
        };
        match next {
            Next::Again => self.bell.ring(),
            Next::At(due) => self.due.store(due.as_nanos(), Ordering::Relaxed),
            Next::Wait => {}
            Next::Ended => self.ended.store(true, Ordering::SeqCst),
        }
        true
    }

    /// Tells whether somebody is in the middle of a slice.
    pub(crate) fn is_occupied(&self) -> bool {
        self.cell.is_occupied()
    }

    /// Returns how long the current slice has been going on; zero when there is none.
    pub(crate) fn busy_for(&self, now: Moment) -> Duration {
        self.cell.busy_for(now)
    }

    /// Tells the roots of what waits in front of a task that is stuck in author code, or behind it for a
    /// link, that it waits.
    pub(crate) fn touch_waiting(&self, inboxes: &[Inbox]) {
        let mut by_owner: Vec<Vec<Contribution>> = inboxes.iter().map(|_| Vec::new()).collect();
        let mut touch = |root: RootId| {
            let RootId {
                task,
                slot,
                generation,
            } = root;
            if let Some(batch) = by_owner.get_mut(task.idx()) {
                batch.push(Contribution {
                    slot,
                    generation,
                    word: Word::Waiting,
                });
            }
        };
        self.hand.for_each_waiting(&mut touch);
        for edge in self.inputs.iter().chain(&self.outlets) {
            edge.walk(|delivery| delivery.for_each_root(0, &mut touch));
        }
        for (inbox, batch) in inboxes.iter().zip(by_owner) {
            if !batch.is_empty() {
                // A full inbox is told again at the next round, long before the time-out.
                drop(inbox.try_send(batch));
            }
        }
    }

    /// Reads the task's counters at `now`.
    pub(crate) fn snapshot(&self, now: Moment) -> TaskSnapshot {
        let (stats, loads) = (&self.stats, self.inputs.iter().map(|edge| edge.load()));
        let (queued_batches, queued_bytes) =
            loads.fold((0, 0), |sum, load| (sum.0 + load.0, sum.1 + load.1));
        TaskSnapshot {
            task: self.id,
            component: self.component.clone(),
            kind: self.kind,
            streams: stats.streams(),
            executed: stats.executed.get(),
            acked: stats.acked.get(),
            failed: stats.failures(),
            pending: stats.pending.get(),
            pending_bytes: stats.pending_bytes.get(),
            held: stats.held.get(),
            deferred: stats.deferred.get(),
            unacked: stats.unacked.get(),
            busy_us: micros(self.busy_for(now)),
            queued_batches: queued_batches as u64,
            queued_bytes: queued_bytes as u64,
            queue_us: stats.queue.read(),
            execute_us: stats.execute.read(),
            complete_us: stats.complete.read(),
            restarts: stats.restarts.get(),
            failed_starts: stats.failed_starts.get(),
            down: stats.is_down(),
            crash_looping: stats.is_crash_looping(),
            last_error: stats.last_error(),
            cycle_drops: stats.cycle_drops.get(),
            metrics: self.metrics.read(),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
