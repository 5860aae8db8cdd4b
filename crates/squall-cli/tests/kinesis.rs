//! A Kinesis spout that isn't set up right, as its user sees it: one clear line, soon.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Two tasks, which must not tell everything twice.
const TOPOLOGY: &str = "\
name: probe
spouts:
  clicks: { type: kinesis, parallelism: 2, config: { stream: clicks } }
bolts:
  log: { type: log, inputs: [clicks] }
";

/// Prepares `squall run` without any of the machine's AWS settings.
fn run(directory: &Path, settings: &[&str]) -> Command {
    std::fs::write(directory.join("topology.yaml"), TOPOLOGY).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command
        .args(["run", "topology.yaml"])
        .current_dir(directory);
    for setting in settings {
        command.args(["--set", &format!("spouts.clicks.config.{setting}")]);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    for file in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        command.env(file, directory.join("none"));
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Runs to the end, which is a failure; returns the lines that speak of the stream.
fn lines_of(mut command: Command) -> Vec<String> {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines = said.lines().filter(|line| line.contains("stream"));
    lines.map(str::to_owned).collect()
}

/// Answers every request with this error of the service, one at a time.
fn refuse_all(code: &str, message: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = BufReader::new(connection.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while request.read_line(&mut line).unwrap_or(0) > 2 {
                let lower = line.to_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut skipped = vec![0; length];
            request.read_exact(&mut skipped).unwrap_or_default();
            let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            connection.write_all(answer.as_bytes()).unwrap_or_default();
        }
    });
    url
}

#[test]
fn what_is_missing_is_told_in_one_line_and_the_run_ends() {
    let directory = tempfile::tempdir().unwrap();
    let denied = refuse_all(
        "AccessDeniedException",
        "User: arn:aws:iam::1:user/u is not authorized to perform: kinesis:ListShards",
    );
    let denied = format!("endpoint_url={denied}");
    for (settings, expected) in [
        (
            &[][..],
            "no AWS region is set: set `region` in the spout's config, or AWS_REGION",
        ),
        (
            &["region=eu-west-1"],
            "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (
            &[denied.as_str()],
            "access is denied: allow these credentials kinesis:ListShards on the stream, or set others \
             (ListShards: User: arn:aws:iam::1:user/u is not authorized to perform: kinesis:ListShards)",
        ),
    ] {
        let lines = lines_of(run(directory.path(), settings));
        assert_eq!(lines.len(), 1, "{lines:#?}");
        let line = &lines[0];
        let begins = "error: `clicks` can't go on: stream clicks: ";
        assert!(
            line.starts_with(begins) && line.contains(expected),
            "{line}"
        );
        assert!(line.len() < 400, "{line}");
    }
}

#[test]
fn a_metadata_service_that_is_silent_is_named_while_it_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    // It takes connections and answers none.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut command = run(directory.path(), &[]);
    command.env_remove("AWS_EC2_METADATA_DISABLED");
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    // Both tasks wait, one line says so, and the SDK adds none of its own.
    let told: Vec<_> = said.lines().filter(|line| line.contains("WARN")).collect();
    let [line] = told.as_slice() else {
        panic!("{said}");
    };
    let expected = "still waiting for EC2's instance metadata to name a region: set `region`";
    assert!(
        line.contains(expected) && line.contains("stream=clicks"),
        "{line}"
    );
}
