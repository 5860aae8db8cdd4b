//! The names of a topology and of its components.

use squall_core::TopologySpec;

use crate::declare::Point;
use crate::path::Path;
use crate::problem::quote;
use crate::report::Reporter;

/// The longest name in characters.
const MAX_CHARS: usize = 64;

/// Reports names that can't be.
pub(super) fn check(spec: &TopologySpec, reporter: &mut Reporter<'_>) {
    let root = Path::default();
    if !is_name(&spec.name, "-_.") {
        let message = format!("{} can't be a topology's name", quote(&spec.name));
        let help = format!("a name has 1 to {MAX_CHARS} letters, digits, `-`, `_` and `.`");
        reporter.error(&root.key("name"), Point::Value, message, Some(help));
    }
    let (spouts, bolts) = (root.key("spouts"), root.key("bolts"));
    let spouts = spec.spouts.keys().map(|id| (&spouts, id));
    let bolts_of = spec.bolts.keys().map(|id| (&bolts, id));
    for (section, id) in spouts.chain(bolts_of) {
        if !is_name(id.as_str(), "-_") {
            let message = format!("{} can't be a component's name", quote(id.as_str()));
            let help = format!("a name has 1 to {MAX_CHARS} letters, digits, `-` and `_`");
            let path = section.key(id.as_str());
            reporter.error(&path, Point::Key, message, Some(help));
        }
    }
    for id in spec.bolts.keys().filter(|id| spec.spouts.contains_key(*id)) {
        let message = format!(
            "{} is the name of a spout and of a bolt",
            quote(id.as_str())
        );
        let help = Some("rename one of them".to_owned());
        reporter.error(&bolts.key(id.as_str()), Point::Key, message, help);
    }
}

fn is_name(name: &str, others: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    !name.is_empty() && name.len() <= MAX_CHARS && name.chars().all(allowed)
}
