//! What is refused: with what to do next, an exit status, and nothing half done.

use std::fs;

use anyhow::{Result, ensure};

use squall_e2e::cluster::Cluster;
use squall_e2e::program;

use crate::numbers::{NAME, Numbers};

/// Runs a command that is refused; returns what it says.
fn refused(cluster: &Cluster, args: &[&str], status: i32) -> Result<String> {
    let output = cluster.run(args)?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(
        output.status.code() == Some(status),
        "{args:?}: {}: {said}",
        output.status
    );
    Ok(said)
}

/// Has a program ask for a version of glibc that isn't there yet.
fn with_newer_glibc(mut program: Vec<u8>) -> Vec<u8> {
    let name = b"\0GLIBC_2.";
    let starts = program.windows(name.len()).enumerate();
    let starts: Vec<usize> = starts
        .filter(|(_, window)| window == name)
        .map(|(at, _)| at)
        .collect();
    for at in starts {
        // Two digits behind the dot: those of the newest versions.
        if let Some([first @ b'0'..=b'9', b'0'..=b'9', 0]) =
            program.get_mut(at + name.len()..at + name.len() + 3)
        {
            *first = b'9';
        }
    }
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_what_to_do_and_leaves_nothing() -> Result<()> {
    let mut cluster = Cluster::start(&["east"]).await?;
    let numbers = Numbers {
        n: 10,
        rate_per_sec: 10,
    };
    fs::write(
        cluster.folder().join("topology.yaml"),
        numbers.topology(&cluster),
    )?;
    let n_binaries = |cluster: &Cluster| {
        fs::read_dir(cluster.folder().join("nimbus/binaries")).map_or(0, Iterator::count)
    };

    // Only asked: placed, and nothing is stored.
    let planned = cluster.squall(&[
        "submit",
        "topology.yaml",
        "--workers",
        "2",
        "--dry-run",
        "-o",
        "json",
    ])?;
    let plan: serde_json::Value = serde_json::from_str(&planned.stdout)?;
    ensure!(
        plan.pointer("/plan/workers/1/supervisor") == Some(&"east".into()),
        "{plan}"
    );
    ensure!(plan["id"].is_null() && cluster.list()?.is_empty(), "{plan}");
    ensure!(n_binaries(&cluster) == 0, "a dry run has stored a program");

    // Invalid: said as `validate` says it.
    fs::write(
        cluster.folder().join("broken.yaml"),
        "name: x\nspouts:\n  in: { type: generat }\n",
    )?;
    let submitted = refused(&cluster, &["submit", "broken.yaml"], 2)?;
    let validated = refused(&cluster, &["validate", "broken.yaml"], 2)?;
    ensure!(
        submitted == validated && submitted.contains("did you mean `generate`"),
        "{submitted}"
    );

    // Built against a newer glibc than any machine has.
    let (built, newer) = (program("word-count")?, cluster.folder().join("newer"));
    fs::write(&newer, with_newer_glibc(fs::read(&built)?))?;
    fs::set_permissions(&newer, fs::metadata(&built)?.permissions())?;
    let said = refused(&cluster, &["submit", "topology.yaml", "--bin", "newer"], 1)?;
    ensure!(
        said.contains("needs glibc 2.9") && said.contains("docker run --rm"),
        "{said}"
    );
    ensure!(
        n_binaries(&cluster) == 0,
        "a program that can't run is stored"
    );

    // Too many workers for the slots: it runs when there is room, and `--wait` says what is missing.
    let sets = [
        "--set",
        "bolts.count.parallelism=6",
        "--set",
        "bolts.out.parallelism=6",
    ];
    let args = ["submit", "topology.yaml", "--workers", "5", "--wait", "3s"];
    let args = [&args[..], &sets].concat();
    let said = refused(&cluster, &args, 1)?;
    ensure!(
        said.contains("doesn't run within 3s") && said.contains("has no place"),
        "{said}"
    );
    ensure!(said.contains("`squall kill numbers` ends it"), "{said}");

    let said = refused(&cluster, &["submit", "topology.yaml"], 1)?;
    ensure!(
        said.contains("runs already: numbers-1") && said.contains("`squall kill numbers`"),
        "{said}"
    );
    let said = refused(&cluster, &["kill", "nobody", "--yes"], 1)?;
    ensure!(
        said.contains("no topology `nobody` runs") && said.contains("`squall list`"),
        "{said}"
    );
    let said = refused(&cluster, &["kill", NAME], 1)?;
    ensure!(said.contains("needs --yes"), "{said}");
    ensure!(cluster.list()?.len() == 1, "it goes on");

    // A second nimbus or supervisor on the same data.
    let said = refused(
        &cluster,
        &[
            "nimbus",
            "--data-dir",
            "nimbus",
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
        ],
        1,
    )?;
    ensure!(
        said.contains("is in use by process") && said.contains("stop that process first"),
        "{said}"
    );
    let said = refused(&cluster, &["supervisor", "--data-dir", "east"], 1)?;
    ensure!(said.contains("in use"), "{said}");

    cluster.squall(&["kill", NAME, "--wait", "0s", "--yes"])?;
    cluster.kill_nimbus()?;
    let said = refused(&cluster, &["submit", "topology.yaml"], 1)?;
    ensure!(
        said.contains("no nimbus answers at") && said.contains("SQUALL_NIMBUS"),
        "{said}"
    );
    cluster.start_nimbus().await?;
    squall_e2e::until_asked("the killed topology is gone", || {
        Ok(cluster.list()?.is_empty())
    })
    .await?;
    cluster.end().await
}
