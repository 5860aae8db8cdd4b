//! Versions of glibc, in their order.

use std::fmt;
use std::str::FromStr;

use crate::field::{At, FieldError};

/// A version of glibc: 2.9 is older than 2.36.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlibcVersion {
    /// 2 for all of this century.
    pub major: u16,
    /// The release.
    pub minor: u16,
}

impl GlibcVersion {
    /// Takes a version that may be absent.
    pub(super) fn given(field: &str, text: &str) -> Result<Option<Self>, FieldError> {
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).at(field)
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for GlibcVersion {
    type Err = FieldError;

    /// Reads `2.36`; of `2.36.1`, as some symbols have it, the third number is dropped.
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let wrong = || FieldError::of_text("", "a glibc version such as `2.36`", text);
        let mut parts = text.split('.').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        });
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), None | Some(Some(_)), None) => {
                Ok(Self { major, minor })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let version = |text: &str| text.parse::<GlibcVersion>().unwrap();
        assert!(version("2.9") < version("2.36"));
        assert!(version("2.36") < version("3.0"));
        assert_eq!(version("2.2.5"), version("2.2"));
        assert_eq!(version("2.36").to_string(), "2.36");
        for wrong in ["", "2", "2.", ".3", "2.x", "2.3.4.5", "2.+3", "2.99999"] {
            assert!(wrong.parse::<GlibcVersion>().is_err(), "{wrong}");
        }
    }
}
