//! The oracle: numbers its messages, replays those that fail, and counts how often each arrives.

use std::collections::HashMap;
use std::sync::Arc;

use squall_core::engine::{Batch, Contribution, Cursor, Delivery, Item, RootId, Roots, Run, Word};
use squall_core::{Failure, FailureReason, Moment, Value};

use crate::fakes::Queue;
use crate::world::{READERS, SPOUT, Worker, schemas};

/// How many messages a spout has pending at most.
const MAX_PENDING: usize = 3000;
/// How many go in one delivery.
const BATCH: usize = 50;
/// How many deliveries an outlet takes.
const OUTLET: usize = 8;

/// The generation of the first roots.
const FIRST_GENERATION: u64 = 1 << 50;

/// A spout at the source and its readers at the sink, driven from outside.
pub(crate) struct Spout {
    n_messages: u64,
    next: u64,
    replays: Vec<u64>,
    /// By slot: the message and what is alive of it.
    pending: HashMap<u32, Pending>,
    free: Vec<u32>,
    generations: HashMap<u32, u64>,
    rng: fastrand::Rng,
    filler_bytes: usize,
    pub(crate) n_acked: u64,
    pub(crate) n_failed: u64,
    /// By message: how often it arrived.
    pub(crate) arrived: Vec<u32>,
    /// By reader: the last message of the first round, for the order.
    last: [Option<u64>; 2],
    lane: Arc<Queue<Contribution>>,
}

struct Pending {
    message: u64,
    xor: u64,
}

impl Spout {
    pub(crate) fn new(source: &Worker, n_messages: u64, filler_bytes: usize) -> Self {
        Self {
            n_messages,
            next: 0,
            replays: Vec::new(),
            pending: HashMap::new(),
            free: Vec::new(),
            generations: HashMap::new(),
            rng: fastrand::Rng::with_seed(7),
            filler_bytes,
            n_acked: 0,
            n_failed: 0,
            arrived: vec![0; usize::try_from(n_messages).unwrap()],
            last: [None; 2],
            lane: source.events.ack_inlets[&SPOUT].clone(),
        }
    }

    /// Emits what there is room for, and takes acks and fails. Returns whether all is acked.
    pub(crate) fn turn(&mut self, source: &Worker) -> bool {
        self.emit(source);
        self.take_words();
        self.n_acked == self.n_messages
    }

    /// Emits what there is room for.
    pub(crate) fn emit(&mut self, source: &Worker) {
        for reader_idx in 0..READERS.len() {
            while source.outlets[reader_idx].len() < OUTLET && self.pending.len() < MAX_PENDING {
                let Some(delivery) = self.next_delivery() else {
                    return;
                };
                source.outlets[reader_idx].push(Item::Rows(delivery));
            }
        }
    }

    fn next_delivery(&mut self) -> Option<Delivery> {
        let mut batch = Batch::new(schemas(&[]).get(0).unwrap().clone(), SPOUT);
        let (mut runs, mut edges) = (Vec::new(), Vec::new());
        while runs.len() < BATCH {
            let Some(message) = self.replays.pop().or_else(|| self.fresh()) else {
                break;
            };
            let (root, edge) = (self.open(message), self.rng.u64(1..));
            self.pending.get_mut(&root.slot).unwrap().xor = edge;
            let filler = Value::from(vec![1u8; self.filler_bytes]);
            let number = Value::from(i64::try_from(message).unwrap());
            batch.push(&mut vec![number, filler]);
            runs.push(Run {
                batch_idx: 0,
                n_rows: 1,
                roots: Roots::One(root),
            });
            edges.push(edge);
        }
        let delivery = Delivery::new(vec![Arc::new(batch)], runs, edges, Moment::ZERO);
        (!delivery.runs.is_empty()).then_some(delivery)
    }

    fn fresh(&mut self) -> Option<u64> {
        let message = self.next;
        self.next += 1;
        (message < self.n_messages).then_some(message)
    }

    fn open(&mut self, message: u64) -> RootId {
        let n_slots = u32::try_from(self.generations.len()).unwrap();
        let slot = self.free.pop().unwrap_or(n_slots);
        let generation = *self.generations.entry(slot).or_insert(FIRST_GENERATION);
        self.pending.insert(slot, Pending { message, xor: 0 });
        RootId {
            task: SPOUT,
            slot,
            generation,
        }
    }

    /// Takes what was said about its roots.
    pub(crate) fn take_words(&mut self) {
        while let Some(Contribution {
            slot,
            generation,
            word,
        }) = self.lane.pop()
        {
            let live = self.generations.get(&slot) == Some(&generation);
            let Some(pending) = self.pending.get_mut(&slot).filter(|_| live) else {
                continue;
            };
            match word {
                Word::Xor(xor) => pending.xor ^= xor,
                Word::Fail(failure) => {
                    assert_eq!(failure.reason, FailureReason::Lost, "{failure}");
                    self.n_failed += 1;
                    self.replays.push(pending.message);
                }
                Word::Waiting => continue,
                other => panic!("nobody says {other:?} here"),
            }
            let failed = self.replays.last() == Some(&pending.message);
            if pending.xor == 0 || failed {
                self.n_acked += u64::from(!failed);
                self.pending.remove(&slot);
                self.free.push(slot);
                *self.generations.entry(slot).or_default() += 1;
            }
        }
    }

    /// Fails all that is pending, as a runtime does when a worker has ended.
    pub(crate) fn lose_all(&mut self) {
        for slot in self.pending.keys().copied().collect::<Vec<_>>() {
            let why = Failure::new(FailureReason::Lost, None, "the worker has ended");
            self.lane.push(Contribution {
                slot,
                generation: self.generations[&slot],
                word: Word::Fail(Box::new(why)),
            });
        }
        self.take_words();
    }

    /// Has the readers take what has arrived, count it and ack it.
    pub(crate) fn read(&mut self, sink: &Worker, n_items: usize) {
        for (reader_idx, inlet) in sink.inlets.iter().enumerate() {
            for _ in 0..n_items {
                match inlet.take() {
                    Some(Item::Rows(delivery)) => self.execute(sink, reader_idx, &delivery),
                    Some(Item::Mark(mark)) => panic!("unexpected {mark:?}"),
                    None => break,
                }
            }
        }
    }

    fn execute(&mut self, sink: &Worker, reader_idx: usize, delivery: &Delivery) {
        let lane = &sink.events.ack_outlets[&SPOUT];
        let mut cursor = Cursor::new(delivery);
        while let Some(place) = cursor.advance(delivery) {
            let Some(Value::I64(number)) = delivery.batches[0].row(place.row_idx).first() else {
                panic!("a row without its number");
            };
            let message = u64::try_from(*number).unwrap();
            let n_times = &mut self.arrived[usize::try_from(message).unwrap()];
            *n_times += 1;
            if *n_times == 1 && self.n_failed == 0 {
                let before = self.last[reader_idx].replace(message);
                assert!(before < Some(message), "rows keep their order");
            }
            for (root, edge) in place.roots.as_slice().iter().zip(place.edges) {
                lane.push(Contribution {
                    slot: root.slot,
                    generation: root.generation,
                    word: Word::Xor(*edge),
                });
            }
        }
    }

    /// Returns how many messages never arrived, and how many arrivals were one too many.
    pub(crate) fn account(&self) -> (usize, u32) {
        let missing = self.arrived.iter().filter(|n| **n == 0).count();
        let extra = self.arrived.iter().map(|n| n.saturating_sub(1)).sum();
        (missing, extra)
    }
}
