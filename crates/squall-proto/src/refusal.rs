//! Why a call was refused: a code for machines, a sentence and an advice for people.

mod code;
mod reasons;

use crate::bounds::{MAX_FACT_NAME_BYTES, MAX_FACT_VALUE_BYTES, MAX_FACTS};
use crate::check;
use crate::field::FieldError;
use crate::note::Note;
use crate::wire;

pub use code::RefusalCode;

/// A refusal as the caller gets to see it. Made by the functions named after their reasons, or by
/// [`Refusal::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For machines.
    pub code: RefusalCode,
    /// What is wrong, without a full stop.
    pub message: Note,
    /// What to do about it.
    pub action: Option<Note>,
    /// What the message is about, by name: at most [`MAX_FACTS`].
    pub facts: Vec<Fact>,
}

/// One thing that a refusal is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its name in snake case.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Refusal {
    /// Refuses for a reason. An empty `action` is none.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl AsRef<str>, action: impl AsRef<str>) -> Self {
        let action = Some(action).filter(|action| !action.as_ref().is_empty());
        Self {
            code,
            message: Note::new(message),
            action: action.map(Note::new),
            facts: Vec::new(),
        }
    }

    /// Adds a fact. One too many, or with too long a name, is dropped; a long value is cut.
    #[must_use]
    pub fn with(mut self, name: &str, value: &impl ToString) -> Self {
        if self.facts.len() < MAX_FACTS && name.len() <= MAX_FACT_NAME_BYTES {
            let mut value = value.to_string();
            value.truncate(value.floor_char_boundary(MAX_FACT_VALUE_BYTES));
            self.facts.push(Fact {
                name: name.to_owned(),
                value,
            });
        }
        self
    }

    /// Returns the value of a fact.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        let fact = self.facts.iter().find(|fact| fact.name == name);
        fact.map(|fact| fact.value.as_str())
    }
}

impl TryFrom<wire::Refusal> for Refusal {
    type Error = FieldError;

    fn try_from(wire: wire::Refusal) -> Result<Self, FieldError> {
        Ok(Self {
            code: wire.code.into(),
            message: Note::checked("message", wire.message)?,
            action: Note::given("action", wire.action)?,
            facts: check::list("facts", wire.facts, 0..=MAX_FACTS)?,
        })
    }
}

impl From<Refusal> for wire::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.code.into(),
            message: refusal.message.into(),
            action: Note::or_empty(refusal.action),
            facts: refusal.facts.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Fact> for Fact {
    type Error = FieldError;

    fn try_from(wire: wire::Fact) -> Result<Self, FieldError> {
        Ok(Self {
            name: check::word("name", wire.name, MAX_FACT_NAME_BYTES)?,
            value: check::text("value", wire.value, 0..=MAX_FACT_VALUE_BYTES)?,
        })
    }
}

impl From<Fact> for wire::Fact {
    fn from(fact: Fact) -> Self {
        Self {
            name: fact.name,
            value: fact.value,
        }
    }
}
