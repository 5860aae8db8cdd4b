//! What stands in the store: a nimbus of tomorrow has to read it.

use std::collections::BTreeMap;

use bytes::Bytes;
use squall_nimbus::heart::Desired;
use squall_nimbus::records::{Batch, changes, desired_from};
use squall_store::cluster::MAX_TXN_BYTES;

use crate::world::{World, submit_json};

fn texts(world: &World) -> BTreeMap<String, String> {
    let entries = world.store.iter();
    let text = |value: &Bytes| String::from_utf8(value.to_vec()).unwrap();
    entries
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

#[test]
fn entries_look_as_they_always_have() {
    let mut world = World::of(2, 2);
    world.submit("words", 2, 2).unwrap();
    world.seconds(6);
    world.submit("waits", 3, 3).unwrap();
    world.rebalance("words", 1, &[("count", 3)], false).unwrap();
    let texts = texts(&world);
    let expect = |key: &str, expected: &str| assert_eq!(texts[key], expected, "{key}");
    expect("nimbus/counters", r#"{"last_version":2,"last_topology":2}"#);
    expect(
        "nimbus/supervisor/a",
        r#"{"address":"host-a:6700","slots":[6701,6702],"draining":false,"protocols":[1,1],"engine_version":"0.1.0","target":"x86_64-unknown-linux-gnu","glibc":"2.36","n_cores":1,"memory_bytes":1073741824}"#,
    );
    let (sha7, sha8) = ("07".repeat(32), "08".repeat(32));
    expect(
        "nimbus/topology/00000000000000000001",
        &format!(
            r#"{{"name":"words","spec_sha256":"{sha8}","binary_sha256":"{sha7}","program":null,"submitted_unix_ms":1577836800000}}"#
        ),
    );
    expect(
        "nimbus/desired/00000000000000000001",
        r#"{"lifecycle":{"state":"rebalancing","active":true,"wait_ms":10000,"n_workers":1,"parallelism":{"count":3}},"launched":true,"version":1,"n_workers":2,"parallelism":{},"supervisors":["a","b"],"workers":[[[0,6701],1,[[0,1],[2,1],[4,1]]],[[1,6701],1,[[1,1],[3,1],[5,1]]]]}"#,
    );
    expect(
        "nimbus/desired/00000000000000000002",
        r#"{"lifecycle":{"state":"active"},"launched":false,"version":2,"n_workers":3,"parallelism":{},"supervisors":["a","b"],"workers":[[[0,6702],2,[[0,1],[3,1],[6,1]]],[[1,6702],2,[[1,1],[4,1],[7,1]]],[null,0,[[2,1],[5,1],[8,1]]]]}"#,
    );
    assert!(
        texts["nimbus/spec/00000000000000000001"]
            .starts_with(r#"{"name":"words","settings":{"workers":1,"#)
    );
    assert_eq!(texts.len(), 9);
}

#[test]
fn a_broken_or_newer_entry_is_named() {
    let mut world = World::of(1, 1);
    world.submit("words", 1, 1).unwrap();
    let desired = "nimbus/desired/00000000000000000001";
    let broken = |change: &dyn Fn(&mut BTreeMap<String, Bytes>)| {
        let mut entries = world.store.clone();
        change(&mut entries);
        desired_from(entries).unwrap_err().to_string()
    };
    let missing = broken(&|entries| drop(entries.remove(desired)));
    assert!(missing.starts_with(&format!(
        "the entry `{desired}` of the cluster store can't be read: it is missing"
    )));
    let newer = broken(&|entries| {
        let row = String::from_utf8(entries[desired].to_vec()).unwrap();
        let newer = row.replacen('{', r#"{"colour":"blue","#, 1);
        entries.insert(desired.to_owned(), newer.into());
    });
    assert!(
        newer.contains("unknown field `colour`") && newer.contains("newer nimbus"),
        "{newer}"
    );
    let torn = broken(&|entries| drop(entries.remove("nimbus/spec/00000000000000000001")));
    assert!(torn.contains("nimbus/spec/"), "{torn}");
}

#[test]
fn nothing_is_written_where_nothing_changes() {
    let mut world = World::of(2, 2);
    world.submit("words", 2, 2).unwrap();
    world.seconds(6);
    let before = world.desired.clone();
    world.seconds(30);
    assert!(changes(&before, &world.desired).is_empty());
}

#[test]
fn very_many_changes_are_written_in_batches_that_fit() {
    let config = "x".repeat(900 << 10);
    let mut world = World::of(4, 4);
    for n in 0..12 {
        let name = format!("t{n}");
        let spouts = format!(r#"{{"in": {{"type": "x", "config": {{"text": "{config}"}}}}}}"#);
        let spec = format!(r#"{{"name": "{name}", "spouts": {spouts}}}"#);
        world
            .event(submit_json(&name, spec.into_bytes(), None, false))
            .unwrap();
    }
    let batches = changes(&Desired::default(), &world.desired);
    let size = |batch: &Batch| -> usize {
        let entries = batch.iter();
        entries
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len))
            .sum()
    };
    assert_eq!(batches.len(), 3);
    assert!(batches.iter().all(|batch| size(batch) <= MAX_TXN_BYTES / 2));
    let all = batches
        .concat()
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    let again = desired_from(all).unwrap();
    assert_eq!(format!("{again:?}"), format!("{:?}", world.desired));
}

#[test]
fn a_nimbus_that_dies_between_two_batches_leaves_what_can_be_read() {
    let spec = "nimbus/spec/00000000000000000001";
    let rows = [
        "nimbus/desired/00000000000000000001",
        "nimbus/topology/00000000000000000001",
    ];
    let submitted = |n_bytes: usize| {
        let config = "x".repeat(n_bytes);
        let spouts = format!(r#"{{"in": {{"type": "x", "config": {{"text": "{config}"}}}}}}"#);
        let spec = format!(r#"{{"name": "words", "spouts": {spouts}}}"#);
        let mut world = World::of(1, 1);
        let submitted = world.event(submit_json("words", spec.into_bytes(), None, false));
        submitted.unwrap();
        world
    };
    let small = submitted(0);
    let size = |key: &str| key.len() + small.store[key].len();
    for first_row in rows {
        // Whichever row follows the spec, it just fits into the first batch, and the next doesn't.
        let others = size("nimbus/counters") + size(spec) + size(first_row);
        let world = submitted((4 << 20) - others);
        let batches = changes(&Desired::default(), &world.desired);
        assert_eq!(batches.len(), 2);
        let holds = |key: &str| batches[0].iter().any(|(held, _)| held == key);
        assert!(holds(spec), "the topology doesn't lie in two batches");
        let mut stored = BTreeMap::new();
        for (n_stored, batch) in batches.iter().enumerate() {
            let entries = batch.iter().cloned();
            stored.extend(entries.filter_map(|(key, value)| Some((key, value?))));
            let read = desired_from(stored.clone()).unwrap();
            assert_eq!((read.last_topology, read.topologies.len()), (1, n_stored));
        }
    }
}
