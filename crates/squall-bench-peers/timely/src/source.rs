//! Where records come from: a fixed list, over and over.

use std::time::Duration;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::operators::probe;
use timely::dataflow::{Scope, StreamVec};

use peer_driver::Handle;

/// After so many records a source lets the other operators run.
const BATCH: usize = 1024;
/// How many batches a source is ahead of what all workers have done. Without a bound one worker's records fill the
/// queues of another, whose own source then hardly runs.
const AHEAD: u64 = 64;
/// How soon a source that is too far ahead looks again.
const LOOK_AGAIN: Duration = Duration::from_micros(100);

/// Emits `records` in turn, each worker all of them, until it is over. What the sinks have done is seen by `done`;
/// each batch has a time of its own.
pub(crate) fn cycle<'scope, T: Copy + 'static>(
    scope: Scope<'scope, u64>,
    records: Vec<T>,
    meter: &Handle,
    done: &probe::Handle<u64>,
) -> StreamVec<'scope, u64, T> {
    let (meter, mut emitted) = (meter.clone(), meter.emitted());
    let done = done.clone();
    source::<_, CapacityContainerBuilder<Vec<T>>, _, _>(scope, "Source", |capability, info| {
        let activator = scope.activator_for(info.address);
        let mut capability = Some(capability);
        let mut next = 0;
        move |output| {
            let Some(held) = &mut capability else { return };
            let time = *held.time();
            if time >= AHEAD && done.less_than(&(time - AHEAD)) {
                activator.activate_after(LOOK_AGAIN);
                return;
            }
            let mut session = output.session(held);
            for _ in 0..BATCH {
                if next == records.len() {
                    next = 0;
                }
                session.give(records[next]);
                next += 1;
            }
            emitted.add(BATCH as u64);
            drop(session);
            if meter.is_over() {
                capability = None;
            } else {
                held.downgrade(&(time + 1));
                activator.activate();
            }
        }
    })
}
