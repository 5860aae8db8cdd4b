//! How the fake answers.

use std::time::Duration;

use squall_core::BoxFuture;
use squall_kinesis::{ApiError, ErrorClass, KinesisApi, Page, Sequence, ShardId, ShardPage, Start};
use tokio::time::{Instant, sleep};

use super::{Fake, Fault, Op, millis};

impl Fake {
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
                let has_copies = state.has_copies;
                let shard = state.shards.get_mut(&id);
                shard.map_or(Duration::ZERO, |shard| {
                    assert!(!shard.in_flight || has_copies, "two reads of {id} at once");
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
