//! A part of the tree: what a part of a daemon gets to spawn its tasks in.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::{
    CancellationToken, WaitForCancellationFuture, WaitForCancellationFutureOwned,
};
use tracing::error;

use crate::shutdown::Cause;
use crate::shutdown::tree::Tree;

/// Owns async tasks and tells them when to end. Clones are the same scope; a child ends with its parent, or
/// alone.
#[derive(Clone)]
pub struct Scope {
    tree: Arc<Tree>,
    path: Arc<str>,
    drain: CancellationToken,
    force: CancellationToken,
}

impl Scope {
    pub(crate) fn root(tree: Arc<Tree>) -> Self {
        Self {
            tree,
            path: "".into(),
            drain: CancellationToken::new(),
            force: CancellationToken::new(),
        }
    }

    /// Makes a scope below this one. Its name is for people and need not be unique.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self {
            tree: Arc::clone(&self.tree),
            path: self.below(name).into(),
            drain: self.drain.child_token(),
            force: self.force.child_token(),
        }
    }

    /// Runs a task. It should end soon after [`Scope::draining`], at once after [`Scope::forced`], and is
    /// aborted if it doesn't. A panic is logged, and harms nobody else.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(&self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let tracked = self.track(name);
        let id = tracked.id;
        let running = tokio::spawn(async move {
            let _tracked = tracked;
            task.await;
        });
        self.tree.can_abort(id, running.abort_handle());
    }

    /// Runs a task without which the process can't go on. When it fails or panics, or when it ends while
    /// nobody has asked it to, the whole process drains.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn_vital<E: fmt::Display>(
        &self,
        name: &str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let scope = self.clone();
        let mut vital = Vital {
            scope: self.clone(),
            task: self.below(name),
            has_ended: false,
        };
        self.spawn(name, async move {
            let result = task.await;
            vital.has_ended = true;
            match result {
                Ok(()) if scope.is_draining() => {}
                Ok(()) => vital.fail("it ended before it was asked to"),
                Err(error) => vital.fail(error),
            }
        });
    }

    /// Enters something that isn't an async task of this scope, a thread for instance, until what is
    /// returned is dropped.
    #[must_use]
    pub fn track(&self, name: &str) -> Tracked {
        let path = self.below(name);
        Tracked {
            id: self.tree.enter(&path),
            tree: Arc::clone(&self.tree),
            path,
        }
    }

    /// Asks the whole process to end, by draining. The first cause is the one that is told.
    pub fn end_process(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.tree.end(Cause::Asked { reason });
    }

    /// Asks this scope and those below it to drain, and nobody else.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Makes this scope and those below it end.
    pub fn force(&self) {
        self.drain.cancel();
        self.force.cancel();
    }

    /// Waits until every task of this scope and of those below it has ended; who calls it from one of them
    /// waits for ever.
    pub async fn ended(&self) {
        self.tree.ended(&self.path).await;
    }

    /// The names of the tasks that run in this scope and in those below it, `max_names` at most.
    #[must_use]
    pub fn running(&self, max_names: usize) -> Vec<String> {
        self.tree.names(&self.path, max_names)
    }

    /// Waits until it is time to finish what was begun and to begin nothing new.
    pub fn draining(&self) -> WaitForCancellationFuture<'_> {
        self.drain.cancelled()
    }

    /// Tells whether it is.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Waits until it is time to drop everything.
    pub fn forced(&self) -> WaitForCancellationFuture<'_> {
        self.force.cancelled()
    }

    /// The same for who outlives the scope.
    pub fn forced_owned(&self) -> WaitForCancellationFutureOwned {
        self.force.clone().cancelled_owned()
    }

    fn below(&self, name: &str) -> String {
        match &*self.path {
            "" => name.to_owned(),
            path => format!("{path}/{name}"),
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("path", &self.path)
            .field("is_draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

/// Something that runs until this is dropped.
#[derive(Debug)]
pub struct Tracked {
    tree: Arc<Tree>,
    id: u64,
    path: String,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(task = self.path, "a task has panicked");
        }
        self.tree.leave(self.id);
    }
}

/// Notices that a vital task panicked.
struct Vital {
    scope: Scope,
    task: String,
    has_ended: bool,
}

impl Vital {
    fn fail(&self, reason: impl fmt::Display) {
        self.scope.tree.end(Cause::Failed {
            task: self.task.clone(),
            reason: reason.to_string(),
        });
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        // One that is aborted was asked to end before.
        if !self.has_ended && std::thread::panicking() {
            self.fail("it panicked");
        }
    }
}
