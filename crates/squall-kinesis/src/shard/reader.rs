//! The life of a shard's reader as `step(event, now) -> effect`: one call at a time, never two.
//!
//! ```text
//!   Seek --iterator--> Read --page--> Read ... --null iterator--> Check --open: a fault--+
//!    ^                  | expired, not accepted                     | closed: once more   |
//!    +------------------+-------------------------------------------+---------------------+
//! ```
//! A shard has ended when its last page names its children, or when it is listed as closed and a read
//! that began afterwards finds nothing and no iterator again: a null iterator alone proves nothing.
//!
//! **Invariant:** an iterator is made from the last *fetched* position, and what is at or below it is
//! discarded: nothing is lost or delivered twice by making a new one.

use std::time::Duration;

use squall_core::Moment;

use crate::api::{ApiError, ErrorClass, Page, Record, ShardId, Start};
use crate::checkpoint::Checkpoint;
use crate::config::{Limits, OnInvalidPosition};
use crate::position::Position;
use crate::shard::backoff::Backoff;
use crate::shard::pace::{Pace, Read};

/// An iterator lives for five minutes; an older one than this isn't worth a call.
const ITERATOR_LIFE: Duration = Duration::from_secs(280);
/// GetShardIterator is limited to five calls a second and shard.
const MIN_SEEK_INTERVAL: Duration = Duration::from_millis(200);

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The start, the end of a wait, or a page that was handed over.
    Ready,
    /// The answer to [`Effect::Seek`].
    Iterator(Result<String, ApiError>),
    /// The answer to [`Effect::Read`], which was called at this moment.
    Page(Moment, Result<Page, ApiError>),
    /// The answer to [`Effect::Check`].
    Checked(Result<Listing, ApiError>),
}

/// What the shell has to do; it reports back by the event that belongs to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Come back at this moment.
    Wait(Moment),
    /// Make an iterator.
    Seek(Start),
    /// Read a page from an iterator.
    Read(String, u32),
    /// Hand these records over and come back; the lag in milliseconds is as of their last.
    Deliver(Vec<Record>, Option<u64>),
    /// Look the shard up in the listing.
    Check,
    /// Nothing more comes.
    Stop(End),
}

/// What the listing says of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// It takes records.
    Open,
    /// It takes no more.
    Closed,
    /// It isn't there.
    Absent,
    /// The stream isn't there.
    NoStream,
}

/// How a reader ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All records of the closed shard were delivered.
    Finished,
    /// The shard is gone from the stream; records behind the last delivered one may be lost.
    Gone,
    /// The stream doesn't accept the position, and the policy is to stop.
    NotAccepted(ApiError),
}

/// Things to count and to tell operators of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Answers that the shard is throttled.
    pub(crate) throttled: i64,
    /// Iterators that had expired or were not accepted any more.
    pub(crate) expired: i64,
    /// Other errors, and null iterators of open shards.
    pub(crate) faults: i64,
    /// Times that records may have been lost: a position given up, a shard gone.
    pub(crate) losses: i64,
}

/// One shard's reader.
#[derive(Debug)]
pub(crate) struct Reader {
    limits: Limits,
    start: Start,
    /// Everything at or below it was delivered or is not wanted.
    after: Option<Position>,
    state: State,
    not_before: Moment,
    next_seek: Moment,
    pace: Pace,
    backoff: Backoff,
    counters: Counters,
    lost_behind: Option<Position>,
    /// The shard was listed as closed before the present iterator was made.
    known_closed: bool,
}

#[derive(Debug)]
enum State {
    /// Needs an iterator.
    Seek,
    /// Has an iterator since that moment.
    Read(String, Moment),
    /// Has to know what became of the shard.
    Check(Reason),
    /// Has delivered all.
    Over(End),
}

#[derive(Clone, Copy, Debug)]
enum Reason {
    /// A page came without an iterator for the next.
    NullIterator,
    /// A call said that there is no such thing.
    NotFound,
}

impl Reader {
    /// Makes a reader that begins behind `checkpoint`; `seed` is for the jitter.
    pub(crate) fn new(checkpoint: &Checkpoint, limits: Limits, seed: u64) -> Self {
        let start = match checkpoint {
            Checkpoint::TrimHorizon => Start::TrimHorizon,
            Checkpoint::AtTimestamp(unix_ms) => Start::AtTimestamp(*unix_ms),
            Checkpoint::AtSequence(sequence) => Start::AtSequence(sequence.clone()),
            Checkpoint::After(position) => start_behind(position),
            // Nobody reads a finished shard; if somebody did, there would be nothing to find.
            Checkpoint::ShardEnd => Start::Latest,
        };
        let after = match checkpoint {
            Checkpoint::After(position) => Some(position.clone()),
            _ => None,
        };
        Self {
            limits,
            start,
            after,
            state: State::Seek,
            not_before: Moment::ZERO,
            next_seek: Moment::ZERO,
            pace: Pace::new(),
            backoff: Backoff::new(seed),
            counters: Counters::default(),
            lost_behind: None,
            known_closed: false,
        }
    }

    /// Returns what was counted so far.
    pub(crate) const fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns the last delivered position before the last loss that was counted; `None` for a loss
    /// before the first record.
    pub(crate) const fn lost_behind(&self) -> Option<&Position> {
        self.lost_behind.as_ref()
    }

    /// Takes what happened and says what to do next. Pure but for the jitter.
    pub(crate) fn step(&mut self, event: Event, now: Moment) -> Effect {
        match event {
            Event::Ready => {}
            Event::Iterator(Ok(iterator)) => self.state = State::Read(iterator, now),
            Event::Iterator(Err(error)) => self.seek_failed(error, now),
            Event::Page(called_at, Ok(page)) => return self.take(page, called_at, now),
            Event::Page(called_at, Err(error)) => self.read_failed(error, called_at, now),
            Event::Checked(answer) => self.checked(answer, now),
        }
        self.next(now)
    }

    fn next(&mut self, now: Moment) -> Effect {
        if let State::Over(end) = &self.state {
            return Effect::Stop(end.clone());
        }
        if self.not_before > now {
            return Effect::Wait(self.not_before);
        }
        match &self.state {
            State::Read(_, since) if now.since(*since) > ITERATOR_LIFE => {
                self.state = State::Seek;
                self.next(now)
            }
            State::Read(iterator, _) => match self.pace.next_call() {
                at if at > now => Effect::Wait(at),
                _ => Effect::Read(iterator.clone(), self.limits.page_records),
            },
            State::Seek if self.next_seek > now => Effect::Wait(self.next_seek),
            State::Seek => {
                self.next_seek = now + MIN_SEEK_INTERVAL;
                Effect::Seek(self.start.clone())
            }
            State::Check(_) => Effect::Check,
            State::Over(end) => Effect::Stop(end.clone()),
        }
    }

    /// Takes a page: first its records, then whatever it says of the next.
    fn take(&mut self, page: Page, called_at: Moment, now: Moment) -> Effect {
        self.backoff.reset();
        self.not_before = Moment::ZERO;
        let read = Read {
            called_at,
            bytes: page.bytes(),
            records: page.records.len(),
            behind_ms: page.behind_ms,
        };
        self.pace.read(read, &self.limits, now);
        let records = self.keep_new(page.records);
        let proven = !page.children.is_empty() || (self.known_closed && records.is_empty());
        self.state = match page.next_iterator {
            Some(iterator) => State::Read(iterator, now),
            None if proven => State::Over(End::Finished),
            None if self.known_closed => State::Seek,
            None => State::Check(Reason::NullIterator),
        };
        Effect::Deliver(records, page.behind_ms)
    }

    /// Drops what was delivered before, and what arrived before the time to begin at: an emulator that
    /// knows no later record begins with the first.
    fn keep_new(&mut self, mut records: Vec<Record>) -> Vec<Record> {
        let too_early = |record: &Record| match (&self.start, record.arrival_ms) {
            // Some servers know whole seconds only.
            (Start::AtTimestamp(from_ms), Some(arrival_ms)) => {
                u64::try_from(arrival_ms).is_ok_and(|ms| ms / 1000 < from_ms / 1000)
            }
            _ => false,
        };
        records.retain(|record| {
            let position = Position::plain(record.sequence.clone());
            let known = self.after.as_ref().is_some_and(|after| position <= *after);
            !known && !too_early(record)
        });
        if let Some(last) = records.last() {
            let position = Position::plain(last.sequence.clone());
            self.start = start_behind(&position);
            self.after = Some(position);
        }
        records
    }

    fn seek_failed(&mut self, error: ApiError, now: Moment) {
        match error.class {
            // A time ahead of the stream's clock will come.
            ErrorClass::InvalidArgument if !matches!(self.start, Start::AtTimestamp(_)) => {
                self.refused(error);
            }
            ErrorClass::Trimmed => self.refused(error),
            ErrorClass::NotFound => self.state = State::Check(Reason::NotFound),
            class => self.wait_after(class, now),
        }
    }

    fn read_failed(&mut self, error: ApiError, called_at: Moment, now: Moment) {
        self.pace.failed(called_at, &self.limits);
        match error.class {
            ErrorClass::ExpiredIterator => {
                self.counters.expired += 1;
                self.state = State::Seek;
            }
            ErrorClass::InvalidArgument => {
                self.counters.expired += 1;
                self.state = State::Seek;
                // Not an old iterator but a strange one: don't spin if the next is no better.
                self.not_before = now + self.backoff.after(error.class);
            }
            ErrorClass::Trimmed => self.refused(error),
            ErrorClass::NotFound => self.state = State::Check(Reason::NotFound),
            class => self.wait_after(class, now),
        }
    }

    fn checked(&mut self, answer: Result<Listing, ApiError>, now: Moment) {
        let State::Check(reason) = self.state else {
            return;
        };
        match (answer, reason) {
            (Err(error), _) => self.wait_after(error.class, now),
            (Ok(Listing::NoStream), _) => {
                self.counters.faults += 1;
                self.not_before = now + self.backoff.slow();
                self.state = State::Seek;
            }
            (Ok(Listing::Absent), Reason::NullIterator) => {
                self.state = State::Over(End::Finished);
            }
            (Ok(Listing::Closed), Reason::NullIterator) => {
                self.known_closed = true;
                self.state = State::Seek;
            }
            (Ok(Listing::Open), Reason::NullIterator) => {
                self.state = State::Seek;
                self.wait_after(ErrorClass::Transient, now);
            }
            (Ok(Listing::Absent), Reason::NotFound) => {
                self.count_loss();
                self.state = State::Over(End::Gone);
            }
            // The shard is there, so what wasn't found is the position: older than the oldest record.
            (Ok(Listing::Open | Listing::Closed), Reason::NotFound) => self.refused(ApiError {
                class: ErrorClass::Trimmed,
                code: "PositionNotFound".to_owned(),
                message: "the shard is there, but the position is not".to_owned(),
            }),
        }
    }

    /// The stream doesn't accept the position: the policy decides.
    fn refused(&mut self, error: ApiError) {
        self.count_loss();
        let start = match self.limits.on_invalid_position {
            OnInvalidPosition::Fail => {
                self.state = State::Over(End::NotAccepted(error));
                return;
            }
            OnInvalidPosition::TrimHorizon => Start::TrimHorizon,
            OnInvalidPosition::Latest => Start::Latest,
        };
        if self.start == start {
            // Nothing else is left to try: the operator has to look.
            self.state = State::Over(End::NotAccepted(error));
            return;
        }
        self.start = start;
        // Numbers of a stream that was made anew have nothing to do with the old ones.
        self.after = None;
        self.state = State::Seek;
    }

    fn count_loss(&mut self) {
        self.counters.losses += 1;
        self.lost_behind = self.after.clone();
    }

    fn wait_after(&mut self, class: ErrorClass, now: Moment) {
        match class {
            ErrorClass::Throttled => self.counters.throttled += 1,
            _ => self.counters.faults += 1,
        }
        self.not_before = now + self.backoff.after(class);
    }
}

/// A position inside an aggregate is read again as a whole, and what is done of it discarded.
fn start_behind(position: &Position) -> Start {
    let sequence = position.sequence.clone();
    match position.subsequence {
        0 => Start::AfterSequence(sequence),
        _ => Start::AtSequence(sequence),
    }
}

impl Listing {
    /// Looks a shard up among those listed.
    pub(crate) fn of(id: &ShardId, shards: &[crate::api::ShardInfo]) -> Self {
        match shards.iter().find(|shard| shard.id == *id) {
            Some(shard) if shard.closed => Self::Closed,
            Some(_) => Self::Open,
            None => Self::Absent,
        }
    }
}

#[cfg(test)]
mod tests;
