//! The program as a command of its own: `deploy/smoke.sh` submits the binary that `cargo test` builds for this
//! test.

use std::process::Command;

#[test]
fn the_program_knows_the_components_of_its_topology() {
    let program = Command::new(env!("CARGO_BIN_EXE_kinesis-record"))
        .args(["validate", "topology.yaml"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&program.stderr);
    assert!(program.status.success(), "{said}");
}
