//! The map and the other pages: every crate is on the map, and what pages point to exists.

use std::path::Path;

use anyhow::{Context, Result};

use squall_e2e::{root, sources, text};

use crate::none;
use crate::outside::crates;

const MAP: &str = "crates/README.md";

/// Returns what stands between single backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the targets of a page's links: `[text](target)`.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#', ' ']).next())
}

#[test]
fn every_crate_is_on_the_map() -> Result<()> {
    let map = text(Path::new(MAP))?;
    let mut missing = Vec::new();
    for name in crates()? {
        if !map.contains(&format!("\n### {name}\n")) {
            missing.push(name);
        }
    }
    none("crates without a section on the map", &missing)
}

#[test]
fn every_file_on_the_map_exists() -> Result<()> {
    let map = text(Path::new(MAP))?;
    let crates = root().join("crates");
    let mut missing = Vec::new();
    let mut n_files = 0;
    let is_file =
        |word: &&str| word.contains('/') && (word.ends_with(".rs") || word.ends_with('/'));
    for path in quoted(&map).filter(is_file) {
        n_files += 1;
        if !crates.join(path).exists() && !root().join(path).exists() {
            missing.push(path.to_owned());
        }
    }
    anyhow::ensure!(
        n_files > 20,
        "the map names {n_files} files: is it still one?"
    );
    none("files on the map that don't exist", &missing)
}

#[test]
fn every_file_that_states_an_invariant_is_on_the_map() -> Result<()> {
    let map = text(Path::new(MAP))?;
    let mut missing = Vec::new();
    for path in sources("rs")? {
        let on_map = path
            .strip_prefix("crates")
            .unwrap_or(&path)
            .display()
            .to_string();
        let stated = concat!("**Invar", "iant:**");
        if text(&path)?.contains(stated) && !quoted(&map).any(|word| word == on_map) {
            missing.push(on_map);
        }
    }
    none("files whose invariant the map doesn't name", &missing)
}

#[test]
fn tests_that_pages_name_exist() -> Result<()> {
    let mut code = String::new();
    for path in sources("rs")? {
        code.push_str(&text(&path)?);
    }
    let is_fact = |word: &&str| {
        word.matches('_').count() > 3 && word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
    };
    let mut missing = Vec::new();
    for page in sources("md")? {
        for name in quoted(&text(&page)?).filter(is_fact) {
            if !code.contains(&format!("fn {name}(")) {
                missing.push(format!("{}: {name}", page.display()));
            }
        }
    }
    none("tests that pages name and nobody has written", &missing)
}

#[test]
fn links_in_pages_lead_somewhere() -> Result<()> {
    let mut pages = sources("md")?;
    for page in [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "deploy/README.md",
    ] {
        pages.push(page.into());
    }
    let mut dead = Vec::new();
    for page in pages {
        let folder = root().join(page.parent().context("a page lies in a folder")?);
        for link in links(&text(&page)?) {
            let outside = link.starts_with("http") || link.starts_with("mailto:");
            if !outside && !link.is_empty() && !folder.join(link).exists() {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    none("links that lead nowhere", &dead)
}
