//! The spout: the synchronous side, which emits, retries and hears the verdicts.
//!
//! Its shards come from the coordinator, their pages from the shards' readers; it never waits for any of
//! them. A record is kept in [`Pending`] from its first emit until it is done.

mod dying;
mod feeds;
mod row;
mod running;

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::task::Waker;

use squall_core::replay::Pending;
use squall_core::{
    Activity, Failure, MessageId, Outputs, Result, Spout, SpoutEmitter, Str, TaskContext,
};
use tokio::sync::{mpsc, oneshot};

use crate::api::{Call, KinesisApi};
use crate::aws::{Aws, Connection, StreamRef};
use crate::checkpoint::Keys;
use crate::config::{ConfigError, KinesisConfig, Limits, Resolved};
use crate::coordinator::{Coordinator, Deps, Settings, Signals};
use crate::problem::{Place, Reporter, SharedQuota};
use crate::shard::SaveLimits;
use crate::spout::dying::Dying;
use crate::spout::feeds::Feeds;
use crate::spout::row::{DEAD_LETTERS, FIELDS};
use crate::spout::running::Running;
use crate::state::StateStore;

/// The most shards that wait for the spout to take them; more are offered again a second later.
const MAX_NEW_SHARDS: usize = 256;

/// Reads a Kinesis stream; see [`KinesisConfig`] and the crate's page.
pub struct KinesisSpout {
    config: KinesisConfig,
    initial: Resolved,
    /// Stands in for AWS, in tests.
    api: Option<Arc<dyn KinesisApi>>,
    /// Shared with the spouts beside this one.
    quota: SharedQuota,
    running: Option<Running>,
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
            quota: SharedQuota::default(),
            running: None,
        })
    }

    /// Tells of problems by a quota that others go by too.
    pub(crate) fn telling_by(mut self, quota: SharedQuota) -> Self {
        self.quota = quota;
        self
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
            fence: ctx.fence(),
        };
        let (stop, mut stopped) = oneshot::channel();
        let place = Place {
            stream: stream.name().to_owned(),
            region: config.region.clone(),
            endpoint_url: config.endpoint_url.clone(),
        };
        let clock = Arc::clone(ctx.clock());
        let reporter = Reporter::new(Arc::clone(&self.quota), clock, ctx.waker(), place);
        let reporter = Arc::new(reporter);
        self.running = Some(Running {
            ctx: ctx.clone(),
            stream: Str::new(stream.name()),
            save_limits,
            pending: Pending::new(&config.replay, ctx.seed()),
            dying: Dying::new(config.replay.backoff_cap.0),
            feeds: Feeds::new(new_shards),
            signals: Arc::clone(&signals),
            reporter: Arc::clone(&reporter),
            stop,
        });
        let api = self.api.clone();
        let ctx = ctx.clone();
        let at_end = WakeAtEnd(ctx.waker());
        ctx.clone().spawn("kinesis coordinator", async move {
            let _at_end = at_end;
            let api = match api {
                Some(api) => Some(api),
                None => tokio::select! {
                    biased;
                    // Nothing is read yet, so nothing is to be saved.
                    _ = &mut stopped => None,
                    api = connect(&connection, stream, &reporter) => api,
                },
            };
            let Some(api) = api else {
                return;
            };
            let deps = Deps {
                ctx,
                api,
                state,
                reporter,
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

    /// Saves the last checkpoints, for `close_timeout` at most.
    fn close(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let (answer, answered) = sync_channel(1);
        if running.stop.send(answer).is_err() {
            // The coordinator has gone before, and told why.
            return;
        }
        let patience = self.config.close_timeout;
        let why = match answered.recv_timeout(patience.0) {
            // One that goes without an answer had nothing to save.
            Ok(Ok(())) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Err(error)) => error.to_string(),
            Err(RecvTimeoutError::Timeout) => {
                format!("the checkpoint store has not answered within close_timeout ({patience})")
            }
        };
        let n_records = running.feeds.n_uncheckpointed();
        tracing::warn!(
            target: "squall_kinesis", stream = %running.stream, n_records, error = %why,
            "the last checkpoints are not saved: records that are done will come again"
        );
    }
}

/// Finds the way to the stream; `None` when there is none, which was reported.
async fn connect(
    connection: &Connection,
    stream: StreamRef,
    reporter: &Reporter,
) -> Option<Arc<dyn KinesisApi>> {
    let found = Aws::connect(connection, stream);
    let waits_for = "EC2's instance metadata to name a region: set `region` in the spout's config, or \
                     AWS_REGION";
    match reporter.watch(waits_for, found).await {
        Ok(aws) => {
            reporter.found_region(aws.region());
            let waits_for = "AWS credentials: if EC2's instance metadata is not to be asked for them, set \
                             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE";
            reporter.watch(waits_for, aws.look_for_credentials()).await;
            Some(Arc::new(aws))
        }
        Err(error) => {
            reporter.failed(Call::ListShards, &error);
            None
        }
    }
}
