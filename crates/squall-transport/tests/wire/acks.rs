//! Contributions: there and back.

use proptest::prelude::*;

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
