//! Asks the checkpoint store what [`Saver`] wants to know, and hears its answers. Blocks at the end only.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use squall_core::{Metric, Remediable, Result, StoreError, TaskContext, Write};
use tracing::{info, warn};

use super::rows::Rows;
use super::saver::{Answer, Ask, Saver, SaverError, Told, written};

/// How long the end of a task waits for the answer that is under way, and for the last one after it.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(2500);

/// Keeps the progress of one task in the run's checkpoint store, under
/// `topology/generate/component/task-of-tasks`.
pub(super) struct Resume {
    ctx: TaskContext,
    key: Arc<str>,
    max_uncheckpointed: u64,
    saver: Saver,
    /// One answer at most is under way: there is room for it.
    answers: Receiver<Answer>,
    answer: SyncSender<Answer>,
    /// A newer copy runs: this one emits nothing more.
    is_stale: bool,
    is_failing: bool,
    uncheckpointed: Metric,
}

impl Resume {
    pub(super) fn new(ctx: &TaskContext, max_uncheckpointed: u64) -> Self {
        let (topology, component) = (ctx.topology(), ctx.component());
        let (task_idx, n_tasks) = (ctx.task_idx(), ctx.n_tasks());
        let (answer, answers) = sync_channel(1);
        Self {
            key: format!("{topology}/generate/{component}/{task_idx}-of-{n_tasks}").into(),
            max_uncheckpointed,
            saver: Saver::new(ctx.fence()),
            answers,
            answer,
            is_stale: false,
            is_failing: false,
            uncheckpointed: ctx.metrics().get("uncheckpointed", ""),
            ctx: ctx.clone(),
        }
    }

    /// Takes the answer that has come and puts the question that is due.
    ///
    /// # Errors
    /// The task has to begin anew, or its progress can't be read: no other is begun in its place.
    pub(super) fn turn(&mut self, rows: &mut Rows) -> Result<()> {
        if self.is_stale {
            return Ok(());
        }
        if self.saver.is_busy()
            && let Ok(answer) = self.answers.try_recv()
        {
            self.take(answer, rows)?;
        }
        let below = rows.done_below();
        if let Some(due) = self.saver.due(below) {
            let now = self.ctx.clock().now();
            if due <= now
                && let Some(ask) = self.saver.ask(below, now)
            {
                self.put(ask);
            }
        }
        Ok(())
    }

    /// Tells whether rows may be emitted at all: where the task begins is known, and no newer copy of it is.
    pub(super) fn has_begun(&self) -> bool {
        !self.is_stale && self.saver.saved_below().is_some()
    }

    /// Tells whether another new row may be emitted before the next save.
    pub(super) fn has_room(&self, rows: &Rows) -> bool {
        let saved_below = self.saver.saved_below().unwrap_or(0);
        rows.n_taken_from(saved_below) < self.max_uncheckpointed
    }

    /// Tells whether the store knows all that is done.
    pub(super) fn is_saved(&self, rows: &Rows) -> bool {
        !self.saver.is_busy() && self.saver.due(rows.done_below()).is_none()
    }

    /// Returns how long until there is something to ask; `None` while an answer is to wake the task, and
    /// where nothing is new.
    pub(super) fn wait(&self, rows: &Rows) -> Option<Duration> {
        if self.is_stale {
            return None;
        }
        let due = self.saver.due(rows.done_below())?;
        Some(due.since(self.ctx.clock().now()))
    }

    /// Saves for the last time, waiting for at most 5 s.
    pub(super) fn close(&mut self, rows: &mut Rows) {
        if self.saver.is_busy()
            && let Ok(answer) = self.answers.recv_timeout(CLOSE_TIMEOUT)
            && let Err(error) = self.take(answer, rows)
        {
            warn!(%error, "the last progress is not saved");
            return;
        }
        if !self.has_begun() || self.saver.is_busy() {
            return;
        }
        let now = self.ctx.clock().now();
        if let Some(ask) = self.saver.ask(rows.done_below(), now) {
            self.put(ask);
            let answer = self.answers.recv_timeout(CLOSE_TIMEOUT).ok();
            if !matches!(answer, Some(Answer::Saved(Ok(_)))) {
                warn!(
                    ?answer,
                    "the last progress is not saved: rows will come again"
                );
            }
        }
    }

    fn take(&mut self, answer: Answer, rows: &mut Rows) -> Result<()> {
        let (component, task_idx) = (self.ctx.component(), self.ctx.task_idx());
        match self.saver.answered(answer) {
            Ok(Told::Begin(from)) => {
                if let Some(row) = from {
                    if !rows.go_to(row) {
                        let key = &self.key;
                        let why = format!("`{key}`: row {row} is none of this task's");
                        return Err(why).permanent();
                    }
                    info!(%component, task_idx, row, "resuming");
                }
                self.heard(None);
            }
            Ok(Told::Fine) => self.heard(None),
            Ok(Told::Failed(why)) => self.heard(Some(&why)),
            Err(error @ SaverError::Fenced(_)) => {
                self.is_stale = true;
                warn!(%component, task_idx, %error, "task stopped");
            }
            Err(error @ SaverError::Overtaken) => return Err(error).restart_task(),
            Err(error @ SaverError::Damaged(_)) => {
                return Err(format!("`{}`: {error}", self.key)).permanent();
            }
        }
        let saved_below = self.saver.saved_below().unwrap_or(0);
        let n_rows = rows.n_taken_from(saved_below);
        self.uncheckpointed
            .set(i64::try_from(n_rows).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Tells people when the store goes away and when it is back.
    fn heard(&mut self, why: Option<&str>) {
        let was_failing = std::mem::replace(&mut self.is_failing, why.is_some());
        match why {
            Some(error) if !was_failing => {
                warn!(
                    error,
                    "progress can't be saved or read, tried again each second"
                );
            }
            None if was_failing => info!("progress is saved again"),
            _ => {}
        }
    }

    fn put(&self, ask: Ask) {
        let (store, fence) = (Arc::clone(self.ctx.checkpoints()), self.ctx.fence());
        let (key, answer, waker) = (self.key.clone(), self.answer.clone(), self.ctx.waker());
        self.ctx.spawn("generate progress", async move {
            let said = match ask {
                Ask::Load => Answer::Loaded(store.load(&key).await),
                Ask::Save {
                    expected,
                    done_below,
                } => Answer::Saved(match write(&key, expected, done_below) {
                    Ok(write) => {
                        let versions = store.commit(fence, vec![write]).await;
                        versions.map(|versions| versions.first().copied().unwrap_or(0))
                    }
                    Err(error) => Err(StoreError::Invalid(error.to_string())),
                }),
            };
            // A task that is gone hears nothing.
            answer.try_send(said).unwrap_or_default();
            waker.wake();
        });
    }
}

fn write(key: &str, expected: Option<u64>, done_below: u64) -> Result<Write, serde_json::Error> {
    Ok(Write {
        key: key.to_owned(),
        expected,
        value: Some(written(done_below)?),
    })
}
