//! What almost every program of an author needs: `use squall::prelude::*;`.

pub use clap;
pub use serde_json::json;
pub use squall_core::{
    AckToken, Activity, Bolt, ComponentError, Emitter, Failure, Inputs, MessageId, Outputs,
    Remediable, Result, Spout, SpoutEmitter, TaskContext, TopologyBuilder, Tuple, Value, Verdict,
};
