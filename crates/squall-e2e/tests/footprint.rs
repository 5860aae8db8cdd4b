//! What a plain user's program builds: the engine and the links of a cluster, and nothing of AWS, of a web
//! framework or of the demo's endpoint. Without the cluster, nothing of HTTP either.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use squall_e2e::cargo;

/// What must never be in it; `*` at the end stands for anything.
const FORBIDDEN: &[&str] = &[
    "aws-*",
    "axum*",
    "ferrokinesis",
    "openssl*",
    "prometheus-client",
    "ring",
    "rustls*",
    "squall-kinesis",
    "squall-nimbus",
    "squall-supervisor",
];

/// What comes with the feature `cluster` alone.
const OF_CLUSTERS: &[&str] = &[
    "h2",
    "hyper*",
    "prost*",
    "protox*",
    "squall-proto",
    "squall-transport",
    "squall-worker",
    "tonic*",
    "tower*",
];

/// Returns the names of all crates that are built for a package.
#[expect(clippy::print_stdout, reason = "tests say what they have measured")]
fn built(package: &[&str]) -> Result<BTreeSet<String>> {
    let options = ["-e", "normal,build", "--prefix", "none", "--format", "{p}"];
    let tree = cargo(&[&["tree", "-p"], package, &options].concat())?;
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let names: BTreeSet<String> = names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    ensure!(
        names.contains("squall-runtime"),
        "this is no tree of {package:?}: {tree}"
    );
    println!("{package:?} builds {} crates", names.len());
    Ok(names)
}

fn none_of(names: &BTreeSet<String>, patterns: &[&str]) -> Result<()> {
    let matches = |name: &&String| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *name == pattern,
        })
    };
    let found: Vec<&String> = names.iter().filter(matches).collect();
    ensure!(found.is_empty(), "it builds {found:?}");
    Ok(())
}

#[test]
fn a_plain_program_builds_nothing_of_aws_or_a_web_framework() -> Result<()> {
    let names = built(&["word-count"])?;
    none_of(&names, FORBIDDEN)?;
    ensure!(
        names.contains("squall-worker"),
        "word-count can't be submitted: it isn't its own worker"
    );
    Ok(())
}

#[test]
fn a_program_without_clusters_builds_nothing_of_http() -> Result<()> {
    let options = [
        "squall",
        "--no-default-features",
        "--features",
        "components",
    ];
    let names = built(&options)?;
    none_of(&names, FORBIDDEN)?;
    none_of(&names, OF_CLUSTERS)
}
