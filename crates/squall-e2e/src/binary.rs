//! The command `squall`, and programs of `topologies/`, as built by the same `cargo test` that runs these tests.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::{cargo, root, sources};

/// Returns the path of the command `squall` of this build.
///
/// `cargo test --workspace` has built it before any test runs. Where only this crate's tests were asked
/// for it may be missing or older than its sources: it is built then, which may take minutes.
///
/// # Errors
/// If it can't be built.
pub fn squall() -> Result<PathBuf> {
    built("squall-cli", "squall")
}

/// Returns the path of the program of a crate in `topologies/`; see [`squall`].
///
/// # Errors
/// If it can't be built.
pub fn program(package: &str) -> Result<PathBuf> {
    built(package, package)
}

fn built(package: &str, name: &str) -> Result<PathBuf> {
    let test = env::current_exe()?;
    let profile = test
        .ancestors()
        .nth(2)
        .context("tests run from <target>/<profile>/deps")?;
    let binary = profile.join(name);
    if !is_fresh(&binary)? {
        let target = profile.parent().context("a profile has a folder")?;
        let target = target
            .to_str()
            .context("the target folder's name is no text")?;
        let mut args = vec!["build", "--package", package, "--target-dir", target];
        if profile.ends_with("release") {
            args.push("--release");
        }
        cargo(&args)?;
    }
    Ok(binary)
}

/// Tells whether a binary is there and newer than all that it may be made of.
fn is_fresh(binary: &Path) -> Result<bool> {
    let Ok(built) = fs::metadata(binary).and_then(|file| file.modified()) else {
        return Ok(false);
    };
    for path in [sources("rs")?, sources("yaml")?].concat() {
        let is_test = path
            .iter()
            .any(|part| part == "tests" || part == "squall-e2e");
        if !is_test && fs::metadata(root().join(path))?.modified()? > built {
            return Ok(false);
        }
    }
    Ok(true)
}
