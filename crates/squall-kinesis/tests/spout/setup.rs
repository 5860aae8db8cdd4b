//! What becomes of a spout that isn't set up right: no credentials, no stream, no permission. In virtual
//! time.

use std::time::Duration;

use squall_core::Remedy;
use squall_kinesis::ErrorClass;

use crate::fake::{Fault, Op};
use crate::world::{data, names, settle, world};

/// What waiting doesn't mend: the call that says so, and what the operator is told.
const HOPELESS: [(Op, ErrorClass, &str); 6] = [
    (Op::List, ErrorClass::NotFound, "the stream doesn't exist"),
    (Op::List, ErrorClass::InvalidArgument, "correct `stream`"),
    (Op::List, ErrorClass::NoCredentials, "AWS_ACCESS_KEY_ID"),
    (Op::List, ErrorClass::Denied, "kinesis:ListShards"),
    (Op::Iterator, ErrorClass::Denied, "kinesis:GetShardIterator"),
    (Op::Records, ErrorClass::Denied, "kinesis:GetRecords"),
];

#[tokio::test(start_paused = true)]
async fn an_application_that_never_read_the_stream_gives_up_at_once() {
    for (op, class, said) in HOPELESS {
        let (fake, _, setup) = world(2);
        fake.fail_next(op, None, Fault::Error(class), 1000);
        // A second start knows no more than the first.
        for _ in 0..2 {
            let mut driver = setup.start();
            let began = tokio::time::Instant::now();
            let error = driver.fails().await;
            assert!(began.elapsed() < Duration::from_secs(2), "{error}");
            assert_eq!(error.remedy(), Remedy::DeadLetter, "{error}");
            let text = error.to_string();
            assert!(text.starts_with("stream web: "), "{text}");
            assert!(
                text.contains(said) && text.contains("told to fail"),
                "{text}"
            );
            driver.close().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_read_the_stream_before_waits_slowly_and_goes_on() {
    for (op, class, _) in HOPELESS {
        let (fake, _, setup) = world(1);
        fake.put_many(0, "r", 0..1);
        let mut driver = setup.start();
        let emits = driver.emits(1).await;
        driver.ack_all(&emits);
        driver.close().await;
        fake.put_many(0, "r", 1..3);
        fake.fail_next(op, None, Fault::Error(class), 1000);
        let n_before = fake.n_calls(op, None);
        let mut driver = setup.start();
        let emits = driver.run_for(Duration::from_secs(100)).await;
        assert!(emits.is_empty(), "{class:?}");
        assert!(fake.n_calls(op, None) - n_before <= 5, "{class:?}: slowly");
        fake.mend();
        assert_eq!(data(&driver.emits(2).await), names("r", 1..3), "{class:?}");
        driver.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_taken_away_under_way_stops_nothing() {
    let (fake, _, setup) = world(1);
    let mut driver = setup.start();
    // Nothing is stored of the stream, but it was read.
    settle(&mut driver).await;
    let denied = Fault::Error(ErrorClass::Denied);
    fake.fail_next(Op::Records, None, denied, 2);
    fake.put_many(0, "r", 0..3);
    assert_eq!(data(&driver.emits(3).await), names("r", 0..3));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_gone_under_way_is_looked_for_slowly() {
    let (fake, _, setup) = world(1);
    fake.put_many(0, "r", 0..1);
    let mut driver = setup.start();
    let emits = driver.emits(1).await;
    driver.ack_all(&emits);
    fake.set_exists(false);
    driver.run_for(Duration::from_secs(300)).await;
    assert!(fake.n_calls(Op::List, None) <= 25, "slowly");
    fake.set_exists(true);
    fake.put_many(0, "r", 1..3);
    assert_eq!(data(&driver.emits(2).await), names("r", 1..3));
}
