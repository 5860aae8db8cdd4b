//! A fixed amount of work of one case, for `.ci/instructions` to count the instructions of.
//!
//! `instructions CASE N_RECORDS` runs that many records through a topology in virtual time, on one thread and in
//! an order drawn from a fixed seed: two runs execute the same instructions. The simulation itself executes less than
//! a hundredth of them. Without arguments it lists the cases.

mod components;
mod world;

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::{ManualClock, Registry, TopologyBuilder};
use squall_plan::check;
use squall_runtime::{Options, Simulation};

use components::{Count, N_WORDS, Pass, Sink, Source, Split, Tally};
use world::services;

/// What the order in which tasks run, edge ids and all other randomness are drawn from.
const SEED: u64 = 7;
/// How long a run may take in virtual time, in which nothing takes any: it ends at once or hangs.
const AT_MOST: Duration = Duration::from_secs(60);

/// A case: what runs, and how.
struct Case {
    name: &'static str,
    shape: Shape,
    /// Whether the source tracks its records to their ends.
    acked: bool,
    /// Whether neighbours that can be are fused.
    fuse: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// One source of numbers, one bolt that passes them on, one sink.
    PassThrough,
    /// Two tasks of each: sentences, a bolt that splits them, one that counts by word, a sink.
    WordCount,
}

const CASES: [Case; 5] = [
    Case {
        name: "pass-through-fused",
        shape: Shape::PassThrough,
        acked: false,
        fuse: true,
    },
    Case {
        name: "pass-through-fused-acked",
        shape: Shape::PassThrough,
        acked: true,
        fuse: true,
    },
    Case {
        name: "pass-through-hop",
        shape: Shape::PassThrough,
        acked: false,
        fuse: false,
    },
    Case {
        name: "pass-through-hop-acked",
        shape: Shape::PassThrough,
        acked: true,
        fuse: false,
    },
    Case {
        name: "word-count-acked",
        shape: Shape::WordCount,
        acked: true,
        fuse: true,
    },
];

impl Case {
    /// Returns how many tuples come to the sinks for one record.
    const fn n_sunk(&self) -> u64 {
        match self.shape {
            Shape::PassThrough => 1,
            Shape::WordCount => N_WORDS,
        }
    }

    fn n_tasks(&self) -> u32 {
        match self.shape {
            Shape::PassThrough => 1,
            Shape::WordCount => 2,
        }
    }

    fn registry(&self, n_records: u64, tally: &Arc<Tally>) -> Registry {
        let n_of_each = n_records / u64::from(self.n_tasks());
        let (sentences, acked) = (self.shape == Shape::WordCount, self.acked);
        let (sources, sinks) = (tally.clone(), tally.clone());
        let mut registry = Registry::new();
        registry
            .spout("source", move |(): ()| {
                Ok(Source::new(sentences, acked, n_of_each, sources.clone()))
            })
            .bolt("pass", |(): ()| Ok(Pass))
            .bolt("split", |(): ()| Ok(Split))
            .bolt("count", |(): ()| Ok(Count::default()))
            .bolt("sink", move |(): ()| Ok(Sink::new(sinks.clone())));
        registry
    }

    fn topology(&self) -> Result<TopologyBuilder, Box<dyn Error>> {
        let n = self.n_tasks();
        let mut t = TopologyBuilder::new(self.name);
        t.settings().seed = Some(SEED);
        // Soon all pending ones are done, as in a loop that runs sinks first: from then on fused bolts are called.
        t.settings().max_spout_pending = 512;
        t.spout("source", "source", ())?.parallelism(n);
        match self.shape {
            Shape::PassThrough => {
                t.bolt("pass", "pass", ())?.shuffle("source");
                t.bolt("sink", "sink", ())?.shuffle("pass");
            }
            Shape::WordCount => {
                t.bolt("split", "split", ())?
                    .parallelism(n)
                    .local_or_shuffle("source");
                t.bolt("count", "count", ())?
                    .parallelism(n)
                    .fields("split", ["word"]);
                t.bolt("sink", "sink", ())?
                    .parallelism(n)
                    .local_or_shuffle("count");
            }
        }
        Ok(t)
    }

    /// Runs the case to its end, and fails unless every record came where it should.
    fn run(&self, n_records: u64) -> Result<(), Box<dyn Error>> {
        let tally = Arc::default();
        let registry = Arc::new(self.registry(n_records, &tally));
        let spec = self.topology()?.build();
        let signatures = check(&spec, &registry)
            .map_err(|problems| format!("{problems:?}"))?
            .signatures;
        let options = Options {
            n_loops: Some(self.n_tasks() as usize),
            fuse: self.fuse,
            ..Options::default()
        };
        let clock = Arc::new(ManualClock::new());
        let mut simulation =
            Simulation::new(&spec, &signatures, &registry, services(), &options, clock)?;
        if !simulation.run_to_end(AT_MOST) {
            return Err(format!("{} doesn't end", self.name))?;
        }
        let came = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (n_sunk, n_acked) = (came(&tally.n_sunk), came(&tally.n_acked));
        let expected = (
            n_records * self.n_sunk(),
            if self.acked { n_records } else { 0 },
        );
        if (n_sunk, n_acked) != expected {
            return Err(format!(
                "{}: {n_sunk} tuples came to the sinks and {n_acked} records were acked, not {expected:?}",
                self.name
            ))?;
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [] => {
            let names = CASES.map(|case| case.name).join("\n");
            Ok(writeln!(std::io::stdout(), "{names}")?)
        }
        [name, n_records] => {
            let case = CASES.iter().find(|case| case.name == name);
            let case = case.ok_or_else(|| format!("there is no case {name}"))?;
            case.run(n_records.parse()?)
        }
        _ => Err("usage: instructions [CASE N_RECORDS]")?,
    }
}
