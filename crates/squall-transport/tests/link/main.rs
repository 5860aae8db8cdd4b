//! Both ends of a link in virtual time, over a pipe that delays, breaks and forgets, against a model that
//! knows the fate of every row and every word.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod acks;
mod bounds;
mod data;
mod rows;
