//! Rows, rates and ends of `generate`.

mod resume;

use squall_core::FailureReason;

use super::*;
use crate::harness::SpoutHarness;

fn generate(config: serde_json::Value) -> SpoutHarness<Generate> {
    let config = serde_json::from_value(config).unwrap();
    SpoutHarness::new(Generate::new(config).unwrap())
}

fn rows(generate: &mut SpoutHarness<Generate>) -> Vec<Vec<Value>> {
    while generate.next_tuple().unwrap() == Activity::Emitted {}
    generate.emitted().into_iter().map(|(_, row)| row).collect()
}

fn every_kind() -> serde_json::Value {
    serde_json::json!({ "count": 50, "fields": {
        "n": "sequence",
        "line": "access-log",
        "word": { "choice": { "of": ["a", 7, null], "skew": 1.0 } },
        "key": { "key": { "n": 3 } },
        "int": { "integer": { "min": -1, "max": 1 } },
        "num": { "number": { "min": 0.5, "max": 1.5 } },
    } })
}

#[test]
fn rows_repeat_with_the_seed_whatever_the_number_of_tasks() {
    let mut alone = generate(every_kind());
    alone.open().unwrap();
    let all = rows(&mut alone);
    assert_eq!(all.len(), 50);
    assert_eq!(alone.next_tuple().unwrap(), Activity::Finished);
    for task_idx in 0..3 {
        let mut one = generate(every_kind()).task(task_idx, 3);
        one.open().unwrap();
        let expected: Vec<_> = all.iter().skip(task_idx).step_by(3).cloned().collect();
        assert_eq!(rows(&mut one), expected);
    }
    for (n, row) in (0i64..).zip(&all) {
        assert_eq!(row[0], Value::from(n));
        assert!(crate::parse(row[1].as_str().unwrap()).is_ok());
        assert!(matches!(row[4].as_i64(), Some(-1..=1)));
        assert!((0.5..1.5).contains(&row[5].as_f64().unwrap()));
    }
    for (column_idx, expected) in [(2, 3), (3, 3), (4, 3)] {
        let mut values: Vec<_> = all.iter().map(|row| row[column_idx].to_string()).collect();
        values.sort();
        values.dedup();
        assert_eq!(values.len(), expected);
    }
}

#[test]
fn a_rate_is_kept_over_time_and_pauses_are_caught_up() {
    let config = serde_json::json!({ "rate_per_sec": 100, "fields": { "due": "due-ns" } });
    let mut generate = generate(config).task(0, 2);
    generate.open().unwrap();
    let due = |n: i64| vec![Value::from(n * 20_000_000)];
    assert_eq!(rows(&mut generate), [due(0)], "half of 100 a second");
    let wait = Duration::from_millis(20);
    assert_eq!(generate.next_tuple().unwrap(), Activity::IdleFor(wait));
    generate.advance(wait * 3);
    assert_eq!(rows(&mut generate), [due(1), due(2), due(3)]);
    generate.advance(wait * 10);
    generate.spout().activate();
    assert_eq!(
        rows(&mut generate),
        [due(13)],
        "a pause leaves nothing overdue"
    );
}

#[test]
fn a_failed_row_comes_again_as_it_was() {
    let config = serde_json::json!({
        "count": 1, "rate_per_sec": 1, "fields": { "due": "due-ns", "line": "access-log" },
    });
    let mut generate = generate(config);
    generate.open().unwrap();
    generate.next_tuple().unwrap();
    let first = generate.emitted();
    generate.fail(first[0].0, FailureReason::TimedOut);
    let Activity::IdleFor(wait) = generate.next_tuple().unwrap() else {
        panic!("a retry waits");
    };
    generate.advance(wait);
    assert_eq!(generate.next_tuple().unwrap(), Activity::Emitted);
    assert_eq!(generate.emitted(), first);
}

#[test]
fn stops_at_the_bound_of_what_is_in_flight_and_goes_on_when_there_is_room() {
    let mut generate = generate(serde_json::json!({ "replay": { "max_items": 2 } }));
    generate.open().unwrap();
    assert_eq!(rows(&mut generate).len(), 2);
    assert_eq!(generate.next_tuple().unwrap(), Activity::Idle);
    generate.ack(0);
    assert_eq!(rows(&mut generate), [[Value::from(2)]], "one was acked");
    generate.held(1);
    assert_eq!(
        rows(&mut generate),
        [[Value::from(3)]],
        "one is a window's now"
    );
}

#[test]
fn untracked_rows_leave_nothing_in_flight() {
    let config = serde_json::json!({
        "count": 5, "tracked": false, "replay": { "max_items": 2 },
    });
    let mut generate = generate(config);
    generate.open().unwrap();
    while generate.next_tuple().unwrap() == Activity::Emitted {}
    assert_eq!(generate.n_untracked(), 5);
}

#[test]
fn refuses_fields_that_can_not_be_made() {
    for (fields, expected) in [
        (serde_json::json!({}), "`fields` is empty"),
        (
            serde_json::json!({ "a": { "choice": { "of": [] } } }),
            "field `a`: `of` is empty",
        ),
        (
            serde_json::json!({ "a": { "integer": { "min": 1, "max": 0 } } }),
            "`min` is above `max`",
        ),
        (
            serde_json::json!({ "a": { "key": { "n": 2, "skew": -1.0 } } }),
            "`skew` is -1",
        ),
        (
            serde_json::json!({ "a": { "key": { "n": 2_000_000 } } }),
            "`n` is above",
        ),
    ] {
        let config = serde_json::from_value(serde_json::json!({ "fields": fields })).unwrap();
        let error = Generate::new(config).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
