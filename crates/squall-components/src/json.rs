//! `json`: fields out of JSON text.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::{Bolt, Emitter, Inputs, Outputs, Result, TaskContext, Tuple, Value};

use crate::input::TextInput;
use crate::unparsed::OnUnparsed;

/// Parses JSON text and emits the parts of it that are asked for.
///
/// Output fields: those of `fields`, in their order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "fields": { "user": "/user/id", "ts": "/ts" } }))]
pub struct JsonConfig {
    /// The output fields and where their values stand, as JSON pointers: `{ user: /user/id }`. The empty
    /// pointer is the whole text. Where nothing stands, the value is null.
    #[schemars(with = "BTreeMap<String, String>")]
    pub fields: IndexMap<String, String>,
    /// The field that holds the text, as text or bytes. Default: `data` if there is one, else `line`.
    #[serde(default)]
    pub field: Option<String>,
    /// What becomes of text that isn't JSON, or holds an integer above the largest i64. Default `reject`.
    #[serde(default)]
    pub on_unparsed: OnUnparsed,
}

/// See [`JsonConfig`].
pub struct Json {
    fields: IndexMap<String, String>,
    on_unparsed: OnUnparsed,
    text: TextInput,
}

impl Json {
    /// Makes the bolt.
    ///
    /// # Errors
    /// No fields, or a pointer that neither is empty nor begins with `/`.
    pub fn new(config: JsonConfig) -> Result<Self> {
        if config.fields.is_empty() {
            Err(
                "`fields` is empty: name the fields and where they stand, as in { user: /user/id }",
            )?;
        }
        for (name, pointer) in &config.fields {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                Err(format!(
                    "`{pointer}`, where `{name}` stands, is no JSON pointer: write `/{pointer}`"
                ))?;
            }
        }
        Ok(Self {
            fields: config.fields,
            on_unparsed: config.on_unparsed,
            text: TextInput::new(config.field),
        })
    }

    fn parse(&self, text: &[u8]) -> serde_json::Result<Vec<Value>> {
        let json: serde_json::Value = serde_json::from_slice(text)?;
        let pointers = self.fields.values();
        pointers
            .map(|pointer| match json.pointer(pointer) {
                Some(part) => Value::deserialize(part),
                None => Ok(Value::Null),
            })
            .collect()
    }
}

impl Bolt for Json {
    fn outputs(&self) -> Outputs {
        let fields = Outputs::fields(self.fields.keys());
        self.on_unparsed.declare(fields)
    }

    fn inputs(&self) -> Inputs {
        self.text.needs()
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.text.prepare(ctx)
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let (text, bytes) = self.text.of(input)?;
        match self.parse(bytes) {
            Ok(row) => Ok(out.emit(row)?),
            Err(error) => self.on_unparsed.handle(text, error, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use squall_core::Remedy;

    use super::*;
    use crate::harness::{BoltHarness, schema, tuple};

    fn json(config: serde_json::Value) -> BoltHarness<Json> {
        let config = serde_json::from_value(config).unwrap();
        let mut json = BoltHarness::new(Json::new(config).unwrap()).inputs([schema(&["data"])]);
        json.prepare().unwrap();
        json
    }

    fn data(text: &str) -> Tuple {
        tuple(&["data"], [Value::from(text.as_bytes())])
    }

    #[test]
    fn emits_fields_in_the_order_of_the_config() {
        let config = serde_json::json!({ "fields": {
            "z": "/user/id", "a": "/tags/1", "gone": "/user/name/first", "slash": "/a~1b",
        } });
        let mut json = json(config);
        json.execute(&data(
            r#"{ "user": { "id": 7 }, "tags": [null, "x"], "a/b": [1.5] }"#,
        ))
        .unwrap();
        let list = Value::from(vec![Value::from(1.5)]);
        assert_eq!(
            json.emitted(),
            [vec![7.into(), "x".into(), Value::Null, list]]
        );
    }

    #[test]
    fn what_does_not_parse_fails_for_good_or_goes_to_its_stream() {
        let mut reject = json(serde_json::json!({ "fields": { "a": "/a" } }));
        for text in ["{", "", r#"{ "a": 18446744073709551615 }"#] {
            let error = reject.execute(&data(text)).unwrap_err();
            assert_eq!(error.remedy(), Remedy::DeadLetter);
        }
        let mut emit = json(serde_json::json!({ "fields": { "a": "" }, "on_unparsed": "emit" }));
        emit.execute(&data("{")).unwrap();
        assert_eq!(
            emit.emitted_to("unparsed")[0][0].as_bytes(),
            Some(&b"{"[..])
        );
    }

    #[test]
    fn refuses_what_is_no_pointer() {
        let config = serde_json::from_value(serde_json::json!({ "fields": { "a": "b" } })).unwrap();
        let error = Json::new(config).err().unwrap().to_string();
        assert!(error.contains("write `/b`"), "{error}");
    }
}
