//! From values to Rust types, by serde: `input.to::<Click>()?`.

use std::fmt;
use std::sync::Arc;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, DeserializeOwned, IntoDeserializer, Visitor};

use super::{Str, Value};
use crate::error::RowError;

/// Anything that deserialises from a struct of named fields.
pub trait FromRow: DeserializeOwned {}
impl<T: DeserializeOwned> FromRow for T {}

/// Reads a `T` from the named fields of one row.
///
/// # Errors
/// [`RowError`] when a field is missing or of another type than `T` wants.
pub fn from_row<T: FromRow>(fields: &[Str], values: &[Value]) -> Result<T, RowError> {
    let entries = fields.iter().map(Str::as_str).zip(values);
    T::deserialize(MapDeserializer::new(entries))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Value, E> {
        i64::try_from(v)
            .map(Value::I64)
            .map_err(|_| E::custom(format_args!("{v} is above the largest i64")))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_bytes<E>(self, v: &[u8]) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: de::Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        Value::deserialize(d)
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Value>()? {
            items.push(item);
        }
        Ok(Value::List(Arc::from(items)))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = std::collections::BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<Str, Value>()? {
            entries.insert(key, value);
        }
        Ok(entries.into())
    }
}

impl<'de, 'v: 'de> IntoDeserializer<'de, RowError> for &'v Value {
    type Deserializer = FromValue<'v>;
    fn into_deserializer(self) -> FromValue<'v> {
        FromValue(self)
    }
}

/// Reads from one value; what `T: Deserialize` asks for is checked against what stands there.
pub struct FromValue<'v>(&'v Value);

impl<'de, 'v: 'de> de::Deserializer<'de> for FromValue<'v> {
    type Error = RowError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::I64(number) => visitor.visit_i64(*number),
            Value::F64(number) => visitor.visit_f64(*number),
            Value::Str(text) => visitor.visit_borrowed_str(text),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::List(items) => visitor.visit_seq(SeqDeserializer::new(items.iter())),
            Value::Map(map) => {
                let entries = map.iter().map(|(key, value)| (key.as_str(), value));
                visitor.visit_map(MapDeserializer::new(entries))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        match self.0 {
            Value::Str(text) => visitor.visit_enum(StrDeserializer::new(text)),
            Value::Map(map) => {
                let entries = map.iter().map(|(key, value)| (key.as_str(), value));
                visitor.visit_enum(de::value::MapAccessDeserializer::new(MapDeserializer::new(
                    entries,
                )))
            }
            other => Err(de::Error::custom(format_args!(
                "expected the name of a variant, found {}",
                other.kind()
            ))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::value::to_row;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    enum Device {
        Phone,
        Desk { screens: u8 },
    }

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Click {
        page: String,
        status: u16,
        referrer: Option<String>,
        tags: Vec<String>,
        device: Device,
    }

    #[test]
    fn rows_survive_the_way_to_values_and_back() {
        let fields = ["status", "page", "referrer", "tags", "device"].map(Str::new_static);
        for device in [Device::Phone, Device::Desk { screens: 2 }] {
            let click = Click {
                page: "/".into(),
                status: 200,
                referrer: None,
                tags: vec!["a".into()],
                device,
            };
            let mut values = Vec::new();
            to_row(&click, &fields, &mut values).unwrap();
            assert_eq!(values[0], Value::I64(200));
            assert_eq!(from_row::<Click>(&fields, &values).unwrap(), click);
        }
    }

    #[test]
    fn names_the_field_that_the_stream_does_not_declare() {
        #[derive(Serialize)]
        struct Row {
            word: &'static str,
        }
        let mut values = Vec::new();
        let error =
            to_row(&Row { word: "a" }, &[Str::new_static("count")], &mut values).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the row has a field `word`, the stream declares: count"
        );
        assert!(values.is_empty());
    }
}
