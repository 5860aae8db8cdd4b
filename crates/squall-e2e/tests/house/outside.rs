//! Crates beside the workspace: few, for a reason, and under the same rules.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use squall_e2e::{Metadata, root, sources, text};

use crate::none;

/// Crates that are no members of the workspace, each with its reason.
const OUTSIDE: &[(&str, &str)] = &[(
    "squall-bench-peers",
    "what it measures beside Squall stays out of Squall's lockfile and builds, and some of it is under the LGPL",
)];

/// Returns the names of all that have a manifest in `crates/`, members or not.
pub(crate) fn crates() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("crates"))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// Returns the part of a manifest that sets the lints.
fn lints(manifest: &str) -> Result<Vec<&str>> {
    let (_, lints) = manifest
        .split_once("\n[workspace.lints.rust]\n")
        .context("a manifest without lints")?;
    let foreign = |line: &&str| line.starts_with('[') && !line.contains("lints");
    let lines = lints.lines().take_while(|line| !foreign(line));
    let is_lint = |line: &&str| !line.is_empty() && !line.starts_with('#');
    Ok(lines.filter(is_lint).collect())
}

#[test]
fn a_crate_is_a_member_or_stands_outside_for_a_reason() -> Result<()> {
    let metadata = Metadata::load()?;
    let members: Vec<&str> = metadata
        .members()
        .map(|member| member.name.as_str())
        .collect();
    let is_outside = |name: &str| OUTSIDE.iter().any(|(outside, _)| *outside == name);
    let crates = crates()?;
    let lost = crates.iter().map(String::as_str);
    let lost = lost.filter(|name| members.contains(name) == is_outside(name));
    let gone = OUTSIDE.iter().map(|(name, _)| *name);
    let gone = gone.filter(|name| !crates.iter().any(|known| known == name));
    let wrong: Vec<String> = lost.chain(gone).map(str::to_owned).collect();
    none("crates that are neither, both, or gone", &wrong)
}

#[test]
fn who_stands_outside_keeps_the_rules() -> Result<()> {
    let ours = text(Path::new("Cargo.toml"))?;
    let mut wrong = Vec::new();
    for (name, _) in OUTSIDE {
        let folder = Path::new("crates").join(name);
        let top = folder.join("Cargo.toml");
        if lints(&text(&top)?)? != lints(&ours)? {
            wrong.push(format!("{name}: has other lints"));
        }
        for manifest in sources("toml")? {
            if !manifest.starts_with(&folder) {
                continue;
            }
            let text = text(&manifest)?;
            if !text.contains("[lints]\nworkspace = true") {
                wrong.push(format!("{}: doesn't inherit the lints", manifest.display()));
            }
            if manifest != top && text.contains("version = \"") {
                wrong.push(format!("{}: has a version of its own", manifest.display()));
            }
        }
    }
    none("rules that are not kept outside the workspace", &wrong)
}

#[test]
fn inside_and_outside_know_nothing_of_each_other() -> Result<()> {
    let metadata = Metadata::load()?;
    let mut wrong = Vec::new();
    for (name, _) in OUTSIDE {
        let folder = root().join("crates").join(name);
        let known = metadata.packages.iter();
        let known = known.filter(|package| package.manifest_path.starts_with(&folder));
        wrong.extend(known.map(|package| format!("the workspace builds {}", package.name)));
        let lock = text(&Path::new("crates").join(name).join("Cargo.lock"))?;
        let locked = lock.lines().filter_map(|line| {
            let name = line.strip_prefix("name = \"")?;
            name.strip_suffix('"')
        });
        let ours = locked.filter(|locked| metadata.members().any(|member| member.name == *locked));
        wrong.extend(ours.map(|member| format!("{name} builds {member}")));
    }
    none("edges over the border of the workspace", &wrong)
}
