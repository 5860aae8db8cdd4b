//! What the tasks of this worker did, in the words of reports: summed by component.

use squall_plan::Kind;
use squall_proto::{ComponentCounters, Counters, Failed, Latency, Note};
use squall_runtime::{TaskSnapshot, TopologySnapshot};

/// Sums a snapshot up, as far as one report has room for it.
pub(crate) fn sum(snapshot: &TopologySnapshot) -> Counters {
    // Tasks of one component stand next to each other.
    let components = snapshot
        .tasks
        .chunk_by(|one, next| one.component == next.component)
        .filter_map(|tasks| {
            let first = tasks.first()?;
            let spout = first.kind == Kind::Spout;
            let mut sum = ComponentCounters::new(first.component.clone(), spout);
            tasks.iter().for_each(|task| sum.add(&of_task(task, spout)));
            Some(sum)
        });
    let counters = Counters {
        components: components.collect(),
        n_omitted: 0,
    };
    counters.fit()
}

/// Returns how many tuple trees of this worker's tasks have no verdict, held ones included.
pub(crate) fn n_pending(snapshot: &TopologySnapshot) -> u64 {
    let of_task = |task: &TaskSnapshot| task.pending + task.held;
    snapshot.tasks.iter().map(of_task).sum()
}

fn of_task(task: &TaskSnapshot, spout: bool) -> ComponentCounters {
    let of_streams = |count: fn(&squall_runtime::StreamCounters) -> u64| {
        task.streams.iter().map(count).sum::<u64>()
    };
    ComponentCounters {
        n_tasks: 1,
        emitted: of_streams(|stream| stream.emitted),
        transferred: of_streams(|stream| stream.transferred),
        executed: task.executed,
        acked: task.acked,
        failed: Failed {
            rejected: task.failed.rejected,
            timed_out: task.failed.timed_out,
            lost: task.failed.lost,
            drained: task.failed.drained,
        },
        pending: task.pending,
        pending_bytes: task.pending_bytes,
        held: task.held,
        deferred: task.deferred,
        unacked: task.unacked,
        queued_bytes: task.queued_bytes,
        restarts: task.restarts,
        failed_starts: task.failed_starts,
        n_down: u32::from(task.down),
        n_crash_looping: u32::from(task.crash_looping),
        last_error: task.last_error.as_ref().map(Note::new),
        queue: latency(&task.queue_us),
        execute: latency(&task.execute_us),
        complete: latency(&task.complete_us),
        metrics: task.metrics.clone(),
        ..ComponentCounters::new(task.component.clone(), spout)
    }
}

const fn latency(times: &squall_runtime::Latency) -> Latency {
    Latency {
        n: times.n,
        p50_us: times.p50,
        p95_us: times.p95,
        p99_us: times.p99,
        max_us: times.max,
    }
}
