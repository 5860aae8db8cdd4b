//! How a topology is run to be measured.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::host::Host;

/// How a topology is run.
#[derive(Clone, Debug)]
pub(super) struct Mode {
    /// The source tracks each record to its end.
    pub(super) acked: bool,
    pub(super) pace: Pace,
    /// Before figures are taken.
    pub(super) warm_up: Duration,
    /// While they are.
    pub(super) span: Duration,
    /// How many processes its tasks are spread over.
    pub(super) processes: u32,
    /// Where they leave their figures, if these aren't the bench's own.
    pub(super) host: Option<Host>,
}

/// How fast all sources together emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pace {
    /// As fast as they can.
    Full,
    /// So many records a second.
    PerSec(u64),
    /// Nothing at all.
    Never,
}
