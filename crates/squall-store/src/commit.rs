//! What makes a commit legal; the same for every store.

use std::collections::HashSet;

use squall_core::{
    Entry, Fence, MAX_KEY_BYTES, MAX_VALUE_BYTES, MAX_WRITES_PER_COMMIT, StoreError, Write,
};

/// Checks what can be checked without looking into the store: bounds, and that no key comes twice.
pub(crate) fn check_bounds(writes: &[Write]) -> Result<(), StoreError> {
    if writes.len() > MAX_WRITES_PER_COMMIT {
        return Err(invalid(format!(
            "a commit of {} writes is above {MAX_WRITES_PER_COMMIT}",
            writes.len()
        )));
    }
    let mut keys = HashSet::with_capacity(writes.len());
    for Write { key, value, .. } in writes {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(invalid(format!(
                "a key of {} bytes is outside 1 to {MAX_KEY_BYTES}",
                key.len()
            )));
        }
        let value_bytes = value.as_ref().map_or(0, Vec::len);
        if value_bytes > MAX_VALUE_BYTES {
            return Err(invalid(format!(
                "the value of `{key}` has {value_bytes} bytes, more than {MAX_VALUE_BYTES}"
            )));
        }
        if !keys.insert(key) {
            return Err(invalid(format!("`{key}` comes twice in one commit")));
        }
    }
    Ok(())
}

/// Checks one write against the entry that is stored under its key, as version and fence.
///
/// The fence is compared first: who is fenced off must stop, whatever version it believes in.
pub(crate) fn check_write(
    stored: Option<(u64, Fence)>,
    fence: Fence,
    write: &Write,
) -> Result<(), StoreError> {
    if let Some((_, found)) = stored
        && found > fence
    {
        return Err(StoreError::Fenced {
            key: write.key.clone(),
            found,
        });
    }
    let found = stored.map(|(version, _)| version);
    if found == write.expected {
        return Ok(());
    }
    Err(StoreError::Conflict {
        key: write.key.clone(),
        expected: write.expected,
        found,
    })
}

/// Makes the entry that a legal write leaves behind; `None` for a deletion.
pub(crate) fn apply(fence: Fence, write: Write) -> (String, Option<Entry>) {
    let version = write.expected.unwrap_or(0) + 1;
    let entry = write.value.map(|value| Entry {
        value,
        version,
        fence,
    });
    (write.key, entry)
}

fn invalid(message: String) -> StoreError {
    StoreError::Invalid(message)
}
