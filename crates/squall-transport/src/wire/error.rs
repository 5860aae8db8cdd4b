//! What can be wrong with a payload, or with a tuple that is to become one.

use thiserror::Error;

/// A payload that isn't one. Offsets count from the beginning of the payload or, in a body, of the body.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// It ends too early.
    #[error("{what} at byte {at}: {n_missing} more bytes expected")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
        /// What is missing, at least.
        n_missing: usize,
    },
    /// A varint has more bits than what it stands for.
    #[error("{what} at byte {at}: a number of too many bytes")]
    Overlong {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// A byte that stands for nothing.
    #[error("{what} at byte {at}: {found} is none")]
    Unknown {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
        /// The byte.
        found: u8,
    },
    /// A number that is out of its bounds.
    #[error("{what} at byte {at}: {found} is not below {limit}")]
    OutOfRange {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
        /// What was found.
        found: u64,
        /// What it has to stay below.
        limit: u64,
    },
    /// Text that isn't UTF-8.
    #[error("text at byte {at} is not UTF-8")]
    NotUtf8 {
        /// Where.
        at: usize,
    },
    /// Keys of a map that don't ascend.
    #[error("map key at byte {at} is not above the one before it")]
    KeysNotAscending {
        /// Where.
        at: usize,
    },
    /// Values that are nested too deeply.
    #[error("value at byte {at} is nested more than {} deep", super::MAX_DEPTH)]
    TooDeep {
        /// Where.
        at: usize,
    },
    /// A row that refers to the roots of the one before it, which has none or is of another batch.
    #[error("row at byte {at} refers to roots that the row before it doesn't have")]
    NoRoot {
        /// Where.
        at: usize,
    },
    /// Bytes behind the last thing.
    #[error("{n_bytes} bytes are left over at byte {at}")]
    LeftOver {
        /// Where.
        at: usize,
        /// How many.
        n_bytes: usize,
    },
    /// A rows body without rows.
    #[error("a section without rows")]
    NoRows,
}

/// A tuple that can't be put into a frame. Its trees fail.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EncodeError {
    /// Its values are nested too deeply.
    #[error(
        "a tuple whose values are nested more than {} deep can't leave its worker",
        super::MAX_DEPTH
    )]
    TooDeep,
    /// It has too many bytes, or too many anchors.
    #[error(
        "a tuple of {n_bytes} bytes with its anchors can't leave its worker: at most {max_bytes}"
    )]
    TooLarge {
        /// Its bytes in a frame.
        n_bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
    /// It is of a stream that the topology doesn't declare.
    #[error("stream {component}/{stream} is not one of the topology's")]
    UnknownStream {
        /// The component.
        component: String,
        /// The stream.
        stream: String,
    },
    /// The delivery has no such batch, or the batch no such row.
    #[error("a row that its delivery doesn't have")]
    NoSuchRow,
}
