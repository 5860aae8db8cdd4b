//! Values, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use squall_core::{Str, Value};

use super::MAX_DEPTH;
use super::cost::Cost;
use super::error::{EncodeError, WireError};
use super::reader::Reader;
use super::varint::{put_varint, unzigzag, zigzag};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const I64: u8 = 3;
const F64: u8 = 4;
const STR: u8 = 5;
const BYTES: u8 = 6;
const LIST: u8 = 7;
const MAP: u8 = 8;
/// A tag from here on is a text whose length is the rest of it.
const SHORT_STR: u8 = 128;

/// How many items of a list get their memory before they are read.
const ITEMS_AT_ONCE: usize = 16;

/// Appends a value and all that is in it.
#[inline]
pub(crate) fn put_value(
    out: &mut Vec<u8>,
    value: &Value,
    depth: usize,
    cost: &mut Cost,
) -> Result<(), EncodeError> {
    cost.add_values(1);
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(truth) => out.push(if *truth { TRUE } else { FALSE }),
        Value::I64(number) => {
            out.push(I64);
            put_varint(out, zigzag(*number));
        }
        Value::F64(number) => {
            out.push(F64);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Value::Str(text) => put_text_value(out, text),
        Value::Bytes(bytes) => {
            out.push(BYTES);
            put_sized(out, bytes);
        }
        Value::List(items) => put_list(out, items, depth, cost)?,
        Value::Map(map) => put_map(out, map, depth, cost)?,
    }
    Ok(())
}

#[inline]
fn put_text_value(out: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(len) if len < SHORT_STR => {
            out.push(SHORT_STR + len);
            out.extend_from_slice(text.as_bytes());
        }
        _ => {
            out.push(STR);
            put_sized(out, text.as_bytes());
        }
    }
}

fn put_list(
    out: &mut Vec<u8>,
    items: &[Value],
    depth: usize,
    cost: &mut Cost,
) -> Result<(), EncodeError> {
    let depth = deeper(depth).ok_or(EncodeError::TooDeep)?;
    out.push(LIST);
    put_varint(out, items.len() as u64);
    items
        .iter()
        .try_for_each(|item| put_value(out, item, depth, cost))
}

fn put_map(
    out: &mut Vec<u8>,
    map: &BTreeMap<Str, Value>,
    depth: usize,
    cost: &mut Cost,
) -> Result<(), EncodeError> {
    let depth = deeper(depth).ok_or(EncodeError::TooDeep)?;
    out.push(MAP);
    put_varint(out, map.len() as u64);
    map.iter().try_for_each(|(key, value)| {
        cost.add_entry();
        put_sized(out, key.as_bytes());
        put_value(out, value, depth, cost)
    })
}

/// Appends bytes behind their length.
pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads a value and all that is in it.
#[inline]
pub(crate) fn read_value(
    reader: &mut Reader<'_>,
    depth: usize,
    cost: &mut Cost,
) -> Result<Value, WireError> {
    let at = reader.at();
    let tag = reader.u8("value")?;
    cost.add_values(1);
    if tag >= SHORT_STR {
        let text = reader.text(usize::from(tag - SHORT_STR))?;
        return Ok(Value::Str(Str::new(text)));
    }
    Ok(match tag {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        I64 => Value::I64(unzigzag(reader.varint64("i64")?)),
        F64 => Value::F64(f64::from_bits(reader.u64("f64")?)),
        STR => Value::Str(read_text(reader)?),
        BYTES => Value::Bytes(Arc::from(reader.sized("bytes")?)),
        LIST => read_list(reader, at, depth, cost)?,
        MAP => read_map(reader, at, depth, cost)?,
        found => {
            return Err(WireError::Unknown {
                what: "value",
                at,
                found,
            });
        }
    })
}

fn read_text(reader: &mut Reader<'_>) -> Result<Str, WireError> {
    let n_bytes = reader.count(1, "text")?;
    reader.text(n_bytes).map(Str::new)
}

fn read_list(
    reader: &mut Reader<'_>,
    at: usize,
    depth: usize,
    cost: &mut Cost,
) -> Result<Value, WireError> {
    let depth = deeper(depth).ok_or(WireError::TooDeep { at })?;
    let n_items = reader.count(1, "list")?;
    // Lists in lists may each claim all that is left: memory is taken as items are read.
    let mut items = Vec::with_capacity(n_items.min(ITEMS_AT_ONCE));
    for _ in 0..n_items {
        items.push(read_value(reader, depth, cost)?);
    }
    Ok(Value::List(Arc::from(items)))
}

fn read_map(
    reader: &mut Reader<'_>,
    at: usize,
    depth: usize,
    cost: &mut Cost,
) -> Result<Value, WireError> {
    let depth = deeper(depth).ok_or(WireError::TooDeep { at })?;
    let n_entries = reader.count(2, "map")?;
    let mut map: BTreeMap<Str, Value> = BTreeMap::new();
    for _ in 0..n_entries {
        let at = reader.at();
        let key = read_text(reader)?;
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(WireError::KeysNotAscending { at });
        }
        cost.add_entry();
        let value = read_value(reader, depth, cost)?;
        map.insert(key, value);
    }
    Ok(Value::Map(Arc::new(map)))
}

fn deeper(depth: usize) -> Option<usize> {
    (depth < MAX_DEPTH).then_some(depth + 1)
}
