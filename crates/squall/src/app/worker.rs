//! `worker`: what a supervisor starts this program as.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::App;
use crate::console;

/// The command's name. Supervisors type it.
pub(super) const NAME: &str = "worker";

/// Run a part of a topology, as a supervisor's launch file says
#[derive(Args, Debug)]
struct WorkerArgs {
    /// The launch file
    #[arg(long, value_name = "FILE")]
    launch: PathBuf,
}

/// Makes the command, which help doesn't show: nobody starts a worker by hand.
pub(super) fn command() -> Command {
    WorkerArgs::augment_args(Command::new(NAME)).hide(true)
}

/// Runs the worker until it ends. It has a log, a runtime and signals of its own.
pub(super) fn worker(app: App, matches: &ArgMatches) -> ExitCode {
    let args = match WorkerArgs::from_arg_matches(matches) {
        Ok(args) => args,
        Err(error) => {
            console::say(error);
            return ExitCode::FAILURE;
        }
    };
    let App {
        registry,
        topologies,
        ..
    } = app;
    let registry = Arc::new(registry);
    squall_worker::main(&args.launch, &registry, &|program| {
        let args: Vec<&str> = program.args.iter().map(String::as_str).collect();
        super::built::build(&topologies, &program.name, &args)
    })
}

#[cfg(test)]
mod tests {
    use crate::app::line;

    use super::*;

    #[test]
    fn every_program_is_a_worker_and_says_so_to_nobody() {
        let parse = |args: &[&str]| {
            let args = ["test"].iter().chain(args);
            line::parse(&App::new(), args.map(Into::into).collect())
        };
        let matches = parse(&["worker", "--launch", "a/launch"]).unwrap();
        let (name, matches) = matches.subcommand().unwrap();
        assert_eq!(name, NAME);
        let args = WorkerArgs::from_arg_matches(matches).unwrap();
        assert_eq!(args.launch, PathBuf::from("a/launch"));
        let help = parse(&["--help"]).unwrap_err().to_string();
        assert!(help.contains("validate") && !help.contains(NAME), "{help}");
    }
}
