//! The arguments of a topology that is built in Rust, written down again from what was parsed, so that another
//! process builds the same topology of them: without the options of the command around them, and with what
//! the environment gave.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use squall_core::Result;

use crate::app::built::BuiltTopology;

/// Writes the topology's arguments as they would be typed; `matches` are those of its name on the command
/// line. What is a default is left out.
///
/// # Errors
/// An argument that is no text.
pub(super) fn written(topology: &BuiltTopology, matches: &ArgMatches) -> Result<Vec<String>> {
    let mut command = topology.subcommand(|command| command);
    command.build();
    write(&command, matches)
}

fn write(command: &Command, matches: &ArgMatches) -> Result<Vec<String>> {
    let (mut written, mut positional) = (Vec::new(), Vec::new());
    for arg in command.get_arguments() {
        let is_given = matches!(
            matches.value_source(arg.get_id().as_str()),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
        if is_given && arg.is_positional() {
            for value in values(arg, matches)?.concat() {
                positional.push(value);
            }
        } else if is_given {
            option(arg, matches, &mut written)?;
        }
    }
    match matches.subcommand() {
        Some((name, matches)) => {
            written.append(&mut positional);
            written.push(name.to_owned());
            if let Some(command) = command.find_subcommand(name) {
                written.extend(write(command, matches)?);
            }
        }
        None => {
            // What begins with a dash is no option there.
            if positional.iter().any(|value| value.starts_with('-')) {
                written.push("--".to_owned());
            }
            written.append(&mut positional);
        }
    }
    Ok(written)
}

fn option(arg: &Arg, matches: &ArgMatches, written: &mut Vec<String>) -> Result<()> {
    let name = match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => return Ok(()),
    };
    let id = arg.get_id().as_str();
    match arg.get_action() {
        ArgAction::SetTrue => {
            if matches.get_flag(id) {
                written.push(name);
            }
        }
        ArgAction::SetFalse => {
            if !matches.get_flag(id) {
                written.push(name);
            }
        }
        ArgAction::Count => {
            written.extend(std::iter::repeat_n(name, matches.get_count(id).into()));
        }
        _ => {
            for values in values(arg, matches)? {
                match (values.as_slice(), arg.get_value_delimiter()) {
                    ([], _) => written.push(name.clone()),
                    (values, Some(delimiter)) => {
                        let joined = values.join(&delimiter.to_string());
                        written.push(format!("{name}={joined}"));
                    }
                    ([value], None) => written.push(format!("{name}={value}")),
                    (values, None) => {
                        written.push(name.clone());
                        written.extend_from_slice(values);
                    }
                }
            }
        }
    }
    Ok(())
}

/// Returns the values of an argument, for each time that it was given.
fn values(arg: &Arg, matches: &ArgMatches) -> Result<Vec<Vec<String>>> {
    let occurrences = matches.get_raw_occurrences(arg.get_id().as_str());
    let text = |value: &std::ffi::OsStr| {
        let text = OsString::from(value).into_string();
        text.map_err(|value| {
            let value = value.to_string_lossy();
            format!("the argument `{value}` is no UTF-8 text").into()
        })
    };
    let occurrences = occurrences.into_iter().flatten();
    occurrences
        .map(|values| values.map(text).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::{Args, Subcommand};

    use super::*;

    #[derive(Args, Debug, PartialEq)]
    struct Everything {
        #[arg(long)]
        lines: String,
        #[arg(short)]
        n: Option<i32>,
        #[arg(long, default_value_t = 7)]
        keep: u32,
        #[arg(long, env = "PATH")]
        path: Option<String>,
        #[arg(short, long)]
        verbose: bool,
        #[arg(short, action = ArgAction::Count)]
        q: u8,
        #[arg(long)]
        each: Vec<String>,
        #[arg(long, value_delimiter = ',')]
        list: Vec<String>,
        #[arg(long, num_args = 2)]
        pair: Vec<String>,
        #[arg(long, num_args = 0..=1, default_missing_value = "always")]
        colour: Option<String>,
        rest: Vec<String>,
    }

    #[derive(Args, Debug, PartialEq)]
    struct Nested {
        #[arg(long)]
        deep: bool,
        #[command(subcommand)]
        source: Source,
    }

    #[derive(Debug, PartialEq, Subcommand)]
    enum Source {
        File { path: String },
    }

    fn check<A: Args + PartialEq + std::fmt::Debug>(args: &[&str], expected: &[&str]) {
        let topology = BuiltTopology::new("t", |_: A, _| Ok(()));
        let parse = |args: &[&str]| {
            let command = topology.subcommand(|command| command);
            command
                .try_get_matches_from([&["t"], args].concat())
                .unwrap()
        };
        let matches = parse(args);
        let path = format!("--path={}", std::env::var("PATH").unwrap());
        let expected: Vec<&str> = expected
            .iter()
            .map(|arg| if *arg == "PATH" { path.as_str() } else { arg })
            .collect();
        let again = written(&topology, &matches).unwrap();
        assert_eq!(again, expected);
        // And that is the same.
        let again: Vec<&str> = again.iter().map(String::as_str).collect();
        assert_eq!(
            A::from_arg_matches(&parse(&again)).unwrap(),
            A::from_arg_matches(&matches).unwrap()
        );
    }

    #[test]
    fn are_those_of_the_topology_and_of_the_environment_without_defaults() {
        check::<Everything>(&["--lines", "a b"], &["--lines=a b", "PATH"]);
        check::<Everything>(
            &["--lines=-x", "-n-3", "--keep", "7", "-vqq", "--path="],
            &[
                "--lines=-x",
                "-n=-3",
                "--keep=7",
                "--path=",
                "--verbose",
                "-q",
                "-q",
            ],
        );
    }

    #[test]
    fn keep_the_shape_of_lists() {
        check::<Everything>(
            &[
                "--lines=l",
                "--path=p",
                "--each",
                "1",
                "--each=2",
                "--list",
                "a,b",
                "--pair",
                "x",
                "y",
                "--colour",
                "--",
                "-1",
                "two",
            ],
            &[
                "--lines=l",
                "--path=p",
                "--each=1",
                "--each=2",
                "--list=a,b",
                "--pair",
                "x",
                "y",
                "--colour=always",
                "--",
                "-1",
                "two",
            ],
        );
    }

    #[test]
    fn go_on_behind_a_subcommand() {
        check::<Nested>(&["--deep", "file", "x.txt"], &["--deep", "file", "x.txt"]);
    }
}
