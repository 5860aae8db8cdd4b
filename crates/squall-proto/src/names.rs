//! The names of topologies and supervisors.

use std::fmt;
use std::str::FromStr;

use squall_core::{SupervisorId, TopologyId};

use crate::bounds::{MAX_SUPERVISOR_ID_BYTES, MAX_TOPOLOGY_NAME_BYTES};
use crate::check;
use crate::field::{At, FieldError};

/// A topology's name: 1 to [`MAX_TOPOLOGY_NAME_BYTES`] letters, digits, `.`, `_` and `-`, but not `.` or
/// `..`, so that it can be part of a file's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopologyName(String);

impl TopologyName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes the id of the topology that is the cluster's `number`th.
    #[must_use]
    pub fn id(&self, number: u64) -> TopologyId {
        TopologyId::new(format!("{}-{number}", self.0))
    }

    /// Returns the name and the number of a topology's id.
    ///
    /// # Errors
    /// The id isn't a name, `-` and a number.
    pub fn of_id(id: &TopologyId) -> Result<(Self, u64), FieldError> {
        let wrong = || {
            let expected = "a topology's name, `-` and a number";
            FieldError::of_text("", expected, id.as_str())
        };
        let (name, digits) = id.as_str().rsplit_once('-').ok_or_else(wrong)?;
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let name: Self = name.parse().map_err(|_| wrong())?;
        // `007` and `+7` are numbers, but not of ours.
        if name.id(number) == *id {
            Ok((name, number))
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for TopologyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for TopologyName {
    type Err = FieldError;

    fn from_str(name: &str) -> Result<Self, FieldError> {
        name.to_owned().try_into()
    }
}

impl TryFrom<String> for TopologyName {
    type Error = FieldError;

    fn try_from(name: String) -> Result<Self, FieldError> {
        if name == "." || name == ".." {
            let expected = "a name that isn't a folder's";
            return Err(FieldError::of_text("", expected, &name));
        }
        check::word("", name, MAX_TOPOLOGY_NAME_BYTES).map(Self)
    }
}

impl From<TopologyName> for String {
    fn from(name: TopologyName) -> Self {
        name.0
    }
}

/// Takes the id of a topology.
pub(crate) fn topology_id(field: &str, id: String) -> Result<TopologyId, FieldError> {
    let id = TopologyId::new(id);
    TopologyName::of_id(&id).at(field)?;
    Ok(id)
}

/// Checks the id of a supervisor: 1 to [`MAX_SUPERVISOR_ID_BYTES`] letters, digits, `.`, `_` and `-`.
///
/// # Errors
/// It is something else.
pub fn supervisor_id(id: &str) -> Result<SupervisorId, FieldError> {
    check::word("", id.to_owned(), MAX_SUPERVISOR_ID_BYTES).map(SupervisorId::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_dots_dashes_and_underscores() {
        for name in ["a", "word-count", "A.b_c-9", "...", &"x".repeat(128)] {
            assert!(name.parse::<TopologyName>().is_ok(), "{name}");
        }
        let bad = ["", ".", "..", "a/b", "a b", "a\n", "é", &"x".repeat(129)];
        for name in bad {
            assert!(name.parse::<TopologyName>().is_err(), "{name}");
            assert!(name == "." || name == ".." || supervisor_id(name).is_err());
        }
    }

    #[test]
    fn ids_are_a_name_and_a_number() {
        let name: TopologyName = "a-1".parse().unwrap();
        let id = name.id(7);
        assert_eq!(id.as_str(), "a-1-7");
        assert_eq!(TopologyName::of_id(&id), Ok((name, 7)));
        for id in ["a", "a-", "a-x", "-7", "a-07", "a-+7", "a/b-7", "..-7"] {
            let error = topology_id("topology_id", id.to_owned()).unwrap_err();
            assert_eq!(error.path, "topology_id", "{id}");
        }
    }
}
