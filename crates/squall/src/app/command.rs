//! A command of the program's own.

use std::process::ExitCode;

use clap::{ArgMatches, Args, Command};

use squall_core::Result;

use crate::app::Program;

type Run = Box<dyn FnOnce(&ArgMatches, &Program) -> Result<ExitCode>>;

/// A command by name, with its arguments.
pub(super) struct ExtraCommand {
    pub(super) name: &'static str,
    /// It begins to log by itself.
    pub(super) is_daemon: bool,
    augment: fn(Command) -> Command,
    run: Run,
}

impl ExtraCommand {
    pub(super) fn new<A: Args>(
        name: &'static str,
        run: impl FnOnce(&A, &Program) -> Result<ExitCode> + 'static,
    ) -> Self {
        Self {
            name,
            is_daemon: false,
            augment: A::augment_args,
            run: Box::new(move |matches, program| run(&A::from_arg_matches(matches)?, program)),
        }
    }

    pub(super) fn subcommand(&self) -> Command {
        (self.augment)(Command::new(self.name))
    }

    pub(super) fn run(self, matches: &ArgMatches, program: &Program) -> Result<ExitCode> {
        (self.run)(matches, program)
    }
}
