//! The author's words: what a topology is made of, as data and as traits.
//!
//! Everything here is pure: no threads, no files, no sockets, no clock. Engines (`squall-runtime`), ready
//! made components and people's own bolts meet in this crate and nowhere else.
//!
//! **Invariant:** no tokio, tonic, prost, clap, files, sockets or clock in this crate.

mod anchor;
mod batch;
mod bolt;
mod builder;
mod checkpoint;
mod clock;
mod context;
mod emitter;
mod error;
mod fields;
mod ids;
mod inputs;
mod key;
mod metrics;
mod port;
mod registry;
pub mod replay;
mod spec;
mod spout;
mod token;
mod transit;
mod tuple;
mod units;
mod value;

pub use bolt::Bolt;
pub use builder::{BoltDeclarer, DeclareError, SpoutDeclarer, TopologyBuilder};
pub use checkpoint::{
    BoxFuture, CheckpointStore, Entry, Fence, MAX_KEY_BYTES, MAX_VALUE_BYTES,
    MAX_WRITES_PER_COMMIT, StoreError, Write,
};
pub use clock::{Clock, ManualClock, Moment};
pub use context::{ResolveError, Spawner, TaskContext, TaskInfo, TaskServices};
pub use emitter::{Emit, EmitError, Emitter, SpoutEmitter};
pub use error::{
    ComponentError, Failure, FailureReason, Remediable, Remedy, Result, RowError, Verdict,
};
pub use fields::{Outputs, Schema};
pub use ids::{ComponentId, MessageId, StreamId, SupervisorId, TaskId, TopologyId};
pub use inputs::Inputs;
pub use key::{KEY_GROUPS, hash_key, key_group, owner_of};
pub use metrics::{MAX_METRICS_PER_TASK, Metric, MetricReading, Metrics};
pub use registry::{BuildError, ComponentType, Registry};
pub use spec::{BoltSpec, CustomGrouping, Grouping, InputSpec, Settings, SpoutSpec, TopologySpec};
pub use spout::{Activity, Spout};
pub use token::AckToken;
pub use tuple::{FieldError, IntoRow, Tuple};
pub use units::{ByteSize, HumanDuration, UnitError};
pub use value::{FromRow, Str, ToRow, Value};

/// What engines and harnesses need and authors don't.
pub mod engine {
    pub use crate::anchor::{Anchor, Anchors, RootId};
    pub use crate::batch::{Batch, row_bytes};
    pub use crate::emitter::{Anchoring, EmitTo, Output};
    pub use crate::port::{
        AckInlet, AckOutlet, ComponentIdx, EdgeId, Inlet, LinkEvents, Outlet, WorkerIdx,
    };
    pub use crate::token::{TokenReport, TokenSink};
    pub use crate::transit::{
        Contribution, Cursor, Delivery, Item, Mark, Place, Refused, Roots, Run, Word,
    };
    pub use crate::value::{from_row, to_row};
}
