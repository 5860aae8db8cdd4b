//! Bytes that nobody has encoded: cut, flipped and drawn.

use proptest::prelude::*;

use squall_core::Moment;
use squall_core::engine::{Cursor, Delivery};
use squall_transport::wire::{
    Limits, SectionBody, Sections, begin_payload, decode_acks, decode_rows, encode_contribution,
    encode_large, push_rows,
};

use crate::samples::{EDGE, contribution, delivery, schemas};

/// A byte of a payload never becomes more than this many bytes of cost: a `Null`'s 24 and its own, and a
/// row's 40 for its tag.
const MAX_COST_OF_A_BYTE: usize = 70;

fn payload_of(delivery: &Delivery) -> Vec<u8> {
    let limits = Limits {
        max_len: usize::MAX,
        max_cost: usize::MAX,
        free_first: false,
    };
    let mut payload = Vec::new();
    begin_payload(&mut payload);
    push_rows(
        &mut payload,
        EDGE,
        (delivery, &mut Cursor::new(delivery)),
        (&schemas(), limits),
        |_| {},
    );
    payload
}

/// Reads a payload to its end, whatever it is; returns false if it isn't one.
fn read(payload: &[u8]) -> bool {
    let Ok(sections) = Sections::new(payload) else {
        return false;
    };
    for section in sections {
        let Ok(section) = section else { return false };
        if let SectionBody::Rows(body) = section.body {
            let Ok((delivery, cost)) = decode_rows(body, &schemas(), Moment::ZERO) else {
                return false;
            };
            assert!(delivery.bytes <= cost);
            assert!(
                cost <= MAX_COST_OF_A_BYTE * body.len(),
                "{cost} of {}",
                body.len()
            );
        }
    }
    true
}

proptest! {
    #[test]
    fn a_body_that_was_cut_is_none(delivery in delivery(), at in any::<proptest::sample::Index>()) {
        let (mut body, first) = (Vec::new(), Cursor::new(&delivery).peek(&delivery).unwrap());
        encode_large(&mut body, (&delivery, &first), &schemas(), 1 << 20).unwrap();
        let cut = at.index(body.len());
        prop_assert!(decode_rows(&body[..cut], &schemas(), Moment::ZERO).is_err());
        let payload = payload_of(&delivery);
        let cut = 1 + at.index(payload.len() - 1);
        prop_assert!(cut == 1 || !read(&payload[..cut]));
    }

    #[test]
    fn flipped_bits_do_no_harm(
        delivery in delivery(),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..8), 1..6),
    ) {
        let mut payload = payload_of(&delivery);
        for (at, bit) in flips {
            let at = at.index(payload.len());
            payload[at] ^= 1 << bit;
        }
        read(&payload);
    }

    #[test]
    fn drawn_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read(&bytes);
        let versioned = [&[1], &bytes[..]].concat();
        read(&versioned);
        decode_rows(&bytes, &schemas(), Moment::ZERO).ok();
        // Behind a head that is right: one batch of stream 1, as many rows as the first byte says.
        let headed = [&[1, 1, 3, bytes.first().copied().unwrap_or(1), 0, 0, 0], &bytes[..]].concat();
        decode_rows(&headed, &schemas(), Moment::ZERO).ok();
        decode_acks(&versioned, &mut Vec::new()).ok();
    }

    /// Bytes that are mostly right: tags and small lengths.
    #[test]
    fn small_numbers_do_no_harm(bytes in proptest::collection::vec(prop_oneof![0u8..10, 126u8..132], 0..300)) {
        let headed = [&[1, 1, 3, 2, 0, 0, 0], &bytes[..]].concat();
        if let Ok((delivery, cost)) = decode_rows(&headed, &schemas(), Moment::ZERO) {
            prop_assert!(delivery.bytes <= cost && cost <= MAX_COST_OF_A_BYTE * headed.len());
        }
        decode_acks(&headed, &mut Vec::new()).ok();
        read(&headed);
    }

    #[test]
    fn acks_that_were_cut_or_flipped_do_no_harm(
        contributions in proptest::collection::vec(contribution(), 1..6),
        at in any::<proptest::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut payload = Vec::new();
        begin_payload(&mut payload);
        let mut ends = vec![1];
        for (owner, contribution) in &contributions {
            encode_contribution(&mut payload, *owner, contribution);
            ends.push(payload.len());
        }
        let cut = 1 + at.index(payload.len());
        let whole = ends.contains(&cut);
        prop_assert_eq!(decode_acks(&payload[..cut.min(payload.len())], &mut Vec::new()).is_ok(), whole);
        let at = at.index(payload.len());
        payload[at] ^= 1 << bit;
        decode_acks(&payload, &mut Vec::new()).ok();
    }
}
