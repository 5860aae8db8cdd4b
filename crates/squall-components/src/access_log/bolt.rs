//! The bolt around the parser.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::{Bolt, Emitter, Inputs, Outputs, Result, TaskContext, Tuple};

use super::parse::parse;
use crate::input::TextInput;
use crate::unparsed::OnUnparsed;

/// Parses the lines of a web server's access log, in combined or common format.
///
/// Output fields: `remote_addr`, `user`, `time_ms` (since 1970), `method`, `path`, `protocol`, `status`,
/// `bytes`, `referrer`, `user_agent`. Texts are as they stand in the line, `-` and escapes included;
/// `bytes` is null where the line says `-`, and so are parts that the line lacks.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLogConfig {
    /// The field that holds the line, as text or bytes. Default: `data` if there is one, else `line`.
    pub field: Option<String>,
    /// What becomes of a line that can't be parsed. Default `reject`.
    pub on_unparsed: OnUnparsed,
}

/// See [`AccessLogConfig`].
pub struct AccessLog {
    on_unparsed: OnUnparsed,
    text: TextInput,
}

impl AccessLog {
    /// Makes the bolt.
    #[must_use]
    pub fn new(config: AccessLogConfig) -> Self {
        Self {
            on_unparsed: config.on_unparsed,
            text: TextInput::new(config.field),
        }
    }
}

impl Bolt for AccessLog {
    fn outputs(&self) -> Outputs {
        self.on_unparsed.declare(Outputs::fields([
            "remote_addr",
            "user",
            "time_ms",
            "method",
            "path",
            "protocol",
            "status",
            "bytes",
            "referrer",
            "user_agent",
        ]))
    }

    fn inputs(&self) -> Inputs {
        self.text.needs()
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        self.text.prepare(ctx)
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let (_, bytes) = self.text.of(input)?;
        let line = String::from_utf8_lossy(bytes);
        let entry = match parse(&line) {
            Ok(entry) => entry,
            Err(error) => {
                let text = line.as_ref().into();
                return self.on_unparsed.handle(&text, error, out);
            }
        };
        Ok(out.emit((
            entry.remote_addr,
            entry.user,
            entry.time_ms,
            entry.method,
            entry.path,
            entry.protocol,
            entry.status,
            entry.bytes,
            entry.referrer,
            entry.user_agent,
        ))?)
    }
}

#[cfg(test)]
mod tests {
    use squall_core::{Remedy, Value};

    use super::*;
    use crate::harness::{BoltHarness, schema, tuple};

    const LINE: &str = "10.0.0.1 - ann [01/Jan/1970:00:00:01 +0000] \"GET /a HTTP/1.1\" 200 12 \
                        \"http://b/\" \"curl\"";

    fn bolt(on_unparsed: OnUnparsed) -> BoltHarness<AccessLog> {
        BoltHarness::new(AccessLog::new(AccessLogConfig {
            field: None,
            on_unparsed,
        }))
    }

    fn expected() -> Vec<Value> {
        vec![
            "10.0.0.1".into(),
            "ann".into(),
            1000.into(),
            "GET".into(),
            "/a".into(),
            "HTTP/1.1".into(),
            200.into(),
            12.into(),
            "http://b/".into(),
            "curl".into(),
        ]
    }

    #[test]
    fn reads_data_as_bytes_or_line_as_text() {
        let of = |name, value: Value| tuple(&["x", name], [Value::Null, value]);
        for input in [of("data", LINE.as_bytes().into()), of("line", LINE.into())] {
            let mut bolt =
                bolt(OnUnparsed::Reject).inputs([schema(&["x", input.fields()[1].as_str()])]);
            bolt.prepare().unwrap();
            bolt.execute(&input).unwrap();
            assert_eq!(bolt.emitted(), [expected()]);
        }
    }

    #[test]
    fn one_input_may_have_data_and_another_line() {
        let inputs = [schema(&["x", "data"]), schema(&["line"])];
        let mut bolt = bolt(OnUnparsed::Reject).inputs(inputs);
        bolt.prepare().unwrap();
        let data = tuple(&["x", "data"], [Value::Null, LINE.into()]);
        for input in [data, tuple(&["line"], [LINE.into()])] {
            bolt.execute(&input).unwrap();
            assert_eq!(bolt.emitted(), [expected()]);
        }
    }

    #[test]
    fn what_does_not_parse_fails_for_good_or_goes_to_its_stream() {
        let input = tuple(&["line"], [Value::from("nonsense")]);
        let mut reject = bolt(OnUnparsed::Reject).inputs([schema(&["line"])]);
        reject.prepare().unwrap();
        assert_eq!(
            reject.execute(&input).unwrap_err().remedy(),
            Remedy::DeadLetter
        );

        let mut emit = bolt(OnUnparsed::Emit).inputs([schema(&["line"])]);
        emit.prepare().unwrap();
        emit.execute(&input).unwrap();
        let emitted = emit.emitted_to("unparsed");
        assert_eq!(emitted[0][0], Value::from("nonsense"));
    }

    #[test]
    fn says_what_to_set_where_no_usual_field_is() {
        let mut bolt = bolt(OnUnparsed::Reject).inputs([schema(&["payload"])]);
        let error = bolt.prepare().unwrap_err().to_string();
        assert!(error.contains("set `field`"), "{error}");
    }
}
