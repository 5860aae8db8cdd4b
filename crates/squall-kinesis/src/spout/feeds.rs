//! The shards that a spout emits: one record of each in turn.

use std::collections::{BTreeMap, VecDeque};
use std::vec;

use squall_core::{Metric, Moment};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::api::Record;
use crate::coordinator::Feed;
use crate::position::Position;
use crate::shard::{SaveLimits, ShardMetrics};
use crate::spout::row::{Body, FeedId};
use crate::tracker::Ordinal;

/// The running shards.
pub(super) struct Feeds {
    new: mpsc::Receiver<Feed>,
    feeds: BTreeMap<FeedId, Open>,
    /// Whose turn it is.
    turns: VecDeque<FeedId>,
    next_id: u64,
    /// A shard's reader ended, and all its records were emitted, since the last question.
    ended: bool,
}

struct Open {
    feed: Feed,
    page: vec::IntoIter<Record>,
    /// The page's place in the task's budget.
    budget: Option<OwnedSemaphorePermit>,
}

/// What there is to emit.
pub(super) enum Next {
    /// A record, booked as emitted.
    Record(Body),
    /// Nothing, for some shard is too far ahead of what is saved.
    Stale,
    /// Nothing.
    Nothing,
}

/// What a shard's turn gives.
enum Turn {
    Record(Record, Ordinal),
    Stale,
    Nothing,
    /// Nothing any more.
    Over,
}

impl Feeds {
    pub(super) const fn new(new: mpsc::Receiver<Feed>) -> Self {
        Self {
            new,
            feeds: BTreeMap::new(),
            turns: VecDeque::new(),
            next_id: 0,
            ended: false,
        }
    }

    /// Takes on the shards that were started; tells whether there were any.
    pub(super) fn take_new(&mut self) -> bool {
        let next_id = self.next_id;
        while let Ok(feed) = self.new.try_recv() {
            let id = FeedId(self.next_id);
            self.next_id += 1;
            let open = Open {
                feed,
                page: Vec::new().into_iter(),
                budget: None,
            };
            self.feeds.insert(id, open);
            self.turns.push_back(id);
        }
        self.next_id > next_id
    }

    /// Takes the next record, a shard at a time; no shard waits for more than one round.
    pub(super) fn next(&mut self, now: Moment, limits: SaveLimits) -> Next {
        let mut stale = false;
        for _ in 0..self.turns.len() {
            let Some(id) = self.turns.pop_front() else {
                break;
            };
            let Some(open) = self.feeds.get_mut(&id) else {
                continue;
            };
            match open.turn(now, limits) {
                Turn::Record(record, ordinal) => {
                    let shard = open.feed.shard.id.clone();
                    self.turns.push_back(id);
                    return Next::Record(Body {
                        feed: id,
                        ordinal,
                        shard,
                        record,
                    });
                }
                Turn::Stale => {
                    stale = true;
                    self.turns.push_back(id);
                }
                Turn::Nothing => self.turns.push_back(id),
                // It keeps its entry until its last record is done, but gets no turn.
                Turn::Over => self.close(id),
            }
        }
        if stale { Next::Stale } else { Next::Nothing }
    }

    /// Books a record as done. True when it was the last of its shard.
    pub(super) fn done(&mut self, id: FeedId, ordinal: Ordinal) -> bool {
        let Some(open) = self.feeds.get(&id) else {
            return false;
        };
        let mut progress = open.feed.shard.lock();
        progress.tracker.done(ordinal);
        let over = progress.is_finished();
        drop(progress);
        if over {
            self.feeds.remove(&id);
        }
        over
    }

    /// Tells whether a shard is still this task's.
    pub(super) fn owns(&self, id: FeedId) -> bool {
        let open = self.feeds.get(&id);
        open.is_some_and(|open| !open.feed.shard.lock().dropped)
    }

    /// Tells whether shards have ended since the last call.
    pub(super) const fn take_ended(&mut self) -> bool {
        std::mem::replace(&mut self.ended, false)
    }

    /// Tells whether no shard runs.
    pub(super) fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }

    /// Returns how many records are done and not saved.
    pub(super) fn n_uncheckpointed(&self) -> u64 {
        let of = |open: &Open| open.feed.shard.lock().n_uncheckpointed();
        self.feeds.values().map(of).sum()
    }

    /// Adds one to a counter of a shard.
    pub(super) fn count(&self, id: FeedId, which: impl FnOnce(&ShardMetrics) -> &Metric) {
        if let Some(open) = self.feeds.get(&id) {
            which(&open.feed.shard.metrics).add(1);
        }
    }

    /// All that the reader delivered is emitted, or the shard isn't ours any more.
    fn close(&mut self, id: FeedId) {
        let Some(open) = self.feeds.get(&id) else {
            return;
        };
        let mut progress = open.feed.shard.lock();
        progress.emitted_all = true;
        let over = progress.dropped || progress.is_finished();
        drop(progress);
        self.ended = true;
        if over {
            self.feeds.remove(&id);
        }
    }
}

impl Open {
    fn turn(&mut self, now: Moment, limits: SaveLimits) -> Turn {
        if self.page.len() == 0 {
            match self.feed.pages.try_recv() {
                Ok(fetched) => {
                    self.page = fetched.records.into_iter();
                    self.budget = fetched.budget;
                }
                Err(TryRecvError::Disconnected) => return Turn::Over,
                Err(TryRecvError::Empty) => return self.unless_dropped(),
            }
        }
        let mut progress = self.feed.shard.lock();
        if progress.dropped {
            return Turn::Over;
        }
        if progress.is_stale(limits, now) {
            return Turn::Stale;
        }
        let Some(record) = self.page.next() else {
            return Turn::Nothing;
        };
        let position = Position::plain(record.sequence.clone());
        let ordinal = progress.tracker.emit(position, record.arrival_ms);
        drop(progress);
        if self.page.len() == 0 {
            self.budget = None;
        }
        Turn::Record(record, ordinal)
    }

    fn unless_dropped(&self) -> Turn {
        if self.feed.shard.lock().dropped {
            Turn::Over
        } else {
            Turn::Nothing
        }
    }
}
