//! Texts that are no topology: broken YAML, and the bounds of what is read.

use squall_plan::{MAX_DEPTH, MAX_INPUT_BYTES, SourceFile};

use crate::support::{Input, file};

#[test]
fn broken_yaml_is_reported_in_every_file() {
    Input::default()
        .file("a.yaml", "name: [a\nspouts: {}\n")
        .file("b.yaml", "name: b\n  spouts: {}\n")
        .reports(
            r"
error: not valid YAML: illegal placement of ':' indicator
  --> a.yaml:2:7
   |
 2 | spouts: {}
   |       ^

error: not valid YAML: mapping values are not allowed in this context
  --> b.yaml:2:9
   |
 2 |   spouts: {}
   |         ^
",
        );
}

#[test]
fn a_variable_in_a_flow_map_gets_help() {
    file("name: flow\nspouts: { lines: { type: lines, parallelism: ${N} } }\n").reports(r"
error: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
  --> t.yaml:2:47
   |
 2 | spouts: { lines: { type: lines, parallelism: ${N} } }
   |                                               ^
   = help: inside of {…} or […] a variable must stand in quotes, which makes it text; write the map or list over several lines for one that is a number
");
}

#[test]
fn what_yaml_allows_and_a_topology_does_not_is_reported() {
    file(
        r"
name: yaml
name: twice
x-self: &self [*self]
x-tag: !secret a
x-text: !!str 5
[a, b]: c
spouts:
  lines: { type: lines, config: { path: a } }
  lines: { type: lines, config: { path: b } }
  more: { <<: nothing, type: lines, config: *nowhere }
",
    )
    .reports(
        r"
error: the key `name` stands here twice
  --> t.yaml:3:1
   |
 3 | name: twice
   | ^^^^
   = help: it first stands in line 2

error: an alias can't stand inside of what it stands for
  --> t.yaml:4:16
   |
 4 | x-self: &self [*self]
   |                ^^^^^

error: the tag `!secret` has no meaning here
  --> t.yaml:5:16
   |
 5 | x-tag: !secret a
   |                ^

error: a key must be text
  --> t.yaml:7:1
   |
 7 | [a, b]: c
   | ^^^^^^

error: the key `lines` stands here twice
   --> t.yaml:10:3
    |
 10 |   lines: { type: lines, config: { path: b } }
    |   ^^^^^
    = help: it first stands in line 9

error: `<<` takes a map or a list of maps
   --> t.yaml:11:15
    |
 11 |   more: { <<: nothing, type: lines, config: *nowhere }
    |               ^^^^^^^

error: no anchor `&nowhere` stands before this alias
   --> t.yaml:11:45
    |
 11 |   more: { <<: nothing, type: lines, config: *nowhere }
    |                                             ^^^^^^^^
",
    );
}

#[test]
fn a_file_holds_one_map() {
    file("- name\n").reports(
        r"
error: a topology is a map, and this is a list
  --> t.yaml:1:1
   |
 1 | - name
   | ^^^^^^
",
    );
    file("name: a\n---\nname: b\n").reports(
        r"
error: a file holds one document, and here begins a second
  --> t.yaml:2:1
   |
 2 | ---
   | ^^^
",
    );
}

#[test]
fn no_file_and_empty_files_are_reported() {
    Input::default().reports(
        r"
error: no topology file was given
",
    );
    file("# nothing\n").reports(
        r"
error: the topology has no `name`
  --> t.yaml:1:1
   |
 1 | # nothing
   | ^
   = help: every topology has one: `name: clickstream`

error: the topology has no spouts
  --> t.yaml:1:1
   |
 1 | # nothing
   | ^
   = help: declare where its tuples come from under `spouts`
",
    );
}

#[test]
fn bytes_that_are_no_text_are_reported_with_their_line() {
    let bytes = b"name: a\nspouts: \xff\n".to_vec();
    let problems = SourceFile::from_bytes("t.yaml", bytes).unwrap_err();
    let report = problems.to_string();
    assert!(
        report.starts_with("error: this isn't UTF-8 text\n  --> t.yaml:2:9\n"),
        "{report}"
    );
}

#[test]
fn too_much_input_is_refused() {
    let text = format!("name: {}", "a".repeat(MAX_INPUT_BYTES));
    file(&text).reports(
        r"
error: the files are larger than 1048576 bytes together
",
    );
}

#[test]
fn too_deep_input_is_refused() {
    let deep = |n: usize| format!("name: {}1{}", "[".repeat(n), "]".repeat(n));
    let report = file(&deep(MAX_DEPTH)).declare().unwrap_err().to_string();
    assert!(report.contains("more than 64 deep"), "{report}");
    let report = file(&deep(MAX_DEPTH - 1))
        .declare()
        .unwrap_err()
        .to_string();
    assert!(report.contains("expected text, found a list"), "{report}");
    let path = format!("x{}", ".x".repeat(MAX_DEPTH));
    let report = file("name: a")
        .set(&path, "1")
        .declare()
        .unwrap_err()
        .to_string();
    assert!(report.contains("more than 64 deep"), "{report}");
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = "x-0: &a0 [laugh, laugh]\n".to_owned();
    for n in 1..40 {
        let last = n - 1;
        text.push_str(&format!(
            "x-{n}: &a{n} [*a{last}, *a{last}, *a{last}, *a{last}]\n"
        ));
    }
    let report = file(&text).declare().unwrap_err().to_string();
    assert!(
        report.contains("more than 100000 values and keys, aliases replaced"),
        "{report}"
    );

    let long = "a".repeat(500_000);
    let text = format!("x-0: &a {long}\nx-1: [{}*a]\n", "*a, ".repeat(40));
    let report = file(&text).declare().unwrap_err().to_string();
    assert!(
        report.contains("more than 8388608 bytes of text"),
        "{report}"
    );
}

#[test]
fn variables_that_multiply_are_refused() {
    let long: &'static str = "a".repeat(1 << 20).leak();
    let text = format!("name: {}\n", "${LONG}".repeat(20));
    let input = file(&text).variable("LONG", long);
    let report = input.declare().unwrap_err().to_string();
    assert!(
        report.contains("more than 8388608 bytes of text"),
        "{report}"
    );
}

#[test]
fn very_many_mistakes_are_counted_after_the_first_hundred() {
    let keys: String = (0..500).map(|n| format!("key{n}: 1\n")).collect();
    let problems = file(&keys).declare().unwrap_err();
    assert_eq!(problems.iter().len(), 100);
    assert_eq!(problems.len(), 502);
    assert!(problems.to_string().ends_with("\nand 402 more\n"));
}
