//! Whole topologies with faults, in virtual time.

use std::collections::BTreeMap;

use squall_core::{Bolt, Emitter, Result, TopologyBuilder};

use super::*;
use crate::testing::sent_by;
use crate::tuple;

/// Passes words on; fails `twice` two times, and `never` always.
#[derive(Default)]
struct Picky(BTreeMap<String, u32>);

impl Bolt for Picky {
    fn outputs(&self) -> Outputs {
        Outputs::fields(["word"])
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let word = input.str("word")?;
        let n_seen = self.0.entry(word.to_owned()).or_default();
        *n_seen += 1;
        if word == "never" || (word == "twice" && *n_seen < 3) {
            return Err(format!("{word} again"))?;
        }
        Ok(out.emit([word])?)
    }
}

/// Keeps its tokens for ever.
struct Hoarder(Vec<squall_core::AckToken>);

impl Bolt for Hoarder {
    fn execute(&mut self, _: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let mut token = out.defer();
        token.hold();
        self.0.push(token);
        Ok(())
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.spout("words", |(): ()| {
        Ok(Feed::new(
            "words".into(),
            Outputs::fields(["word", "n"]),
            Arc::default(),
            Arc::default(),
        ))
    });
    registry.bolt("picky", |(): ()| Ok(Picky::default()));
    registry.bolt("hoarder", |(): ()| Ok(Hoarder(Vec::new())));
    registry
}

fn topology(bolt: &str) -> TopologySpec {
    let mut t = TopologyBuilder::new("test");
    t.spout("in", "words", ()).unwrap().parallelism(2);
    t.bolt("out", bolt, ()).unwrap().global("in");
    t.build()
}

#[test]
fn returns_what_each_component_emitted_after_all_retries() {
    let words = ["once", "twice", "never"].map(|word| tuple! { n: 1, word: word });
    let done = complete(registry(), &topology("picky"), [("in", words.to_vec())]).unwrap();

    let mut out: Vec<_> = done
        .by("out")
        .iter()
        .map(|t| t.values()[0].to_string())
        .collect();
    out.sort();
    assert_eq!(out, ["once", "twice"]);
    assert_eq!(done.by("in").len(), 1 + 3 + 5);
    let [given_up] = done.given_up.as_slice() else {
        panic!("{:?}", done.given_up);
    };
    assert_eq!(given_up.values[0].as_str(), Some("never"));
    assert_eq!(given_up.why.text, "never again");
    assert_eq!(done.snapshot.pending(), 0);
}

#[test]
fn refuses_tuples_that_the_spout_cannot_emit() {
    let run = |source, tuple| {
        let error = complete(registry(), &topology("picky"), [(source, vec![tuple])]);
        error.unwrap_err().to_string()
    };
    assert_eq!(
        run("out", tuple! { word: "a", n: 1 }),
        "`out` is no spout of the topology"
    );
    assert!(run("in", tuple! { word: "a" }).contains("can't emit"));
    let late = sent_by("in/late", &tuple! { word: "a", n: 1 });
    assert!(run("in", late).contains("can't emit"));
}

#[test]
fn says_when_a_topology_never_ends() {
    let words = vec![tuple! { word: "a", n: 1 }];
    let error = complete(registry(), &topology("hoarder"), [("in", words)]).unwrap_err();
    assert!(
        matches!(error, CompleteError::Stuck { n_pending: 1 }),
        "{error}"
    );
}
