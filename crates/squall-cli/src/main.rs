//! The command `squall`: a program of the ready-made components and the Kinesis spout, with commands to
//! try things out, the daemons of a cluster and the operator's commands.

mod bench;
mod cluster;
mod daemon;
mod demo;
mod dev;
mod health;
mod new;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Tuples are made by one thread and dropped by another, which the system's allocator does under locks. The
/// choice is this program's: the libraries leave it to whoever links them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
/// What it is called.
const ALLOCATOR_NAME: &str = "mimalloc";

const EXAMPLES: &str = "\
Examples:
  squall demo                                  see the main job at work; nothing else to install
  squall run topology.yaml                     run a topology until its spouts finish, or Ctrl-C
  squall run topology.yaml --for 30s -o json   run it for half a minute, print the totals as JSON
  squall run topology.yaml -f local.yaml --set bolts.count.parallelism=4
  squall validate topology.yaml                say everything that is wrong with it
  squall graph topology.yaml --format dot | dot -Tsvg > topology.svg
  squall components                            list what topologies can be made of
  squall components kinesis                    show one component: config and output fields
  squall schema > schema.json                  let an editor complete and check topology files
  squall new my-topology                       make a crate with a bolt of your own
  squall dev kinesis --stream clicks:2         serve a Kinesis endpoint on this machine
  squall dev put --stream clicks access.log    put the lines of a file to it, a record each
  squall dev get --stream clicks               print what its streams have
  squall bench --seconds 5                     measure this machine
  squall bench --all --repeat 5 -o json > then.json
  squall bench --all --repeat 5 --compare then.json

On a cluster:
  squall nimbus                                say what runs where; one for each cluster
  squall supervisor --nimbus 127.0.0.1:6627    run workers on this machine; one for each machine
  squall submit topology.yaml --wait           have a topology run there
  squall submit topology.yaml --bin target/release/my-topology --workers 4
  squall list                                  list what runs
  squall describe clickstream                  where it runs and why, how it fares, what it did
  squall logs clickstream/parse -f             what its workers write
  squall rebalance clickstream --workers 8     spread it anew
  squall kill clickstream --wait 30s           let it finish what is pending, and end it

Exit status: 0 done, 1 failed, 2 wrong usage or an invalid topology; then nothing was started.";

fn main() -> ExitCode {
    let mut app = squall::App::new().with(squall_kinesis::all);
    // As a supervisor starts it.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|arg| arg == "worker")
    {
        app = app.with(bench::components);
    }
    app.about("Runs topologies: streams of tuples through spouts and bolts, at least once")
        .examples(EXAMPLES)
        .command("demo", demo::demo)
        .command("bench", bench::bench)
        .command("new", new::new)
        .command("dev", dev::dev)
        .command("list", cluster::list)
        .command("describe", cluster::describe)
        .command("logs", cluster::logs)
        .command("kill", cluster::kill)
        .command("activate", cluster::activate)
        .command("deactivate", cluster::deactivate)
        .command("rebalance", cluster::rebalance)
        .command("supervisors", cluster::supervisors)
        .command("drain", cluster::drain)
        .daemon("nimbus", daemon::nimbus)
        .daemon("supervisor", daemon::supervisor)
        .command("health", health::health)
        .main()
}
