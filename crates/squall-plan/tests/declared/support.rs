//! A small program with stand-ins for components, and sources to declare topologies from.

use schemars::JsonSchema;
use serde::Deserialize;

use squall_core::{
    Activity, Bolt, CustomGrouping, Emitter, HumanDuration, Inputs, Outputs, Registry, Result,
    Spout, SpoutEmitter, Tuple, Value,
};
use squall_plan::{Declared, Problems, SourceFile, Sources, declare};

/// Reads lines of a file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lines {
    /// The file.
    pub(crate) path: String,
    /// How many lines a second.
    #[serde(default)]
    pub(crate) rate: Option<u32>,
    /// How long to wait before the first.
    #[serde(default)]
    pub(crate) wait: HumanDuration,
    /// Where to begin.
    #[serde(default)]
    pub(crate) start: Start,
    /// How to try again.
    #[serde(default)]
    pub(crate) retries: Retries,
}

/// Where to begin.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Start {
    /// At the first line.
    #[default]
    TrimHorizon,
    /// At what comes next.
    Latest,
}

/// How to try again.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retries {
    /// How often.
    pub(crate) attempts: u32,
    /// After how long.
    pub(crate) waits: Vec<HumanDuration>,
}

/// Needs nothing, and forgives unknown keys.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Loose {
    /// A number.
    pub(crate) n: u32,
}

/// Keeps to its own rules.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Picky {
    /// An even number.
    pub(crate) even: u32,
}

/// Emits what it is told to declare.
pub(crate) struct Stub(pub(crate) Outputs);

impl Spout for Stub {
    fn outputs(&self) -> Outputs {
        self.0.clone()
    }
    fn next_tuple(&mut self, _: &mut SpoutEmitter<'_>) -> Result<Activity> {
        Ok(Activity::Finished)
    }
}

impl Bolt for Stub {
    fn outputs(&self) -> Outputs {
        self.0.clone()
    }
    fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        Ok(())
    }
}

/// Reads what it is told to declare, and emits it.
pub(crate) struct Reader(pub(crate) Inputs);

impl Bolt for Reader {
    fn inputs(&self) -> Inputs {
        self.0.clone()
    }
    fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        Ok(())
    }
}

struct First;

impl CustomGrouping for First {
    fn choose(&mut self, _: &[Value], _: usize) -> usize {
        0
    }
}

#[expect(clippy::panic, reason = "a component that panics is what is tested")]
fn unlucky((): ()) -> Result<Stub> {
    panic!("out of luck")
}

/// A program with one spout and a few bolts.
pub(crate) fn program() -> Registry {
    let mut registry = Registry::new();
    registry.spout("lines", |config: Lines| {
        // Every field is read, as a component would.
        let _ = (config.path, config.rate, config.wait, config.start);
        let _ = (config.retries.attempts, config.retries.waits);
        Ok(Stub(Outputs::fields(["line"])))
    });
    registry.bolt("parse", |(): ()| {
        let outputs = Outputs::fields(["host", "referrer", "path"]);
        Ok(Stub(outputs.stream("late", ["line"])))
    });
    registry.bolt("tally", |config: Loose| {
        let _ = config.n;
        Ok(Stub(Outputs::fields(["key", "count"])))
    });
    registry.bolt("picky", |config: Picky| {
        if config.even % 2 == 1 {
            return Err(format!("{} isn't even", config.even).into());
        }
        Ok(Stub(Outputs::none()))
    });
    registry.bolt("print", |(): ()| Ok(Stub(Outputs::none())));
    registry.bolt("panics", unlucky);
    registry.grouping("first", || First);
    registry
}

/// Sources of one topology.
#[derive(Default)]
pub(crate) struct Input {
    files: Vec<SourceFile>,
    sets: Vec<(String, String)>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Input {
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push(SourceFile {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        self
    }

    pub(crate) fn set(mut self, path: &str, value: &str) -> Self {
        self.sets.push((path.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    pub(crate) fn declare(self) -> Result<Declared, Problems> {
        self.declare_in(&program())
    }

    pub(crate) fn declare_in(self, registry: &Registry) -> Result<Declared, Problems> {
        let Self {
            files,
            sets,
            variables,
        } = self;
        let env = |name: &str| {
            let variable = variables.iter().find(|(known, _)| *known == name);
            variable.map(|(_, value)| (*value).to_owned())
        };
        let sources = Sources {
            files,
            sets,
            env: &env,
        };
        declare(&sources, registry)
    }

    /// Declares what is sound.
    #[expect(
        clippy::panic,
        reason = "fails the test, and shows what is wrong with its topology"
    )]
    pub(crate) fn sound(self) -> Declared {
        match self.declare() {
            Ok(declared) => declared,
            Err(problems) => panic!("\n{problems}"),
        }
    }

    /// Declares and compares the whole report.
    pub(crate) fn reports(self, expected: &str) {
        self.reports_in(&program(), expected);
    }

    pub(crate) fn reports_in(self, registry: &Registry, expected: &str) {
        let report = match self.declare_in(registry) {
            Ok(declared) => declared.warnings.to_string(),
            Err(problems) => problems.to_string(),
        };
        let expected = expected.trim_start_matches('\n');
        assert!(
            report == expected,
            "expected:\n{expected}\nreported:\n{report}"
        );
    }
}

/// One file called `t.yaml`.
pub(crate) fn file(text: &str) -> Input {
    Input::default().file("t.yaml", text)
}
