//! Mistakes in the shape of a file: keys, kinds of values, inputs and groupings.

use crate::support::file;

#[test]
fn unknown_keys_are_reported_with_the_known_ones() {
    file(
        r"
nmae: keys
setings: {}
settings: { message_timout: 1s }
spouts:
  lines: { type: lines, paralelism: 2, config: { path: a }, inputs: [lines], tick: 1s }
bolts:
  print: { type: print, inputs: [{ form: lines, from: lines, groping: all }], x-note: fine }
",
    )
    .reports(r"
error: unknown key `nmae`
  --> t.yaml:2:1
   |
 2 | nmae: keys
   | ^^^^
   = help: did you mean `name`? keys here: name, settings, spouts, bolts

error: the topology has no `name`
  --> t.yaml:2:1
   |
 2 | nmae: keys
   | ^^^^^^^^^^
   = help: every topology has one: `name: clickstream`

error: unknown key `setings`
  --> t.yaml:3:1
   |
 3 | setings: {}
   | ^^^^^^^
   = help: did you mean `settings`? keys here: name, settings, spouts, bolts

error: unknown key `message_timout`
  --> t.yaml:4:13
   |
 4 | settings: { message_timout: 1s }
   |             ^^^^^^^^^^^^^^
   = help: did you mean `message_timeout`? keys here: workers, message_timeout, max_spout_pending, max_spout_pending_bytes, max_held_bytes, max_tuple_bytes, edge_bytes, edge_batches, drain_timeout, restart_backoff, restart_backoff_cap, seed

error: unknown key `paralelism`
  --> t.yaml:6:25
   |
 6 |   lines: { type: lines, paralelism: 2, config: { path: a }, inputs: [lines], tick: 1s }
   |                         ^^^^^^^^^^
   = help: did you mean `parallelism`? keys here: type, parallelism, config, dedicated

error: a spout reads no streams
  --> t.yaml:6:61
   |
 6 |   lines: { type: lines, paralelism: 2, config: { path: a }, inputs: [lines], tick: 1s }
   |                                                             ^^^^^^
   = help: what reads streams or has ticks stands under `bolts`

error: a spout has no ticks
  --> t.yaml:6:78
   |
 6 |   lines: { type: lines, paralelism: 2, config: { path: a }, inputs: [lines], tick: 1s }
   |                                                                              ^^^^
   = help: what reads streams or has ticks stands under `bolts`

error: unknown key `form`
  --> t.yaml:8:36
   |
 8 |   print: { type: print, inputs: [{ form: lines, from: lines, groping: all }], x-note: fine }
   |                                    ^^^^
   = help: did you mean `from`? keys here: from, grouping

error: unknown key `groping`
  --> t.yaml:8:62
   |
 8 |   print: { type: print, inputs: [{ form: lines, from: lines, groping: all }], x-note: fine }
   |                                                              ^^^^^^^
   = help: did you mean `grouping`? keys here: from, grouping
");
}

#[test]
fn values_of_the_wrong_kind_are_reported() {
    file(
        r"
name: 7
settings: { message_timeout: 30, max_spout_pending: many, max_held_bytes: 1GB, seed: [1] }
spouts:
  lines: { type: lines, parallelism: 0, dedicated: yes, config: { path: a } }
  list: [type, lines]
  typeless: { parallelism: 1 }
bolts:
  print: { type: 5, parallelism: '4', tick: 10, inputs: lines }
  again: { type: print, parallelism: 1.5, tick: soon, inputs: [[lines], lime] }
",
    )
    .reports(r"
error: expected text, found the number 7
  --> t.yaml:2:7
   |
 2 | name: 7
   |       ^
   = help: in quotes it is text

error: `30` is no duration: write a number and a unit, as in 30s (units: ms, s, m, h, d)
  --> t.yaml:3:30
   |
 3 | settings: { message_timeout: 30, max_spout_pending: many, max_held_bytes: 1GB, seed: [1] }
   |                              ^^

error: expected a whole number, found the text `many`
  --> t.yaml:3:53
   |
 3 | settings: { message_timeout: 30, max_spout_pending: many, max_held_bytes: 1GB, seed: [1] }
   |                                                     ^^^^

error: `1GB` is no size: write a number and a unit, as in 64KiB (units: B, KiB, MiB, GiB)
  --> t.yaml:3:75
   |
 3 | settings: { message_timeout: 30, max_spout_pending: many, max_held_bytes: 1GB, seed: [1] }
   |                                                                           ^^^

error: expected a whole number, found a list
  --> t.yaml:3:80
   |
 3 | settings: { message_timeout: 30, max_spout_pending: many, max_held_bytes: 1GB, seed: [1] }
   |                                                                                ^^^^

error: a parallelism of 0 would leave nobody to do the work
  --> t.yaml:5:38
   |
 5 |   lines: { type: lines, parallelism: 0, dedicated: yes, config: { path: a } }
   |                                      ^
   = help: a component has at least one task

error: expected `true` or `false`, found the text `yes`
  --> t.yaml:5:52
   |
 5 |   lines: { type: lines, parallelism: 0, dedicated: yes, config: { path: a } }
   |                                                    ^^^

error: expected a map, found a list
  --> t.yaml:6:3
   |
 6 |   list: [type, lines]
   |   ^^^^

error: `typeless` has no `type`
  --> t.yaml:7:3
   |
 7 |   typeless: { parallelism: 1 }
   |   ^^^^^^^^
   = help: name the type that the component is registered as: `type: count`

error: expected text, found the number 5
  --> t.yaml:9:18
   |
 9 |   print: { type: 5, parallelism: '4', tick: 10, inputs: lines }
   |                  ^
   = help: in quotes it is text

error: expected a whole number of tasks, found the text `4`
  --> t.yaml:9:34
   |
 9 |   print: { type: 5, parallelism: '4', tick: 10, inputs: lines }
   |                                  ^^^
   = help: what stands in quotes is text; a variable needs none where the map is written over several lines instead of in {…}

error: `10` is no duration: write a number and a unit, as in 30s (units: ms, s, m, h, d)
  --> t.yaml:9:45
   |
 9 |   print: { type: 5, parallelism: '4', tick: 10, inputs: lines }
   |                                             ^^

error: expected a list of inputs, found the text `lines`
  --> t.yaml:9:57
   |
 9 |   print: { type: 5, parallelism: '4', tick: 10, inputs: lines }
   |                                                         ^^^^^
   = help: write [lines]

error: expected a whole number of tasks, found the number 1.5
   --> t.yaml:10:38
    |
 10 |   again: { type: print, parallelism: 1.5, tick: soon, inputs: [[lines], lime] }
    |                                      ^^^

error: `soon` is no duration: write a number and a unit, as in 30s (units: ms, s, m, h, d)
   --> t.yaml:10:49
    |
 10 |   again: { type: print, parallelism: 1.5, tick: soon, inputs: [[lines], lime] }
    |                                                 ^^^^

error: expected text, found a list
   --> t.yaml:10:64
    |
 10 |   again: { type: print, parallelism: 1.5, tick: soon, inputs: [[lines], lime] }
    |                                                                ^^^^^^^

error: unknown component `lime`
   --> t.yaml:10:73
    |
 10 |   again: { type: print, parallelism: 1.5, tick: soon, inputs: [[lines], lime] }
    |                                                                         ^^^^
    = help: did you mean `lines`? declared: lines, list, typeless, print, again
");
}

#[test]
fn inputs_and_groupings_of_the_wrong_shape_are_reported() {
    file(
        r"
name: groupings
spouts:
  lines: { type: lines, config: { path: a } }
bolts:
  a: { type: print, inputs: [{ grouping: all }] }
  b: { type: print, inputs: [{ from: lines, grouping: fields }] }
  c: { type: print, inputs: [{ from: lines, grouping: { fields: line } }] }
  d: { type: print, inputs: [{ from: lines, grouping: [line] }] }
  e: { type: print, inputs: [{ from: lines, grouping: { field: [line] } }] }
  f: { type: print, inputs: [{ from: lines, grouping: { fields: [line], custom: first } }] }
  g: { type: print, inputs: [{ from: lines, grouping: { partial-key: [7, lime] } }] }
",
    )
    .reports(r"
error: the input has no `from`
  --> t.yaml:6:30
   |
 6 |   a: { type: print, inputs: [{ grouping: all }] }
   |                              ^^^^^^^^^^^^^^^^^
   = help: name a component, or a component and its stream: `from: parse/late`

error: the grouping `fields` lacks its argument
  --> t.yaml:7:55
   |
 7 |   b: { type: print, inputs: [{ from: lines, grouping: fields }] }
   |                                                       ^^^^^^
   = help: write { fields: [a] }, { partial-key: [a] } or { custom: name }

error: expected a list of fields, found the text `line`
  --> t.yaml:8:65
   |
 8 |   c: { type: print, inputs: [{ from: lines, grouping: { fields: line } }] }
   |                                                                 ^^^^
   = help: write [line]

error: expected a grouping, found a list
  --> t.yaml:9:45
   |
 9 |   d: { type: print, inputs: [{ from: lines, grouping: [line] }] }
   |                                             ^^^^^^^^
   = help: write { fields: [a] }, { partial-key: [a] } or { custom: name }

error: unknown grouping `field`
   --> t.yaml:10:57
    |
 10 |   e: { type: print, inputs: [{ from: lines, grouping: { field: [line] } }] }
    |                                                         ^^^^^
    = help: did you mean `fields`? groupings: shuffle, local-or-shuffle, global, all, none, direct, fields, partial-key, custom

error: expected one grouping, found: fields, custom
   --> t.yaml:11:45
    |
 11 |   f: { type: print, inputs: [{ from: lines, grouping: { fields: [line], custom: first } }] }
    |                                             ^^^^^^^^
    = help: write { fields: [a] }, { partial-key: [a] } or { custom: name }

error: expected text, found the number 7
   --> t.yaml:12:71
    |
 12 |   g: { type: print, inputs: [{ from: lines, grouping: { partial-key: [7, lime] } }] }
    |                                                                       ^
    = help: in quotes it is text

error: `lines` has no field `lime`
   --> t.yaml:12:74
    |
 12 |   g: { type: print, inputs: [{ from: lines, grouping: { partial-key: [7, lime] } }] }
    |                                                                          ^^^^
    = help: did you mean `line`? its fields: line
");
}

#[test]
fn sections_of_the_wrong_kind_are_reported() {
    file("name: sections\nsettings: 5\nspouts: lines\nbolts: [print]\n").reports(
        r"
error: expected a map, found the number 5
  --> t.yaml:2:11
   |
 2 | settings: 5
   |           ^

error: the topology has no spouts
  --> t.yaml:3:1
   |
 3 | spouts: lines
   | ^^^^^^
   = help: declare where its tuples come from under `spouts`

error: expected a map, found the text `lines`
  --> t.yaml:3:9
   |
 3 | spouts: lines
   |         ^^^^^

error: expected a map, found a list
  --> t.yaml:4:1
   |
 4 | bolts: [print]
   | ^^^^^
",
    );
}

#[test]
fn a_storm_flux_file_is_told_apart() {
    file(
        r#"
name: "yaml-topology"
config: { topology.workers: 1 }
spouts:
  - id: "spout-1"
    className: "org.apache.storm.testing.TestWordSpout"
    parallelism: 1
bolts:
  - id: "bolt-1"
    className: "org.apache.storm.testing.TestWordCounter"
streams:
  - name: "spout-1 --> bolt-1"
    from: "spout-1"
    to: "bolt-1"
    grouping: { type: FIELDS, args: ["word"] }
"#,
    )
    .reports(r"
error: this is a Storm Flux file, which Squall can't run
  --> t.yaml:4:1
   |
 4 | spouts:
   | ^^^^^^
   = help: Flux names Java classes: write `spouts` and `bolts` as maps by id, the `type` of a registered component for each `className`, `config` for its arguments, and each of `streams` as one of the `inputs` of the bolt that it leads to
");
}
