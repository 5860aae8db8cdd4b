//! Mistakes in a component's own config keep their place.

use crate::support::file;

#[test]
fn all_mistakes_of_a_config_are_reported() {
    file(
        r"
name: configs
spouts:
  lines:
    type: lines
    config:
      paht: a.log
      rate: -1
      wait: 5
      start: latst
      retries: { attempts: many, waits: [1s, 2 weeks] }
bolts:
  print: { type: print, config: { n: 1 }, inputs: [lines] }
",
    )
    .reports(
        r"
error: the key `path` is missing
  --> t.yaml:6:5
   |
 6 |     config:
   |     ^^^^^^
   = help: keys here: path, rate, wait, start, retries

error: unknown key `paht`
  --> t.yaml:7:7
   |
 7 |       paht: a.log
   |       ^^^^
   = help: did you mean `path`? keys here: path, rate, wait, start, retries

error: -1 is too small, the least is 0
  --> t.yaml:8:13
   |
 8 |       rate: -1
   |             ^^

error: `5` is no duration: write a number and a unit, as in 30s (units: ms, s, m, h, d)
  --> t.yaml:9:13
   |
 9 |       wait: 5
   |             ^

error: unknown choice `latst`
   --> t.yaml:10:14
    |
 10 |       start: latst
    |              ^^^^^
    = help: did you mean `latest`? choices: trim-horizon, latest

error: expected a whole number, found the text `many`
   --> t.yaml:11:28
    |
 11 |       retries: { attempts: many, waits: [1s, 2 weeks] }
    |                            ^^^^

error: `2 weeks` is no duration: write a number and a unit, as in 30s (units: ms, s, m, h, d)
   --> t.yaml:11:46
    |
 11 |       retries: { attempts: many, waits: [1s, 2 weeks] }
    |                                              ^^^^^^^

error: expected no value, found a map
   --> t.yaml:13:25
    |
 13 |   print: { type: print, config: { n: 1 }, inputs: [lines] }
    |                         ^^^^^^
",
    );
}

#[test]
fn a_missing_config_is_reported_at_the_component() {
    file(
        r"
name: configs
spouts:
  lines: { type: lines }
  other: { type: lines, config: [a] }
",
    )
    .reports(
        r"
error: the key `path` is missing
  --> t.yaml:4:3
   |
 4 |   lines: { type: lines }
   |   ^^^^^
   = help: keys here: path, rate, wait, start, retries

error: expected a map, found a list
  --> t.yaml:5:25
   |
 5 |   other: { type: lines, config: [a] }
   |                         ^^^^^^
",
    );
}

#[test]
fn a_factory_has_the_last_word() {
    file(
        r"
name: configs
spouts:
  lines: { type: lines, config: { path: a } }
bolts:
  odd: { type: picky, config: { even: 3 }, inputs: [lines] }
  large: { type: picky, config: { even: 5000000000 }, inputs: [lines] }
  panics: { type: panics, inputs: [lines] }
",
    )
    .reports(
        r"
error: 3 isn't even
  --> t.yaml:6:23
   |
 6 |   odd: { type: picky, config: { even: 3 }, inputs: [lines] }
   |                       ^^^^^^

error: 5000000000 is too large, the most is 4294967295
  --> t.yaml:7:41
   |
 7 |   large: { type: picky, config: { even: 5000000000 }, inputs: [lines] }
   |                                         ^^^^^^^^^^

error: the component panicked while it was made: out of luck
  --> t.yaml:8:19
   |
 8 |   panics: { type: panics, inputs: [lines] }
   |                   ^^^^^^
",
    );
}

#[test]
fn a_key_that_is_dropped_silently_is_warned_of() {
    file(
        r"
name: configs
spouts:
  lines: { type: lines, config: { path: a } }
bolts:
  loose: { type: tally, config: { n: 1, m: 2 }, inputs: [lines] }
",
    )
    .reports(
        r"
warning: unknown key `m`, which is ignored
  --> t.yaml:6:41
   |
 6 |   loose: { type: tally, config: { n: 1, m: 2 }, inputs: [lines] }
   |                                         ^
   = help: keys here: n
",
    );
}

#[test]
fn a_mistake_in_an_anchor_is_shown_where_it_was_written() {
    file(
        r"
name: configs
x-common: &common
  path: a
  rate: fast
spouts:
  lines: { type: lines, config: { <<: *common } }
",
    )
    .reports(
        r"
error: expected a whole number, found the text `fast`
  --> t.yaml:5:9
   |
 5 |   rate: fast
   |         ^^^^
",
    );
}
