//! Merging: files over each other, then `--set`s over the result.
//!
//! Maps merge by key. Everything else replaces what was there: a list isn't appended to, so that an overlay
//! can put a bolt between two others by giving the second one new `inputs`.

use crate::problem::{Problem, Problems, quote};

use super::limits::{Budget, MAX_DEPTH, MAX_PATH_BYTES};
use super::node::{Entry, Kind, Map, Mark, Node};
use super::parse::parse;
use super::source::{Text, Texts};

/// Parses all files and merges each over what precedes it; none where one of them can't be read.
pub(super) fn merge_files(
    texts: &Texts,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<Node> {
    let mut merged: Option<Node> = None;
    let mut whole = true;
    for (source, text) in texts.iter().filter(|(_, text)| !text.is_set) {
        let before = problems.len();
        match parse(texts, (source, text), budget, problems) {
            Some(node) if is_map(&node) => merge_into(&mut merged, node),
            Some(node) if is_empty(&node) => {}
            Some(node) => {
                let message = format!("a topology is a map, and this is {}", node.describe());
                problems.push(texts.error(&node.mark, message));
                whole = false;
            }
            None => whole &= problems.len() == before,
        }
    }
    let start = Mark {
        source: 0,
        span: 0..0,
        variables: Vec::new(),
    };
    let empty = || Node {
        kind: Kind::Map(Map::new()),
        mark: start,
    };
    whole.then(|| merged.unwrap_or_else(empty))
}

fn is_map(node: &Node) -> bool {
    matches!(node.kind, Kind::Map(_))
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(scalar) if scalar.value().is_null())
}

fn merge_into(base: &mut Option<Node>, over: Node) {
    match base {
        Some(base) => merge(base, over),
        None => *base = Some(over),
    }
}

/// Merges one tree over another; as deep in recursion as the shallower of them.
fn merge(base: &mut Node, over: Node) {
    match (&mut base.kind, over.kind) {
        (Kind::Map(base), Kind::Map(over)) => {
            for (key, entry) in over {
                match base.get_mut(&key) {
                    Some(there) => merge(&mut there.value, entry.value),
                    None => {
                        base.insert(key, entry);
                    }
                }
            }
        }
        (_, kind) => {
            *base = Node {
                kind,
                mark: over.mark,
            }
        }
    }
}

/// Applies the `--set`s in order: `bolts.count.parallelism=8`, `bolts.count.inputs[0]=parse/late`.
///
/// A value is read as YAML. Maps on the way are made; items of a list must be there.
pub(super) fn apply_sets(
    root: &mut Node,
    texts: &Texts,
    budget: &mut Budget,
    problems: &mut Problems,
) {
    for (source, text) in texts.iter().filter(|(_, text)| text.is_set) {
        let before = problems.len();
        let path = Mark {
            source,
            span: 0..text.yaml_at.saturating_sub(1),
            variables: Vec::new(),
        };
        let value = match parse(texts, (source, text), budget, problems) {
            Some(value) => value,
            None if problems.len() > before => continue,
            None => empty_value(source, text),
        };
        if let Err(message) = set(root, &text.name, value, &path) {
            problems.push(Problem {
                path: text.name.clone(),
                ..texts.error(&path, message)
            });
        }
    }
}

fn empty_value(source: usize, text: &Text) -> Node {
    Node {
        kind: Kind::Scalar(super::scalar::Scalar {
            text: String::new(),
            plain: true,
        }),
        mark: Mark {
            source,
            span: text.yaml_at..text.yaml_at,
            variables: Vec::new(),
        },
    }
}

/// Puts a value at the end of a path. Keys that hold a dot are found if they are already there.
fn set(root: &mut Node, path: &str, value: Node, mark: &Mark) -> Result<(), String> {
    if path.is_empty() {
        return Err("the path is empty: write --set path=value".to_owned());
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(format!("the path is longer than {MAX_PATH_BYTES} bytes"));
    }
    let mut at = root;
    let mut rest = path;
    let mut depth = value.size().depth;
    while !rest.is_empty() {
        depth += 1;
        if depth > MAX_DEPTH {
            return Err(format!("the path leads more than {MAX_DEPTH} deep"));
        }
        let done = path.get(..path.len() - rest.len()).unwrap_or_default();
        let done = done.trim_end_matches('.');
        (at, rest) = match rest.strip_prefix('[') {
            Some(idx) => item(at, idx, done)?,
            None => entry(at, rest, done, mark)?,
        };
    }
    *at = value;
    Ok(())
}

fn item<'n, 'p>(
    at: &'n mut Node,
    rest: &'p str,
    done: &str,
) -> Result<(&'n mut Node, &'p str), String> {
    let (idx, rest) = rest.split_once(']').ok_or("a `]` is missing in the path")?;
    let idx_shown = quote(idx);
    let idx = idx
        .parse::<usize>()
        .map_err(|_| format!("{idx_shown} is no index: write {done}[0] for the first item"))?;
    let described = at.describe();
    let Kind::List(items) = &mut at.kind else {
        return Err(format!("{} is {described}, not a list", quote(done)));
    };
    let n_items = items.len();
    let item = items
        .get_mut(idx)
        .ok_or_else(|| format!("{} has no item {idx}: its length is {n_items}", quote(done)))?;
    Ok((item, rest.strip_prefix('.').unwrap_or(rest)))
}

fn entry<'n, 'p>(
    at: &'n mut Node,
    rest: &'p str,
    done: &str,
    mark: &Mark,
) -> Result<(&'n mut Node, &'p str), String> {
    if is_empty(at) {
        at.kind = Kind::Map(Map::new());
    }
    let described = at.describe();
    let Kind::Map(map) = &mut at.kind else {
        return Err(format!("{} is {described}, not a map", quote(done)));
    };
    let key = known_key(map, rest).unwrap_or_else(|| {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest).to_owned()
    });
    let rest = rest.get(key.len()..).unwrap_or_default();
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    if key.is_empty() {
        return Err("the path has an empty key".to_owned());
    }
    let missing = || Entry {
        key: mark.clone(),
        value: Node {
            kind: Kind::Map(Map::new()),
            mark: mark.clone(),
        },
    };
    Ok((&mut map.entry(key).or_insert_with(missing).value, rest))
}

/// Finds the longest key that the path begins with.
fn known_key(map: &Map, rest: &str) -> Option<String> {
    let ends = rest.rmatch_indices(['.', '[']).map(|(at, _)| at);
    let keys = std::iter::once(rest.len()).chain(ends);
    let mut keys = keys.filter_map(|end| rest.get(..end));
    keys.find(|key| !key.is_empty() && map.contains_key(*key))
        .map(str::to_owned)
}
