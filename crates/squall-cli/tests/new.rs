//! A crate that `squall new` made builds, passes its test and runs, as generated.

use std::io;
use std::path::Path;
use std::process::Command;

/// Runs cargo in the new crate, on what the workspace has downloaded already.
fn cargo(directory: &Path, args: &[&str]) -> io::Result<String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    let mut command = Command::new(env!("CARGO"));
    command.arg("--offline").args(args).current_dir(directory);
    // Quicker to build; nobody debugs it.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    check(command.env("CARGO_TARGET_DIR", target))
}

fn check(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_generated_crate_builds_passes_and_runs() {
    let directory = tempfile::tempdir().unwrap();
    let mut new = Command::new(env!("CARGO_BIN_EXE_squall"));
    new.args(["new", "my-topology"]).current_dir(&directory);
    check(&mut new).unwrap();
    let made = directory.path().join("my-topology");
    // The versions of the workspace: those are there without a network.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    std::fs::copy(lock, made.join("Cargo.lock")).unwrap();

    let tested = cargo(&made, &["test"]).unwrap();
    assert!(tested.contains("test tests::shouts ... ok"), "{tested}");
    let printed = cargo(&made, &["run", "--quiet", "--", "run", "topology.yaml"]).unwrap();
    assert_eq!(printed.lines().count(), 10, "{printed}");
    assert!(printed.contains(r#"{"text":"HELLO"}"#), "{printed}");
}
