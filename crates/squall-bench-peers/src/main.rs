//! Measures other engines in turn with Squall, and says how many times as fast Squall is.
//!
//! Each round runs every job on every engine, so that a machine that slows down slows all of them. What is printed of
//! several rounds are medians and ranges; ratios are taken within a round.

mod args;
mod child;
mod console;
mod contender;
mod engine;
mod job;
mod measure;
mod programs;
mod report;
mod sample;
mod stats;
mod target;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::Args;
use child::Stop;
use engine::flink::Flink;
use programs::Programs;
use report::{Report, Setting};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let stop = Stop::listen()?;
    let setting = Setting::look(args);
    let programs = Programs::find(args, &stop)?;
    let flink = programs.flink.as_ref();
    let setting = setting.with_flink(flink.map(Flink::version));
    let measured = measure::measure(args, &programs, &stop)?;
    let report = Report::new(setting, &measured);
    console::data(report.print(args.output)?);
    Ok(())
}
