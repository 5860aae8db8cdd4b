//! One YAML text to one tree: anchors, aliases and `<<` resolved, everything bounded.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};

use crate::problem::{Problem, Problems, Severity, quote};

use super::limits::{Budget, MAX_DEPTH};
use super::node::{Entry, Kind, Map, Mark, Node};
use super::scalar::Scalar;
use super::source::{Text, Texts};

/// Reads the text with this index, or reports why it can't be read. Duplicate keys and the like are
/// reported too, but leave a tree.
pub(super) fn parse(
    texts: &Texts,
    (source, text): (usize, &Text),
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<Node> {
    let yaml = text.text.get(text.yaml_at..)?;
    let mut loader = Loader {
        texts,
        source,
        yaml_at: text.yaml_at,
        budget,
        problems,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
    };
    match loader.load(yaml) {
        Ok(root) => root,
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

/// A tree in the making.
struct Loader<'a> {
    texts: &'a Texts,
    source: usize,
    yaml_at: usize,
    budget: &'a mut Budget,
    problems: &'a mut Problems,
    /// The maps and lists that aren't closed yet, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
}

/// A map or a list that isn't closed yet.
struct Open {
    holder: Holder,
    mark: Mark,
    anchor: usize,
}

enum Holder {
    List(Vec<Node>),
    Map {
        entries: Map,
        /// The key that waits for its value; the name is `None` where it was reported as wrong.
        key: Option<(Option<String>, Mark)>,
        /// The values of `<<`, in order.
        merged: Vec<Node>,
    },
}

type Step<T = ()> = Result<T, Box<Problem>>;

impl Loader<'_> {
    fn load(&mut self, yaml: &str) -> Step<Option<Node>> {
        let mut options = Options::default();
        options.emit_unresolved_aliases = true;
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(yaml, options) {
            let (event, span) = event.map_err(|error| {
                let at = error.marker().byte_offset().unwrap_or(yaml.len());
                Box::new(self.no_yaml(yaml, at, &error.info()))
            })?;
            let mark = self.mark(&span);
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
            }
            if documents > 1 {
                return Err(self.stop(&mark, "a file holds one document, and here begins a second"));
            }
            self.event(event, mark)?;
        }
        Ok(self.root.take())
    }

    fn event(&mut self, event: Event<'_>, mark: Mark) -> Step {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.is_text(tag.as_deref(), &mark);
                let text = text.into_owned();
                self.charge(1, text.len(), &mark)?;
                self.close(Kind::Scalar(Scalar { text, plain }), mark, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.is_text(tag.as_deref(), &mark);
                self.push(Holder::List(Vec::new()), mark, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.is_text(tag.as_deref(), &mark);
                let holder = Holder::Map {
                    entries: Map::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.push(holder, mark, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.pop(&mark),
            Event::Alias(anchor) => self.alias(anchor, mark),
            Event::UnresolvedAlias(name) => {
                let message = format!("no anchor `&{}` stands before this alias", shown(&name));
                self.report(&mark, message);
                self.put(Node {
                    kind: Kind::Bad,
                    mark,
                })
            }
            _ => Ok(()),
        }
    }

    /// Opens a map or a list.
    fn push(&mut self, holder: Holder, mark: Mark, anchor: usize) -> Step {
        self.charge(1, 0, &mark)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(self.stop(&mark, too_deep()));
        }
        self.open.push(Open {
            holder,
            mark,
            anchor,
        });
        Ok(())
    }

    /// Closes the innermost map or list.
    fn pop(&mut self, end: &Mark) -> Step {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let mut mark = open.mark;
        mark.span.end = end.span.end.max(mark.span.end);
        let kind = match open.holder {
            Holder::List(items) => Kind::List(items),
            Holder::Map {
                entries, merged, ..
            } => Kind::Map(self.merge(entries, merged)?),
        };
        self.close(kind, mark, open.anchor)
    }

    /// Takes a whole node in, and remembers it under its anchor.
    fn close(&mut self, kind: Kind, mark: Mark, anchor: usize) -> Step {
        let node = Node { kind, mark };
        if anchor > 0 {
            let size = node.size();
            self.charge(size.n_nodes, size.n_bytes, &node.mark)?;
            self.anchors.insert(anchor, node.clone());
        }
        self.put(node)
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Step {
        let Some(node) = self.anchors.get(&anchor) else {
            self.report(&mark, "an alias can't stand inside of what it stands for");
            return self.put(Node {
                kind: Kind::Bad,
                mark,
            });
        };
        let size = node.size();
        if self.open.len() + size.depth > MAX_DEPTH {
            return Err(self.stop(&mark, too_deep()));
        }
        let node = node.clone();
        self.charge(size.n_nodes, size.n_bytes, &mark)?;
        self.put(node)
    }

    /// Puts a node where it belongs: as the root, an item, a key or a value.
    fn put(&mut self, node: Node) -> Step {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.holder {
            Holder::List(items) => items.push(node),
            Holder::Map { key, .. } if key.is_none() => {
                let Node { kind, mark } = node;
                let name = match kind {
                    Kind::Scalar(scalar) => Some(scalar.text),
                    Kind::List(_) | Kind::Map(_) | Kind::Bad => None,
                };
                *key = Some((name, mark.clone()));
                if matches!(key, Some((None, _))) {
                    self.report(&mark, "a key must be text");
                }
            }
            Holder::Map {
                entries,
                key,
                merged,
            } => {
                let Some((Some(name), mark)) = key.take() else {
                    return Ok(());
                };
                if name == "<<" {
                    merged.push(node);
                } else if let Some(first) = entries.get(&name) {
                    let first = first.key.clone();
                    self.report_duplicate(&name, &mark, &first);
                } else {
                    let entry = Entry {
                        key: mark,
                        value: node,
                    };
                    entries.insert(name, entry);
                }
            }
        }
        Ok(())
    }

    /// Adds what `<<` brings: keys of the map itself win, then earlier maps over later ones.
    fn merge(&mut self, mut entries: Map, merged: Vec<Node>) -> Step<Map> {
        for node in merged {
            let maps = match node.kind {
                Kind::List(items) => items,
                _ => vec![node],
            };
            for node in maps {
                match node.kind {
                    Kind::Map(map) => {
                        for (key, entry) in map {
                            entries.entry(key).or_insert(entry);
                        }
                    }
                    Kind::Bad => {}
                    Kind::Scalar(_) | Kind::List(_) => {
                        self.report(&node.mark, "`<<` takes a map or a list of maps");
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Tells whether a tag makes a scalar text, and reports tags that mean nothing here.
    fn is_text(&mut self, tag: Option<&Tag>, mark: &Mark) -> bool {
        let Some(tag) = tag else {
            return false;
        };
        match tag.core_suffix() {
            Some("str") => true,
            Some("int" | "float" | "bool" | "null" | "map" | "seq") => false,
            _ => {
                let tag = quote(&tag.original());
                self.report(mark, format!("the tag {tag} has no meaning here"));
                false
            }
        }
    }

    fn report(&mut self, mark: &Mark, message: impl Into<String>) {
        let texts = self.texts;
        self.problems
            .add(Severity::Error, || texts.error(mark, message));
    }

    fn report_duplicate(&mut self, name: &str, mark: &Mark, first: &Mark) {
        let texts = self.texts;
        self.problems.add(Severity::Error, || {
            let message = format!("the key {} stands here twice", quote(name));
            let mut problem = texts.error(mark, message);
            let first = texts.error(first, "").place;
            problem.help = first.map(|place| format!("it first stands in line {}", place.line));
            problem
        });
    }

    fn stop(&self, mark: &Mark, message: impl Into<String>) -> Box<Problem> {
        Box::new(self.texts.error(mark, message))
    }

    fn charge(&mut self, n_nodes: usize, n_bytes: usize, mark: &Mark) -> Step {
        let charged = self.budget.take(n_nodes, n_bytes);
        charged.map_err(|message| self.stop(mark, message))
    }

    fn no_yaml(&self, yaml: &str, at: usize, what: &str) -> Problem {
        let at = self.yaml_at + at;
        let mark = Mark {
            source: self.source,
            span: at..at,
            variables: Vec::new(),
        };
        let mut problem = self.texts.error(&mark, format!("not valid YAML: {what}"));
        let line = problem.place.as_ref().map(|place| &*place.snippet.text);
        if line.is_some_and(|line| line.contains("${")) && yaml.contains(['{', '[']) {
            problem.help = Some(
                "inside of {…} or […] a variable must stand in quotes, which makes it text; \
                 write the map or list over several lines for one that is a number"
                    .to_owned(),
            );
        }
        problem
    }

    fn mark(&self, span: &Span) -> Mark {
        let span = span.byte_range().unwrap_or_default();
        Mark {
            source: self.source,
            span: self.yaml_at + span.start..self.yaml_at + span.end,
            variables: Vec::new(),
        }
    }
}

fn too_deep() -> String {
    format!("maps and lists stand more than {MAX_DEPTH} deep in each other")
}

fn shown(name: &str) -> String {
    quote(name).trim_matches('`').to_owned()
}
