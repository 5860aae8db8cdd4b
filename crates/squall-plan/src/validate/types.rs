//! What to say about a type that isn't registered: a slip, the wrong section, or not linked.

use squall_core::Registry;

use crate::Kind;
use crate::problem::{did_you_mean, quote};

/// The ready-made components: their types, the crate they come with, and how it is registered.
const READY_MADE: [(&str, &str, &[&str]); 2] = [
    ("squall-kinesis", "squall_kinesis::all", &["kinesis"]),
    (
        "squall-components",
        "squall_components::all",
        &[
            "lines",
            "generate",
            "access-log",
            "json",
            "count",
            "top",
            "log",
            "jsonl",
            "drill",
        ],
    ),
];

/// Returns the message and the help for a type that isn't registered as a spout or as a bolt.
pub(super) fn unknown(kind: Kind, name: &str, registry: &Registry) -> (String, String) {
    let (word, section, of_other_kind) = match kind {
        Kind::Spout => ("spout", "bolts", registry.get_bolt(name).is_some()),
        Kind::Bolt => ("bolt", "spouts", registry.get_spout(name).is_some()),
    };
    if of_other_kind {
        let message = format!("{} isn't the type of a {word}", quote(name));
        return (message, format!("declare it under `{section}`"));
    }
    if let Some((from, all, _)) = READY_MADE.iter().find(|(.., types)| types.contains(&name)) {
        let message = format!("the type {} isn't linked into this program", quote(name));
        let help = format!(
            "it comes with the crate {from}: register it by `.with({all})`, or use a program that has it, \
             as `squall` does"
        );
        return (message, help);
    }
    let registered: Vec<_> = match kind {
        Kind::Spout => registry.spouts().map(|(name, _)| name.as_str()).collect(),
        Kind::Bolt => registry.bolts().map(|(name, _)| name.as_str()).collect(),
    };
    let which = format!("{word} types of this program");
    let mut help = did_you_mean(name, &which, registered);
    help.push_str("; a type of your own is known to the program that registers it: use that one");
    (format!("unknown {word} type {}", quote(name)), help)
}
