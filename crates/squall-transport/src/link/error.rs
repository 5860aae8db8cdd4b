//! What ends a stream.

use squall_core::engine::EdgeId;
use thiserror::Error;

use crate::wire::WireError;

/// The other end did what it must not. The stream ends, and is opened anew.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LinkError {
    /// A frame of a stream that another one has replaced.
    #[error("frame {number} belongs to a stream that has been replaced")]
    StaleStream {
        /// The frame's number.
        number: u64,
    },
    /// A frame that isn't the next one.
    #[error("frame {found} arrived where frame {expected} was due")]
    WrongNumber {
        /// What was due.
        expected: u64,
        /// What arrived.
        found: u64,
    },
    /// A payload that isn't one.
    #[error("frame {number}: {source}")]
    Malformed {
        /// The frame's number.
        number: u64,
        /// What is wrong with it.
        #[source]
        source: WireError,
    },
    /// A section for an edge that doesn't end here.
    #[error("no task {} of this worker reads component {}", .edge.reader, .edge.emitter.0)]
    UnknownEdge {
        /// The edge.
        edge: EdgeId,
    },
    /// More than the edge's window.
    #[error("task {}: a section that costs {cost} bytes came on top of {outstanding} with a window of {window}", .edge.reader)]
    CreditExceeded {
        /// The edge.
        edge: EdgeId,
        /// What the section costs.
        cost: usize,
        /// What waits already.
        outstanding: usize,
        /// The window.
        window: usize,
    },
    /// Pieces that don't make a tuple.
    #[error("task {}: a piece that belongs to no tuple, or makes it too large", .edge.reader)]
    WrongPiece {
        /// The edge.
        edge: EdgeId,
    },
    /// A mark about a task that the emitting component doesn't have.
    #[error("task {}: a mark of a task that its emitter doesn't have", .edge.reader)]
    WrongMark {
        /// The edge.
        edge: EdgeId,
    },
    /// A confirmation of what was never sent.
    #[error("{confirmed} confirmed where {sent} was sent")]
    WrongConfirmation {
        /// What the other end says.
        confirmed: u64,
        /// What was sent.
        sent: u64,
    },
}
