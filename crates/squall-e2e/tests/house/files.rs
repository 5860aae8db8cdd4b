//! What a source file looks like.

use std::path::Path;

use anyhow::Result;

use squall_e2e::{sources, text};

use crate::none;

/// A file's longest, its tests not counted. The aim is 200.
const MAX_LINES: usize = 600;

/// What must not be written, and what to do instead. Put together so that this file doesn't write it.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        concat!("#[ig", "nore"),
        "a test that doesn't run is no test",
    ),
    (
        concat!("thread::", "sleep"),
        "wait for a condition with a deadline",
    ),
    (
        concat!("time::", "sleep("),
        "wait for a condition with a deadline, or on the clock passed in",
    ),
    (concat!("#[al", "low("), "expect, with a reason"),
    (concat!("TO", "DO"), "open an issue, or do it"),
    (concat!("FIX", "ME"), "open an issue, or do it"),
    (concat!("unbounded", "("), "every channel is bounded"),
    (concat!("unbounded_", "channel"), "every channel is bounded"),
];

/// Returns a file without the test module at its end.
pub(crate) fn without_tests(text: &str) -> &str {
    let tests = text.find("#[cfg(test)]\nmod tests {");
    tests.map_or(text, |start| &text[..start])
}

#[test]
fn no_file_is_too_long_to_proof_read() -> Result<()> {
    let mut wrong = Vec::new();
    for path in sources("rs")? {
        let n_lines = without_tests(&text(&path)?).lines().count();
        if n_lines > MAX_LINES {
            wrong.push(format!("{}: {n_lines} lines", path.display()));
        }
    }
    none(&format!("files above {MAX_LINES} lines"), &wrong)
}

#[test]
fn every_file_opens_with_what_it_is() -> Result<()> {
    let mut wrong = Vec::new();
    for path in sources("rs")? {
        let text = text(&path)?;
        let page = text.starts_with("#![doc = include_str!(");
        let says = text
            .lines()
            .next()
            .and_then(|first| first.strip_prefix("//! "));
        let placeholder = says.is_some_and(|says| says.to_lowercase().starts_with("placeholder"));
        if !page && (says.is_none() || placeholder) {
            wrong.push(path.display().to_string());
        }
    }
    none("files that don't open with `//!` and what they are", &wrong)
}

#[test]
fn nothing_forbidden_is_written() -> Result<()> {
    let mut wrong = Vec::new();
    for path in sources("rs")? {
        for (line_idx, line) in text(&path)?.lines().enumerate() {
            for (word, instead) in FORBIDDEN {
                if line.contains(word) {
                    wrong.push(format!(
                        "{}:{}: {word}: {instead}",
                        path.display(),
                        line_idx + 1
                    ));
                }
            }
        }
    }
    none("lines that break a rule", &wrong)
}

#[test]
fn the_roots_of_crates_hold_no_logic() -> Result<()> {
    const LOGIC: &[&str] = &[
        "fn ", "impl", "struct ", "enum ", "trait ", "static ", "async ",
    ];
    let mut wrong = Vec::new();
    for path in sources("rs")? {
        let name = path.file_name().map(Path::new);
        if name == Some(Path::new("mod.rs")) {
            wrong.push(format!(
                "{}: name the file after its module",
                path.display()
            ));
        }
        if name != Some(Path::new("lib.rs")) {
            continue;
        }
        for line in text(&path)?.lines() {
            let item = line.trim_start();
            let item = item
                .strip_prefix("pub(crate) ")
                .or(item.strip_prefix("pub "))
                .unwrap_or(item);
            if LOGIC.iter().any(|start| item.starts_with(start)) {
                wrong.push(format!("{}: {line}", path.display()));
            }
        }
    }
    none("logic where only `mod` and `pub use` belong", &wrong)
}
