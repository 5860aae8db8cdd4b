//! The reader in virtual time: each test is a conversation.

use super::*;
use crate::config::KinesisConfig;
use crate::sequence::Sequence;

const FAR_BEHIND: Option<u64> = Some(60_000);

/// Drives one reader and remembers the time.
struct Talk {
    reader: Reader,
    now: Moment,
}

fn sequence(n: u64) -> Sequence {
    Sequence::parse(&format!("49590338271490256608559692538361571095{n:018}")).unwrap()
}

fn record(n: u64) -> Record {
    Record {
        sequence: sequence(n),
        partition_key: "key".into(),
        data: vec![0; 10].into(),
        arrival_ms: Some(i64::try_from(n).unwrap() * 1000),
    }
}

fn page(records: std::ops::Range<u64>, next: Option<&str>, behind_ms: Option<u64>) -> Page {
    Page {
        records: records.map(record).collect(),
        next_iterator: next.map(str::to_owned),
        behind_ms,
        children: Vec::new(),
    }
}

fn error(class: ErrorClass) -> ApiError {
    ApiError {
        class,
        code: format!("{class:?}"),
        message: String::new(),
    }
}

fn after(n: u64) -> Checkpoint {
    Checkpoint::After(Position::plain(sequence(n)))
}

impl Talk {
    fn new(checkpoint: &Checkpoint) -> Self {
        Self::with(checkpoint, KinesisConfig::new("clicks"))
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
    fn with(checkpoint: &Checkpoint, config: KinesisConfig) -> Self {
        Self {
            reader: Reader::new(checkpoint, Limits::of(&config), 7),
            now: Moment::ZERO + Duration::from_secs(1000),
        }
    }

    fn say(&mut self, event: Event) -> Effect {
        self.reader.step(event, self.now)
    }

    /// Says the event and waits out whatever comes; returns what follows and how long it took.
    fn say_and_wait(&mut self, event: Event) -> (Effect, Duration) {
        let since = self.now;
        let mut effect = self.say(event);
        while let Effect::Wait(until) = effect {
            assert!(until > self.now, "a wait leads forward");
            self.now = until;
            effect = self.say(Event::Ready);
        }
        (effect, self.now.since(since))
    }

    fn page(&mut self, page: Page) -> Effect {
        let now = self.now;
        self.say(Event::Page(now, Ok(page)))
    }

    fn failed_read(&mut self, class: ErrorClass) -> (Effect, Duration) {
        let now = self.now;
        self.say_and_wait(Event::Page(now, Err(error(class))))
    }

    /// Goes from the start to the first read, which must seek at `start`.
    fn open(&mut self, start: &Start) {
        let seek = self.say(Event::Ready);
        assert_eq!(seek, Effect::Seek(start.clone()));
        let read = self.say(Event::Iterator(Ok("first".to_owned())));
        assert_eq!(read, Effect::Read("first".to_owned(), 10_000));
    }
}

fn delivered(effect: Effect) -> Vec<Sequence> {
    match effect {
        Effect::Deliver(records, _) => records.into_iter().map(|r| r.sequence).collect(),
        other => panic!("no records: {other:?}"),
    }
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Sequence> {
    range.map(sequence).collect()
}

#[test]
fn begins_where_the_checkpoint_says() {
    let inside_an_aggregate = Position {
        sequence: sequence(5),
        subsequence: 3,
    };
    for (checkpoint, start) in [
        (Checkpoint::TrimHorizon, Start::TrimHorizon),
        (Checkpoint::AtTimestamp(7), Start::AtTimestamp(7)),
        (
            Checkpoint::AtSequence(sequence(5)),
            Start::AtSequence(sequence(5)),
        ),
        (after(5), Start::AfterSequence(sequence(5))),
        (
            Checkpoint::After(inside_an_aggregate),
            Start::AtSequence(sequence(5)),
        ),
    ] {
        Talk::new(&checkpoint).open(&start);
    }
}

#[test]
fn reads_page_after_page_at_the_interval() {
    let mut talk = Talk::new(&Checkpoint::TrimHorizon);
    talk.open(&Start::TrimHorizon);
    assert_eq!(
        delivered(talk.page(page(0..3, Some("b"), FAR_BEHIND))),
        numbers(0..3)
    );
    let (next, waited) = talk.say_and_wait(Event::Ready);
    assert_eq!(next, Effect::Read("b".to_owned(), 10_000));
    assert_eq!(waited, Duration::from_millis(250));
    // Empty, with data ahead.
    assert_eq!(delivered(talk.page(page(0..0, Some("c"), FAR_BEHIND))), []);
    let (_, waited) = talk.say_and_wait(Event::Ready);
    assert_eq!(waited, Duration::from_millis(250));
    talk.page(page(3..4, Some("d"), Some(0)));
    let (_, waited) = talk.say_and_wait(Event::Ready);
    assert_eq!(waited, Duration::from_secs(1), "at the tip");
}

#[test]
fn an_expired_iterator_is_made_anew_from_the_last_fetched_record_at_once() {
    for class in [ErrorClass::ExpiredIterator, ErrorClass::InvalidArgument] {
        let mut talk = Talk::new(&Checkpoint::TrimHorizon);
        talk.open(&Start::TrimHorizon);
        talk.page(page(0..3, Some("b"), FAR_BEHIND));
        talk.say_and_wait(Event::Ready);
        let (seek, waited) = talk.failed_read(class);
        assert_eq!(seek, Effect::Seek(Start::AfterSequence(sequence(2))));
        assert!(
            waited <= Duration::from_millis(200),
            "{class:?}: {waited:?}"
        );
        let (read, _) = talk.say_and_wait(Event::Iterator(Ok("c".to_owned())));
        assert_eq!(read, Effect::Read("c".to_owned(), 10_000));
        // A server that begins too early gives nothing twice.
        assert_eq!(
            delivered(talk.page(page(1..5, Some("d"), FAR_BEHIND))),
            numbers(3..5)
        );
        assert_eq!(talk.reader.counters().expired, 1);
    }
}

#[test]
fn an_iterator_that_expires_before_the_first_record_begins_where_the_first_one_did() {
    let mut talk = Talk::new(&Checkpoint::AtTimestamp(5000));
    talk.open(&Start::AtTimestamp(5000));
    talk.page(page(0..0, Some("b"), Some(0)));
    talk.say_and_wait(Event::Ready);
    let (seek, _) = talk.failed_read(ErrorClass::ExpiredIterator);
    assert_eq!(seek, Effect::Seek(Start::AtTimestamp(5000)));
}

#[test]
fn records_before_the_time_to_begin_at_are_left_out() {
    let mut talk = Talk::new(&Checkpoint::AtTimestamp(5400));
    talk.open(&Start::AtTimestamp(5400));
    // Record 5 arrived in the same second as far as anybody knows.
    assert_eq!(
        delivered(talk.page(page(0..8, Some("b"), Some(0)))),
        numbers(5..8)
    );
}

#[test]
fn an_iterator_that_waited_too_long_isnt_used() {
    let mut talk = Talk::new(&Checkpoint::TrimHorizon);
    talk.open(&Start::TrimHorizon);
    talk.page(page(0..3, Some("b"), FAR_BEHIND));
    talk.now = talk.now + Duration::from_secs(281);
    assert_eq!(
        talk.say(Event::Ready),
        Effect::Seek(Start::AfterSequence(sequence(2)))
    );
}

#[test]
fn throttled_and_failing_reads_back_off_and_keep_their_iterator() {
    let mut talk = Talk::new(&Checkpoint::TrimHorizon);
    talk.open(&Start::TrimHorizon);
    let (read, waited) = talk.failed_read(ErrorClass::Throttled);
    assert_eq!(read, Effect::Read("first".to_owned(), 10_000));
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    for _ in 0..20 {
        let (read, waited) = talk.failed_read(ErrorClass::Transient);
        assert_eq!(read, Effect::Read("first".to_owned(), 10_000));
        let bounds = Duration::from_millis(250)..=Duration::from_secs(10);
        assert!(bounds.contains(&waited), "{waited:?}");
    }
    let (_, waited) = talk.failed_read(ErrorClass::Denied);
    assert_eq!(waited, Duration::from_secs(30));
    let counters = talk.reader.counters();
    assert_eq!(
        (counters.throttled, counters.faults, counters.losses),
        (1, 21, 0)
    );
}

#[test]
fn seeks_are_never_closer_than_the_limit() {
    let mut talk = Talk::new(&after(5));
    talk.open(&Start::AfterSequence(sequence(5)));
    for _ in 0..50 {
        // The wait before the read may be part of it.
        let since = talk.now;
        let (seek, _) = talk.failed_read(ErrorClass::ExpiredIterator);
        assert!(matches!(seek, Effect::Seek(_)));
        talk.say_and_wait(Event::Iterator(Ok("next".to_owned())));
        assert!(talk.now.since(since) >= Duration::from_millis(200));
    }
}

#[test]
fn a_null_iterator_ends_a_closed_shard_after_its_records_and_another_look() {
    let mut talk = Talk::new(&Checkpoint::TrimHorizon);
    talk.open(&Start::TrimHorizon);
    assert_eq!(
        delivered(talk.page(page(0..3, None, Some(0)))),
        numbers(0..3)
    );
    assert_eq!(talk.say(Event::Ready), Effect::Check);
    let (seek, _) = talk.say_and_wait(Event::Checked(Ok(Listing::Closed)));
    assert_eq!(seek, Effect::Seek(Start::AfterSequence(sequence(2))));
    talk.say_and_wait(Event::Iterator(Ok("b".to_owned())));
    assert_eq!(delivered(talk.page(page(0..0, None, Some(0)))), []);
    assert_eq!(talk.say(Event::Ready), Effect::Stop(End::Finished));
}

#[test]
fn a_null_iterator_before_the_last_record_of_a_closed_shard_loses_nothing() {
    let mut talk = Talk::new(&Checkpoint::TrimHorizon);
    talk.open(&Start::TrimHorizon);
    talk.page(page(0..3, None, FAR_BEHIND));
    talk.say(Event::Ready);
    talk.say_and_wait(Event::Checked(Ok(Listing::Closed)));
    talk.say_and_wait(Event::Iterator(Ok("b".to_owned())));
    let more = delivered(talk.page(page(3..5, None, Some(0))));
    assert_eq!(more, numbers(3..5));
    let (seek, _) = talk.say_and_wait(Event::Ready);
    assert_eq!(seek, Effect::Seek(Start::AfterSequence(sequence(4))));
    talk.say_and_wait(Event::Iterator(Ok("c".to_owned())));
    talk.page(page(0..0, None, Some(0)));
    assert_eq!(talk.say(Event::Ready), Effect::Stop(End::Finished));
}

#[test]
fn child_shards_prove_the_end_without_a_listing() {
    let mut talk = Talk::new(&Checkpoint::TrimHorizon);
    talk.open(&Start::TrimHorizon);
    let last = Page {
        children: vec![ShardId::new("shardId-000000000001")],
        ..page(0..3, None, Some(0))
    };
    assert_eq!(delivered(talk.page(last)), numbers(0..3));
    assert_eq!(talk.say(Event::Ready), Effect::Stop(End::Finished));
}

#[test]
fn a_null_iterator_of_an_open_shard_is_a_fault() {
    let mut talk = Talk::new(&Checkpoint::TrimHorizon);
    talk.open(&Start::TrimHorizon);
    talk.page(page(0..3, None, Some(0)));
    assert_eq!(talk.say(Event::Ready), Effect::Check);
    let (seek, _) = talk.say_and_wait(Event::Checked(Ok(Listing::Open)));
    assert_eq!(seek, Effect::Seek(Start::AfterSequence(sequence(2))));
    assert_eq!(talk.reader.counters().faults, 1);
}

#[test]
fn a_listing_that_fails_is_repeated() {
    let mut talk = Talk::new(&Checkpoint::TrimHorizon);
    talk.open(&Start::TrimHorizon);
    talk.page(page(0..3, None, Some(0)));
    talk.say(Event::Ready);
    let (check, _) = talk.say_and_wait(Event::Checked(Err(error(ErrorClass::Transient))));
    assert_eq!(check, Effect::Check);
}

#[test]
fn what_is_not_found_is_looked_up() {
    for (listing, expected) in [
        (Listing::Absent, Effect::Stop(End::Gone)),
        (
            Listing::NoStream,
            Effect::Seek(Start::AfterSequence(sequence(5))),
        ),
    ] {
        let mut talk = Talk::new(&after(5));
        talk.open(&Start::AfterSequence(sequence(5)));
        let (check, _) = talk.failed_read(ErrorClass::NotFound);
        assert_eq!(check, Effect::Check);
        let (effect, waited) = talk.say_and_wait(Event::Checked(Ok(listing)));
        assert_eq!(effect, expected);
        let slow = listing == Listing::NoStream;
        assert_eq!(waited >= Duration::from_secs(30), slow);
    }
}

#[test]
fn a_position_that_is_not_accepted_is_the_operators_to_decide() {
    let not_accepted = [
        error(ErrorClass::InvalidArgument),
        error(ErrorClass::Trimmed),
    ];
    for refusal in not_accepted {
        for (policy, expected) in [
            (
                OnInvalidPosition::Fail,
                Effect::Stop(End::NotAccepted(refusal.clone())),
            ),
            (
                OnInvalidPosition::TrimHorizon,
                Effect::Seek(Start::TrimHorizon),
            ),
            (OnInvalidPosition::Latest, Effect::Seek(Start::Latest)),
        ] {
            let config = KinesisConfig {
                on_invalid_position: policy,
                ..KinesisConfig::new("clicks")
            };
            let mut talk = Talk::with(&after(5), config);
            talk.say(Event::Ready);
            let (effect, _) = talk.say_and_wait(Event::Iterator(Err(refusal.clone())));
            assert_eq!(effect, expected);
            assert_eq!(talk.reader.counters().losses, 1);
        }
    }
}

#[test]
fn a_trimmed_position_of_a_shard_that_is_there_is_not_accepted_either() {
    let mut talk = Talk::new(&after(5));
    talk.say(Event::Ready);
    let check = talk.say(Event::Iterator(Err(error(ErrorClass::NotFound))));
    assert_eq!(check, Effect::Check);
    let stop = talk.say(Event::Checked(Ok(Listing::Open)));
    assert!(
        matches!(stop, Effect::Stop(End::NotAccepted(_))),
        "{stop:?}"
    );
}

#[test]
fn after_a_reset_numbers_below_the_old_position_are_new() {
    let config = KinesisConfig {
        on_invalid_position: OnInvalidPosition::TrimHorizon,
        ..KinesisConfig::new("clicks")
    };
    let mut talk = Talk::with(&after(100), config);
    talk.say(Event::Ready);
    talk.say_and_wait(Event::Iterator(Err(error(ErrorClass::InvalidArgument))));
    talk.say(Event::Iterator(Ok("b".to_owned())));
    assert_eq!(
        delivered(talk.page(page(0..3, Some("c"), Some(0)))),
        numbers(0..3)
    );
}

#[test]
fn a_time_ahead_of_the_streams_clock_is_waited_for() {
    let mut talk = Talk::new(&Checkpoint::AtTimestamp(5000));
    talk.say(Event::Ready);
    for _ in 0..10 {
        let refused = Event::Iterator(Err(error(ErrorClass::InvalidArgument)));
        let (seek, _) = talk.say_and_wait(refused);
        assert_eq!(seek, Effect::Seek(Start::AtTimestamp(5000)));
    }
}
