//! `submit`: has a cluster run a topology, with this program or another one as the worker.
//!
//! Nothing is half done when it is refused: nimbus is asked first what it would do, then the program is
//! stored, and only then the topology is submitted.

mod ask;
mod meter;
mod wait;

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use serde_json::json;
use tokio::sync::watch;

use squall_client::{Binary, Nimbus};
use squall_core::{ByteSize, HumanDuration, Result};
use squall_daemon::elf::Elf;
use squall_daemon::identity::Identity;
use squall_proto::bounds::{MAX_ARGS, MAX_ARGS_BYTES, MAX_SPEC_BYTES, MAX_WORKERS};
use squall_proto::handshake::runs_on;
use squall_proto::{Plan, Program as WireProgram, Submit, TopologyName};

use crate::app::target::FileArgs;
use crate::app::{Program, arguments};
use crate::cluster::{Format, NimbusArgs, advise, explain, plan_json, show_plan, topology_name};
use crate::console;
use crate::description::{DescribedTopology, Description};
use meter::Meter;

/// Wrong usage, or a topology that is invalid: nothing was submitted.
const USAGE: u8 = 2;

/// Have a cluster run a topology
///
/// This program, or the one of --bin, checks the topology as `validate` does; then it is uploaded, unless the
/// cluster has it, and supervisors start it as the workers.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status:
  0  the topology was submitted; with --wait: every task runs
  1  nimbus can't be reached or refuses, or with --wait: not every task runs in time
  2  wrong usage or an invalid topology: nothing was submitted")]
pub(super) struct SubmitArgs {
    /// The program that is the worker and has the components: one built with Squall [default: this one]
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
    /// How many workers to spread it over [default: the topology's setting `workers`, or 1]
    #[arg(long, value_name = "N", value_parser = n_workers)]
    workers: Option<NonZeroU32>,
    /// Only show where the workers would go; uploads nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Return when every task runs, or fail after this long (60s if none is given)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "60s")]
    wait: Option<HumanDuration>,
    /// How to print where they go
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
    #[command(flatten)]
    nimbus: NimbusArgs,
}

// What only a topology in files, or one of another program, takes. (A doc comment would become the help.)
#[derive(Args, Debug)]
struct OthersArgs {
    /// Submit it under another name, which is the same as `--set name=NAME`
    #[arg(long, value_name = "NAME", value_parser = topology_name, id = "submit_name")]
    name: Option<TopologyName>,
    /// Arguments of a topology that the program of --bin builds in Rust, FILE being its name
    #[arg(value_name = "ARGS", last = true, id = "submit_args")]
    args: Vec<OsString>,
}

/// Adds what a file may have beside the options of [`SubmitArgs`].
pub(super) fn with_others(command: Command) -> Command {
    OthersArgs::augment_args(command)
}

/// Submits a topology.
pub(super) fn submit(matches: &ArgMatches, program: &Program) -> Result<ExitCode> {
    let args = SubmitArgs::from_arg_matches(crate::app::target::options(matches))?;
    let asked = asked(matches, program)?;
    program.tokio().block_on(args.submit(&asked))
}

/// Returns the arguments with which the program describes the topology of this command line.
fn asked(matches: &ArgMatches, program: &Program) -> Result<Vec<OsString>> {
    if let Some((name, matches)) = matches.subcommand() {
        let built = program.topologies.iter().find(|built| built.name == name);
        let args = built.map(|built| arguments::written(built, matches));
        let args = args.transpose()?.unwrap_or_default();
        let args = args.into_iter().map(OsString::from);
        return Ok(std::iter::once(name.into()).chain(args).collect());
    }
    let others = OthersArgs::from_arg_matches(matches)?;
    let mut asked = FileArgs::from_arg_matches(matches)?.written();
    if let Some(name) = others.name {
        asked.extend(["--set".into(), format!("name={name}").into()]);
    }
    asked.extend(others.args);
    Ok(asked)
}

impl SubmitArgs {
    async fn submit(&self, asked: &[OsString]) -> Result<ExitCode> {
        let bin = self.bin()?;
        let description = match ask::ask(&bin, asked).await {
            Ok(description) => description,
            Err(error) => {
                console::say(format_args!("error: {error}"));
                return Ok(ExitCode::from(error.status()));
            }
        };
        if !description.report.is_empty() {
            console::say(&description.report);
        }
        let Some(topology) = &description.topology else {
            return Ok(ExitCode::from(USAGE));
        };
        let mut nimbus = self.nimbus.connect().await?;
        speaks_with(&description, &nimbus)?;
        let binary = Binary::read(&bin)?;
        let mut submit = submission(topology, &binary)?;
        submit.n_workers = self.workers;
        let planned = nimbus.submit(submit.clone()).await.map_err(explain)?;
        if self.dry_run {
            self.show(None, &planned.plan);
            console::say("nothing was submitted");
            return Ok(ExitCode::SUCCESS);
        }
        upload(&mut nimbus, &binary).await?;
        submit.dry_run = false;
        let name = submit.name.clone();
        let planned = nimbus.submit(submit).await.map_err(explain)?;
        let id = planned.topology.ok_or("nimbus tells no topology's id")?;
        self.show(Some(id.as_str()), &planned.plan);
        let from = &topology.origin;
        console::say(format_args!(
            "{id} is submitted, from {from}; `squall describe {name}` tells how it fares"
        ));
        match self.wait {
            Some(bound) => wait::until_all_run(&mut nimbus, &name, &id, bound.0).await,
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// Returns the program's path, absolute: a bare name is one in this folder, not one in `PATH`. Checks
    /// that it is a program before it is called.
    fn bin(&self) -> Result<PathBuf> {
        let given = match &self.bin {
            Some(bin) => bin.clone(),
            None => std::env::current_exe()?,
        };
        let given_as = given.display();
        let refuse = |why: &dyn std::fmt::Display| {
            let what = format!("`{given_as}` can't be submitted: {why}");
            advise(
                what,
                "give --bin a program built by `cargo build --release`",
            )
        };
        let bin = given.canonicalize().map_err(|error| refuse(&error))?;
        let elf = Elf::open(&bin).map_err(|error| refuse(&error))?;
        // It is asked before nimbus is, and so has to run here as well.
        runs_on(&elf.needs(), &Identity::ours().handshake(None)).map_err(|mismatch| {
            let what = format!("`{given_as}` can't be run here to check the topology: {mismatch}");
            advise(what, mismatch.action())
        })?;
        Ok(bin)
    }

    fn show(&self, id: Option<&str>, plan: &Plan) {
        match self.output {
            Format::Table => show_plan(Format::Table, plan),
            Format::Json => console::data(json!({ "id": id, "plan": plan_json(plan) })),
        }
    }
}

/// Makes what nimbus is asked, for now as a dry run.
fn submission(topology: &DescribedTopology, binary: &Binary) -> Result<Submit> {
    let spec = topology.spec.get();
    if spec.len() > MAX_SPEC_BYTES {
        let what = format!(
            "the topology is too large: {} bytes as JSON, at most {MAX_SPEC_BYTES}",
            spec.len()
        );
        return Err(advise(
            what,
            "keep data out of configs: let components read it themselves",
        ));
    }
    let program = topology.program.as_ref().map(|program| WireProgram {
        name: program.name.clone(),
        args: program.args.clone(),
    });
    if let Some(WireProgram { args, .. }) = &program
        && (args.len() > MAX_ARGS || args.iter().map(String::len).sum::<usize>() > MAX_ARGS_BYTES)
    {
        let what = format!(
            "too many arguments for the topology: at most {MAX_ARGS}, together at most {MAX_ARGS_BYTES} bytes"
        );
        return Err(advise(what, "put them in a file that the components read"));
    }
    Ok(Submit {
        name: topology_name(&topology.name)?,
        spec_json: spec.to_owned().into(),
        binary_sha256: binary.sha256(),
        needs: binary.needs().clone(),
        n_workers: None,
        program,
        dry_run: true,
    })
}

/// Refuses a program that the cluster couldn't talk to.
fn speaks_with(description: &Description, nimbus: &Nimbus) -> Result<()> {
    let handshake = &nimbus.hello().handshake;
    let (ours, theirs) = (
        description.protocol_min..=description.protocol_max,
        &handshake.protocols,
    );
    if ours.start() <= theirs.end() && theirs.start() <= ours.end() {
        return Ok(());
    }
    let what = format!(
        "the program speaks the protocols {} to {} (engine {}), the cluster {} to {} (engine {})",
        ours.start(),
        ours.end(),
        description.engine_version,
        theirs.start(),
        theirs.end(),
        handshake.engine_version
    );
    let action = format!("build the program with Squall {}", handshake.engine_version);
    Err(advise(what, action))
}

/// Stores the program, unless it is stored, and shows how far that is.
async fn upload(nimbus: &mut Nimbus, binary: &Binary) -> Result<()> {
    let shift = if binary.size_bytes() < 1 << 20 {
        10
    } else {
        20
    };
    let size = ByteSize(binary.size_bytes() >> shift << shift);
    let (sent, mut seen) = watch::channel(0);
    let watch = async {
        // The first change: it has to be uploaded. The last sender goes with the upload.
        if seen.changed().await.is_ok() {
            let meter = Meter::of_bytes(
                format!("uploading the program ({size})"),
                binary.size_bytes(),
            );
            meter.set(*seen.borrow_and_update());
            while seen.changed().await.is_ok() {
                meter.set(*seen.borrow_and_update());
            }
        }
    };
    let (uploaded, ()) = tokio::join!(nimbus.upload(binary, sent), watch);
    if !uploaded.map_err(explain)? {
        console::say("the cluster has the program already");
    }
    Ok(())
}

fn n_workers(text: &str) -> Result<NonZeroU32, String> {
    let n = text.parse().ok();
    let n = n.filter(|n: &NonZeroU32| n.get() <= MAX_WORKERS);
    n.ok_or_else(|| format!("a number from 1 to {MAX_WORKERS}"))
}
