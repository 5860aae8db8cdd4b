//! A store with moods, which holds each checkpoint that is written against the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use squall_core::{BoxFuture, CheckpointStore, Entry, Fence, StoreError, Write};
use squall_kinesis::{Sequence, ShardId};
use squall_store::MemoryStore;
use tokio::time::sleep;

use crate::fake::Fake;

/// How the store feels.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    Well,
    /// Refuses everything.
    Away,
    /// Does or doesn't do what it is asked for, soon or late, and may say so, soon or late.
    Wild,
}

/// See the module. Nothing in it ever turns a checkpoint back or lets it pass a record that isn't acked.
pub(crate) struct Audit {
    inner: Arc<Books>,
    mood: AtomicU8,
    rng: Mutex<Rng>,
}

/// What is stored, and what may be.
struct Books {
    store: MemoryStore,
    fake: Arc<Fake>,
    /// The records that were acked by anybody, by shard.
    acked: Mutex<BTreeMap<ShardId, BTreeSet<Sequence>>>,
    /// The first checkpoint that should not have been written.
    wrong: Mutex<Option<String>>,
}

impl Audit {
    pub(crate) fn new(fake: &Arc<Fake>, seed: u64) -> Self {
        Self {
            inner: Arc::new(Books {
                store: MemoryStore::new(),
                fake: Arc::clone(fake),
                acked: Mutex::default(),
                wrong: Mutex::default(),
            }),
            mood: AtomicU8::new(Mood::Well as u8),
            rng: Mutex::new(Rng::with_seed(seed)),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// Books an ack, which has to be done before the spout hears of it.
    pub(crate) fn ack(&self, shard: &ShardId, sequence: Sequence) {
        let mut acked = self.inner.acked.lock().unwrap();
        acked.entry(shard.clone()).or_default().insert(sequence);
    }

    /// Fails when a checkpoint was written that should not have been.
    pub(crate) fn assert_right(&self) {
        assert_eq!(*self.inner.wrong.lock().unwrap(), None);
    }

    /// Tells whether the checkpoint of a shard stands at its last record.
    pub(crate) fn is_all_saved(&self, shard: &ShardId) -> bool {
        let last = self.inner.fake.sequences(shard).pop();
        last.is_none() || self.inner.stored(shard) == last
    }

    fn draw(&self) -> (u8, Duration) {
        let mut rng = self.rng.lock().unwrap();
        let late = Duration::from_millis(rng.u64(0..20_000));
        match self.mood.load(Ordering::SeqCst) {
            mood if mood == Mood::Well as u8 => (0, Duration::ZERO),
            mood if mood == Mood::Away as u8 => (1, Duration::ZERO),
            _ => (rng.u8(0..6), late),
        }
    }

    async fn read<T>(&self, found: impl Future<Output = T>) -> Result<T, StoreError> {
        let (how, late) = self.draw();
        match how {
            0 => Ok(found.await),
            1 | 2 => Err(away()),
            3 => {
                // As it was when it was asked for.
                let found = found.await;
                sleep(late).await;
                Ok(found)
            }
            _ => {
                sleep(late).await;
                Ok(found.await)
            }
        }
    }
}

impl Books {
    fn commit(&self, fence: Fence, writes: Vec<Write>) -> Result<Vec<u64>, StoreError> {
        let moved: Vec<_> = writes.iter().filter_map(position).collect();
        let before = moved.iter().map(|(shard, _)| self.stored(shard));
        let before: Vec<_> = before.collect();
        let done = futures::now(self.store.commit(fence, writes))?;
        for ((shard, to), before) in moved.iter().zip(before) {
            if before.as_ref() > Some(to) {
                self.wrong(format!("{shard}: back from {before:?} to {to}"));
            }
            let acked = self.acked.lock().unwrap();
            let is_acked = |s: &Sequence| acked.get(shard).is_some_and(|acked| acked.contains(s));
            let sequences = self.fake.sequences(shard);
            let passed = sequences.iter().filter(|sequence| *sequence <= to);
            for skipped in passed.filter(|sequence| !is_acked(sequence)) {
                self.wrong(format!("{shard}: {skipped} is passed and not acked"));
            }
        }
        Ok(done)
    }

    fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().get_or_insert(what);
    }

    fn stored(&self, shard: &ShardId) -> Option<Sequence> {
        let key = format!("top/clicks/web/{shard}");
        let entry = futures::now(self.store.load(&key)).unwrap()?;
        sequence_in(&entry.value)
    }
}

impl CheckpointStore for Audit {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move { self.read(self.inner.store.load(key)).await? })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        Box::pin(async move { self.read(self.inner.store.list(prefix)).await? })
    }

    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move {
            let (how, late) = self.draw();
            match how {
                0 => self.inner.commit(fence, writes),
                1 => Err(away()),
                2 => {
                    // It is done, and nobody hears of it.
                    drop(self.inner.commit(fence, writes));
                    Err(away())
                }
                3 => {
                    let done = self.inner.commit(fence, writes);
                    sleep(late).await;
                    done
                }
                4 => {
                    sleep(late).await;
                    self.inner.commit(fence, writes)
                }
                _ => {
                    // It is on its way, whatever becomes of who sent it.
                    let books = Arc::clone(&self.inner);
                    tokio::spawn(async move {
                        sleep(late).await;
                        drop(books.commit(fence, writes));
                    });
                    Err(away())
                }
            }
        })
    }

    fn location(&self) -> String {
        "books".to_owned()
    }
}

/// Returns the position that a write sets, where it sets one.
fn position(write: &Write) -> Option<(ShardId, Sequence)> {
    let shard = write.key.rsplit('/').next()?;
    Some((ShardId::new(shard), sequence_in(write.value.as_ref()?)?))
}

fn sequence_in(value: &[u8]) -> Option<Sequence> {
    let state: serde_json::Value = serde_json::from_slice(value).unwrap();
    let sequence = state["checkpoint"]["after"]["sequence"].as_str()?;
    Some(Sequence::parse(sequence).unwrap())
}

fn away() -> StoreError {
    StoreError::Unavailable("in no mood".to_owned())
}

mod futures {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Takes what a future that never waits has.
    pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(future).poll(&mut context) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("it waits"),
        }
    }
}
