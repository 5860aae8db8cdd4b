//! A spout that was opened: emits, retries, hears the verdicts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use squall_core::replay::{Decision, Pending};
use squall_core::{
    Activity, ComponentError, EmitError, Failure, MessageId, Moment, Result, SpoutEmitter,
    StoreError, Str, TaskContext,
};
use tokio::sync::oneshot;

use crate::coordinator::Signals;
use crate::problem::Reporter;
use crate::shard::SaveLimits;
use crate::spout::dying::Dying;
use crate::spout::feeds::{Feeds, Next};
use crate::spout::row::{Body, DEAD_LETTERS};

/// The most records of one `next_tuple`.
const MAX_EMITS: usize = 16;

/// A spout that was opened.
pub(super) struct Running {
    pub(super) ctx: TaskContext,
    pub(super) stream: Str,
    pub(super) save_limits: SaveLimits,
    pub(super) pending: Pending<Body>,
    pub(super) dying: Dying,
    pub(super) feeds: Feeds,
    pub(super) signals: Arc<Signals>,
    pub(super) reporter: Arc<Reporter>,
    pub(super) stop: oneshot::Sender<SyncSender<Result<(), StoreError>>>,
}

impl Running {
    pub(super) fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        if let Some(fatal) = self.reporter.fatal() {
            return Err(ComponentError::from(fatal).permanent());
        }
        if self.stop.is_closed() {
            // It ends when it is told to, or by a panic; nothing is read or saved any more. Another instance
            // begins at the checkpoints.
            let error = ComponentError::from("the coordinator of the shards has died");
            return Err(error.restart_task());
        }
        let now = self.ctx.clock().now();
        if self.feeds.take_new() {
            // There is room for more.
            self.signals.changed.notify_one();
        }
        let mut n_emits = self.emit_dead_letters(out, now)?;
        while n_emits < MAX_EMITS && self.emit_retry(out, now)? {
            n_emits += 1;
        }
        while n_emits < MAX_EMITS && self.pending.has_room() {
            match self.feeds.next(now, self.save_limits) {
                Next::Record(body) => self.emit_new(body, out)?,
                Next::Stale => {
                    // Save now rather than at the interval.
                    self.signals.changed.notify_one();
                    break;
                }
                Next::Nothing => break,
            }
            n_emits += 1;
        }
        if self.feeds.take_ended() {
            self.signals.changed.notify_one();
        }
        if n_emits > 0 {
            return Ok(Activity::Emitted);
        }
        Ok(self.idle(now))
    }

    fn idle(&self, now: Moment) -> Activity {
        let due = [self.pending.next_due_at(), self.dying.next_due_at()];
        match due.into_iter().flatten().min() {
            Some(at) => Activity::IdleFor(at.since(now)),
            None if self.is_finished() => Activity::Finished,
            None => Activity::Idle,
        }
    }

    fn is_finished(&self) -> bool {
        self.signals.finished.load(Ordering::Acquire)
            && self.pending.is_empty()
            && self.feeds.is_empty()
    }

    fn emit_new(&mut self, body: Body, out: &mut SpoutEmitter<'_>) -> Result<()> {
        let row = body.row(&self.stream, 1);
        let feed = body.feed;
        let bytes = body.bytes();
        let id = self.pending.insert(body, bytes);
        self.feeds.count(feed, |metrics| &metrics.emitted);
        let sent = out.tracked(id).emit(row);
        self.sent(id, sent)
    }

    /// Emits one record whose back-off is over. False when there is none.
    fn emit_retry(&mut self, out: &mut SpoutEmitter<'_>, now: Moment) -> Result<bool> {
        let Some(retry) = self.pending.next_due(now) else {
            return Ok(false);
        };
        let (id, feed) = (retry.id, retry.body.feed);
        let row = retry.body.row(&self.stream, retry.attempt);
        if !self.feeds.owns(feed) {
            // Somebody else reads the shard now, and this record with it.
            self.pending.ack(id);
            return Ok(true);
        }
        self.feeds.count(feed, |metrics| &metrics.retried);
        let sent = out.tracked(id).emit(row);
        self.sent(id, sent)?;
        Ok(true)
    }

    fn emit_dead_letters(&mut self, out: &mut SpoutEmitter<'_>, now: Moment) -> Result<usize> {
        let mut n_emits = 0;
        while n_emits < MAX_EMITS
            && let Some((id, letter)) = self.dying.next_due(now)
        {
            let Some(body) = self.pending.get(id) else {
                self.dying.remove(id);
                continue;
            };
            if !self.feeds.owns(body.feed) {
                self.dying.remove(id);
                self.pending.dead_lettered(id);
                continue;
            }
            let mut row = body.row(&self.stream, letter.attempts).to_vec();
            row.push(letter.error.clone().into());
            let sent = out.tracked(id).stream(DEAD_LETTERS).emit(row);
            self.sent(id, sent)?;
            n_emits += 1;
        }
        Ok(n_emits)
    }

    /// An emit that can't be is a record that no retry mends: it must not be forgotten for that.
    fn sent(&mut self, id: MessageId, sent: Result<(), EmitError>) -> Result<()> {
        let Err(error) = sent else {
            return Ok(());
        };
        let text = error.to_string();
        let permanent = ComponentError::from(error).permanent();
        let why = Failure::rejected(self.ctx.component().clone(), &permanent);
        self.fail(id, &why);
        // Of this record, not of the spout.
        Err(ComponentError::from(text))
    }

    pub(super) fn ack(&mut self, id: MessageId) {
        let dead = self.dying.remove(id);
        let done = if dead {
            self.pending.dead_lettered(id)
        } else {
            self.pending.ack(id)
        };
        if let Some(body) = done {
            self.feeds.count(
                body.feed,
                |metrics| {
                    if dead { &metrics.dead } else { &metrics.acked }
                },
            );
            self.done(&body);
        }
    }

    pub(super) fn fail(&mut self, id: MessageId, why: &Failure) {
        let now = self.ctx.clock().now();
        if self.dying.failed(id, now) {
            return;
        }
        if let Some(body) = self.pending.get(id) {
            self.feeds.count(body.feed, |metrics| &metrics.failed);
        }
        match self.pending.fail(id, why, now) {
            Decision::DeadLetter { attempts, .. } => {
                self.dying.add(id, attempts, why.to_string().into(), now);
            }
            Decision::Dropped(body) => {
                self.feeds.count(body.feed, |metrics| &metrics.dead);
                self.done(&body);
            }
            Decision::Retry { .. } | Decision::Unknown => {}
        }
    }

    fn done(&mut self, body: &Body) {
        if self.feeds.done(body.feed, body.ordinal) {
            self.signals.changed.notify_one();
        }
    }
}
