//! What user code returns when it fails, and what a spout is told about it.

use std::error::Error as StdError;
use std::fmt;

use thiserror::Error;

use crate::ids::ComponentId;
use crate::value::Str;

/// The result of everything that an author writes.
pub type Result<T, E = ComponentError> = std::result::Result<T, E>;

/// An error in a component: any error at all, and what is to be done about it.
///
/// `?` makes one of every error type, of `anyhow`'s, and of plain text. Without a word more it fails the
/// tuple, which is then tried again.
pub struct ComponentError {
    source: Box<dyn StdError + Send + Sync>,
    remedy: Remedy,
}

/// What a [`ComponentError`] asks of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Remedy {
    /// The tuple fails and may be tried again.
    #[default]
    Retry,
    /// The tuple fails for good: its message goes to the dead letters without another attempt.
    DeadLetter,
    /// The tuple fails and the task starts anew, as after a panic.
    RestartTask,
}

impl ComponentError {
    /// Marks the error as one that no retry mends: the message goes to the dead letters at once.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.remedy = Remedy::DeadLetter;
        self
    }

    /// Asks for a new instance of the task, for state that can't be trusted any more.
    #[must_use]
    pub fn restart_task(mut self) -> Self {
        self.remedy = Remedy::RestartTask;
        self
    }

    /// Returns what the engine is asked to do.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        self.remedy
    }

    /// Returns the error itself, for its chain of sources.
    #[must_use]
    pub fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for ComponentError {
    fn from(error: E) -> Self {
        Self {
            source: error.into(),
            remedy: Remedy::Retry,
        }
    }
}

/// Writes the error and the chain of its sources, separated by `: `.
impl fmt::Display for ComponentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.source.to_string();
        f.write_str(&text)?;
        let mut last = text;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many error types already print their source; don't say it twice.
            if !last.contains(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for ComponentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.remedy)
    }
}

/// Says on the spot what is to be done about an error: `parse(line).permanent()?`.
pub trait Remediable<T> {
    /// See [`ComponentError::permanent`].
    ///
    /// # Errors
    /// The error that was there, marked.
    fn permanent(self) -> Result<T>;

    /// See [`ComponentError::restart_task`].
    ///
    /// # Errors
    /// The error that was there, marked.
    fn restart_task(self) -> Result<T>;
}

impl<T, E: Into<ComponentError>> Remediable<T> for std::result::Result<T, E> {
    fn permanent(self) -> Result<T> {
        self.map_err(|error| error.into().permanent())
    }

    fn restart_task(self) -> Result<T> {
        self.map_err(|error| error.into().restart_task())
    }
}

/// Why a tuple tree failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// A bolt returned an error, panicked, or dropped its token. Counts as an attempt.
    Rejected,
    /// The tree outlived the message timeout. Counts as an attempt.
    TimedOut,
    /// The engine lost a tuple: a worker or a link ended. Not the message's fault: no attempt.
    Lost,
    /// The topology was drained while the tuple was held. No attempt.
    Drained,
}

impl FailureReason {
    /// Tells whether this failure uses up one of the message's attempts.
    #[must_use]
    pub const fn counts_as_attempt(self) -> bool {
        matches!(self, Self::Rejected | Self::TimedOut)
    }
}

/// What a spout is told about a failed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whose fault it was.
    pub reason: FailureReason,
    /// The component in which it happened, where that is known.
    pub component: Option<ComponentId>,
    /// What went wrong, at most [`Failure::MAX_TEXT_BYTES`] bytes of UTF-8.
    pub text: Str,
    /// No retry will help: straight to the dead letters.
    pub permanent: bool,
}

impl Failure {
    /// The largest `text` in bytes; longer ones are cut at a character and end in `…`.
    pub const MAX_TEXT_BYTES: usize = 1024;

    /// Makes a failure, cutting `text` to its bound.
    #[must_use]
    pub fn new(reason: FailureReason, component: Option<ComponentId>, text: &str) -> Self {
        let text = if text.len() <= Self::MAX_TEXT_BYTES {
            Str::new(text)
        } else {
            let cut = text.floor_char_boundary(Self::MAX_TEXT_BYTES - '…'.len_utf8());
            Str::from(format!("{}…", &text[..cut]))
        };
        Self {
            reason,
            component,
            text,
            permanent: false,
        }
    }

    /// Makes the failure that an error in `component` causes.
    #[must_use]
    pub fn rejected(component: ComponentId, error: &ComponentError) -> Self {
        let permanent = error.remedy() == Remedy::DeadLetter;
        Self {
            permanent,
            ..Self::new(FailureReason::Rejected, Some(component), &error.to_string())
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.component {
            Some(component) => write!(f, "{component}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// The end of a tuple tree: each tracked emit gets exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every tuple of the tree was acked.
    Acked,
    /// Some tuple of the tree failed, was lost, or outlived the message timeout.
    Failed(Failure),
}

/// A row that doesn't fit its stream, or a tuple that doesn't fit the type it is read into.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct RowError {
    message: String,
}

impl RowError {
    /// Makes an error that says `message`.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl serde::ser::Error for RowError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl serde::de::Error for RowError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<i64> {
        Ok(text.parse::<i64>()?)
    }

    #[test]
    fn question_mark_takes_any_error() {
        fn anyhows() -> Result<()> {
            Err(anyhow::anyhow!("inner").context("outer"))?;
            Ok(())
        }
        fn texts() -> Result<()> {
            Err("plain text")?;
            Ok(())
        }
        assert_eq!(
            parse("x").unwrap_err().to_string(),
            "invalid digit found in string"
        );
        assert_eq!(anyhows().unwrap_err().to_string(), "outer: inner");
        assert_eq!(texts().unwrap_err().to_string(), "plain text");
    }

    #[test]
    fn remedies_mark_results_and_errors() {
        assert_eq!(parse("x").unwrap_err().remedy(), Remedy::Retry);
        assert_eq!(
            parse("x").permanent().unwrap_err().remedy(),
            Remedy::DeadLetter
        );
        assert_eq!(
            "x".parse::<i64>().restart_task().unwrap_err().remedy(),
            Remedy::RestartTask
        );
    }

    #[test]
    fn cuts_long_texts_at_a_character() {
        let failure = Failure::new(FailureReason::Lost, None, &"é".repeat(1000));
        assert!(failure.text.len() <= Failure::MAX_TEXT_BYTES);
        assert!(failure.text.ends_with("é…"));
    }
}
