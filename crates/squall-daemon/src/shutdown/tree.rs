//! What runs, by name, and why it shall end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::shutdown::Cause;

/// What all scopes of a process share. Holds an entry for each task that runs, so it is as large as what was
/// spawned: whoever spawns by request from outside bounds that.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    running: BTreeMap<u64, Running>,
    /// The first one.
    cause: Option<Cause>,
}

#[derive(Debug)]
struct Running {
    path: Arc<str>,
    /// None for what is no async task, and for one that is just being spawned.
    abort: Option<AbortHandle>,
}

impl Tree {
    /// Enters something that runs; returns its id.
    pub(crate) fn enter(&self, path: &str) -> u64 {
        let mut state = self.lock();
        state.next_id += 1;
        let id = state.next_id;
        let running = Running {
            path: path.into(),
            abort: None,
        };
        state.running.insert(id, running);
        id
    }

    /// Notes how to abort it, unless it has ended already.
    pub(crate) fn can_abort(&self, id: u64, abort: AbortHandle) {
        if let Some(running) = self.lock().running.get_mut(&id) {
            running.abort = Some(abort);
        }
    }

    /// Strikes out what has ended.
    pub(crate) fn leave(&self, id: u64) {
        self.lock().running.remove(&id);
        self.changed.notify_waiters();
    }

    /// Notes why the process shall end. The first cause stays.
    pub(crate) fn end(&self, cause: Cause) {
        self.lock().cause.get_or_insert(cause);
        self.changed.notify_waiters();
    }

    /// Waits for a cause.
    pub(crate) async fn cause(&self) -> Cause {
        self.wait_for(|state| state.cause.clone()).await
    }

    /// Waits until nothing runs at or below a path.
    pub(crate) async fn ended(&self, path: &str) {
        self.wait_for(|state| state.below(path).next().is_none().then_some(()))
            .await;
    }

    /// The names of what runs at or below a path, in the order in which it was begun.
    pub(crate) fn names(&self, path: &str, max_names: usize) -> Vec<String> {
        let state = self.lock();
        let names = state.below(path).take(max_names);
        names.map(|running| running.path.to_string()).collect()
    }

    /// Aborts every async task.
    pub(crate) fn abort(&self) {
        for running in self.lock().running.values() {
            if let Some(abort) = &running.abort {
                abort.abort();
            }
        }
    }

    async fn wait_for<T>(&self, find: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before looking, so that a change in between isn't missed.
            changed.as_mut().enable();
            if let Some(found) = find(&self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What runs at a path or below it; everything for an empty path.
    fn below<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Running> {
        self.running.values().filter(move |running| {
            let rest = running.path.strip_prefix(path);
            rest.is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with('/'))
        })
    }
}
