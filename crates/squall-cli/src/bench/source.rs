//! The source of a bench: numbered records, at full speed or at a rate.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use squall_core::{
    Activity, Clock, Failure, HumanDuration, MessageId, Moment, Outputs, Result, Spout,
    SpoutEmitter, TaskContext,
};

use super::beat::Beat;
use super::board::Board;
use super::feed::Feed;
use super::figures::Figures;
use super::host::Host;
use super::load::Load;
use super::mode::{Mode, Pace};
use super::stopwatch::Stopwatch;

/// What a source emits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct SourceConfig {
    /// What its records are.
    load: Load,
    /// Tracks each record to its end.
    acked: bool,
    /// How fast all tasks together emit.
    pace: Pace,
    /// How long after the first record begins what is measured.
    warm_up: HumanDuration,
    /// How long throughput is measured.
    span: HumanDuration,
    /// The bench, where it is another process.
    host: Option<Host>,
}

/// Emits records for as long as the topology is active.
///
/// At a rate, each record is due at a time that follows from its number alone, whatever becomes of those before it: a
/// stall shows in the latencies of all that it delays.
pub(super) struct Source {
    config: SourceConfig,
    board: Board,
    feed: Option<Feed>,
    n_emitted: u64,
    task_idx: usize,
    /// `None` is full speed.
    beat: Option<Beat>,
    clock: Option<Arc<dyn Clock>>,
    /// Since the first record.
    begun: Option<Begun>,
    figures: Figures,
}

struct Begun {
    clock: Arc<dyn Clock>,
    at: Moment,
    /// The first record whose latency counts.
    first_measured: u64,
    /// How many were due when the clock was last read.
    n_due: u64,
    stopwatch: Stopwatch,
}

impl Begun {
    /// Tells whether the latency of this record counts.
    const fn is_measured(&self, beat: &Beat, number: u64) -> bool {
        number >= self.first_measured && beat.is_sampled(number)
    }
}

impl SourceConfig {
    pub(super) fn new(load: &Load, mode: &Mode) -> Self {
        Self {
            load: load.clone(),
            acked: mode.acked,
            pace: mode.pace,
            warm_up: HumanDuration(mode.warm_up),
            span: HumanDuration(mode.span),
            host: mode.host.clone(),
        }
    }

    pub(super) const fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }
}

impl Source {
    pub(super) fn new(config: SourceConfig, board: Board) -> Self {
        Self {
            feed: None,
            config,
            board,
            n_emitted: 0,
            task_idx: 0,
            beat: None,
            clock: None,
            begun: None,
            figures: Figures::default(),
        }
    }

    /// Begins with the first record: tasks are opened long before their topology is active.
    fn begin(&self) -> Result<Begun> {
        let clock = self.clock.clone().ok_or("a source is opened first")?;
        let at = clock.now();
        let stopwatch = Stopwatch::new(at + self.config.warm_up.0, self.config.span.0);
        Ok(Begun {
            clock,
            at,
            first_measured: self
                .beat
                .map_or(0, |beat| beat.n_due(self.config.warm_up.0)),
            n_due: 0,
            stopwatch,
        })
    }

    /// Notes how late those are by now that were due while latency was taken, and were never emitted: who falls behind
    /// must not look fast for it.
    fn note_overdue(&mut self) {
        let (Some(beat), Some(begun)) = (&self.beat, &self.begun) else {
            return;
        };
        let end = beat.n_due(self.config.warm_up.0 + self.config.span.0);
        let now = begun.clock.now();
        for number in beat.sampled(self.n_emitted.max(begun.first_measured)..end) {
            self.figures.note_latency(begun.at + beat.due(number), now);
        }
    }

    fn n_done(&self) -> u64 {
        if self.config.acked {
            self.figures.n_acked
        } else {
            self.n_emitted
        }
    }
}

impl Spout for Source {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["value", "due_ns"])
    }

    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let n_tasks = u64::try_from(ctx.n_tasks()).unwrap_or(1);
        self.beat = match self.config.pace {
            Pace::Full | Pace::Never => None,
            Pace::PerSec(rate_per_sec) => Some(Beat::new(rate_per_sec, n_tasks)),
        };
        self.feed = Some(Feed::open(&self.config.load)?);
        self.task_idx = ctx.task_idx();
        self.clock = Some(ctx.clock().clone());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        if self.config.pace == Pace::Never {
            return Ok(Activity::Idle);
        }
        let n_done = self.n_done();
        if self.begun.is_none() {
            self.begun = Some(self.begin()?);
        }
        let Some(begun) = &mut self.begun else {
            return Ok(Activity::Idle);
        };
        let mut due_ns = 0;
        if let Some(beat) = self.beat {
            // The clock isn't read for what was due when it was read last.
            if self.n_emitted >= begun.n_due {
                let now = begun.clock.now();
                begun.n_due = beat.n_due(now.since(begun.at));
                let due = begun.at + beat.due(self.n_emitted);
                if due > now {
                    return Ok(Activity::IdleFor(due.since(now)));
                }
            }
            // Where acks come back, they tell the time.
            if !self.config.acked && begun.is_measured(&beat, self.n_emitted) {
                let due = begun.at + beat.due(self.n_emitted);
                due_ns = i64::try_from(due.as_nanos()).unwrap_or(i64::MAX);
            }
        }
        if begun.stopwatch.tick(&*begun.clock, n_done) {
            self.board.tell_measured()?;
        }
        let feed = self.feed.as_mut().ok_or("a source is opened first")?;
        let row = feed.next(due_ns)?;
        if self.config.acked {
            out.tracked(MessageId(self.n_emitted)).emit(row)?;
        } else {
            out.emit(row)?;
        }
        self.n_emitted += 1;
        Ok(Activity::Emitted)
    }

    fn ack(&mut self, id: MessageId) {
        self.figures.n_acked += 1;
        if let (Some(beat), Some(begun)) = (&self.beat, &self.begun)
            && begun.is_measured(beat, id.0)
        {
            let due = begun.at + beat.due(id.0);
            self.figures.note_latency(due, begun.clock.now());
        }
    }

    fn fail(&mut self, _: MessageId, _: &Failure) {
        self.figures.n_failed += 1;
    }

    fn close(&mut self) {
        self.note_overdue();
        let mut figures = std::mem::take(&mut self.figures);
        figures.emitted.insert(self.task_idx, self.n_emitted);
        let stopwatch = self.begun.take().map(|begun| begun.stopwatch);
        figures.spans = stopwatch.and_then(Stopwatch::read).into_iter().collect();
        self.board.leave(figures);
    }
}

#[cfg(test)]
mod tests {
    use squall_core::HumanDuration;

    use super::*;

    #[test]
    fn what_was_due_and_never_came_is_late() {
        let config = SourceConfig {
            load: Load::Numbers,
            acked: true,
            pace: Pace::PerSec(100),
            warm_up: HumanDuration::from_secs(1),
            span: HumanDuration::from_secs(2),
            host: None,
        };
        let (board, clock) = (Board::shared(), Arc::new(squall_core::ManualClock::new()));
        let mut source = Source::new(config, board.clone());
        source.beat = Some(Beat::new(100, 1));
        source.clock = Some(clock.clone());
        source.begun = Some(source.begin().unwrap());
        source.n_emitted = 150;
        clock.advance(std::time::Duration::from_secs(4));
        source.close();
        let latencies = board.take().unwrap().latencies;
        // 1.5 of the 2 seconds, and record 300, which was due when they ended.
        assert_eq!(latencies.len(), 151);
        assert!(latencies.value_us(0.01) >= 1_000_000);
        assert!(latencies.value_us(1.0) >= 2_500_000);
    }
}
