//! `new`: a crate to begin with: one bolt, its test, a topology file.

mod name;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use squall::{Program, Result, console};

/// The files of the crate; `{{name}}` and `{{squall}}` are filled in.
const TEMPLATE: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("new/template/Cargo.toml.txt")),
    ("src/main.rs", include_str!("new/template/main.rs.txt")),
    ("topology.yaml", include_str!("new/template/topology.yaml")),
    (".gitignore", "/target\n/.squall\n"),
];
/// Where the façade stands in the sources that this binary was built from.
const OWN_SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../squall");

/// Make a crate with one bolt, its test and a topology file
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  squall new my-topology && cd my-topology
  cargo test
  cargo run -- run topology.yaml")]
pub(crate) struct NewArgs {
    /// The crate's name; a directory of that name is made
    #[arg(value_name = "NAME", value_parser = name::crate_name)]
    name: String,
    /// Where the crate `squall` is: `crates/squall` of a checkout [default: the sources that this
    /// command was built from, if they are still there]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

/// Writes the crate; refuses a directory that is there already.
pub(crate) fn new(args: &NewArgs, _: &Program) -> Result<ExitCode> {
    let dependency = dependency(args.path.as_deref())?;
    let directory = Path::new(&args.name);
    let made = fs::create_dir(directory);
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{} is there already", args.name),
        _ => format!("{}: {error}", args.name),
    })?;
    fs::create_dir(directory.join("src"))?;
    for (file, text) in TEMPLATE {
        let text = text.replace("{{name}}", &args.name);
        fs::write(
            directory.join(file),
            text.replace("{{squall}}", &dependency),
        )?;
    }
    let name = &args.name;
    console::say(format_args!(
        "made {name}; try it:\n  cd {name}\n  cargo test\n  cargo run -- run topology.yaml"
    ));
    Ok(ExitCode::SUCCESS)
}

/// Returns what stands behind `squall =` in the crate's manifest.
fn dependency(path: Option<&Path>) -> Result<String> {
    let found = match path {
        Some(path) => Some(fs::canonicalize(path).map_err(|e| format!("{}: {e}", path.display()))?),
        None => fs::canonicalize(OWN_SOURCES).ok(),
    };
    Ok(match found {
        Some(path) if !path.join("Cargo.toml").exists() => {
            return Err(format!("{}: no crate is there", path.display()).into());
        }
        // A TOML string is written as a JSON one is.
        Some(path) => format!("{{ path = {} }}", serde_json::to_string(&path)?),
        None => format!("\"{}\"", env!("CARGO_PKG_VERSION")),
    })
}
