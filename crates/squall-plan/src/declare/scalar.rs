//! Scalars, and what a plain one means.
//!
//! The rules are those of YAML 1.2's core schema, but for what JSON or 64 bits can't hold: whole numbers
//! beyond 64 bits, numbers with leading zeros (account ids) and `.inf` and `.nan` stay text.

use serde_json::{Number, Value as Json};

use crate::problem::quote;

/// A scalar as written, escapes resolved.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// The text.
    pub(crate) text: String,
    /// Neither quoted nor a block nor tagged as text: its type follows from the text.
    pub(crate) plain: bool,
}

impl Scalar {
    /// Returns what the scalar means: null, a boolean, a number or a text.
    pub(crate) fn value(&self) -> Json {
        if self.plain {
            plain(&self.text)
        } else {
            Json::String(self.text.clone())
        }
    }

    /// Says in words what the scalar is.
    pub(crate) fn describe(&self) -> String {
        describe(&self.value())
    }
}

/// Says in words what a value is: ``the text `8` ``, `the number 8`, `a list`.
pub(crate) fn describe(value: &Json) -> String {
    match value {
        Json::Null => "nothing".to_owned(),
        Json::Bool(value) => format!("`{value}`"),
        Json::Number(number) => format!("the number {number}"),
        Json::String(text) => format!("the text {}", quote(text)),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "a map".to_owned(),
    }
}

/// Reads a plain scalar.
pub(crate) fn plain(text: &str) -> Json {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        _ => number(text).map_or_else(|| Json::String(text.to_owned()), Json::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let based = |radix, digits| {
        let number = u64::from_str_radix(digits, radix).ok();
        number
            .filter(|_| !digits.starts_with('+'))
            .map(Number::from)
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return based(16, digits);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(8, digits);
    }
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    if digits == unsigned.len() {
        let leading_zero = digits > 1 && unsigned.starts_with('0');
        return if leading_zero { None } else { whole(text) };
    }
    fraction(text, unsigned)
}

fn whole(text: &str) -> Option<Number> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let unsigned = text.parse::<u64>().map(Number::from).ok();
    unsigned.or_else(|| text.parse::<i64>().map(Number::from).ok())
}

/// Leaves alone what Rust reads as a number and YAML doesn't: `inf`, `nan`, `1_000`.
fn fraction(text: &str, unsigned: &str) -> Option<Number> {
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    let begins = unsigned.trim_start_matches('.');
    if !unsigned.chars().all(numeric) || !begins.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_have_the_types_of_the_core_schema() {
        let table = [
            ("", Json::Null),
            ("~", Json::Null),
            ("null", Json::Null),
            ("true", json!(true)),
            ("False", json!(false)),
            ("8", json!(8)),
            ("-8", json!(-8)),
            ("+8", json!(8)),
            ("0", json!(0)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1.5", json!(1.5)),
            ("-.5", json!(-0.5)),
            ("1e3", json!(1000.0)),
        ];
        for (text, value) in table {
            assert_eq!(plain(text), value, "{text}");
        }
    }

    #[test]
    fn everything_else_is_text() {
        let texts = [
            "yes",
            "off",
            "30s",
            "64KiB",
            "1_000",
            "1.2.3",
            "inf",
            ".inf",
            ".nan",
            "-",
            "+",
            ".",
            "e5",
            "0x",
            "0x+1",
            "007",
            "012345678901",
            "49590338271490256608559692538361571095921575989136",
            "1e999",
            "--8",
            "0b1",
        ];
        for text in texts {
            assert_eq!(plain(text), json!(text));
        }
    }

    #[test]
    fn quoted_scalars_stay_text() {
        let quoted = Scalar {
            text: "8".to_owned(),
            plain: false,
        };
        assert_eq!(quoted.value(), json!("8"));
    }
}
