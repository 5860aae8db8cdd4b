//! Links over real sockets, between workers whose runtimes are fakes, through a proxy that cuts and
//! swallows. Every message is numbered, and its spout counts what became of it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod fakes;
mod faults;
mod flow;
mod hellos;
mod proxy;
mod spout;
mod world;
