//! How much a server takes and how long a caller waits: what every server and client sets.
//!
//! tonic limits the size of a message it decodes (4 MiB) and nothing else. These are constants and no code,
//! for this crate knows no sockets: `squall-daemon` applies them to its server builder and its channels,
//! and no other crate makes one.

use std::time::Duration;

use crate::bounds::{MAX_CHUNK_BYTES, MAX_COMMIT_BYTES, MAX_FRAME_BYTES, MAX_SPEC_BYTES};

/// What a message has besides its largest field, in bytes.
const REST_BYTES: usize = 64 << 10;

/// The largest request of an operator, in bytes: a spec, arguments, components by name.
pub const MAX_REQUEST_BYTES: usize = MAX_SPEC_BYTES + 512 * 1024;
/// The largest answer to an operator, in bytes: all about a topology of thousands of workers.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;
/// The largest message of the `Blob` service and of logs, in bytes.
pub const MAX_PIECE_BYTES: usize = MAX_CHUNK_BYTES + REST_BYTES;
/// The largest report of a supervisor, in bytes: the counters of all its workers.
pub const MAX_REPORT_BYTES: usize = 8 << 20;
/// The largest order to a supervisor, in bytes. Nimbus takes no topology in with which any supervisor's could become
/// larger: that takes dozens with thousands of workers each.
pub const MAX_ORDER_BYTES: usize = 64 << 20;
/// The largest report of a worker, in bytes.
pub const MAX_WORKER_REPORT_BYTES: usize = 256 << 10;
/// The largest order to a worker, in bytes: an assignment of thousands of workers.
pub const MAX_WORKER_ORDER_BYTES: usize = 8 << 20;
/// The largest launch file, in bytes.
pub const MAX_LAUNCH_BYTES: usize = 16 << 20;
/// The largest message of the `Checkpoints` service, in bytes: of full writes, each with its framing.
pub const MAX_CHECKPOINTS_BYTES: usize = 2 * MAX_COMMIT_BYTES;
/// The largest message of the `Exchange` service, in bytes: a frame, or what is queued at each of the tasks that
/// a topology may have.
pub const MAX_EXCHANGE_BYTES: usize = 2 * MAX_FRAME_BYTES;

/// Streams of one connection to nimbus at the same time. A supervisor needs one and its fetches, a worker
/// one call at a time, the command line a few.
pub const NIMBUS_STREAMS: u32 = 64;
/// Streams of one connection to a supervisor at the same time: nimbus reads a log for each follower.
pub const SUPERVISOR_STREAMS: u32 = 256;
/// Streams of one connection to a worker at the same time: a link has two, and two more while the old ones
/// end.
pub const WORKER_STREAMS: u32 = 4;
/// Connections to nimbus at the same time: supervisors, workers that save checkpoints, operators.
pub const NIMBUS_CONNECTIONS: usize = 10_000;
/// Connections to a supervisor at the same time: its workers, nimbus, and a few more.
pub const SUPERVISOR_CONNECTIONS: usize = 256;
/// Connections to a worker at the same time: its peers, each twice while it reconnects.
pub const WORKER_CONNECTIONS: usize = 8192;
/// Uploads to nimbus at the same time.
pub const UPLOADS: usize = 8;
/// Followers of logs at the same time, over all connections to nimbus.
pub const LOG_FOLLOWERS: usize = 64;
/// The most bytes of headers that a server reads of one call.
pub const MAX_HEADER_BYTES: u32 = 16 << 10;

/// How often an idle connection of control is asked whether the other side is there.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// How long the answer to that may take before the connection is given up.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same between workers: a link notices a silent partition within 5 s. Shorter than the bound on a
/// hanging worker, so that tuples are known to be lost before their time-out.
pub const LINK_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// How long the answer may take there.
pub const LINK_KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// The window of a stream and of a connection between workers, in bytes: what may be on the way unread.
pub const LINK_WINDOW_BYTES: u32 = 4 << 20;

/// How long a connection may take to stand.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long the first message of a stream may take, and the answer to it.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(5);
/// How long a supervisor or worker whose stream stands may say nothing: ten reports.
pub const SILENCE_DEADLINE: Duration = Duration::from_secs(10);
/// How often supervisors and workers report.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long nimbus may take to answer an operator who asks: `List`, `Describe`, `ListSupervisors`, `Has`.
pub const QUERY_DEADLINE: Duration = Duration::from_secs(10);
/// How long nimbus may take to place and store: `Submit`, `Kill`, `SetActive`, `Rebalance`, `Drain`.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(30);
/// How long an upload or a fetch may stand still: the time between two pieces, not that of the whole.
pub const STALL_DEADLINE: Duration = Duration::from_secs(20);
/// How long a checkpoint may take to load or to commit.
pub const CHECKPOINT_DEADLINE: Duration = Duration::from_secs(10);
/// How long a log that isn't followed may take between two pieces.
pub const LOG_DEADLINE: Duration = Duration::from_secs(10);
