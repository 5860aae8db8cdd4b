//! A Kinesis in memory, on tokio's clock: lags, child shards, throttles, expiry and trimming to order.

mod serve;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use squall_core::ManualClock;
use squall_kinesis::{ErrorClass, Record, Sequence, ShardId, ShardInfo};
use tokio::time::Instant;

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    List,
    Iterator,
    Records,
}

/// What happens to a call instead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Error(ErrorClass),
    /// A page as it is, but without an iterator for the next.
    NullIterator,
    /// The call panics.
    Panic,
}

/// The stream.
pub(crate) struct Fake {
    start: Instant,
    state: Mutex<State>,
}

struct State {
    shards: BTreeMap<ShardId, Shard>,
    /// Each is used once, by the first call that fits.
    faults: Vec<(Op, Option<ShardId>, Fault)>,
    calls: Vec<(Op, Option<ShardId>, Instant)>,
    list_page: usize,
    iterator_life: Duration,
    tells_children: bool,
    n_put: u64,
    exists: bool,
    /// Several copies of a task may read a shard at once.
    has_copies: bool,
}

struct Shard {
    info: ShardInfo,
    listed: bool,
    records: Vec<Record>,
    n_trimmed: usize,
    children: Vec<ShardId>,
    latency: Duration,
    in_flight: bool,
}

pub(crate) fn shard_id(n: u64) -> ShardId {
    ShardId::new(&format!("shardId-{n:012}"))
}

impl Fake {
    /// Makes a stream of so many shards, on a virtual clock that starts now.
    pub(crate) fn new(n_shards: u64) -> Self {
        let fake = Self {
            start: Instant::now(),
            state: Mutex::new(State {
                shards: BTreeMap::new(),
                faults: Vec::new(),
                calls: Vec::new(),
                list_page: 1000,
                iterator_life: Duration::from_secs(300),
                tells_children: true,
                n_put: 0,
                exists: true,
                has_copies: false,
            }),
        };
        for n in 0..n_shards {
            fake.add_shard(n, &[]);
        }
        fake
    }

    /// Returns the wall-clock time that belongs to tokio's.
    pub(crate) fn unix_ms(&self) -> u64 {
        ManualClock::EPOCH_UNIX_MS + millis(self.start.elapsed())
    }

    pub(crate) fn add_shard(&self, n: u64, parents: &[u64]) {
        let id = shard_id(n);
        let shard = Shard {
            info: ShardInfo {
                id: id.clone(),
                parents: parents.iter().copied().map(shard_id).collect(),
                closed: false,
            },
            listed: true,
            records: Vec::new(),
            n_trimmed: 0,
            children: Vec::new(),
            latency: Duration::from_millis(10),
            in_flight: false,
        };
        self.lock().shards.insert(id, shard);
    }

    /// Puts a record and returns its data.
    pub(crate) fn put(&self, shard: u64, data: &str) {
        let arrival_ms = i64::try_from(self.unix_ms()).ok();
        let mut state = self.lock();
        state.n_put += 1;
        let number = format!("49590338271490256608559692538361571095{:018}", state.n_put);
        let record = Record {
            sequence: Sequence::parse(&number).unwrap(),
            partition_key: format!("key of {data}").as_str().into(),
            data: data.as_bytes().into(),
            arrival_ms,
        };
        let shard = state.shards.get_mut(&shard_id(shard)).unwrap();
        assert!(!shard.info.closed, "a closed shard takes nothing");
        shard.records.push(record);
    }

    /// Puts records `from..to` of that name.
    pub(crate) fn put_many(&self, shard: u64, name: &str, range: std::ops::Range<u64>) {
        for n in range {
            self.put(shard, &format!("{name}{n}"));
        }
    }

    /// Returns the sequence numbers of a shard's records, in order.
    pub(crate) fn sequences(&self, shard: &ShardId) -> Vec<Sequence> {
        let state = self.lock();
        let records = state.shards[shard].records.iter();
        records.map(|record| record.sequence.clone()).collect()
    }

    /// Closes shards and opens children of all of them.
    pub(crate) fn reshard(&self, parents: &[u64], children: &[u64]) {
        for child in children {
            self.add_shard(*child, parents);
        }
        for parent in parents {
            let mut state = self.lock();
            let shard = state.shards.get_mut(&shard_id(*parent)).unwrap();
            shard.info.closed = true;
            shard.children = children.iter().copied().map(shard_id).collect();
        }
    }

    /// Closes a shard without children, as in a stream that ends.
    pub(crate) fn close(&self, shard: u64) {
        self.reshard(&[shard], &[]);
    }

    /// Makes a shard vanish, from the listing and altogether.
    pub(crate) fn remove(&self, shard: u64) {
        self.lock().shards.remove(&shard_id(shard));
    }

    /// Trims the oldest records of a shard.
    pub(crate) fn trim(&self, shard: u64, n: usize) {
        self.shard(shard, |shard| shard.n_trimmed = n);
    }

    pub(crate) fn set_latency(&self, shard: u64, latency: Duration) {
        self.shard(shard, |shard| shard.latency = latency);
    }

    pub(crate) fn set_list_page(&self, n_shards: usize) {
        self.lock().list_page = n_shards;
    }

    pub(crate) fn set_iterator_life(&self, life: Duration) {
        self.lock().iterator_life = life;
    }

    pub(crate) fn hide_children(&self) {
        self.lock().tells_children = false;
    }

    pub(crate) fn allow_copies(&self) {
        self.lock().has_copies = true;
    }

    pub(crate) fn set_exists(&self, exists: bool) {
        self.lock().exists = exists;
    }

    /// Makes the next `n` such calls fail.
    pub(crate) fn fail_next(&self, op: Op, shard: Option<u64>, fault: Fault, n: usize) {
        let fault = (op, shard.map(shard_id), fault);
        self.lock().faults.extend(std::iter::repeat_n(fault, n));
    }

    /// Takes back all faults that no call has met.
    pub(crate) fn mend(&self) {
        self.lock().faults.clear();
    }

    pub(crate) fn n_calls(&self, op: Op, shard: Option<u64>) -> usize {
        let shard = shard.map(shard_id);
        let state = self.lock();
        let calls = state.calls.iter();
        calls
            .filter(|(called, on, _)| *called == op && (shard.is_none() || *on == shard))
            .count()
    }

    /// Checks that every shard was read at most once in 200 ms, and iterators made no faster.
    pub(crate) fn assert_polite(&self) {
        let state = self.lock();
        for op in [Op::Iterator, Op::Records] {
            let mut last = BTreeMap::new();
            for (_, shard, at) in state.calls.iter().filter(|(called, ..)| *called == op) {
                if let Some(before) = last.insert(shard.clone(), *at) {
                    let gap = at.duration_since(before);
                    assert!(
                        gap >= Duration::from_millis(200),
                        "{op:?} on {shard:?} after {gap:?}"
                    );
                }
            }
        }
    }

    fn shard(&self, n: u64, change: impl FnOnce(&mut Shard)) {
        change(self.lock().shards.get_mut(&shard_id(n)).unwrap());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}
