//! `supervisor`: runs workers on this machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use clap::Args;
use squall::{Program, Result};
use squall_core::{ByteSize, HumanDuration};
use squall_supervisor::{StartError, Supervisor, SupervisorConfig};

use super::{BOUNDS, DaemonArgs, Ready, Refusal, listen, serve};

/// How much longer than its workers a supervisor may take to end.
const DRAIN_SLACK: Duration = Duration::from_secs(15);

/// Serve as the supervisor of this machine: starts the workers that nimbus places here, and looks after them
///
/// When it serves it prints a line on stdout: `ready supervisor id=ID grpc=HOST:PORT slots=PORT,…`. SIGTERM or
/// Ctrl-C drains and ends its workers, a second one leaves them running. What it picks itself, its name and its
/// ports, it keeps in its data directory.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall supervisor                                four slots, for a nimbus on this machine
  squall supervisor --nimbus 10.0.0.1:6627 --listen 10.0.0.2 --slots 8 --insecure
  squall supervisor --leave-workers                for an upgrade: the next start takes its workers over

Exit status: 0 ended as it was told to, 1 failed, or was made to end at once, 2 wrong settings.")]
pub(crate) struct SupervisorArgs {
    /// Where nimbus is; several with commas in between are tried in turn
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "SQUALL_NIMBUS",
        default_value = "127.0.0.1:6627",
        value_delimiter = ','
    )]
    nimbus: Vec<String>,
    /// Where it and its workers listen; without a port, or with 0, one is picked at the first start
    #[arg(long, value_name = "IP[:PORT]", env = "SQUALL_SUPERVISOR_LISTEN", default_value = "127.0.0.1", value_parser = any_port)]
    listen: SocketAddr,
    /// The host under which others reach this machine [default: the IP of --listen, or the machine's name where
    /// that is every address]
    #[arg(long, value_name = "NAME", env = "SQUALL_SUPERVISOR_HOST")]
    host: Option<String>,
    /// Its name in the cluster [default: the machine's name and four digits, drawn at the first start]
    #[arg(long, value_name = "NAME", env = "SQUALL_SUPERVISOR_ID")]
    id: Option<String>,
    /// How many workers it can run, 1 to 64; their ports are picked at the first start
    #[arg(long, value_name = "N", env = "SQUALL_SUPERVISOR_SLOTS", default_value_t = DEFAULT.n_slots, conflicts_with = "slot_ports")]
    slots: u16,
    /// The ports of its workers, one each, instead of picking them
    #[arg(
        long,
        value_name = "PORT,…",
        env = "SQUALL_SUPERVISOR_SLOT_PORTS",
        value_delimiter = ','
    )]
    slot_ports: Vec<u16>,
    /// Where it keeps what it has to know after a restart, programs, and the workers' logs
    #[arg(
        long,
        value_name = "DIR",
        env = "SQUALL_SUPERVISOR_DATA_DIR",
        default_value = "squall-supervisor"
    )]
    data_dir: PathBuf,
    /// Leave workers running when it ends, for the next start to take over
    #[arg(long, env = "SQUALL_SUPERVISOR_LEAVE_WORKERS", value_parser = clap::builder::FalseyValueParser::new())]
    leave_workers: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten, next_help_heading = BOUNDS)]
    bounds: Bounds,
}

/// What `--help` shows and `-h` doesn't.
#[derive(Args, Debug)]
struct Bounds {
    /// What stays free on the disk: no program is fetched into it
    #[arg(long, value_name = "SIZE", env = "SQUALL_SUPERVISOR_MIN_FREE", default_value_t = DEFAULT.min_free, hide_short_help = true)]
    min_free: ByteSize,
    /// How long a new worker may take until it calls, before it is killed
    #[arg(long, value_name = "DURATION", env = "SQUALL_SUPERVISOR_START_TIMEOUT", default_value_t = DEFAULT.start_timeout, hide_short_help = true)]
    start_timeout: HumanDuration,
    /// How long a worker may say nothing, before it is killed and started again
    #[arg(long, value_name = "DURATION", env = "SQUALL_SUPERVISOR_WORKER_SILENCE", default_value_t = DEFAULT.worker_silence, hide_short_help = true)]
    worker_silence: HumanDuration,
    /// How long a worker that has to end may take to finish what is pending
    #[arg(long, value_name = "DURATION", env = "SQUALL_SUPERVISOR_DRAIN_TIMEOUT", default_value_t = DEFAULT.drain_timeout, hide_short_help = true)]
    drain_timeout: HumanDuration,
    /// How long it may take to end after that, before it is killed
    #[arg(long, value_name = "DURATION", env = "SQUALL_SUPERVISOR_TERM_GRACE", default_value_t = DEFAULT.term_grace, hide_short_help = true)]
    term_grace: HumanDuration,
    /// The wait before a worker that ended is started again; it doubles while the worker doesn't stay up
    #[arg(long, value_name = "DURATION", env = "SQUALL_SUPERVISOR_RESTART_BACKOFF", default_value_t = DEFAULT.restart_backoff, hide_short_help = true)]
    restart_backoff: HumanDuration,
    /// The longest such wait
    #[arg(long, value_name = "DURATION", env = "SQUALL_SUPERVISOR_RESTART_BACKOFF_CAP", default_value_t = DEFAULT.restart_backoff_cap, hide_short_help = true)]
    restart_backoff_cap: HumanDuration,
    /// The wait between attempts once a worker has ended again and again
    #[arg(long, value_name = "DURATION", env = "SQUALL_SUPERVISOR_FAILED_RETRY", default_value_t = DEFAULT.failed_retry, hide_short_help = true)]
    failed_retry: HumanDuration,
}

static DEFAULT: LazyLock<SupervisorConfig> = LazyLock::new(SupervisorConfig::default);

/// Serves until it is told to end.
pub(crate) fn supervisor(args: &SupervisorArgs, program: &Program) -> Result<ExitCode> {
    args.daemon.log(program)?;
    let config = args.config();
    let drain = config.drain_timeout.0 + config.term_grace.0 + DRAIN_SLACK;
    let serving = serve("supervisor", drain, async |scope| {
        args.daemon.may_listen_at(&[args.listen])?;
        let supervisor = Supervisor::start(config, scope).await.map_err(refusal)?;
        let slots: Vec<_> = supervisor.slot_ports().iter().map(u16::to_string).collect();
        let (id, address, slots) = (supervisor.id(), supervisor.address(), slots.join(","));
        let ready = Ready {
            data: format!("id={id} grpc={address} slots={slots}"),
            talk: format!("supervisor {id} listens at {address}, its workers at the ports {slots}"),
        };
        Ok((ready, supervisor.run()))
    });
    program.tokio().block_on(serving)
}

fn refusal(error: StartError) -> Refusal {
    match error {
        StartError::Config(mistakes) => Refusal::Settings(mistakes),
        error => Refusal::Other(error.to_string()),
    }
}

impl SupervisorArgs {
    fn config(&self) -> SupervisorConfig {
        let bounds = &self.bounds;
        SupervisorConfig {
            data_dir: self.data_dir.clone(),
            supervisor_id: self.id.clone(),
            nimbus: self.nimbus.clone(),
            bind: self.listen.ip(),
            port: self.listen.port(),
            host: self.host.clone(),
            slot_ports: self.slot_ports.clone(),
            n_slots: self.slots,
            insecure: self.daemon.insecure,
            leave_workers: self.leave_workers,
            min_free: bounds.min_free,
            start_timeout: bounds.start_timeout,
            worker_silence: bounds.worker_silence,
            drain_timeout: bounds.drain_timeout,
            term_grace: bounds.term_grace,
            restart_backoff: bounds.restart_backoff,
            restart_backoff_cap: bounds.restart_backoff_cap,
            failed_retry: bounds.failed_retry,
            ..SupervisorConfig::default()
        }
    }
}

fn any_port(text: &str) -> Result<SocketAddr, String> {
    listen::at(text, 0)
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn config(args: &[&str]) -> SupervisorConfig {
        let command = SupervisorArgs::augment_args(Command::new("supervisor"));
        let matches = command.try_get_matches_from([&["supervisor"], args].concat());
        SupervisorArgs::from_arg_matches(&matches.unwrap())
            .unwrap()
            .config()
    }

    #[test]
    fn without_flags_it_is_the_default() {
        let as_json = |config| serde_json::to_value(config).unwrap();
        assert_eq!(as_json(config(&[])), as_json(SupervisorConfig::default()));
    }

    #[test]
    fn lists_have_commas_in_between() {
        let config = config(&[
            "--nimbus",
            "a:1,b:2",
            "--slot-ports",
            "6700,6701",
            "--listen",
            "10.0.0.1:6630",
        ]);
        assert_eq!(
            (config.nimbus.len(), config.slot_ports.as_slice()),
            (2, &[6700, 6701][..])
        );
        assert_eq!(
            (config.bind.to_string().as_str(), config.port),
            ("10.0.0.1", 6630)
        );
    }
}
