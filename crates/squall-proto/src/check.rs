//! The checks that conversions are made of. Each gets the field's name and says it in its error.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::ops::RangeInclusive;

use squall_core::ComponentId;
use squall_core::engine::WorkerIdx;

use crate::bounds::{MAX_COMPONENT_ID_BYTES, MAX_WORKERS};
use crate::field::{At, FieldError};

/// Takes a field that must be there.
pub(crate) fn required<W, D>(field: &str, value: Option<W>) -> Result<D, FieldError>
where
    D: TryFrom<W, Error = FieldError>,
{
    let value = value.ok_or_else(|| FieldError::missing(field))?;
    D::try_from(value).at(field)
}

/// Takes a list of so many.
pub(crate) fn list<W, D>(
    field: &str,
    values: Vec<W>,
    bounds: RangeInclusive<usize>,
) -> Result<Vec<D>, FieldError>
where
    D: TryFrom<W, Error = FieldError>,
{
    within(field, values.len(), &bounds, "entries")?;
    let convert = |(idx, value)| D::try_from(value).at_idx(field, idx);
    values.into_iter().enumerate().map(convert).collect()
}

/// Takes a list in which no key stands twice.
pub(crate) fn distinct<K: Eq + Hash>(
    field: &str,
    keys: impl IntoIterator<Item = K>,
    what: &str,
) -> Result<(), FieldError> {
    let mut seen = HashSet::new();
    for (idx, key) in keys.into_iter().enumerate() {
        if !seen.insert(key) {
            let expected = format!("each {what} once");
            let error = FieldError::new("", expected, "one that stands there before");
            return Err(error).at_idx(field, idx);
        }
    }
    Ok(())
}

/// Takes a number from a range.
pub(crate) fn number<N: PartialOrd + Display + Copy>(
    field: &str,
    value: N,
    range: RangeInclusive<N>,
) -> Result<N, FieldError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (min, max) = range.into_inner();
    Err(FieldError::new(field, format!("{min} to {max}"), value))
}

/// Takes a text of so many bytes.
pub(crate) fn text(
    field: &str,
    value: String,
    bytes: RangeInclusive<usize>,
) -> Result<String, FieldError> {
    within(field, value.len(), &bytes, "bytes")?;
    Ok(value)
}

/// Takes so many bytes.
pub(crate) fn bytes<B: AsRef<[u8]>>(
    field: &str,
    value: B,
    bytes: RangeInclusive<usize>,
) -> Result<B, FieldError> {
    within(field, value.as_ref().len(), &bytes, "bytes")?;
    Ok(value)
}

/// Takes a word of 1 to `max` letters, digits, `.`, `_` and `-`.
pub(crate) fn word(field: &str, value: String, max: usize) -> Result<String, FieldError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=max).contains(&value.len()) && value.chars().all(allowed) {
        return Ok(value);
    }
    let expected = format!("1 to {max} letters, digits, `.`, `_` and `-`");
    Err(FieldError::of_text(field, expected, &value))
}

/// Takes a component's name.
pub(crate) fn component(field: &str, value: String) -> Result<ComponentId, FieldError> {
    word(field, value, MAX_COMPONENT_ID_BYTES).map(ComponentId::new)
}

/// Takes a worker's index.
pub(crate) fn worker_idx(field: &str, value: u32) -> Result<WorkerIdx, FieldError> {
    number(field, value, 0..=MAX_WORKERS - 1).map(WorkerIdx)
}

/// Takes a TCP port.
pub(crate) fn port(field: &str, value: u32) -> Result<u16, FieldError> {
    match u16::try_from(value) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(FieldError::new(field, "a port, 1 to 65535", value)),
    }
}

/// Checks a length.
pub(crate) fn within(
    field: &str,
    found: usize,
    bounds: &RangeInclusive<usize>,
    unit: &str,
) -> Result<(), FieldError> {
    if bounds.contains(&found) {
        return Ok(());
    }
    let (min, max) = (bounds.start(), bounds.end());
    let expected = match (min, max) {
        (0, max) => format!("at most {max} {unit}"),
        (min, max) if min == max => format!("{max} {unit}"),
        (min, max) => format!("{min} to {max} {unit}"),
    };
    Err(FieldError::new(field, expected, found))
}
