//! Overlays, anchors and `<<`.

use serde_json::json;

use crate::support::{Input, file};

const BASE: &str = r"
name: base
settings: { message_timeout: 10s, max_spout_pending: 5 }
spouts:
  lines: { type: lines, parallelism: 2, config: { path: a, retries: { attempts: 1, waits: [1s, 2s] } } }
bolts:
  tally: { type: tally, inputs: [{ from: lines, grouping: { fields: [line] } }] }
";

#[test]
fn maps_merge_and_everything_else_replaces() {
    let overlay = r"
name: overlay
settings: { max_spout_pending: 7 }
spouts:
  lines: { config: { retries: { waits: [3s] } } }
bolts:
  drill: { type: parse, inputs: [lines] }
  tally: { parallelism: 3, inputs: [{ from: drill, grouping: { fields: [path] } }] }
";
    let spec = Input::default()
        .file("base.yaml", BASE)
        .file("empty.yaml", "")
        .file("overlay.yaml", overlay)
        .sound()
        .spec;
    assert_eq!(spec.name, "overlay");
    assert_eq!(spec.settings.message_timeout.to_string(), "10s");
    assert_eq!(spec.settings.max_spout_pending, 7);
    let config = json!({ "path": "a", "retries": { "attempts": 1, "waits": ["3s"] } });
    assert_eq!(spec.spouts["lines"].config, config);
    assert_eq!(spec.spouts["lines"].parallelism.get(), 2);
    let tally = &spec.bolts["tally"];
    assert_eq!((tally.parallelism.get(), tally.inputs.len()), (3, 1));
    assert_eq!(tally.inputs[0].component, "drill");
    assert_eq!(tally.inputs[0].grouping.to_string(), "fields(path)");
}

#[test]
fn null_in_an_overlay_means_the_default() {
    let overlay = "settings: { max_spout_pending: ~ }\nspouts: { lines: { parallelism: } }\n";
    let spec = Input::default()
        .file("base.yaml", BASE)
        .file("overlay.yaml", overlay)
        .sound()
        .spec;
    assert_eq!(spec.settings.max_spout_pending, 10_000);
    assert_eq!(spec.spouts["lines"].parallelism.get(), 1);
}

#[test]
fn a_mistake_is_shown_in_the_file_that_it_stands_in() {
    let overlay = "bolts:\n  tally: { inputs: [{ from: lnes }] }\n  extra: {}\n";
    Input::default()
        .file("base.yaml", &BASE.replace("[line]", "[lime]"))
        .file("overlay.yaml", overlay)
        .reports(
            r"
error: unknown component `lnes`
  --> overlay.yaml:2:29
   |
 2 |   tally: { inputs: [{ from: lnes }] }
   |                             ^^^^
   = help: did you mean `lines`? declared: lines, tally, extra

error: `extra` has no `type`
  --> overlay.yaml:3:3
   |
 3 |   extra: {}
   |   ^^^^^
   = help: name the type that the component is registered as: `type: count`
",
        );
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = r"
name: anchors
x-spout: &spout { type: lines, parallelism: 3 }
x-config: &config { path: a, rate: 1 }
x-late: &late { rate: 2, wait: 1s }
spouts:
  one: { <<: *spout, config: &one { <<: [*config, *late], rate: 9 } }
  two: { <<: *spout, parallelism: 1, config: *one }
bolts:
  print: { type: print, inputs: &inputs [one, two] }
  again: { type: print, inputs: *inputs }
";
    let spec = file(text).sound().spec;
    let config = json!({ "rate": 9, "path": "a", "wait": "1s" });
    assert_eq!(spec.spouts["one"].config, config);
    assert_eq!(spec.spouts["two"].config, config);
    assert_eq!(spec.spouts["one"].parallelism.get(), 3);
    assert_eq!(spec.spouts["two"].parallelism.get(), 1);
    assert_eq!(spec.bolts["again"].inputs, spec.bolts["print"].inputs);
}

#[test]
fn keys_for_notes_are_ignored_but_not_inside_of_a_config() {
    let text = r"
name: notes
x-unset: ${NOWHERE}
settings: { x-why: because }
spouts:
  x-template: { anything: goes }
  lines: { type: lines, x-owner: me, config: { path: a } }
bolts:
  tally: { type: tally, config: { x-kept: 1 }, inputs: [{ from: lines, x-why: because }] }
";
    let declared = file(text).sound();
    assert_eq!(declared.spec.spouts.len(), 1);
    assert_eq!(declared.spec.bolts["tally"].config, json!({ "x-kept": 1 }));
}
