//! Names and numbers of things: never bare integers or strings.

use std::borrow::Borrow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::Str;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(#[schemars(with = "String")] Str);

        impl $name {
            /// Wraps a name; cloning it later is cheap.
            #[must_use]
            pub fn new(name: impl AsRef<str>) -> Self {
                Self(Str::new(name))
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    };
}

name! {
    /// The name of a spout or bolt inside its topology.
    ComponentId
}

name! {
    /// The name of one of a component's output streams.
    StreamId
}

name! {
    /// A topology of a cluster: its name, `-` and a number that no other topology of the cluster has had.
    TopologyId
}

name! {
    /// The name of one of a cluster's supervisors.
    SupervisorId
}

impl StreamId {
    /// The stream that an emit without a stream's name goes to.
    pub const DEFAULT: &'static str = "default";
}

impl Default for StreamId {
    fn default() -> Self {
        Self(Str::new_static(Self::DEFAULT))
    }
}

/// One instance of a component; numbered from 0 over the whole topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub u32);

impl TaskId {
    /// Returns the id as an index into a table of all tasks.
    #[must_use]
    pub const fn idx(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A spout's own number for a message, handed back with the verdict.
///
/// The engine never interprets it; two live messages of one task may even share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);
