//! How a daemon ends: a tree of scopes that own all its async tasks, first asked to drain, then made to end.
//!
//! **Invariant:** when the process ends, every task of the tree has ended, or its name has been said.

mod scope;
mod signals;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{error, info, warn};

pub use scope::{Scope, Tracked};
pub use signals::{Signal, Signals};
use tree::Tree;

/// The most names of tasks that a message or an [`Ended`] lists.
const MAX_NAMES: usize = 32;

/// The root of the tree: owned by `main`, which hands out scopes and then waits in [`Shutdown::run`].
#[derive(Debug)]
pub struct Shutdown {
    tree: Arc<Tree>,
    scope: Scope,
    bounds: ShutdownBounds,
}

/// How long the ways to end may take.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownBounds {
    /// How long tasks have to drain, from the first signal. Default: 30 s.
    pub drain: Duration,
    /// How long they have after that, or after the second signal, to just end. Default: 5 s.
    pub force: Duration,
}

impl Default for ShutdownBounds {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(30),
            force: Duration::from_secs(5),
        }
    }
}

/// Why a process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody sent a signal.
    Signal(Signal),
    /// A part of the process has done what it was there for, or can't go on and has a say in it.
    Asked {
        /// The reason, for people.
        reason: String,
    },
    /// A vital task failed, panicked, or ended where it shouldn't.
    Failed {
        /// Its name.
        task: String,
        /// What it said.
        reason: String,
    },
}

/// How far the end had to be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// Everything ended by itself in time.
    Drained,
    /// The second signal came, or the time to drain was over; then everything ended.
    Forced,
    /// Some tasks never ended. Async ones were aborted, threads can only be left behind.
    Abandoned,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the exit status hangs on it"]
pub struct Ended {
    /// Why it began to end: the first cause that there was.
    pub cause: Cause,
    /// How far the end had to be enforced.
    pub manner: Manner,
    /// The names of tasks that never ended, 32 at most.
    pub still_running: Vec<String>,
}

impl Ended {
    /// Whether the process may exit as successful: it was told to end, and did so in time.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.manner == Manner::Drained && !matches!(self.cause, Cause::Failed { .. })
    }
}

impl Shutdown {
    /// Makes an empty tree.
    #[must_use]
    pub fn new(bounds: ShutdownBounds) -> Self {
        let tree = Arc::new(Tree::default());
        Self {
            scope: Scope::root(Arc::clone(&tree)),
            tree,
            bounds,
        }
    }

    /// Returns the scope that all others stem from.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Waits for a cause to end, lets the tree drain, forces what doesn't, and says what remains. Takes no
    /// longer than both bounds after the cause.
    ///
    /// Tasks that were abandoned may block a runtime's drop: use `Runtime::shutdown_background`.
    pub async fn run(self, mut signals: Signals) -> Ended {
        let Self {
            tree,
            scope,
            bounds,
        } = self;
        let cause = tokio::select! {
            signal = signals.next() => Cause::Signal(signal),
            cause = tree.cause() => cause,
        };
        info!(%cause, n_running = tree.names("", usize::MAX).len(), "draining");
        scope.drain();
        let drained = tokio::select! {
            drained = timeout(bounds.drain, tree.ended("")) => drained.is_ok(),
            signal = signals.next() => {
                warn!(%signal, "a second signal, no more draining");
                false
            }
        };
        let mut ended = Ended {
            cause,
            manner: Manner::Drained,
            still_running: Vec::new(),
        };
        if drained {
            return ended;
        }
        warn!(still_running = ?tree.names("", MAX_NAMES), "forcing what doesn't drain");
        ended.manner = Manner::Forced;
        scope.force();
        if timeout(bounds.force, tree.ended("")).await.is_err() {
            ended.manner = Manner::Abandoned;
            ended.still_running = tree.names("", MAX_NAMES);
            error!(still_running = ?ended.still_running, "ending without these");
            tree.abort();
        }
        ended
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => write!(f, "{signal}"),
            Self::Asked { reason } => f.write_str(reason),
            Self::Failed { task, reason } => write!(f, "{task}: {reason}"),
        }
    }
}
