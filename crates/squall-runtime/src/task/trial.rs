//! Whether a task has shown that it doesn't block: only such ones call each other.

/// How many tuples a task has dealt with since it last took too long.
#[derive(Debug)]
pub(crate) struct Trial {
    after: u32,
    n_calm: u32,
}

impl Trial {
    /// Makes a trial of `after` tuples.
    pub(crate) const fn new(after: u32) -> Self {
        Self { after, n_calm: 0 }
    }

    /// Learns from a slice of tuples. After one that took too long the trial begins anew.
    pub(super) fn learn(&mut self, n_done: usize, took_too_long: bool) {
        let n_done = u32::try_from(n_done).unwrap_or(u32::MAX);
        self.n_calm = match took_too_long {
            true => 0,
            false => self.n_calm.saturating_add(n_done),
        };
    }

    /// Tells whether the task can be relied upon.
    pub(super) const fn is_passed(&self) -> bool {
        self.n_calm >= self.after
    }
}
