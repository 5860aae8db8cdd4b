//! Crates outside the workspace, as users have them: what `squall new` makes, and the tutorial's, each
//! built, tested and run as it stands.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs cargo in a crate, on what the workspace has downloaded already.
fn cargo(directory: &Path, args: &[&str]) -> io::Result<String> {
    // The versions of the workspace: those are there without a network.
    std::fs::copy(root().join("Cargo.lock"), directory.join("Cargo.lock"))?;
    let mut command = Command::new(env!("CARGO"));
    command.arg("--offline").args(args).current_dir(directory);
    // Quicker to build; nobody debugs it.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    // Both crates use what was built for the first.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside");
    check(command.env("CARGO_TARGET_DIR", target))
}

fn check(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the tutorial's files: each fenced block whose first line is a comment with a file's name, and the
/// text, which has no comments: the sentence before it begins with the name.
fn files_of(tutorial: &str) -> Vec<(&str, &str)> {
    let parts: Vec<_> = tutorial.split("```").collect();
    let blocks = parts.windows(2).step_by(2);
    let files = blocks.filter_map(|pair| {
        let [prose, block] = pair else { return None };
        let (language, text) = block.split_once('\n')?;
        if language == "text" {
            let name = prose.trim_end().lines().last()?.split('`').nth(1)?;
            return Some((name, text));
        }
        let (first, rest) = text.split_once('\n')?;
        let name = first.strip_prefix("# ").or(first.strip_prefix("// "))?;
        Some((name, rest))
    });
    files.collect()
}

#[test]
fn the_generated_crate_builds_passes_and_runs() {
    let directory = tempfile::tempdir().unwrap();
    let mut new = Command::new(env!("CARGO_BIN_EXE_squall"));
    new.args(["new", "my-topology"]).current_dir(&directory);
    check(&mut new).unwrap();
    let made = directory.path().join("my-topology");

    let tested = cargo(&made, &["test"]).unwrap();
    assert!(tested.contains("test tests::shouts ... ok"), "{tested}");
    let printed = cargo(&made, &["run", "--quiet", "--", "run", "topology.yaml"]).unwrap();
    assert_eq!(printed.lines().count(), 10, "{printed}");
    assert!(printed.contains(r#"{"text":"HELLO"}"#), "{printed}");
}

#[test]
fn the_tutorial_builds_passes_and_runs_as_printed() {
    let directory = tempfile::tempdir().unwrap();
    let tutorial = std::fs::read_to_string(root().join("topologies/README.md")).unwrap();
    let files = files_of(&tutorial);
    assert_eq!(files.len(), 5, "manifest, program, words, tests, topology");
    std::fs::create_dir(directory.path().join("src")).unwrap();
    for (name, text) in files {
        let facade = format!("{}/crates/squall\"", root().display());
        let text = text.replace("../squall/crates/squall\"", &facade);
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let tested = cargo(directory.path(), &["test"]).unwrap();
    assert!(tested.contains("2 passed"), "{tested}");
    assert!(
        !tested.contains("\"rank\""),
        "what passes prints nothing: {tested}"
    );
    for args in [&["run"][..], &["run", "topology.yaml"]] {
        let args = [&["run", "--quiet", "--"], args].concat();
        let printed = cargo(directory.path(), &args).unwrap();
        let ranking: Vec<_> = printed.lines().collect();
        let first = [
            r#"{"rank":1,"key":"the","count":6}"#,
            r#"{"rank":2,"key":"a","count":5}"#,
        ];
        assert!(ranking.starts_with(&first), "{printed}");
        assert_eq!(ranking.len(), 10, "one ranking, the final one: {printed}");
    }
}

#[test]
fn the_tutorial_is_the_crate_word_count() {
    let tutorial = std::fs::read_to_string(root().join("topologies/README.md")).unwrap();
    for name in ["src/main.rs", "words.txt"] {
        let file = root().join("topologies/word-count").join(name);
        let written = std::fs::read_to_string(file).unwrap();
        let printed = files_of(&tutorial)
            .into_iter()
            .find(|(file, _)| *file == name);
        assert_eq!(printed, Some((name, written.as_str())));
    }
}
