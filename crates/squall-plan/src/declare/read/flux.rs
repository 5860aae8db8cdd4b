//! Storm's own declarations, Flux, which look alike at first sight.

use crate::declare::source::Point;
use crate::path::Path;
use crate::report::Reporter;

use super::cursor::Cursor;

/// Lists that only a Flux file has at its top.
const FLUX_LISTS: [&str; 3] = ["streams", "components", "includes"];

/// Reports a file of Storm Flux as such, once, and tells whether it is one.
pub(super) fn report(root: &Cursor<'_>, reporter: &mut Reporter<'_>) -> bool {
    let Some(path) = evidence(root) else {
        return false;
    };
    let message = "this is a Storm Flux file, which Squall can't run";
    let help = "Flux names Java classes: write `spouts` and `bolts` as maps by id, the `type` of a registered \
                component for each `className`, `config` for its arguments, and each of `streams` as one of \
                the `inputs` of the bolt that it leads to";
    reporter.error(&path, Point::Key, message, Some(help.to_owned()));
    true
}

fn evidence(root: &Cursor<'_>) -> Option<Path> {
    if let Some(source) = root.get("topologySource") {
        return Some(source.path);
    }
    let of_flux = |item: &Cursor<'_>| item.get("className").is_some() || item.get("id").is_some();
    let classes = ["spouts", "bolts"].iter().filter_map(|key| {
        let section = root.get(key)?;
        section.items()?.iter().any(of_flux).then_some(section.path)
    });
    let lists = FLUX_LISTS.iter().filter_map(|key| {
        let section = root.get(key)?;
        section.items().is_some().then_some(section.path)
    });
    classes.chain(lists).next()
}
