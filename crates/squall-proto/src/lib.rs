#![doc = include_str!("../README.md")]
//!
//! **Invariant:** what arrives is checked here, field by field, before anything is decided by it: servers and
//! clients hand on domain types, never wire types.

mod address;
mod assignment;
mod blob;
pub mod bounds;
mod check;
mod checkpoints;
mod coordination;
mod counters;
mod exchange;
mod fence;
mod field;
pub mod handshake;
mod hash;
pub mod limits;
mod local;
mod names;
mod note;
mod operations;
mod refusal;
mod slot;
pub mod status;
mod tasks;
mod topology;
pub mod wire;
pub mod worker_dir;

pub use address::Address;
pub use assignment::{Assignment, PlacementReason, Plan, Unplaced, WorkerPlacement};
pub use blob::{BlobChunk, FetchBlob, UploadHeader, UploadPart};
pub use checkpoints::{
    CheckpointClient, CheckpointOutcome, CheckpointPage, CommitCheckpoints, ListCheckpoints,
    LoadCheckpoint,
};
pub use coordination::{
    Resources, SupervisorHello, SupervisorOrder, SupervisorReport, SupervisorStatus, TopologyOrder,
};
pub use counters::{ComponentCounters, Counters, Failed, Latency};
pub use exchange::{AckReply, DataReply, Frame, LinkHello, LinkMessage, LinkWelcome, Queued};
pub use field::FieldError;
pub use handshake::{Agreed, BinaryNeeds, GlibcVersion, Handshake, Mismatch, agree, runs_on};
pub use hash::{ClusterId, Cookie, Sha256};
pub use local::{Launch, LaunchError, WorkerHello, WorkerOrder, WorkerReport, WorkerStatus};
pub use names::{TopologyName, supervisor_id};
pub use note::Note;
pub use operations::{
    Describe, Description, Drain, Hello, Kill, LogPiece, Planned, Rebalance, ReportedSlot,
    SetActive, Submit, SupervisorInfo, TailLog, TailWorkerLog, TopologySummary,
};
pub use refusal::{Fact, Refusal, RefusalCode};
pub use slot::{RunningWorker, SlotState, SlotStatus, SlotWorker};
pub use topology::{Parallelism, Phase, Program, Topology, TopologyState};
