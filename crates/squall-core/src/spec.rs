//! A topology as data: what is declared in YAML or built in Rust, and all that crosses the wire.

mod grouping;
mod settings;

use std::num::NonZeroU32;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ComponentId, StreamId};
use crate::units::HumanDuration;
use crate::value::Str;

pub use grouping::{CustomGrouping, Grouping};
pub use settings::Settings;

/// A declared topology. Parts that refer to what isn't there are found by `squall-plan`, not here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopologySpec {
    /// The topology's name: 1 to 64 letters, digits, `-`, `_` and `.`.
    #[schemars(with = "String")]
    pub name: Str,
    /// Bounds and time-outs.
    #[serde(default)]
    pub settings: Settings,
    /// The sources, in the order of declaration.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, SpoutSpec>")]
    pub spouts: IndexMap<ComponentId, SpoutSpec>,
    /// The steps, in the order of declaration.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, BoltSpec>")]
    pub bolts: IndexMap<ComponentId, BoltSpec>,
}

/// A declared source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpoutSpec {
    /// The name under which the spout is registered.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub type_name: Str,
    /// How many tasks run it.
    #[serde(default = "one")]
    pub parallelism: NonZeroU32,
    /// The spout's own config.
    #[serde(default)]
    pub config: serde_json::Value,
    /// Gives each of its executors an OS thread of its own.
    #[serde(default)]
    pub dedicated: bool,
}

/// A declared step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoltSpec {
    /// The name under which the bolt is registered.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub type_name: Str,
    /// How many tasks run it.
    #[serde(default = "one")]
    pub parallelism: NonZeroU32,
    /// The bolt's own config.
    #[serde(default)]
    pub config: serde_json::Value,
    /// The streams that it reads.
    #[serde(default)]
    pub inputs: Vec<InputSpec>,
    /// How often `tick` is called; when absent, as often as the bolt itself asks for, mostly never.
    #[serde(default)]
    pub tick: Option<HumanDuration>,
    /// Gives each of its executors an OS thread of its own.
    #[serde(default)]
    pub dedicated: bool,
}

/// One stream that a bolt reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// The component that emits the stream.
    pub component: ComponentId,
    /// The stream.
    #[serde(default)]
    pub stream: StreamId,
    /// How its tuples are spread over the bolt's tasks.
    #[serde(default)]
    pub grouping: Grouping,
}

impl InputSpec {
    /// Reads `component` or `component/stream`.
    #[must_use]
    pub fn from_text(from: &str, grouping: Grouping) -> Self {
        let (component, stream) = from.split_once('/').unwrap_or((from, StreamId::DEFAULT));
        Self {
            component: component.into(),
            stream: stream.into(),
            grouping,
        }
    }
}

const fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}
