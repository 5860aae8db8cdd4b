//! The rules of the house, held by tests: who may depend on whom, what a file looks like, what the map says.
//!
//! Each test gathers all that is wrong before it fails, so that one run shows it all.

mod files;
mod layers;
mod map;
mod outside;

use anyhow::{Result, ensure};

/// Fails with the whole list unless it is empty.
fn none(what: &str, wrong: &[String]) -> Result<()> {
    ensure!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
    Ok(())
}
