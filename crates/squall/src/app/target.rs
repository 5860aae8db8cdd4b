//! Which topology a command is about: a declared one from files, or one that is built in Rust.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, FromArgMatches};
use thiserror::Error;

use squall_core::Result;
use squall_plan::{Declared, MAX_INPUT_BYTES, Problems, SourceFile, Sources};

use crate::app::Program;
use crate::console;

/// A topology that is declared in files.
#[derive(Args, Debug)]
pub(super) struct FileArgs {
    /// The topology file
    #[arg(value_name = "FILE", required_unless_present = "overlays")]
    file: Option<PathBuf>,
    /// Merge another file over it; may be given several times
    #[arg(short = 'f', long = "file", value_name = "FILE", id = "overlays")]
    overlays: Vec<PathBuf>,
    /// Set a value: `--set bolts.count.parallelism=4`; may be given several times
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = split_set)]
    sets: Vec<(String, String)>,
}

impl FileArgs {
    /// Iterates over the files, each laid over those before it.
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.file.iter().chain(&self.overlays)
    }

    /// Writes the arguments down again, for another program to read.
    #[cfg(feature = "cluster")]
    pub(super) fn written(&self) -> Vec<std::ffi::OsString> {
        let file = self.file.iter().map(Into::into);
        let overlays = self.overlays.iter();
        let overlays = overlays.flat_map(|path| ["-f".into(), path.into()]);
        let sets = self.sets.iter();
        let sets =
            sets.flat_map(|(path, value)| ["--set".into(), format!("{path}={value}").into()]);
        file.chain(overlays).chain(sets).collect()
    }
}

/// Why nothing was started: exit status 2.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    /// The topology is wrong.
    #[error("{0}")]
    Invalid(Problems),
    /// A file can't be read.
    #[error("error: {}: {source}{hint}", .path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
        hint: String,
    },
    /// A topology that is built in Rust refuses its arguments.
    #[error("error: topology {name}: {reason}")]
    Unbuilt { name: String, reason: String },
}

/// Finds, reads and checks the topology that the command line names, and says its warnings; `matches` are
/// the command's.
pub(super) fn find(matches: &ArgMatches, program: &Program) -> Result<Declared> {
    let declared = look(matches, program)?;
    for warning in &declared.warnings {
        console::say(warning.to_string().trim_end());
    }
    Ok(declared)
}

/// Does as [`find`] and says nothing.
pub(super) fn look(matches: &ArgMatches, program: &Program) -> Result<Declared> {
    match matches.subcommand() {
        Some((name, matches)) => build(name, matches, program),
        None => read(&FileArgs::from_arg_matches(matches)?, program),
    }
}

/// Says where the topology of [`find`] was declared: its files, or that it is the program's own.
pub(super) fn origin(matches: &ArgMatches) -> Result<String> {
    if matches.subcommand().is_some() {
        return Ok("this program".to_owned());
    }
    let args = FileArgs::from_arg_matches(matches)?;
    let files = args.paths().map(|path| path.display().to_string());
    Ok(files.collect::<Vec<_>>().join(" + "))
}

/// Returns the matches that hold a command's own options.
pub(super) fn options(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, matches)| matches)
}

fn build(name: &str, matches: &ArgMatches, program: &Program) -> Result<Declared> {
    let unbuilt = |reason: String| Refusal::Unbuilt {
        name: name.to_owned(),
        reason,
    };
    let topology = program.topologies.iter().find(|built| built.name == name);
    let topology = topology.ok_or_else(|| unbuilt("not in this program".to_owned()))?;
    let spec = topology.build(matches);
    let spec = spec.map_err(|error| unbuilt(error.to_string()))?;
    let checked = squall_plan::check(&spec, &program.registry).map_err(Refusal::Invalid)?;
    Ok(Declared {
        spec,
        signatures: checked.signatures,
        warnings: checked.warnings,
    })
}

fn read(args: &FileArgs, program: &Program) -> Result<Declared> {
    let mut files = Vec::new();
    for path in args.paths() {
        let bytes = read_file(path).map_err(|source| Refusal::Unreadable {
            path: path.clone(),
            source,
            hint: hint(path, program),
        })?;
        let file = SourceFile::from_bytes(&path.display().to_string(), bytes);
        files.push(file.map_err(Refusal::Invalid)?);
    }
    let sources = Sources {
        files,
        sets: args.sets.clone(),
        env: &|name| std::env::var(name).ok(),
    };
    Ok(squall_plan::declare(&sources, &program.registry).map_err(Refusal::Invalid)?)
}

/// Reads a file, and of one that is too large no more than shows it.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let bound = MAX_INPUT_BYTES as u64 + 1;
    File::open(path)?.take(bound).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_INPUT_BYTES
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        // The cut went through a character, which is not what is wrong with the file.
        bytes.truncate(error.valid_up_to());
        bytes.resize(MAX_INPUT_BYTES + 1, b' ');
    }
    Ok(bytes)
}

fn hint(path: &Path, program: &Program) -> String {
    let names: Vec<_> = program.topologies.iter().map(|t| t.name).collect();
    if names.is_empty() || path.extension().is_some() {
        return String::new();
    }
    format!("\n  this program's own topologies: {}", names.join(", "))
}

fn split_set(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let (path, value) = pair.ok_or("write PATH=VALUE, as in bolts.count.parallelism=4")?;
    Ok((path.to_owned(), value.to_owned()))
}
