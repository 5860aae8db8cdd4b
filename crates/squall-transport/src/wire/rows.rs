//! Rows: from a delivery to the body of a section, and back.

mod decode;
mod encode;

pub use decode::decode_rows;
pub(crate) use decode::read_root;
pub(crate) use encode::max_body_bytes;
pub use encode::{Limits, Stop, Written, encode_large, is_large, push_rows};

const NO_ROOT: u8 = 0;
const ONE_ROOT: u8 = 1;
const SAME_ROOTS: u8 = 2;
const MANY_ROOTS: u8 = 3;
/// This batch index in a tag means that it follows.
const BATCH_FOLLOWS: u32 = 63;

/// The fewest bytes of a root and its edge id.
const MIN_ANCHOR_BYTES: usize = 18;
/// The most bytes of them.
const MAX_ANCHOR_BYTES: usize = 26;
