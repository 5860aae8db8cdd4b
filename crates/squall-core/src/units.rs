//! Durations and sizes as people write them: `30s`, `64KiB`. Never a bare number.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A text that is no quantity with a unit.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UnitError {
    /// No number, no unit, or one that isn't known.
    #[error("`{text}` is no {what}: write a number and a unit, as in {example} (units: {units})")]
    Malformed {
        /// What was written.
        text: String,
        /// What was wanted.
        what: &'static str,
        /// How it looks when it is right.
        example: &'static str,
        /// The units there are.
        units: &'static str,
    },
    /// Larger than can be expressed.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// A span of time: a whole number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

/// A size in bytes: a whole number and `B`, `KiB`, `MiB` or `GiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const DURATIONS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];
const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl HumanDuration {
    /// Makes a duration of whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Makes a duration of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl ByteSize {
    /// Makes a size of whole mebibytes.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// Makes a size of whole kibibytes.
    #[must_use]
    pub const fn kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    /// Returns the bytes as a length in memory, at most `usize::MAX`.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for HumanDuration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, &DURATIONS, "duration", "30s", "ms, s, m, h, d").map(Self::from_millis)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, &SIZES, "size", "64KiB", "B, KiB, MiB, GiB").map(Self)
    }
}

fn parse(
    text: &str,
    table: &[(&str, u64)],
    what: &'static str,
    example: &'static str,
    units: &'static str,
) -> Result<u64, UnitError> {
    let malformed = || UnitError::Malformed {
        text: text.to_owned(),
        what,
        example,
        units,
    };
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(malformed)?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = table
        .iter()
        .find(|(name, _)| *name == unit.trim())
        .ok_or_else(malformed)?;
    if number.is_empty() {
        return Err(malformed());
    }
    let number = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor));
    number.ok_or_else(|| UnitError::TooLarge(text.to_owned()))
}

fn write(
    quantity: u64,
    table: &[(&str, u64)],
    smallest: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let fitting = table
        .iter()
        .find(|(_, factor)| quantity > 0 && quantity.is_multiple_of(*factor));
    match fitting {
        Some((unit, factor)) => write!(f, "{}{unit}", quantity / factor),
        None => write!(f, "{quantity}{smallest}"),
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write(millis, &DURATIONS, "s", f)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, &SIZES, "B", f)
    }
}

macro_rules! text_format {
    ($name:ident, $pattern:literal, $example:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a number with a unit, as in ", $example))
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}

text_format!(HumanDuration, "^[0-9]+(ms|s|m|h|d)$", "30s");
text_format!(ByteSize, "^[0-9]+(B|KiB|MiB|GiB)$", "64KiB");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["0s", "1ms", "1500ms", "30s", "5m", "36h", "7d"] {
            assert_eq!(text.parse::<HumanDuration>().unwrap().to_string(), text);
        }
        for text in ["0B", "1B", "64KiB", "3MiB", "1GiB"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn says_what_is_missing() {
        for text in ["30", "s", "", "-1s", "1.5s", "3 weeks"] {
            let error = text.parse::<HumanDuration>().unwrap_err().to_string();
            assert!(
                error.contains("write a number and a unit, as in 30s"),
                "{error}"
            );
        }
        let huge = "99999999999999999999d";
        assert_eq!(
            huge.parse::<HumanDuration>(),
            Err(UnitError::TooLarge(huge.into()))
        );
    }
}
