//! What is wrong with a field of a message, and the path to it.

use std::fmt::Display;

use thiserror::Error;

/// How many characters of a wrong value an error shows.
const SHOWN_CHARS: usize = 64;

/// A field that can't be. The path is relative to the message that was converted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}expected {expected}, found {found}", at(.path))]
pub struct FieldError {
    /// Where: `assignment.workers[3].address`.
    pub path: String,
    /// What belongs there.
    pub expected: String,
    /// What is there; of a long text only the beginning.
    pub found: String,
}

impl FieldError {
    /// Says what a value should have been; `path` is empty when the caller knows it.
    pub(crate) fn new(path: &str, expected: impl Into<String>, found: impl Display) -> Self {
        Self {
            path: path.to_owned(),
            expected: expected.into(),
            found: found.to_string(),
        }
    }

    /// Shows the beginning of a text, with control characters escaped.
    pub(crate) fn of_text(path: &str, expected: impl Into<String>, found: &str) -> Self {
        let mut shown: String = found.chars().take(SHOWN_CHARS).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        Self::new(path, expected, format_args!("{shown:?}"))
    }

    /// Says that a field isn't there.
    pub(crate) fn missing(path: &str) -> Self {
        Self::new(path, "a value", "nothing")
    }

    fn under(mut self, parent: &str) -> Self {
        let dot = match self.path.as_bytes().first() {
            None | Some(b'[') => "",
            Some(_) => ".",
        };
        self.path = format!("{parent}{dot}{}", self.path);
        self
    }
}

/// Says where; nothing while nobody has.
fn at(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!("`{path}`: "),
    }
}

/// Adds to the path of an error on its way up.
pub(crate) trait At {
    /// The field is, or is inside, `field`.
    fn at(self, field: &str) -> Self;

    /// The field is, or is inside, an element of the list `field`.
    fn at_idx(self, field: &str, idx: usize) -> Self;
}

impl<T> At for Result<T, FieldError> {
    fn at(self, field: &str) -> Self {
        self.map_err(|error| error.under(field))
    }

    fn at_idx(self, field: &str, idx: usize) -> Self {
        self.map_err(|error| error.under(&format!("{field}[{idx}]")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_by_itself_has_no_path() {
        let error = FieldError::new("", "a number", "seven");
        assert_eq!(error.to_string(), "expected a number, found seven");
    }

    #[test]
    fn paths_grow_from_the_inside_out() {
        let error = FieldError::missing("");
        let path = |result: Result<(), FieldError>| result.unwrap_err().path;
        assert_eq!(path(Err(error.clone()).at("address")), "address");
        assert_eq!(
            path(Err(error).at("address").at_idx("workers", 3).at("plan")),
            "plan.workers[3].address"
        );
    }

    #[test]
    fn errors_show_the_beginning_of_a_text_without_control_characters() {
        let error = FieldError::of_text("name", "a name", &"\u{1b}x".repeat(1000));
        assert!(error.found.starts_with("\"\\u{1b}x"), "{error}");
        assert!(error.to_string().chars().all(|c| !c.is_control()));
        assert!(error.to_string().len() < 600, "{error}");
    }
}
