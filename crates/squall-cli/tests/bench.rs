//! `squall bench` measures what it says, in the form that scripts read.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::park_timeout;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;

/// What each row says of itself.
const KEY: [&str; 4] = ["case", "acked", "processes", "parallelism"];
/// What was measured at full speed.
const THROUGHPUT: [&str; 4] = [
    "source_records_per_s",
    "cpu_ns_per_hop",
    "switches_per_1000_records",
    "lost",
];
/// And at a rate.
const LATENCY: [&str; 5] = ["rate_per_s", "p50_us", "p99_us", "idle_p99_us", "lost"];
/// How often something that takes its time is looked at, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const MAX_LOOKS: u32 = 2400;

fn bench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.args(["bench", "-o", "json"]);
    command.args(args);
    command
}

fn report(mut command: Command) -> Json {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rows<'r>(report: &'r Json, section: &str) -> Vec<&'r Json> {
    report[section].as_array().unwrap().iter().collect()
}

fn fields(row: &Json) -> Vec<&str> {
    let fields = row.as_object().unwrap().keys();
    fields.map(String::as_str).collect()
}

/// Checks that each of a row's runs has these quantities, and the row itself what is `beside` them.
fn check_row(row: &Json, quantities: &[&str], beside: [&[&str]; 2], n_runs: usize) {
    let [before, behind] = beside;
    let expected = [&KEY, before, quantities, behind, &["runs"]].concat();
    assert_eq!(fields(row), expected);
    assert_eq!(row["lost"], 0, "{row}");
    let runs = row["runs"].as_array().unwrap();
    assert_eq!(runs.len(), n_runs, "{row}");
    for run in runs {
        assert_eq!(fields(run), quantities);
    }
}

fn check_throughput(row: &Json, n_runs: usize) {
    check_row(row, &THROUGHPUT, [&[], &[]], n_runs);
    assert!(row["source_records_per_s"].as_u64() > Some(1000), "{row}");
    assert!(row["cpu_ns_per_hop"].as_f64() > Some(0.0), "{row}");
    let switches = row["switches_per_1000_records"].as_f64();
    assert!(switches >= Some(0.0), "{row}");
}

fn check_latency(row: &Json, n_runs: usize) {
    check_row(row, &LATENCY, [&["setting"], &["noisy"]], n_runs);
    assert!(row["p50_us"].as_u64() > Some(0), "{row}");
    assert!(row["p99_us"].as_u64() >= row["p50_us"].as_u64(), "{row}");
    let is_noisy = row["idle_p99_us"].as_u64() > Some(500);
    assert_eq!(row["noisy"], is_noisy, "{row}");
}

#[test]
fn a_case_is_measured_acked_and_unacked_and_loses_nothing() {
    let report = report(bench(&["--case", "word-count", "--seconds", "1"]));
    let rows = |section| rows(&report, section);
    let machine = &report["machine"];
    assert!(machine["n_cores"].as_u64() > Some(0), "{machine}");
    assert_eq!(machine["squall"], env!("CARGO_PKG_VERSION"));
    let (cases, latencies) = (rows("cases"), rows("latencies"));
    let acked: Vec<_> = cases.iter().map(|row| &row["acked"]).collect();
    assert_eq!(acked, [true, false]);
    let settings: Vec<_> = latencies.iter().map(|row| &row["setting"]).collect();
    assert_eq!(settings, ["10000/s", "half of full"].repeat(2));
    for (row, half) in cases.iter().zip([1, 3]) {
        check_throughput(row, 1);
        let rate = row["source_records_per_s"].as_u64().map(|rate| rate / 2);
        assert_eq!(latencies[half]["rate_per_s"].as_u64(), rate);
    }
    for row in latencies {
        check_latency(row, 1);
    }
}

#[test]
fn an_idle_topology_costs_little_and_loses_nothing() {
    let report = report(bench(&["--case", "idle", "--seconds", "1"]));
    let rows = rows(&report, "idle");
    let settings: Vec<_> = rows.iter().map(|row| &row["setting"]).collect();
    assert_eq!(settings, ["nothing", "1/s"]);
    for row in rows {
        let quantities = ["cpu_percent_of_core", "switches_per_s", "lost"];
        check_row(row, &quantities, [&["setting"], &[]], 1);
        assert!(row["cpu_percent_of_core"].as_f64() < Some(20.0), "{row}");
    }
}

#[test]
fn behind_a_slow_bolt_little_is_pending_and_nothing_fails() {
    let report = report(bench(&["--case", "slow-bolt", "--seconds", "1"]));
    let [row] = rows(&report, "back_pressure")[..] else {
        panic!("{report}");
    };
    let quantities = [
        "source_records_per_s",
        "max_pending",
        "max_spout_pending",
        "max_queued_bytes",
        "failed",
        "lost",
    ];
    check_row(row, &quantities, [&[], &[]], 1);
    assert!(
        row["max_pending"].as_u64() <= row["max_spout_pending"].as_u64(),
        "{row}"
    );
    assert!(row["max_queued_bytes"].as_u64() > Some(0), "{row}");
    assert_eq!(row["failed"], 0, "{row}");
    // It takes 100 µs for each; they are counted by the batch.
    assert!(
        row["source_records_per_s"].as_u64() <= Some(12_000),
        "{row}"
    );
}

#[test]
fn words_of_a_file_are_counted_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("words.txt");
    fs::write(&file, "a squall is a wind\n\nthat comes  suddenly").unwrap();
    let args = ["--case", "file-word-count", "--seconds", "1", "--input"];
    let mut command = bench(&args);
    command.arg(&file);
    let report = report(command);
    for row in rows(&report, "cases") {
        check_throughput(row, 1);
    }
}

#[test]
fn a_curve_that_is_not_measured_is_not_drawn() {
    let output = bench(&["--case", "idle", "--plot", "curve.svg"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("--case curve"),
        "{said}"
    );
}

#[test]
fn a_pending_tuple_takes_some_memory() {
    let report = report(bench(&["--case", "pending-tuples"]));
    let rows = rows(&report, "pending");
    let settings: Vec<_> = rows.iter().map(|row| &row["setting"]).collect();
    assert_eq!(settings, ["kept by a bolt", "in a queue"]);
    for row in rows {
        let bytes = row["bytes_per_pending_tuple"].as_f64().unwrap();
        // Its tree has an XOR and a message id at least.
        assert!((16.0..1024.0).contains(&bytes), "{row}");
    }
}

#[test]
fn an_earlier_bench_is_compared_with_and_anything_else_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("earlier.json");
    let path = file.to_str().unwrap();
    let args = ["--case", "pass-through", "--seconds", "1"];
    fs::write(&file, "machine: abacus").unwrap();
    let output = bench(&["--compare", path]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("bench -o json"),
        "{said}"
    );

    let mut earlier = report(bench(&args));
    earlier["machine"]["n_cores"] = 4096.into();
    fs::write(&file, earlier.to_string()).unwrap();
    let mut command = bench(&args);
    let output = command.args(["--compare", path]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("not as in the earlier bench: cores 4096"),
        "{said}"
    );
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    let compared = rows(&report, "compared");
    // Two rows at full speed with two quantities each, four at a rate with as many.
    assert_eq!(compared.len(), 12);
    let (then, now) = (&rows(&earlier, "cases")[0], &rows(&report, "cases")[0]);
    assert_eq!(
        compared[0]["earlier"].as_f64(),
        then["source_records_per_s"].as_f64()
    );
    assert_eq!(
        compared[0]["now"].as_f64(),
        now["source_records_per_s"].as_f64()
    );
}

#[test]
fn repeated_over_two_workers_word_count_loses_nothing_and_leaves_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bench(&["--processes", "2", "--seconds", "1", "--repeat", "2"]);
    command.env("TMPDIR", folder.path());
    let report = report(command);
    let (cases, latencies) = (rows(&report, "cases"), rows(&report, "latencies"));
    let ([case], [latency]) = (cases.as_slice(), latencies.as_slice()) else {
        panic!("{report}");
    };
    assert_eq!(
        (&case["processes"], &case["acked"]),
        (&2.into(), &true.into())
    );
    check_throughput(case, 2);
    check_latency(latency, 2);
    assert_eq!(workers_in(folder.path()), Vec::<u32>::new());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn workers_end_with_a_bench_that_is_broken_off_and_with_one_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::INT, Signal::KILL] {
        let mut bench = start_workers(folder.path());
        let pid = Pid::from_child(&bench);
        kill_process(pid, signal).unwrap();
        let status = bench.wait().unwrap();
        assert!(!status.success(), "{status}");
        until("no worker is left", || workers_in(folder.path()).is_empty());
    }
}

/// Starts a bench and waits until both of its workers are there.
fn start_workers(folder: &Path) -> Child {
    let mut command = bench(&["--processes", "2", "--seconds", "600"]);
    command.env("TMPDIR", folder);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut bench = command.spawn().unwrap();
    until("both workers run", || {
        let ended = bench.try_wait().unwrap();
        assert!(ended.is_none(), "it ended by itself: {ended:?}");
        workers_in(folder).len() == 2
    });
    bench
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..MAX_LOOKS {
        if holds() {
            return;
        }
        park_timeout(LOOK_EVERY);
    }
    panic!("never came: {what}");
}

/// Finds the workers whose launch files are in a folder.
fn workers_in(folder: &Path) -> Vec<u32> {
    let mut workers = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may be gone meanwhile. The dead have no arguments.
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut args = line.split(|byte| *byte == 0).skip(1);
        let is_worker = args.next() == Some(b"worker") && args.next() == Some(b"--launch");
        let folder = folder.as_os_str().as_bytes();
        if is_worker && args.next().is_some_and(|file| file.starts_with(folder)) {
            workers.push(pid);
        }
    }
    workers
}
