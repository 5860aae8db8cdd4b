//! The demo on a real web site's log, against a count by other means. Needs `SQUALL_TEST_DATA`.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use squall_e2e::{Summary, check_top};

/// Counts the referrers without a line of ours.
const COUNT: &str = r#"awk -F'"' '{ print $4 }' "$0" | sort | uniq -c"#;

#[test]
fn the_demos_top_10_of_a_real_log_is_that_of_awk_and_sort() -> Result<()> {
    let data = env::var_os("SQUALL_TEST_DATA")
        .context("SQUALL_TEST_DATA is unset: it names the folder with the real data")?;
    let log = PathBuf::from(data)
        .join("weblog/apache_access.log")
        .canonicalize()?;
    let path = log.to_str().context("a path that is text")?;

    let counted = Command::new("sh").args(["-c", COUNT, path]).output()?;
    ensure!(
        counted.status.success(),
        "{}",
        String::from_utf8_lossy(&counted.stderr)
    );
    let mut counts = BTreeMap::new();
    for line in String::from_utf8(counted.stdout)?.lines() {
        let (count, key) = line
            .trim_start()
            .split_once(' ')
            .context("uniq -c prints pairs")?;
        counts.insert(key.to_owned(), count.parse::<u64>()?);
    }
    let n_lines: u64 = counts.values().sum();
    ensure!(n_lines == 10_000, "{path} has {n_lines} lines");

    let folder = tempfile::tempdir()?;
    let summary = Summary::of_demo(&["--input", path], folder.path())?;
    summary.check(n_lines)?;
    check_top(&summary.top, &counts)
}
