//! How a stream's tuples are spread over the tasks of a bolt that reads it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Str, Value};

/// How the tuples of one stream are spread over a bolt's tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// Evenly: each sender goes round the tasks.
    Shuffle,
    /// To the task of the sender's own executor where there is one, else of its own worker, else
    /// evenly. What is meant when nothing is said.
    #[default]
    LocalOrShuffle,
    /// All to the task with the lowest id.
    Global,
    /// Each tuple to every task.
    All,
    /// No preference: as `LocalOrShuffle` today.
    None,
    /// To the task that the sender names with `out.direct(task)`.
    Direct,
    /// Equal values of these fields to the same task.
    Fields(#[schemars(with = "Vec<String>")] Vec<Str>),
    /// Equal values of these fields to one of the same two tasks, whichever the sender has given less:
    /// for skewed keys whose counts are added up later.
    PartialKey(#[schemars(with = "Vec<String>")] Vec<Str>),
    /// As the registered custom grouping of this name decides.
    Custom(#[schemars(with = "String")] Str),
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shuffle => f.write_str("shuffle"),
            Self::LocalOrShuffle => f.write_str("local-or-shuffle"),
            Self::Global => f.write_str("global"),
            Self::All => f.write_str("all"),
            Self::None => f.write_str("none"),
            Self::Direct => f.write_str("direct"),
            Self::Fields(fields) => write!(f, "fields({})", fields.join(", ")),
            Self::PartialKey(fields) => write!(f, "partial-key({})", fields.join(", ")),
            Self::Custom(name) => write!(f, "custom({name})"),
        }
    }
}

/// A grouping of an author's own. One instance serves one sending task and one input.
pub trait CustomGrouping: Send {
    /// Picks the task for a tuple: an index below `n_tasks`. A larger one is taken modulo `n_tasks`.
    fn choose(&mut self, values: &[Value], n_tasks: usize) -> usize;
}
