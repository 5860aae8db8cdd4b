//! Runs a job on renoir: `peer-renoir JOB WARM_UP_SECS SECS PARALLELISM`.
//!
//! Nothing is acked and nothing is saved. Operators of one block are compiled into one loop; between blocks, each on
//! a thread of its own, records go in batches of its default size.

use std::hint::black_box;
use std::iter::from_fn;

use anyhow::{Context, Result};
use renoir::prelude::*;

use peer_driver::{Handle, Job, Meter, Order, sentences};

/// Renoir's own default, without its time limit: the source is never idle.
const BATCH: usize = 1024;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let order = Order::parse(std::env::args().skip(1))?;
    let parallelism = order.rest.first().context("PARALLELISM is needed")?;
    let config = RuntimeConfig::local(parallelism.parse()?)?;
    let env = StreamContext::new(config);
    let meter = Meter::start(&order);
    match order.job {
        Job::WordCount => word_count(&env, &meter.handle()),
        Job::TextHops => text_hops(&env, &meter.handle()),
        Job::PassThrough | Job::PassThroughHop | Job::PassThroughHops => {
            pass_through(&env, order.job, &meter.handle());
        }
    }
    env.execute_blocking();
    meter.print()
}

/// Sentences are split, and their words counted by the thread that they belong to.
fn word_count(env: &StreamContext, meter: &Handle) {
    let records: Vec<(&str, i64)> = sentences().into_iter().map(|text| (text, 0)).collect();
    let source = meter.clone();
    let mut sunk = meter.sunk();
    env.stream_par_iter(move |_, _| cycle(records, &source))
        .batch_mode(BatchMode::fixed(BATCH))
        .flat_map(|(text, due)| text.split(' ').map(move |word| (word.to_owned(), due)))
        .group_by(|(word, _)| word.clone())
        .rich_map({
            let mut count = 0_i64;
            move |(_, (_, due))| {
                count += 1;
                (count, due)
            }
        })
        .for_each(move |count| {
            black_box(count);
            sunk.add(1);
        });
}

/// Numbers go from a source over an operator to a sink, with as many thread hops as the job has.
fn pass_through(env: &StreamContext, job: Job, meter: &Handle) {
    let source = meter.clone();
    let mut sunk = meter.sunk();
    let numbers = env
        .stream_par_iter(move |_, _| cycle(vec![(1_i64, 0_i64)], &source))
        .batch_mode(BatchMode::fixed(BATCH));
    let sink = move |record: (i64, i64)| {
        black_box(record);
        sunk.add(1);
    };
    match job {
        Job::PassThroughHop => numbers.shuffle().map(black_box).for_each(sink),
        Job::PassThroughHops => numbers.shuffle().map(black_box).shuffle().for_each(sink),
        _ => numbers.map(black_box).for_each(sink),
    }
}

/// Sentences, each made anew, go from a source over an operator to a sink, each on a thread of its own.
fn text_hops(env: &StreamContext, meter: &Handle) {
    let source = meter.clone();
    let mut sunk = meter.sunk();
    env.stream_par_iter(move |_, _| cycle(sentences(), &source))
        .batch_mode(BatchMode::fixed(BATCH))
        .map(|text| (text.to_owned(), 0_i64))
        .shuffle()
        .map(black_box)
        .shuffle()
        .for_each(move |record| {
            black_box(record);
            sunk.add(1);
        });
}

/// Returns `records` in turn until it is over.
fn cycle<T: Copy>(records: Vec<T>, meter: &Handle) -> impl Iterator<Item = T> + use<T> {
    let (meter, mut emitted) = (meter.clone(), meter.emitted());
    let (mut next, mut left) = (0, 0);
    from_fn(move || {
        if left == 0 {
            if meter.is_over() {
                return None;
            }
            emitted.add(BATCH as u64);
            left = BATCH;
        }
        left -= 1;
        if next == records.len() {
            next = 0;
        }
        let record = records.get(next).copied();
        next += 1;
        record
    })
}
