//! The saver step by step, against a store that is a map.

use squall_core::Metrics;

use super::*;
use crate::position::Position;
use crate::sequence::Sequence;
use crate::shard::{End, ShardMetrics};

const NOW: Moment = Moment::ZERO;
const OURS: Fence = fence(2);

const fn fence(placement_epoch: u64) -> Fence {
    Fence {
        placement_epoch,
        incarnation: 1,
    }
}

/// What stands in the store.
#[derive(Default)]
struct Store {
    entries: BTreeMap<ShardId, Entry>,
    /// How many writes each commit had.
    commits: Vec<usize>,
    n_reads: usize,
}

impl Store {
    /// All or nothing, as every store does it.
    fn commit(&mut self, writes: &[Write]) -> Result<Vec<u64>, StoreError> {
        let shard = |write: &Write| ShardId::new(write.key.rsplit('/').next().unwrap());
        for write in writes {
            let found = &self.entries[&shard(write)];
            let key = write.key.clone();
            if found.fence > OURS {
                let found = found.fence;
                return Err(StoreError::Fenced { key, found });
            }
            if Some(found.version) != write.expected {
                return Err(StoreError::Conflict {
                    key,
                    expected: write.expected,
                    found: Some(found.version),
                });
            }
        }
        self.commits.push(writes.len());
        let versions = writes.iter().map(|write| {
            self.put(shard(write), OURS, write.value.clone().unwrap());
            write.expected.unwrap() + 1
        });
        Ok(versions.collect())
    }

    fn put(&mut self, shard: ShardId, fence: Fence, value: Vec<u8>) {
        let version = self
            .entries
            .get(&shard)
            .map_or(1, |found| found.version + 1);
        let entry = Entry {
            value,
            version,
            fence,
        };
        self.entries.insert(shard, entry);
    }
}

/// A saver, and the shards that it saves.
struct Bench {
    saver: Saver,
    shards: Vec<Arc<Shared>>,
    store: Store,
    /// Kept, for their readers are alive.
    readers: Vec<oneshot::Receiver<()>>,
}

fn id(n: usize) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

fn position(n: u64) -> Position {
    Position::plain(Sequence::parse(&n.to_string()).unwrap())
}

fn encoded(checkpoint: Checkpoint) -> Vec<u8> {
    let parents = Vec::new();
    let state = ShardState {
        checkpoint,
        parents,
    };
    state.encode().unwrap()
}

fn away<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("away".to_owned()))
}

impl Bench {
    fn new(n_shards: usize) -> Self {
        let mut bench = Self {
            saver: Saver::new(Keys::new("app", "stream"), OURS),
            shards: Vec::new(),
            store: Store::default(),
            readers: Vec::new(),
        };
        for n in 0..n_shards {
            let metrics = ShardMetrics::new(&Metrics::default(), &id(n));
            let shared = Arc::new(Shared::new(id(n), metrics, NOW));
            let begun = encoded(Checkpoint::TrimHorizon);
            let state = ShardState::decode(&begun).unwrap();
            bench.store.put(id(n), Fence::default(), begun);
            let (alive, reader) = oneshot::channel();
            bench.saver.add(Arc::clone(&shared), (state, 1), alive);
            bench.shards.push(shared);
            bench.readers.push(reader);
        }
        bench
    }

    /// Emits a record of a shard, which is done at once.
    fn progress(&self, shard: usize, number: u64) {
        let mut progress = self.shards[shard].lock();
        let ordinal = progress.tracker.emit(position(number), None);
        progress.tracker.done(ordinal);
    }

    fn wanted(&mut self) -> (Effect, Outcome) {
        self.saver.step(Event::Wanted, NOW)
    }

    /// Begins a round and takes it to its end.
    fn round(&mut self) -> Outcome {
        let step = self.wanted();
        self.finish(step)
    }

    /// Goes on to the end of the round, the store doing all that it is asked for.
    fn finish(&mut self, (mut effect, mut all): (Effect, Outcome)) -> Outcome {
        loop {
            let event = match effect {
                Effect::Rest => return all,
                Effect::Commit(writes) => Event::Committed(self.store.commit(&writes)),
                Effect::Read => {
                    self.store.n_reads += 1;
                    Event::Read(Ok(self.store.entries.clone()))
                }
            };
            let outcome;
            (effect, outcome) = self.saver.step(event, NOW);
            all.finished.extend(outcome.finished);
            all.overtaken.extend(outcome.overtaken);
            all.fenced.extend(outcome.fenced);
            all.saved.extend(outcome.saved);
            all.failed = all.failed.or(outcome.failed);
        }
    }

    fn stored(&self, shard: usize) -> Checkpoint {
        let entry = &self.store.entries[&id(shard)];
        ShardState::decode(&entry.value).unwrap().checkpoint
    }

    fn is_at(&self, shard: usize, number: u64) -> bool {
        self.stored(shard) == Checkpoint::After(position(number))
    }
}

/// Takes the writes out of a step that has to have some.
fn writes((effect, _): (Effect, Outcome)) -> Vec<Write> {
    match effect {
        Effect::Commit(writes) => writes,
        other => panic!("{other:?} is no commit"),
    }
}

#[test]
fn what_has_changed_goes_in_chunks_and_what_has_not_stays() {
    let mut bench = Bench::new(2500);
    assert!(bench.round().saved.is_empty());
    for shard in (0..2500).filter(|shard| shard % 5 != 0) {
        bench.progress(shard, 7);
    }
    assert_eq!(bench.round().saved.len(), 2000);
    assert_eq!(bench.store.commits, [1000, 1000]);
    assert_eq!(bench.stored(0), Checkpoint::TrimHorizon);
    assert!(bench.is_at(2499, 7));
    assert!(bench.round().saved.is_empty());
    assert!(!bench.saver.is_busy());
}

#[test]
fn a_chunk_that_fails_comes_first_the_next_time_and_as_it_was() {
    let mut bench = Bench::new(2500);
    (0..2500).for_each(|shard| bench.progress(shard, 7));
    let first = writes(bench.wanted());
    let done = bench.store.commit(&first);
    let second = writes(bench.saver.step(Event::Committed(done), NOW));
    let (effect, outcome) = bench.saver.step(Event::Committed(away()), NOW);
    assert_eq!(effect, Effect::Rest);
    assert!(outcome.failed.is_some() && !bench.saver.is_busy());
    for shard in 0..2500 {
        bench.progress(shard, 8);
    }
    let step = bench.wanted();
    let Effect::Commit(again) = &step.0 else {
        panic!("there is more");
    };
    assert_eq!(*again, second);
    bench.finish(step);
    assert!((0..2500).all(|shard| bench.is_at(shard, 8)));
}

#[test]
fn a_write_whose_answer_was_lost_is_found_to_be_ours_and_the_newer_one_follows() {
    let mut bench = Bench::new(3);
    bench.progress(0, 7);
    bench.progress(1, 7);
    let written = writes(bench.wanted());
    bench.store.commit(&written).unwrap();
    bench.saver.step(Event::Committed(away()), NOW);
    bench.progress(0, 8);
    bench.progress(2, 8);
    let outcome = bench.round();
    assert!(outcome.overtaken.is_empty() && outcome.failed.is_none());
    assert!(bench.is_at(0, 8) && bench.is_at(1, 7) && bench.is_at(2, 8));
    assert_eq!(bench.store.n_reads, 1);
}

#[test]
fn shards_of_a_newer_copy_are_dropped_and_the_others_are_saved() {
    let mut bench = Bench::new(1500);
    (0..1500).for_each(|shard| bench.progress(shard, 7));
    for shard in (0..1500).step_by(2) {
        bench
            .store
            .put(id(shard), fence(3), encoded(Checkpoint::After(position(9))));
    }
    let outcome = bench.round();
    assert_eq!((outcome.fenced.len(), outcome.saved.len()), (750, 750));
    assert!(outcome.overtaken.is_empty());
    assert!((0..1500).all(|shard| bench.is_at(shard, if shard % 2 == 0 { 9 } else { 7 })));
    let dropped = bench.shards.iter().filter(|shard| shard.lock().dropped);
    assert_eq!(dropped.count(), 750);
    assert_eq!(bench.store.n_reads, 2, "one a chunk, not one a shard");
}

#[test]
fn a_shard_that_was_written_under_no_newer_fence_is_to_begin_again() {
    for by in [fence(1), OURS] {
        let mut bench = Bench::new(2);
        bench.progress(0, 7);
        bench.progress(1, 7);
        bench
            .store
            .put(id(0), by, encoded(Checkpoint::After(position(3))));
        let outcome = bench.round();
        assert_eq!(outcome.overtaken, [id(0)]);
        assert!(outcome.fenced.is_empty());
        assert!(bench.is_at(0, 3) && bench.is_at(1, 7));
    }
}

#[test]
fn what_comes_while_a_round_is_under_way_is_saved_by_the_next() {
    let mut bench = Bench::new(1);
    bench.progress(0, 7);
    let written = writes(bench.wanted());
    bench.progress(0, 8);
    assert_eq!(bench.wanted().0, Effect::Rest);
    let done = bench.store.commit(&written);
    let step = bench.saver.step(Event::Committed(done), NOW);
    bench.finish(step);
    assert!(bench.is_at(0, 8));
}

#[test]
fn a_store_that_contradicts_itself_ends_the_round() {
    let mut bench = Bench::new(1);
    bench.progress(0, 7);
    let mut step = bench.wanted();
    let mut n_steps = 0;
    while bench.saver.is_busy() {
        n_steps += 1;
        assert!(n_steps < 1000, "it never ends");
        let event = match step.0 {
            Effect::Read => Event::Read(Ok(bench.store.entries.clone())),
            _ => Event::Committed(Err(StoreError::Conflict {
                key: "app/stream/shardId-000000000000".to_owned(),
                expected: Some(1),
                found: Some(1),
            })),
        };
        step = bench.saver.step(event, NOW);
    }
    assert!(step.1.failed.is_some());
    bench.round();
    assert!(bench.is_at(0, 7));
}

#[test]
fn an_end_is_saved_once_and_the_shard_leaves() {
    let mut bench = Bench::new(2);
    bench.progress(0, 7);
    let mut progress = bench.shards[0].lock();
    progress.end = Some(End::Finished);
    progress.emitted_all = true;
    drop(progress);
    assert_eq!(bench.round().finished, [id(0)]);
    assert_eq!(bench.stored(0), Checkpoint::ShardEnd);
    assert_eq!(bench.saver.shards().count(), 1);
}
