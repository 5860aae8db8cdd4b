//! Where an application begins that has never read the stream.

use std::collections::BTreeMap;

use aws_sdk_kinesis::primitives::{DateTime, DateTimeFormat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::ShardId;
use crate::checkpoint::Checkpoint;
use crate::position::Position;
use crate::sequence::Sequence;

/// Where an application begins that has never read the stream. It is stored before the first read, and
/// has no effect afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InitialPosition {
    /// At the oldest record of each shard.
    #[default]
    TrimHorizon,
    /// At what arrives from the first start on, whatever happens before it is read.
    Latest,
    /// At what arrived at this time or later, as `2026-01-31T12:00:00Z`.
    AtTimestamp(String),
    /// At these records, by shard; other shards at their oldest.
    AtSequence(BTreeMap<String, String>),
    /// Behind these records, by shard; other shards at their oldest.
    AfterSequence(BTreeMap<String, String>),
}

/// An [`InitialPosition`] that was read and found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    TrimHorizon,
    Latest,
    AtTimestamp(u64),
    ByShard(BTreeMap<ShardId, Checkpoint>),
}

impl Resolved {
    /// Reads times and numbers; the error is one sentence.
    pub(crate) fn of(position: &InitialPosition) -> Result<Self, String> {
        match position {
            InitialPosition::TrimHorizon => Ok(Self::TrimHorizon),
            InitialPosition::Latest => Ok(Self::Latest),
            InitialPosition::AtTimestamp(text) => {
                let time = DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok();
                let millis = time.and_then(|time| time.to_millis().ok());
                let millis = millis.and_then(|millis| u64::try_from(millis).ok());
                millis.map(Self::AtTimestamp).ok_or_else(|| {
                    format!("initial_position: `{text}` is no time as 2026-01-31T12:00:00Z")
                })
            }
            InitialPosition::AtSequence(by_shard) => read(by_shard, Checkpoint::AtSequence),
            InitialPosition::AfterSequence(by_shard) => read(by_shard, |sequence| {
                Checkpoint::After(Position::plain(sequence))
            }),
        }
    }

    /// Returns where a shard of the first listing begins; `now_ms` was read before that listing.
    pub(crate) fn checkpoint_of(&self, shard: &ShardId, now_ms: u64) -> Checkpoint {
        match self {
            Self::TrimHorizon => Checkpoint::TrimHorizon,
            Self::Latest => Checkpoint::AtTimestamp(now_ms),
            Self::AtTimestamp(unix_ms) => Checkpoint::AtTimestamp(*unix_ms),
            Self::ByShard(by_shard) => {
                let found = by_shard.get(shard).cloned();
                found.unwrap_or(Checkpoint::TrimHorizon)
            }
        }
    }
}

fn read(
    by_shard: &BTreeMap<String, String>,
    checkpoint: impl Fn(Sequence) -> Checkpoint,
) -> Result<Resolved, String> {
    let entry = |(shard, text): (&String, &String)| {
        let sequence =
            Sequence::parse(text).map_err(|error| format!("initial_position: {error}"))?;
        Ok((ShardId::new(shard), checkpoint(sequence)))
    };
    let by_shard = by_shard.iter().map(entry).collect::<Result<_, String>>()?;
    Ok(Resolved::ByShard(by_shard))
}
