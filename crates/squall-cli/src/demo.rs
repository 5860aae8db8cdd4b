//! `demo`: the main job, at work in one process.
//!
//! A producer puts click events to a Kinesis stream and keeps the truth on its own side; the topology
//! `clickstream` reads the stream, fails some events on purpose, and counts; in the middle a shard is
//! split. At the end the topology's counts are compared with the truth.

mod events;
mod producer;
mod show;
mod stage;
mod summary;
mod tally;
mod tape;
mod topology;
mod truth;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};

use squall::local::{self, Local};
use squall::{HumanDuration, Moment, Program, Result, console};

use events::Events;
use producer::Plan;
use show::Show;
use stage::Stage;
use summary::Summary;
use topology::Demo;

/// How often the end is looked for and a terminal's table drawn.
const PERIOD: Duration = Duration::from_millis(200);
/// How long the demo waits for events that don't come any more: a retry after a time-out comes sooner.
const PATIENCE: Duration = Duration::from_secs(45);
/// How many events there are where nothing else is said.
const N_EVENTS: u64 = 20_000;

/// See the main job at work: a Kinesis stream, faults on purpose, nothing lost
///
/// Starts a Kinesis endpoint inside this process, puts click events to a stream of two shards, and runs
/// the topology `clickstream` on it: parse, count by referrer, top 10. On the way 1 % of the first
/// attempts fail and a shard is split. At the end the topology's counts are compared with what was put;
/// exit status 1 if anything was lost or a count differs.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Put the lines of this access log (combined format) instead of made-up ones
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How many events to put at most [default: 20000, or all lines of FILE]
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// How many to put per second
    #[arg(long, value_name = "N", default_value = "2000", value_parser = per_sec)]
    rate: u64,
    /// Put events for this long: 30s, 5m
    #[arg(long = "for", value_name = "DURATION")]
    limit: Option<HumanDuration>,
    /// Makes up other events
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Use the Kinesis endpoint at this URL instead of the embedded one
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Write a line of JSON for each processed event: shard, sequence, attempt, data
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How to print the summary on stdout
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Runs the demo to its end; fails when what came out isn't what was put in.
pub(crate) fn demo(args: &DemoArgs, program: &Program) -> Result<ExitCode> {
    let tokio = program.tokio();
    let events = Events::open(args.input.as_deref(), args.seed)?;
    let n_events = events.bound(args.events, args.limit.is_none().then_some(N_EVENTS));
    let stage = tokio.block_on(Stage::set(args.endpoint.as_deref()))?;
    let directory = tempfile::tempdir()?;
    let demo = Demo::prepare(&stage, args.record.as_deref(), directory.path())?;
    let local = demo.start(tokio)?;

    let truth = truth::Shared::default();
    let stop = Arc::new(AtomicBool::new(false));
    let plan = Plan {
        n_events,
        rate_per_sec: args.rate,
        limit: args.limit.map(|limit| limit.0),
        stop: stop.clone(),
        clock: local.clock().clone(),
    };
    let producer = tokio.spawn(producer::produce(
        stage.clone(),
        events,
        plan,
        truth.clone(),
    ));
    heed_signals(program, &local, stop);

    let mut show = Show::new(n_events);
    let mut end = End::new(&local);
    let outcome = local.watch(PERIOD, None, |local| {
        let snapshot = local.running().snapshot();
        show.update(&snapshot, &truth);
        if end.is_reached(local.clock().now(), &demo, &truth, producer.is_finished()) {
            local.running().drain();
        }
    });
    show.finish();
    let put = tokio.block_on(producer)?;
    let snapshot = local.running().snapshot();
    demo.tape.close()?;
    tokio.block_on(stage.strike());
    put?;
    let summary = Summary::new(&snapshot, &demo, &truth);
    report(&summary, args.output)?;
    outcome?;
    Ok(if summary.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The first signal ends the puts, so that what was put is still processed; the second ends all.
fn heed_signals(program: &Program, local: &Local, stop: Arc<AtomicBool>) {
    let running = local.running().clone();
    let first = move || {
        console::say("no more events are put; once more to end at once");
        stop.store(true, Ordering::Relaxed);
    };
    program
        .tokio()
        .spawn(local::heed(first, move || running.force()));
}

/// Finds out when all that was put has been processed, or nothing more comes.
struct End {
    n_processed: u64,
    progressed: Moment,
    reached: bool,
}

impl End {
    fn new(local: &Local) -> Self {
        Self {
            n_processed: 0,
            progressed: local.clock().now(),
            reached: false,
        }
    }

    fn is_reached(
        &mut self,
        now: Moment,
        demo: &Demo,
        truth: &truth::Shared,
        all_put: bool,
    ) -> bool {
        let n_processed = demo.tape.n_processed();
        if !all_put || n_processed > self.n_processed {
            (self.n_processed, self.progressed) = (n_processed, now);
        }
        let complete = demo.tape.n_distinct() >= truth.n_put();
        let given_up = now.since(self.progressed) > PATIENCE;
        // Told once: draining again would prolong the drain.
        let reached = all_put && (complete || given_up);
        reached && !std::mem::replace(&mut self.reached, true)
    }
}

fn report(summary: &Summary, format: Format) -> Result<()> {
    match format {
        Format::Json => console::data(serde_json::to_string(summary)?),
        Format::Text => console::data(summary),
    }
    Ok(())
}

fn per_sec(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let rate = number
        .parse::<u64>()
        .ok()
        .filter(|rate| (1..=100_000).contains(rate));
    rate.ok_or_else(|| "a rate is a number from 1 to 100000, as in 2000 or 2000/s".to_owned())
}
