//! The bytes that links carry: what a tuple looks like between two workers.
//!
//! A frame's payload is flat. Numbers of a fixed width are little-endian; a `varint` has seven bits a byte,
//! low ones first, and at most as many bytes as its width needs.
//!
//! ```text
//! data payload   version:u8 (1)  section*
//! section        kind:u8  emitter:varint32  reader:varint32  len:u32  body[len]
//!   1 rows         n_batches:varint32  (schema:varint32 source:varint32)*  n_rows:u32  row*
//!   2 mark         mark:u8  task:varint32  value:u64      1 end (value 0); 2 watermark, 3 barrier and
//!                                                         4 drain are reserved with the same layout
//!   3 first piece  total:u32  the first bytes of a rows body that fits no frame
//!   4 piece        more bytes of it; complete when `total` have come
//! row            tag:u8  [batch:varint32]  roots  edge:u64*  value*
//!                one edge id for each root; as many values as the schema has fields
//!   tag            bits 0 and 1: the kind of roots; bits 2 to 7: the batch's index, 63: it follows
//!   roots          0 none
//!                  1 one       task:varint32 slot:varint32 generation:u64
//!                  2 those of the row before it, which is of the same batch
//!                  3 many      n:varint32  (task slot generation)*
//! value          0 null  1 false  2 true  3 i64:zigzag varint64  4 f64:u64  5 str:varint32 bytes
//!                6 bytes:varint32 bytes  7 list:varint32 value*
//!                8 map:varint32 (key:varint32 bytes, value)*   keys strictly ascending
//!                128..=255 str of (tag - 128) bytes
//!
//! ack payload    version:u8 (1)  contribution*
//! contribution   word:u8  task:varint32  slot:varint32  generation:u64  rest
//!   1 xor          xor:u64
//!   2 waiting   3 hold   4 release
//!   5 fail         reason:u8 (0 rejected, 1 timed out, 2 lost, 3 drained; +128: permanent)
//!                  component:varint32 bytes (none if empty)  text:varint32 bytes (at most 1024)
//! ```
//!
//! Schemas and components go by their number in the [`SchemaTable`], whose fingerprint both ends compare
//! before the first frame.
//!
//! **Invariant:** whatever the bytes, decoding ends in a value or in a [`WireError`], and allocates in
//! proportion to what it has read: counts that the bytes left can't hold are refused.

mod acks;
mod cost;
mod error;
mod reader;
mod rows;
mod schemas;
mod section;
mod value;
mod varint;

pub use acks::{decode_acks, encode_contribution};
pub use cost::Cost;
pub use error::{EncodeError, WireError};
pub(crate) use rows::max_body_bytes;
pub use rows::{Limits, Stop, Written, decode_rows, encode_large, is_large, push_rows};
pub use schemas::{ComponentSchemas, SchemaTable};
pub use section::{
    Section, SectionBody, Sections, begin_payload, push_first_piece, push_mark, push_piece,
};

/// The version of the layout.
pub const VERSION: u8 = 1;

/// The payload that frames aim at, in bytes; only a section's header may go beyond it.
pub const TARGET_PAYLOAD_BYTES: usize = 64 * 1024;

/// The largest payload that is looked at, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = squall_proto::bounds::MAX_FRAME_BYTES;

/// The deepest nesting of lists and maps. A tuple that goes deeper can't leave its worker.
pub const MAX_DEPTH: usize = 128;

/// What a rows body may have beyond `max_tuple_bytes`, for the anchors of its row: about 150,000 of them.
pub const MAX_ANCHORS_BYTES: usize = 4 * 1024 * 1024;
