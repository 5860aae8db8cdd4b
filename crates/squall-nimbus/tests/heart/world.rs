//! A cluster in virtual time: nimbus's heart, a store, and supervisors as the heart hopes for them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use squall_core::{Fence, Moment, SupervisorId, TopologyBuilder};
use squall_nimbus::heart::{
    Desired, Event, Limits, Observed, Record, Reply, SlotReport, SlotReportState, Submission,
    affected, order_for, step,
};
use squall_nimbus::records::{changes, desired_from};
use squall_proto::{
    BinaryNeeds, GlibcVersion, Handshake, Kill, Phase, Plan, Rebalance, Refusal, Resources, Sha256,
    Submit, SupervisorHello, TopologyName, TopologyOrder,
};

pub(crate) type Outcome = Result<Reply, Refusal>;

/// How long a worker takes to start, and to end, in seconds.
const STARTS_AFTER: u64 = 2;
const ENDS_AFTER: u64 = 1;

/// A whole cluster.
pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) limits: Limits,
    pub(crate) desired: Desired,
    pub(crate) observed: Observed,
    pub(crate) store: BTreeMap<String, Bytes>,
    pub(crate) supervisors: BTreeMap<SupervisorId, Supervisor>,
    /// The store refuses to write.
    pub(crate) store_is_full: bool,
    /// How many batches are written before nimbus dies in the middle of a commit.
    pub(crate) dies_after: Option<usize>,
    pub(crate) n_restarts: usize,
}

/// A supervisor that does what it is ordered.
pub(crate) struct Supervisor {
    pub(crate) hello: SupervisorHello,
    pub(crate) orders: Vec<TopologyOrder>,
    pub(crate) slots: BTreeMap<u16, Worker>,
    /// It and its workers run.
    pub(crate) alive: bool,
    /// It reaches nimbus.
    pub(crate) connected: bool,
    pub(crate) draining: bool,
    /// It does what it is ordered, and its workers go on; otherwise it only says how they were.
    pub(crate) obeys: bool,
    /// Workers that start here end at once.
    pub(crate) crashes: bool,
    /// How often a slot has started a worker.
    incarnation: u64,
    attended: bool,
}

/// A worker in a slot.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) report: SlotReport,
    since: u64,
    n_restarts: u32,
    ending: bool,
    /// How long the topology's trees take to finish, in seconds, by when they began to.
    drains_since: Option<u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: Moment::ZERO,
            limits: Limits::default(),
            desired: Desired::default(),
            observed: Observed::new(Moment::ZERO),
            store: BTreeMap::new(),
            supervisors: BTreeMap::new(),
            store_is_full: false,
            dies_after: None,
            n_restarts: 0,
        }
    }

    /// A cluster of supervisors `a`, `b`, …, each on a machine of its own, after a few seconds.
    pub(crate) fn of(n_supervisors: u8, n_slots: u16) -> Self {
        let mut world = Self::new();
        for n in 0..n_supervisors {
            world.join(&char::from(b'a' + n).to_string(), n_slots);
        }
        world.seconds(2);
        world
    }

    pub(crate) fn join(&mut self, id: &str, n_slots: u16) {
        let supervisor = Supervisor {
            hello: hello(id, n_slots),
            orders: Vec::new(),
            slots: BTreeMap::new(),
            alive: true,
            connected: true,
            draining: false,
            obeys: true,
            crashes: false,
            incarnation: 0,
            attended: false,
        };
        self.supervisors.insert(id.into(), supervisor);
    }

    pub(crate) fn supervisor(&mut self, id: &str) -> &mut Supervisor {
        self.supervisors.get_mut(&SupervisorId::from(id)).unwrap()
    }

    /// Lets one thing happen, and checks that the store says what nimbus believes.
    pub(crate) fn event(&mut self, event: Event) -> Outcome {
        let decision = step(
            &self.desired,
            &mut self.observed,
            event,
            self.now,
            &self.limits,
        );
        let old = self.desired.clone();
        if let Some(next) = decision.next {
            let batches = changes(&old, &next);
            if self.store_is_full && !batches.is_empty() {
                return Err(Refusal::storage_full("no space left on device"));
            }
            for (idx, batch) in batches.into_iter().enumerate() {
                if self.dies_after == Some(idx) {
                    self.restart();
                    return Err(Refusal::unavailable("nimbus died"));
                }
                for (key, value) in batch {
                    match value {
                        Some(value) => self.store.insert(key, value),
                        None => self.store.remove(&key),
                    };
                }
            }
            self.desired = next;
            let debug = |desired: &Desired| format!("{desired:?}");
            assert_eq!(
                debug(&self.stored()),
                debug(&self.desired),
                "the store says something else"
            );
            if self.dies_after.is_some() {
                self.restart();
                return Err(Refusal::unavailable("nimbus died"));
            }
        }
        self.check();
        let time = (self.now, &self.limits);
        let changed = (&old, &self.desired);
        for id in affected(changed, &mut self.observed, decision.checked, time) {
            self.order(&id);
        }
        decision.reply
    }

    /// Nimbus dies and starts again: all it has is the store.
    pub(crate) fn restart(&mut self) {
        self.dies_after = None;
        self.n_restarts += 1;
        self.desired = self.stored();
        self.observed = Observed::new(self.now);
        for supervisor in self.supervisors.values_mut() {
            supervisor.attended = false;
        }
    }

    pub(crate) fn stored(&self) -> Desired {
        desired_from(self.store.clone()).unwrap()
    }

    /// What holds whatever happens.
    fn check(&self) {
        let mut taken = BTreeSet::new();
        for record in self.desired.topologies.values() {
            let mut tasks = BTreeSet::new();
            for worker in &record.workers {
                let mut slot = worker.slot.iter();
                assert!(
                    slot.all(|s| taken.insert(s.clone())),
                    "a slot has two workers"
                );
                assert!(
                    worker.epoch <= record.version && record.version <= self.desired.last_version
                );
                assert!(!worker.tasks.is_empty());
                assert!(
                    worker.tasks.iter().all(|task| tasks.insert(*task)),
                    "a task is in two workers"
                );
            }
            assert_eq!(tasks.len(), record.layout.n_tasks(), "a task is nowhere");
        }
    }

    fn order(&mut self, id: &SupervisorId) {
        let orders = order_for(&self.desired, &self.observed, id);
        if let Some(supervisor) = self.supervisors.get_mut(id)
            && supervisor.connected
            && supervisor.alive
            && supervisor.attended
        {
            supervisor.orders = orders;
        }
    }

    pub(crate) fn seconds(&mut self, n: u64) {
        for _ in 0..n {
            self.second();
        }
    }

    fn second(&mut self) {
        self.now = self.now + Duration::from_secs(1);
        let ids: Vec<SupervisorId> = self.supervisors.keys().cloned().collect();
        for id in ids {
            let second = self.second_now();
            let supervisor = self.supervisor(id.as_str());
            if !supervisor.alive {
                supervisor.attended = false;
                continue;
            }
            if supervisor.obeys {
                supervisor.work(second);
            }
            if !supervisor.connected {
                supervisor.attended = false;
                continue;
            }
            if !std::mem::replace(&mut supervisor.attended, true) {
                let hello = supervisor.hello.clone();
                let attended = self.event(Event::Attended(Box::new(hello)));
                if attended.is_err() {
                    self.supervisor(id.as_str()).attended = false;
                    continue;
                }
                self.order(&id);
            }
            self.report(id.as_str());
        }
        let _ticked = self.event(Event::Tick);
    }

    /// Lets a supervisor say how it fares.
    pub(crate) fn report(&mut self, id: &str) {
        let supervisor = self.supervisor(id);
        let slots = supervisor.slots.iter();
        let report = Event::Reported {
            supervisor: id.into(),
            slots: slots
                .map(|(port, worker)| (*port, worker.report.clone()))
                .collect(),
            draining: supervisor.draining,
        };
        let _reported = self.event(report);
    }

    pub(crate) fn second_now(&self) -> u64 {
        self.now.as_nanos() / 1_000_000_000
    }

    pub(crate) fn record(&self, name: &str) -> &Record {
        self.desired.named(&self::name(name)).unwrap()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Record> {
        self.desired
            .named(&self::name(name))
            .map(|record| &**record)
    }

    /// Where a topology's workers are: `a:6700`, or `-`.
    pub(crate) fn places(&self, name: &str) -> Vec<String> {
        let workers = self.record(name).workers.iter();
        let places = workers.map(|worker| match &worker.slot {
            Some(slot) => format!("{}:{}", slot.supervisor, slot.port),
            None => "-".to_owned(),
        });
        places.collect()
    }

    pub(crate) fn epochs(&self, name: &str) -> Vec<u64> {
        self.record(name)
            .workers
            .iter()
            .map(|worker| worker.epoch)
            .collect()
    }

    /// The supervisors of a topology's workers, without doubles.
    pub(crate) fn machines(&self, name: &str) -> BTreeSet<String> {
        let places = self.places(name).into_iter();
        places
            .map(|place| place.split(':').next().unwrap().to_owned())
            .collect()
    }

    /// The pids, so to say: which copies of a topology's workers really run.
    pub(crate) fn running(&self, name: &str) -> BTreeSet<(SupervisorId, u16, u64)> {
        let id = self.find(name).map(|record| record.id().clone());
        let alive = self.supervisors.values().filter(|s| s.alive);
        let workers = alive.flat_map(|supervisor| {
            let slots = supervisor.slots.iter();
            slots.map(|(port, worker)| (&supervisor.hello.supervisor, port, worker))
        });
        let own = workers.filter(|(_, _, worker)| Some(&worker.report.topology) == id.as_ref());
        own.map(|(id, port, worker)| (id.clone(), *port, worker.report.fence.incarnation))
            .collect()
    }

    pub(crate) fn submit(
        &mut self,
        name: &str,
        n_workers: u32,
        n_tasks: u32,
    ) -> Result<Plan, Refusal> {
        match self.event(submission(name, n_workers, n_tasks, false))? {
            Reply::Submitted(_, plan) => Ok(plan),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn kill(&mut self, name: &str, wait_secs: u64) -> Outcome {
        let Kill { name, wait } = Kill {
            name: self::name(name),
            wait: Duration::from_secs(wait_secs),
        };
        self.event(Event::Kill { name, wait })
    }

    pub(crate) fn set_active(&mut self, name: &str, active: bool) -> Outcome {
        let name = self::name(name);
        self.event(Event::SetActive { name, active })
    }

    pub(crate) fn drain(&mut self, id: &str, undo: bool) -> Outcome {
        let supervisor = id.into();
        self.event(Event::Drain { supervisor, undo })
    }

    pub(crate) fn rebalance(
        &mut self,
        name: &str,
        n_workers: u32,
        parallelism: &[(&str, u32)],
        dry_run: bool,
    ) -> Result<Plan, Refusal> {
        let parallelism = parallelism.iter().copied();
        let rebalance = Rebalance {
            name: self::name(name),
            n_workers: NonZeroU32::new(n_workers),
            parallelism: parallelism
                .map(|(id, n)| (id.into(), NonZeroU32::new(n).unwrap()))
                .collect(),
            wait: Duration::from_secs(10),
            dry_run,
        };
        match self.event(Event::Rebalance(rebalance))? {
            Reply::Rebalancing(_, plan) => Ok(plan),
            other => panic!("{other:?}"),
        }
    }

    /// The phases in which a topology's workers are, by what their supervisors were ordered.
    pub(crate) fn phases(&self, name: &str) -> BTreeSet<String> {
        let id = self.find(name).map(|record| record.id().clone());
        let orders = self.supervisors.values().flat_map(|s| &s.orders);
        let own = orders.filter(|order| Some(&order.topology.id) == id.as_ref());
        own.map(|order| order.phase.to_string()).collect()
    }
}

impl Supervisor {
    /// A second's work: ends what isn't wanted, starts what is.
    fn work(&mut self, now: u64) {
        let id = self.hello.supervisor.clone();
        let mut wanted = BTreeMap::new();
        for order in &self.orders {
            for placement in order.assignment.workers_of(&id) {
                wanted.insert(placement.port(), (order, placement));
            }
        }
        self.slots.retain(|port, worker| {
            let is_wanted = wanted.get(port).is_some_and(|(order, placement)| {
                order.topology.id == worker.report.topology
                    && placement.worker.0 as usize == worker.report.worker_idx
                    && placement.placement_epoch == worker.report.fence.placement_epoch
            });
            if !is_wanted && !std::mem::replace(&mut worker.ending, true) {
                worker.report.state = SlotReportState::Changing;
                worker.since = now;
            }
            !worker.ending || now - worker.since < ENDS_AFTER
        });
        for (port, (order, placement)) in wanted {
            let mut start = || {
                self.incarnation += 1;
                let fence = Fence {
                    placement_epoch: placement.placement_epoch,
                    incarnation: self.incarnation,
                };
                Worker::new(order, placement.worker.0 as usize, fence, now)
            };
            let worker = self.slots.entry(port).or_insert_with(&mut start);
            if !worker.ending {
                worker.work(order, now, self.crashes);
            }
        }
    }
}

impl Worker {
    fn new(order: &TopologyOrder, worker_idx: usize, fence: Fence, now: u64) -> Self {
        Self {
            report: SlotReport {
                topology: order.topology.id.clone(),
                worker_idx,
                fence,
                state: SlotReportState::Changing,
            },
            since: now,
            n_restarts: 0,
            ending: false,
            drains_since: None,
        }
    }

    fn work(&mut self, order: &TopologyOrder, now: u64, crashes: bool) {
        if now - self.since < STARTS_AFTER {
            return;
        }
        if crashes {
            self.n_restarts += 1;
            self.report.state = SlotReportState::Failed {
                n_restarts: self.n_restarts,
                crash_looping: self.n_restarts >= 3,
            };
            return;
        }
        if order.phase == Phase::Draining {
            self.drains_since.get_or_insert(now);
        } else {
            self.drains_since = None;
        }
        self.report.state = SlotReportState::Running {
            ready: true,
            drained: self.drains_since.is_some_and(|since| now - since >= 2),
            version: order.assignment.version,
        };
    }
}

pub(crate) fn name(name: &str) -> TopologyName {
    name.parse().unwrap()
}

pub(crate) fn glibc(version: &str) -> Option<GlibcVersion> {
    Some(version.parse().unwrap())
}

pub(crate) fn hello(id: &str, n_slots: u16) -> SupervisorHello {
    SupervisorHello {
        handshake: Handshake::ours("x86_64-unknown-linux-gnu", glibc("2.36"), None),
        supervisor: id.into(),
        address: format!("host-{id}:6700").parse().unwrap(),
        slot_ports: (1..=n_slots).map(|n| 6700 + n).collect(),
        resources: Resources {
            n_cores: NonZeroU32::MIN,
            memory_bytes: 1 << 30,
        },
        leader_epoch: 0,
    }
}

/// A topology of a spout and two bolts, each with so many tasks.
pub(crate) fn submission(name: &str, n_workers: u32, n_tasks: u32, dry_run: bool) -> Event {
    let mut t = TopologyBuilder::new(name);
    t.spout("in", "lines", ()).unwrap().parallelism(n_tasks);
    t.bolt("parse", "parse", ())
        .unwrap()
        .parallelism(n_tasks)
        .local_or_shuffle("in");
    t.bolt("count", "count", ())
        .unwrap()
        .parallelism(n_tasks)
        .fields("parse", ["word"]);
    let spec_json = serde_json::to_vec(&t.build()).unwrap();
    submit_json(name, spec_json, NonZeroU32::new(n_workers), dry_run)
}

pub(crate) fn submit_json(
    name: &str,
    spec_json: Vec<u8>,
    n_workers: Option<NonZeroU32>,
    dry_run: bool,
) -> Event {
    let submit = Submit {
        name: self::name(name),
        spec_json: spec_json.into(),
        binary_sha256: Sha256::new([7; 32]),
        needs: BinaryNeeds {
            target: "x86_64-unknown-linux-gnu".to_owned(),
            glibc: glibc("2.34"),
        },
        n_workers,
        program: None,
        dry_run,
    };
    Event::Submit(Box::new(Submission {
        submit,
        spec_sha256: Sha256::new([8; 32]),
        unix_ms: 1_577_836_800_000,
    }))
}
