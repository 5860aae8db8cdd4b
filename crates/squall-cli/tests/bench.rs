//! `squall bench` measures what it says, in the form that scripts read.

use std::process::Command;

use serde_json::Value as Json;

#[test]
fn a_case_is_measured_acked_and_unacked_and_loses_nothing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.args([
        "bench",
        "--case",
        "word-count",
        "--seconds",
        "1",
        "-o",
        "json",
    ]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    let cases = report["cases"].as_array().unwrap();
    let acked: Vec<_> = cases.iter().map(|case| case["acked"].as_bool()).collect();
    assert_eq!(acked, [Some(true), Some(false)]);
    for case in cases {
        let fields: Vec<_> = case
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            fields,
            [
                "case",
                "acked",
                "processes",
                "parallelism",
                "source_records_per_s",
                "cpu_ns_per_hop",
                "p50_us",
                "p99_us",
                "lost"
            ]
        );
        assert_eq!(case["lost"], 0, "{case}");
        assert!(case["source_records_per_s"].as_u64() > Some(1000), "{case}");
        assert!(case["p50_us"].as_u64() > Some(0), "{case}");
        assert!(case["p99_us"].as_u64() >= case["p50_us"].as_u64(), "{case}");
    }
}
