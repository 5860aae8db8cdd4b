//! A failed call as the spout's error table has it: a class, and one short sentence.
//!
//! The SDK's own long form is a dump of everything it knows; what an operator needs of it is the service's
//! word, or the innermost cause. Neither holds credentials.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use crate::api::{ApiError, ErrorClass};

/// The longest sentence, in characters.
const MAX_CHARS: usize = 240;

/// Puts a failed call into the spout's error table.
pub(crate) fn explain<E>(error: &SdkError<E>) -> ApiError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    if let Some(code) = error.code() {
        let class = ErrorClass::of(code, status);
        return api_error(class, code, error.message().unwrap_or("no message came"));
    }
    if let Some(missing) = sources(error).find_map(|cause| cause.downcast_ref()) {
        return without_credentials(missing);
    }
    let cause = innermost(error);
    match error {
        SdkError::TimeoutError(_) => api_error(ErrorClass::Unreachable, "Timeout", &cause),
        SdkError::DispatchFailure(_) => api_error(ErrorClass::Unreachable, "Unreachable", &cause),
        _ => match status {
            Some(status) => {
                let code = format!("HTTP {status}");
                api_error(ErrorClass::of(&code, Some(status)), &code, &cause)
            }
            None => api_error(ErrorClass::Transient, "Unknown", &cause),
        },
    }
}

/// A provider that has none says so for good; one that failed may have some the next time.
fn without_credentials(error: &CredentialsError) -> ApiError {
    let cause = innermost(error);
    match error {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            api_error(ErrorClass::NoCredentials, "NoCredentials", &cause)
        }
        _ => api_error(ErrorClass::Unreachable, "CredentialsUnavailable", &cause),
    }
}

fn api_error(class: ErrorClass, code: &str, text: &str) -> ApiError {
    ApiError {
        class,
        code: code.to_owned(),
        message: sentence(text),
    }
}

/// Returns the text of the cause of all causes.
fn innermost(error: &dyn Error) -> String {
    let last = sources(error).last();
    last.map_or_else(|| error.to_string(), ToString::to_string)
}

fn sources<'e>(error: &'e dyn Error) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// Returns the first line, without a list's heading at its end, cut where it is too long.
fn sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let line = line.strip_suffix("Attempted:").unwrap_or(line).trim_end();
    let line = line.strip_suffix([':', '.']).unwrap_or(line);
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(line)),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::error::ConnectorError;
    use aws_sdk_kinesis::operation::list_shards::ListShardsError;

    use super::*;

    fn dispatch(cause: impl Into<Box<dyn Error + Send + Sync>>) -> ApiError {
        let failure = ConnectorError::other(cause.into(), None);
        explain(&SdkError::<ListShardsError>::dispatch_failure(failure))
    }

    #[test]
    fn the_innermost_cause_is_what_is_said() {
        let refused = std::io::Error::from_raw_os_error(111);
        let error = dispatch(std::io::Error::other(refused));
        assert_eq!(error.class, ErrorClass::Unreachable);
        assert_eq!(
            error.to_string(),
            "Unreachable: Connection refused (os error 111)"
        );
    }

    #[test]
    fn credentials_that_are_not_there_are_no_fault_of_the_network() {
        let chain = "no credentials found in chain. Attempted:\n  Environment: no";
        let error = dispatch(CredentialsError::not_loaded(chain));
        assert_eq!(error.class, ErrorClass::NoCredentials);
        assert_eq!(error.message, "no credentials found in chain");
        let error = dispatch(CredentialsError::provider_error(
            "503 from the token service",
        ));
        assert_eq!(error.class, ErrorClass::Unreachable);
        assert_eq!(error.code, "CredentialsUnavailable");
        assert_eq!(error.message, "503 from the token service");
    }

    #[test]
    fn a_sentence_is_one_short_line() {
        assert_eq!(sentence("Stream x not found.\nmore"), "Stream x not found");
        assert_eq!(sentence(&"ü".repeat(300)).chars().count(), MAX_CHARS + 1);
        assert_eq!(sentence(""), "");
    }
}
