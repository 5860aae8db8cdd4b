//! What is remembered of a stream and its shards, and how it is written down.
//!
//! One key a shard, `application/stream/shard`, and one for the stream, `application/stream/~stream`
//! (`~` can't be in a shard's name). Values are JSON, so that a person can read them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::api::ShardId;
use crate::position::Position;
use crate::sequence::Sequence;

/// The version of the format that is written, and the newest that is read.
const FORMAT: u32 = 1;
/// The last part of the stream's own key.
const STREAM_KEY: &str = "~stream";

/// How far a shard is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// Nothing yet: begin with the oldest record there is.
    TrimHorizon,
    /// Nothing yet: begin with what arrived at this time or later, in milliseconds since 1970.
    AtTimestamp(u64),
    /// Nothing yet: begin with this record.
    AtSequence(Sequence),
    /// All up to this record.
    After(Position),
    /// All of the shard, which is closed.
    ShardEnd,
}

/// What is stored of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardState {
    /// How far it is done.
    pub(crate) checkpoint: Checkpoint,
    /// The shards that it came from.
    pub(crate) parents: Vec<ShardId>,
}

/// What is stored of the stream: from the first start on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamState {
    /// When the application was first started, in milliseconds since 1970.
    pub(crate) started_ms: u64,
    /// The shards were not listed yet, so that nobody knows which were there at the start.
    pub(crate) unlisted: bool,
    /// The highest number of a shard in the first listing: those above came later. `None` before the
    /// listing, and in states of earlier versions, which stored all shards of it at once.
    pub(crate) newest: Option<u64>,
}

/// A stored value that can't be used. It is an error to stop at, never a reason to begin anew.
#[derive(Debug, Error)]
pub(crate) enum FormatError {
    /// Written by a later version, or not by us.
    #[error("the state has format {0}; this version reads up to {FORMAT}")]
    Format(u32),
    /// Not JSON, or not ours.
    #[error("the state is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A sequence number that is none.
    #[error("the state is damaged: {0}")]
    Sequence(#[from] crate::sequence::SequenceError),
}

/// The keys of one application's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(application: &str, stream: &str) -> Self {
        Self {
            prefix: format!("{application}/{stream}/"),
        }
    }

    /// Returns what all keys of the stream start with. Another application's may as well: see [`Keys::part`].
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn of_stream(&self) -> String {
        format!("{}{STREAM_KEY}", self.prefix)
    }

    pub(crate) fn of_shard(&self, shard: &ShardId) -> String {
        format!("{}{shard}", self.prefix)
    }

    /// Tells what a key is of; `None` for another application's, whose name begins as ours does.
    pub(crate) fn part(&self, key: &str) -> Option<Part> {
        let rest = key.strip_prefix(&self.prefix)?;
        match rest {
            STREAM_KEY => Some(Part::Stream),
            _ if rest.contains('/') => None,
            shard => Some(Part::Shard(ShardId::new(shard))),
        }
    }
}

/// What a key is of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Stream,
    Shard(ShardId),
}

#[derive(Serialize, Deserialize)]
struct Versioned {
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct ShardFormat {
    format: u32,
    checkpoint: CheckpointFormat,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parents: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StreamFormat {
    format: u32,
    started_ms: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unlisted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CheckpointFormat {
    TrimHorizon,
    AtTimestampMs(u64),
    AtSequence(String),
    After { sequence: String, subsequence: u64 },
    ShardEnd,
}

impl ShardState {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let checkpoint = match &self.checkpoint {
            Checkpoint::TrimHorizon => CheckpointFormat::TrimHorizon,
            Checkpoint::AtTimestamp(unix_ms) => CheckpointFormat::AtTimestampMs(*unix_ms),
            Checkpoint::AtSequence(sequence) => CheckpointFormat::AtSequence(sequence.to_string()),
            Checkpoint::After(position) => CheckpointFormat::After {
                sequence: position.sequence.to_string(),
                subsequence: position.subsequence,
            },
            Checkpoint::ShardEnd => CheckpointFormat::ShardEnd,
        };
        Ok(serde_json::to_vec(&ShardFormat {
            format: FORMAT,
            checkpoint,
            parents: self.parents.iter().map(ToString::to_string).collect(),
        })?)
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, FormatError> {
        check_format(value)?;
        let stored: ShardFormat = serde_json::from_slice(value)?;
        let checkpoint = match stored.checkpoint {
            CheckpointFormat::TrimHorizon => Checkpoint::TrimHorizon,
            CheckpointFormat::AtTimestampMs(unix_ms) => Checkpoint::AtTimestamp(unix_ms),
            CheckpointFormat::AtSequence(text) => Checkpoint::AtSequence(Sequence::parse(&text)?),
            CheckpointFormat::After {
                sequence,
                subsequence,
            } => Checkpoint::After(Position {
                sequence: Sequence::parse(&sequence)?,
                subsequence,
            }),
            CheckpointFormat::ShardEnd => Checkpoint::ShardEnd,
        };
        let parents = stored.parents.iter().map(|id| ShardId::new(id)).collect();
        Ok(Self {
            checkpoint,
            parents,
        })
    }
}

impl StreamState {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, FormatError> {
        Ok(serde_json::to_vec(&StreamFormat {
            format: FORMAT,
            started_ms: self.started_ms,
            unlisted: self.unlisted,
            newest: self.newest,
        })?)
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, FormatError> {
        check_format(value)?;
        let stored: StreamFormat = serde_json::from_slice(value)?;
        Ok(Self {
            started_ms: stored.started_ms,
            unlisted: stored.unlisted,
            newest: stored.newest,
        })
    }
}

fn check_format(value: &[u8]) -> Result<(), FormatError> {
    let Versioned { format } = serde_json::from_slice(value)?;
    if format > FORMAT {
        return Err(FormatError::Format(format));
    }
    Ok(())
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TrimHorizon => f.write_str("trim-horizon"),
            Self::AtTimestamp(unix_ms) => write!(f, "timestamp {unix_ms} ms"),
            Self::AtSequence(sequence) => write!(f, "at {sequence}"),
            Self::After(position) => write!(f, "after {position}"),
            Self::ShardEnd => f.write_str("its end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(checkpoint: Checkpoint) -> ShardState {
        ShardState {
            checkpoint,
            parents: vec![ShardId::new("shardId-000000000001")],
        }
    }

    #[test]
    fn the_format_is_as_written_here() {
        let digits = "49590338271490256608559692538361571095921575989136588802";
        let sequence = Sequence::parse(digits).unwrap();
        let after = Position {
            sequence: sequence.clone(),
            subsequence: 2,
        };
        let parents = r#""parents":["shardId-000000000001"]}"#;
        for (checkpoint, text) in [
            (Checkpoint::TrimHorizon, r#""trim-horizon""#.to_owned()),
            (
                Checkpoint::AtTimestamp(7),
                r#"{"at-timestamp-ms":7}"#.to_owned(),
            ),
            (
                Checkpoint::AtSequence(sequence),
                format!(r#"{{"at-sequence":"{digits}"}}"#),
            ),
            (
                Checkpoint::After(after),
                format!(r#"{{"after":{{"sequence":"{digits}","subsequence":2}}}}"#),
            ),
            (Checkpoint::ShardEnd, r#""shard-end""#.to_owned()),
        ] {
            let state = state(checkpoint);
            let expected = format!(r#"{{"format":1,"checkpoint":{text},{parents}"#);
            let encoded = state.encode().unwrap();
            assert_eq!(String::from_utf8_lossy(&encoded), expected);
            assert_eq!(ShardState::decode(&encoded).unwrap(), state);
        }
        for (unlisted, newest, text) in [
            (false, None, r#"{"format":1,"started_ms":5}"#),
            (true, None, r#"{"format":1,"started_ms":5,"unlisted":true}"#),
            (false, Some(7), r#"{"format":1,"started_ms":5,"newest":7}"#),
        ] {
            let stream = StreamState {
                started_ms: 5,
                unlisted,
                newest,
            };
            let encoded = stream.encode().unwrap();
            assert_eq!(String::from_utf8_lossy(&encoded), text);
            assert_eq!(StreamState::decode(&encoded).unwrap(), stream);
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(matches!(
            ShardState::decode(br#"{"format":2,"whatever":true}"#),
            Err(FormatError::Format(2))
        ));
        for damaged in [
            "",
            "{}",
            r#"{"format":1}"#,
            r#"{"format":1,"checkpoint":{"at-sequence":"x"}}"#,
        ] {
            assert!(ShardState::decode(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }

    #[test]
    fn keys_of_applications_stay_apart() {
        let keys = Keys::new("top/clicks", "web");
        let shard = ShardId::new("shardId-000000000000");
        assert_eq!(keys.of_shard(&shard), "top/clicks/web/shardId-000000000000");
        assert_eq!(keys.part(&keys.of_shard(&shard)), Some(Part::Shard(shard)));
        assert_eq!(keys.part(&keys.of_stream()), Some(Part::Stream));
        // Application `top/clicks/web` with a stream of its own.
        assert_eq!(keys.part("top/clicks/web/other/shardId-000000000000"), None);
    }
}
