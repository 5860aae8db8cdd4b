//! The reading of single values: maps, texts, numbers, switches and durations.

use std::num::NonZeroU32;

use serde_json::Value as Json;

use squall_core::{HumanDuration, Str};

use crate::declare::scalar;
use crate::declare::source::Point;
use crate::problem::{did_you_mean, quote};

use super::Reader;
use super::cursor::Cursor;

impl Reader<'_, '_> {
    /// Reports that something else was expected.
    pub(super) fn expected(&mut self, what: &str, at: &Cursor<'_>, help: Option<String>) {
        if !at.is_bad() {
            let message = format!("expected {what}, found {}", at.node.describe());
            self.reporter.error(&at.path, Point::Value, message, help);
        }
    }

    /// Reads a map; null is an empty one.
    pub(super) fn entries<'n>(&mut self, at: &Cursor<'n>) -> Option<Vec<(&'n str, Cursor<'n>)>> {
        if at.is_map() || at.is_null() {
            return Some(at.pairs());
        }
        self.expected("a map", at, None);
        None
    }

    /// Reports the keys of a map that mean nothing there.
    pub(super) fn known_keys(&mut self, at: &Cursor<'_>, known: &[&str]) {
        self.check_keys(at.pairs(), known);
    }

    /// Reports which of these keys aren't known.
    pub(super) fn check_keys<'n>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'n str, Cursor<'n>)>,
        known: &[&str],
    ) {
        for (key, value) in pairs {
            if !known.contains(&key) {
                let message = format!("unknown key {}", quote(key));
                let help = did_you_mean(key, "keys here", known.iter().copied());
                self.reporter
                    .error(&value.path, Point::Key, message, Some(help));
            }
        }
    }

    /// Reads a text.
    pub(super) fn text(&mut self, at: &Cursor<'_>) -> Option<Str> {
        let help = match at.scalar() {
            Some(Json::String(text)) => return Some(Str::from(text)),
            Some(Json::Null) | None => None,
            Some(_) => Some("in quotes it is text".to_owned()),
        };
        self.expected("text", at, help);
        None
    }

    /// Reads a number of tasks.
    pub(super) fn parallelism(&mut self, at: &Cursor<'_>) -> Option<NonZeroU32> {
        let Some(number) = at.scalar().as_ref().and_then(Json::as_u64) else {
            self.expected("a whole number of tasks", at, quoted_number(at));
            return None;
        };
        // More than fits is more than any topology may have, which is reported with the sum of tasks.
        let n_tasks = NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX));
        if n_tasks.is_none() {
            let help = "a component has at least one task".to_owned();
            let message = "a parallelism of 0 would leave nobody to do the work";
            self.reporter
                .error(&at.path, Point::Value, message, Some(help));
        }
        n_tasks
    }

    /// Reads a switch.
    pub(super) fn switch(&mut self, at: &Cursor<'_>) -> Option<bool> {
        if let Some(Json::Bool(value)) = at.scalar() {
            return Some(value);
        }
        self.expected("`true` or `false`", at, None);
        None
    }

    /// Reads a duration with its unit.
    pub(super) fn duration(&mut self, at: &Cursor<'_>) -> Option<HumanDuration> {
        let text = match at.scalar() {
            Some(Json::String(text)) => text,
            Some(Json::Number(number)) => number.to_string(),
            _ => {
                self.expected("a duration such as `10s`", at, None);
                return None;
            }
        };
        match text.parse() {
            Ok(duration) => Some(duration),
            Err(error) => {
                let message = error.to_string();
                self.reporter.error(&at.path, Point::Value, message, None);
                None
            }
        }
    }
}

/// Explains why a number in quotes is none, which isn't obvious where a variable had to be quoted.
fn quoted_number(at: &Cursor<'_>) -> Option<String> {
    match at.scalar() {
        Some(Json::String(text)) if scalar::plain(&text).is_number() => Some(
            "what stands in quotes is text; a variable needs none where the map is written over several \
             lines instead of in {…}"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Suggests the list that a lone name probably stands for.
pub(super) fn as_list(at: &Cursor<'_>) -> Option<String> {
    match at.scalar() {
        Some(Json::String(text)) => Some(format!("write [{text}]")),
        _ => None,
    }
}
