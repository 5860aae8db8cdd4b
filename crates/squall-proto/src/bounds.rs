//! How long texts and lists may be. Everything that arrives is held to these; `proto/` says the same in
//! words. How large whole messages may be stands in [`crate::limits`].

/// The longest name of a topology, in bytes. (`squall-plan` holds new ones to fewer.)
pub const MAX_TOPOLOGY_NAME_BYTES: usize = 128;
/// The longest name of a supervisor, in bytes.
pub const MAX_SUPERVISOR_ID_BYTES: usize = 128;
/// The longest name of a component, in bytes.
pub const MAX_COMPONENT_ID_BYTES: usize = 64;
/// The longest engine version or target triple, in bytes.
pub const MAX_VERSION_BYTES: usize = 64;
/// The longest text for people, in bytes: a reason, an error.
pub const MAX_NOTE_BYTES: usize = 1024;
/// The longest host of an address, in bytes.
pub const MAX_HOST_BYTES: usize = 255;

/// The largest spec, as JSON, in bytes.
pub const MAX_SPEC_BYTES: usize = 1 << 20;
/// The most arguments of a topology that is built in Rust.
pub const MAX_ARGS: usize = 256;
/// The most bytes of those together.
pub const MAX_ARGS_BYTES: usize = 64 << 10;
/// The most components of a topology.
pub const MAX_COMPONENTS: usize = 4096;
/// The most tasks of a topology; their ids stay below.
pub const MAX_TASKS: u32 = 65_536;
/// The most workers of a topology; their indexes stay below.
pub const MAX_WORKERS: u32 = 4096;

/// The most supervisors of a cluster.
pub const MAX_SUPERVISORS: usize = 4096;
/// The most topologies that live in a cluster.
pub const MAX_TOPOLOGIES: usize = 4096;
/// The most slots of a supervisor.
pub const MAX_SLOTS: usize = 64;
/// The most addresses of nimbuses.
pub const MAX_NIMBUSES: usize = 16;

/// The most metrics of one component in one worker's counters.
pub const MAX_METRICS: usize = 1024;
/// The longest name of a metric, in bytes.
pub const MAX_METRIC_NAME_BYTES: usize = 128;
/// The longest label of a metric, in bytes.
pub const MAX_METRIC_LABEL_BYTES: usize = 256;
/// The most bytes of one worker's counters on the wire.
pub const MAX_COUNTERS_BYTES: usize = 64 << 10;

/// The most lines that a reader of logs may begin with.
pub const MAX_LOG_LINES: u32 = 10_000;
/// The longest wait that a kill or a rebalance may be given, in milliseconds.
pub const MAX_WAIT_MS: u64 = 3_600_000;

/// The largest blob, in bytes.
pub const MAX_BLOB_BYTES: u64 = 2 << 30;
/// The largest piece of a blob or a log, in bytes.
pub const MAX_CHUNK_BYTES: usize = 64 << 10;

/// The most checkpoint commits in one request.
pub const MAX_COMMITS: usize = 1024;
/// The most bytes of keys and values in one request to commit.
pub const MAX_COMMIT_BYTES: usize = 8 << 20;
/// The most checkpoints in one page of a listing.
pub const MAX_PAGE_ENTRIES: usize = 10_000;
/// The most bytes of keys and values in such a page.
pub const MAX_PAGE_BYTES: usize = 4 << 20;

/// The largest payload of a frame between workers, in bytes.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// The most facts of a refusal.
pub const MAX_FACTS: usize = 8;
/// The longest name of a fact, in bytes.
pub const MAX_FACT_NAME_BYTES: usize = 32;
/// The longest value of a fact, in bytes.
pub const MAX_FACT_VALUE_BYTES: usize = 256;
