//! A record in flight, and the tuple that it is emitted as.

use squall_core::{Str, Value};

use crate::api::{Record, ShardId};
use crate::tracker::Ordinal;

/// The fields of the default stream; the dead letters have `error` besides.
pub(super) const FIELDS: [&str; 8] = [
    "partition_key",
    "data",
    "sequence",
    "subsequence",
    "shard_id",
    "approximate_arrival_ms",
    "stream",
    "attempt",
];

/// The stream of records whose attempts are used up.
pub(super) const DEAD_LETTERS: &str = "dead-letters";

/// What a record takes in memory besides its key and its data, roughly.
const OVERHEAD_BYTES: usize = 300;

/// The number of a feed; a shard that is started again gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FeedId(pub(super) u64);

/// A record from its first emit until it is done.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) feed: FeedId,
    pub(super) ordinal: Ordinal,
    pub(super) shard: ShardId,
    pub(super) record: Record,
}

impl Body {
    /// Returns the memory that the record takes while it is kept.
    pub(super) fn bytes(&self) -> usize {
        OVERHEAD_BYTES + self.record.data.len() + self.record.partition_key.len()
    }

    /// Makes the tuple; data are shared, not copied.
    pub(super) fn row(&self, stream: &Str, attempt: u32) -> [Value; 8] {
        let record = &self.record;
        [
            Value::Str(record.partition_key.clone()),
            Value::Bytes(record.data.clone()),
            Value::Str(record.sequence.as_value().clone()),
            Value::I64(0),
            Value::Str(self.shard.as_value().clone()),
            record.arrival_ms.into(),
            Value::Str(stream.clone()),
            attempt.into(),
        ]
    }
}
