//! What the README shows is what there is: its topology, its drawing, its bolt and the demo's words.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use squall_e2e::{root, squall, text};

/// Returns the only block of the README in this language.
fn block(language: &str) -> Result<String> {
    let readme = text(Path::new("README.md"))?;
    let fence = format!("\n```{language}\n");
    let (_, rest) = readme
        .split_once(&fence)
        .with_context(|| format!("no block of {language}"))?;
    let (block, after) = rest.split_once("\n```\n").context("a block ends")?;
    ensure!(!after.contains(&fence), "several blocks of {language}");
    Ok(format!("{block}\n"))
}

fn run(args: &[&str]) -> Result<Output> {
    let ran = Command::new(squall()?)
        .args(args)
        .current_dir(root())
        .output()?;
    ensure!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    Ok(ran)
}

/// Puts `#` for each number and one space for several: what is left doesn't depend on the clock.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        let repeats = shape.ends_with(c) || (shape.ends_with('.') && c == '#');
        if !(repeats && (c == '#' || c == ' ')) {
            shape.push(c);
        }
    }
    shape
}

#[test]
fn the_topology_is_the_one_in_the_repository() -> Result<()> {
    let file = text(Path::new("topologies/clickstream/topology.yaml"))?;
    ensure!(
        block("yaml")? == file,
        "README.md shows another topology.yaml"
    );
    Ok(())
}

#[test]
fn the_drawing_is_what_graph_prints() -> Result<()> {
    let file = "topologies/clickstream/topology.yaml";
    let drawn = String::from_utf8(run(&["graph", file, "--format", "mermaid"])?.stdout)?;
    ensure!(block("mermaid")? == drawn, "squall graph prints:\n{drawn}");
    Ok(())
}

#[test]
fn the_bolt_is_the_one_of_word_count() -> Result<()> {
    let program = text(Path::new("topologies/word-count/src/main.rs"))?;
    let bolt = block("rust")?;
    ensure!(program.contains(&bolt), "word-count has another bolt");
    let n_lines = bolt.lines().filter(|line| !line.is_empty()).count();
    ensure!(n_lines <= 15, "{n_lines} lines");
    Ok(())
}

#[test]
fn the_demo_says_what_the_transcript_says() -> Result<()> {
    let transcript = block("text")?;
    let mut lines = transcript.lines();
    ensure!(
        lines.next() == Some("$ cargo run --release -- demo"),
        "{transcript}"
    );
    let ran = run(&["demo"])?;
    let (printed, said) = (
        String::from_utf8(ran.stdout)?,
        String::from_utf8(ran.stderr)?,
    );

    // On stdout all but the elapsed time is the same each time.
    let n_said = transcript.lines().count() - 1 - printed.lines().count();
    for line in lines.by_ref().take(n_said) {
        let known = said.lines().any(|real| shape(real) == shape(line));
        ensure!(known, "the demo doesn't say: {line}\nbut:\n{said}");
    }
    for (line, real) in lines.zip(printed.lines()) {
        let same = if real.ends_with(" s") {
            shape(line) == shape(real)
        } else {
            line == real
        };
        ensure!(same, "README.md has: {line}\nthe demo prints: {real}");
    }
    Ok(())
}
