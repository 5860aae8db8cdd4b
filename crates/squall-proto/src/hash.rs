//! Fixed numbers of bytes, shown in hex: hashes, and ids that are drawn at random.

use std::fmt;
use std::str::FromStr;

use crate::field::FieldError;

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident: $n:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $n]);

        impl $name {
            /// Wraps the bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $n]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $n] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                from_hex(text).map(Self).ok_or_else(|| {
                    let expected = concat!($what, " in lower-case hex digits");
                    FieldError::of_text("", expected, text)
                })
            }
        }
    };
}

fixed_bytes! {
    /// What a blob or a spec is known by. On the wire its bytes, in texts 64 lower-case hex digits.
    Sha256: 32, "a SHA-256"
}

fixed_bytes! {
    /// Which cluster: drawn at random when nimbus's store is made. 32 lower-case hex digits.
    ClusterId: 16, "a cluster's id"
}

fixed_bytes! {
    /// What proves that a worker is a supervisor's own: drawn at random for each start. 32 lower-case hex
    /// digits. Its `Debug` doesn't show it.
    Cookie: 16, "a cookie"
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterId({self})")
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(…)")
    }
}

impl TryFrom<Vec<u8>> for Sha256 {
    type Error = FieldError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, FieldError> {
        let n_bytes = bytes.len();
        let wrong = |_| FieldError::new("", "a SHA-256 of 32 bytes", n_bytes);
        bytes.try_into().map(Self).map_err(wrong)
    }
}

impl From<Sha256> for Vec<u8> {
    fn from(sha256: Sha256) -> Self {
        sha256.0.to_vec()
    }
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect();
    bytes?.try_into().ok()
}

const fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_both_ways_and_is_strict() {
        let text = "000102030405060708090a0b0c0d0eff";
        let id: ClusterId = text.parse().unwrap();
        assert_eq!(id.as_bytes()[14..], [14, 255]);
        assert_eq!(id.to_string(), text);
        for wrong in ["", "00", &text.to_uppercase(), &text[1..], "é"] {
            assert!(wrong.parse::<ClusterId>().is_err(), "{wrong}");
        }
        assert!(Sha256::try_from(vec![0; 31]).is_err());
    }

    #[test]
    fn a_cookie_stays_out_of_logs() {
        let cookie = Cookie::new([7; 16]);
        assert_eq!(format!("{cookie:?}"), "Cookie(…)");
    }
}
