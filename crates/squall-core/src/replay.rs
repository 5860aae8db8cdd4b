//! What a spout has in flight, and when a failed message is tried again.
//!
//! A spout inserts a body, emits it under the id it got, and passes each verdict on; [`Pending`] says
//! what follows from it. It is pure: time and seed are passed in.
//!
//! ```
//! use squall_core::replay::{Decision, Pending, ReplayConfig};
//! use squall_core::{Failure, FailureReason, Moment};
//!
//! let mut pending = Pending::new(&ReplayConfig::default(), 7);
//! let id = pending.insert("a line", 6);
//! let why = Failure::new(FailureReason::Rejected, None, "no luck");
//! let Decision::Retry { at } = pending.fail(id, &why, Moment::ZERO) else { unreachable!() };
//! let again = pending.next_due(at).expect("it is due");
//! assert_eq!((again.id, again.attempt, *again.body), (id, 2, "a line"));
//! assert_eq!(pending.ack(id), Some("a line"));
//! ```

mod backoff;
mod config;
mod pending;

pub use config::{OnExhausted, ReplayConfig};
pub use pending::{Counters, Decision, Pending, Retry};
