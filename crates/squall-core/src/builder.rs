//! A topology built in Rust: gives the same [`TopologySpec`] as a YAML file does.

use std::num::NonZeroU32;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;
use thiserror::Error;

use crate::ids::ComponentId;
use crate::spec::{BoltSpec, Grouping, InputSpec, Settings, SpoutSpec, TopologySpec};
use crate::units::HumanDuration;
use crate::value::Str;

/// A declaration that can't be. What refers to other components is checked later, for all at once.
#[derive(Debug, Error)]
pub enum DeclareError {
    /// Two components have the same name.
    #[error("`{0}` is declared twice")]
    Duplicate(ComponentId),
    /// A config that has no JSON form, such as a map with keys that are no text.
    #[error("the config of `{component}` can't be stored: {source}")]
    Config {
        /// The component.
        component: ComponentId,
        /// Why not.
        source: serde_json::Error,
    },
}

/// Declares a topology component by component.
///
/// ```
/// # use squall_core::TopologyBuilder;
/// # fn main() -> Result<(), squall_core::DeclareError> {
/// let mut t = TopologyBuilder::new("word-count");
/// t.spout("in", "lines", serde_json::json!({ "path": "words.txt" }))?;
/// t.bolt("split", "split", ())?.parallelism(2).shuffle("in");
/// t.bolt("count", "count", ())?.fields("split", ["word"]);
/// let spec = t.build();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TopologyBuilder {
    spec: TopologySpec,
}

impl TopologyBuilder {
    /// Begins a topology.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            spec: TopologySpec {
                name: Str::new(name),
                settings: Settings::default(),
                spouts: IndexMap::new(),
                bolts: IndexMap::new(),
            },
        }
    }

    /// Changes settings of the whole topology.
    pub const fn settings(&mut self) -> &mut Settings {
        &mut self.spec.settings
    }

    /// Declares a spout: its name, the type it is registered as, and its config (`()` for none).
    ///
    /// # Errors
    /// [`DeclareError`].
    pub fn spout(
        &mut self,
        id: &str,
        type_name: &str,
        config: impl Serialize,
    ) -> Result<SpoutDeclarer<'_>, DeclareError> {
        let (id, config) = self.admit(id, config)?;
        let spec = SpoutSpec {
            type_name: Str::new(type_name),
            parallelism: NonZeroU32::MIN,
            config,
            dedicated: false,
        };
        Ok(SpoutDeclarer {
            spec: self.spec.spouts.entry(id).or_insert(spec),
        })
    }

    /// Declares a bolt: its name, the type it is registered as, and its config (`()` for none).
    ///
    /// # Errors
    /// [`DeclareError`].
    pub fn bolt(
        &mut self,
        id: &str,
        type_name: &str,
        config: impl Serialize,
    ) -> Result<BoltDeclarer<'_>, DeclareError> {
        let (id, config) = self.admit(id, config)?;
        let spec = BoltSpec {
            type_name: Str::new(type_name),
            parallelism: NonZeroU32::MIN,
            config,
            inputs: Vec::new(),
            tick: None,
            dedicated: false,
        };
        Ok(BoltDeclarer {
            spec: self.spec.bolts.entry(id).or_insert(spec),
        })
    }

    /// Returns what was declared.
    #[must_use]
    pub fn build(self) -> TopologySpec {
        self.spec
    }

    fn admit(
        &self,
        id: &str,
        config: impl Serialize,
    ) -> Result<(ComponentId, serde_json::Value), DeclareError> {
        let id = ComponentId::new(id);
        if self.spec.spouts.contains_key(&id) || self.spec.bolts.contains_key(&id) {
            return Err(DeclareError::Duplicate(id));
        }
        match serde_json::to_value(config) {
            Ok(config) => Ok((id, config)),
            Err(source) => Err(DeclareError::Config {
                component: id,
                source,
            }),
        }
    }
}

/// Says more about a spout that was just declared.
#[derive(Debug)]
pub struct SpoutDeclarer<'t> {
    spec: &'t mut SpoutSpec,
}

impl SpoutDeclarer<'_> {
    /// Sets the number of tasks; 0 is taken as 1.
    pub fn parallelism(self, n_tasks: u32) -> Self {
        self.spec.parallelism = NonZeroU32::new(n_tasks).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Gives each executor an OS thread of its own.
    pub const fn dedicated(self) -> Self {
        self.spec.dedicated = true;
        self
    }
}

/// Says more about a bolt that was just declared. A source is `component` or `component/stream`.
#[derive(Debug)]
pub struct BoltDeclarer<'t> {
    spec: &'t mut BoltSpec,
}

impl BoltDeclarer<'_> {
    /// Sets the number of tasks; 0 is taken as 1.
    pub fn parallelism(self, n_tasks: u32) -> Self {
        self.spec.parallelism = NonZeroU32::new(n_tasks).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Gives each executor an OS thread of its own.
    pub const fn dedicated(self) -> Self {
        self.spec.dedicated = true;
        self
    }

    /// Sets how often `tick` is called.
    pub const fn tick(self, every: Duration) -> Self {
        self.spec.tick = Some(HumanDuration(every));
        self
    }

    /// Reads a stream with any grouping.
    pub fn input(self, from: &str, grouping: Grouping) -> Self {
        self.spec.inputs.push(InputSpec::from_text(from, grouping));
        self
    }

    /// Reads a stream, its tuples spread evenly.
    pub fn shuffle(self, from: &str) -> Self {
        self.input(from, Grouping::Shuffle)
    }

    /// Reads a stream, its tuples kept on the sender's executor or worker where possible.
    pub fn local_or_shuffle(self, from: &str) -> Self {
        self.input(from, Grouping::LocalOrShuffle)
    }

    /// Reads a stream, all its tuples in one task.
    pub fn global(self, from: &str) -> Self {
        self.input(from, Grouping::Global)
    }

    /// Reads a stream, each tuple in every task.
    pub fn all(self, from: &str) -> Self {
        self.input(from, Grouping::All)
    }

    /// Reads a stream whose sender picks the task.
    pub fn direct(self, from: &str) -> Self {
        self.input(from, Grouping::Direct)
    }

    /// Reads a stream, equal values of these fields in the same task.
    pub fn fields<F: AsRef<str>>(self, from: &str, fields: impl IntoIterator<Item = F>) -> Self {
        self.input(
            from,
            Grouping::Fields(fields.into_iter().map(Str::new).collect()),
        )
    }

    /// Reads a stream, equal values of these fields in the same two tasks.
    pub fn partial_key<F: AsRef<str>>(
        self,
        from: &str,
        fields: impl IntoIterator<Item = F>,
    ) -> Self {
        self.input(
            from,
            Grouping::PartialKey(fields.into_iter().map(Str::new).collect()),
        )
    }
}
