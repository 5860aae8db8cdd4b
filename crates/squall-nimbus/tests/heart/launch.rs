//! From a submission to running spouts.

use squall_core::Moment;
use squall_nimbus::heart::{Desired, Event, Limits, Observed, step};
use squall_proto::limits::MAX_ORDER_BYTES;
use squall_proto::{Program, RefusalCode};

use crate::world::{World, submission, submit_json};

#[test]
fn spouts_start_when_every_worker_is_ready() {
    let mut world = World::of(3, 4);
    let plan = world.submit("words", 3, 2).unwrap();
    assert_eq!(plan.assignment.workers.len(), 3);
    assert!(plan.unplaced.is_empty());
    assert_eq!(world.machines("words").len(), 3);
    let id = world.record("words").id().clone();
    assert_eq!(id.as_str(), "words-1");
    world.seconds(1);
    assert_eq!(world.phases("words"), ["starting".to_owned()].into());
    world.seconds(4);
    assert_eq!(world.phases("words"), ["active".to_owned()].into());
    assert!(
        world
            .supervisors
            .values()
            .flat_map(|s| &s.orders)
            .all(|order| order.all_ready)
    );
}

#[test]
fn a_topology_without_slots_waits_and_says_for_what() {
    let mut world = World::of(1, 1);
    let plan = world.submit("words", 3, 2).unwrap();
    assert_eq!(plan.assignment.workers.len(), 1);
    let reasons: Vec<_> = plan.unplaced.iter().map(|u| u.reason.as_str()).collect();
    let expected = "has no slot: needs 3 slots, 1 free on 1 live supervisor: add 2 slots, or kill or \
                    rebalance a topology; without a place: in[1], parse[1]";
    assert_eq!(reasons[0], expected);
    world.seconds(5);
    assert_eq!(world.phases("words"), ["starting".to_owned()].into());
    world.join("b", 1);
    world.join("c", 1);
    world.seconds(8);
    assert_eq!(world.phases("words"), ["active".to_owned()].into());
    assert_eq!(world.machines("words").len(), 3);
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let mut world = World::of(2, 2);
    let before = world.store.clone();
    let dry = world.event(submission("words", 2, 2, true)).unwrap();
    assert_eq!(world.store, before);
    let wet = world.event(submission("words", 2, 2, false)).unwrap();
    let text = |reply: &squall_nimbus::heart::Reply| format!("{reply:?}");
    assert_eq!(
        text(&dry).replace("None, ", "_, "),
        text(&wet).replace("Some(TopologyId(\"words-1\")), ", "_, ")
    );
}

#[test]
fn a_topology_asks_for_the_workers_of_its_settings() {
    let mut world = World::of(2, 4);
    let spec = r#"{"name": "t", "settings": {"workers": 3}, "spouts": {"in": {"type": "x", "parallelism": 5}}}"#;
    world
        .event(submit_json("t", spec.into(), None, false))
        .unwrap();
    assert_eq!(world.record("t").workers.len(), 3);
    // Never more than it has executors.
    let spec = spec.replace("\"t\"", "\"u\"").replace('5', "2");
    world
        .event(submit_json("u", spec.into_bytes(), None, false))
        .unwrap();
    assert_eq!(world.record("u").workers.len(), 2);
    world.seconds(2);
    let orders = world.supervisors.values().flat_map(|s| &s.orders);
    let counts: std::collections::BTreeSet<_> =
        orders.map(|o| o.topology.n_workers.get()).collect();
    assert_eq!(counts, [2, 3].into());
}

#[test]
fn what_a_supervisor_is_told_stays_within_a_message() {
    let (mut desired, limits) = (Desired::default(), Limits::default());
    let mut observed = Observed::new(Moment::ZERO);
    let mut submit = |name: &str, n_bytes: usize| {
        let Event::Submit(mut submission) = submission(name, 1, 1, false) else {
            panic!("no submission");
        };
        submission.submit.program = Some(Program {
            name: "built".to_owned(),
            args: vec!["x".repeat(n_bytes)],
        });
        let event = Event::Submit(submission);
        let decision = step(&desired, &mut observed, event, Moment::ZERO, &limits);
        let accepted = decision.next.is_some();
        desired = decision.next.unwrap_or(std::mem::take(&mut desired));
        decision.reply.map(|_| accepted)
    };
    for n in 0..6 {
        assert_eq!(submit(&format!("t{n}"), MAX_ORDER_BYTES / 7), Ok(true));
    }
    let refusal = submit("t6", MAX_ORDER_BYTES / 7).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TooLarge);
    assert!(
        refusal.message.as_str().starts_with("what a supervisor"),
        "{}",
        refusal.message
    );
    // Any number of small ones: a supervisor has slots for some of them only.
    for n in 0..200 {
        assert_eq!(
            submit(&format!("small{n}"), MAX_ORDER_BYTES / 1000),
            Ok(true)
        );
    }
}

#[test]
fn what_can_not_be_is_refused_and_nothing_is_half_done() {
    let mut world = World::of(2, 4);
    world.submit("words", 2, 2).unwrap();
    world.limits.max_topologies = 2;
    let before = world.store.clone();
    let mut refused = |event, code, text: &str| {
        let refusal = world.event(event).unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (code, text));
        assert_eq!(world.store, before);
    };
    // The same once more, perhaps by who had no answer, and another of that name.
    refused(
        submission("words", 1, 1, false),
        RefusalCode::AlreadyRunning,
        "a topology `words` runs already: words-1, with this very spec and program",
    );
    let mut other = submission("words", 1, 1, false);
    if let Event::Submit(other) = &mut other {
        other.spec_sha256 = squall_proto::Sha256::new([9; 32]);
    }
    refused(
        other,
        RefusalCode::AlreadyRunning,
        "a topology `words` runs already: words-1",
    );
    let json = |name: &str, json: &str| submit_json(name, json.as_bytes().to_vec(), None, false);
    refused(
        json("t", "{"),
        RefusalCode::BadSpec,
        "the spec can't be read: EOF while parsing an object at line 1 column 1",
    );
    refused(
        json("t", r#"{"name": "u", "spouts": {"in": {"type": "x"}}}"#),
        RefusalCode::BadSpec,
        "the spec's name is `u`, the submitted one `t`",
    );
    refused(
        json(
            "t",
            r#"{"name": "t", "bolts": {"a": {"type": "x", "inputs": [{"component": "b"}]}}}"#,
        ),
        RefusalCode::BadSpec,
        "the topology has no spouts (at `spouts`), and 1 more",
    );
    refused(
        json(
            "t",
            r#"{"name": "t", "spouts": {"in": {"type": "x", "parallelism": 70000}}}"#,
        ),
        RefusalCode::BadSpec,
        "with this the topology has more than 65536 tasks (at `spouts.in.parallelism`)",
    );
    world.submit("other", 1, 1).unwrap();
    let refusal = world.submit("third", 1, 1).unwrap_err();
    assert_eq!(refusal.message.as_str(), "there are 2 topologies already");
    world.limits.max_topologies = 10;
    world.limits.max_spec_bytes = 1000;
    let refusal = world.submit("third", 1, 1).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TooLarge);
}

#[test]
fn a_binary_that_a_supervisor_can_not_run_is_refused() {
    let mut world = World::of(2, 4);
    world.supervisor("b").hello.handshake.glibc = crate::world::glibc("2.31");
    world.supervisor("b").connected = false;
    world.seconds(1);
    world.supervisor("b").connected = true;
    world.seconds(1);
    let refusal = world.submit("words", 2, 2).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::WrongTarget);
    assert_eq!(refusal.fact("supervisor_id"), Some("b"));
    // A supervisor that is on its way out doesn't count.
    world.drain("b", false).unwrap();
    world.submit("words", 2, 2).unwrap();
}

#[test]
fn a_full_store_refuses_and_recovers() {
    let mut world = World::of(2, 4);
    world.store_is_full = true;
    let refusal = world.submit("words", 2, 2).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::StorageFull);
    assert!(world.find("words").is_none());
    world.store_is_full = false;
    world.submit("words", 2, 2).unwrap();
    world.store_is_full = true;
    world.seconds(6);
    assert_eq!(world.phases("words"), ["starting".to_owned()].into());
    world.store_is_full = false;
    world.seconds(1);
    assert_eq!(world.phases("words"), ["active".to_owned()].into());
}
