//! `generate`: rows that are made up.

mod column;
mod resume;
mod rows;
mod saver;

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::replay::ReplayConfig;
use squall_core::{
    Activity, Clock, Failure, IntoRow, MessageId, Moment, Outputs, Result, Spout, SpoutEmitter,
    TaskContext, Value,
};

use self::column::Column;
use self::resume::Resume;
use self::rows::Rows;
use crate::replayed::{self, Replayed};
use crate::zipf::rng_of;

/// Emits made-up rows, at full speed or at a rate, for ever or up to a count.
///
/// Output fields: those of `fields`, in their order. A row depends on its number and the seed alone; several
/// tasks share the numbers. A rate is kept over time: after a pause by back-pressure the rows that are
/// overdue follow at once. Metrics: `replayed`, `exhausted`, `uncheckpointed`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "count": 1000,
    "fields": { "n": "sequence", "word": { "choice": { "of": ["a", "b", "c"], "skew": 1.0 } } },
}))]
pub struct GenerateConfig {
    /// How many rows all tasks together emit; then they finish. Default: no end.
    pub count: Option<u64>,
    /// How many rows a second all tasks together emit. Default: as fast as they are taken.
    pub rate_per_sec: Option<NonZeroU64>,
    /// Fixes what is chosen. Default 0.
    pub seed: u64,
    /// The output fields and what they hold. Default: `n`, a sequence.
    #[schemars(with = "std::collections::BTreeMap<String, FieldKind>")]
    pub fields: IndexMap<String, FieldKind>,
    /// Follows each row to its end and emits it again when it fails. Default true; without it, nobody
    /// hears what becomes of a row.
    pub tracked: bool,
    /// Goes on after a restart where it was: each task keeps in the run's checkpoint store below which number
    /// all its rows are done, saves that at most once a second and at its end, and finishes when the last is
    /// saved. Rows above it come again. With another parallelism it begins anew. Needs `tracked`. Default
    /// false: a restarted task begins at the beginning.
    pub resume: bool,
    /// With `resume`, how many rows a task may emit beyond what is saved; at the bound it emits no new ones
    /// while the store is away. So many come again at most after it was killed. Default 100000.
    pub max_uncheckpointed: NonZeroU32,
    /// How failed rows are emitted again.
    pub replay: ReplayConfig,
}

impl Default for GenerateConfig {
    fn default() -> Self {
        Self {
            count: None,
            rate_per_sec: None,
            seed: 0,
            fields: IndexMap::from([("n".to_owned(), FieldKind::Sequence)]),
            tracked: true,
            resume: false,
            max_uncheckpointed: NonZeroU32::MIN.saturating_add(99_999),
            replay: ReplayConfig::default(),
        }
    }
}

/// What a generated field holds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FieldKind {
    /// The row's number, from 0.
    Sequence,
    /// When the row was due by the rate, in nanoseconds of the engine's clock; without a rate, when it was
    /// made. A retry keeps it.
    DueNs,
    /// A line of a web server's access log in combined format, with a skewed choice of referrers.
    AccessLog,
    /// One of these values. The r-th of them weighs `1 / r^skew`; 0 makes all equal.
    Choice {
        /// The values.
        #[schemars(with = "Vec<serde_json::Value>")]
        of: Vec<Value>,
        /// How skewed the choice is. Default 0.
        #[serde(default)]
        skew: f64,
    },
    /// One of the texts `key-0`, `key-1` … . The r-th of them weighs `1 / r^skew`; 0 makes all equal.
    Key {
        /// How many there are; at most 1000000.
        n: NonZeroU32,
        /// How skewed the choice is. Default 0.
        #[serde(default)]
        skew: f64,
    },
    /// An integer, evenly from `min` to `max`.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A float, evenly from `min` up to, without, `max`.
    Number {
        /// The smallest.
        min: f64,
        /// The bound.
        max: f64,
    },
}

/// See [`GenerateConfig`].
pub struct Generate {
    config: GenerateConfig,
    columns: Vec<Column>,
    running: Option<Running>,
}

struct Running {
    clock: Arc<dyn Clock>,
    messages: Replayed<Row>,
    rows: Rows,
    resume: Option<Resume>,
    /// The due time of the next row; `None` before the first and after a pause.
    next_due: Option<Moment>,
    interval: Option<Duration>,
    /// Whether a column shows the due time, so that it matters without a rate too.
    shows_due: bool,
}

/// All that a row is made from.
#[derive(Clone, Copy)]
struct Row {
    idx: u64,
    due: Moment,
}

impl Generate {
    /// Makes the spout.
    ///
    /// # Errors
    /// Fields that can't be made, or a config that asks for dead letters, or to resume what isn't tracked.
    pub fn new(config: GenerateConfig) -> Result<Self> {
        replayed::check(&config.replay)?;
        if config.resume && !config.tracked {
            Err("`resume` needs to know which rows are done: leave `tracked` true")?;
        }
        if config.fields.is_empty() {
            Err("`fields` is empty: name at least one, as in { n: sequence }")?;
        }
        let columns = config.fields.iter().map(|(name, kind)| {
            Column::new(kind, config.seed).map_err(|error| format!("field `{name}`: {error}"))
        });
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            config,
            running: None,
        })
    }
}

impl Spout for Generate {
    fn outputs(&self) -> Outputs {
        Outputs::fields(self.config.fields.keys())
    }

    fn open(&mut self, ctx: &mut TaskContext) -> Result<()> {
        let n_tasks = u64::try_from(ctx.n_tasks())?;
        let interval = self.config.rate_per_sec.map(|rate| {
            let nanos = u128::from(n_tasks) * 1_000_000_000 / u128::from(rate.get());
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        });
        self.running = Some(Running {
            clock: ctx.clock().clone(),
            messages: Replayed::new(&self.config.replay, ctx),
            rows: Rows::new(u64::try_from(ctx.task_idx())?, n_tasks, self.config.resume),
            resume: self
                .config
                .resume
                .then(|| Resume::new(ctx, u64::from(self.config.max_uncheckpointed.get()))),
            next_due: None,
            interval,
            shows_due: self
                .columns
                .iter()
                .any(|column| matches!(column, Column::DueNs)),
        });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutEmitter<'_>) -> Result<Activity> {
        let Some(running) = &mut self.running else {
            return Err("not open")?;
        };
        let (columns, seed) = (self.columns.as_slice(), self.config.seed);
        let values = |row: &Row| Values {
            columns,
            seed,
            row: *row,
        };
        if let Some(resume) = &mut running.resume {
            resume.turn(&mut running.rows)?;
            if !resume.has_begun() {
                let wait = resume.wait(&running.rows);
                return Ok(wait.map_or(Activity::Idle, Activity::IdleFor));
            }
        }
        let retried = running.messages.emit_due(values, out);
        running.book_given_up();
        if retried? {
            return Ok(Activity::Emitted);
        }
        let count = self.config.count;
        let at_end = count.is_some_and(|n| running.rows.next_idx() >= n);
        if at_end || (self.config.tracked && !running.has_room()) {
            return Ok(running.rest(None, at_end));
        }
        match running.next_row() {
            Ok(row) if self.config.tracked => {
                let bytes = size_of_val(&row);
                let emitted = running.messages.emit(row, bytes, values(&row), out);
                running.book_given_up();
                emitted?;
            }
            Ok(row) => out.emit(values(&row))?,
            Err(wait) => return Ok(running.rest(Some(wait), false)),
        }
        Ok(Activity::Emitted)
    }

    fn ack(&mut self, id: MessageId) {
        if let Some(running) = &mut self.running
            && let Some(row) = running.messages.ack(id)
        {
            running.rows.done(row.idx);
        }
    }

    fn fail(&mut self, id: MessageId, why: &Failure) {
        if let Some(running) = &mut self.running {
            running.messages.fail(id, why);
            running.book_given_up();
        }
    }

    fn held(&mut self, id: MessageId) {
        if let Some(running) = &mut self.running {
            running.messages.held(id);
        }
    }

    fn activate(&mut self) {
        // What a deactivated topology didn't ask for isn't overdue.
        if let Some(running) = &mut self.running {
            running.next_due = None;
        }
    }

    /// Saves how far the task came, for 5 s at most.
    fn close(&mut self) {
        if let Some(running) = &mut self.running
            && let Some(resume) = &mut running.resume
        {
            resume.close(&mut running.rows);
        }
    }
}

impl Running {
    /// Tells whether another new row may be emitted.
    fn has_room(&self) -> bool {
        let resume = self.resume.as_ref();
        self.messages.has_room() && resume.is_none_or(|resume| resume.has_room(&self.rows))
    }

    /// Books that a row that was given up is done.
    fn book_given_up(&mut self) {
        if let Some(row) = self.messages.take_given_up() {
            self.rows.done(row.idx);
        }
    }

    /// Says what the spout does that has nothing to emit for now, or not before `wait`.
    fn rest(&self, wait: Option<Duration>, at_end: bool) -> Activity {
        let resume = self.resume.as_ref();
        let at_end = at_end && resume.is_none_or(|resume| resume.is_saved(&self.rows));
        let ask_in = resume.and_then(|resume| resume.wait(&self.rows));
        let wait = wait.into_iter().chain(ask_in).min();
        match (self.messages.rest(at_end), wait) {
            (Activity::IdleFor(retry), Some(wait)) => Activity::IdleFor(retry.min(wait)),
            (Activity::Idle, Some(wait)) => Activity::IdleFor(wait),
            (activity, _) => activity,
        }
    }

    /// Moves on to the next row, or says how long it isn't due yet.
    fn next_row(&mut self) -> Result<Row, Duration> {
        let due = match (self.interval, self.next_due) {
            (Some(interval), Some(due)) => {
                let wait = due.since(self.clock.now());
                if !wait.is_zero() {
                    return Err(wait);
                }
                self.next_due = Some(due + interval);
                due
            }
            (Some(interval), None) => {
                let now = self.clock.now();
                self.next_due = Some(now + interval);
                now
            }
            (None, _) if self.shows_due => self.clock.now(),
            (None, _) => Moment::ZERO,
        };
        let idx = self.rows.take();
        Ok(Row { idx, due })
    }
}

/// The values of one row, made where they are emitted.
struct Values<'c> {
    columns: &'c [Column],
    seed: u64,
    row: Row,
}

impl IntoRow for Values<'_> {
    fn append_to(self, values: &mut Vec<Value>) {
        let mut rng = rng_of(self.seed, self.row.idx);
        let made = self
            .columns
            .iter()
            .map(|column| column.value(self.row, &mut rng));
        values.extend(made);
    }
}

#[cfg(test)]
mod tests;
