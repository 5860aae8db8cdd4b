//! What the operator's page says is so: the settings of the daemons, nimbus's metrics, the images' compiler.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::tempdir;

use squall_e2e::{Process, squall, text, until};

const PAGE: &str = "deploy/README.md";

/// What every command has, and what no page of a daemon's settings needs.
const COMMON: [&str; 2] = ["--help", "--log <FILTER>"];

/// A flag as `--help` shows it.
#[derive(Debug, Default)]
struct Setting {
    /// With its value: `--listen <IP[:PORT]>`.
    flag: String,
    says: String,
    env: String,
    default: String,
}

impl Setting {
    /// Returns its row in the page's table.
    fn row(&self) -> String {
        let flag = self.flag.replace(['<', '>'], "");
        let (says, default) = match self.says.split_once(" [default: ") {
            Some((says, default)) if self.default.is_empty() => {
                (says, default.trim_end_matches(']'))
            }
            Some((says, _)) => (says, self.default.as_str()),
            None => (self.says.as_str(), self.default.as_str()),
        };
        let default = match default {
            "" if !self.flag.contains('<') => "off",
            "" => "none",
            default => default,
        };
        format!("| `{flag}` | `{}` | {default} | {says} |", self.env)
    }
}

/// Reads the long help of a command.
fn settings(help: &str) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    let mut in_values = false;
    for line in help.lines() {
        let word = line.trim();
        if let Some(flag) = word
            .strip_prefix("-h, ")
            .or(word.starts_with("--").then_some(word))
        {
            settings.push(Setting {
                flag: flag.to_owned(),
                ..Setting::default()
            });
            in_values = false;
            continue;
        }
        let Some(setting) = settings.last_mut() else {
            continue;
        };
        let bracketed = |name: &str| word.strip_prefix(name)?.strip_suffix(']');
        in_values |= word == "Possible values:";
        if let Some(env) = bracketed("[env: ") {
            setting.env = env.split('=').next().unwrap_or_default().to_owned();
        } else if let Some(default) = bracketed("[default: ").filter(|_| !setting.says.is_empty()) {
            setting.default = default.to_owned();
        } else if line.starts_with("          ") && !word.is_empty() && !in_values {
            let space = if setting.says.is_empty() { "" } else { " " };
            setting.says = format!("{}{space}{word}", setting.says);
        }
    }
    settings.retain(|setting| !COMMON.contains(&setting.flag.as_str()));
    settings
}

/// Returns a section of the page, without its heading.
fn section(heading: &str) -> Result<String> {
    let page = text(Path::new(PAGE))?;
    let (_, rest) = page
        .split_once(&format!("\n## {heading}\n"))
        .with_context(|| format!("{PAGE} has no section `{heading}`"))?;
    Ok(rest.split("\n## ").next().unwrap_or_default().to_owned())
}

/// Asks a daemon for its metrics.
fn metrics(address: &str) -> Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn the_settings_of_the_page_are_those_of_the_daemons() -> Result<()> {
    for (daemon, heading) in [
        ("nimbus", "Settings of nimbus"),
        ("supervisor", "Settings of a supervisor"),
    ] {
        let ran = Command::new(squall()?).args([daemon, "--help"]).output()?;
        let rows: Vec<String> = settings(&String::from_utf8(ran.stdout)?)
            .iter()
            .map(Setting::row)
            .collect();
        ensure!(rows.len() > 10, "{daemon} has more settings: {rows:#?}");
        let section = section(heading)?;
        let shown: Vec<&str> = section
            .lines()
            .filter(|line| line.starts_with("| `--"))
            .collect();
        let expected = rows.join("\n");
        ensure!(
            shown == rows,
            "{PAGE}, {heading}: the table should be\n{expected}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_page_names_every_metric_that_nimbus_serves() -> Result<()> {
    let folder = tempdir()?;
    let args = [
        "nimbus",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--data-dir",
        "nimbus",
    ];
    let mut nimbus = Process::start(&args, folder.path(), "nimbus.txt")?;
    let mut http = None;
    until("nimbus serves", || {
        let said = nimbus.said()?;
        let ready = said.lines().find(|line| line.starts_with("ready "));
        let address = ready.and_then(|line| line.split("http=").nth(1));
        http = address.map(str::to_owned);
        ensure!(
            http.is_some() || nimbus.is_running()?,
            "it has ended: {said}"
        );
        Ok(http.is_some())
    })
    .await?;
    let served = metrics(&http.context("it serves")?)?;
    let section = section("Health and metrics")?;
    let types = served
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let names: Vec<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    ensure!(names.len() > 8, "{served}");
    for name in names {
        ensure!(
            section.contains(&format!("`{name}")),
            "{PAGE} doesn't name {name}"
        );
    }
    ensure!(nimbus.terminate().await?.success(), "{}", nimbus.said()?);
    Ok(())
}

#[test]
fn the_image_is_built_by_the_compiler_of_the_workspace() -> Result<()> {
    let toolchain = text(Path::new("rust-toolchain.toml"))?;
    let channel = toolchain.split('"').nth(1).context("a channel")?;
    let image = format!("FROM rust:{channel}-bookworm AS build\n");
    ensure!(
        text(Path::new("deploy/Dockerfile"))?.contains(&image),
        "deploy/Dockerfile has no: {image}"
    );
    Ok(())
}
