//! From Rust types to values, by serde: `out.emit_row(&click)?`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::{self, Serialize};

use super::{Str, Value};
use crate::error::RowError;

/// Anything that serialises to a struct or map of named fields.
pub trait ToRow: Serialize {}
impl<T: Serialize + ?Sized> ToRow for T {}

/// Lays the named fields of `row` out in the order of `fields` and appends them to `values`.
///
/// A field that `row` lacks becomes `Null`.
///
/// # Errors
/// [`RowError`] when `row` is no struct or map, has a field that the stream doesn't declare, or holds
/// something that no [`Value`] can express (an unsigned number above `i64::MAX`). `values` is then
/// left as it was.
pub fn to_row<T: ToRow + ?Sized>(
    row: &T,
    fields: &[Str],
    values: &mut Vec<Value>,
) -> Result<(), RowError> {
    let Value::Map(map) = row.serialize(ToValue)? else {
        return Err(RowError::new(
            "a row is a struct or a map with one entry per field",
        ));
    };
    if let Some(stranger) = map.keys().find(|key| !fields.contains(key)) {
        return Err(RowError::new(format!(
            "the row has a field `{stranger}`, the stream declares: {}",
            fields.join(", ")
        )));
    }
    values.extend(
        fields
            .iter()
            .map(|field| map.get(field).cloned().unwrap_or_default()),
    );
    Ok(())
}

/// Values serialise as what they hold, so that a row can be written as JSON.
impl Serialize for Value {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::I64(number) => serializer.serialize_i64(*number),
            Self::F64(number) => serializer.serialize_f64(*number),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(items) => serializer.collect_seq(items.iter()),
            Self::Map(map) => serializer.collect_map(map.iter()),
        }
    }
}

struct ToValue;

type SerResult = Result<Value, RowError>;

impl ser::Serializer for ToValue {
    type Ok = Value;
    type Error = RowError;
    type SerializeSeq = ListWriter;
    type SerializeTuple = ListWriter;
    type SerializeTupleStruct = ListWriter;
    type SerializeTupleVariant = VariantWriter<ListWriter>;
    type SerializeMap = MapWriter;
    type SerializeStruct = MapWriter;
    type SerializeStructVariant = VariantWriter<MapWriter>;

    fn serialize_bool(self, v: bool) -> SerResult {
        Ok(v.into())
    }
    fn serialize_i8(self, v: i8) -> SerResult {
        Ok(v.into())
    }
    fn serialize_i16(self, v: i16) -> SerResult {
        Ok(v.into())
    }
    fn serialize_i32(self, v: i32) -> SerResult {
        Ok(v.into())
    }
    fn serialize_i64(self, v: i64) -> SerResult {
        Ok(v.into())
    }
    fn serialize_u8(self, v: u8) -> SerResult {
        Ok(v.into())
    }
    fn serialize_u16(self, v: u16) -> SerResult {
        Ok(v.into())
    }
    fn serialize_u32(self, v: u32) -> SerResult {
        Ok(v.into())
    }
    fn serialize_u64(self, v: u64) -> SerResult {
        i64::try_from(v)
            .map(Value::I64)
            .map_err(|_| RowError::new(format!("{v} is above the largest i64")))
    }
    fn serialize_f32(self, v: f32) -> SerResult {
        Ok(v.into())
    }
    fn serialize_f64(self, v: f64) -> SerResult {
        Ok(v.into())
    }
    fn serialize_char(self, v: char) -> SerResult {
        Ok(Value::Str(Str::from_iter([v])))
    }
    fn serialize_str(self, v: &str) -> SerResult {
        Ok(v.into())
    }
    fn serialize_bytes(self, v: &[u8]) -> SerResult {
        Ok(v.into())
    }
    fn serialize_none(self) -> SerResult {
        Ok(Value::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> SerResult {
        value.serialize(self)
    }
    fn serialize_unit(self) -> SerResult {
        Ok(Value::Null)
    }
    fn serialize_unit_struct(self, _name: &'static str) -> SerResult {
        Ok(Value::Null)
    }
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> SerResult {
        Ok(variant.into())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> SerResult {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> SerResult {
        Ok(tagged(variant, value.serialize(self)?))
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<ListWriter, RowError> {
        Ok(ListWriter(Vec::with_capacity(len.unwrap_or(0).min(1024))))
    }
    fn serialize_tuple(self, len: usize) -> Result<ListWriter, RowError> {
        self.serialize_seq(Some(len))
    }
    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        len: usize,
    ) -> Result<ListWriter, RowError> {
        self.serialize_seq(Some(len))
    }
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<VariantWriter<ListWriter>, RowError> {
        Ok(VariantWriter {
            variant,
            content: self.serialize_seq(Some(len))?,
        })
    }
    fn serialize_map(self, _len: Option<usize>) -> Result<MapWriter, RowError> {
        Ok(MapWriter::default())
    }
    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<MapWriter, RowError> {
        Ok(MapWriter::default())
    }
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<VariantWriter<MapWriter>, RowError> {
        Ok(VariantWriter {
            variant,
            content: MapWriter::default(),
        })
    }
}

fn tagged(variant: &'static str, value: Value) -> Value {
    BTreeMap::from([(Str::new_static(variant), value)]).into()
}

struct ListWriter(Vec<Value>);

impl ListWriter {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowError> {
        self.0.push(value.serialize(ToValue)?);
        Ok(())
    }

    fn finish(self) -> Value {
        Value::List(Arc::from(self.0))
    }
}

impl ser::SerializeSeq for ListWriter {
    type Ok = Value;
    type Error = RowError;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowError> {
        self.push(value)
    }
    fn end(self) -> SerResult {
        Ok(self.finish())
    }
}

impl ser::SerializeTuple for ListWriter {
    type Ok = Value;
    type Error = RowError;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowError> {
        self.push(value)
    }
    fn end(self) -> SerResult {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleStruct for ListWriter {
    type Ok = Value;
    type Error = RowError;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowError> {
        self.push(value)
    }
    fn end(self) -> SerResult {
        Ok(self.finish())
    }
}

#[derive(Default)]
struct MapWriter {
    map: BTreeMap<Str, Value>,
    key: Option<Str>,
}

impl ser::SerializeMap for MapWriter {
    type Ok = Value;
    type Error = RowError;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), RowError> {
        let Value::Str(key) = key.serialize(ToValue)? else {
            return Err(RowError::new("the keys of a map are text"));
        };
        self.key = Some(key);
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowError> {
        let key = self
            .key
            .take()
            .ok_or_else(|| RowError::new("a value without a key"))?;
        self.map.insert(key, value.serialize(ToValue)?);
        Ok(())
    }
    fn end(self) -> SerResult {
        Ok(self.map.into())
    }
}

impl ser::SerializeStruct for MapWriter {
    type Ok = Value;
    type Error = RowError;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), RowError> {
        self.map
            .insert(Str::new_static(key), value.serialize(ToValue)?);
        Ok(())
    }
    fn end(self) -> SerResult {
        Ok(self.map.into())
    }
}

struct VariantWriter<C> {
    variant: &'static str,
    content: C,
}

impl ser::SerializeTupleVariant for VariantWriter<ListWriter> {
    type Ok = Value;
    type Error = RowError;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowError> {
        self.content.push(value)
    }
    fn end(self) -> SerResult {
        Ok(tagged(self.variant, self.content.finish()))
    }
}

impl ser::SerializeStructVariant for VariantWriter<MapWriter> {
    type Ok = Value;
    type Error = RowError;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), RowError> {
        ser::SerializeStruct::serialize_field(&mut self.content, key, value)
    }
    fn end(self) -> SerResult {
        Ok(tagged(self.variant, self.content.map.into()))
    }
}
