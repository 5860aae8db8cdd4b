//! Texts for people that came from somewhere else: bounded, and harmless on a terminal.

use std::fmt;

use crate::bounds::MAX_NOTE_BYTES;
use crate::field::FieldError;

/// A text for people of at most [`MAX_NOTE_BYTES`], with no control characters but line ends and tabs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Note(String);

impl Note {
    /// Cuts a text to its bound and replaces control characters, so that whatever it was, it can be sent.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        let harmless = |c: char| if is_harmful(c) { '\u{fffd}' } else { c };
        let mut note = String::new();
        for c in text.as_ref().chars().map(harmless) {
            if note.len() + c.len_utf8() > MAX_NOTE_BYTES {
                break;
            }
            note.push(c);
        }
        Self(note)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a text that means nothing when it is empty.
    pub(crate) fn given(field: &str, text: String) -> Result<Option<Self>, FieldError> {
        let note = Self::checked(field, text)?;
        Ok((!note.0.is_empty()).then_some(note))
    }

    /// Takes a text from the wire.
    pub(crate) fn checked(field: &str, text: String) -> Result<Self, FieldError> {
        if text.len() > MAX_NOTE_BYTES {
            let expected = format!("a text of at most {MAX_NOTE_BYTES} bytes");
            return Err(FieldError::of_text(field, expected, &text));
        }
        if text.chars().any(is_harmful) {
            let expected = "a text without control characters";
            return Err(FieldError::of_text(field, expected, &text));
        }
        Ok(Self(text))
    }

    /// Makes what [`Note::given`] takes.
    pub(crate) fn or_empty(note: Option<Self>) -> String {
        note.unwrap_or_default().0
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Note {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<Note> for String {
    fn from(note: Note) -> Self {
        note.0
    }
}

fn is_harmful(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_between_characters_and_cleaned() {
        let note = Note::new("é\u{1b}[2J\n".repeat(1000));
        assert!(note.as_str().len() <= MAX_NOTE_BYTES);
        assert!(note.as_str().len() > MAX_NOTE_BYTES - 4);
        assert!(note.as_str().starts_with("é\u{fffd}[2J\n"));
        assert_eq!(Note::checked("", note.as_str().to_owned()), Ok(note));
    }

    #[test]
    fn notes_from_the_wire_are_refused_when_too_long_or_harmful() {
        assert!(Note::checked("reason", "x".repeat(MAX_NOTE_BYTES)).is_ok());
        let long = Note::checked("reason", "x".repeat(MAX_NOTE_BYTES + 1));
        assert_eq!(long.unwrap_err().path, "reason");
        assert!(Note::checked("reason", "a\u{7}".to_owned()).is_err());
        assert_eq!(Note::given("reason", String::new()), Ok(None));
    }
}
