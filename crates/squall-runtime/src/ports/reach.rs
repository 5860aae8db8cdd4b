//! Which workers the tuples of a task may get to: its trees fail when one of those is no more. Pure.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use squall_core::Grouping;
use squall_core::engine::WorkerIdx;
use squall_plan::{InputLayout, Layout};

use super::Part;

/// Who reads what, and where.
pub(crate) struct Reach<'a> {
    layout: &'a Layout,
    part: &'a Part,
    /// By emitting component.
    readers: Vec<Vec<Reader<'a>>>,
    n_inputs: usize,
    /// By component and worker: the indexes of the component's tasks there.
    local: HashMap<(usize, WorkerIdx), Vec<usize>, RandomState>,
}

/// An input of a component that reads another one.
struct Reader<'a> {
    component_idx: usize,
    input: &'a InputLayout,
    /// Its number among the inputs of all components.
    input_idx: usize,
}

impl<'a> Reach<'a> {
    pub(crate) fn new(layout: &'a Layout, part: &'a Part) -> Self {
        let mut readers: Vec<Vec<Reader<'a>>> = Vec::new();
        readers.resize_with(layout.components.len(), Vec::new);
        let mut n_inputs = 0;
        for (component_idx, component) in layout.components.iter().enumerate() {
            for input in &component.inputs {
                readers[input.from].push(Reader {
                    component_idx,
                    input,
                    input_idx: n_inputs,
                });
                n_inputs += 1;
            }
        }
        let mut reach = Self {
            layout,
            part,
            readers,
            n_inputs,
            local: HashMap::default(),
        };
        for (component_idx, component) in layout.components.iter().enumerate() {
            for task_idx in 0..component.n_tasks() {
                if let Some(worker) = reach.worker_of(component_idx, task_idx) {
                    let local = reach.local.entry((component_idx, worker));
                    local.or_default().push(task_idx);
                }
            }
        }
        reach
    }

    /// Returns the workers, each once, with a task that may get what one task emits or what follows from it.
    /// Looks at each task once.
    pub(crate) fn workers(&self, component_idx: usize, task_idx: usize) -> Vec<WorkerIdx> {
        let mut seen = vec![false; self.layout.n_tasks()];
        // Who reads all of an input's tuples, whoever emits them, is looked for once.
        let mut is_done = vec![false; self.n_inputs];
        let mut next = vec![(component_idx, task_idx)];
        while let Some((emitter_idx, task_idx)) = next.pop() {
            for reader in &self.readers[emitter_idx] {
                if is_done[reader.input_idx] {
                    continue;
                }
                let picked = self.picked(reader, emitter_idx, task_idx);
                is_done[reader.input_idx] = picked.is_none();
                let tasks = &self.layout.components[reader.component_idx].tasks;
                for task_idx in picked.unwrap_or_else(|| (0..tasks.len()).collect()) {
                    let task = tasks.start as usize + task_idx;
                    if !std::mem::replace(&mut seen[task], true) {
                        next.push((reader.component_idx, task_idx));
                    }
                }
            }
        }
        let reached = self.part.workers.iter().zip(seen);
        let mut workers: Vec<WorkerIdx> = reached
            .filter_map(|(worker, seen)| seen.then_some(*worker))
            .collect();
        workers.sort_unstable();
        workers.dedup();
        workers
    }

    /// Returns which of the reading tasks one emitting task may pick, as its router does; `None` for all.
    fn picked(
        &self,
        reader: &Reader<'_>,
        emitter_idx: usize,
        task_idx: usize,
    ) -> Option<Vec<usize>> {
        match &reader.input.grouping {
            _ if reader.input.fused => Some(vec![task_idx]),
            Grouping::Global => Some(vec![0]),
            Grouping::LocalOrShuffle => {
                let here = self.worker_of(emitter_idx, task_idx)?;
                self.local.get(&(reader.component_idx, here)).cloned()
            }
            _ => None,
        }
    }

    fn worker_of(&self, component_idx: usize, task_idx: usize) -> Option<WorkerIdx> {
        let first = self.layout.components[component_idx].tasks.start as usize;
        self.part.workers.get(first + task_idx).copied()
    }
}

#[cfg(test)]
mod tests {
    use squall_core::{Outputs, TopologyBuilder};
    use squall_plan::Signatures;

    use super::*;

    /// Lays out the spouts `in`, two tasks, and a bolt `near`, which reads them from task to task, and what
    /// else is declared; checks which workers each of `in`'s tasks reaches. `at` says where each task runs.
    fn check(declare: impl FnOnce(&mut TopologyBuilder), at: &[u32], expected: [&[u32]; 2]) {
        let mut topology = TopologyBuilder::new("t");
        topology.spout("in", "x", ()).unwrap().parallelism(2);
        let near = topology.bolt("near", "x", ()).unwrap().parallelism(2);
        near.local_or_shuffle("in");
        declare(&mut topology);
        let spec = topology.build();
        let ids = spec.spouts.keys().chain(spec.bolts.keys());
        let signatures: Signatures = ids.map(|id| (id.clone(), Outputs::fields(["x"]))).collect();
        let layout = Layout::new(&spec, &signatures, true);
        assert_eq!(layout.n_tasks(), at.len());
        let part = Part {
            me: WorkerIdx(0),
            workers: at.iter().copied().map(WorkerIdx).collect(),
        };
        let reach = Reach::new(&layout, &part);
        let reached = [0, 1].map(|task_idx| reach.workers(0, task_idx));
        let to_workers = |idxs: &[u32]| -> Vec<_> { idxs.iter().copied().map(WorkerIdx).collect() };
        assert_eq!(reached, expected.map(to_workers));
    }

    #[test]
    fn what_is_fused_stays_where_it_is() {
        check(|_| {}, &[0, 1, 0, 1], [&[0], &[1]]);
    }

    #[test]
    fn what_is_spread_gets_to_all_readers_and_on_from_there() {
        let declare = |t: &mut TopologyBuilder| {
            t.bolt("far", "x", ())
                .unwrap()
                .parallelism(2)
                .fields("near", ["x"]);
            t.bolt("end", "x", ())
                .unwrap()
                .parallelism(2)
                .local_or_shuffle("far");
        };
        check(
            declare,
            &[0, 1, 0, 1, 2, 3, 4, 5],
            [&[0, 2, 3, 4, 5], &[1, 2, 3, 4, 5]],
        );
    }

    #[test]
    fn local_or_shuffle_leaves_a_worker_without_readers_only() {
        let declare = |t: &mut TopologyBuilder| {
            t.bolt("far", "x", ())
                .unwrap()
                .parallelism(3)
                .local_or_shuffle("near");
        };
        check(declare, &[0, 1, 0, 1, 0, 2, 2], [&[0], &[0, 1, 2]]);
    }

    #[test]
    fn a_global_reader_is_one_task() {
        let declare = |t: &mut TopologyBuilder| {
            t.bolt("far", "x", ())
                .unwrap()
                .parallelism(2)
                .global("near");
        };
        check(declare, &[0, 1, 0, 1, 2, 3], [&[0, 2], &[1, 2]]);
    }

    #[test]
    fn what_goes_round_a_cycle_is_followed() {
        let declare = |t: &mut TopologyBuilder| {
            let round = t.bolt("round", "x", ()).unwrap().parallelism(2);
            round.local_or_shuffle("near").fields("back", ["x"]);
            t.bolt("back", "x", ())
                .unwrap()
                .parallelism(2)
                .shuffle("round");
        };
        check(
            declare,
            &[0, 1, 0, 1, 0, 1, 2, 3],
            [&[0, 1, 2, 3], &[0, 1, 2, 3]],
        );
    }
}
