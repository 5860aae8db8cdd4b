//! `nimbus`: says what runs where.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::Args;
use squall::{Program, Result};
use squall_core::{ByteSize, HumanDuration};
use squall_daemon::shutdown::ShutdownBounds;
use squall_nimbus::{Nimbus, NimbusConfig, NimbusError};

use super::{BOUNDS, DaemonArgs, Ready, Refusal, listen, serve};

/// Serve as the nimbus of a cluster: takes topologies in, and says which supervisor runs which worker
///
/// When it serves it prints a line on stdout: `ready nimbus grpc=IP:PORT http=IP:PORT`. SIGTERM or Ctrl-C ends it;
/// what runs goes on without it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall nimbus --data-dir /var/lib/squall/nimbus
  squall nimbus --listen 10.0.0.1 --http 127.0.0.1 --insecure      for supervisors on other machines

Exit status: 0 ended as it was told to, 1 failed, or was made to end at once, 2 wrong settings.")]
pub(crate) struct NimbusArgs {
    /// Where it listens for supervisors, workers and operators; port 0 takes a free one
    #[arg(long, value_name = "IP[:PORT]", env = "SQUALL_NIMBUS_LISTEN", default_value = "127.0.0.1:6627", value_parser = grpc)]
    listen: SocketAddr,
    /// Where /healthz and /metrics are; port 0 takes a free one
    #[arg(long, value_name = "IP[:PORT]", env = "SQUALL_NIMBUS_HTTP", default_value = "127.0.0.1:6628", value_parser = http)]
    http: SocketAddr,
    /// Where the cluster's state and the programs are kept; one nimbus has it at a time
    #[arg(
        long,
        value_name = "DIR",
        env = "SQUALL_NIMBUS_DATA_DIR",
        default_value = "squall-nimbus"
    )]
    data_dir: PathBuf,
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten, next_help_heading = BOUNDS)]
    bounds: Bounds,
}

/// What `--help` shows and `-h` doesn't.
#[derive(Args, Debug)]
struct Bounds {
    /// How long a supervisor may be silent before it counts as lost and its workers move
    #[arg(long, value_name = "DURATION", env = "SQUALL_NIMBUS_SUPERVISOR_TIMEOUT", default_value_t = DEFAULT.supervisor_timeout, hide_short_help = true)]
    supervisor_timeout: HumanDuration,
    /// How long supervisors may take to come back after nimbus has started, or was cut off from all
    #[arg(long, value_name = "DURATION", env = "SQUALL_NIMBUS_START_GRACE", default_value_t = DEFAULT.start_grace, hide_short_help = true)]
    start_grace: HumanDuration,
    /// How often a worker may be started again in a slot before it counts as crash-looping and moves
    #[arg(long, value_name = "N", env = "SQUALL_NIMBUS_MAX_RESTARTS", default_value_t = DEFAULT.max_restarts, hide_short_help = true)]
    max_restarts: u32,
    /// How long a worker that crash-looped doesn't come back to the supervisor where it did
    #[arg(long, value_name = "DURATION", env = "SQUALL_NIMBUS_SHUN_FOR", default_value_t = DEFAULT.shun_for, hide_short_help = true)]
    shun_for: HumanDuration,
    /// How long a lost supervisor without workers is remembered
    #[arg(long, value_name = "DURATION", env = "SQUALL_NIMBUS_FORGET_AFTER", default_value_t = DEFAULT.forget_after, hide_short_help = true)]
    forget_after: HumanDuration,
    /// The most topologies, up to 4096
    #[arg(long, value_name = "N", env = "SQUALL_NIMBUS_MAX_TOPOLOGIES", default_value_t = DEFAULT.max_topologies, hide_short_help = true)]
    max_topologies: usize,
    /// The most bytes of the specs of all topologies together
    #[arg(long, value_name = "SIZE", env = "SQUALL_NIMBUS_MAX_SPEC_BYTES", default_value_t = DEFAULT.max_spec_bytes, hide_short_help = true)]
    max_spec_bytes: ByteSize,
    /// The most supervisors, up to 4096
    #[arg(long, value_name = "N", env = "SQUALL_NIMBUS_MAX_SUPERVISORS", default_value_t = DEFAULT.max_supervisors, hide_short_help = true)]
    max_supervisors: usize,
    /// The shortest time between two commits of checkpoints: what comes in between is committed together
    #[arg(long, value_name = "DURATION", env = "SQUALL_NIMBUS_COMMIT_INTERVAL", default_value_t = DEFAULT.commit_interval, hide_short_help = true)]
    commit_interval: HumanDuration,
    /// How much the cluster's state may take, checkpoints included
    #[arg(long, value_name = "SIZE", env = "SQUALL_NIMBUS_MAX_STORE_BYTES", default_value_t = DEFAULT.max_store_bytes, hide_short_help = true)]
    max_store_bytes: ByteSize,
    /// The largest program, up to 2GiB
    #[arg(long, value_name = "SIZE", env = "SQUALL_NIMBUS_MAX_BINARY_BYTES", default_value_t = DEFAULT.max_binary_bytes, hide_short_help = true)]
    max_binary_bytes: ByteSize,
    /// How much all programs may take together
    #[arg(long, value_name = "SIZE", env = "SQUALL_NIMBUS_MAX_BINARIES_BYTES", default_value_t = DEFAULT.max_binaries_bytes, hide_short_help = true)]
    max_binaries_bytes: ByteSize,
    /// What stays free on the disk: no program is taken into it
    #[arg(long, value_name = "SIZE", env = "SQUALL_NIMBUS_MIN_FREE", default_value_t = DEFAULT.min_free, hide_short_help = true)]
    min_free: ByteSize,
    /// How long a program is kept that no topology refers to
    #[arg(long, value_name = "DURATION", env = "SQUALL_NIMBUS_KEEP_BINARIES", default_value_t = DEFAULT.keep_binaries, hide_short_help = true)]
    keep_binaries: HumanDuration,
}

static DEFAULT: LazyLock<NimbusConfig> = LazyLock::new(NimbusConfig::default);

/// Serves until it is told to end.
pub(crate) fn nimbus(args: &NimbusArgs, program: &Program) -> Result<ExitCode> {
    args.daemon.log(program)?;
    let config = args.config();
    let serving = serve("nimbus", ShutdownBounds::default().drain, async |scope| {
        args.daemon.may_listen_at(&[args.listen, args.http])?;
        let nimbus = Nimbus::start(config, scope).await.map_err(refusal)?;
        let (grpc, http) = (nimbus.address(), nimbus.http_address());
        let ready = Ready {
            data: format!("grpc={grpc} http={http}"),
            talk: format!("nimbus listens at {grpc}; http://{http} has /healthz and /metrics"),
        };
        Ok((ready, nimbus.run()))
    });
    program.tokio().block_on(serving)
}

fn refusal(error: NimbusError) -> Refusal {
    match error {
        NimbusError::Config(mistakes) => Refusal::Settings(mistakes),
        error => Refusal::Other(error.to_string()),
    }
}

impl NimbusArgs {
    fn config(&self) -> NimbusConfig {
        let bounds = &self.bounds;
        NimbusConfig {
            data_dir: self.data_dir.clone(),
            bind: self.listen.ip(),
            port: self.listen.port(),
            http_bind: Some(self.http.ip()),
            http_port: self.http.port(),
            insecure: self.daemon.insecure,
            supervisor_timeout: bounds.supervisor_timeout,
            start_grace: bounds.start_grace,
            max_restarts: bounds.max_restarts,
            shun_for: bounds.shun_for,
            forget_after: bounds.forget_after,
            max_topologies: bounds.max_topologies,
            max_spec_bytes: bounds.max_spec_bytes,
            max_supervisors: bounds.max_supervisors,
            commit_interval: bounds.commit_interval,
            max_store_bytes: bounds.max_store_bytes,
            max_binary_bytes: bounds.max_binary_bytes,
            max_binaries_bytes: bounds.max_binaries_bytes,
            min_free: bounds.min_free,
            keep_binaries: bounds.keep_binaries,
        }
    }
}

fn grpc(text: &str) -> Result<SocketAddr, String> {
    listen::at(text, DEFAULT.port)
}

fn http(text: &str) -> Result<SocketAddr, String> {
    listen::at(text, DEFAULT.http_port)
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    #[test]
    fn without_flags_it_is_the_default() {
        let command = NimbusArgs::augment_args(Command::new("nimbus"));
        let matches = command.try_get_matches_from(["nimbus"]).unwrap();
        let args = NimbusArgs::from_arg_matches(&matches).unwrap();
        let expected = NimbusConfig {
            http_bind: Some(DEFAULT.bind),
            ..DEFAULT.clone()
        };
        assert_eq!(args.config(), expected);
    }
}
