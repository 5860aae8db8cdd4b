#![doc = include_str!("../README.md")]

mod app;
#[cfg(feature = "cluster")]
#[doc(hidden)]
pub mod cluster;
pub mod console;
#[cfg(feature = "cluster")]
#[doc(hidden)]
pub mod description;
pub mod local;
pub mod prelude;
pub mod testing;

pub use app::{App, Program};
pub use clap;
pub use serde_json::json;
pub use squall_core::{
    AckToken, Activity, Bolt, BoltDeclarer, BoxFuture, ByteSize, CheckpointStore, Clock,
    ComponentError, ComponentId, CustomGrouping, DeclareError, EmitError, Emitter, Entry, Failure,
    FailureReason, Fence, Grouping, HumanDuration, Inputs, ManualClock, MessageId, Metric, Metrics,
    Moment, Outputs, Registry, Remediable, Remedy, Result, Settings, Spawner, Spout, SpoutDeclarer,
    SpoutEmitter, StoreError, Str, StreamId, TaskContext, TaskId, TopologyBuilder, TopologySpec,
    Tuple, Value, Verdict, Write, replay,
};
