//! Watches the record grow: how many numbers are seen when, and up to which of them all are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use squall_e2e::cluster::Cluster;
use squall_e2e::until;

use crate::numbers::{Numbers, Shape};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Over which time a rate is told.
const WINDOW: Duration = Duration::from_secs(1);
/// What was under way at a fault may still arrive for this long, and isn't taken for a flow.
const AFTERMATH: Duration = Duration::from_millis(500);

/// The numbers as they are written down, from the first to the last. Ends with the test.
pub(crate) struct Flow {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<Result<()>>,
    rate_per_sec: u32,
}

/// What was seen up to some moment.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) at: Instant,
    /// How many different numbers.
    pub(crate) n_seen: u64,
    /// Of each of the spout's tasks, below which of its numbers all are.
    all_below: Vec<u64>,
}

struct Seen {
    looks: Vec<Look>,
    /// Which numbers were.
    numbers: Vec<bool>,
    n_seen: u64,
    all_below: Vec<u64>,
    /// Of each of the spout's tasks, the number after its highest.
    highest: Vec<u64>,
    files: BTreeMap<PathBuf, Tail>,
}

/// How far a file was read, and the line that wasn't whole.
#[derive(Default)]
struct Tail {
    offset: u64,
    rest: Vec<u8>,
}

impl Flow {
    /// Begins to watch a cluster's record.
    pub(crate) fn watch(cluster: &Cluster, numbers: &Numbers, shape: &Shape) -> Result<Self> {
        let n_spouts = u64::from(shape.n_spouts);
        let seen = Arc::new(Mutex::new(Seen {
            looks: Vec::new(),
            numbers: vec![false; usize::try_from(numbers.n)?],
            n_seen: 0,
            all_below: (0..n_spouts).collect(),
            highest: (0..n_spouts).collect(),
            files: BTreeMap::new(),
        }));
        let (folder, watched) = (cluster.folder().to_owned(), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            let mut looks = interval(LOOK_EVERY);
            loop {
                looks.tick().await;
                lock(&watched).look(&folder)?;
            }
        });
        Ok(Self {
            seen,
            task,
            rate_per_sec: numbers.rate_per_sec,
        })
    }

    /// Returns what was seen last.
    pub(crate) fn last(&self) -> Result<Look> {
        ensure!(!self.task.is_finished(), "the record can't be read");
        let seen = lock(&self.seen);
        seen.looks.last().cloned().context("nothing was looked at")
    }

    /// Waits until so many numbers were seen.
    pub(crate) async fn until_seen(&self, n: u64) -> Result<()> {
        let what = format!("{n} numbers are seen");
        until(&what, || Ok(self.last().is_ok_and(|look| look.n_seen >= n))).await
    }

    /// Waits until the flow has had 90 % of its rate for a second, and this much time is over since `fault`.
    /// Returns how long after the fault the flow was back.
    pub(crate) async fn until_back(&self, fault: Instant, rest: Duration) -> Result<Duration> {
        let mut back = None;
        until("the flow is back", || {
            back = self.back_after(fault);
            Ok(back.is_some() && fault.elapsed() >= rest)
        })
        .await?;
        back.context("it is back")
    }

    fn back_after(&self, fault: Instant) -> Option<Duration> {
        let seen = lock(&self.seen);
        let mut windows = seen.windows(fault + AFTERMATH, None);
        let back = windows.find(|(_, rate)| *rate >= f64::from(self.rate_per_sec) * 0.9);
        back.map(|(at, _)| at.duration_since(fault))
    }

    /// Returns the mean rate between two moments, and that of the worst second, in parts of what it is to be.
    pub(crate) fn rates(&self, from: Instant, to: Instant) -> Result<(f64, f64)> {
        let (seen, whole) = (lock(&self.seen), f64::from(self.rate_per_sec));
        let n_at = |moment: Instant| {
            let after = seen.looks.iter().find(|look| look.at >= moment);
            after.map(|look| (look.at, look.n_seen)).context("no look")
        };
        let ((from, before), (to, after)) = (n_at(from)?, n_at(to)?);
        let mean = per_sec(after - before, to.duration_since(from));
        let windows = seen.windows(from, Some(to)).map(|(_, rate)| rate);
        let worst = windows.fold(f64::INFINITY, f64::min);
        ensure!(worst.is_finite(), "not one second was looked at");
        Ok((mean / whole, worst / whole))
    }

    /// Returns, of each of the spout's tasks, the number after the highest that was seen shortly after a fault: what
    /// was under way at the fault is below them.
    pub(crate) async fn highest_after(&self, fault: Instant) -> Result<Vec<u64>> {
        until("the aftermath is over", || Ok(fault.elapsed() >= AFTERMATH)).await?;
        Ok(lock(&self.seen).highest.clone())
    }

    /// Returns how long after a fault all numbers below these were seen.
    pub(crate) fn all_seen_after(&self, fault: Instant, highest: &[u64]) -> Result<Duration> {
        let seen = lock(&self.seen);
        let is_whole = |look: &&Look| {
            let mut tasks = look.all_below.iter().zip(highest);
            look.at >= fault && tasks.all(|(below, highest)| below >= highest)
        };
        let first = seen.looks.iter().find(is_whole);
        let first = first.with_context(|| format!("not all below {highest:?} were seen"))?;
        Ok(first.at.duration_since(fault))
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn look(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|is| is == "jsonl") {
                self.read(path)?;
            }
        }
        let n_tasks = self.all_below.len() as u64;
        for below in &mut self.all_below {
            let is_seen = |n: u64| self.numbers.get(usize::try_from(n).ok()?).copied();
            while is_seen(*below) == Some(true) {
                *below += n_tasks;
            }
        }
        self.looks.push(Look {
            at: Instant::now(),
            n_seen: self.n_seen,
            all_below: self.all_below.clone(),
        });
        Ok(())
    }

    /// Reads what a file has more than before; half a line at its end is left for the next time.
    fn read(&mut self, path: PathBuf) -> Result<()> {
        let mut file = File::open(&path)?;
        let read = self.files.entry(path).or_default();
        file.seek(SeekFrom::Start(read.offset))?;
        let mut bytes = std::mem::take(&mut read.rest);
        read.offset += file.read_to_end(&mut bytes)? as u64;
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = end.map_or(0, |end| end + 1);
        read.rest = bytes.split_off(whole);
        for number in { bytes.split(|byte| *byte == b'\n') }.filter_map(Numbers::number) {
            self.note(number);
        }
        Ok(())
    }

    fn note(&mut self, number: u64) {
        let Some(seen) = usize::try_from(number)
            .ok()
            .and_then(|number| self.numbers.get_mut(number))
        else {
            // The oracle at the end will say that it is none of ours.
            return;
        };
        self.n_seen += u64::from(!std::mem::replace(seen, true));
        let n_tasks = self.highest.len() as u64;
        let task = usize::try_from(number % n_tasks).unwrap_or_default();
        if let Some(highest) = self.highest.get_mut(task) {
            *highest = (*highest).max(number + n_tasks);
        }
    }

    /// Returns the rate of each second that lies between these moments, with its end.
    fn windows(&self, from: Instant, to: Option<Instant>) -> impl Iterator<Item = (Instant, f64)> {
        let first = self.looks.partition_point(|look| look.at < from);
        let looks = self.looks.get(first..).unwrap_or_default();
        let mut begin = 0;
        looks.iter().enumerate().filter_map(move |(end, look)| {
            let last = looks.get(begin + 1);
            if last.is_some_and(|next| look.at.duration_since(next.at) >= WINDOW) && begin < end {
                begin += 1;
            }
            let first = looks.get(begin)?;
            let time = look.at.duration_since(first.at);
            let is_in = time >= WINDOW && to.is_none_or(|to| look.at <= to);
            is_in.then(|| (look.at, per_sec(look.n_seen - first.n_seen, time)))
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers far below 2^52")]
fn per_sec(n: u64, time: Duration) -> f64 {
    n as f64 / time.as_secs_f64()
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
