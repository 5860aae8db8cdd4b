//! Tasks that go on where they were.

use std::sync::{Arc, Mutex};

use squall_core::{BoxFuture, CheckpointStore, Entry, FailureReason, Fence, StoreError, Write};

use super::*;

/// The store of one key, which has its moods.
#[derive(Default)]
struct Store(Mutex<Stored>);

#[derive(Default)]
struct Stored {
    entry: Option<Entry>,
    n_commits: u64,
    mood: Mood,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Good,
    /// Does nothing, and says so.
    Away,
    /// Does what it is told and loses the answer.
    Silent,
}

impl Store {
    fn feel(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    /// Returns what is saved, as text.
    fn saved(&self) -> String {
        let stored = self.0.lock().unwrap();
        let value = stored.entry.as_ref().map(|entry| entry.value.clone());
        String::from_utf8(value.unwrap_or_default()).unwrap()
    }

    fn n_commits(&self) -> u64 {
        self.0.lock().unwrap().n_commits
    }

    fn load_now(&self) -> Result<Option<Entry>, StoreError> {
        let stored = self.0.lock().unwrap();
        match stored.mood {
            Mood::Away => Err(gone()),
            Mood::Good | Mood::Silent => Ok(stored.entry.clone()),
        }
    }

    fn commit_now(&self, fence: Fence, writes: &[Write]) -> Result<Vec<u64>, StoreError> {
        let mut stored = self.0.lock().unwrap();
        let [write] = writes else {
            panic!("one key: {writes:?}");
        };
        assert_eq!(write.key, "test/generate/tested/0-of-1");
        if stored.mood == Mood::Away {
            return Err(gone());
        }
        let (found, newest) = stored
            .entry
            .as_ref()
            .map_or((None, fence), |entry| (Some(entry.version), entry.fence));
        if newest > fence {
            let key = write.key.clone();
            return Err(StoreError::Fenced { key, found: newest });
        }
        if found != write.expected {
            let (key, expected) = (write.key.clone(), write.expected);
            return Err(StoreError::Conflict {
                key,
                expected,
                found,
            });
        }
        let version = found.unwrap_or(0) + 1;
        stored.n_commits += 1;
        stored.entry = Some(Entry {
            value: write.value.clone().unwrap(),
            version,
            fence,
        });
        match stored.mood {
            Mood::Silent => Err(gone()),
            _ => Ok(vec![version]),
        }
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("no answer".to_owned())
}

impl CheckpointStore for Store {
    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async { self.load_now() })
    }
    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<(String, Entry)>, StoreError>> {
        Box::pin(async { Err(gone()) })
    }
    fn commit(
        &self,
        fence: Fence,
        writes: Vec<Write>,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move { self.commit_now(fence, &writes) })
    }
    fn location(&self) -> String {
        "a test".to_owned()
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn incarnation(incarnation: u64) -> Fence {
    Fence {
        placement_epoch: 1,
        incarnation,
    }
}

/// Starts a copy of a task that makes ten rows, keeping four of them in flight.
fn start(store: &Arc<Store>, fence: Fence) -> SpoutHarness<Generate> {
    start_with(store, fence, &serde_json::json!({}))
}

fn start_with(
    store: &Arc<Store>,
    fence: Fence,
    more: &serde_json::Value,
) -> SpoutHarness<Generate> {
    let mut config = serde_json::json!({
        "count": 10, "resume": true, "replay": { "max_items": 4 },
    });
    let more = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(more);
    let mut task = generate(config).store(store.clone(), fence);
    task.open().unwrap();
    task
}

/// Takes all rows that come now: the numbers of their messages and their own.
fn taken(task: &mut SpoutHarness<Generate>) -> Vec<(usize, i64)> {
    // The store answers between two calls.
    for _ in 0..3 {
        while task.next_tuple().unwrap() == Activity::Emitted {}
    }
    let emitted = task.emitted().into_iter();
    emitted
        .map(|(id, row)| (id, row[0].as_i64().unwrap()))
        .collect()
}

fn numbers(task: &mut SpoutHarness<Generate>) -> Vec<i64> {
    taken(task).into_iter().map(|(_, n)| n).collect()
}

#[test]
fn a_killed_task_goes_on_below_its_first_pending_row() {
    let store = Arc::new(Store::default());
    let mut first = start(&store, incarnation(1));
    let rows = taken(&mut first);
    assert_eq!(rows.len(), 4);
    for (id, n) in rows {
        if n != 2 {
            first.ack(id);
        }
    }
    assert_eq!(numbers(&mut first), [4, 5, 6]);
    first.advance(SECOND);
    assert!(numbers(&mut first).is_empty());
    assert_eq!(store.saved(), r#"{"format":1,"done_below":2}"#);

    let mut second = start(&store, incarnation(2));
    assert_eq!(numbers(&mut second), [2, 3, 4, 5]);
    assert_eq!(second.metric("uncheckpointed"), 0);
}

#[test]
fn finishes_once_all_is_saved_and_a_restarted_task_emits_nothing() {
    let store = Arc::new(Store::default());
    let mut first = start(&store, incarnation(1));
    store.feel(Mood::Away);
    assert!(
        numbers(&mut first).is_empty(),
        "where it begins isn't known"
    );
    store.feel(Mood::Good);
    first.advance(SECOND);
    let mut seen = Vec::new();
    loop {
        let rows = taken(&mut first);
        if rows.is_empty() {
            break;
        }
        for (id, n) in rows {
            first.ack(id);
            seen.push(n);
        }
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    let Activity::IdleFor(wait) = first.next_tuple().unwrap() else {
        panic!("the last rows are to be saved");
    };
    assert!(wait <= SECOND, "{wait:?}");
    first.advance(wait);
    assert!(numbers(&mut first).is_empty());
    assert_eq!(first.next_tuple().unwrap(), Activity::Finished);

    let mut second = start(&store, incarnation(2));
    assert!(numbers(&mut second).is_empty());
    assert_eq!(second.next_tuple().unwrap(), Activity::Finished);
}

#[test]
fn saves_at_its_end_what_was_not_saved() {
    let store = Arc::new(Store::default());
    let mut first = start(&store, incarnation(1));
    for (id, _) in taken(&mut first) {
        first.ack(id);
    }
    assert_eq!(store.n_commits(), 0, "a second isn't over");
    first.spout().close();
    assert_eq!(store.saved(), r#"{"format":1,"done_below":4}"#);
    assert_eq!(numbers(&mut start(&store, incarnation(2))), [4, 5, 6, 7]);
}

#[test]
fn saves_once_a_second() {
    let store = Arc::new(Store::default());
    let mut task = start(&store, incarnation(1));
    for _ in 0..8 {
        if let Some((id, _)) = taken(&mut task).into_iter().next() {
            task.ack(id);
        }
        task.advance(SECOND / 4);
    }
    assert_eq!(store.n_commits(), 1);
}

#[test]
fn a_store_that_is_away_or_silent_is_asked_again_and_bounds_what_comes_twice() {
    let store = Arc::new(Store::default());
    let more = serde_json::json!({ "count": 1000, "max_uncheckpointed": 6 });
    let mut task = start_with(&store, incarnation(1), &more);
    let pass = |task: &mut SpoutHarness<Generate>| {
        let mut seen = Vec::new();
        loop {
            let rows = taken(task);
            if rows.is_empty() {
                return seen;
            }
            for (id, n) in rows {
                task.ack(id);
                seen.push(n);
            }
        }
    };
    store.feel(Mood::Silent);
    assert_eq!(pass(&mut task), (0..6).collect::<Vec<_>>());
    task.advance(SECOND);
    assert!(pass(&mut task).is_empty(), "done, and nobody knows");
    assert_eq!(store.saved(), r#"{"format":1,"done_below":6}"#);
    store.feel(Mood::Away);
    task.advance(SECOND);
    assert!(pass(&mut task).is_empty());
    store.feel(Mood::Good);
    // The same write again is refused, and reading tells that it was this task's own.
    task.advance(SECOND);
    assert!(pass(&mut task).is_empty());
    task.advance(SECOND);
    assert_eq!(pass(&mut task), (6..12).collect::<Vec<_>>());
    assert_eq!(store.n_commits(), 1);
    let mut again = start_with(&store, incarnation(2), &more);
    assert_eq!(numbers(&mut again), [6, 7, 8, 9]);
}

#[test]
fn an_old_copy_turns_nothing_back_and_stops() {
    let store = Arc::new(Store::default());
    let mut old = start(&store, incarnation(1));
    let rows = taken(&mut old);
    let mut new = start(&store, incarnation(2));
    for (id, _) in taken(&mut new) {
        new.ack(id);
    }
    new.advance(SECOND);
    assert_eq!(numbers(&mut new), [4, 5, 6, 7]);
    let saved = store.saved();

    old.ack(rows[0].0);
    old.fail(rows[1].0, FailureReason::Lost);
    old.advance(SECOND);
    numbers(&mut old);
    old.advance(SECOND * 60);
    assert!(numbers(&mut old).is_empty(), "not even what failed");
    assert_eq!(old.next_tuple().unwrap(), Activity::Idle);
    old.spout().close();
    assert_eq!(store.saved(), saved);
}

#[test]
fn a_row_that_is_given_up_holds_nothing_back() {
    let store = Arc::new(Store::default());
    let replay = serde_json::json!({ "max_items": 4, "max_attempts": 1, "on_exhausted": "drop" });
    let more = serde_json::json!({ "replay": replay });
    let mut task = start_with(&store, incarnation(1), &more);
    let rows = taken(&mut task);
    task.fail(rows[0].0, FailureReason::Rejected);
    task.ack(rows[1].0);
    task.spout().close();
    assert_eq!(store.saved(), r#"{"format":1,"done_below":2}"#);
}

#[test]
fn refuses_to_resume_what_it_does_not_follow() {
    let config = serde_json::json!({ "resume": true, "tracked": false });
    let error = Generate::new(serde_json::from_value(config).unwrap());
    let error = error.err().unwrap().to_string();
    assert!(error.contains("leave `tracked` true"), "{error}");
}
