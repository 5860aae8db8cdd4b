//! A Kinesis in memory, on tokio's clock: lags, child shards, throttles, expiry and trimming to order.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use squall_core::{BoxFuture, ManualClock};
use squall_kinesis::{
    ApiError, ErrorClass, KinesisApi, Page, Record, Sequence, ShardId, ShardInfo, ShardPage, Start,
};
use tokio::time::{Instant, sleep};

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

    /// Books a call and returns the fault that it meets.
    fn call(&self, op: Op, shard: Option<&ShardId>) -> Result<Option<Fault>, ApiError> {
        let mut state = self.lock();
        state.calls.push((op, shard.cloned(), Instant::now()));
        if !state.exists {
            return Err(error(ErrorClass::NotFound));
        }
        let fits = |(of, on, _): &(Op, Option<ShardId>, Fault)| {
            *of == op && (on.is_none() || on.as_ref() == shard)
        };
        let found = state.faults.iter().position(fits);
        match found.map(|idx| state.faults.remove(idx).2) {
            Some(Fault::Error(class)) => Err(error(class)),
            Some(Fault::Panic) => {
                drop(state);
                panic!("told to panic");
            }
            other => Ok(other),
        }
    }

    fn page(&self, iterator: &str, limit: u32, fault: Option<Fault>) -> Result<Page, ApiError> {
        let (shard, next, made_ms) = parse(iterator);
        let now_ms = self.unix_ms();
        let state = self.lock();
        if now_ms - made_ms > millis(state.iterator_life) {
            return Err(error(ErrorClass::ExpiredIterator));
        }
        let shard = state
            .shards
            .get(&shard)
            .ok_or(error(ErrorClass::NotFound))?;
        let first = next.max(shard.n_trimmed);
        let end = (first + usize::try_from(limit).unwrap()).min(shard.records.len());
        let at_end = shard.info.closed && end == shard.records.len();
        let next_record = shard.records.get(end);
        let behind = next_record.and_then(|record| record.arrival_ms);
        let behind = behind.map_or(0, |ms| now_ms - u64::try_from(ms).unwrap());
        let null = at_end || matches!(fault, Some(Fault::NullIterator));
        let tells = at_end && state.tells_children;
        Ok(Page {
            records: shard.records[first..end].to_vec(),
            next_iterator: (!null).then(|| format!("{}|{end}|{now_ms}", shard.info.id)),
            // A record that has just arrived is some way behind all the same.
            behind_ms: Some(if next_record.is_some() {
                behind.max(1)
            } else {
                0
            }),
            children: if tells {
                shard.children.clone()
            } else {
                Vec::new()
            },
        })
    }

    fn place(&self, id: &ShardId, start: &Start) -> Result<usize, ApiError> {
        let state = self.lock();
        let shard = state.shards.get(id).ok_or(error(ErrorClass::NotFound))?;
        let find = |sequence: &Sequence| {
            let found = shard.records.iter().position(|r| r.sequence == *sequence);
            let found = found.ok_or(error(ErrorClass::InvalidArgument))?;
            if found < shard.n_trimmed {
                return Err(error(ErrorClass::Trimmed));
            }
            Ok(found)
        };
        match start {
            Start::TrimHorizon => Ok(shard.n_trimmed),
            Start::Latest => Ok(shard.records.len()),
            Start::AtTimestamp(from_ms) => {
                if *from_ms > self.unix_ms() {
                    return Err(error(ErrorClass::InvalidArgument));
                }
                let from_ms = i64::try_from(*from_ms).ok();
                let found = shard.records.iter().position(|r| r.arrival_ms >= from_ms);
                Ok(found.unwrap_or(shard.records.len()))
            }
            Start::AtSequence(sequence) => find(sequence),
            Start::AfterSequence(sequence) => find(sequence).map(|found| found + 1),
        }
    }

    fn list(&self, token: Option<&str>) -> ShardPage {
        let state = self.lock();
        let first = token.map_or(0, |token| token.parse::<usize>().unwrap());
        let listed = state.shards.values().filter(|shard| shard.listed);
        let all: Vec<_> = listed.map(|shard| shard.info.clone()).collect();
        let end = (first + state.list_page).min(all.len());
        // Every page repeats the last shard of the one before.
        ShardPage {
            shards: all[first.saturating_sub(1)..end].to_vec(),
            next_token: (end < all.len()).then(|| end.to_string()),
        }
    }
}

impl KinesisApi for Fake {
    fn list_shards<'a>(
        &'a self,
        token: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ShardPage, ApiError>> {
        Box::pin(async move {
            sleep(Duration::from_millis(10)).await;
            self.call(Op::List, None)?;
            Ok(self.list(token))
        })
    }

    fn shard_iterator<'a>(
        &'a self,
        shard: &'a ShardId,
        start: &'a Start,
    ) -> BoxFuture<'a, Result<String, ApiError>> {
        Box::pin(async move {
            self.call(Op::Iterator, Some(shard))?;
            let place = self.place(shard, start)?;
            Ok(format!("{shard}|{place}|{}", self.unix_ms()))
        })
    }

    fn records<'a>(
        &'a self,
        iterator: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Page, ApiError>> {
        Box::pin(async move {
            let (id, ..) = parse(iterator);
            let called = self.call(Op::Records, Some(&id));
            let latency = {
                let mut state = self.lock();
                let shard = state.shards.get_mut(&id);
                shard.map_or(Duration::ZERO, |shard| {
                    assert!(!shard.in_flight, "two reads of {id} at once");
                    shard.in_flight = true;
                    shard.latency
                })
            };
            let in_flight = InFlight(self, id);
            sleep(latency).await;
            drop(in_flight);
            self.page(iterator, limit, called?)
        })
    }
}

/// A read that is under way, or was given up.
struct InFlight<'a>(&'a Fake, ShardId);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(shard) = self.0.lock().shards.get_mut(&self.1) {
            shard.in_flight = false;
        }
    }
}

fn parse(iterator: &str) -> (ShardId, usize, u64) {
    let parts: Vec<_> = iterator.split('|').collect();
    let [id, place, made_ms] = parts.as_slice() else {
        panic!("{iterator}");
    };
    (
        ShardId::new(id),
        place.parse().unwrap(),
        made_ms.parse().unwrap(),
    )
}

fn error(class: ErrorClass) -> ApiError {
    ApiError {
        class,
        code: format!("{class:?}"),
        message: "told to fail".to_owned(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}
