//! Spreads tasks over loops: chains stay together, equal parallelism is spread evenly.

use std::num::NonZero;
use std::thread::available_parallelism;

use squall_core::TaskId;
use squall_plan::{ComponentLayout, Layout};

/// Which loop each task is on.
pub(crate) struct Placement {
    pub(crate) n_loops: usize,
    /// By task id; `None` for a task with a thread of its own, and for one that runs elsewhere.
    pub(crate) loop_of: Vec<Option<usize>>,
}

/// Returns the components, those farthest from the spouts first.
pub(crate) fn sinks_first(layout: &Layout) -> Vec<&ComponentLayout> {
    let mut components: Vec<&ComponentLayout> = layout.components.iter().collect();
    components.sort_by_key(|component| std::cmp::Reverse(component.depth));
    components
}

/// Places each task that runs here: chain `c`'s tasks with index `i` share a loop; a chain with at least as many tasks
/// as there are loops is cut into even runs, a smaller one goes to the loops with the fewest tasks.
pub(crate) fn assign_loops(
    layout: &Layout,
    wanted: Option<usize>,
    is_here: impl Fn(TaskId) -> bool,
) -> Placement {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let n_shared: usize = layout
        .components
        .iter()
        .filter(|component| !component.dedicated)
        .map(|component| component.task_ids().filter(|task| is_here(*task)).count())
        .sum();
    let n_loops = wanted.unwrap_or(cores).clamp(1, n_shared.max(1));
    let mut loop_of = vec![None; layout.n_tasks()];
    let mut n_tasks_on = vec![0usize; n_loops];
    let mut loops_of_chain: Vec<Vec<usize>> = vec![Vec::new(); layout.components.len()];
    for component in layout
        .components
        .iter()
        .filter(|component| !component.dedicated)
    {
        let here = || component.task_ids().filter(|task| is_here(*task));
        let n_tasks = here().count();
        let chain = &mut loops_of_chain[component.chain];
        for (task_idx, task) in here().enumerate() {
            if chain.len() <= task_idx {
                let least = (0..n_loops).min_by_key(|idx| n_tasks_on[*idx]).unwrap_or(0);
                chain.push(if n_tasks >= n_loops {
                    task_idx * n_loops / n_tasks
                } else {
                    least
                });
            }
            let loop_idx = chain[task_idx];
            n_tasks_on[loop_idx] += 1;
            loop_of[task.idx()] = Some(loop_idx);
        }
    }
    Placement { n_loops, loop_of }
}
