//! What each drill does, and to whom.

use std::panic::{AssertUnwindSafe, catch_unwind};

use squall_core::Value;

use super::*;
use crate::harness::{BoltHarness, End, schema, tuple};

fn drill_with(config: serde_json::Value, memory: &Memory) -> BoltHarness<Drill> {
    let config = serde_json::from_value(config).unwrap();
    let drill = Drill::new(config, memory.clone()).unwrap();
    let mut drill = BoltHarness::new(drill).inputs([schema(&["x", "n"])]);
    drill.prepare().unwrap();
    drill
}

fn drill(config: serde_json::Value) -> BoltHarness<Drill> {
    drill_with(config, &Memory::default())
}

fn input(n: i64) -> Tuple {
    tuple(&["x", "n"], [Value::from("text"), n.into()])
}

#[test]
fn fails_a_share_of_the_messages_once_each_and_passes_their_retries() {
    let mut drill = drill(serde_json::json!({ "fields": ["n"], "rate": 0.1 }));
    let mut failed = Vec::new();
    for n in 0..2000 {
        if drill.execute(&input(n)).is_err() {
            failed.push(n);
        }
    }
    assert!((150..250).contains(&failed.len()), "{}", failed.len());
    assert_eq!(drill.emitted().len(), 2000 - failed.len());
    for n in &failed {
        drill.execute(&input(*n)).unwrap();
    }
    let retried: Vec<_> = failed.iter().map(|n| vec![Value::from(*n)]).collect();
    assert_eq!(drill.emitted(), retried);
}

#[test]
fn tasks_share_what_they_remember() {
    let memory = Memory::default();
    let config = serde_json::json!({ "fields": ["n"] });
    assert!(
        drill_with(config.clone(), &memory)
            .execute(&input(1))
            .is_err()
    );
    assert!(drill_with(config, &memory).execute(&input(1)).is_ok());
}

#[test]
fn goes_by_the_attempt_where_the_source_tells_it() {
    let fields = ["n", "attempt"];
    let mut drill = drill(serde_json::json!({ "fields": ["n"], "first_attempts": 2 }));
    for (attempt, fails) in [(1, true), (1, true), (3, false), (2, true)] {
        let result = drill.execute(&tuple(&fields, [Value::from(7), attempt.into()]));
        assert_eq!(result.is_err(), fails, "attempt {attempt}");
    }
}

#[test]
fn harms_only_what_contains_the_text() {
    let mut drill = drill(serde_json::json!({
        "fields": ["n"], "contains": "7", "first_attempts": 0,
    }));
    drill.execute(&input(1)).unwrap();
    for _ in 0..3 {
        assert!(drill.execute(&input(70)).is_err());
    }
}

#[test]
fn panics_and_the_next_instance_passes_the_retry() {
    let memory = Memory::default();
    let config = serde_json::json!({ "fields": ["n"], "action": "panic" });
    let mut first = drill_with(config.clone(), &memory);
    assert!(catch_unwind(AssertUnwindSafe(|| first.execute(&input(1)))).is_err());
    drill_with(config, &memory).execute(&input(1)).unwrap();
}

#[test]
fn holds_a_token_until_the_end_of_input() {
    let mut drill = drill(serde_json::json!({ "fields": ["n"], "action": "hold" }));
    drill.execute(&input(1)).unwrap();
    drill.tick().unwrap();
    assert_eq!(drill.ends(), []);
    drill.execute(&input(1)).unwrap();
    assert_eq!(
        drill.emitted().len(),
        1,
        "the retry after the time-out passes"
    );
    drill.flush().unwrap();
    assert_eq!(drill.ends(), [End::Dropped(0)]);
}

#[test]
fn delays_without_blocking_and_delivers_at_the_end_of_input() {
    let mut drill = drill(serde_json::json!({
        "fields": ["n"], "action": "delay", "wait": "50ms",
    }));
    drill.execute(&input(1)).unwrap();
    drill.advance(Duration::from_millis(30));
    drill.execute(&input(2)).unwrap();
    drill.tick().unwrap();
    assert!(drill.emitted().is_empty());
    drill.advance(Duration::from_millis(20));
    drill.tick().unwrap();
    assert_eq!(drill.emitted(), [[Value::from(1)]]);
    drill.flush().unwrap();
    assert_eq!(drill.emitted(), [[Value::from(2)]]);
    assert_eq!(drill.ends(), [End::Acked(0), End::Acked(1)]);
}

#[test]
fn passes_the_oldest_early_rather_than_keep_without_bound() {
    let config = serde_json::json!({ "fields": ["n"], "action": "delay", "wait": "1h" });
    let mut drill = drill(config);
    for n in 0..100_002 {
        drill.execute(&input(n)).unwrap();
    }
    assert_eq!(drill.emitted(), [[Value::from(0)], [Value::from(1)]]);
    assert_eq!(drill.ends(), [End::Acked(0), End::Acked(1)]);
}

#[test]
fn blocks_and_passes_on() {
    let mut drill = drill(serde_json::json!({
        "fields": ["n"], "action": "block", "wait": "1ms",
    }));
    drill.execute(&input(1)).unwrap();
    assert_eq!(drill.emitted(), [[Value::from(1)]]);
}

#[test]
fn refuses_what_can_not_be() {
    for (config, expected) in [
        (serde_json::json!({ "fields": [] }), "`fields` is empty"),
        (
            serde_json::json!({ "fields": ["n"], "rate": 1.5 }),
            "`rate` is 1.5",
        ),
    ] {
        let config = serde_json::from_value(config).unwrap();
        let error = Drill::new(config, Memory::default()).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let config = serde_json::from_value(serde_json::json!({ "fields": ["gone"] })).unwrap();
    let drill = Drill::new(config, Memory::default()).unwrap();
    let error = BoltHarness::new(drill)
        .inputs([schema(&["n"])])
        .prepare()
        .unwrap_err();
    assert_eq!(error.to_string(), "input source has no field `gone`");
}
