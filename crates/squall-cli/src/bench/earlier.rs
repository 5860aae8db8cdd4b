//! What an earlier bench has found, as it was written down.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use squall::Result;

use super::machine::Machine;
use super::row::Row;
use super::section::Section;

/// An earlier bench's machine and rows.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) machine: Machine,
    pub(super) rows: Vec<Row>,
}

impl Earlier {
    /// Reads a file that `squall bench -o json` has written.
    ///
    /// # Errors
    /// It can't be read, or is something else; the error names the file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = path.display();
        let text =
            fs::read_to_string(path).map_err(|error| format!("{file} can't be read: {error}"))?;
        let wrong = |why: String| {
            format!("{file} isn't what `squall bench -o json` prints: {why}; make one with that")
        };
        Ok(Self::parse(&text).map_err(wrong)?)
    }

    /// Reads what `squall bench -o json` prints.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let machine = json.get("machine").ok_or("it names no machine")?;
        let machine = Machine::deserialize(machine).map_err(|error| error.to_string())?;
        let mut rows = Vec::new();
        for section in Section::ALL {
            let found = json.get(section.name()).and_then(Json::as_array);
            for row in found.into_iter().flatten() {
                let row = Row::parse(section, row.clone());
                rows.push(row.map_err(|error| format!("in `{}`: {error}", section.name()))?);
            }
        }
        if rows.is_empty() {
            return Err("it has no rows".to_owned());
        }
        Ok(Self { machine, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_bench_wrote_and_says_what_else_is_wrong() {
        let row = r#"{"case":"word-count","acked":true,"processes":1,"parallelism":2,
            "source_records_per_s":5,"lost":0,"runs":[{"source_records_per_s":5,"lost":0}]}"#;
        let text = format!(r#"{{"machine":{{"cpu":"abacus"}},"cases":[{row}]}}"#);
        assert_eq!(Earlier::parse(&text).unwrap().rows.len(), 1);
        let check = |text: &str, why: &str| {
            let error = Earlier::parse(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        check("lines of text", "expected value");
        check("{}", "no machine");
        check(r#"{"machine":{}}"#, "no rows");
        check(r#"{"machine":{"n_cores":"two"}}"#, "expected usize");
        check(
            r#"{"machine":{},"cases":[{"case":"x"}]}"#,
            "in `cases`: missing field",
        );
        let missing = Earlier::read(Path::new("no/such/file")).unwrap_err();
        assert!(missing.to_string().contains("no/such/file"), "{missing}");
    }
}
