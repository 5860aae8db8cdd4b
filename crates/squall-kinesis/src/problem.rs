//! What an operator has to know of a call that failed: what is wrong, and what there is to set.
//!
//! Only what somebody may have to act on is a problem. A throttled shard or an expired iterator is in a
//! day's work: it is counted, not told.

mod quota;
mod reporter;

use crate::api::{ApiError, Call, ErrorClass};

pub(crate) use quota::Quota;
pub(crate) use reporter::{Reporter, SharedQuota};

/// The codes of credentials that were there and weren't accepted.
const REFUSED_CREDENTIALS: [&str; 7] = [
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "IncompleteSignatureException",
    "SignatureDoesNotMatch",
    "InvalidClientTokenId",
    "MissingAuthenticationTokenException",
    "ExpiredTokenException",
];

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Problem {
    /// Nothing names a region.
    NoRegion,
    /// There are no credentials.
    NoCredentials,
    /// What gives out credentials doesn't answer.
    CredentialsUnavailable,
    /// The credentials aren't accepted.
    CredentialsRefused,
    /// The credentials may not make the call.
    Denied(Call),
    /// The stream's encryption key can't be used.
    Encryption,
    /// The stream isn't there.
    NoStream,
    /// The stream's name isn't accepted.
    BadName,
    /// A part of the start takes long.
    SlowStart,
    /// No server answers.
    Unreachable,
    /// The server fails.
    Server,
    /// The checkpoint store can't be read.
    StateUnreadable,
    /// The checkpoint store can't be written.
    StateUnwritable,
    /// Shards pause, for too much is done and not saved.
    Paused,
}

/// Where the stream is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) stream: String,
    pub(crate) region: Option<String>,
    pub(crate) endpoint_url: Option<String>,
}

impl Problem {
    /// Tells what is wrong when a call fails so; `None` where nobody has to know.
    pub(crate) fn of(call: Call, error: &ApiError) -> Option<Self> {
        let code = error.code.as_str();
        match error.class {
            ErrorClass::NoRegion => Some(Self::NoRegion),
            ErrorClass::NoCredentials => Some(Self::NoCredentials),
            ErrorClass::Denied if REFUSED_CREDENTIALS.contains(&code) => {
                Some(Self::CredentialsRefused)
            }
            ErrorClass::Denied if code.starts_with("KMS") => Some(Self::Encryption),
            ErrorClass::Denied => Some(Self::Denied(call)),
            ErrorClass::Unreachable if code == "CredentialsUnavailable" => {
                Some(Self::CredentialsUnavailable)
            }
            ErrorClass::Unreachable => Some(Self::Unreachable),
            ErrorClass::Transient => Some(Self::Server),
            // Of a shard they are its reader's affair.
            ErrorClass::NotFound if call == Call::ListShards => Some(Self::NoStream),
            ErrorClass::InvalidArgument if call == Call::ListShards => Some(Self::BadName),
            ErrorClass::NotFound
            | ErrorClass::InvalidArgument
            | ErrorClass::Throttled
            | ErrorClass::ExpiredIterator
            | ErrorClass::ExpiredToken
            | ErrorClass::Trimmed => None,
        }
    }

    /// Tells whether waiting won't mend it: somebody has to change something.
    pub(crate) const fn is_permanent(self) -> bool {
        match self {
            Self::NoRegion
            | Self::NoCredentials
            | Self::CredentialsRefused
            | Self::Denied(_)
            | Self::Encryption
            | Self::NoStream
            | Self::BadName => true,
            Self::CredentialsUnavailable
            | Self::Unreachable
            | Self::Server
            | Self::SlowStart
            | Self::StateUnreadable
            | Self::StateUnwritable
            | Self::Paused => false,
        }
    }

    /// Tells whether a call that succeeds proves that the problem is over.
    pub(crate) fn is_over_after(self, call: Call) -> bool {
        match self {
            Self::Denied(denied) => denied == call,
            Self::Encryption => call == Call::GetRecords,
            Self::SlowStart | Self::StateUnreadable | Self::StateUnwritable | Self::Paused => false,
            _ => true,
        }
    }

    /// Says what is wrong and what there is to do.
    pub(crate) fn advice(self, place: &Place) -> String {
        let region = place.region.as_deref().unwrap_or("no region");
        let endpoint = place.endpoint_url.as_deref();
        let endpoint = endpoint.map_or_else(
            || format!("`region` ({region})"),
            |url| format!("`endpoint_url` ({url})"),
        );
        match self {
            Self::NoRegion => {
                "no AWS region is set: set `region` in the spout's config, or AWS_REGION".to_owned()
            }
            Self::NoCredentials => "there are no AWS credentials: set AWS_ACCESS_KEY_ID and \
                AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role; for an emulator \
                set `endpoint_url`"
                .to_owned(),
            Self::CredentialsUnavailable => "AWS credentials can't be had now: look at what the \
                profile, the web identity or the machine's role says"
                .to_owned(),
            Self::CredentialsRefused => format!(
                "the AWS credentials aren't accepted: check that they are valid, meant for {endpoint}, \
                 and that this machine's clock is right"
            ),
            Self::Denied(call) => format!(
                "access is denied: allow these credentials kinesis:{call} on the stream, or set others"
            ),
            Self::Encryption => "the stream's encryption key can't be used: check the key's state, and \
                allow these credentials kms:Decrypt"
                .to_owned(),
            Self::NoStream => {
                format!("the stream doesn't exist: create it, or correct `stream` or {endpoint}")
            }
            Self::BadName => "the stream's name isn't accepted: correct `stream`".to_owned(),
            Self::SlowStart => "still waiting".to_owned(),
            Self::Unreachable => {
                format!("Kinesis can't be reached: check {endpoint} and the network; trying again")
            }
            Self::Server => "Kinesis fails: trying again".to_owned(),
            Self::StateUnreadable => {
                "the checkpoint store can't be read: what is to be started waits".to_owned()
            }
            Self::StateUnwritable => {
                "checkpoints can't be saved: reading goes on up to `max_uncheckpointed`".to_owned()
            }
            Self::Paused => "paused, for `max_uncheckpointed` or `max_uncheckpointed_for` is reached"
                .to_owned(),
        }
    }

    /// Says that it is over.
    pub(crate) const fn relief(self) -> &'static str {
        match self {
            Self::StateUnreadable => "the checkpoint store can be read again",
            Self::StateUnwritable => "checkpoints are saved again",
            Self::Paused => "no shard pauses any more",
            _ => "Kinesis answers again",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(call: Call, class: ErrorClass, code: &str) -> Option<Problem> {
        let error = ApiError {
            class,
            code: code.to_owned(),
            message: String::new(),
        };
        Problem::of(call, &error)
    }

    #[test]
    fn only_what_somebody_may_have_to_act_on_is_a_problem() {
        let denied = |call, code| of(call, ErrorClass::of(code, Some(400)), code);
        assert_eq!(
            denied(Call::GetRecords, "AccessDeniedException"),
            Some(Problem::Denied(Call::GetRecords))
        );
        assert_eq!(
            denied(Call::ListShards, "UnrecognizedClientException"),
            Some(Problem::CredentialsRefused)
        );
        assert_eq!(
            denied(Call::GetRecords, "KMSDisabledException"),
            Some(Problem::Encryption)
        );
        assert_eq!(
            denied(Call::ListShards, "ResourceNotFoundException"),
            Some(Problem::NoStream)
        );
        for (call, code) in [
            (Call::GetRecords, "ResourceNotFoundException"),
            (Call::GetShardIterator, "InvalidArgumentException"),
            (Call::GetRecords, "ProvisionedThroughputExceededException"),
            (Call::GetRecords, "ExpiredIteratorException"),
        ] {
            assert_eq!(denied(call, code), None, "{code}");
        }
    }

    #[test]
    fn advice_names_what_to_set_and_where_was_looked() {
        let mut place = Place {
            stream: "clicks".to_owned(),
            region: Some("eu-west-1".to_owned()),
            endpoint_url: None,
        };
        let advice = Problem::NoStream.advice(&place);
        assert!(advice.contains("`region` (eu-west-1)"), "{advice}");
        place.endpoint_url = Some("http://127.0.0.1:9".to_owned());
        let advice = Problem::Unreachable.advice(&place);
        assert!(
            advice.contains("`endpoint_url` (http://127.0.0.1:9)"),
            "{advice}"
        );
        assert!(Problem::NoRegion.advice(&place).contains("AWS_REGION"));
        let advice = Problem::NoCredentials.advice(&place);
        assert!(advice.contains("AWS_ACCESS_KEY_ID"));
    }
}
