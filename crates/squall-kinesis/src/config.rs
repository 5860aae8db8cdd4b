//! The spout's config: what stands under `config:` in a topology file.

mod initial;
mod limits;

use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::replay::ReplayConfig;
use squall_core::{ByteSize, HumanDuration};
use thiserror::Error;

use crate::aws::{Connection, StreamRef};

pub use initial::InitialPosition;
pub(crate) use initial::Resolved;
pub(crate) use limits::Limits;

/// Reads a Kinesis stream, at least once: a record is done when its tuple tree is acked, and a run that
/// starts again resumes behind the last record below which all are done. The records of a shard are
/// emitted in order; the children of a split or merged shard follow when it is finished.
///
/// Emits `partition_key`, `data` (bytes), `sequence`, `subsequence`, `shard_id`,
/// `approximate_arrival_ms`, `stream` and `attempt` (1, 2, ...); records whose attempts are used up go
/// to the stream `dead-letters`, with `error` besides, when `replay.on_exhausted` says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KinesisConfig {
    /// The stream's name, or its ARN.
    pub stream: String,
    /// Whose checkpoints these are: applications of different names read a stream independently.
    /// Default: the topology's and the component's name, `topology/component`.
    #[serde(default)]
    pub application: Option<String>,
    /// The region. Default: what the standard AWS chain says.
    #[serde(default)]
    pub region: Option<String>,
    /// The endpoint's URL, for emulators and private endpoints. Default: the region's. An
    /// `http://` endpoint on this machine needs no credentials.
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// Where an application begins that has never read the stream: `trim-horizon`, `latest`,
    /// `{ at-timestamp: "2026-01-31T00:00:00Z" }`, `{ at-sequence: { SHARD: NUMBER } }` or
    /// `{ after-sequence: { SHARD: NUMBER } }`. Default trim-horizon.
    #[serde(default)]
    pub initial_position: InitialPosition,
    /// What to do when the stream doesn't accept a stored position, because it was made anew under
    /// its old name or the records were trimmed: `fail` stops the shard, `trim-horizon` and `latest`
    /// go on there, and what lies between is lost. Default fail.
    #[serde(default)]
    pub on_invalid_position: OnInvalidPosition,
    /// How long to wait between two reads of a shard that has more to give; at least 200ms. Default
    /// 250ms.
    #[serde(default = "millis::<250>")]
    pub poll_interval: HumanDuration,
    /// How long to wait between two reads of a shard whose end was reached; at least 200ms. Default
    /// 1s.
    #[serde(default = "millis::<1000>")]
    pub tip_interval: HumanDuration,
    /// How many reads a second and shard this application takes of the five that all of a stream's
    /// readers share. Default 5.
    #[serde(default = "count::<5>")]
    pub reads_per_sec: NonZeroU32,
    /// The most records in one read, up to 10000. Default 10000.
    #[serde(default = "count::<10000>")]
    pub page_records: NonZeroU32,
    /// How many bytes of records that aren't emitted yet a task keeps over all its shards, at least
    /// 10MiB. A shard keeps one page being emitted and one more. Default 256MiB.
    #[serde(default = "mib::<256>")]
    pub prefetch_bytes: ByteSize,
    /// How often the stream's shards are listed; they are listed at the end of a shard as well.
    /// Default 30s.
    #[serde(default = "millis::<30000>")]
    pub discovery_interval: HumanDuration,
    /// How often checkpoints that have changed are saved. Default 1s.
    #[serde(default = "millis::<1000>")]
    pub checkpoint_interval: HumanDuration,
    /// How many records of a shard may be done without their checkpoint being saved; at the bound the
    /// shard emits no more. Default 100000.
    #[serde(default = "count::<100000>")]
    pub max_uncheckpointed: NonZeroU32,
    /// For how long the checkpoints of a shard may fail to be saved before it emits no more. Default
    /// 60s.
    #[serde(default = "millis::<60000>")]
    pub max_uncheckpointed_for: HumanDuration,
    /// How long the end of the spout waits for the last checkpoints to be saved; a task that isn't done
    /// by then leaves it, and what it could not save comes again. At most 60s. Default 5s.
    #[serde(default = "millis::<5000>")]
    pub close_timeout: HumanDuration,
    /// What is kept in flight and how it is retried.
    #[serde(default)]
    pub replay: ReplayConfig,
}

/// What to do with a position that the stream doesn't accept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInvalidPosition {
    /// The shard stops until somebody has looked at it.
    #[default]
    Fail,
    /// Go on at the oldest record.
    TrimHorizon,
    /// Go on behind the newest record.
    Latest,
}

/// All mistakes of a config.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .mistakes.join("; "))]
pub struct ConfigError {
    /// One sentence a mistake, beginning with the key.
    pub mistakes: Vec<String>,
}

impl KinesisConfig {
    /// Makes a config that reads `stream` with the defaults.
    #[must_use]
    pub fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            application: None,
            region: None,
            endpoint_url: None,
            initial_position: InitialPosition::default(),
            on_invalid_position: OnInvalidPosition::default(),
            poll_interval: millis::<250>(),
            tip_interval: millis::<1000>(),
            reads_per_sec: count::<5>(),
            page_records: count::<10_000>(),
            prefetch_bytes: mib::<256>(),
            discovery_interval: millis::<30_000>(),
            checkpoint_interval: millis::<1000>(),
            max_uncheckpointed: count::<100_000>(),
            max_uncheckpointed_for: millis::<60_000>(),
            close_timeout: millis::<5000>(),
            replay: ReplayConfig::default(),
        }
    }

    /// Returns the application's name for a component of a topology.
    #[must_use]
    pub fn application_of(&self, topology: &str, component: &str) -> String {
        let named = self.application.clone();
        named.unwrap_or_else(|| format!("{topology}/{component}"))
    }

    /// Checks the config as a whole.
    ///
    /// # Errors
    /// [`ConfigError`] with all mistakes at once.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut mistakes = Vec::new();
        let mut check = |right: bool, mistake: &str| {
            if !right {
                mistakes.push(mistake.to_owned());
            }
        };
        check(!self.stream.is_empty(), "stream: it is empty");
        let named = self.application.as_ref();
        check(
            named.is_none_or(|name| !name.is_empty() && name.len() <= 256),
            "application: it has to be 1 to 256 bytes long",
        );
        check(
            self.region.as_deref() != Some(""),
            "region: it is empty; leave it out, and the standard AWS chain is asked",
        );
        check(
            self.endpoint_url.as_deref().is_none_or(is_http),
            "endpoint_url: it has to begin with https:// or http:// and name a host, as http://127.0.0.1:4567",
        );
        let shortest = HumanDuration(Limits::MIN_INTERVAL);
        check(
            self.poll_interval >= shortest,
            "poll_interval: it is below 200ms, the most that a shard allows",
        );
        check(
            self.tip_interval >= shortest,
            "tip_interval: it is below 200ms, the most that a shard allows",
        );
        check(
            self.reads_per_sec.get() <= 5,
            "reads_per_sec: a shard allows five reads a second",
        );
        check(
            self.page_records.get() <= 10_000,
            "page_records: a read gives at most 10000",
        );
        check(
            self.prefetch_bytes >= ByteSize::mib(10),
            "prefetch_bytes: one page may have 10MiB",
        );
        for (key, interval) in [
            ("discovery_interval", self.discovery_interval),
            ("checkpoint_interval", self.checkpoint_interval),
        ] {
            let mistake = format!("{key}: it is below 100ms");
            check(interval.0 >= Duration::from_millis(100), &mistake);
        }
        check(
            self.close_timeout <= HumanDuration(Limits::MAX_CLOSE),
            "close_timeout: it is above 60s; other tasks wait for the end of this one",
        );
        if let Err(error) = Resolved::of(&self.initial_position) {
            mistakes.push(error);
        }
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(ConfigError { mistakes })
        }
    }

    /// Returns how the stream is reached.
    pub(crate) fn connection(&self) -> (Connection, StreamRef) {
        let connection = Connection {
            endpoint_url: self.endpoint_url.clone(),
            region: self.region.clone(),
        };
        (connection, StreamRef::parse(&self.stream))
    }
}

fn is_http(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '['))
}

const fn millis<const N: u64>() -> HumanDuration {
    HumanDuration::from_millis(N)
}

const fn mib<const N: u64>() -> ByteSize {
    ByteSize::mib(N)
}

const fn count<const N: u32>() -> NonZeroU32 {
    match NonZeroU32::new(N) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_stream_is_all_that_has_to_be_said() {
        let config: KinesisConfig = serde_json::from_value(json!({ "stream": "clicks" })).unwrap();
        assert_eq!(config, KinesisConfig::new("clicks"));
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.application_of("top", "in"), "top/in");
        assert!(serde_json::from_value::<KinesisConfig>(json!({})).is_err());
        let schema = schemars::schema_for!(KinesisConfig).to_value();
        assert_eq!(schema["required"], json!(["stream"]));
    }

    #[test]
    fn reads_every_form_of_the_initial_position() {
        for position in [
            json!("trim-horizon"),
            json!("latest"),
            json!({ "at-timestamp": "2026-01-31T00:00:00Z" }),
            json!({ "at-sequence": { "shardId-000000000000": "495903" } }),
            json!({ "after-sequence": { "shardId-000000000000": "495903" } }),
        ] {
            let config = json!({ "stream": "clicks", "initial_position": position });
            let config: KinesisConfig = serde_json::from_value(config).unwrap();
            assert_eq!(config.validate(), Ok(()), "{position}");
        }
    }

    #[test]
    fn tells_all_mistakes_at_once() {
        let config = KinesisConfig {
            poll_interval: HumanDuration::from_millis(199),
            reads_per_sec: count::<6>(),
            prefetch_bytes: ByteSize::mib(9),
            initial_position: InitialPosition::AtTimestamp("yesterday".to_owned()),
            region: Some(String::new()),
            endpoint_url: Some("127.0.0.1:4567".to_owned()),
            ..KinesisConfig::new("")
        };
        let mistakes = config.validate().unwrap_err().mistakes;
        let keys: Vec<_> = mistakes
            .iter()
            .filter_map(|m| m.split(':').next())
            .collect();
        assert_eq!(
            keys,
            [
                "stream",
                "region",
                "endpoint_url",
                "poll_interval",
                "reads_per_sec",
                "prefetch_bytes",
                "initial_position"
            ]
        );
    }
}
