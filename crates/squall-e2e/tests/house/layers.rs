//! The layers: crates depend on those below them and on nothing else.

use anyhow::{Context, Result};

use squall_e2e::{Kind, Metadata, Package, sources, text};

use crate::none;

/// The layers from the ground up. Within one, crates don't see each other.
const LAYERS: &[(&str, &[&str])] = &[
    ("words", &["squall-core"]),
    ("pure", &["squall-plan", "squall-window", "squall-proto"]),
    (
        "engine",
        &[
            "squall-runtime",
            "squall-transport",
            "squall-store",
            "squall-daemon",
        ],
    ),
    (
        "roles",
        &[
            "squall-nimbus",
            "squall-supervisor",
            "squall-worker",
            "squall-client",
        ],
    ),
    ("connectors", &["squall-components", "squall-kinesis"]),
    ("façade", &["squall"]),
    (
        "edges",
        &["squall-cli", "squall-ui", "squall-e2e", TOPOLOGIES],
    ),
];

/// Stands for whatever is in `topologies/`.
const TOPOLOGIES: &str = "topologies/*";

/// Crates that see less than all that is below them.
const SEES_ONLY: &[(&str, &[&str])] = &[
    // For the limits that it sets and the words of a handshake.
    ("squall-daemon", &["squall-core", "squall-proto"]),
    ("squall-components", &["squall-core", "squall-window"]),
    ("squall-kinesis", &["squall-core", "squall-window"]),
    (
        TOPOLOGIES,
        &["squall", "squall-components", "squall-kinesis"],
    ),
];

/// Dev-dependencies that the layers forbid, each with its reason.
const DEV_EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "squall-kinesis",
        "squall-kinesis",
        "its tests run against the endpoint of its own feature `dev`",
    ),
    (
        "squall-kinesis",
        "squall-store",
        "its tests resume from a real checkpoint store",
    ),
    (
        "squall-supervisor",
        "squall-supervisor",
        "its tests run the worker of its own feature `fake-worker`",
    ),
];

/// What must be nowhere in a crate's footprint: `*` at the end stands for anything.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "squall-core",
        &[
            "tokio*",
            "async-std",
            "smol",
            "mio",
            "socket2",
            "tonic*",
            "prost*",
            "clap*",
        ],
    ),
    (
        "squall-plan",
        &["tokio*", "mio", "tonic*", "prost*", "clap*"],
    ),
    (
        "squall-runtime",
        &["tonic*", "prost*", "redb", "squall-store", "tokio*"],
    ),
];

/// What a pure crate must not name: the world outside, which it gets passed in.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
];

/// Crates that none but the given ones may name in their manifests.
const RESERVED: &[(&str, &[&str])] = &[
    ("aws-*", &["squall-kinesis"]),
    ("ferrokinesis", &["squall-kinesis"]),
    ("redb", &["squall-store"]),
    // The command line opens no store: its `bench` keeps what it keeps in a `MemoryStore`.
    (
        "squall-store",
        &[
            "squall",
            "squall-kinesis",
            "squall-nimbus",
            "squall-cli",
            "squall-e2e",
        ],
    ),
];

/// Licences that need nothing of us but being named.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unlicense",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
    "OpenSSL",
];

/// The name by which the tables know a member of the workspace.
fn known_as(package: &Package) -> &str {
    let folder = package
        .manifest_path
        .parent()
        .and_then(|crate_dir| crate_dir.parent());
    if folder.is_some_and(|folder| folder.ends_with("topologies")) {
        TOPOLOGIES
    } else {
        &package.name
    }
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, crates)| crates.contains(&name))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[test]
fn every_crate_has_its_layer() -> Result<()> {
    let metadata = Metadata::load()?;
    let homeless: Vec<String> = metadata
        .members()
        .filter(|package| layer_of(known_as(package)).is_none())
        .map(|package| package.name.clone())
        .collect();
    none("crates that stand in no layer", &homeless)
}

#[test]
fn dependencies_point_down() -> Result<()> {
    let metadata = Metadata::load()?;
    let members: Vec<&Package> = metadata.members().collect();
    let mut wrong = Vec::new();
    let mut excused = Vec::new();
    for package in &members {
        let from = known_as(package);
        for dependency in &package.dependencies {
            let Some(to) = members.iter().find(|member| member.name == dependency.name) else {
                continue;
            };
            let to = known_as(to);
            let sees = SEES_ONLY.iter().find(|(name, _)| *name == from);
            let down = layer_of(to) < layer_of(from);
            if down && sees.is_none_or(|(_, seen)| seen.contains(&to)) {
                continue;
            }
            let exception = DEV_EXCEPTIONS
                .iter()
                .find(|(of, on, _)| (*of, *on) == (from, to));
            match exception {
                Some(exception) if dependency.kind == Kind::Dev => excused.push(exception),
                _ => wrong.push(format!("{} -> {}", package.name, dependency.name)),
            }
        }
    }
    none("edges that don't point down", &wrong)?;
    let stale: Vec<String> = DEV_EXCEPTIONS
        .iter()
        .filter(|exception| !excused.contains(exception))
        .map(|(from, to, _)| format!("{from} -> {to}"))
        .collect();
    none("exceptions that nobody needs any more", &stale)
}

#[test]
fn lower_crates_know_nothing_of_the_wire_the_store_or_a_runtime() -> Result<()> {
    let metadata = Metadata::load()?;
    let mut wrong = Vec::new();
    for (package, forbidden) in FORBIDDEN {
        for name in metadata.footprint(package)? {
            if forbidden.iter().any(|pattern| matches(pattern, name)) {
                wrong.push(format!("{package} builds {name}"));
            }
        }
    }
    none("crates that pull in what they must not know", &wrong)
}

#[test]
fn each_outside_system_has_one_home() -> Result<()> {
    let metadata = Metadata::load()?;
    let mut wrong = Vec::new();
    for package in metadata.members() {
        for dependency in &package.dependencies {
            let reserved = RESERVED
                .iter()
                .find(|(pattern, _)| matches(pattern, &dependency.name));
            if reserved.is_some_and(|(_, homes)| !homes.contains(&package.name.as_str())) {
                wrong.push(format!("{} -> {}", package.name, dependency.name));
            }
        }
    }
    none("dependencies that another crate is the home of", &wrong)
}

#[test]
fn the_command_line_never_opens_a_store() -> Result<()> {
    let mut wrong = Vec::new();
    for path in sources("rs")? {
        let opens = || Ok::<_, anyhow::Error>(text(&path)?.contains("FileStore"));
        if path.starts_with("crates/squall-cli") && opens()? {
            wrong.push(path.display().to_string());
        }
    }
    none("files of the command line that open a store", &wrong)
}

#[test]
fn pure_crates_touch_no_file_socket_thread_or_clock() -> Result<()> {
    let mut wrong = Vec::new();
    for path in sources("rs")? {
        let pure = ["squall-core", "squall-plan", "squall-proto"];
        let is_pure = |name: &&str| path.starts_with(format!("crates/{name}/src"));
        if !pure.iter().any(is_pure) {
            continue;
        }
        for (line_idx, line) in crate::files::without_tests(&text(&path)?)
            .lines()
            .enumerate()
        {
            let code = line.split("//").next().unwrap_or_default();
            if IMPURE.iter().any(|word| code.contains(word)) {
                wrong.push(format!("{}:{}: {line}", path.display(), line_idx + 1));
            }
        }
    }
    none("the world outside in a pure crate", &wrong)
}

#[test]
fn crates_inherit_lints_and_versions() -> Result<()> {
    let metadata = Metadata::load()?;
    let mut wrong = Vec::new();
    for package in metadata.members() {
        let manifest = text(&package.manifest_path)?;
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{}: doesn't inherit the lints", package.name));
        }
        let own_version = |line: &&str| line.contains("version = \"");
        if let Some(line) = manifest.lines().find(own_version) {
            wrong.push(format!(
                "{}: has a version of its own: {line}",
                package.name
            ));
        }
    }
    none("manifests that go their own way", &wrong)
}

#[test]
fn every_licence_is_allowed() -> Result<()> {
    let metadata = Metadata::load()?;
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let licence = package.license.as_deref().context(package.name.clone())?;
        // An `AND` asks for each part, an `OR` for one of them; none of ours nests the other way round.
        let allowed = licence.split(" AND ").all(|part| {
            let part = part.trim_matches(['(', ')']);
            let mut choices = part.split(" OR ").flat_map(|choice| choice.split('/'));
            choices.any(|choice| LICENCES.contains(&choice.trim_matches(['(', ')', ' '])))
        });
        if !allowed {
            wrong.push(format!("{}: {licence}", package.name));
        }
    }
    none("licences that nobody has looked at", &wrong)
}
