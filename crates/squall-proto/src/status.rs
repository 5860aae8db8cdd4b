//! Refusals as the statuses of calls, and back.
//!
//! The refusal travels in the status's metadata. The status itself has the message and one of eight codes,
//! so that other tools understand it as well.

use std::error::Error;

use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::field::FieldError;
use crate::refusal::{Refusal, RefusalCode};
use crate::wire;

/// The metadata key under which a refusal travels.
pub const REFUSAL_KEY: &str = "squall-refusal-bin";

/// How many of an error's causes are told.
const MAX_CAUSES: usize = 8;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = refusal.code.status();
        let message = refusal.message.to_string();
        let bytes = wire::Refusal::from(refusal).encode_to_vec();
        let mut metadata = MetadataMap::new();
        metadata.insert_bin(REFUSAL_KEY, MetadataValue::from_bytes(&bytes));
        Self::with_metadata(code, message, metadata)
    }
}

impl From<FieldError> for Status {
    fn from(error: FieldError) -> Self {
        Refusal::from(error).into()
    }
}

/// Reads the refusal from a status. One that has none comes from tonic, from a proxy or from no server at
/// all: what is known about it is put in words.
impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        sent(status).unwrap_or_else(|| guess(status))
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

fn sent(status: &Status) -> Option<Refusal> {
    let value = status.metadata().get_bin(REFUSAL_KEY)?;
    let bytes = value.to_bytes().ok()?;
    let wire = wire::Refusal::decode(bytes).ok()?;
    wire.try_into().ok()
}

fn guess(status: &Status) -> Refusal {
    let (code, action) = match status.code() {
        Code::Unavailable => (
            RefusalCode::Unavailable,
            "check the address and that the process runs there, then try again",
        ),
        Code::DeadlineExceeded | Code::Cancelled => (
            RefusalCode::Unavailable,
            "there was no answer in time: try again; what was asked for may have been done",
        ),
        Code::Unimplemented => (
            RefusalCode::WrongProtocol,
            "check the address: another service or another version answers there",
        ),
        Code::ResourceExhausted => (RefusalCode::Busy, "try again later"),
        // tonic's answer to a message above the limit.
        Code::OutOfRange => (RefusalCode::TooLarge, "send less at once"),
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => (RefusalCode::Other, ""),
    };
    Refusal::new(code, with_causes(status), action)
}

/// Says what a status says, and its causes as far as they say something new: "transport error" alone helps
/// nobody.
fn with_causes(status: &Status) -> String {
    let mut text = match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    };
    let mut cause = status.source();
    for _ in 0..MAX_CAUSES {
        let Some(error) = cause else { break };
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn refusals_survive_as_statuses() {
        let refusal = Refusal::new(RefusalCode::AlreadyRunning, "`a` runs", "kill it")
            .with("name", &"a")
            .with("odd", &"\u{1b}\n é");
        let status = Status::from(refusal.clone());
        assert_eq!(status.code(), Code::AlreadyExists);
        assert_eq!(status.message(), "`a` runs");
        assert_eq!(Refusal::from(status), refusal);
    }

    #[test]
    fn a_bad_field_says_where_and_what() {
        let status = Status::from(FieldError::new("plan.workers[3].port", "a port", 0));
        let refusal = Refusal::from(&status);
        assert_eq!(refusal.code, RefusalCode::BadField);
        assert_eq!(refusal.fact("path"), Some("plan.workers[3].port"));
        assert_eq!(refusal.fact("found"), Some("0"));
        assert_eq!(status.code(), Code::InvalidArgument);
    }

    #[test]
    fn statuses_from_elsewhere_become_refusals_that_say_all_that_is_known() {
        let mut status = Status::unavailable("transport error");
        status.set_source(std::sync::Arc::new(io::Error::other("connection refused")));
        let refusal = Refusal::from(&status);
        assert_eq!(refusal.code, RefusalCode::Unavailable);
        let message = "transport error: connection refused";
        assert_eq!(refusal.message.as_str(), message);
        assert!(refusal.action.is_some());
        let bare = Refusal::from(Status::new(Code::Unknown, ""));
        assert_eq!(bare.code, RefusalCode::Other);
        assert!(!bare.message.as_str().is_empty());
    }

    #[test]
    fn broken_metadata_is_passed_over() {
        let mut metadata = MetadataMap::new();
        metadata.insert_bin(REFUSAL_KEY, MetadataValue::from_bytes(&[0xff; 9]));
        let status = Status::with_metadata(Code::NotFound, "gone", metadata);
        assert_eq!(Refusal::from(status).message.as_str(), "gone");
    }

    #[test]
    fn the_longest_refusal_fits_into_a_header() {
        // hyper reads 16 KiB of headers unless told otherwise.
        let long = "\u{10ffff}".repeat(1000);
        let mut refusal = Refusal::new(RefusalCode::Internal, &long, &long);
        for idx in 0..20 {
            refusal = refusal.with(&format!("fact_{idx}"), &long);
        }
        let status = Status::from(refusal);
        let value = status.metadata().get_bin(REFUSAL_KEY).unwrap();
        let percent_encoded = 3 * status.message().len();
        let n_bytes = value.as_encoded_bytes().len() + percent_encoded;
        assert!(n_bytes < 12_000, "{n_bytes} bytes");
    }
}
