//! Inputs and their groupings: `clicks`, or `{ from: parse/late, grouping: { fields: [referrer] } }`.

use squall_core::{ComponentId, Grouping, InputSpec, Str};

use crate::declare::node::Kind;
use crate::declare::source::Point;
use crate::problem::{did_you_mean, list, quote};

use super::Reader;
use super::cursor::Cursor;
use super::value::as_list;

/// The keys of an input.
pub(crate) const INPUT_KEYS: [&str; 2] = ["from", "grouping"];

/// The groupings that are one word.
pub(crate) const GROUPING_WORDS: [(&str, Grouping); 6] = [
    ("shuffle", Grouping::Shuffle),
    ("local-or-shuffle", Grouping::LocalOrShuffle),
    ("global", Grouping::Global),
    ("all", Grouping::All),
    ("none", Grouping::None),
    ("direct", Grouping::Direct),
];

/// The groupings that need to be told more.
const MAPS: [&str; 3] = ["fields", "partial-key", "custom"];

/// How those look.
const EXAMPLES: &str = "{ fields: [a] }, { partial-key: [a] } or { custom: name }";

impl Reader<'_, '_> {
    /// Reads one input. One without a readable source keeps its place in the list, by an empty name.
    pub(super) fn input(&mut self, at: &Cursor<'_>) -> InputSpec {
        if !at.is_map() {
            return InputSpec::from_text(&self.name(at), Grouping::default());
        }
        self.known_keys(at, &INPUT_KEYS);
        let grouping = at.given("grouping").and_then(|at| self.grouping(&at));
        let from = match at.given("from") {
            Some(from) => self.name(&from),
            None => {
                let help = "name a component, or a component and its stream: `from: parse/late`";
                let message = "the input has no `from`";
                self.reporter
                    .error(&at.path, Point::Value, message, Some(help.to_owned()));
                self.unreadable()
            }
        };
        InputSpec::from_text(&from, grouping.unwrap_or_default())
    }

    /// Reads a name, or the empty one where it can't be read.
    fn name(&mut self, at: &Cursor<'_>) -> Str {
        self.text(at).unwrap_or_else(|| self.unreadable())
    }

    fn unreadable(&mut self) -> Str {
        self.draft.flawed.insert(ComponentId::new(""));
        Str::default()
    }

    fn grouping(&mut self, at: &Cursor<'_>) -> Option<Grouping> {
        match &at.node.kind {
            Kind::Bad => None,
            Kind::Map(_) => self.grouping_map(at),
            Kind::List(_) => {
                self.expected("a grouping", at, Some(format!("write {EXAMPLES}")));
                None
            }
            Kind::Scalar(scalar) => {
                let word = &scalar.text;
                let known = GROUPING_WORDS.into_iter().find(|(name, _)| name == word);
                if known.is_none() {
                    self.unknown_grouping(word, at, Point::Value);
                }
                known.map(|(_, grouping)| grouping)
            }
        }
    }

    fn grouping_map(&mut self, at: &Cursor<'_>) -> Option<Grouping> {
        let pairs = at.pairs();
        let [(name, value)] = pairs.as_slice() else {
            let found = list(pairs.iter().map(|(name, _)| *name));
            let message = format!("expected one grouping, found: {found}");
            self.reporter.error(
                &at.path,
                Point::Value,
                message,
                Some(format!("write {EXAMPLES}")),
            );
            return None;
        };
        match *name {
            "fields" => self.fields(value).map(Grouping::Fields),
            "partial-key" => self.fields(value).map(Grouping::PartialKey),
            "custom" => self.text(value).map(Grouping::Custom),
            _ => {
                self.unknown_grouping(name, value, Point::Key);
                None
            }
        }
    }

    fn unknown_grouping(&mut self, word: &str, at: &Cursor<'_>, point: Point) {
        let (message, help) = if MAPS.contains(&word) {
            let message = format!("the grouping {} lacks its argument", quote(word));
            (message, format!("write {EXAMPLES}"))
        } else {
            let names = GROUPING_WORDS.iter().map(|(name, _)| *name).chain(MAPS);
            let message = format!("unknown grouping {}", quote(word));
            (message, did_you_mean(word, "groupings", names))
        };
        self.reporter.error(&at.path, point, message, Some(help));
    }

    /// Reads the fields of a key. One that can't be read keeps its place, by an empty name.
    fn fields(&mut self, at: &Cursor<'_>) -> Option<Vec<Str>> {
        let Some(items) = at.items() else {
            self.expected("a list of fields", at, as_list(at));
            return None;
        };
        Some(items.iter().map(|item| self.name(item)).collect())
    }
}
