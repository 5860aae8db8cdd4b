//! A tuple as one line of JSON, as `log` and `jsonl` write it.

use std::fmt::Write as _;
use std::io;

use serde::ser::{Serialize, SerializeMap, Serializer};
use squall_core::{Tuple, Value};

/// Appends the tuple as a JSON object with its fields in order, and a line feed.
///
/// Bytes are written as text where they are UTF-8, else as `{"hex":"00ff"}`; numbers that JSON lacks
/// (NaN, infinities) as null.
///
/// # Errors
/// None that is known; serde's are passed on.
pub(crate) fn write_line(tuple: &Tuple, line: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *line, &Row(tuple))?;
    line.push(b'\n');
    Ok(())
}

struct Row<'t>(&'t Tuple);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.fields().iter();
        serializer.collect_map(fields.zip(self.0.values().iter().map(Plain)))
    }
}

struct Plain<'v>(&'v Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => {
                    let mut map = serializer.serialize_map(Some(1))?;
                    map.serialize_entry("hex", &hex(bytes))?;
                    map.end()
                }
            },
            Value::List(items) => serializer.collect_seq(items.iter().map(Plain)),
            Value::Map(map) => {
                serializer.collect_map(map.iter().map(|(key, value)| (key, Plain(value))))
            }
            plain => plain.serialize(serializer),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String doesn't fail.
        write!(hex, "{byte:02x}").unwrap_or_default();
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::tuple;

    #[test]
    fn writes_fields_in_order_and_bytes_as_what_they_are() {
        let tuple = tuple(
            &["z", "a", "text", "raw", "list"],
            [
                Value::from(1),
                Value::Null,
                Value::from(&b"caf\xc3\xa9 \"x\""[..]),
                Value::from(&b"\x00\xff"[..]),
                Value::from(vec![Value::from(&b"b"[..]), Value::from(f64::NAN)]),
            ],
        );
        let mut line = Vec::new();
        write_line(&tuple, &mut line).unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"z\":1,\"a\":null,\"text\":\"café \\\"x\\\"\",\"raw\":{\"hex\":\"00ff\"},\
             \"list\":[\"b\",null]}\n"
        );
    }
}
