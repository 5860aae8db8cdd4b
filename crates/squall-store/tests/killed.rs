//! A process that is killed while it commits: what it was answered is in the file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use squall_store::cluster::{ClusterStore, FileCluster, FileClusterConfig, Outcome, Txn};
use tempfile::TempDir;

/// Names the file to the process that gets killed.
const VICTIM: &str = "SQUALL_TEST_KILLED_STORE";

/// Commits numbers and says each that was answered, until it is killed.
fn commit_for_ever(path: &Path) {
    block_on(async {
        let store = FileCluster::open(path, FileClusterConfig::default()).unwrap();
        let by = store.raise_leader_epoch().await.unwrap();
        let mut n = number(&store).await;
        loop {
            n += 1;
            let padding = vec![7; usize::try_from(n % 50).unwrap() * 1000];
            let txn = Txn::new(by).put("number", n.to_string());
            let done = store.commit(txn.put(format!("row/{}", n % 100), padding));
            assert!(matches!(done.await.unwrap(), Outcome::Committed { .. }));
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "answered {n}").unwrap();
            stdout.flush().unwrap();
        }
    });
}

async fn number(store: &FileCluster) -> u64 {
    let stored = store.get("number").await.unwrap();
    stored.map_or(0, |stored| {
        String::from_utf8(stored.value.to_vec())
            .unwrap()
            .parse()
            .unwrap()
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

#[test]
fn what_was_answered_survives_a_kill() {
    if let Some(path) = std::env::var_os(VICTIM) {
        return commit_for_ever(Path::new(&path));
    }
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("nimbus.redb");
    let mut last = 0;
    for n_answers in [1, 2, 3, 5, 8, 13, 21, 34] {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "what_was_answered_survives_a_kill",
                "--nocapture",
            ])
            .env(VICTIM, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut answered = || {
            // The harness writes before our lines, and the kill may cut the last one short.
            let mut lines = lines.by_ref().map_while(Result::ok);
            lines.find_map(|line| line.split_once("answered ")?.1.parse::<u64>().ok())
        };
        for _ in 0..n_answers {
            last = answered().unwrap();
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        while let Some(n) = answered() {
            last = last.max(n);
        }
        let store = FileCluster::open(&path, FileClusterConfig::default()).unwrap();
        let now = block_on(number(&store));
        assert!(
            now == last || now == last + 1,
            "found {now} where {last} was answered"
        );
        last = now;
    }
    assert!(last >= 87, "every number that was answered counts: {last}");
}
