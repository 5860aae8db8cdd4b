//! What a reporter tells, line by line.

use std::fmt::{Debug, Write};

use squall_core::ManualClock;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::api::ErrorClass;

/// Collects the crate's lines: level, message, fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn listen() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let guard = tracing::subscriber::set_default(lines.clone());
        (lines, guard)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.0.insert_str(0, &format!("{value:?}")),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let line = format!("{} {}", event.metadata().level(), text.0);
        self.0.lock().unwrap().push(line);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn reporter(quota: &SharedQuota, clock: &Arc<ManualClock>) -> Reporter {
    let place = Place {
        stream: "clicks".to_owned(),
        region: Some("eu-west-1".to_owned()),
        endpoint_url: None,
    };
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Reporter::new(Arc::clone(quota), clock, Waker::noop().clone(), place)
}

fn error(class: ErrorClass, code: &str, message: &str) -> ApiError {
    ApiError {
        class,
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

#[test]
fn an_outage_is_a_line_every_ten_seconds_for_all_tasks_and_one_at_its_end() {
    let (lines, _guard) = Lines::listen();
    let (quota, clock) = (SharedQuota::default(), Arc::new(ManualClock::new()));
    let tasks = [reporter(&quota, &clock), reporter(&quota, &clock)];
    let refused = error(ErrorClass::Unreachable, "Unreachable", "Connection refused");
    for _ in 0..25 {
        for task in &tasks {
            task.failed(Call::GetRecords, &refused);
            task.failed(Call::ListShards, &refused);
        }
        clock.advance(Duration::from_secs(1));
    }
    for task in &tasks {
        task.succeeded(Call::GetRecords);
        task.succeeded(Call::GetRecords);
    }
    let advice =
        "WARN Kinesis can't be reached: check `region` (eu-west-1) and the network; trying again";
    let told = format!("{advice} stream=clicks said=Connection refused");
    assert_eq!(
        lines.take(),
        [
            told.clone(),
            format!("{told} repeated=39"),
            format!("{told} repeated=39"),
            "INFO Kinesis answers again stream=clicks".to_owned(),
        ]
    );
    assert!(tasks.iter().all(|task| task.fatal().is_none()));
}

#[test]
fn a_denied_call_is_not_over_because_another_is_allowed() {
    let (lines, _guard) = Lines::listen();
    let (quota, clock) = (SharedQuota::default(), Arc::new(ManualClock::new()));
    let task = reporter(&quota, &clock);
    task.prove();
    let denied = error(ErrorClass::Denied, "AccessDeniedException", "no");
    task.failed(Call::GetRecords, &denied);
    task.succeeded(Call::ListShards);
    assert_eq!(lines.take().len(), 1);
    task.succeeded(Call::GetRecords);
    assert_eq!(lines.take().len(), 1);
}

#[test]
fn who_gives_up_tells_the_engine_and_logs_nothing() {
    let (lines, _guard) = Lines::listen();
    let (quota, clock) = (SharedQuota::default(), Arc::new(ManualClock::new()));
    let task = reporter(&quota, &clock);
    let missing = error(
        ErrorClass::NotFound,
        "ResourceNotFoundException",
        "Stream clicks under account 1 not found",
    );
    task.failed(Call::ListShards, &missing);
    assert_eq!(
        task.fatal(),
        Some(
            "stream clicks: the stream doesn't exist: create it, or correct `stream` or `region` \
             (eu-west-1) (ListShards: Stream clicks under account 1 not found)"
        )
    );
    assert_eq!(lines.take(), [""; 0]);
}

#[test]
fn without_a_region_even_a_proven_application_gives_up() {
    let (quota, clock) = (SharedQuota::default(), Arc::new(ManualClock::new()));
    let task = reporter(&quota, &clock);
    task.prove();
    task.failed(
        Call::ListShards,
        &error(ErrorClass::NoRegion, "NoRegion", "none"),
    );
    assert!(
        task.fatal()
            .is_some_and(|text| text.contains("set `region`"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_long_says_what_for_within_two_seconds() {
    let (lines, _guard) = Lines::listen();
    let (quota, clock) = (SharedQuota::default(), Arc::new(ManualClock::new()));
    let task = reporter(&quota, &clock);
    let slow = std::future::pending::<()>();
    let watched = task.watch("a region: set AWS_REGION", slow);
    let early = tokio::time::timeout(Duration::from_secs(2), watched).await;
    assert!(early.is_err());
    assert_eq!(
        lines.take(),
        ["WARN still waiting for a region: set AWS_REGION stream=clicks"]
    );
    let quick = tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>());
    drop(task.watch("nothing", quick).await);
    assert_eq!(lines.take(), [""; 0]);
}
