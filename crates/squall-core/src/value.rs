//! The values that tuples carry.
//!
//! **Invariant:** a [`Value`] is at most 24 bytes; cloning one never copies more than that.

mod de;
mod ser;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use smol_str::SmolStr as Str;

pub use de::{FromRow, from_row};
pub use ser::{ToRow, to_row};

/// One field's value: small, dynamically typed, cheap to clone.
///
/// Strings of up to 23 bytes live inline; longer strings, bytes, lists and maps are shared, so that
/// fan-out copies 24 bytes whatever the value holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// No value. Legal as a grouping key.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed 64-bit integer.
    I64(i64),
    /// A 64-bit float. As a key, `-0.0` equals `0.0` and every NaN is the same.
    F64(f64),
    /// UTF-8 text.
    Str(Str),
    /// Bytes, compared and grouped by content.
    Bytes(Arc<[u8]>),
    /// An ordered list.
    List(Arc<[Value]>),
    /// A map with text keys, ordered by key.
    Map(Arc<BTreeMap<Str, Value>>),
}

impl Value {
    /// Names the variant in lower case, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::I64(_) => "i64",
            Self::F64(_) => "f64",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// Returns the text of a `Str`.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the bytes of a `Bytes`, or those of a `Str`'s UTF-8 text.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Str(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// Returns the number of an `I64`.
    #[must_use]
    #[inline]
    pub const fn as_i64(&self) -> Option<i64> {
        match self {
            Self::I64(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the number of an `F64`, or of an `I64` converted (rounded above 2^53).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "documented rounding")]
    pub const fn as_f64(&self) -> Option<f64> {
        match self {
            Self::F64(number) => Some(*number),
            Self::I64(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// Returns the truth value of a `Bool`.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Tells whether this is `Null`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the bytes that this value keeps outside its own 24, for memory accounting.
    ///
    /// Shared contents count in full in each clone: an upper bound, never an under-count.
    #[must_use]
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::I64(_) | Self::F64(_) => 0,
            Self::Str(text) if text.is_heap_allocated() => text.len(),
            Self::Str(_) => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) => list_bytes(items),
            Self::Map(map) => map_bytes(map),
        }
    }
}

/// Appends clones of values, one variant at a time: each is written where it is to lie. Were it put together somewhere
/// else first, copying it would have to wait until all that was written before has left the processor.
#[inline]
pub(crate) fn append_clones(values: &mut Vec<Value>, more: &[Value]) {
    values.reserve(more.len());
    for value in more {
        match value {
            Value::Null => values.push(Value::Null),
            Value::Bool(truth) => values.push(Value::Bool(*truth)),
            Value::I64(number) => values.push(Value::I64(*number)),
            Value::F64(number) => values.push(Value::F64(*number)),
            Value::Str(text) => values.push(Value::Str(text.clone())),
            Value::Bytes(_) | Value::List(_) | Value::Map(_) => values.push(value.clone()),
        }
    }
}

// Apart, so that asking a value without contents of its own is inlined.

fn list_bytes(items: &[Value]) -> usize {
    items.iter().map(|item| 24 + item.heap_bytes()).sum()
}

fn map_bytes(map: &BTreeMap<Str, Value>) -> usize {
    map.iter()
        .map(|(key, value)| 48 + key.len() + value.heap_bytes())
        .sum()
}

/// Writes the value as a person would read it: text bare, bytes as text where they are UTF-8.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::I64(number) => write!(f, "{number}"),
            Self::F64(number) => write!(f, "{number}"),
            Self::Str(text) => f.write_str(text),
            Self::Bytes(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::List(items) => f.debug_list().entries(items.iter()).finish(),
            Self::Map(map) => f.debug_map().entries(map.iter()).finish(),
        }
    }
}

macro_rules! value_from {
    ($($source:ty => |$name:ident| $value:expr;)*) => {$(
        impl From<$source> for Value {
            fn from($name: $source) -> Self { $value }
        }
    )*};
}

value_from! {
    bool => |truth| Self::Bool(truth);
    i64 => |number| Self::I64(number);
    i32 => |number| Self::I64(i64::from(number));
    i16 => |number| Self::I64(i64::from(number));
    i8 => |number| Self::I64(i64::from(number));
    u32 => |number| Self::I64(i64::from(number));
    u16 => |number| Self::I64(i64::from(number));
    u8 => |number| Self::I64(i64::from(number));
    f64 => |number| Self::F64(number);
    f32 => |number| Self::F64(f64::from(number));
    &str => |text| Self::Str(Str::new(text));
    String => |text| Self::Str(Str::from(text));
    &String => |text| Self::Str(Str::new(text));
    Str => |text| Self::Str(text);
    &Str => |text| Self::Str(text.clone());
    &[u8] => |bytes| Self::Bytes(Arc::from(bytes));
    Vec<u8> => |bytes| Self::Bytes(Arc::from(bytes));
    Arc<[u8]> => |bytes| Self::Bytes(bytes);
    Vec<Value> => |items| Self::List(Arc::from(items));
    BTreeMap<Str, Value> => |map| Self::Map(Arc::new(map));
    &Value => |value| value.clone();
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_at_most_24_bytes() {
        assert_eq!(size_of::<Value>(), 24);
        assert_eq!(size_of::<Option<Value>>(), 24);
    }

    #[test]
    fn shares_long_strings_and_inlines_short_ones() {
        let long = Value::from("a string that is longer than twenty-three bytes");
        let copy = long.clone();
        assert_eq!(
            long.as_str().unwrap().as_ptr(),
            copy.as_str().unwrap().as_ptr()
        );
        assert_eq!(Value::from("twenty-three bytes long").heap_bytes(), 0);
        assert_eq!(long.heap_bytes(), 47);
    }
}
