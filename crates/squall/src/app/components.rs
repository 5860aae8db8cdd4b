//! `components`: what topologies of this program can be made of.

mod describe;
mod field;

use std::fmt::Write;
use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};

use squall_core::Result;

use crate::app::Program;
use crate::console;

use describe::{Description, describe_all};
use field::plain;

/// List the components that topologies can be made of, or show one: its config and output fields
#[derive(Args, Debug)]
pub(super) struct ComponentsArgs {
    /// Show this one alone, in full
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

pub(super) fn components(matches: &ArgMatches, program: &Program) -> Result<ExitCode> {
    let args = ComponentsArgs::from_arg_matches(matches)?;
    let all = describe_all(program.registry());
    let Some(name) = args.name else {
        match args.output {
            Format::Table => console::data(list(&all).trim_end()),
            Format::Json => console::data(serde_json::to_string_pretty(&all)?),
        }
        return Ok(ExitCode::SUCCESS);
    };
    let found: Vec<_> = all.iter().filter(|one| one.name == name).collect();
    if found.is_empty() {
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        let names = names.join(", ");
        return Err(format!("no component `{name}`; there are: {names}").into());
    }
    for one in found {
        match args.output {
            Format::Table => console::data(show(one).trim_end()),
            Format::Json => console::data(serde_json::to_string_pretty(one)?),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(all: &[Description]) -> String {
    let rows = all.iter().map(|one| {
        let about = gist(&one.about);
        [one.name.clone(), one.kind.to_owned(), about]
    });
    columns(std::iter::once(["NAME", "KIND", "WHAT IT DOES"].map(String::from)).chain(rows))
}

/// Returns the beginning of a text, up to its first full stop or colon.
fn gist(about: &str) -> String {
    let paragraph = about.split("\n\n").next().unwrap_or_default();
    let joined = paragraph.lines().collect::<Vec<_>>().join(" ");
    let end = [". ", ": "]
        .iter()
        .filter_map(|stop| joined.find(stop))
        .min();
    let gist = end.and_then(|end| joined.get(..end)).unwrap_or(&joined);
    gist.trim_end_matches('.').to_owned()
}

/// Describes one component. Writing to a string can't fail.
fn show(one: &Description) -> String {
    let mut text = format!("{} ({})\n", one.name, one.kind);
    if !one.about.is_empty() {
        writeln!(text, "\n{}", one.about).unwrap_or_default();
    }
    if !one.config.is_empty() {
        text.push_str("\nCONFIG\n");
        let rows = one.config.iter().map(|field| {
            let default = match &field.default {
                _ if field.required => "required".to_owned(),
                Some(default) if !field.about.contains("Default:") => {
                    format!("default {}", plain(default))
                }
                // There is none, or it is explained in the text.
                _ => "optional".to_owned(),
            };
            [
                format!("  {}", field.name),
                field.type_name.clone(),
                default,
            ]
        });
        for (row, field) in columns(rows).lines().zip(&one.config) {
            text.push_str(row);
            for line in field.about.lines() {
                text.push_str("\n      ");
                text.push_str(line);
            }
            text.push('\n');
        }
    }
    text.push_str(&reads(one));
    text.push_str("\nEMITS\n");
    for stream in &one.outputs {
        let fields = stream.fields.join(", ");
        writeln!(text, "  {}: {fields}", stream.stream).unwrap_or_default();
    }
    if one.outputs.is_empty() {
        text.push_str("  nothing\n");
    } else if let Some(config) = &one.example {
        writeln!(text, "  (with the config {config})").unwrap_or_default();
    }
    text
}

/// Says what a bolt needs of its inputs; nothing where it doesn't say so itself.
fn reads(one: &Description) -> String {
    let needs = one.needs.iter().map(|fields| fields.join(" or "));
    let key = one
        .keyed
        .then(|| "the fields that its inputs are grouped by".to_owned());
    let lines = needs.chain(key).map(|need| format!("  {need}\n"));
    let lines: String = lines.collect();
    if lines.is_empty() {
        return lines;
    }
    format!("\nREADS\n{lines}")
}

/// Lays rows out in columns, two spaces between them.
fn columns(rows: impl IntoIterator<Item = [String; 3]>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let width = |column: fn(&[String; 3]) -> &String| {
        let widths = rows.iter().map(|row| column(row).chars().count());
        widths.max().unwrap_or(0)
    };
    let (first, second) = (width(|[a, _, _]| a), width(|[_, b, _]| b));
    let lines = rows.iter().map(|[a, b, c]| {
        let line = format!("{a:first$}  {b:second$}  {c}");
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}
