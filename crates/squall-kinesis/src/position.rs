//! A record's place within its shard.

use std::fmt;

use crate::sequence::Sequence;

/// Where a record stands: its sequence number, and its number within an aggregate.
///
/// Increasing within a shard, in the order of reading.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The sequence number of the record as it was put.
    pub sequence: Sequence,
    /// Which record of an aggregate; 0 for a plain record.
    pub subsequence: u64,
}

impl Position {
    /// Makes the position of a plain record.
    #[must_use]
    pub const fn plain(sequence: Sequence) -> Self {
        Self {
            sequence,
            subsequence: 0,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subsequence {
            0 => write!(f, "{}", self.sequence),
            subsequence => write!(f, "{}/{subsequence}", self.sequence),
        }
    }
}
