//! Between supervisors and nimbus: what is, and what is to be.

use std::num::NonZeroU32;

use squall_core::SupervisorId;

use crate::address::Address;
use crate::assignment::{Assignment, WorkerPlacement};
use crate::bounds::{MAX_HOST_BYTES, MAX_SLOTS, MAX_SUPERVISOR_ID_BYTES};
use crate::check;
use crate::field::{At, FieldError};
use crate::handshake::Handshake;
use crate::names::supervisor_id;
use crate::slot::SlotStatus;
use crate::topology::{Phase, Topology};
use crate::wire;

/// From a supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SupervisorReport {
    /// The first message of the stream.
    Hello(SupervisorHello),
    /// All others.
    Status(SupervisorStatus),
}

/// Who a supervisor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorHello {
    /// Its handshake.
    pub handshake: Handshake,
    /// Its id.
    pub supervisor: SupervisorId,
    /// Where its machine is reached; the port is its own gRPC port.
    pub address: Address,
    /// The ports of its slots: 1 to [`MAX_SLOTS`], none twice.
    pub slot_ports: Vec<u16>,
    /// What its machine has.
    pub resources: Resources,
    /// The highest leader epoch that it knows; 0 if none.
    pub leader_epoch: u64,
}

/// What a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Processors that may be used.
    pub n_cores: NonZeroU32,
    /// Memory that may be used.
    pub memory_bytes: u64,
}

/// How a supervisor fares: the whole of it, each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SupervisorStatus {
    /// Every slot, once.
    pub slots: Vec<SlotStatus>,
    /// It takes no new workers, for it is about to end.
    pub draining: bool,
    /// Room on the disk of its data directory.
    pub disk_free_bytes: u64,
}

/// From nimbus: all that a supervisor is to run. Each order replaces the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorOrder {
    /// Nimbus's handshake.
    pub handshake: Handshake,
    /// The leader's epoch, from 1.
    pub leader_epoch: u64,
    /// The topologies that have a worker there, each once: at most [`MAX_SLOTS`].
    pub topologies: Vec<TopologyOrder>,
}

/// One topology and what its workers are to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyOrder {
    /// What was submitted.
    pub topology: Topology,
    /// Where all its workers are.
    pub assignment: Assignment,
    /// What they are to do.
    pub phase: Phase,
    /// Every task is placed and every worker of this very assignment is ready.
    pub all_ready: bool,
}

impl SupervisorOrder {
    /// Iterates over what a supervisor's slots are to run; a slot that isn't among these is to be empty.
    /// The slot is the port of the placement.
    pub fn slots_of<'a>(
        &'a self,
        supervisor: &'a SupervisorId,
    ) -> impl Iterator<Item = (&'a TopologyOrder, &'a WorkerPlacement)> {
        self.topologies.iter().flat_map(move |order| {
            let workers = order.assignment.workers_of(supervisor);
            workers.map(move |worker| (order, worker))
        })
    }
}

impl TryFrom<wire::SupervisorReport> for SupervisorReport {
    type Error = FieldError;

    fn try_from(wire: wire::SupervisorReport) -> Result<Self, FieldError> {
        use wire::supervisor_report::Report;
        match wire.report {
            Some(Report::Hello(hello)) => hello.try_into().map(Self::Hello).at("hello"),
            Some(Report::Status(status)) => status.try_into().map(Self::Status).at("status"),
            None => Err(FieldError::missing("report")),
        }
    }
}

impl From<SupervisorReport> for wire::SupervisorReport {
    fn from(report: SupervisorReport) -> Self {
        use wire::supervisor_report::Report;
        let report = match report {
            SupervisorReport::Hello(hello) => Report::Hello(hello.into()),
            SupervisorReport::Status(status) => Report::Status(status.into()),
        };
        Self {
            report: Some(report),
        }
    }
}

impl TryFrom<wire::SupervisorHello> for SupervisorHello {
    type Error = FieldError;

    fn try_from(wire: wire::SupervisorHello) -> Result<Self, FieldError> {
        let ports = &wire.slot_ports;
        check::within("slot_ports", ports.len(), &(1..=MAX_SLOTS), "ports")?;
        check::distinct("slot_ports", ports, "port")?;
        let port = |(idx, port): (usize, &u32)| check::port("", *port).at_idx("slot_ports", idx);
        let slot_ports: Result<Vec<u16>, FieldError> = ports.iter().enumerate().map(port).collect();
        Ok(Self {
            handshake: check::required("handshake", wire.handshake)?,
            supervisor: supervisor_id(&wire.supervisor_id).at("supervisor_id")?,
            address: wire.address.try_into().at("address")?,
            slot_ports: slot_ports?,
            resources: check::required("resources", wire.resources)?,
            leader_epoch: wire.leader_epoch,
        })
    }
}

impl From<SupervisorHello> for wire::SupervisorHello {
    fn from(hello: SupervisorHello) -> Self {
        Self {
            handshake: Some(hello.handshake.into()),
            supervisor_id: hello.supervisor.to_string(),
            address: hello.address.into(),
            slot_ports: hello.slot_ports.into_iter().map(u32::from).collect(),
            resources: Some(hello.resources.into()),
            leader_epoch: hello.leader_epoch,
        }
    }
}

impl TryFrom<wire::Resources> for Resources {
    type Error = FieldError;

    fn try_from(wire: wire::Resources) -> Result<Self, FieldError> {
        let n_cores = NonZeroU32::new(wire.n_cores);
        Ok(Self {
            n_cores: n_cores.ok_or_else(|| FieldError::new("n_cores", "at least 1", 0))?,
            memory_bytes: wire.memory_bytes,
        })
    }
}

impl From<Resources> for wire::Resources {
    fn from(resources: Resources) -> Self {
        Self {
            n_cores: resources.n_cores.get(),
            memory_bytes: resources.memory_bytes,
        }
    }
}

impl TryFrom<wire::SupervisorStatus> for SupervisorStatus {
    type Error = FieldError;

    fn try_from(wire: wire::SupervisorStatus) -> Result<Self, FieldError> {
        Ok(Self {
            slots: slots("slots", wire.slots)?,
            draining: wire.draining,
            disk_free_bytes: wire.disk_free_bytes,
        })
    }
}

/// Takes a supervisor's slots.
pub(crate) fn slots(
    field: &str,
    wire: Vec<wire::SlotStatus>,
) -> Result<Vec<SlotStatus>, FieldError> {
    let slots: Vec<SlotStatus> = check::list(field, wire, 0..=MAX_SLOTS)?;
    check::distinct(field, slots.iter().map(|slot| slot.port), "port")?;
    Ok(slots)
}

impl From<SupervisorStatus> for wire::SupervisorStatus {
    fn from(status: SupervisorStatus) -> Self {
        Self {
            slots: status.slots.into_iter().map(Into::into).collect(),
            draining: status.draining,
            disk_free_bytes: status.disk_free_bytes,
        }
    }
}

impl TryFrom<wire::SupervisorOrder> for SupervisorOrder {
    type Error = FieldError;

    fn try_from(wire: wire::SupervisorOrder) -> Result<Self, FieldError> {
        let topologies: Vec<TopologyOrder> =
            check::list("topologies", wire.topologies, 0..=MAX_SLOTS)?;
        let ids = topologies.iter().map(|order| &order.topology.id);
        check::distinct("topologies", ids, "topology")?;
        let workers = topologies
            .iter()
            .flat_map(|order| &order.assignment.workers);
        let slots = workers.map(|worker| (&worker.supervisor, worker.port()));
        check::distinct("topologies.assignment.workers", slots, "slot")?;
        Ok(Self {
            handshake: check::required("handshake", wire.handshake)?,
            leader_epoch: check::number("leader_epoch", wire.leader_epoch, 1..=u64::MAX)?,
            topologies,
        })
    }
}

impl From<SupervisorOrder> for wire::SupervisorOrder {
    fn from(order: SupervisorOrder) -> Self {
        Self {
            handshake: Some(order.handshake.into()),
            leader_epoch: order.leader_epoch,
            topologies: order.topologies.into_iter().map(Into::into).collect(),
        }
    }
}

impl TopologyOrder {
    /// Returns how many bytes the order of a topology of so many workers and tasks takes on the wire at most,
    /// wherever its workers are: within it, what all of a supervisor's may take together.
    #[must_use]
    pub fn max_bytes(topology: &Topology, n_workers: usize, n_tasks: usize) -> usize {
        // A tag and a length, or a number, of each field; the fields that are there once, all together.
        const FIELD_BYTES: usize = 6;
        const ONCE_BYTES: usize = 1024;
        const WORKER_BYTES: usize = MAX_SUPERVISOR_ID_BYTES + MAX_HOST_BYTES + 48;
        const RANGE_BYTES: usize = 12;
        let args = topology.program.iter().flat_map(|program| &program.args);
        let args: usize = args.map(|arg| arg.len() + FIELD_BYTES).sum();
        let components = topology.parallelism.keys();
        let components = components.map(|component| component.as_str().len() + 3 * FIELD_BYTES);
        ONCE_BYTES
            + topology.spec_json.len()
            + args
            + components.sum::<usize>()
            + n_workers * WORKER_BYTES
            + n_tasks * RANGE_BYTES
    }
}

impl TryFrom<wire::TopologyOrder> for TopologyOrder {
    type Error = FieldError;

    fn try_from(wire: wire::TopologyOrder) -> Result<Self, FieldError> {
        let order = Self {
            topology: check::required("topology", wire.topology)?,
            assignment: check::required("assignment", wire.assignment)?,
            phase: wire.phase.try_into().at("phase")?,
            all_ready: wire.all_ready,
        };
        order.assignment.check_is_of(&order.topology.id)?;
        Ok(order)
    }
}

impl From<TopologyOrder> for wire::TopologyOrder {
    fn from(order: TopologyOrder) -> Self {
        Self {
            topology: Some(order.topology.into()),
            assignment: Some(order.assignment.into()),
            phase: order.phase.into(),
            all_ready: order.all_ready,
        }
    }
}
