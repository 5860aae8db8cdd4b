//! The spout: the synchronous side, which emits, retries and hears the verdicts.
//!
//! Its shards come from the coordinator, their pages from the shards' readers; it never waits for any of
//! them. A record is kept in [`Pending`] from its first emit until it is done.

mod dying;
mod feeds;
mod row;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::task::Waker;
use std::time::Duration;

use squall_core::replay::{Decision, Pending};
use squall_core::{
    Activity, ComponentError, EmitError, Failure, MessageId, Moment, Outputs, Result, Spout,
    SpoutEmitter, Str, TaskContext,
};
use tokio::sync::{mpsc, oneshot};

use crate::api::KinesisApi;
use crate::aws::Aws;
use crate::checkpoint::Keys;
use crate::config::{ConfigError, KinesisConfig, Limits, Resolved};
use crate::coordinator::{Coordinator, Deps, Settings, Signals};
use crate::shard::SaveLimits;
use crate::spout::dying::Dying;
use crate::spout::feeds::{Feeds, Next};
use crate::spout::row::{Body, DEAD_LETTERS, FIELDS};
use crate::state::StateStore;

/// The most shards that wait for the spout to take them; more are offered again a second later.
const MAX_NEW_SHARDS: usize = 256;
/// The most records of one `next_tuple`.
const MAX_EMITS: usize = 16;
/// How long `close` waits for the last checkpoints.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads a Kinesis stream; see [`KinesisConfig`] and the crate's page.
pub struct KinesisSpout {
    config: KinesisConfig,
    initial: Resolved,
    /// Stands in for AWS, in tests.
    api: Option<Arc<dyn KinesisApi>>,
    running: Option<Running>,
}

/// A spout that was opened.
struct Running {
    ctx: TaskContext,
    stream: Str,
    save_limits: SaveLimits,
    pending: Pending<Body>,
    dying: Dying,
    feeds: Feeds,
    signals: Arc<Signals>,
    stop: oneshot::Sender<std::sync::mpsc::SyncSender<()>>,
}

/// Wakes the spout when the coordinator is gone, for whatever reason.
struct WakeAtEnd(Waker);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}

impl KinesisSpout {
    /// Makes a spout over the AWS SDK. Does no I/O.
    ///
    /// # Errors
    /// [`ConfigError`] with all mistakes of the config.
    pub fn new(config: KinesisConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let initial = Resolved::of(&config.initial_position).map_err(|mistake| ConfigError {
            mistakes: vec![mistake],
        })?;
        Ok(Self {
            config,
            initial,
            api: None,
            running: None,
        })
    }

    /// Makes a spout over another implementation of the service.
    ///
    /// # Errors
    /// [`ConfigError`] with all mistakes of the config.
    pub fn with_api(config: KinesisConfig, api: Arc<dyn KinesisApi>) -> Result<Self, ConfigError> {
        let mut spout = Self::new(config)?;
        spout.api = Some(api);
        Ok(spout)
    }

    fn settings(&self) -> Settings {
        let config = &self.config;
        Settings {
            limits: Limits::of(config),
            save_limits: SaveLimits {
                max_records: u64::from(config.max_uncheckpointed.get()),
                max_time: config.max_uncheckpointed_for.0,
            },
            initial: self.initial.clone(),
            discovery_interval: config.discovery_interval.0,
            checkpoint_interval: config.checkpoint_interval.0,
            prefetch_kib: config.prefetch_bytes.as_usize() >> 10,
        }
    }
}

impl Spout for KinesisSpout {
    fn outputs(&self) -> Outputs {
        let dead_letters = FIELDS.into_iter().chain(["error"]);
        Outputs::fields(FIELDS).stream(DEAD_LETTERS, dead_letters)
    }

    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let config = &self.config;
        let (connection, stream) = config.connection();
        let application = config.application_of(ctx.topology(), ctx.component().as_str());
        let (to_spout, new_shards) = mpsc::channel(MAX_NEW_SHARDS);
        let signals = Arc::new(Signals::default());
        let settings = self.settings();
        let save_limits = settings.save_limits;
        let state = StateStore {
            store: Arc::clone(ctx.checkpoints()),
            keys: Keys::new(&application, stream.name()),
        };
        let (stop, stopped) = oneshot::channel();
        self.running = Some(Running {
            ctx: ctx.clone(),
            stream: Str::new(stream.name()),
            save_limits,
            pending: Pending::new(&config.replay, ctx.seed()),
            dying: Dying::new(config.replay.backoff_cap.0),
            feeds: Feeds::new(new_shards),
            signals: Arc::clone(&signals),
            stop,
        });
        let api = self.api.clone();
        let ctx = ctx.clone();
        let at_end = WakeAtEnd(ctx.waker());
        ctx.clone().spawn("kinesis coordinator", async move {
            let _at_end = at_end;
            let api = match api {
                Some(api) => api,
                None => Arc::new(Aws::connect(&connection, stream).await),
            };
            let deps = Deps {
                ctx,
                api,
                state,
                to_spout,
                signals,
                settings,
            };
            Coordinator::new(deps).run(stopped).await;
        });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        match &mut self.running {
            Some(running) => running.next_tuple(out),
            None => Ok(Activity::Idle),
        }
    }

    fn ack(&mut self, id: MessageId) {
        if let Some(running) = &mut self.running {
            running.ack(id);
        }
    }

    fn fail(&mut self, id: MessageId, why: &Failure) {
        if let Some(running) = &mut self.running {
            running.fail(id, why);
        }
    }

    fn held(&mut self, id: MessageId) {
        if let Some(running) = &mut self.running {
            running.pending.held(id);
        }
    }

    fn deactivate(&mut self) {
        if let Some(running) = &self.running {
            running.signals.changed.notify_one();
        }
    }

    /// Saves the last checkpoints, for five seconds at most.
    fn close(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let (answer, answered) = sync_channel(1);
        let asked = running.stop.send(answer).is_ok();
        if asked && answered.recv_timeout(CLOSE_TIMEOUT).is_err() {
            tracing::warn!("the last checkpoints could not be saved: some records will come again");
        }
    }
}

impl Running {
    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        if self.stop.is_closed() {
            // It ends when it is told to, or by a panic; nothing is read or saved any more.
            Err("the coordinator of the shards has died: restart the topology")?;
        }
        let now = self.ctx.clock().now();
        self.feeds.take_new();
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
        let error = ComponentError::from(error).permanent();
        let why = Failure::rejected(self.ctx.component().clone(), &error);
        self.fail(id, &why);
        Err(error)
    }

    fn ack(&mut self, id: MessageId) {
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

    fn fail(&mut self, id: MessageId, why: &Failure) {
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
