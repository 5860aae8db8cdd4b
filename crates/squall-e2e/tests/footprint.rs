//! What a plain user's program builds: the engine, and nothing of AWS, HTTP or the demo's endpoint.

use anyhow::{Result, ensure};

use squall_e2e::cargo;

/// What must not be in it; `*` at the end stands for anything.
const FORBIDDEN: &[&str] = &[
    "aws-*",
    "axum*",
    "ferrokinesis",
    "hyper*",
    "h2",
    "rustls*",
    "squall-kinesis",
];

#[test]
fn a_plain_program_builds_nothing_of_aws_or_http() -> Result<()> {
    let tree = cargo(&[
        "tree",
        "-p",
        "word-count",
        "-e",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])?;
    let names: std::collections::BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    ensure!(
        names.contains("squall-runtime"),
        "this is no tree of word-count: {tree}"
    );
    let forbidden: Vec<&&str> = names
        .iter()
        .filter(|name| {
            FORBIDDEN
                .iter()
                .any(|pattern| match pattern.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None => name == &pattern,
                })
        })
        .collect();
    ensure!(forbidden.is_empty(), "word-count builds {forbidden:?}");
    println!("word-count builds {} crates", names.len());
    Ok(())
}
