//! The harness against bolts that use every word of the emitter.

use squall_core::{AckToken, Clock, Outputs, Remedy, Result, TaskContext};

use super::*;
use crate::testing::{Tie, sent_by};
use crate::tuple;

/// Does what the field `op` says, and keeps tokens.
#[derive(Default)]
struct Obedient {
    kept: Vec<AckToken>,
    field_idx: usize,
    waker: Option<std::task::Waker>,
}

impl Bolt for Obedient {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["n"]).stream("late", ["n"])
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.field_idx = ctx.field("op")?;
        self.waker = Some(ctx.waker());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        match input.values()[self.field_idx].as_str().unwrap_or_default() {
            "emit" => out.emit([1])?,
            "late" => out.stream("late").emit([2])?,
            "loose" => out.unanchored().emit([3])?,
            "root" => out.tracked(MessageId(7)).emit([4])?,
            "stray" => out.stream("nowhere").emit([5])?,
            "wide" => out.emit([1, 2])?,
            "keep" => self.kept.push(out.defer()),
            "hold" => {
                let mut token = out.defer();
                token.hold();
                self.kept.push(token);
            }
            "drop" => drop(out.defer()),
            other => Err(format!("no {other}"))?,
        }
        Ok(())
    }

    fn tick(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        let tokens: Vec<&AckToken> = self.kept.iter().collect();
        out.anchored(&tokens).emit([6])?;
        self.kept.drain(..).for_each(AckToken::ack);
        Ok(())
    }

    fn wake(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        out.emit([8])?;
        Ok(())
    }

    fn flush(&mut self, _: &mut Emitter<'_>) -> Result<()> {
        for token in self.kept.drain(..) {
            token.fail("flushed");
        }
        Ok(())
    }
}

fn harness() -> BoltHarness {
    BoltHarness::new(Obedient::default())
}

#[test]
fn ties_emits_to_what_they_are_anchored_to() {
    let mut harness = harness();
    for (op, stream, tie) in [
        ("emit", "default", Tie::Inputs(vec![0])),
        ("late", "late", Tie::Inputs(vec![1])),
        ("loose", "default", Tie::Nothing),
        ("root", "default", Tie::Root(MessageId(7))),
    ] {
        let effects = harness.execute(tuple! { op: op });
        assert_eq!(effects.emits[0].tie, tie, "{op}");
        assert_eq!(effects.on(stream).len(), 1, "{op}");
    }
}

#[test]
fn a_deferred_input_ends_with_its_token() {
    let mut harness = harness();
    assert!(harness.execute(tuple! { op: "keep" }).ended.is_empty());
    let held = harness.execute(tuple! { op: "hold" });
    assert_eq!((held.ended.len(), held.held), (0, vec![1]));
    let ticked = harness.tick();
    assert_eq!(ticked.emits[0].tie, Tie::Inputs(vec![0, 1]));
    assert_eq!(ticked.acked(), [0, 1]);

    harness.execute(tuple! { op: "keep" });
    let flushed = harness.flush();
    assert_eq!(flushed.failed()[0].1.text, "flushed");
    let dropped = harness.execute(tuple! { op: "drop" });
    assert_eq!(dropped.failed()[0].0, 3);
}

#[test]
fn errors_fail_the_input() {
    let mut harness = harness();
    let effects = harness.execute(tuple! { op: "nothing" });
    assert_eq!(effects.failed()[0].1.text, "no nothing");
    assert_eq!(effects.error.unwrap().remedy(), Remedy::Retry);
    for (op, text) in [
        ("stray", "declares no stream `nowhere`"),
        ("wide", "2 values"),
    ] {
        let effects = harness.execute(tuple! { op: op });
        assert!(effects.failed()[0].1.text.contains(text), "{op}");
        assert!(effects.emits.is_empty());
    }
}

#[test]
fn wakes_the_bolt_when_it_asks() {
    let mut harness = harness().input("a/b", ["op"]);
    assert!(harness.settle().emits.is_empty());
    harness.execute(sent_by("a/b", &tuple! { op: "emit" }));
    // Nothing asked yet.
    assert!(harness.advance(Duration::from_secs(1)).emits.is_empty());
    assert_eq!(harness.wake().emits.len(), 1);
    assert_eq!(harness.clock().now().as_nanos(), 1_000_000_000);
}

#[test]
#[should_panic(expected = "prepare: input test/default has no field `op`")]
fn a_bolt_that_cannot_be_prepared_fails_the_test() {
    harness().execute(tuple! { word: "a" });
}
