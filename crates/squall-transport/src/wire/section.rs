//! A data payload's sections: each is for one edge.

use squall_core::TaskId;
use squall_core::engine::{ComponentIdx, EdgeId, Mark};

use super::error::WireError;
use super::reader::Reader;
use super::varint::{as_u32, put_varint};
use super::{MAX_PAYLOAD_BYTES, VERSION};

pub(crate) const ROWS: u8 = 1;
const MARK: u8 = 2;
const FIRST_PIECE: u8 = 3;
const PIECE: u8 = 4;

const MARK_END: u8 = 1;

/// A section as it stands in its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Whom it is for.
    pub edge: EdgeId,
    /// What it has.
    pub body: SectionBody<'a>,
}

/// What a section has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionBody<'a> {
    /// Rows, for [`super::decode_rows`].
    Rows(&'a [u8]),
    /// A mark.
    Mark(Mark),
    /// The first bytes of a rows body of `total` bytes.
    FirstPiece {
        /// The body's bytes in all.
        total: usize,
        /// The first of them.
        bytes: &'a [u8],
    },
    /// Further bytes of it.
    Piece(&'a [u8]),
}

/// Begins a payload.
pub fn begin_payload(out: &mut Vec<u8>) {
    out.clear();
    out.push(VERSION);
}

/// Appends a mark.
pub fn push_mark(out: &mut Vec<u8>, edge: EdgeId, mark: Mark) {
    let section = begin_section(out, MARK, edge);
    let Mark::End(task) = mark;
    out.push(MARK_END);
    put_varint(out, u64::from(task.0));
    out.extend_from_slice(&0u64.to_le_bytes());
    end_section(out, section);
}

/// Appends the first bytes of a rows body of `total` bytes.
pub fn push_first_piece(out: &mut Vec<u8>, edge: EdgeId, total: usize, bytes: &[u8]) {
    let section = begin_section(out, FIRST_PIECE, edge);
    out.extend_from_slice(&as_u32(total).to_le_bytes());
    out.extend_from_slice(bytes);
    end_section(out, section);
}

/// Appends further bytes of it.
pub fn push_piece(out: &mut Vec<u8>, edge: EdgeId, bytes: &[u8]) {
    let section = begin_section(out, PIECE, edge);
    out.extend_from_slice(bytes);
    end_section(out, section);
}

/// Where a section's body begins.
#[derive(Clone, Copy)]
pub(crate) struct Begun(usize);

impl Begun {
    pub(crate) const fn body(self) -> usize {
        self.0
    }
}

/// Appends a section's header; its length is filled in by [`end_section`].
pub(crate) fn begin_section(out: &mut Vec<u8>, kind: u8, edge: EdgeId) -> Begun {
    out.push(kind);
    put_varint(out, u64::from(edge.emitter.0));
    put_varint(out, u64::from(edge.reader.0));
    out.extend_from_slice(&[0; 4]);
    Begun(out.len())
}

pub(crate) fn end_section(out: &mut [u8], begun: Begun) {
    let len = as_u32(out.len() - begun.0);
    fill_u32(out, begun.0 - 4, len);
}

/// Overwrites four bytes that were left free.
pub(crate) fn fill_u32(out: &mut [u8], at: usize, value: u32) {
    if let Some(free) = out.get_mut(at..at + 4) {
        free.copy_from_slice(&value.to_le_bytes());
    }
}

/// Reads the sections of a payload one by one. After an error there are no more.
#[derive(Debug)]
pub struct Sections<'a> {
    reader: Reader<'a>,
    failed: bool,
}

impl<'a> Sections<'a> {
    /// Looks at a payload.
    ///
    /// # Errors
    /// [`WireError`] when it is too large, or of another version.
    pub fn new(payload: &'a [u8]) -> Result<Self, WireError> {
        Ok(Self {
            reader: open_payload(payload)?,
            failed: false,
        })
    }

    fn read(&mut self) -> Result<Section<'a>, WireError> {
        let at = self.reader.at();
        let kind = self.reader.u8("section")?;
        let edge = EdgeId {
            emitter: ComponentIdx(self.reader.varint32("emitter")?),
            reader: TaskId(self.reader.varint32("reader")?),
        };
        let len = self.reader.u32("section")?;
        let len = self.reader.check_count(len, 1, "section")?;
        let bytes = self.reader.take(len, "section")?;
        let body = match kind {
            ROWS => SectionBody::Rows(bytes),
            MARK => SectionBody::Mark(read_mark(bytes)?),
            FIRST_PIECE => {
                let mut reader = Reader::new(bytes);
                let total = reader.u32("first piece")? as usize;
                SectionBody::FirstPiece {
                    total,
                    bytes: reader.rest(),
                }
            }
            PIECE => SectionBody::Piece(bytes),
            found => {
                return Err(WireError::Unknown {
                    what: "section",
                    at,
                    found,
                });
            }
        };
        Ok(Section { edge, body })
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Result<Section<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.reader.is_empty() {
            return None;
        }
        let read = self.read();
        self.failed = read.is_err();
        Some(read)
    }
}

/// Checks a payload's size and version.
pub(crate) fn open_payload(payload: &[u8]) -> Result<Reader<'_>, WireError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(WireError::OutOfRange {
            what: "payload",
            at: 0,
            found: payload.len() as u64,
            limit: MAX_PAYLOAD_BYTES as u64 + 1,
        });
    }
    let mut reader = Reader::new(payload);
    match reader.u8("version")? {
        VERSION => Ok(reader),
        found => Err(WireError::Unknown {
            what: "version",
            at: 0,
            found,
        }),
    }
}

fn read_mark(bytes: &[u8]) -> Result<Mark, WireError> {
    let mut reader = Reader::new(bytes);
    let mark = match reader.u8("mark")? {
        MARK_END => Mark::End(TaskId(reader.varint32("mark")?)),
        found => {
            return Err(WireError::Unknown {
                what: "mark",
                at: 0,
                found,
            });
        }
    };
    reader.u64("mark")?;
    reader.finish()?;
    Ok(mark)
}
