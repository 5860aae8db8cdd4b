//! The workspace as data: its packages as cargo resolves them, and its files.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// All packages of the dependency graph, of the workspace and of others, with all features on.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    /// Every package, in no particular order.
    pub packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

/// One package and what its manifest says.
#[derive(Debug, Deserialize)]
pub struct Package {
    id: String,
    /// The name in its manifest.
    pub name: String,
    /// Its licence as an SPDX expression; `None` if it names none.
    pub license: Option<String>,
    /// Where its manifest is.
    pub manifest_path: PathBuf,
    /// What it declares to depend on, of every kind.
    pub dependencies: Vec<Dependency>,
}

/// One entry of a manifest's dependencies.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// What it is needed for.
    #[serde(default, deserialize_with = "null_is_normal")]
    pub kind: Kind,
}

/// What a dependency is needed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Users of the package get it too.
    #[default]
    Normal,
    /// Its tests and benches.
    Dev,
    /// Its build script.
    Build,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    #[serde(default, deserialize_with = "null_is_normal")]
    kind: Kind,
}

impl Metadata {
    /// Asks cargo. Blocks for as long as it takes to resolve, well below a second.
    ///
    /// # Errors
    /// If cargo fails or answers something else than it used to.
    pub fn load() -> Result<Self> {
        // Without a platform cargo wants the packages of all platforms, which nobody has downloaded.
        let here = ["--filter-platform", "host-tuple"];
        let json = cargo(
            &[
                &["metadata", "--format-version", "1", "--all-features"],
                &here[..],
            ]
            .concat(),
        )?;
        serde_json::from_str(&json).context("cargo metadata has another shape")
    }

    /// Returns the packages of this workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Returns the names of all that a user of `name` builds: its normal and build dependencies and theirs.
    ///
    /// # Errors
    /// If there is no such package.
    pub fn footprint(&self, name: &str) -> Result<BTreeSet<&str>> {
        let by_id: BTreeMap<&str, &Package> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package))
            .collect();
        let edges: BTreeMap<&str, &[Edge]> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node.deps.as_slice()))
            .collect();
        let start = self.members().find(|package| package.name == name);
        let mut ahead = vec![
            start
                .with_context(|| format!("no package {name}"))?
                .id
                .as_str(),
        ];
        let mut seen = BTreeSet::new();
        while let Some(id) = ahead.pop() {
            for edge in edges.get(id).copied().unwrap_or_default() {
                let ships = edge.dep_kinds.iter().any(|kind| kind.kind != Kind::Dev);
                if ships && seen.insert(edge.pkg.as_str()) {
                    ahead.push(&edge.pkg);
                }
            }
        }
        Ok(seen
            .into_iter()
            .filter_map(|id| by_id.get(id))
            .map(|package| package.name.as_str())
            .collect())
    }
}

fn null_is_normal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Returns the top of the repository.
#[must_use]
pub fn root() -> PathBuf {
    // Where the test runs rather than where it was built: clones may share a target folder.
    let own =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let own = Path::new(&own);
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// Runs cargo at the top of the repository, without the network. Returns what it printed.
///
/// # Errors
/// If it can't be run or fails; the error holds what it complained about.
pub fn cargo(args: &[&str]) -> Result<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ran = Command::new(cargo)
        .args(args)
        .args(["--locked", "--offline"])
        .current_dir(root())
        .output()
        .context("cargo can't be run")?;
    let complaint = String::from_utf8_lossy(&ran.stderr);
    ensure!(
        ran.status.success(),
        "cargo {}: {complaint}",
        args.join(" ")
    );
    Ok(String::from_utf8(ran.stdout)?)
}

/// Returns the files below `crates/` and `topologies/` whose names end in `.extension`, in order, by their
/// paths from the top of the repository.
///
/// # Errors
/// If a folder can't be read.
pub fn sources(extension: &str) -> Result<Vec<PathBuf>> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders = vec![root.join("crates"), root.join("topologies")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|is| is == extension) {
                found.push(path.strip_prefix(&root)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a file by its path from the top of the repository.
///
/// # Errors
/// If it can't be read; the error names it.
pub fn text(path: &Path) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| path.display().to_string())
}
