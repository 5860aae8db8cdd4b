//! Contributions to roots, one after the other.

use squall_core::engine::{Contribution, RootId, Word};
use squall_core::{ComponentId, Failure, FailureReason, TaskId};

use super::error::WireError;
use super::reader::Reader;
use super::rows::read_root;
use super::section::open_payload;
use super::value::put_sized;
use super::varint::put_varint;

const XOR: u8 = 1;
const WAITING: u8 = 2;
const HOLD: u8 = 3;
const RELEASE: u8 = 4;
const FAIL: u8 = 5;

const PERMANENT: u8 = 0x80;

/// The longest name of a component that is looked at, in bytes.
const MAX_COMPONENT_BYTES: usize = 1024;

/// Appends one contribution to a root of `owner`.
pub fn encode_contribution(out: &mut Vec<u8>, owner: TaskId, contribution: &Contribution) {
    out.push(match contribution.word {
        Word::Xor(_) => XOR,
        Word::Waiting => WAITING,
        Word::Hold => HOLD,
        Word::Release => RELEASE,
        Word::Fail(_) => FAIL,
    });
    put_varint(out, u64::from(owner.0));
    put_varint(out, u64::from(contribution.slot));
    out.extend_from_slice(&contribution.generation.to_le_bytes());
    match &contribution.word {
        Word::Xor(xor) => out.extend_from_slice(&xor.to_le_bytes()),
        Word::Waiting | Word::Hold | Word::Release => {}
        Word::Fail(failure) => put_failure(out, failure),
    }
}

fn put_failure(out: &mut Vec<u8>, failure: &Failure) {
    let reason = match failure.reason {
        FailureReason::Rejected => 0,
        FailureReason::TimedOut => 1,
        FailureReason::Lost => 2,
        FailureReason::Drained => 3,
    };
    out.push(if failure.permanent {
        reason | PERMANENT
    } else {
        reason
    });
    let component = failure.component.as_ref().map_or("", ComponentId::as_str);
    put_sized(out, cut(component, MAX_COMPONENT_BYTES).as_bytes());
    put_sized(out, cut(&failure.text, Failure::MAX_TEXT_BYTES).as_bytes());
}

/// Cuts a text at a character: what is longer would be refused, and with it the whole stream.
fn cut(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes))
        .unwrap_or_default()
}

/// Decodes an ack payload and appends its contributions, each with the owner of its root. On an error
/// `into` is left with those before it.
///
/// # Errors
/// [`WireError`] when the payload isn't one.
pub fn decode_acks(
    payload: &[u8],
    into: &mut Vec<(TaskId, Contribution)>,
) -> Result<(), WireError> {
    let mut reader = open_payload(payload)?;
    while !reader.is_empty() {
        let at = reader.at();
        let kind = reader.u8("word")?;
        let RootId {
            task,
            slot,
            generation,
        } = read_root(&mut reader)?;
        let word = match kind {
            XOR => Word::Xor(reader.u64("xor")?),
            WAITING => Word::Waiting,
            HOLD => Word::Hold,
            RELEASE => Word::Release,
            FAIL => Word::Fail(Box::new(read_failure(&mut reader)?)),
            found => {
                return Err(WireError::Unknown {
                    what: "word",
                    at,
                    found,
                });
            }
        };
        let contribution = Contribution {
            slot,
            generation,
            word,
        };
        into.push((task, contribution));
    }
    Ok(())
}

fn read_failure(reader: &mut Reader<'_>) -> Result<Failure, WireError> {
    let at = reader.at();
    let code = reader.u8("reason")?;
    let reason = match code & !PERMANENT {
        0 => FailureReason::Rejected,
        1 => FailureReason::TimedOut,
        2 => FailureReason::Lost,
        3 => FailureReason::Drained,
        found => {
            return Err(WireError::Unknown {
                what: "reason",
                at,
                found,
            });
        }
    };
    let component = read_bounded(reader, "component", MAX_COMPONENT_BYTES)?;
    let component = (!component.is_empty()).then(|| ComponentId::new(component));
    let text = read_bounded(reader, "text", Failure::MAX_TEXT_BYTES)?;
    Ok(Failure {
        permanent: code & PERMANENT != 0,
        ..Failure::new(reason, component, text)
    })
}

fn read_bounded<'a>(
    reader: &mut Reader<'a>,
    what: &'static str,
    max_bytes: usize,
) -> Result<&'a str, WireError> {
    let at = reader.at();
    let n_bytes = reader.count(1, what)?;
    if n_bytes > max_bytes {
        return Err(WireError::OutOfRange {
            what,
            at,
            found: n_bytes as u64,
            limit: max_bytes as u64 + 1,
        });
    }
    reader.text(n_bytes)
}
