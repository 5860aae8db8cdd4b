//! The frame format, held by properties: what goes in comes out, and nothing that comes in does harm.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod acks;
mod bounds;
mod golden;
mod hostile;
mod rows;
mod samples;
