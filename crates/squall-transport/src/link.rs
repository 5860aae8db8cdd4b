//! The two ends of a link, as pure state machines: what may be sent, what was confirmed, what is lost.
//!
//! A link goes from one worker to another. Tuples travel on one stream, acks on another; each stream is
//! opened anew after every break and numbers its frames from 1. An edge's items arrive in order, and
//! sections are confirmed by edge: the n-th section of an edge is queued at its reader. A section's cost is
//! charged to its edge's window until then, so that a slow reader holds up its own edge and no other.
//!
//! When a stream breaks, its sender gives up the roots of all that is not confirmed, and its receiver lets
//! go of all that is not queued. Nothing is sent again but fails, which may be said twice, and marks, which
//! the receiver takes once.
//!
//! **Invariant:** a row that was taken from its outlet is queued at its reader at most once; unless it was,
//! its roots are given up.

mod ack_outbox;
mod ack_receiver;
mod ack_sender;
mod edge_in;
mod edge_out;
mod error;
mod peer_fence;
mod receiver;
mod sender;

pub use ack_receiver::AckReceiver;
pub use ack_sender::{AckSender, MAX_UNCONFIRMED_ACK_BYTES};
pub use edge_out::Undeliverable;
pub use error::LinkError;
pub use peer_fence::{PeerFence, Seen};
pub use receiver::DataReceiver;
pub use sender::{DataSender, SenderLoad};
