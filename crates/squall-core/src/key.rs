//! Keys and the fixed hash that groups them.
//!
//! The hash is part of the format: keyed state is moved by key group, so it must be the same in every
//! process and version. It is XXH3-64 over the values' contents, one after the other: each value is
//! hashed with the hash so far, XORed with the value's kind, as its seed. Golden values stand in the
//! tests.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::value::Value;

/// How many groups all keys fall into. A topology can't use more tasks for one keyed component.
pub const KEY_GROUPS: u32 = 4096;

/// Hashes one key: the values of the grouping's fields in their order. Any value is legal, null too.
#[must_use]
pub fn hash_key<'v>(key: impl IntoIterator<Item = &'v Value>) -> u64 {
    key.into_iter().fold(0, hash_value)
}

/// Returns the group of a key's hash, below [`KEY_GROUPS`].
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a remainder of 4096 fits 32 bits"
)]
pub const fn key_group(hash: u64) -> u32 {
    (hash % KEY_GROUPS as u64) as u32
}

/// Returns which of `n_tasks` tasks owns a key group: contiguous ranges of groups, in task order.
#[must_use]
pub const fn owner_of(key_group: u32, n_tasks: usize) -> usize {
    key_group as usize * n_tasks / KEY_GROUPS as usize
}

fn hash_value(seed: u64, value: &Value) -> u64 {
    match value {
        Value::Null => xxh3_64_with_seed(&[], seed),
        Value::Bool(truth) => xxh3_64_with_seed(&[u8::from(*truth)], seed ^ 1),
        Value::I64(number) => xxh3_64_with_seed(&number.to_le_bytes(), seed ^ 2),
        Value::F64(number) => xxh3_64_with_seed(&canonical(*number).to_le_bytes(), seed ^ 3),
        Value::Str(text) => xxh3_64_with_seed(text.as_bytes(), seed ^ 4),
        Value::Bytes(bytes) => xxh3_64_with_seed(bytes, seed ^ 5),
        Value::List(items) => {
            let length = xxh3_64_with_seed(&(items.len() as u64).to_le_bytes(), seed ^ 6);
            items.iter().fold(length, hash_value)
        }
        Value::Map(map) => {
            let length = xxh3_64_with_seed(&(map.len() as u64).to_le_bytes(), seed ^ 7);
            map.iter().fold(length, |seed, (key, value)| {
                hash_value(xxh3_64_with_seed(key.as_bytes(), seed), value)
            })
        }
    }
}

/// Makes equal numbers equal bits: one zero, one NaN.
fn canonical(number: f64) -> u64 {
    if number.is_nan() {
        f64::NAN.to_bits()
    } else if number == 0.0 {
        0
    } else {
        number.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values_never_change() {
        let golden: &[(Value, u64)] = &[
            (Value::Null, 0x2d06_8005_38d3_94c2),
            (Value::Bool(true), 0x0e08_a51c_8536_156c),
            (Value::I64(42), 0x26a2_5328_c505_b63e),
            (Value::F64(1.5), 0x70e9_4629_6b91_9ba9),
            (Value::from("squall"), 0x76aa_5275_5022_ec27),
            (Value::from(&b"squall"[..]), 0xe20a_31f2_4fde_4345),
        ];
        for (value, hash) in golden {
            assert_eq!(hash_key([value]), *hash, "{value:?}");
        }
        let key = [Value::from("a"), Value::I64(1)];
        assert_eq!(hash_key(&key), 0x2cdd_599e_dc11_1cc2);
    }

    #[test]
    fn equal_numbers_have_equal_hashes() {
        assert_eq!(hash_key([&Value::F64(0.0)]), hash_key([&Value::F64(-0.0)]));
        assert_eq!(
            hash_key([&Value::F64(f64::NAN)]),
            hash_key([&Value::F64(-f64::NAN)])
        );
    }

    #[test]
    fn bytes_are_compared_by_content() {
        let (one, other) = (Value::from(vec![1u8, 2]), Value::from(vec![1u8, 2]));
        assert_eq!(hash_key([&one]), hash_key([&other]));
    }

    #[test]
    fn order_and_nesting_matter() {
        let (a, b) = (Value::from("a"), Value::from("b"));
        assert_ne!(hash_key([&a, &b]), hash_key([&b, &a]));
        let flat = Value::from(vec![a.clone(), b.clone()]);
        let nested = Value::from(vec![Value::from(vec![a]), b]);
        assert_ne!(hash_key([&flat]), hash_key([&nested]));
    }

    #[test]
    fn groups_are_spread_over_all_tasks_within_one() {
        for n_tasks in [1, 3, 7, 64, 4096] {
            let mut owned = vec![0usize; n_tasks];
            for group in 0..KEY_GROUPS {
                owned[owner_of(group, n_tasks)] += 1;
            }
            let (least, most) = (owned.iter().min().unwrap(), owned.iter().max().unwrap());
            assert!(most - least <= 1, "{n_tasks}: {least}..{most}");
        }
    }
}
