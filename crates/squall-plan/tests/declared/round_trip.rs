//! A YAML file and the same topology built in Rust are one and the same.

use std::time::Duration;

use serde_json::json;

use squall_core::{ByteSize, DeclareError, Grouping, HumanDuration, TopologyBuilder, TopologySpec};
use squall_plan::{Declared, Problem};

use crate::support::{file, program};

const TEXT: &str = r"
name: everything
settings: { workers: 3, message_timeout: 5s, max_spout_pending: 100, edge_bytes: 64KiB, seed: 7 }
spouts:
  lines: { type: lines, parallelism: 2, dedicated: true, config: { path: a, wait: 1s } }
bolts:
  parse: { type: parse, parallelism: 3, tick: 10s, inputs: [lines] }
  count:
    type: tally
    parallelism: 4
    dedicated: true
    inputs:
      - { from: parse, grouping: { fields: [referrer, host] } }
      - { from: parse/late, grouping: { partial-key: [line] } }
      - { from: lines, grouping: { custom: first } }
  one: { type: print, inputs: [{ from: count, grouping: global }, { from: parse, grouping: direct }] }
  all: { type: print, inputs: [{ from: count, grouping: all }, { from: parse, grouping: shuffle }] }
  any: { type: print, inputs: [{ from: count, grouping: none }, { from: parse, grouping: local-or-shuffle }] }
";

fn built() -> Result<TopologySpec, DeclareError> {
    let mut t = TopologyBuilder::new("everything");
    t.settings().workers = 3;
    t.settings().message_timeout = HumanDuration::from_secs(5);
    t.settings().max_spout_pending = 100;
    t.settings().edge_bytes = ByteSize::kib(64);
    t.settings().seed = Some(7);
    t.spout("lines", "lines", json!({ "path": "a", "wait": "1s" }))?
        .parallelism(2)
        .dedicated();
    t.bolt("parse", "parse", ())?
        .parallelism(3)
        .tick(Duration::from_secs(10))
        .local_or_shuffle("lines");
    t.bolt("count", "tally", ())?
        .parallelism(4)
        .dedicated()
        .fields("parse", ["referrer", "host"])
        .input("parse/late", Grouping::PartialKey(vec!["line".into()]))
        .input("lines", Grouping::Custom("first".into()));
    t.bolt("one", "print", ())?
        .global("count")
        .input("parse", Grouping::Direct);
    t.bolt("all", "print", ())?
        .input("count", Grouping::All)
        .shuffle("parse");
    t.bolt("any", "print", ())?
        .input("count", Grouping::None)
        .local_or_shuffle("parse");
    Ok(t.build())
}

#[test]
fn yaml_and_rust_give_the_same_spec() {
    let declared = file(TEXT).sound();
    assert_eq!(declared.spec, built().unwrap());
    let order = |spec: &TopologySpec| spec.bolts.keys().cloned().collect::<Vec<_>>();
    assert_eq!(order(&declared.spec), order(&built().unwrap()));
    let checked = squall_plan::check(&built().unwrap(), &program()).unwrap();
    assert_eq!(checked.signatures, declared.signatures);
    assert!(checked.warnings.is_empty());
}

#[test]
fn signatures_tell_what_each_component_emits() {
    let signatures = file(TEXT).sound().signatures;
    assert_eq!(signatures["lines"].get("default").unwrap(), ["line"]);
    assert_eq!(signatures["parse"].get("late").unwrap(), ["line"]);
    assert!(signatures["one"].is_empty());
}

#[test]
fn outcomes_cross_processes_as_json() {
    let declared = file(TEXT).sound();
    let json = serde_json::to_string(&declared).unwrap();
    assert_eq!(serde_json::from_str::<Declared>(&json).unwrap(), declared);

    let problems = file("name: ${N}\nspouts: {}\n")
        .variable("N", "a b")
        .declare()
        .unwrap_err();
    for problem in &problems {
        let json = serde_json::to_string(problem).unwrap();
        let back = serde_json::from_str::<Problem>(&json).unwrap();
        assert_eq!(back.to_string(), problem.to_string());
    }
}
