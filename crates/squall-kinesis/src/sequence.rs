//! Sequence numbers: decimals of any length, compared as the numbers they are.
//!
//! They are about 56 digits long today and may grow; no machine integer holds them.

use std::cmp::Ordering;
use std::fmt;

use squall_core::Str;
use thiserror::Error;

/// The longest sequence number, in digits: far above what the service's own pattern allows.
pub const MAX_SEQUENCE_DIGITS: usize = 1024;

/// A record's place in its shard. Increasing within a shard, not dense, and comparable there only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sequence(Str);

/// A text that is no sequence number.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SequenceError {
    /// Something else than digits, or nothing.
    #[error("`{0}` is no sequence number: it has to be a decimal number")]
    NotDecimal(String),
    /// Longer than [`MAX_SEQUENCE_DIGITS`].
    #[error("a sequence number of {0} digits is longer than {MAX_SEQUENCE_DIGITS}")]
    TooLong(usize),
}

impl Sequence {
    /// Reads a decimal number; leading zeros don't count.
    ///
    /// # Errors
    /// [`SequenceError`].
    pub fn parse(text: &str) -> Result<Self, SequenceError> {
        if text.len() > MAX_SEQUENCE_DIGITS {
            return Err(SequenceError::TooLong(text.len()));
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SequenceError::NotDecimal(text.to_owned()));
        }
        let significant = text.trim_start_matches('0');
        let significant = if significant.is_empty() {
            "0"
        } else {
            significant
        };
        Ok(Self(Str::new(significant)))
    }

    /// Returns the number as text, without leading zeros.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the number as a value that clones cheaply.
    pub(crate) const fn as_value(&self) -> &Str {
        &self.0
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without leading zeros the longer number is the larger one.
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;

    fn sequence(text: &str) -> Sequence {
        Sequence::parse(text).unwrap()
    }

    #[test]
    fn reads_decimals_only() {
        assert_eq!(sequence("007").as_str(), "7");
        assert_eq!(sequence("000").as_str(), "0");
        for text in ["", "-1", "+1", "1e3", "12a", " 1", "٣"] {
            assert!(Sequence::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Sequence::parse(&"9".repeat(1025)),
            Err(SequenceError::TooLong(1025))
        );
    }

    #[test]
    fn numbers_beyond_128_bits_keep_their_order() {
        let small = sequence("49590338271490256608559692538361571095921575989136588801");
        let large = sequence("49590338271490256608559692538361571095921575989136588802");
        let longer = sequence("149590338271490256608559692538361571095921575989136588801");
        assert!(small < large && large < longer);
        assert!(sequence("340282366920938463463374607431768211456") > sequence("99"));
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_numbers(a in "[0-9]{1,80}", b in "[0-9]{1,80}") {
            let number = |text: &str| text.parse::<BigUint>().unwrap();
            prop_assert_eq!(sequence(&a).cmp(&sequence(&b)), number(&a).cmp(&number(&b)));
            prop_assert_eq!(sequence(&a) == sequence(&b), number(&a) == number(&b));
        }
    }
}
