//! What bolts say that they need of their inputs.

use squall_core::{Inputs, Registry, TopologyBuilder};
use squall_plan::check;

use crate::support::{Reader, file, program};

/// The stand-ins, and bolts that say what they need; those of `named` are told by their config.
fn readers() -> Registry {
    let mut registry = program();
    registry.bolt("text", |(): ()| {
        let inputs = Inputs::any().one_of(["data", "lines"]);
        Ok(Reader(
            inputs.help("set `field` to the one that holds the text"),
        ))
    });
    registry.bolt("named", |fields: Vec<String>| {
        Ok(Reader(Inputs::fields(fields)))
    });
    registry.bolt("keyed", |(): ()| Ok(Reader(Inputs::any().keyed())));
    registry
}

fn reports(text: &str, expected: &str) {
    file(text).reports_in(&readers(), expected);
}

#[test]
fn an_input_without_a_needed_field_is_pointed_at() {
    reports(
        r"
name: needs
spouts:
  clicks: { type: lines, config: { path: a } }
bolts:
  parse: { type: parse, inputs: [clicks] }
  text: { type: text, inputs: [clicks, parse/late] }
  some: { type: named, config: [host, refferer], inputs: [parse] }
",
        r"
error: `clicks` has no field `data` or `lines`, which `text` needs
  --> t.yaml:7:32
   |
 7 |   text: { type: text, inputs: [clicks, parse/late] }
   |                                ^^^^^^
   = help: did you mean `line`? its fields: line; set `field` to the one that holds the text

error: `parse/late` has no field `data` or `lines`, which `text` needs
  --> t.yaml:7:40
   |
 7 |   text: { type: text, inputs: [clicks, parse/late] }
   |                                        ^^^^^^^^^^
   = help: did you mean `line`? its fields: line; set `field` to the one that holds the text

error: `parse` has no field `refferer`, which `some` needs
  --> t.yaml:8:39
   |
 8 |   some: { type: named, config: [host, refferer], inputs: [parse] }
   |                                       ^^^^^^^^
   = help: did you mean `referrer`? its fields: host, referrer, path
",
    );
}

#[test]
fn a_bolt_that_needs_a_key_needs_it_of_all_inputs() {
    reports(
        r"
name: keys
spouts:
  clicks: { type: lines, config: { path: a } }
bolts:
  parse: { type: parse, inputs: [clicks] }
  none: { type: keyed, inputs: [parse] }
  two:
    type: keyed
    inputs:
      - { from: parse, grouping: { fields: [host] } }
      - { from: clicks, grouping: { fields: [line] } }
  half:
    type: keyed
    inputs:
      - { from: parse, grouping: { fields: [host] } }
      - { from: clicks, grouping: all }
  right: { type: keyed, inputs: [{ from: parse, grouping: { partial-key: [host] } }] }
  wrong: { type: keyed, inputs: [{ from: parse, grouping: { fields: [hots] } }] }
",
        r"
error: the input of `none` isn't grouped by fields
  --> t.yaml:7:33
   |
 7 |   none: { type: keyed, inputs: [parse] }
   |                                 ^^^^^
   = help: give it a `grouping: { fields: […] }`; its fields: host, referrer, path

error: the inputs of `two` aren't grouped by the same fields
   --> t.yaml:11:17
    |
 11 |       - { from: parse, grouping: { fields: [host] } }
    |                 ^^^^^
    = help: give them all the same `grouping: { fields: […] }`; its fields: host, referrer, path

error: `clicks` has no field `host`, which `half` needs
   --> t.yaml:17:17
    |
 17 |       - { from: clicks, grouping: all }
    |                 ^^^^^^
    = help: its fields: line

error: `parse` has no field `hots`
   --> t.yaml:19:70
    |
 19 |   wrong: { type: keyed, inputs: [{ from: parse, grouping: { fields: [hots] } }] }
    |                                                                      ^^^^
    = help: did you mean `host`? its fields: host, referrer, path
",
    );
}

#[test]
fn a_topology_built_in_rust_is_held_to_the_same() {
    let mut t = TopologyBuilder::new("built");
    t.spout("in", "lines", serde_json::json!({ "path": "a" }))
        .unwrap();
    t.bolt("text", "text", ()).unwrap().shuffle("in");
    let problems = check(&t.build(), &readers()).unwrap_err();
    let only = problems.iter().next().unwrap();
    assert_eq!(only.path, "bolts.text.inputs[0].from");
    assert_eq!(problems.len(), 1);
}
