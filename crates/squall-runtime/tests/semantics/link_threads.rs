//! Parts of a topology on real threads, and links between them that never poll.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use squall_core::TaskId;
use squall_core::engine::{AckOutlet, EdgeId, Outlet, Refused, WorkerIdx};
use squall_runtime::{Options, Part, Ports, Running, Services, SystemClock, start};

use crate::kit::{Bench, FnBolt, Log, Numbers, services};
use crate::threads::take;

/// Moves what one worker has for another, and does so only when it is woken.
struct Link {
    from: Ports,
    to: Ports,
    is_reader: fn(TaskId) -> bool,
    ended: Arc<AtomicBool>,
}

/// Wakes a link's thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Link {
    fn run(&self) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        for (_, outlet) in self.outlets() {
            outlet.set_waker(waker.clone());
        }
        for (_, outlet) in self.ack_outlets() {
            outlet.set_waker(waker.clone());
        }
        let (mut refused, mut words) = (BTreeMap::new(), Vec::new());
        while !self.ended.load(Ordering::SeqCst) {
            for (edge, outlet) in self.outlets() {
                let mut inlets = self.to.inlets.iter();
                let (_, inlet) = inlets.find(|(id, _)| id == edge).unwrap();
                while let Some(item) = refused.remove(edge).or_else(|| outlet.take()) {
                    let delivered = inlet.try_deliver(item).or_else(|refused| match refused {
                        Refused::Full(item) => {
                            inlet.await_room(&waker);
                            inlet.try_deliver(item)
                        }
                        closed @ Refused::Closed(_) => Err(closed),
                    });
                    if let Err(Refused::Full(item)) = delivered {
                        refused.insert(*edge, item);
                        break;
                    }
                }
            }
            for (owner, outlet) in self.ack_outlets() {
                let mut inlets = self.to.ack_inlets.iter();
                let (_, inlet) = inlets.find(|(id, _)| id == owner).unwrap();
                outlet.take(&mut words);
                inlet.contribute(&mut words);
            }
            thread::park();
        }
    }

    fn outlets(&self) -> impl Iterator<Item = &(EdgeId, Arc<dyn Outlet>)> {
        let outlets = self.from.outlets.iter();
        outlets.filter(|(edge, _)| (self.is_reader)(edge.reader))
    }

    fn ack_outlets(&self) -> impl Iterator<Item = &(TaskId, Arc<dyn AckOutlet>)> {
        let outlets = self.from.ack_outlets.iter();
        outlets.filter(|(owner, _)| (self.is_reader)(*owner))
    }
}

#[test]
fn links_that_act_only_when_they_are_woken_miss_nothing() {
    const N: u64 = 20_000;
    let log = Log::default();
    let mut bench = Bench::new();
    // Links find no room most of the time.
    bench.topology.settings().edge_batches = 2;
    bench.topology.settings().max_spout_pending = 2000;
    let of_spout = log.clone();
    bench.spout("in", 2, move || Numbers::new(&of_spout, N));
    bench
        .bolt("sink", || {
            FnBolt::new(|_, _, state| {
                if state.seen.is_multiple_of(64) {
                    take(Duration::from_micros(100));
                }
                Ok(())
            })
        })
        .global("in");
    let (mut spec, signatures, registry, options) = bench.parts();
    spec.settings.seed = None;
    // Each task in a worker of its own.
    let workers = [0, 1, 2].map(WorkerIdx);
    let parts = workers.map(|me| {
        let services = Services {
            clock: Arc::new(SystemClock::new()),
            ..services()
        };
        let part = Some(Part {
            me,
            workers: workers.into(),
        });
        let options = Options {
            part,
            ..options.clone()
        };
        start(&spec, &signatures, &registry, services, &options).unwrap()
    });
    let ended = Arc::new(AtomicBool::new(false));
    let is_task: [fn(TaskId) -> bool; 3] = [|t| t.0 == 0, |t| t.0 == 1, |t| t.0 == 2];
    let links = [(0, 2), (1, 2), (2, 0), (2, 1)].map(|(from, to): (usize, usize)| {
        let link = Link {
            from: parts[from].ports().unwrap().clone(),
            to: parts[to].ports().unwrap().clone(),
            is_reader: is_task[to],
            ended: ended.clone(),
        };
        thread::spawn(move || link.run())
    });
    parts.iter().for_each(Running::activate);
    let clock = SystemClock::new();
    let is_late = || squall_core::Clock::now(&clock).as_nanos() > 60_000_000_000;
    while log.acked().len() < 2 * N as usize && log.failed().is_empty() && !is_late() {
        assert_eq!(parts[2].wait(Some(Duration::from_millis(20))), None);
    }
    ended.store(true, Ordering::SeqCst);
    for link in links {
        link.thread().unpark();
        link.join().unwrap();
    }
    assert_eq!(log.failed(), []);
    assert_eq!(log.acked().len(), 2 * N as usize);
}
