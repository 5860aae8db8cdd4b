//! The semantics of the data plane, in virtual time: groupings, acking, flow control, restarts, drains.

#![expect(
    clippy::unwrap_used,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::panic,
    reason = "the whole crate is a test; its numbers are small"
)]

mod acking;
mod calls;
mod flow;
mod groupings;
mod health;
mod kit;
mod link_threads;
mod links;
mod parts;
mod random_graphs;
mod random_parts;
mod threads;
mod wake_ups;
