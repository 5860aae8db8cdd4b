//! Bolts that no tuple reaches: warned of, also beside errors.

use crate::support::file;

#[test]
fn bolts_that_no_tuple_reaches_are_warned_of() {
    file(
        r"
name: islands
spouts:
  clicks: { type: lines, config: { path: a } }
bolts:
  loop: { type: tally, inputs: [clicks, back] }
  back: { type: tally, inputs: [loop] }
  lonely: { type: tally }
  after: { type: tally, inputs: [lonely, ring] }
  ring: { type: tally, inputs: [after] }
",
    )
    .reports(
        r"
warning: nobody feeds `lonely`
  --> t.yaml:8:3
   |
 8 |   lonely: { type: tally }
   |   ^^^^^^
   = help: name its `inputs`

warning: no tuple of a spout reaches `after`
  --> t.yaml:9:3
   |
 9 |   after: { type: tally, inputs: [lonely, ring] }
   |   ^^^^^
   = help: one of the bolts before it must read a spout

warning: no tuple of a spout reaches `ring`
   --> t.yaml:10:3
    |
 10 |   ring: { type: tally, inputs: [after] }
    |   ^^^^
    = help: one of the bolts before it must read a spout
",
    );
}

#[test]
fn a_bolt_that_reads_itself_alone_is_told_so() {
    file(
        r"
name: loops
spouts:
  clicks: { type: lines, config: { path: a } }
bolts:
  loop: { type: tally, inputs: [loop] }
  fed: { type: tally, inputs: [clicks, fed] }
  sink: { type: print, inputs: [clicks, sink] }
",
    )
    .reports(
        r"
warning: `loop` reads nothing but itself
  --> t.yaml:6:3
   |
 6 |   loop: { type: tally, inputs: [loop] }
   |   ^^^^
   = help: name a spout, or a bolt that reads one, among its `inputs`

error: `sink` can't read itself: it emits nothing
  --> t.yaml:8:41
   |
 8 |   sink: { type: print, inputs: [clicks, sink] }
   |                                         ^^^^
",
    );
}

#[test]
fn warnings_are_shown_beside_errors_but_not_those_that_an_error_may_cause() {
    file(
        r"
name: both
spouts:
  clicks: { type: lines, config: { path: a } }
bolts:
  lone: { type: print }
  behind: { type: print, inputs: [unfed] }
  unfed: { type: tally }
  slip: { type: tally, input: [clicks] }
  after: { type: print, inputs: [slip] }
  astray: { type: print, inputs: [clcks] }
",
    )
    .reports(
        r"
warning: nobody feeds `lone`
  --> t.yaml:6:3
   |
 6 |   lone: { type: print }
   |   ^^^^
   = help: name its `inputs`

warning: no tuple of a spout reaches `behind`
  --> t.yaml:7:3
   |
 7 |   behind: { type: print, inputs: [unfed] }
   |   ^^^^^^
   = help: one of the bolts before it must read a spout

warning: nobody feeds `unfed`
  --> t.yaml:8:3
   |
 8 |   unfed: { type: tally }
   |   ^^^^^
   = help: name its `inputs`

error: unknown key `input`
  --> t.yaml:9:24
   |
 9 |   slip: { type: tally, input: [clicks] }
   |                        ^^^^^
   = help: did you mean `inputs`? keys here: type, parallelism, config, inputs, tick, dedicated

error: unknown component `clcks`
   --> t.yaml:11:35
    |
 11 |   astray: { type: print, inputs: [clcks] }
    |                                   ^^^^^
    = help: did you mean `clicks`? declared: clicks, lone, behind, unfed, slip, after, astray
",
    );
}
