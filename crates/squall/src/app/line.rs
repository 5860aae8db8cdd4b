//! The command line: which command, with which arguments.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command};

use squall_core::Result;

use crate::app::built::BuiltTopology;
use crate::app::command::ExtraCommand;
use crate::app::target::{FileArgs, Refusal};
use crate::app::{App, Program, components, examples, graph, logs, run, schema, validate};
#[cfg(feature = "cluster")]
use crate::app::{describe, submit, worker};
use crate::console;

/// The engine's version. A program of another name says beside it whose version that is.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Wrong usage, or a topology that is invalid: nothing was started.
const USAGE: u8 = 2;

/// Reads the command line and does what it says.
pub(super) fn dispatch(app: App, args: Vec<OsString>) -> ExitCode {
    let matches = match parse(&app, args) {
        Ok(matches) => matches,
        Err(error) => {
            // Nobody is left to be told that this can't be written.
            error.print().unwrap_or_default();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    #[cfg(feature = "cluster")]
    if let Some((worker::NAME, matches)) = matches.subcommand() {
        return worker::worker(app, matches);
    }
    let outcome = perform(app, &matches);
    outcome.unwrap_or_else(|error| {
        if let Some(refusal) = error.as_error().downcast_ref::<Refusal>() {
            console::say(refusal.to_string().trim_end());
            return ExitCode::from(USAGE);
        }
        console::say(format_args!("error: {error}"));
        ExitCode::FAILURE
    })
}

fn perform(app: App, matches: &ArgMatches) -> Result<ExitCode> {
    let log_filter = matches.get_one::<String>("log").cloned();
    let is_daemon = matches.subcommand_name().is_some_and(|name| {
        let mut daemons = app.commands.iter().filter(|own| own.is_daemon);
        daemons.any(|own| own.name == name)
    });
    if !is_daemon {
        logs::start(log_filter.as_deref().unwrap_or("warn"))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("squall-io")
        .enable_all()
        .build()?;
    let program = Program {
        registry: Arc::new(app.registry),
        topologies: app.topologies,
        tokio: runtime.handle().clone(),
        log_filter,
    };
    let outcome = command_of(app.commands, matches, &program);
    if is_daemon {
        // What never ends has been named; dropping the runtime would wait for it.
        runtime.shutdown_background();
    }
    outcome
}

/// Runs the command that was given.
fn command_of(own: Vec<ExtraCommand>, matches: &ArgMatches, program: &Program) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("run", matches)) => run::run(matches, program),
        Some(("validate", matches)) => validate::validate(matches, program),
        Some(("graph", matches)) => graph::graph(matches, program),
        Some(("components", matches)) => components::components(matches, program),
        Some(("schema", _)) => schema::schema(program),
        #[cfg(feature = "cluster")]
        Some(("submit", matches)) => submit::submit(matches, program),
        #[cfg(feature = "cluster")]
        Some((describe::NAME, matches)) => describe::describe(matches, program),
        Some((name, matches)) => {
            let own = own.into_iter().find(|own| own.name == name);
            own.map_or(Ok(ExitCode::from(USAGE)), |own| own.run(matches, program))
        }
        None => Ok(ExitCode::from(USAGE)),
    }
}

/// Parses; where a program has a single topology, its name may be left out.
pub(super) fn parse(app: &App, args: Vec<OsString>) -> Result<ArgMatches, clap::Error> {
    let command = command(app, name_of(&args));
    if let ([topology], Some(at)) = (app.topologies.as_slice(), name_is_missing(&args)) {
        let mut named = args.clone();
        named.insert(at, topology.name.into());
        match command.clone().try_get_matches_from(named) {
            Ok(matches) => return Ok(matches),
            Err(error) if error.kind() == ErrorKind::UnknownArgument => {}
            Err(error) => return Err(error),
        }
    }
    command.try_get_matches_from(args)
}

/// Returns where a topology's name would stand in `run …`, if an option or nothing stands there.
fn name_is_missing(args: &[OsString]) -> Option<usize> {
    const TAKE_TOPOLOGY: [&str; 5] = ["run", "validate", "graph", "submit", "__describe"];
    let takes_topology = |arg: &OsString| TAKE_TOPOLOGY.iter().any(|c| arg == c);
    let at = args.iter().position(takes_topology)? + 1;
    let begins_with_dash = |arg: &OsString| arg.as_encoded_bytes().first() == Some(&b'-');
    let is_help = |arg: &OsString| arg == "--help" || arg == "-h";
    let next = args.get(at);
    (next.is_none_or(begins_with_dash) && !next.is_some_and(is_help)).then_some(at)
}

/// Returns the name that the program was called by.
fn name_of(args: &[OsString]) -> String {
    let name = args.first().and_then(|path| Path::new(path).file_stem());
    name.map_or_else(
        || "squall".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn command(app: &App, name: String) -> Command {
    let version = match name.as_str() {
        "squall" => VERSION,
        _ => concat!("(squall ", env!("CARGO_PKG_VERSION"), ")"),
    };
    let examples = match app.examples {
        Some(examples) => examples.to_owned(),
        None => examples::of(&name, &app.topologies),
    };
    // Clap wants a name that lives as long as the program; there is one.
    let name: &'static str = name.leak();
    let log = Arg::new("log")
        .long("log")
        .value_name("FILTER")
        .env("RUST_LOG")
        .global(true)
        .display_order(1000)
        .help("What to log to stderr: error, warn, info, debug, or by module [default: warn]");
    let mut command = Command::new(name)
        .about(app.about)
        .after_help(examples)
        .version(version)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(log)
        .subcommand(on_topology::<run::RunArgs>("run", &app.topologies))
        .subcommand(on_topology::<validate::ValidateArgs>(
            "validate",
            &app.topologies,
        ))
        .subcommand(on_topology::<graph::GraphArgs>("graph", &app.topologies))
        .subcommand(components::ComponentsArgs::augment_args(Command::new(
            "components",
        )))
        .subcommand(schema::SchemaArgs::augment_args(Command::new("schema")));
    #[cfg(feature = "cluster")]
    {
        let submit = on_topology::<submit::SubmitArgs>("submit", &app.topologies);
        command = command.subcommand(submit::with_others(submit));
        let describe = on_topology::<describe::DescribeArgs>(describe::NAME, &app.topologies);
        command = command.subcommand(describe.hide(true));
        command = command.subcommand(worker::command());
    }
    for own in &app.commands {
        command = command.subcommand(own.subcommand());
    }
    command
}

/// Makes a command that takes a topology: a file, or the name of one that is built in Rust.
fn on_topology<A: Args>(name: &'static str, topologies: &[BuiltTopology]) -> Command {
    let command = A::augment_args(FileArgs::augment_args(Command::new(name)));
    let about = A::augment_args(Command::new(name)).get_about().cloned();
    let command = command
        .about(about.unwrap_or_default())
        .args_conflicts_with_subcommands(true)
        .subcommand_value_name("NAME")
        .subcommand_help_heading("Topologies of this program")
        .disable_help_subcommand(true);
    topologies.iter().fold(command, |command, topology| {
        command.subcommand(topology.subcommand(A::augment_args))
    })
}
