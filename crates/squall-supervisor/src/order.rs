//! What a slot is to run, taken from nimbus's orders.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;
use sha2::Digest;
use squall_core::SupervisorId;
use squall_proto::{
    Assignment, Handshake, Phase, Sha256, SupervisorOrder, Topology, TopologyOrder, WorkerOrder,
    WorkerPlacement, wire,
};

use crate::slots::Work;

/// One worker of a topology, and all that nimbus has said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotOrder {
    order: Arc<TopologyOrder>,
    /// The worker's own placement.
    placement: WorkerPlacement,
    work: Work,
}

impl SlotOrder {
    fn new(order: Arc<TopologyOrder>, placement: WorkerPlacement) -> Self {
        let topology = &order.topology;
        let work = Work {
            topology_id: topology.id.clone(),
            worker_idx: placement.worker,
            placement_epoch: placement.placement_epoch,
            binary: topology.binary_sha256,
            spec: topology.spec_sha256,
            shape: shape(topology, &placement),
        };
        Self {
            order,
            placement,
            work,
        }
    }

    /// Returns what decides whether a worker may stay.
    pub(crate) const fn work(&self) -> &Work {
        &self.work
    }

    /// Returns the topology.
    pub(crate) fn topology(&self) -> &Topology {
        &self.order.topology
    }

    /// Returns where all its workers are.
    pub(crate) fn assignment(&self) -> &Assignment {
        &self.order.assignment
    }

    /// Tells whether nimbus has the worker drain.
    pub(crate) fn drains(&self) -> bool {
        self.order.phase == Phase::Draining
    }

    /// Returns what the worker is to be told.
    pub(crate) fn to_worker(&self, handshake: Handshake, must_drain: bool) -> WorkerOrder {
        WorkerOrder {
            handshake,
            assignment: self.order.assignment.clone(),
            phase: if must_drain {
                Phase::Draining
            } else {
                self.order.phase
            },
            all_ready: self.order.all_ready,
        }
    }

    /// Returns what is stored of it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let stored = wire::SupervisorOrder {
            topologies: vec![self.order.as_ref().clone().into()],
            ..wire::SupervisorOrder::default()
        };
        stored.encode_to_vec()
    }

    /// Reads what was stored for the slot at `port`; the error is for people.
    pub(crate) fn parse(
        stored: &[u8],
        supervisor: &SupervisorId,
        port: u16,
    ) -> Result<Option<Self>, String> {
        let wire = wire::SupervisorOrder::decode(stored).map_err(|error| error.to_string())?;
        let Some(order) = wire.topologies.into_iter().next() else {
            return Ok(None);
        };
        let order = TopologyOrder::try_from(order).map_err(|error| error.to_string())?;
        let order = Arc::new(order);
        let mut own = order.assignment.workers_of(supervisor);
        let placement = own.find(|placement| placement.port() == port);
        Ok(placement.map(|placement| Self::new(order.clone(), placement.clone())))
    }
}

/// Sorts an order by the supervisor's slots.
pub(crate) fn by_slot(
    order: SupervisorOrder,
    supervisor: &SupervisorId,
) -> HashMap<u16, SlotOrder> {
    let mut slots = HashMap::new();
    for topology in order.topologies {
        let topology = Arc::new(topology);
        for placement in topology.assignment.workers_of(supervisor) {
            let order = SlotOrder::new(topology.clone(), placement.clone());
            slots.insert(placement.port(), order);
        }
    }
    slots
}

/// Hashes what a worker is built from besides its binary and its spec. The hash is stored and compared by
/// later versions, so it is made from single values and not from an encoding that may grow.
fn shape(topology: &Topology, placement: &WorkerPlacement) -> Sha256 {
    let mut hasher = sha2::Sha256::new();
    let mut add = |text: &str| {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    };
    add(&topology.n_workers.to_string());
    // Each list begins with its length, so that no two topologies read the same.
    add(&topology.parallelism.len().to_string());
    for (component, n_tasks) in &topology.parallelism {
        add(component.as_str());
        add(&n_tasks.to_string());
    }
    let program = topology.program.as_ref();
    add(program.map_or("", |program| &program.name));
    let args = program.map_or(&[][..], |program| &program.args);
    add(&args.len().to_string());
    args.iter().for_each(|arg| add(arg));
    for task in &placement.tasks {
        add(&task.to_string());
    }
    add(&placement.address.to_string());
    Sha256::new(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use squall_core::engine::WorkerIdx;
    use squall_core::{TaskId, TopologyId};
    use squall_proto::{ClusterId, Parallelism, Program};

    use super::*;

    fn placement(worker: u32, port: u16, first_task: u32) -> WorkerPlacement {
        WorkerPlacement {
            worker: WorkerIdx(worker),
            supervisor: SupervisorId::new(if worker == 0 { "here" } else { "there" }),
            address: format!("10.0.0.{}:{port}", worker + 1).parse().unwrap(),
            tasks: vec![TaskId(first_task), TaskId(first_task + 1)],
            placement_epoch: 3,
        }
    }

    fn topology_order() -> TopologyOrder {
        let id = TopologyId::new("clicks-1");
        TopologyOrder {
            topology: Topology {
                id: id.clone(),
                spec_json: "{}".into(),
                spec_sha256: Sha256::new([1; 32]),
                binary_sha256: Sha256::new([2; 32]),
                n_workers: NonZeroU32::new(2).unwrap(),
                program: None,
                parallelism: Parallelism::new(),
            },
            assignment: Assignment {
                topology: id,
                version: 5,
                workers: vec![placement(0, 6700, 0), placement(1, 6700, 2)],
            },
            phase: Phase::Active,
            all_ready: true,
        }
    }

    fn slot_order(order: TopologyOrder) -> SlotOrder {
        let order = SupervisorOrder {
            handshake: Handshake::ours("here", None, Some(ClusterId::new([1; 16]))),
            leader_epoch: 1,
            topologies: vec![order],
        };
        let mut slots = by_slot(order, &SupervisorId::new("here"));
        assert_eq!(slots.len(), 1, "the other worker is another supervisor's");
        slots.remove(&6700).unwrap()
    }

    #[test]
    fn an_order_comes_back_as_it_was_stored() {
        let order = slot_order(topology_order());
        let (here, there) = (SupervisorId::new("here"), SupervisorId::new("there"));
        let stored = order.to_bytes();
        assert_eq!(
            SlotOrder::parse(&stored, &here, 6700),
            Ok(Some(order.clone()))
        );
        assert_eq!(SlotOrder::parse(&stored, &here, 6701), Ok(None));
        let other = SlotOrder::parse(&stored, &there, 6700).unwrap().unwrap();
        assert_ne!(other.work(), order.work());
        assert_eq!(SlotOrder::parse(&[], &here, 6700), Ok(None));
        assert!(SlotOrder::parse(b"nonsense", &here, 6700).is_err());
    }

    #[test]
    fn only_what_a_worker_is_built_from_makes_other_work() {
        let work = |change: &dyn Fn(&mut TopologyOrder)| {
            let mut order = topology_order();
            change(&mut order);
            slot_order(order).work().clone()
        };
        let before = work(&|_| {});
        let same: [&dyn Fn(&mut TopologyOrder); 3] = [
            &|order| order.phase = Phase::Draining,
            &|order| order.assignment.version = 9,
            &|order| order.assignment.workers[1] = placement(1, 6799, 2),
        ];
        for change in same {
            assert_eq!(work(change), before);
        }
        let other: [&dyn Fn(&mut TopologyOrder); 6] = [
            &|order| order.assignment.workers[0].placement_epoch = 4,
            &|order| order.topology.binary_sha256 = Sha256::new([3; 32]),
            &|order| order.assignment.workers[0].tasks = vec![TaskId(0)],
            &|order| order.topology.n_workers = NonZeroU32::new(3).unwrap(),
            &|order| {
                let tasks = NonZeroU32::new(4).unwrap();
                order.topology.parallelism.insert("count".into(), tasks);
            },
            &|order| {
                let name = "clicks".to_owned();
                let args = vec!["--fast".to_owned()];
                order.topology.program = Some(Program { name, args });
            },
        ];
        for (idx, change) in other.into_iter().enumerate() {
            assert_ne!(work(change), before, "change {idx}");
        }
    }

    #[test]
    fn the_shape_is_hashed_as_earlier_versions_did() {
        // Stored with every start: another hash would start all workers anew at an upgrade.
        let mut order = topology_order();
        let tasks = NonZeroU32::new(4).unwrap();
        order.topology.parallelism.insert("count".into(), tasks);
        let shape = slot_order(order).work().shape;
        assert_eq!(
            shape.to_string(),
            "2f44ce780ad53263090ae4437b4a6a17bb93007a1d80ca6def73831caa19a4d7"
        );
    }
}
