//! What a task asks its checkpoint store for, and when: pure, in virtual time.
//!
//! ```text
//!   load ──▶ known ── more is done ──▶ saving ──▶ known …
//!                                     │    ▲ no answer: the same again
//!                                     ▼    │
//!                             refused: read whose write it was
//! ```
//! **Invariant:** while the fate of a write is unknown, that write is repeated and no other is made.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use squall_core::{Entry, Fence, Moment, StoreError};
use thiserror::Error;

/// The shortest time between two questions to the store.
const INTERVAL: Duration = Duration::from_secs(1);
/// The version of the format that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// How far a task came, as far as its store knows.
#[derive(Debug)]
pub(super) struct Saver {
    fence: Fence,
    /// `None` until it was read.
    saved: Option<Saved>,
    /// What was written and not answered yet.
    unanswered: Option<u64>,
    /// The write was refused: the store is asked what stands there.
    doubtful: bool,
    busy: bool,
    next_at: Moment,
}

/// What stands in the store.
#[derive(Clone, Copy, Debug)]
struct Saved {
    done_below: u64,
    /// `None` where nothing does.
    version: Option<u64>,
}

/// What the store is to be asked; one question at a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Read the key.
    Load,
    /// Write the key where it has this version.
    Save {
        /// The version; `None`, no key.
        expected: Option<u64>,
        /// The number below which every row is done.
        done_below: u64,
    },
}

/// What the store said.
#[derive(Debug)]
pub(super) enum Answer {
    /// To [`Ask::Load`].
    Loaded(Result<Option<Entry>, StoreError>),
    /// To [`Ask::Save`]: the new version.
    Saved(Result<u64, StoreError>),
}

/// What an answer came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Where to begin, at the first reading; `None` where nothing was saved.
    Begin(Option<u64>),
    /// It is saved, or is to be tried again.
    Fine,
    /// It is to be tried again, for this reason.
    Failed(String),
}

/// Why a task can't go on as it is.
#[derive(Debug, Error)]
pub(super) enum SaverError {
    /// A newer copy has written: this one has to stop.
    #[error("a newer copy of this task runs: {0:?}")]
    Fenced(Fence),
    /// Another instance of the same copy has written: to be begun anew from there.
    #[error("another instance of this task has saved its progress")]
    Overtaken,
    /// What stands there is not ours to read.
    #[error("the saved progress can't be read: {0}")]
    Damaged(String),
}

/// How progress is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    done_below: u64,
}

impl Saver {
    /// Begins for a copy of a task; the first thing is to load.
    pub(super) const fn new(fence: Fence) -> Self {
        Self {
            fence,
            saved: None,
            unanswered: None,
            doubtful: false,
            busy: false,
            next_at: Moment::ZERO,
        }
    }

    /// Returns the number below which the store knows every row to be done; `None` until it was read, 0 where
    /// nothing was saved.
    pub(super) fn saved_below(&self) -> Option<u64> {
        self.saved.map(|saved| saved.done_below)
    }

    /// Tells whether a question is under way.
    pub(super) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Returns when the next question may be put, past or future; `None` while one is under way, or where
    /// there is none.
    pub(super) fn due(&self, done_below: u64) -> Option<Moment> {
        self.question(done_below).map(|_| self.next_at)
    }

    /// Puts the next question, if there is one; whoever isn't patient looks at [`Saver::due`] before.
    pub(super) fn ask(&mut self, done_below: u64, now: Moment) -> Option<Ask> {
        let ask = self.question(done_below)?;
        if let Ask::Save { done_below, .. } = &ask {
            self.unanswered = Some(*done_below);
        }
        self.busy = true;
        self.next_at = now + INTERVAL;
        Some(ask)
    }

    fn question(&self, done_below: u64) -> Option<Ask> {
        if self.busy {
            return None;
        }
        let Some(saved) = self.saved.filter(|_| !self.doubtful) else {
            return Some(Ask::Load);
        };
        let below = self.unanswered.unwrap_or(done_below);
        (below > saved.done_below).then_some(Ask::Save {
            expected: saved.version,
            done_below: below,
        })
    }

    /// Takes the answer to the question that is under way.
    ///
    /// # Errors
    /// [`SaverError`]: nothing is asked any more.
    pub(super) fn answered(&mut self, answer: Answer) -> Result<Told, SaverError> {
        self.busy = false;
        match answer {
            Answer::Loaded(Ok(entry)) => self.loaded(entry.as_ref()),
            Answer::Saved(Ok(version)) => {
                self.settle(version);
                Ok(Told::Fine)
            }
            Answer::Saved(Err(StoreError::Conflict { .. })) => {
                self.doubtful = true;
                Ok(Told::Fine)
            }
            Answer::Loaded(Err(StoreError::Fenced { found, .. }))
            | Answer::Saved(Err(StoreError::Fenced { found, .. })) => {
                Err(SaverError::Fenced(found))
            }
            Answer::Loaded(Err(error)) | Answer::Saved(Err(error)) => {
                Ok(Told::Failed(error.to_string()))
            }
        }
    }

    fn loaded(&mut self, entry: Option<&Entry>) -> Result<Told, SaverError> {
        if let Some(entry) = entry.filter(|entry| entry.fence > self.fence) {
            return Err(SaverError::Fenced(entry.fence));
        }
        let done_below = entry.map(read).transpose()?;
        let version = entry.map(|entry| entry.version);
        let Some(saved) = self.saved else {
            self.saved = Some(Saved {
                done_below: done_below.unwrap_or(0),
                version,
            });
            return Ok(Told::Begin(done_below));
        };
        self.doubtful = false;
        let is_ours =
            entry.is_some_and(|entry| entry.fence == self.fence) && self.unanswered == done_below;
        match version {
            // An answer was lost on the way.
            Some(version) if is_ours && saved.version != Some(version) => self.settle(version),
            version if version == saved.version => {}
            _ => return Err(SaverError::Overtaken),
        }
        Ok(Told::Fine)
    }

    fn settle(&mut self, version: u64) {
        if let Some(done_below) = self.unanswered.take() {
            self.saved = Some(Saved {
                done_below,
                version: Some(version),
            });
        }
    }
}

/// Writes progress down: JSON, so that a person can read it.
pub(super) fn written(done_below: u64) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Written {
        format: FORMAT,
        done_below,
    })
}

fn read(entry: &Entry) -> Result<u64, SaverError> {
    let written: Written = serde_json::from_slice(&entry.value)
        .map_err(|error| SaverError::Damaged(error.to_string()))?;
    if written.format != FORMAT {
        let why = format!("it has format {}, not {FORMAT}", written.format);
        return Err(SaverError::Damaged(why));
    }
    Ok(written.done_below)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Fence = Fence {
        placement_epoch: 3,
        incarnation: 7,
    };

    fn entry(done_below: u64, version: u64, fence: Fence) -> Entry {
        Entry {
            value: written(done_below).unwrap(),
            version,
            fence,
        }
    }

    fn begun() -> Saver {
        let mut saver = Saver::new(OURS);
        assert_eq!(saver.ask(0, Moment::ZERO), Some(Ask::Load));
        let told = saver.answered(Answer::Loaded(Ok(Some(entry(10, 4, OURS)))));
        assert_eq!(told.unwrap(), Told::Begin(Some(10)));
        saver
    }

    fn save(done_below: u64) -> Option<Ask> {
        Some(Ask::Save {
            expected: Some(4),
            done_below,
        })
    }

    fn unavailable() -> StoreError {
        StoreError::Unavailable("gone".to_owned())
    }

    fn conflict() -> StoreError {
        StoreError::Conflict {
            key: "k".to_owned(),
            expected: Some(4),
            found: Some(5),
        }
    }

    #[test]
    fn saves_what_is_new_once_a_second() {
        let mut saver = begun();
        assert_eq!(saver.due(10), None, "nothing is new");
        assert_eq!(saver.due(11), Some(Moment::ZERO + INTERVAL));
        let now = Moment::ZERO + INTERVAL;
        assert_eq!(saver.ask(12, now), save(12));
        assert_eq!(saver.ask(13, now), None, "one is under way");
        assert_eq!(saver.answered(Answer::Saved(Ok(5))).unwrap(), Told::Fine);
        assert_eq!(saver.saved_below(), Some(12));
        assert_eq!(saver.due(13), Some(now + INTERVAL));
    }

    #[test]
    fn a_write_without_an_answer_is_repeated_until_its_fate_is_known() {
        let mut saver = begun();
        assert_eq!(saver.ask(12, Moment::ZERO), save(12));
        let told = saver.answered(Answer::Saved(Err(unavailable()))).unwrap();
        assert!(matches!(told, Told::Failed(_)));
        assert_eq!(saver.ask(20, Moment::ZERO), save(12), "the same again");
        // It had been done the first time.
        saver.answered(Answer::Saved(Err(conflict()))).unwrap();
        assert_eq!(saver.ask(20, Moment::ZERO), Some(Ask::Load));
        saver
            .answered(Answer::Loaded(Ok(Some(entry(12, 5, OURS)))))
            .unwrap();
        assert_eq!(saver.saved_below(), Some(12));
        let next = Ask::Save {
            expected: Some(5),
            done_below: 20,
        };
        assert_eq!(saver.ask(20, Moment::ZERO), Some(next));
    }

    #[test]
    fn whoever_was_overtaken_begins_anew_and_whoever_is_stale_stops() {
        let newer = Fence {
            incarnation: 8,
            ..OURS
        };
        for (found, expected) in [
            (Some(entry(15, 5, OURS)), "another instance"),
            (None, "another instance"),
            (Some(entry(12, 5, newer)), "a newer copy"),
        ] {
            let mut saver = begun();
            saver.ask(12, Moment::ZERO);
            saver.answered(Answer::Saved(Err(conflict()))).unwrap();
            saver.ask(12, Moment::ZERO);
            let error = saver.answered(Answer::Loaded(Ok(found))).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        let mut saver = Saver::new(OURS);
        saver.ask(0, Moment::ZERO);
        let found = Answer::Loaded(Ok(Some(entry(1, 1, newer))));
        assert!(matches!(saver.answered(found), Err(SaverError::Fenced(at)) if at == newer));
        let mut saver = begun();
        saver.ask(12, Moment::ZERO);
        let refused = StoreError::Fenced {
            key: "k".to_owned(),
            found: newer,
        };
        let refused = saver.answered(Answer::Saved(Err(refused)));
        assert!(matches!(refused, Err(SaverError::Fenced(at)) if at == newer));
    }

    #[test]
    fn what_can_not_be_read_is_never_taken_for_a_beginning() {
        for value in [
            "",
            "{}",
            r#"{"format":2,"done_below":1}"#,
            r#"{"format":1,"done_below":-1}"#,
        ] {
            let mut saver = Saver::new(OURS);
            saver.ask(0, Moment::ZERO);
            let found = Entry {
                value: value.into(),
                version: 1,
                fence: OURS,
            };
            let error = saver.answered(Answer::Loaded(Ok(Some(found)))).unwrap_err();
            assert!(matches!(error, SaverError::Damaged(_)), "{value}: {error}");
        }
        let mut saver = Saver::new(OURS);
        saver.ask(0, Moment::ZERO);
        saver.answered(Answer::Loaded(Err(unavailable()))).unwrap();
        assert_eq!(saver.saved_below(), None);
        assert_eq!(saver.ask(0, Moment::ZERO), Some(Ask::Load));
    }
}
