//! What keeps a run from getting on, and what it left undone: a sentence each.

use std::time::Duration;

use squall_core::ByteSize;
use squall_plan::Kind;
use squall_runtime::{TaskSnapshot, TopologySnapshot};

use crate::console::counted;

/// A call that takes longer than this is named where tuples stand still.
const LONG_CALL: Duration = Duration::from_secs(1);

/// Says what is wrong with tasks now: nothing will come of them before somebody acts.
#[must_use]
pub fn troubles(snapshot: &TopologySnapshot) -> Vec<String> {
    let troubles = components(snapshot).filter_map(|tasks| down(tasks).or_else(|| looping(tasks)));
    troubles.collect()
}

/// Says where the tuples of pending trees are, for a run in which nothing ends: kept by bolts, waiting in
/// front of them, or in a call that takes long. Empty where nothing is known of them.
#[must_use]
pub fn whereabouts(snapshot: &TopologySnapshot) -> Vec<String> {
    components(snapshot).flat_map(whereabouts_in).collect()
}

fn whereabouts_in(tasks: &[TaskSnapshot]) -> Vec<String> {
    let Some(TaskSnapshot { component, .. }) = tasks.first() else {
        return Vec::new();
    };
    let sum = |count: fn(&TaskSnapshot) -> u64| tasks.iter().map(count).sum::<u64>();
    let mut places = Vec::new();
    match sum(|task| task.deferred) {
        0 => {}
        n => places.push(format!(
            "{} kept by `{component}` (deferred)",
            counted(n, "tuple")
        )),
    }
    match sum(|task| task.queued_bytes) {
        0 => {}
        bytes => {
            let waiting = ByteSize(bytes.next_multiple_of(1024));
            places.push(format!("{waiting} of tuples waiting before `{component}`"));
        }
    }
    let busiest = tasks
        .iter()
        .map(|task| Duration::from_micros(task.busy_us))
        .max();
    if let Some(busy) = busiest.filter(|busy| *busy >= LONG_CALL) {
        places.push(format!(
            "`{component}` in one call for {} s",
            busy.as_secs()
        ));
    }
    places
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
    for tasks in components(snapshot) {
        let bolts = tasks.iter().filter(|task| task.kind == Kind::Bolt);
        // A bolt's own failures of this kind are tokens that were still there when it ended.
        let kept: u64 = bolts.map(|task| task.failed.drained).sum();
        if let (1.., Some(task)) = (kept, tasks.first()) {
            let kept = counted(kept, "tuple");
            text = format!(
                "{text}\n       `{}` still kept {kept} (deferred)",
                task.component
            );
        }
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

#[cfg(test)]
mod tests {
    use squall_core::{AckToken, Bolt, Emitter, Result, Tuple};

    use crate::testing::{LocalCluster, LocalTopology};

    use super::*;

    /// Never ends what it gets, not even when it is flushed.
    #[derive(Default)]
    struct Hoard(Vec<AckToken>);

    impl Bolt for Hoard {
        fn execute(&mut self, _: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
            self.0.push(out.defer());
            Ok(())
        }
    }

    fn run(config: &str, bolts: &str, secs: u64) -> LocalTopology {
        let yaml = format!(
            "name: stuck
settings: {{ message_timeout: 1h, drain_timeout: 1s, max_spout_pending: 3 }}
spouts:
  in: {{ type: generate, config: {config} }}
bolts:
{bolts}"
        );
        let app = crate::App::new().bolt("hoard", |(): ()| Ok(Hoard::default()));
        let cluster = LocalCluster::new(app.into_registry());
        let mut topology = cluster.start(&cluster.declare(&yaml).unwrap()).unwrap();
        topology.advance(Duration::from_secs(secs));
        topology
    }

    #[test]
    fn says_who_keeps_what_does_not_end() {
        let bolts = "  join: { type: hoard, parallelism: 2, inputs: [in] }";
        let mut topology = run("{ rate_per_sec: 1 }", bolts, 10);
        let stuck = topology.snapshot();
        assert_eq!(whereabouts(&stuck), ["3 tuples kept by `join` (deferred)"]);
        assert!(troubles(&stuck).is_empty());
        topology.drain();
        topology.advance(Duration::from_secs(2));
        let [unacked] = shortfall(&topology.snapshot()).try_into().unwrap();
        assert!(
            unacked.ends_with("`join` still kept 3 tuples (deferred)"),
            "{unacked}"
        );
    }

    #[test]
    fn says_what_was_left_undone_and_nothing_of_a_good_run() {
        let bolts = "  file: { type: jsonl, config: { path: nowhere/out }, inputs: [in] }";
        let mut topology = run("{ count: 3 }", bolts, 10);
        let [trouble] = troubles(&topology.snapshot()).try_into().unwrap();
        assert!(
            trouble.starts_with("`file` is down (7 failed starts): can't open"),
            "{trouble}"
        );
        topology.drain();
        topology.advance(Duration::from_secs(2));
        let [unacked, down] = shortfall(&topology.snapshot()).try_into().unwrap();
        assert_eq!(
            unacked,
            "3 messages were never acked; failed attempts: 3 cut short by the end"
        );
        assert!(down.starts_with("`file` is down"), "{down}");

        let good = run("{ count: 3 }", "  print: { type: log, inputs: [in] }", 10);
        assert!(good.has_ended());
        assert!(shortfall(&good.snapshot()).is_empty());
    }
}
