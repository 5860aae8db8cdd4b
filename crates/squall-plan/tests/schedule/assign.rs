//! Every task once, workers alike in size, what is fused together.

use proptest::prelude::*;
use squall_core::{DeclareError, TaskId, TopologyBuilder};
use squall_plan::schedule::{assign_workers, name_tasks};
use squall_plan::{Layout, Signatures};

/// A line of components: each with its parallelism, and whether it asks to be near the one before.
fn line(components: &[(u32, bool)]) -> Result<Layout, DeclareError> {
    let mut t = TopologyBuilder::new("line");
    for (idx, (parallelism, near)) in components.iter().enumerate() {
        let id = format!("c{idx}");
        if idx == 0 {
            t.spout(&id, "x", ())?.parallelism(*parallelism);
            continue;
        }
        let from = format!("c{}", idx - 1);
        let bolt = t.bolt(&id, "x", ())?.parallelism(*parallelism);
        if *near {
            bolt.local_or_shuffle(&from);
        } else {
            bolt.fields(&from, ["x"]);
        }
    }
    Ok(Layout::new(&t.build(), &Signatures::default(), true))
}

/// The executors of a worker, by chain and number.
fn executors(layout: &Layout, tasks: &[TaskId]) -> Vec<(usize, u32)> {
    let mut all: Vec<_> = layout
        .components
        .iter()
        .flat_map(|component| {
            let own = tasks
                .iter()
                .filter(|task| component.tasks.contains(&task.0));
            own.map(|task| (component.chain, task.0 - component.tasks.start))
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn spread(sizes: impl Iterator<Item = usize> + Clone) -> usize {
    sizes.clone().max().unwrap_or(0) - sizes.min().unwrap_or(0)
}

proptest! {
    #[test]
    fn every_task_has_one_worker_and_workers_are_alike(
        components in prop::collection::vec((1u32..12, any::<bool>()), 1..8),
        n_workers in 1u32..20,
    ) {
        let layout = line(&components).unwrap();
        let workers = assign_workers(&layout, n_workers);
        let mut tasks: Vec<u32> = workers.iter().flatten().map(|task| task.0).collect();
        tasks.sort_unstable();
        let all: Vec<u32> = (0..u32::try_from(layout.n_tasks()).unwrap()).collect();
        prop_assert_eq!(tasks, all);

        let executors: Vec<_> = workers.iter().map(|tasks| executors(&layout, tasks)).collect();
        let n_executors: usize = executors.iter().map(Vec::len).sum();
        let mut distinct: Vec<_> = executors.concat();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), n_executors, "an executor is split");
        prop_assert_eq!(workers.len(), n_executors.min(n_workers as usize));
        prop_assert!(spread(executors.iter().map(Vec::len)) <= 1);
        for component in &layout.components {
            let of_it = |tasks: &Vec<TaskId>| {
                tasks.iter().filter(|task| component.tasks.contains(&task.0)).count()
            };
            prop_assert!(spread(workers.iter().map(of_it)) <= 1);
        }
        let fused = layout.components.iter().flat_map(|component| &component.inputs).any(|i| i.fused);
        if !fused {
            prop_assert!(spread(workers.iter().map(Vec::len)) <= 1);
        }
        prop_assert_eq!(assign_workers(&layout, n_workers), workers);
    }
}

#[test]
fn wide_executors_are_evened_out_by_narrow_ones() {
    // One executor of three tasks, three of one.
    let layout = line(&[(1, true), (1, true), (1, true), (3, false)]).unwrap();
    let workers = assign_workers(&layout, 2);
    let sizes: Vec<_> = workers.iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 2]);
}

#[test]
fn names_tasks_by_component() {
    let layout = line(&[(4, false), (6, false)]).unwrap();
    let tasks: Vec<TaskId> = [0, 1, 2, 5, 7, 8].map(TaskId).to_vec();
    assert_eq!(name_tasks(&layout, &tasks), "c0[0-2], c1[1,3-4]");
    assert_eq!(name_tasks(&layout, &[]), "");
}
