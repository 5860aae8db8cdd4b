//! Where a value came from: variables and `--set`.

use serde_json::json;

use crate::support::file;

const BASE: &str = r"
name: values
spouts:
  lines:
    type: lines
    parallelism: ${N:-2}
    config:
      path: ${DIR:-/var/log}/${FILE}
bolts:
  print: { type: print, inputs: [lines] }
";

#[test]
fn variables_are_filled_in_after_parsing() {
    let spec = file(BASE)
        .variable("N", "4")
        .variable("DIR", "")
        .variable("FILE", "a: b # c")
        .sound()
        .spec;
    let lines = &spec.spouts["lines"];
    assert_eq!(lines.parallelism.get(), 4);
    assert_eq!(lines.config, json!({ "path": "/var/log/a: b # c" }));
}

#[test]
fn quoted_scalars_stay_text_and_dollars_are_escaped() {
    let text = r#"
name: quotes
spouts:
  lines: { type: lines, config: { path: "${N}" } }
bolts:
  print: { type: print, inputs: [lines], x-note: "$$" }
  other:
    type: tally
    inputs: [lines]
    config: { regex: '^a$', price: $$5, braces: "$${N}", plain: $x }
"#;
    let spec = file(text).variable("N", "8").sound().spec;
    assert_eq!(spec.spouts["lines"].config, json!({ "path": "8" }));
    let expected = json!({ "regex": "^a$", "price": "$5", "braces": "${N}", "plain": "$x" });
    assert_eq!(spec.bolts["other"].config, expected);
}

#[test]
fn all_unset_and_malformed_variables_are_reported() {
    let text = r#"
name: ${NAME}-${ENV}
settings:
  message_timeout: ${1X}
  drain_timeout: "${A:-${B}}"
  edge_bytes: ${OPEN
spouts:
  lines: { type: lines, config: { path: "${FILE}" } }
"#;
    file(text).variable("ENV", "test").reports(
        r#"
error: the variable `NAME` isn't set
  --> t.yaml:2:7
   |
 2 | name: ${NAME}-${ENV}
   |       ^^^^^^^^^^^^^^
   = help: set it, or give it a default: ${NAME:-default}

error: `${1X}` is no variable
  --> t.yaml:4:20
   |
 4 |   message_timeout: ${1X}
   |                    ^^^^^
   = help: write ${NAME} or ${NAME:-default}, and `$$` for a dollar sign itself

error: `${A:-${B}` is no variable
  --> t.yaml:5:18
   |
 5 |   drain_timeout: "${A:-${B}}"
   |                  ^^^^^^^^^^^^
   = help: write ${NAME} or ${NAME:-default}, and `$$` for a dollar sign itself

error: a `}` is missing after `${`; a dollar sign itself is written `$$`
  --> t.yaml:6:15
   |
 6 |   edge_bytes: ${OPEN
   |               ^^^^^^

error: the variable `FILE` isn't set
  --> t.yaml:8:41
   |
 8 |   lines: { type: lines, config: { path: "${FILE}" } }
   |                                         ^^^^^^^^^
   = help: set it, or give it a default: ${FILE:-default}
"#,
    );
}

#[test]
fn a_mistake_names_the_variable_that_it_came_from() {
    let input = file(BASE).variable("N", "four").variable("FILE", "a");
    input.reports(
        r"
error: expected a whole number of tasks, found the text `four`
  --> t.yaml:6:18
   |
 6 |     parallelism: ${N:-2}
   |                  ^^^^^^^
   = note: the value comes from ${N}
",
    );
    let text = r"
name: several
settings:
  message_timeout: ${N}${UNIT}
spouts:
  lines: { type: lines, config: { path: a } }
";
    file(text)
        .variable("N", "5")
        .variable("UNIT", "weeks")
        .reports(
            r"
error: `5weeks` is no duration: write a number and a unit, as in 30s (units: ms, s, m, h, d)
  --> t.yaml:4:20
   |
 4 |   message_timeout: ${N}${UNIT}
   |                    ^^^^^^^^^^^
   = note: the value comes from ${N} and ${UNIT}
",
        );
}

#[test]
fn a_mistake_names_the_set_that_it_came_from() {
    let base = BASE.replace("${FILE}", "a");
    let input = file(&base)
        .set("bolts.print.parallelism", "eight")
        .set("bolts.pirnt.parallelism", "8")
        .set("spouts.lines.config.path", "[a")
        .set("spouts.lines.config.rate", "${RATE}")
        .set("bolts.print.inputs[0]", "line")
        .set("bolts.print.inputs[1]", "lines")
        .set("bolts.print.inputs[0].from", "lines")
        .set("bolts.print.inputs[x]", "lines")
        .set("bolts.print.type.name", "lines")
        .set("name[0]", "a")
        .set("", "a")
        .set("a..b", "a");
    input.variable("RATE", "high").reports(
        r"
error: not valid YAML: unclosed bracket '['
 --> --set
  |
  | spouts.lines.config.path=[a
  |                          ^

error: `bolts.print.inputs` has no item 1: its length is 1
 --> --set
  |
  | bolts.print.inputs[1]=lines
  | ^^^^^^^^^^^^^^^^^^^^^

error: `bolts.print.inputs[0]` is the text `line`, not a map
 --> --set
  |
  | bolts.print.inputs[0].from=lines
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^

error: `x` is no index: write bolts.print.inputs[0] for the first item
 --> --set
  |
  | bolts.print.inputs[x]=lines
  | ^^^^^^^^^^^^^^^^^^^^^

error: `bolts.print.type` is the text `print`, not a map
 --> --set
  |
  | bolts.print.type.name=lines
  | ^^^^^^^^^^^^^^^^^^^^^

error: `name` is the text `values`, not a list
 --> --set
  |
  | name[0]=a
  | ^^^^^^^

error: the path is empty: write --set path=value
 --> --set
  |
  | =a
  | ^

error: the path has an empty key
 --> --set
  |
  | a..b=a
  | ^^^^

error: unknown key `a`
 --> --set
  |
  | a..b=a
  | ^^^^
  = help: keys here: name, settings, spouts, bolts

error: expected a whole number of tasks, found the text `eight`
 --> --set
  |
  | bolts.print.parallelism=eight
  |                         ^^^^^

error: `pirnt` has no `type`
 --> --set
  |
  | bolts.pirnt.parallelism=8
  | ^^^^^^^^^^^^^^^^^^^^^^^
  = help: did you mean `print`? declared: lines, print

error: expected a whole number, found the text `high`
 --> --set
  |
  | spouts.lines.config.rate=${RATE}
  |                          ^^^^^^^
  = note: the value comes from ${RATE}

error: unknown component `line`
 --> --set
  |
  | bolts.print.inputs[0]=line
  |                       ^^^^
  = help: did you mean `lines`? declared: lines, print, pirnt
",
    );
}

#[test]
fn sets_reach_everything() {
    let base = BASE.replace("${FILE}", "a");
    let spec = file(&base)
        .set("name", "changed")
        .set("settings.message_timeout", "5s")
        .set("spouts.lines.config.retries.attempts", "3")
        .set("bolts.print.inputs[0]", "{ from: lines, grouping: all }")
        .set("bolts.print.dedicated", "true")
        .set("bolts.print.tick", "")
        .sound()
        .spec;
    assert_eq!(spec.name, "changed");
    assert_eq!(spec.settings.message_timeout.to_string(), "5s");
    assert_eq!(
        spec.spouts["lines"].config["retries"],
        json!({ "attempts": 3 })
    );
    assert_eq!(spec.bolts["print"].inputs[0].grouping.to_string(), "all");
    assert!(spec.bolts["print"].dedicated);
    assert_eq!(spec.bolts["print"].tick, None);
}

#[test]
fn sets_find_keys_that_hold_dots() {
    let text = r"
name: dots
spouts:
  lines: { type: lines, config: { path: a } }
bolts:
  tally: { type: tally, inputs: [lines], config: { a.b: { c: 1 } } }
";
    let spec = file(text).set("bolts.tally.config.a.b.c", "2").sound().spec;
    assert_eq!(spec.bolts["tally"].config, json!({ "a.b": { "c": 2 } }));
}
