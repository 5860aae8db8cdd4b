//! The section of the tutorial that reads a stream by hand, executed as it is printed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SECTION: &str = "## Read a stream\n";
/// Where the text has the endpoint; the test's own is on a free port.
const ENDPOINT: &str = "http://127.0.0.1:4567";

/// A command of the text, and what it is said to print.
struct Step {
    args: Vec<String>,
    printed: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the commands of the section, in order.
fn steps() -> Vec<Step> {
    let tutorial = std::fs::read_to_string(root().join("topologies/README.md")).unwrap();
    let (_, section) = tutorial.split_once(SECTION).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    let mut steps: Vec<Step> = Vec::new();
    for line in blocks.flat_map(|block| block.lines().skip(1)) {
        match line.strip_prefix("$ squall ") {
            Some(command) => steps.push(Step {
                args: command.split(' ').map(str::to_owned).collect(),
                printed: Vec::new(),
            }),
            None => steps.last_mut().unwrap().printed.push(line.to_owned()),
        }
    }
    steps
}

fn squall(args: &[String], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.args(args).current_dir(directory);
    command
}

/// Tells whether a line is the one that is printed: `…` stands for anything, a number with a point for
/// any other.
fn is_as_printed(line: &str, printed: &str) -> bool {
    let mut rest = line;
    let parts: Vec<_> = printed.split('…').collect();
    if let [whole] = parts.as_slice() {
        let is_number = |word: &str| word.contains('.') && word.parse::<f64>().is_ok();
        let same = |(a, b): (&str, &str)| a == b || (is_number(a) && is_number(b));
        let (a, b) = (line.split(' '), whole.split(' '));
        return a.clone().count() == b.clone().count() && a.zip(b).all(same);
    }
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        rest = behind;
    }
    true
}

/// The endpoint, which is ended with the test.
struct Endpoint {
    child: Child,
    url: String,
}

impl Endpoint {
    fn start(step: &Step, directory: &Path) -> Self {
        assert_eq!(step.printed[0], ENDPOINT);
        let mut args = step.args.clone();
        args.extend(["--port".to_owned(), "0".to_owned()]);
        let mut command = squall(&args, directory);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut url).unwrap();
        Self {
            child,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

#[test]
fn the_section_on_streams_does_what_it_prints() {
    let directory = tempfile::tempdir().unwrap();
    let topologies = root().join("topologies").canonicalize().unwrap();
    std::os::unix::fs::symlink(topologies, directory.path().join("topologies")).unwrap();
    let mut steps = steps().into_iter();
    let endpoint = Endpoint::start(&steps.next().unwrap(), directory.path());
    let mut n_run = 0;
    for step in steps {
        let url = |arg: &String| arg.replace(ENDPOINT, &endpoint.url);
        let args: Vec<String> = step.args.iter().map(url).collect();
        let mut command = squall(&args, directory.path());
        // The commands know the port of the text by themselves.
        command.env("SQUALL_KINESIS_ENDPOINT", &endpoint.url);
        let output = command.output().unwrap();
        let (said, data) = (output.stderr, output.stdout);
        let said = String::from_utf8([said, data].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        for printed in step.printed.iter().filter(|line| *line != "…") {
            let found = said.lines().any(|line| is_as_printed(line, printed));
            assert!(
                found,
                "`{}` doesn't print\n{printed}\nbut\n{said}",
                args.join(" ")
            );
        }
        n_run += 1;
    }
    assert_eq!(n_run, 5);
}
