//! Integers of as many bytes as they need.

/// Appends an unsigned integer, seven bits a byte, low ones first.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

/// Turns a signed integer into an unsigned one that is small when the signed one is near zero.
#[inline]
#[expect(clippy::cast_sign_loss, reason = "the bits are what is meant")]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`zigzag`].
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "the bits are what is meant")]
pub(crate) const fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

#[inline]
const fn low_byte(value: u64) -> u8 {
    (value & 0xFF) as u8
}

/// Returns a length as it is written. What is longer than 32 bits fits no frame and is refused there.
pub(crate) fn as_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
