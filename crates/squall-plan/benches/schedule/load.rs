//! A cluster that is nearly full: a supervisor with six slots for every ten executors, two of which share a
//! worker, and ten topologies with a tenth of the executors each.

use squall_core::TopologyBuilder;
use squall_plan::schedule::{Demand, Liveness, Slot, Supervisor, Verdict, Wanted, assign_workers};
use squall_plan::{Layout, Signatures};

/// Each supervisor is on a machine of its own.
pub(crate) fn cluster(n_executors: u32) -> Vec<Supervisor> {
    let supervisors = (0..n_executors / 10).map(|n| Supervisor {
        id: format!("supervisor-{n:04}").as_str().into(),
        machine: format!("machine-{n:04}").into(),
        slots: vec![6700, 6701, 6702, 6703, 6704, 6705],
        liveness: Liveness::Live,
    });
    supervisors.collect()
}

/// Ten topologies, each with a tenth of the executors.
pub(crate) fn layouts(n_executors: u32) -> Vec<Layout> {
    let topologies = (0..10).map(|_| {
        let parallelism = n_executors / 50;
        let mut t = TopologyBuilder::new("t");
        t.spout("in", "x", ()).unwrap().parallelism(parallelism);
        for (id, from) in [("a", "in"), ("b", "a"), ("c", "b"), ("d", "c")] {
            let bolt = t.bolt(id, "x", ()).unwrap();
            bolt.parallelism(parallelism).shuffle(from);
        }
        Layout::new(&t.build(), &Signatures::default(), true)
    });
    topologies.collect()
}

/// What the topologies want; those that are placed want to stay where they are.
pub(crate) fn demands(layouts: &[Layout], placed: Option<&[Vec<Verdict>]>) -> Vec<Demand> {
    let demands = layouts.iter().enumerate().map(|(idx, layout)| {
        let n_tasks = u32::try_from(layout.n_tasks()).unwrap();
        let workers = assign_workers(layout, n_tasks / 2);
        let current = |worker: usize| -> Option<Slot> { placed?[idx][worker].slot.clone() };
        let wanted = (0..workers.len()).map(|worker| Wanted {
            current: current(worker),
            shun: Vec::new(),
        });
        Demand {
            topology: format!("t-{idx}").as_str().into(),
            workers: wanted.collect(),
            respread: false,
        }
    });
    demands.collect()
}
