//! The components of a program, each under the name by which topologies declare it.

use std::collections::BTreeMap;

use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use thiserror::Error;

use crate::bolt::Bolt;
use crate::error::{ComponentError, Result};
use crate::spec::CustomGrouping;
use crate::spout::Spout;
use crate::value::Str;

type Factory<T> = Box<dyn Fn(&Json) -> Result<Box<T>, BuildError> + Send + Sync>;
type GroupingFactory = Box<dyn Fn() -> Box<dyn CustomGrouping> + Send + Sync>;

/// A component that can't be built from its config.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The config doesn't fit the component's type.
    #[error("{message}")]
    Config {
        /// Where in the config: `retries.base`, `columns[2]`, or empty for the config as a whole.
        path: String,
        /// What is wrong there.
        message: String,
    },
    /// The component's own factory refused it.
    #[error("{0}")]
    Factory(ComponentError),
}

/// A spout or a bolt: factory, config schema and name of one registered type.
pub struct ComponentType<T: ?Sized> {
    schema: Json,
    factory: Factory<T>,
}

impl<T: ?Sized> ComponentType<T> {
    /// Returns the JSON Schema of the component's config; `description` is the component's own doc.
    #[must_use]
    pub const fn config_schema(&self) -> &Json {
        &self.schema
    }

    /// Builds one instance; does no I/O. A config of null means the defaults.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(&self, config: &Json) -> Result<Box<T>, BuildError> {
        (self.factory)(config)
    }
}

/// All that a program has to offer: spouts, bolts and custom groupings by name.
///
/// A name that is registered twice means what was registered last, so that a program can replace a
/// ready-made component by its own.
#[derive(Default)]
pub struct Registry {
    spouts: BTreeMap<Str, ComponentType<dyn Spout>>,
    bolts: BTreeMap<Str, ComponentType<dyn Bolt>>,
    groupings: BTreeMap<Str, GroupingFactory>,
}

impl Registry {
    /// Makes an empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a spout: a factory from its config, called once per task, that does no I/O.
    ///
    /// The doc comment of `C` is what `squall components` shows.
    pub fn spout<C, S, F>(&mut self, name: &str, factory: F) -> &mut Self
    where
        C: DeserializeOwned + JsonSchema,
        S: Spout + 'static,
        F: Fn(C) -> Result<S> + Send + Sync + 'static,
    {
        let factory: Factory<dyn Spout> = Box::new(move |config| {
            Ok(Box::new(
                factory(read::<C>(config)?).map_err(BuildError::Factory)?,
            ))
        });
        self.spouts.insert(
            Str::new(name),
            ComponentType {
                schema: schema::<C>(),
                factory,
            },
        );
        self
    }

    /// Registers a bolt: a factory from its config, called once per task, that does no I/O.
    ///
    /// The doc comment of `C` is what `squall components` shows.
    pub fn bolt<C, B, F>(&mut self, name: &str, factory: F) -> &mut Self
    where
        C: DeserializeOwned + JsonSchema,
        B: Bolt + 'static,
        F: Fn(C) -> Result<B> + Send + Sync + 'static,
    {
        let factory: Factory<dyn Bolt> = Box::new(move |config| {
            Ok(Box::new(
                factory(read::<C>(config)?).map_err(BuildError::Factory)?,
            ))
        });
        self.bolts.insert(
            Str::new(name),
            ComponentType {
                schema: schema::<C>(),
                factory,
            },
        );
        self
    }

    /// Registers a custom grouping; the factory is called once per sending task and input.
    pub fn grouping<G: CustomGrouping + 'static>(
        &mut self,
        name: &str,
        factory: impl Fn() -> G + Send + Sync + 'static,
    ) -> &mut Self {
        self.groupings
            .insert(Str::new(name), Box::new(move || Box::new(factory())));
        self
    }

    /// Returns a registered spout type.
    #[must_use]
    pub fn get_spout(&self, name: &str) -> Option<&ComponentType<dyn Spout>> {
        self.spouts.get(name)
    }

    /// Returns a registered bolt type.
    #[must_use]
    pub fn get_bolt(&self, name: &str) -> Option<&ComponentType<dyn Bolt>> {
        self.bolts.get(name)
    }

    /// Builds an instance of a registered custom grouping.
    #[must_use]
    pub fn build_grouping(&self, name: &str) -> Option<Box<dyn CustomGrouping>> {
        self.groupings.get(name).map(|factory| factory())
    }

    /// Iterates over the spout types by name.
    pub fn spouts(&self) -> impl Iterator<Item = (&Str, &ComponentType<dyn Spout>)> {
        self.spouts.iter()
    }

    /// Iterates over the bolt types by name.
    pub fn bolts(&self) -> impl Iterator<Item = (&Str, &ComponentType<dyn Bolt>)> {
        self.bolts.iter()
    }

    /// Iterates over the names of the custom groupings.
    pub fn groupings(&self) -> impl Iterator<Item = &Str> {
        self.groupings.keys()
    }
}

fn schema<C: JsonSchema>() -> Json {
    schema_for!(C).to_value()
}

fn read<C: DeserializeOwned + JsonSchema>(config: &Json) -> Result<C, BuildError> {
    // No config at all means the defaults: an empty object, unless the type itself is the unit.
    let config = if config.is_null() && schema::<C>().get("type") != Some(&Json::from("null")) {
        Json::Object(serde_json::Map::new())
    } else {
        config.clone()
    };
    serde_path_to_error::deserialize(config).map_err(|error| BuildError::Config {
        path: match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        },
        message: error.into_inner().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{Emitter, Outputs, Tuple};

    /// Does nothing.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct IdleConfig {
        /// How idle.
        #[serde(default)]
        depth: u32,
    }

    struct Idle(u32);

    impl Bolt for Idle {
        fn outputs(&self) -> Outputs {
            Outputs::fields((0..self.0).map(|n| n.to_string()))
        }
        fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
            Ok(())
        }
    }

    fn registry() -> Registry {
        let mut registry = Registry::new();
        registry.bolt("idle", |c: IdleConfig| Ok(Idle(c.depth)));
        registry.bolt("unit", |(): ()| Ok(Idle(0)));
        registry.bolt("refuses", |(): ()| -> Result<Idle> { Err("no")? });
        registry
    }

    #[test]
    fn builds_from_config_and_from_none() {
        let registry = registry();
        let build = |name, config| registry.get_bolt(name).unwrap().build(&config).unwrap();
        assert_eq!(
            build("idle", serde_json::json!({ "depth": 2 }))
                .outputs()
                .iter()
                .count(),
            1
        );
        assert!(
            build("idle", Json::Null)
                .outputs()
                .get("default")
                .unwrap()
                .is_empty()
        );
        build("unit", Json::Null);
    }

    #[test]
    fn a_mistake_keeps_its_path() {
        let registry = registry();
        let idle = registry.get_bolt("idle").unwrap();
        assert_eq!(idle.config_schema()["description"], "Does nothing.");
        let Err(BuildError::Config { path, message }) =
            idle.build(&serde_json::json!({ "depth": "x" }))
        else {
            panic!("a text is no depth");
        };
        assert_eq!(path, "depth");
        assert!(
            message.contains("invalid type: string \"x\", expected u32"),
            "{message}"
        );
        assert!(matches!(
            registry.get_bolt("refuses").unwrap().build(&Json::Null),
            Err(BuildError::Factory(_))
        ));
    }
}
