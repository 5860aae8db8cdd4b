//! The demo while it runs: a table on a terminal, a line now and then elsewhere.

use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use squall::console;
use squall::local::Progress;
use squall_runtime::TopologySnapshot;

use super::summary::{metrics, ranking_of};
use super::truth;

/// When the first line is said, and how long after it the next ones.
const FIRST_LINE: Duration = Duration::from_millis(1500);
const LINE_PERIOD: Duration = Duration::from_secs(5);
/// Over which time rates are averaged on a terminal.
const RATE_PERIOD: Duration = Duration::from_secs(1);

/// Shows how the demo is getting on, on stderr.
pub(super) struct Show {
    before: Option<Progress>,
    next: Duration,
    live: Option<Live>,
}

/// What is drawn on a terminal.
struct Live {
    /// Keeps the lines together.
    _lines: MultiProgress,
    bar: ProgressBar,
    table: ProgressBar,
}

impl Show {
    /// Begins; `n_events` is how many are put, where that is known.
    pub(super) fn new(n_events: Option<u64>) -> Self {
        let live = console::is_watched().then(|| Live::new(n_events));
        Self {
            before: None,
            next: if live.is_some() {
                RATE_PERIOD
            } else {
                FIRST_LINE
            },
            live,
        }
    }

    /// Shows a snapshot, if it is time to.
    pub(super) fn update(&mut self, snapshot: &TopologySnapshot, truth: &truth::Shared) {
        let is_due = snapshot.uptime >= self.next;
        if let Some(live) = &self.live {
            live.bar.set_position(truth.n_put());
            let progress = Progress::since(self.before.as_ref(), snapshot);
            live.table.set_message(table(&progress, snapshot));
            if is_due {
                self.before = Some(progress);
                self.next = snapshot.uptime + RATE_PERIOD;
            }
        } else if is_due {
            let progress = Progress::since(self.before.as_ref(), snapshot);
            console::say(format_args!(
                "{progress}  put {}{}",
                truth.n_put(),
                lag(snapshot)
            ));
            self.before = Some(progress);
            self.next += LINE_PERIOD;
        }
    }

    /// Clears the terminal for the summary.
    pub(super) fn finish(&self) {
        if let Some(live) = &self.live {
            live.bar.finish_and_clear();
            live.table.finish_and_clear();
        }
    }
}

impl Live {
    fn new(n_events: Option<u64>) -> Self {
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        let style = |template| ProgressStyle::with_template(template).ok();
        let bar = lines.add(n_events.map_or_else(ProgressBar::no_length, ProgressBar::new));
        let template = match n_events {
            Some(_) => "put {pos} of {len} [{wide_bar}] {elapsed}",
            None => "put {pos} {elapsed}",
        };
        if let Some(style) = style(template) {
            bar.set_style(style);
        }
        let table = lines.add(ProgressBar::no_length());
        if let Some(style) = style("{msg}") {
            table.set_style(style);
        }
        Self {
            _lines: lines,
            bar,
            table,
        }
    }
}

fn table(progress: &Progress, snapshot: &TopologySnapshot) -> String {
    let mut shards = Table::new();
    shards.load_style(NOTHING).set_header(["shard", "lag ms"]);
    for (shard, lag_ms) in metrics(snapshot, "lag_ms") {
        shards.add_row([shard.to_owned(), lag_ms.to_string()]);
    }
    let mut top = Table::new();
    top.load_style(NOTHING)
        .set_header(["clicks", "top referrers"]);
    for ranked in ranking_of(snapshot) {
        top.add_row([ranked.count.to_string(), ranked.key]);
    }
    for (table, column) in [(&mut shards, 1), (&mut top, 0)] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{progress}\n\n{shards}\n\n{top}")
}

fn lag(snapshot: &TopologySnapshot) -> String {
    let worst = metrics(snapshot, "lag_ms").max_by_key(|(_, lag_ms)| *lag_ms);
    worst.map_or_else(String::new, |(shard, lag_ms)| {
        format!("  lag {lag_ms} ms ({shard})")
    })
}
