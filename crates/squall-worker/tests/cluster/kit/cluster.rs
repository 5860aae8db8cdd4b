//! All workers of a topology, with their supervisor and their nimbus.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::Digest;
use squall_core::engine::WorkerIdx;
use squall_core::{Fence, Registry, TopologyId, TopologySpec};
use squall_plan::Layout;
use squall_plan::schedule::assign_workers;
use squall_proto::{Address, Assignment, Cookie, Launch, Phase, Sha256, Topology, WorkerPlacement};

use super::supervisor::handshake;
use super::{FakeNimbus, FakeSupervisor, Node, Oracle, Serving, free_address, topology, until};

/// A topology that runs.
pub(crate) struct Cluster {
    pub(crate) oracle: Oracle,
    pub(crate) supervisor: FakeSupervisor,
    pub(crate) nimbus: FakeNimbus,
    pub(crate) nodes: BTreeMap<u32, Node>,
    pub(crate) serves_local: Option<Serving>,
    pub(crate) serves_checkpoints: Option<Serving>,
    pub(crate) supervisor_address: Address,
    pub(crate) nimbus_address: Address,
    registry: Arc<Registry>,
    topology: Topology,
    /// Counts all starts, as the supervisors of slots do.
    n_starts: u64,
}

impl Cluster {
    /// Starts the topology with so many workers, ordered to be active.
    pub(crate) fn start(n_workers: u32) -> Self {
        let mut cluster = Self::prepare(n_workers);
        for worker in 0..n_workers {
            cluster.launch(worker);
        }
        cluster
            .supervisor
            .order(|order| order.phase = Phase::Active);
        cluster
    }

    /// Makes everything but the workers.
    pub(crate) fn prepare(n_workers: u32) -> Self {
        let oracle = Oracle::default();
        let registry = oracle.registry();
        let spec = topology();
        let assignment = assignment(&spec, &registry, n_workers);
        let supervisor = FakeSupervisor::new(assignment);
        let nimbus = FakeNimbus::default();
        let (supervisor_address, nimbus_address) = (free_address(), free_address());
        Self {
            serves_local: Some(supervisor.serve(&supervisor_address)),
            serves_checkpoints: Some(nimbus.serve(&nimbus_address)),
            oracle,
            supervisor,
            nimbus,
            nodes: BTreeMap::new(),
            supervisor_address,
            nimbus_address,
            topology: submitted(&spec, n_workers),
            registry,
            n_starts: 0,
        }
    }

    /// Returns the launch of the next copy of a worker.
    pub(crate) fn next_launch(&mut self, worker: u32) -> Launch {
        self.n_starts += 1;
        let assignment = self.supervisor.assignment();
        let placement = assignment.worker(WorkerIdx(worker)).unwrap();
        let fence = Fence {
            placement_epoch: placement.placement_epoch,
            incarnation: self.n_starts,
        };
        Launch {
            handshake: handshake(),
            topology: self.topology.clone(),
            worker: placement.worker,
            fence,
            cookie: Cookie::new([9; 16]),
            supervisor_address: self.supervisor_address.clone(),
            nimbus_addresses: vec![self.nimbus_address.clone()],
            bind_address: placement.address.clone(),
            assignment,
        }
    }

    /// Starts the next copy of a worker. One that runs goes on, and isn't the present one any more.
    pub(crate) fn launch(&mut self, worker: u32) -> Option<Node> {
        let launch = self.next_launch(worker);
        self.supervisor.expect(launch.worker, launch.fence);
        self.nodes
            .insert(worker, Node::start(launch, &self.registry))
    }

    /// Kills a worker.
    pub(crate) fn kill(&mut self, worker: u32) {
        self.oracle.kill();
        self.nodes.remove(&worker).unwrap().kill();
    }

    /// Waits until so many numbers were seen.
    pub(crate) async fn seen(&self, n_numbers: u64) {
        let oracle = self.oracle.clone();
        until(&format!("{n_numbers} numbers are seen"), || {
            oracle.n_seen() >= n_numbers
        })
        .await;
    }

    /// Adds up a counter over all workers, as they said last.
    pub(crate) fn sum(&self, count: impl Fn(&squall_proto::ComponentCounters) -> u64) -> u64 {
        let statuses = self
            .nodes
            .keys()
            .filter_map(|worker| self.supervisor.status(*worker));
        let components = statuses.flat_map(|status| status.counters.components);
        components.map(|component| count(&component)).sum()
    }
}

fn submitted(spec: &TopologySpec, n_workers: u32) -> Topology {
    let spec_json = serde_json::to_vec(spec).unwrap();
    Topology {
        id: TopologyId::new("numbers-1"),
        spec_sha256: Sha256::new(sha2::Sha256::digest(&spec_json).into()),
        spec_json: spec_json.into(),
        binary_sha256: Sha256::new([0; 32]),
        n_workers: n_workers.try_into().unwrap(),
        program: None,
        parallelism: BTreeMap::new(),
    }
}

fn assignment(spec: &TopologySpec, registry: &Registry, n_workers: u32) -> Assignment {
    let checked = squall_plan::check(spec, registry).unwrap();
    let layout = Layout::new(spec, &checked.signatures, true);
    let dealt = (0..).zip(assign_workers(&layout, n_workers));
    let placement = |(worker, tasks)| WorkerPlacement {
        worker: WorkerIdx(worker),
        supervisor: "test".into(),
        address: free_address(),
        tasks,
        placement_epoch: 1,
    };
    Assignment {
        topology: TopologyId::new("numbers-1"),
        version: 1,
        workers: dealt.map(placement).collect(),
    }
}
