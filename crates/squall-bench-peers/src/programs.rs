//! The programs that are run, found or built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::args::{Allocator, Args};
use crate::child::{Child, Stop, finish};
use crate::console::say;
use crate::engine::flink::Flink;

/// Everything that is measured.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) squall: PathBuf,
    pub(crate) timely: PathBuf,
    pub(crate) renoir: PathBuf,
    /// `None` unless its jars were given.
    pub(crate) flink: Option<Flink>,
}

/// What cargo says of what it has built, in the messages of which it has one.
#[derive(Debug, Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

impl Programs {
    /// Builds what is not up to date, or not given; what was is used as it is. Cargo's talk is shown.
    ///
    /// # Errors
    /// Something is missing, or can't be built.
    pub(crate) fn find(args: &Args, stop: &Stop) -> Result<Self> {
        // First, for it takes no time to fail.
        let jars = args.flink_jars.as_deref();
        let flink = jars.map(|jars| Flink::compile(jars, stop)).transpose()?;
        let squall = match &args.squall {
            Some(path) => {
                ensure!(path.is_file(), "no program {}", path.display());
                path.canonicalize()?
            }
            None => squall(stop)?,
        };
        let [timely, renoir] =
            ["peer-timely", "peer-renoir"].map(|name| driver(name, args.allocator, stop));
        Ok(Self {
            squall,
            timely: timely?,
            renoir: renoir?,
            flink,
        })
    }
}

fn squall(stop: &Stop) -> Result<PathBuf> {
    say("building squall …");
    let root = here().join("../..");
    build(&root, &["--release", "-p", "squall-cli"], stop)
}

fn driver(name: &str, allocator: Allocator, stop: &Stop) -> Result<PathBuf> {
    say(format_args!("building {name} …"));
    let mut args = vec!["--profile", "peer", "-p", name];
    if allocator == Allocator::Mimalloc {
        args.extend(["--features", "mimalloc"]);
    }
    build(&here(), &args, stop)
}

/// Has cargo build the only program of a package, and returns where it is.
fn build(workspace: &Path, args: &[&str], stop: &Stop) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "build",
            "--locked",
            "--message-format",
            "json-render-diagnostics",
        ])
        .args(args)
        .current_dir(workspace);
    let cargo = Child::start_shown("cargo build", &mut command)
        .context("cargo is needed to build what is measured: install Rust by rustup")?;
    let printed = finish(vec![cargo], None, stop)?;
    let program = printed.first().and_then(|printed| executable(printed));
    program.context("cargo build named no program")
}

fn executable(printed: &str) -> Option<PathBuf> {
    let mut messages = printed.lines().filter_map(|line| {
        let message: Message = serde_json::from_str(line).ok()?;
        message.executable
    });
    messages.next_back()
}

/// Returns the folder of this crate.
pub(crate) fn here() -> PathBuf {
    // Where it is run rather than where it was built: clones may share a target folder.
    let own = env::var_os("CARGO_MANIFEST_DIR");
    own.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_in_cargos_messages() {
        let printed = concat!(
            r#"{"reason":"compiler-artifact","executable":null,"fresh":true}"#,
            "\n",
            r#"{"reason":"compiler-artifact","executable":"/t/release/squall","fresh":false}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(printed), Some("/t/release/squall".into()));
        assert_eq!(executable("{\"reason\":\"build-finished\"}"), None);
    }
}
