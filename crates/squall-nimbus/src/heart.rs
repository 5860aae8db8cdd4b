//! What nimbus decides, as pure functions of what is wanted, what is seen, and the time.
//!
//! [`Desired`] is what the cluster is to be; it is in the store before anything follows from it.
//! [`Observed`] is what supervisors said since this nimbus started. [`step`] takes an [`Event`] and answers
//! with a [`Decision`]: the next [`Desired`], if it changes, and the reply. Orders to supervisors follow from
//! the two ([`order_for`]), so that a nimbus that died anywhere between goes on by reading.
//!
//! **Invariant:** a worker moves only if its supervisor is lost or draining, its slot is gone, it crash-loops,
//! or its topology is rebalanced; and no slot has two workers.

mod attendance;
mod command;
mod desired;
mod draft;
mod drain;
mod event;
mod limits;
mod moves;
mod observed;
mod orders;
mod progress;
mod rebalance;
mod room;
mod schedule;
mod step;
mod submit;
mod view;

pub use desired::{Desired, Known, Lifecycle, Record, Worker};
pub use event::{Decision, Event, Reply, Submission};
pub use limits::Limits;
pub use moves::{Command, next_state};
pub use observed::{Observed, Restarts, Seen, SlotReport, SlotReportState};
pub use orders::{affected, order_for};
pub(crate) use rebalance::{lay_out, read};
pub use step::step;
pub use view::{describe, summarise};
