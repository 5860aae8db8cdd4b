//! The directory that a supervisor starts a worker in: what the one writes there and the other reads.

/// The worker's log; full ones become `worker.log.1`, `worker.log.2` and so on, the newest first.
pub const LOG_FILE: &str = "worker.log";
/// Why the worker ended, as a text for people, written before it ends. The supervisor removes it before a
/// start, and reads no more than 64 KiB of it.
pub const EXIT_REASON_FILE: &str = "exit-reason";
/// What the worker's process printed: its standard output and error.
pub const OUTPUT_FILE: &str = "output.log";
