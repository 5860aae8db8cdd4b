//! Numbers go from a source over an operator to a sink, on one thread.

use std::hint::black_box;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Probe, probe};
use timely::worker::Worker;

use peer_driver::Handle;

use crate::source::cycle;

/// Builds the dataflow.
pub(crate) fn build(worker: &mut Worker, meter: &Handle) {
    let (mut sunk, done) = (meter.sunk(), probe::Handle::new());
    worker.dataflow::<u64, _, _>(|scope| {
        let numbers: Vec<(i64, i64)> = vec![(1, 0)];
        cycle(scope, numbers, meter, &done)
            .map(black_box)
            .unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(Pipeline, "Sink", |_, _| {
                move |input, _| {
                    input.for_each_stamp(|_, batches| {
                        for record in batches.flat_map(|batch| batch.drain(..)) {
                            black_box(record);
                            sunk.add(1);
                        }
                    });
                }
            })
            .probe_with(&done);
    });
}
