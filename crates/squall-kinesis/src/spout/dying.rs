//! Records on their way to the dead letters.
//!
//! Such a record is emitted to the stream `dead-letters`, under its own message id, and is done when
//! that tuple is acked; until then it holds the checkpoint, and a tuple that fails is emitted again.

use std::collections::BTreeMap;
use std::time::Duration;

use squall_core::{MessageId, Moment, Str};

/// The letters that aren't acked yet. Bounded by what is pending.
#[derive(Debug)]
pub(super) struct Dying {
    letters: BTreeMap<MessageId, Letter>,
    /// How long to wait before a letter that failed is emitted again.
    wait: Duration,
}

/// What is written of a record besides itself.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) attempts: u32,
    pub(super) error: Str,
    /// When to emit it; `None` while it is emitted.
    due: Option<Moment>,
}

impl Dying {
    pub(super) const fn new(wait: Duration) -> Self {
        Self {
            letters: BTreeMap::new(),
            wait,
        }
    }

    /// Adds a record whose attempts are used up.
    pub(super) fn add(&mut self, id: MessageId, attempts: u32, error: Str, now: Moment) {
        let letter = Letter {
            attempts,
            error,
            due: Some(now),
        };
        self.letters.insert(id, letter);
    }

    /// Books that a letter failed. False when the id isn't one's.
    pub(super) fn failed(&mut self, id: MessageId, now: Moment) -> bool {
        let letter = self.letters.get_mut(&id);
        if let Some(letter) = letter {
            letter.due = Some(now + self.wait);
            return true;
        }
        false
    }

    /// Forgets a letter. False when the id isn't one's.
    pub(super) fn remove(&mut self, id: MessageId) -> bool {
        self.letters.remove(&id).is_some()
    }

    /// Hands out a letter to be emitted now.
    pub(super) fn next_due(&mut self, now: Moment) -> Option<(MessageId, &Letter)> {
        let due = |letter: &Letter| letter.due.is_some_and(|due| due <= now);
        let (id, letter) = self.letters.iter_mut().find(|(_, letter)| due(letter))?;
        letter.due = None;
        Some((*id, letter))
    }

    /// Returns when the next letter is due.
    pub(super) fn next_due_at(&self) -> Option<Moment> {
        self.letters.values().filter_map(|letter| letter.due).min()
    }
}
