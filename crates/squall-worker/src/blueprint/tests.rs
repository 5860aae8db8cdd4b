//! What binaries can and can't run.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use squall_core::{Activity, Spout, SpoutEmitter};
use squall_core::{Bolt, Emitter, Fence, Outputs, Result, TopologyBuilder, TopologyId, Tuple};
use squall_proto::{Address, Cookie, Handshake, WorkerPlacement};

use super::*;

struct Nothing;

impl Spout for Nothing {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"])
    }

    fn next_tuple(&mut self, _: &mut SpoutEmitter<'_>) -> Result<Activity> {
        Ok(Activity::Finished)
    }
}

impl Bolt for Nothing {
    fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        Ok(())
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.spout("nothing", |(): ()| Ok(Nothing));
    registry.bolt("nothing", |(): ()| Ok(Nothing));
    registry
}

/// One source and a bolt of three tasks.
fn spec() -> TopologySpec {
    let mut topology = TopologyBuilder::new("t");
    topology.spout("in", "nothing", ()).unwrap();
    topology
        .bolt("out", "nothing", ())
        .unwrap()
        .parallelism(3)
        .shuffle("in");
    topology.build()
}

fn placement(worker: u32, tasks: &[u32]) -> WorkerPlacement {
    WorkerPlacement {
        worker: WorkerIdx(worker),
        supervisor: "s".into(),
        address: Address::new("h", 1 + u16::try_from(worker).unwrap()).unwrap(),
        tasks: tasks.iter().copied().map(TaskId).collect(),
        placement_epoch: 1,
    }
}

fn launch(workers: Vec<WorkerPlacement>) -> Launch {
    let spec_json = serde_json::to_vec(&spec()).unwrap();
    let address = || Address::new("127.0.0.1", 6700).unwrap();
    Launch {
        handshake: Handshake::ours("x", None, None),
        topology: Topology {
            id: TopologyId::new("t-1"),
            spec_sha256: sha256(&spec_json),
            spec_json: spec_json.into(),
            binary_sha256: Sha256::new([0; 32]),
            n_workers: NonZeroU32::new(2).unwrap(),
            program: None,
            parallelism: BTreeMap::new(),
        },
        assignment: Assignment {
            topology: TopologyId::new("t-1"),
            version: 1,
            workers,
        },
        worker: WorkerIdx(0),
        fence: Fence {
            placement_epoch: 1,
            incarnation: 1,
        },
        cookie: Cookie::new([0; 16]),
        supervisor_address: address(),
        nimbus_addresses: vec![address()],
        bind_address: address(),
    }
}

fn both() -> Launch {
    launch(vec![placement(0, &[0, 1]), placement(1, &[2, 3])])
}

fn never(_: &Program) -> Result<TopologySpec> {
    Err("there is none".into())
}

fn blueprint(launch: &Launch) -> Result<Blueprint, BlueprintError> {
    Blueprint::new(launch, &registry(), &never)
}

fn owners_of(blueprint: &Blueprint) -> Vec<u32> {
    blueprint
        .part
        .workers
        .iter()
        .map(|worker| worker.0)
        .collect()
}

#[test]
fn tasks_are_whose_the_assignment_says() {
    let blueprint = blueprint(&both()).unwrap();
    assert_eq!(owners_of(&blueprint), [0, 0, 1, 1]);
    assert_eq!(blueprint.part.me, WorkerIdx(0));
    assert_eq!(blueprint.schemas.len(), 1);
}

#[test]
fn tasks_without_a_place_are_whose_they_will_be() {
    let dealt = assign_workers(&Layout::new(&spec(), &Signatures::default(), true), 2);
    let own: Vec<u32> = dealt[0].iter().map(|task| task.0).collect();
    let alone = blueprint(&launch(vec![placement(0, &own)])).unwrap();
    for (worker, tasks) in dealt.iter().enumerate() {
        for task in tasks {
            assert_eq!(alone.part.workers[task.idx()].0 as usize, worker);
        }
    }
    // Where the scheduler says otherwise about who has a place, that counts.
    let odd = blueprint(&launch(vec![placement(0, &[3])])).unwrap();
    assert_eq!(odd.part.workers[3], WorkerIdx(0));
}

#[test]
fn numbers_of_tasks_may_differ_from_the_spec() {
    let mut launch = launch(vec![placement(0, &[0, 1]), placement(1, &[2])]);
    launch
        .topology
        .parallelism
        .insert("out".into(), NonZeroU32::new(2).unwrap());
    let blueprint = blueprint(&launch).unwrap();
    assert_eq!(owners_of(&blueprint), [0, 0, 1]);
    launch
        .topology
        .parallelism
        .insert("gone".into(), NonZeroU32::new(7).unwrap());
    let error = super::Blueprint::new(&launch, &registry(), &never).unwrap_err();
    let expected = "the topology has no component `gone`, which is to have 7 tasks";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_the_binary_can_not_run_is_said_in_full() {
    let error = Blueprint::new(&both(), &Registry::new(), &never)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("this binary can't run the topology:\n"),
        "{error}"
    );
    assert_eq!(error.matches("nothing").count(), 2, "{error}");
}

#[test]
fn a_damaged_or_foreign_launch_file_is_refused() {
    let mut damaged = both();
    damaged.topology.spec_json = b"{}".as_slice().into();
    let error = blueprint(&damaged).unwrap_err().to_string();
    assert!(error.contains("the file is damaged"), "{error}");
    let mut foreign = both();
    foreign.topology.spec_json = b"{\"name\": 3}".as_slice().into();
    foreign.topology.spec_sha256 = sha256(&foreign.topology.spec_json);
    let error = blueprint(&foreign).unwrap_err().to_string();
    assert!(error.starts_with("the spec can't be read"), "{error}");
    let more = launch(vec![placement(0, &[0, 1]), placement(1, &[2, 3, 4])]);
    let error = blueprint(&more).unwrap_err().to_string();
    assert_eq!(
        error,
        "task 4 was assigned to worker 1, and the topology has 4 tasks"
    );
}

#[test]
fn a_topology_of_the_binary_s_own_is_built_again_and_has_to_be_the_same() {
    let mut launch = both();
    launch.topology.program = Some(Program {
        name: "mine".to_owned(),
        args: vec!["--n".to_owned(), "3".to_owned()],
    });
    let build = |program: &Program| {
        assert_eq!(program.args, ["--n", "3"]);
        Ok(spec())
    };
    assert!(Blueprint::new(&launch, &registry(), &build).is_ok());
    let other = |_: &Program| {
        let mut spec = spec();
        spec.settings.max_spout_pending = 7;
        Ok(spec)
    };
    let error = Blueprint::new(&launch, &registry(), &other)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("this binary builds topology `mine` differently here"),
        "{error}"
    );
    let error = blueprint(&launch).unwrap_err().to_string();
    assert!(
        error.ends_with("`mine` as it was submitted: there is none"),
        "{error}"
    );
}
