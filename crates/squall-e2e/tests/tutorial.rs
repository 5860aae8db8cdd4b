//! The tutorial's section on clusters, executed as it is printed: a crate outside the workspace is made, built,
//! submitted, looked at and killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use squall_e2e::cluster::Cluster;
use squall_e2e::{root, text, until_asked};

const SECTION: &str = "\n## Submit it to a cluster\n";
/// Where the text has the program; the test's own is built without optimisation, and beside others.
const PROGRAM: &str = "target/release/my-topology";

/// A command of the text, and what it is said to print.
struct Step {
    command: String,
    printed: Vec<String>,
}

/// Returns the commands of the section, in order.
fn steps() -> Result<Vec<Step>> {
    let tutorial = text(Path::new("topologies/README.md"))?;
    let (_, section) = tutorial.split_once(SECTION).context("the section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```").skip(1).step_by(2);
    let mut steps: Vec<Step> = Vec::new();
    for line in blocks.flat_map(|block| block.lines().skip(1)) {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push(Step {
                command: command.to_owned(),
                printed: Vec::new(),
            }),
            None => {
                let step = steps.last_mut().context("a block begins with a command")?;
                step.printed.push(line.to_owned());
            }
        }
    }
    Ok(steps)
}

/// Tells whether a line is the one that is printed: `…` stands for anything, some spaces for any number of them.
fn is_as_printed(line: &str, printed: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, printed) = (words(line), words(printed));
    if !printed.contains('…') {
        return line == printed;
    }
    let mut rest = line.as_str();
    printed
        .split('…')
        .all(|part| match rest.split_once(part.trim()) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
}

impl Step {
    /// Checks that what was said has every line that is printed.
    fn check(&self, said: &str) -> Result<()> {
        for printed in self.printed.iter().filter(|line| *line != "…") {
            ensure!(
                said.lines().any(|line| is_as_printed(line, printed)),
                "`{}` doesn't print\n{printed}\nbut\n{said}",
                self.command
            );
        }
        Ok(())
    }
}

/// Builds a crate outside the workspace, with the versions that the workspace has downloaded. Returns its program.
fn build(directory: &Path) -> Result<PathBuf> {
    fs::copy(root().join("Cargo.lock"), directory.join("Cargo.lock"))?;
    // Shared with the other tests of crates outside: what they are built from is built once.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline"])
        .current_dir(directory)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_DIR", &target)
        .output()?;
    let said = String::from_utf8_lossy(&built.stderr);
    ensure!(built.status.success(), "{said}");
    Ok(target.join("debug/my-topology"))
}

/// Returns what the workers of the only supervisor have printed.
fn printed_by_workers(cluster: &Cluster) -> Result<String> {
    let mut printed = String::new();
    for slot in fs::read_dir(cluster.folder().join("east/slots"))? {
        let Ok(workers) = fs::read_dir(slot?.path().join("workers")) else {
            continue;
        };
        for worker in workers {
            let worker = worker?;
            ensure!(
                worker
                    .file_name()
                    .to_string_lossy()
                    .starts_with("my-topology-1."),
                "{worker:?}"
            );
            printed += &fs::read_to_string(worker.path().join("output.log"))?;
        }
    }
    Ok(printed)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_section_on_clusters_does_what_it_prints() -> Result<()> {
    let mut cluster = Cluster::start(&["east"]).await?;
    let mut directory = cluster.folder().to_owned();
    let mut program = None;
    let mut n_run = 0;
    for step in steps()? {
        let words: Vec<&str> = step.command.split(' ').collect();
        match words.as_slice() {
            ["cd", to] => directory = directory.join(to),
            ["cargo", "build", "--release"] => program = Some(build(&directory)?),
            // Both run already, at ports that are free.
            ["squall", "nimbus"] => {
                let said = cluster.nimbus()?.said()?;
                let at_other_ports = |line: &String| line.replace("6627", "…").replace("6628", "…");
                let printed = step.printed.iter().map(at_other_ports).collect();
                Step { printed, ..step }.check(&said)?;
            }
            ["squall", "supervisor"] => step.check(&cluster.supervisor("east")?.said()?)?,
            ["squall", args @ ..] => {
                let mut args = args.to_vec();
                if let Some(bin) = args.iter_mut().find(|arg| **arg == PROGRAM) {
                    let built = program.as_deref().context("it is built before")?;
                    *bin = built.to_str().context("a path that is text")?;
                }
                let mut said = String::new();
                let asks = ["list", "describe", "logs"].contains(&args[0]);
                let runs = || {
                    let ran = cluster.run_in(&directory, &args)?;
                    said = String::from_utf8([ran.stderr, ran.stdout].concat())?;
                    ensure!(ran.status.success(), "{}: {said}", step.command);
                    // What workers have done is known a moment later.
                    Ok(!asks || step.check(&said).is_ok())
                };
                let waited = until_asked(&step.command, runs).await;
                step.check(&said)?;
                waited?;
            }
            ["cat", ..] => {
                let prints = || Ok(step.check(&printed_by_workers(&cluster)?).is_ok());
                let waited = until_asked(&step.command, prints).await;
                step.check(&printed_by_workers(&cluster)?)?;
                waited?;
            }
            _ => bail!("the test can't execute: {}", step.command),
        }
        n_run += 1;
    }
    ensure!(n_run >= 10, "{n_run} commands");
    until_asked("the killed topology is gone", || {
        Ok(cluster.list()?.is_empty())
    })
    .await?;
    cluster.end().await
}
