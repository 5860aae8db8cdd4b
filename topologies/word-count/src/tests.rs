//! The bolt by itself, and the topology as a whole: no threads, no files, no sleeps.

use squall::prelude::*;
use squall::testing::{BoltHarness, LocalCluster, complete, tuple};

use super::{Split, app};

#[test]
fn splits_a_line_into_words() {
    let effects = BoltHarness::new(Split).execute(tuple! { line: "a b" });
    assert_eq!(
        effects.tuples(),
        [tuple! { word: "a" }, tuple! { word: "b" }]
    );
    assert_eq!(effects.acked(), [0]);
}

#[test]
fn counts_the_words_of_all_lines() -> Result<()> {
    let topology = app().build("word-count", &["--lines", "unread"])?;
    let lines = [(1, "a b a"), (2, "b a")].map(|(n, line)| tuple! { line: line, number: n });
    let done = complete(app().into_registry(), &topology, [("in", lines.to_vec())])?;

    let top = done.by("top");
    assert_eq!(top.len(), 2);
    assert_eq!((top[0].str("key")?, top[0].i64("count")?), ("a", 3));
    assert_eq!((top[1].str("key")?, top[1].i64("count")?), ("b", 2));
    Ok(())
}

#[test]
fn the_declared_topology_is_the_one_built_in_rust() -> Result<()> {
    let built = app().build(
        "word-count",
        &["--lines", "topologies/word-count/words.txt"],
    )?;
    let cluster = LocalCluster::new(app().into_registry());
    assert_eq!(cluster.declare(include_str!("../topology.yaml"))?, built);
    Ok(())
}
