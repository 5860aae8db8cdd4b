//! Mistakes in the graph: names, types, components, streams, fields and groupings.

use serde_json::json;

use squall_core::{Grouping, TopologyBuilder};
use squall_plan::{check, check_shape};

use crate::support::{file, program};

#[test]
fn every_mistake_is_reported_at_once() {
    file(
        r"
name: mistakes
spouts:
  clicks: { type: lines, config: { path: a } }
bolts:
  parse: { type: prase, inputs: [clicks] }
  count: { type: tally, inputs: [{ from: pasre, grouping: { fields: [referrer] } }] }
  top:
    type: tally
    inputs:
      - { from: count, grouping: { fields: [kee, count] } }
      - { from: clicks/late, grouping: shufle }
      - { from: count/late, grouping: { custom: frist } }
",
    )
    .reports(r"
error: unknown bolt type `prase`
  --> t.yaml:6:18
   |
 6 |   parse: { type: prase, inputs: [clicks] }
   |                  ^^^^^
   = help: did you mean `parse`? bolt types of this program: panics, parse, picky, print, tally; a type of your own is known to the program that registers it: use that one

error: unknown component `pasre`
  --> t.yaml:7:42
   |
 7 |   count: { type: tally, inputs: [{ from: pasre, grouping: { fields: [referrer] } }] }
   |                                          ^^^^^
   = help: did you mean `parse`? declared: clicks, parse, count, top

error: `count` has no field `kee`
   --> t.yaml:11:45
    |
 11 |       - { from: count, grouping: { fields: [kee, count] } }
    |                                             ^^^
    = help: did you mean `key`? its fields: key, count

error: `clicks` has no stream `late`
   --> t.yaml:12:17
    |
 12 |       - { from: clicks/late, grouping: shufle }
    |                 ^^^^^^^^^^^
    = help: its streams: default

error: unknown grouping `shufle`
   --> t.yaml:12:40
    |
 12 |       - { from: clicks/late, grouping: shufle }
    |                                        ^^^^^^
    = help: did you mean `shuffle`? groupings: shuffle, local-or-shuffle, global, all, none, direct, fields, partial-key, custom

error: `count` has no stream `late`
   --> t.yaml:13:17
    |
 13 |       - { from: count/late, grouping: { custom: frist } }
    |                 ^^^^^^^^^^
    = help: its streams: default

error: unknown custom grouping `frist`
   --> t.yaml:13:49
    |
 13 |       - { from: count/late, grouping: { custom: frist } }
    |                                                 ^^^^^
    = help: did you mean `first`? custom groupings of this program: first
");
}

#[test]
fn a_type_that_is_not_linked_says_what_brings_it() {
    file(
        r"
name: types
spouts:
  clicks: { type: kinesis }
  counts: { type: tally }
bolts:
  parse: { type: access-log, inputs: [clicks] }
  lines: { type: lines, inputs: [clicks] }
",
    )
    .reports(r"
error: the type `kinesis` isn't linked into this program
  --> t.yaml:4:19
   |
 4 |   clicks: { type: kinesis }
   |                   ^^^^^^^
   = help: it comes with the crate squall-kinesis: register it by `.with(squall_kinesis::all)`, or use a program that has it, as `squall` does

error: `tally` isn't the type of a spout
  --> t.yaml:5:19
   |
 5 |   counts: { type: tally }
   |                   ^^^^^
   = help: declare it under `bolts`

error: the type `access-log` isn't linked into this program
  --> t.yaml:7:18
   |
 7 |   parse: { type: access-log, inputs: [clicks] }
   |                  ^^^^^^^^^^
   = help: it comes with the crate squall-components: register it by `.with(squall_components::all)`, or use a program that has it, as `squall` does

error: `lines` isn't the type of a bolt
  --> t.yaml:8:18
   |
 8 |   lines: { type: lines, inputs: [clicks] }
   |                  ^^^^^
   = help: declare it under `spouts`
");
}

#[test]
fn names_must_be_names() {
    file(
        r"
name: two words
spouts:
  a.b: { type: lines, config: { path: a } }
  twice: { type: lines, config: { path: a } }
bolts:
  twice: { type: print, inputs: [a.b] }
  '': { type: print, inputs: [a.b] }
",
    )
    .reports(
        r"
error: `two words` can't be a topology's name
  --> t.yaml:2:7
   |
 2 | name: two words
   |       ^^^^^^^^^
   = help: a name has 1 to 64 letters, digits, `-`, `_` and `.`

error: `a.b` can't be a component's name
  --> t.yaml:4:3
   |
 4 |   a.b: { type: lines, config: { path: a } }
   |   ^^^
   = help: a name has 1 to 64 letters, digits, `-` and `_`

error: `twice` is the name of a spout and of a bolt
  --> t.yaml:7:3
   |
 7 |   twice: { type: print, inputs: [a.b] }
   |   ^^^^^
   = help: rename one of them

error: `` can't be a component's name
  --> t.yaml:8:3
   |
 8 |   '': { type: print, inputs: [a.b] }
   |   ^^
   = help: a name has 1 to 64 letters, digits, `-` and `_`
",
    );
}

#[test]
fn an_input_must_make_sense() {
    file(
        r"
name: inputs
spouts:
  clicks: { type: lines, config: { path: a } }
bolts:
  print: { type: print, inputs: [clicks, clicks, { from: clicks/default, grouping: all }] }
  more: { type: print, inputs: [{ from: print }, { from: clicks, grouping: { fields: [] } }] }
",
    )
    .reports(
        r"
error: `clicks` is read twice by the same bolt
  --> t.yaml:6:42
   |
 6 |   print: { type: print, inputs: [clicks, clicks, { from: clicks/default, grouping: all }] }
   |                                          ^^^^^^
   = help: each of its tuples would count twice; keep one of the inputs

error: `clicks` is read twice by the same bolt
  --> t.yaml:6:58
   |
 6 |   print: { type: print, inputs: [clicks, clicks, { from: clicks/default, grouping: all }] }
   |                                                          ^^^^^^^^^^^^^^
   = help: each of its tuples would count twice; keep one of the inputs

error: `print` emits nothing
  --> t.yaml:7:41
   |
 7 |   more: { type: print, inputs: [{ from: print }, { from: clicks, grouping: { fields: [] } }] }
   |                                         ^^^^^

error: a grouping by fields needs at least one field
  --> t.yaml:7:78
   |
 7 |   more: { type: print, inputs: [{ from: print }, { from: clicks, grouping: { fields: [] } }] }
   |                                                                              ^^^^^^
",
    );
}

#[test]
fn a_topology_needs_a_spout() {
    file("name: empty").reports(
        r"
error: the topology has no spouts
  --> t.yaml:1:1
   |
 1 | name: empty
   | ^^^^^^^^^^^
   = help: declare where its tuples come from under `spouts`
",
    );
}

#[test]
fn settings_and_parallelism_have_bounds() {
    file(
        r"
name: bounds
settings: { max_spout_pending: 0, edge_bytes: 0B, restart_backoff: 1m, restart_backoff_cap: 1s, drain_timeout: 0s }
spouts:
  clicks: { type: lines, parallelism: 60000, config: { path: a } }
bolts:
  keyed: { type: tally, parallelism: 4097, inputs: [{ from: clicks, grouping: { fields: [line] } }] }
  spread: { type: tally, parallelism: 99999999999, inputs: [clicks] }
  ticked: { type: tally, tick: 0s, inputs: [clicks] }
",
    )
    .reports(r"
error: `max_spout_pending` must be more than 0
  --> t.yaml:3:32
   |
 3 | settings: { max_spout_pending: 0, edge_bytes: 0B, restart_backoff: 1m, restart_backoff_cap: 1s, drain_timeout: 0s }
   |                                ^

error: `edge_bytes` must be more than 0
  --> t.yaml:3:47
   |
 3 | settings: { max_spout_pending: 0, edge_bytes: 0B, restart_backoff: 1m, restart_backoff_cap: 1s, drain_timeout: 0s }
   |                                               ^^

error: the first restart waits 1m, longer than the longest wait, 1s
  --> t.yaml:3:68
   |
 3 | settings: { max_spout_pending: 0, edge_bytes: 0B, restart_backoff: 1m, restart_backoff_cap: 1s, drain_timeout: 0s }
   |                                                                    ^^
   = help: raise `restart_backoff_cap` or lower `restart_backoff`

error: 4097 tasks can't share 4096 groups of keys
  --> t.yaml:7:38
   |
 7 |   keyed: { type: tally, parallelism: 4097, inputs: [{ from: clicks, grouping: { fields: [line] } }] }
   |                                      ^^^^
   = help: a bolt with a fields or partial-key grouping has at most 4096 tasks

error: with this the topology has more than 65536 tasks
  --> t.yaml:8:39
   |
 8 |   spread: { type: tally, parallelism: 99999999999, inputs: [clicks] }
   |                                       ^^^^^^^^^^^

error: a tick of 0 would never end
  --> t.yaml:9:32
   |
 9 |   ticked: { type: tally, tick: 0s, inputs: [clicks] }
   |                                ^^
   = help: leave it away for no ticks
");
}

#[test]
fn workers_have_bounds() {
    for (n_workers, message) in [
        ("0", "`workers` must be more than 0"),
        ("5000", "a topology has at most 4096 workers"),
    ] {
        let text = format!(
            "name: t\nsettings: {{ workers: {n_workers} }}\nspouts: {{ lines: {{ type: lines, config: {{ path: a }} }} }}\n"
        );
        file(&text).reports(&format!(
            "\nerror: {message}\n  --> t.yaml:2:22\n   |\n 2 | settings: {{ workers: {n_workers} }}\n   |                      {}\n",
            "^".repeat(n_workers.len())
        ));
    }
}

#[test]
fn the_shape_can_be_checked_without_the_program() {
    let mut t = TopologyBuilder::new("shape/less");
    t.spout("clicks", "unheard-of", ()).unwrap();
    t.bolt("count", "unheard-of", ())
        .unwrap()
        .input("clicks/late", Grouping::Custom("unheard-of".into()))
        .shuffle("clickz");
    t.settings().edge_batches = 0;
    let problems = check_shape(&t.build()).unwrap_err();
    let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
    let expected = [
        "`shape/less` can't be a topology's name",
        "`edge_batches` must be more than 0",
        "unknown component `clickz`",
    ];
    assert_eq!(messages, expected);

    let mut t = TopologyBuilder::new("shape");
    t.spout("clicks", "unheard-of", ()).unwrap();
    t.bolt("count", "unheard-of", ()).unwrap().shuffle("clicks");
    assert_eq!(check_shape(&t.build()), Ok(()));
}

#[test]
fn a_program_can_check_what_it_built_itself() {
    let mut t = TopologyBuilder::new("built");
    t.spout("clicks", "lines", json!({ "path": "a" })).unwrap();
    t.spout("others", "lines", json!({ "path": 7 })).unwrap();
    t.bolt("count", "tally", ())
        .unwrap()
        .fields("clicks", ["lime"]);
    let problems = check(&t.build(), &program()).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "error: expected text, found the number 7\n --> spouts.others.config.path\n  = help: in quotes it is text\n\n\
         error: `clicks` has no field `lime`\n --> bolts.count.inputs[0].grouping.fields[0]\n  \
         = help: did you mean `line`? its fields: line\n"
    );
}
