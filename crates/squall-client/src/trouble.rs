//! What can go wrong with a call, and what to do about it.

use squall_proto::{FieldError, Refusal};
use thiserror::Error;

use crate::binary::BinaryError;

/// A call that did not do what was asked.
#[derive(Debug, Error)]
pub enum Trouble {
    /// No nimbus answers at any of the addresses.
    #[error("no nimbus answers at {}", tried(.0))]
    Unreachable(Vec<(String, Refusal)>),
    /// Nimbus says no.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// Nimbus went away before it answered: whether it did what was asked isn't known.
    #[error("nimbus went away before it answered: {}", .0.message)]
    Unanswered(Refusal),
    /// An address that is none.
    #[error("`{given}` is no address of a nimbus: {error}")]
    Address {
        /// What was given.
        given: String,
        /// What is wrong with it.
        error: FieldError,
    },
    /// The answer makes no sense.
    #[error("nimbus answered what can't be: {0}")]
    Answer(#[from] FieldError),
    /// The program can't be uploaded.
    #[error(transparent)]
    Binary(#[from] BinaryError),
}

impl Trouble {
    /// Returns what to do next, where that is known.
    #[must_use]
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Unreachable(_) => Some(
                "start one (`squall nimbus`), or say where it is with --nimbus HOST:PORT or SQUALL_NIMBUS"
                    .to_owned(),
            ),
            Self::Refused(refusal) => refusal.action.as_ref().map(ToString::to_string),
            Self::Unanswered(_) => Some(
                "see by `squall list` what it has done once it is back; what it did stands, and is refused when it \
                 is asked for again"
                    .to_owned(),
            ),
            Self::Address { .. } => Some("give HOST:PORT, several with commas in between".to_owned()),
            Self::Answer(_) => Some("check that nimbus and this command are of one version".to_owned()),
            Self::Binary(_) => None,
        }
    }
}

impl From<tonic::Status> for Trouble {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(status.into())
    }
}

fn tried(tried: &[(String, Refusal)]) -> String {
    let each = |(address, refusal): &(String, Refusal)| format!("{address} ({})", refusal.message);
    let all: Vec<String> = tried.iter().map(each).collect();
    all.join(", ")
}
