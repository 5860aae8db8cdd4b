//! The command `squall`: a program of the ready-made components and the Kinesis spout, with commands to
//! try things out.

mod bench;
mod demo;

use std::process::ExitCode;

fn main() -> ExitCode {
    squall::App::new()
        .with(squall_kinesis::all)
        .about("Runs topologies: streams of tuples through spouts and bolts, at least once")
        .command("demo", demo::demo)
        .command("bench", bench::bench)
        .main()
}
