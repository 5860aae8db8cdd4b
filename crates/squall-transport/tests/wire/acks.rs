//! Contributions: there and back.

use proptest::prelude::*;

use squall_core::engine::{Contribution, Word};
use squall_core::{ComponentId, Failure, FailureReason, TaskId};
use squall_transport::wire::{begin_payload, decode_acks, encode_contribution};

use crate::samples::contribution;

proptest! {
    #[test]
    fn contributions_come_back_as_they_were(
        contributions in proptest::collection::vec(contribution(), 0..50),
    ) {
        let mut payload = Vec::new();
        begin_payload(&mut payload);
        for (owner, contribution) in &contributions {
            encode_contribution(&mut payload, *owner, contribution);
        }
        let mut back = Vec::new();
        decode_acks(&payload, &mut back).unwrap();
        prop_assert_eq!(back, contributions);
    }
}

#[test]
fn texts_that_are_too_long_are_cut_at_a_character() {
    let failure = Failure {
        text: "é".repeat(1000).into(),
        component: Some(ComponentId::new("é".repeat(1000))),
        ..Failure::new(FailureReason::Lost, None, "")
    };
    let contribution = Contribution {
        slot: 1,
        generation: 1,
        word: Word::Fail(Box::new(failure)),
    };
    let mut payload = Vec::new();
    begin_payload(&mut payload);
    encode_contribution(&mut payload, TaskId(1), &contribution);
    let mut back = Vec::new();
    decode_acks(&payload, &mut back).unwrap();
    let Word::Fail(failure) = &back[0].1.word else {
        panic!("{back:?}");
    };
    assert_eq!(failure.text.len(), Failure::MAX_TEXT_BYTES);
    assert_eq!(failure.component.as_ref().unwrap().as_str().len(), 1024);
}
