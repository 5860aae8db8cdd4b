//! What keeps a run from getting on, and what it left undone: a sentence each.

use squall_runtime::{TaskSnapshot, TopologySnapshot};

use crate::console::counted;

/// Says what is wrong with tasks now: nothing will come of them before somebody acts.
#[must_use]
pub fn troubles(snapshot: &TopologySnapshot) -> Vec<String> {
    let troubles = components(snapshot).filter_map(|tasks| down(tasks).or_else(|| looping(tasks)));
    troubles.collect()
}

/// Says what a run that has ended left undone: messages that were never acked, and tasks that were down.
/// Nothing, for a run that did its work.
#[must_use]
pub fn shortfall(snapshot: &TopologySnapshot) -> Vec<String> {
    let unacked = unacked(snapshot).into_iter();
    unacked
        .chain(components(snapshot).filter_map(down))
        .collect()
}

/// Says how many messages were never acked, and what the bolts that failed tuples said last.
fn unacked(snapshot: &TopologySnapshot) -> Option<String> {
    let n = snapshot.spouts().map(|task| task.unacked).sum::<u64>() + snapshot.pending();
    if n == 0 {
        return None;
    }
    let was = if n == 1 { "was" } else { "were" };
    let mut text = format!("{} {was} never acked", counted(n, "message"));
    let reasons = [
        ("rejected", sum(snapshot, |task| task.failed.rejected)),
        ("timed out", sum(snapshot, |task| task.failed.timed_out)),
        ("lost", sum(snapshot, |task| task.failed.lost)),
        (
            "cut short by the end",
            sum(snapshot, |task| task.failed.drained),
        ),
    ];
    let reasons = reasons.iter().filter(|(_, n)| *n > 0);
    let reasons: Vec<_> = reasons.map(|(reason, n)| format!("{n} {reason}")).collect();
    if !reasons.is_empty() {
        text = format!("{text}; failed attempts: {}", reasons.join(", "));
    }
    let rejecting = components(snapshot).filter_map(|tasks| {
        let task = tasks.iter().find(|task| task.failed.rejected > 0)?;
        let error = task.last_error.as_deref()?;
        Some(format!("`{}` said: {error}", task.component))
    });
    Some(rejecting.fold(text, |text, said| format!("{text}\n       {said}")))
}

fn sum(snapshot: &TopologySnapshot, count: impl Fn(&TaskSnapshot) -> u64) -> u64 {
    snapshot.spouts().map(count).sum()
}

/// Names a component with tasks that a failure keeps from working.
fn down(tasks: &[TaskSnapshot]) -> Option<String> {
    let n_down = tasks.iter().filter(|task| task.down).count();
    let task = tasks.iter().find(|task| task.down)?;
    let (component, error) = (&task.component, error_of(task));
    let of = match tasks.len() {
        1 => String::new(),
        n => format!("{n_down} of {n} tasks, "),
    };
    Some(format!(
        "`{component}` is down ({of}{}): {error}",
        starts(tasks)
    ))
}

/// Names a component with tasks that come up and fail, again and again.
fn looping(tasks: &[TaskSnapshot]) -> Option<String> {
    let task = tasks.iter().find(|task| task.crash_looping)?;
    let (component, error) = (&task.component, error_of(task));
    Some(format!(
        "`{component}` fails again and again ({}): {error}",
        starts(tasks)
    ))
}

fn starts(tasks: &[TaskSnapshot]) -> String {
    let n_restarts = tasks.iter().map(|task| task.restarts).sum();
    let n_failed = tasks.iter().map(|task| task.failed_starts).sum();
    let starts = [(n_restarts, "restart"), (n_failed, "failed start")];
    let starts = starts.iter().filter(|(n, _)| *n > 0);
    let starts: Vec<_> = starts.map(|(n, what)| counted(*n, what)).collect();
    starts.join(", ")
}

fn error_of(task: &TaskSnapshot) -> &str {
    let error = task.last_error.as_deref().unwrap_or("no error was kept");
    error.strip_prefix("start: ").unwrap_or(error)
}

/// Iterates over the components, each as its tasks: these stand together.
fn components(snapshot: &TopologySnapshot) -> impl Iterator<Item = &[TaskSnapshot]> {
    let tasks = snapshot.tasks.as_slice();
    tasks.chunk_by(|one, next| one.component == next.component)
}
