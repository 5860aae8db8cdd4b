//! The life of a slot, pure: `step(event, now) -> effects`, no process and no file in sight.
//!
//! What nimbus wants is level-triggered: an order says what is to run, and only what differs from it
//! leads to anything. A worker that ends is started again, later and later while it doesn't stay up; one
//! that falls silent is killed first.

mod event;
mod limits;
mod restarts;
mod slot;
mod worker;

pub use event::{Effect, Event, Fault, Launch, Phase, Process, Record, View, Work};
pub use limits::Limits;
pub use slot::Slot;
