//! Sentences are split, and their words counted by the worker that they belong to.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::{FixedState, RandomState};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Probe, probe};
use timely::worker::Worker;

use peer_driver::{Handle, sentences};

use crate::source::cycle;

/// Which worker a word belongs to: all workers have to agree.
const PLACES: FixedState = FixedState::with_seed(1);

/// A word, and when its sentence was due.
type Word = (String, i64);
/// How often a word has come, when its sentence was due, and the word.
type Count = (i64, i64, String);

/// Builds the dataflow.
pub(crate) fn build(worker: &mut Worker, meter: &Handle) {
    let sentences: Vec<(&str, i64)> = sentences().into_iter().map(|text| (text, 0)).collect();
    let (mut sunk, done) = (meter.sunk(), probe::Handle::new());
    worker.dataflow::<u64, _, _>(|scope| {
        cycle(scope, sentences, meter, &done)
            .flat_map(|(text, due)| text.split(' ').map(move |word| (word.to_owned(), due)))
            .unary::<CapacityContainerBuilder<Vec<Count>>, _, _, _>(
                Exchange::new(|(word, _): &Word| PLACES.hash_one(word)),
                "Count",
                |_, _| {
                    let mut counts: HashMap<String, i64, RandomState> = HashMap::default();
                    move |input, output| {
                        input.for_each_stamp(|stamp, batches| {
                            let mut session = output.session(&stamp);
                            for (word, due) in batches.flat_map(|batch| batch.drain(..)) {
                                let count = match counts.get_mut(&word) {
                                    Some(count) => count,
                                    None => counts.entry(word.clone()).or_default(),
                                };
                                *count += 1;
                                session.give((*count, due, word));
                            }
                        });
                    }
                },
            )
            .unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(Pipeline, "Sink", |_, _| {
                move |input, _| {
                    input.for_each_stamp(|_, batches| {
                        for count in batches.flat_map(|batch| batch.drain(..)) {
                            std::hint::black_box(count);
                            sunk.add(1);
                        }
                    });
                }
            })
            .probe_with(&done);
    });
}
