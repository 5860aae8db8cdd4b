//! A whole program: its components, its topologies, its command line.

#[cfg(feature = "cluster")]
mod arguments;
mod built;
mod command;
mod components;
#[cfg(feature = "cluster")]
mod describe;
mod examples;
mod graph;
mod line;
mod logs;
mod program;
mod run;
mod schema;
#[cfg(feature = "cluster")]
mod submit;
mod target;
mod validate;
#[cfg(feature = "cluster")]
mod worker;

use std::process::ExitCode;

use clap::Args;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use squall_core::{Bolt, CustomGrouping, Registry, Result, Spout, TopologyBuilder, TopologySpec};

use built::BuiltTopology;
use command::ExtraCommand;

pub use program::Program;

/// A program that runs topologies: registers components, declares topologies, and is then handed the
/// command line.
///
/// ```no_run
/// use squall::prelude::*;
/// # struct Split;
/// # impl Bolt for Split {
/// #     fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> { Ok(()) }
/// # }
///
/// fn main() -> std::process::ExitCode {
///     squall::App::new().bolt("split", |(): ()| Ok(Split)).main()
/// }
/// ```
///
/// The commands are `run`, `validate`, `graph`, `components` and `schema`, with the feature `cluster` also
/// `submit`, and those of [`App::command`].
#[must_use = "a program does nothing before `main`"]
pub struct App {
    registry: Registry,
    topologies: Vec<BuiltTopology>,
    commands: Vec<ExtraCommand>,
    about: &'static str,
    examples: Option<&'static str>,
}

impl App {
    /// Begins a program, with the ready-made components where the feature `components` is on.
    pub fn new() -> Self {
        let app = Self {
            registry: Registry::new(),
            topologies: Vec::new(),
            commands: Vec::new(),
            about: "Runs topologies",
            examples: None,
        };
        #[cfg(feature = "components")]
        let app = app.with(squall_components::all);
        app
    }

    /// Registers the components of another crate: `.with(squall_kinesis::all)`.
    pub fn with<T>(mut self, register: impl FnOnce(&mut Registry) -> T) -> Self {
        register(&mut self.registry);
        self
    }

    /// Registers a spout: a factory from its config, called once per task, that does no I/O.
    ///
    /// A name that is registered twice means what was registered last.
    pub fn spout<C, S, F>(mut self, name: &str, factory: F) -> Self
    where
        C: DeserializeOwned + JsonSchema,
        S: Spout + 'static,
        F: Fn(C) -> Result<S> + Send + Sync + 'static,
    {
        self.registry.spout(name, factory);
        self
    }

    /// Registers a bolt: a factory from its config, called once per task, that does no I/O.
    ///
    /// A name that is registered twice means what was registered last.
    pub fn bolt<C, B, F>(mut self, name: &str, factory: F) -> Self
    where
        C: DeserializeOwned + JsonSchema,
        B: Bolt + 'static,
        F: Fn(C) -> Result<B> + Send + Sync + 'static,
    {
        self.registry.bolt(name, factory);
        self
    }

    /// Registers a custom grouping; the factory is called once per sending task and input.
    pub fn grouping<G: CustomGrouping + 'static>(
        mut self,
        name: &str,
        factory: impl Fn() -> G + Send + Sync + 'static,
    ) -> Self {
        self.registry.grouping(name, factory);
        self
    }

    /// Adds a topology that is built in Rust. Its arguments stand behind its name on the command line;
    /// in a program with a single topology the name may be left out.
    pub fn topology<A: Args>(
        mut self,
        name: &'static str,
        build: impl Fn(A, &mut TopologyBuilder) -> Result<()> + 'static,
    ) -> Self {
        self.topologies.push(BuiltTopology::new(name, build));
        self
    }

    /// Adds a command of the program's own. What `A` documents is the command's help; the exit status
    /// of an error is 1.
    pub fn command<A: Args>(
        mut self,
        name: &'static str,
        run: impl FnOnce(&A, &Program) -> Result<ExitCode> + 'static,
    ) -> Self {
        self.commands.push(ExtraCommand::new(name, run));
        self
    }

    /// Adds a command that serves until it is told to end. It begins to log by itself, by
    /// [`Program::log_filter`], and async work that it leaves behind is not waited for. For the engine's own
    /// daemons.
    #[cfg(feature = "cluster")]
    #[doc(hidden)]
    pub fn daemon<A: Args>(
        mut self,
        name: &'static str,
        run: impl FnOnce(&A, &Program) -> Result<ExitCode> + 'static,
    ) -> Self {
        let mut command = ExtraCommand::new(name, run);
        command.is_daemon = true;
        self.commands.push(command);
        self
    }

    /// Says in one line what the program is, for `--help`.
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Sets the text at the end of `--help`: examples teach best.
    pub const fn examples(mut self, examples: &'static str) -> Self {
        self.examples = Some(examples);
        self
    }

    /// Returns the components, for tests of the program's topologies.
    #[must_use]
    pub fn into_registry(self) -> Registry {
        self.registry
    }

    /// Builds one of the program's own topologies, for tests; `args` are what stands behind its name on
    /// the command line.
    ///
    /// # Errors
    /// No such topology, wrong arguments, or what building it returned.
    pub fn build(&self, name: &str, args: &[&str]) -> Result<TopologySpec> {
        built::build(&self.topologies, name, args)
    }

    /// Does what the command line says. Blocks until it is done.
    ///
    /// Exit status: 0 done, 1 failed (`run`: or a message was never acked, or a task was down at the end), 2
    /// the command line or a topology is invalid and nothing started.
    #[must_use = "the exit status is what `main` returns"]
    pub fn main(self) -> ExitCode {
        line::dispatch(self, std::env::args_os().collect())
    }
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}
