//! The bolt by itself.

use squall::prelude::*;
use squall::testing::{BoltHarness, LocalCluster, tuple};

use super::{Number, app};

#[test]
fn numbers_pass_with_where_they_came_from() {
    let record = tuple! { data: &b"42\n"[..], shard_id: "shardId-0", sequence: "17", attempt: 1 };
    let effects = BoltHarness::new(Number).execute(record);
    let expected = tuple! { n: 42, shard_id: "shardId-0", sequence: "17", attempt: 1 };
    assert_eq!(effects.tuples(), [expected]);
    assert_eq!(effects.acked(), [0]);
}

#[test]
fn what_is_no_number_fails() {
    let record = tuple! { data: &b"x"[..], shard_id: "shardId-0", sequence: "17", attempt: 1 };
    let effects = BoltHarness::new(Number).execute(record);
    assert!(effects.acked().is_empty());
    assert!(effects.tuples().is_empty());
}

#[test]
fn the_topology_is_valid() -> Result<()> {
    let cluster = LocalCluster::new(app().into_registry());
    let topology = cluster.declare(include_str!("../topology.yaml"))?;
    assert_eq!(topology.settings.workers, 2);
    Ok(())
}
