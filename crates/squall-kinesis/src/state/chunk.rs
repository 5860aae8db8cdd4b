//! As many writes as one commit takes: bounded in number and in bytes, for a store may be behind a
//! network.

use squall_core::Write;

/// The most writes of a chunk.
pub(crate) const MAX_WRITES: usize = 1000;
/// The most bytes of a chunk, keys and values together.
const MAX_BYTES: usize = 1 << 20;

/// The writes of one commit.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    writes: Vec<Write>,
    n_bytes: usize,
}

impl Chunk {
    /// Adds a write, or gives it back when the chunk is full. The first always fits.
    pub(crate) fn push(&mut self, write: Write) -> Result<(), Write> {
        let n_bytes = write.key.len() + write.value.as_ref().map_or(0, Vec::len);
        let is_full = self.writes.len() >= MAX_WRITES || self.n_bytes + n_bytes > MAX_BYTES;
        if is_full && !self.writes.is_empty() {
            return Err(write);
        }
        self.n_bytes += n_bytes;
        self.writes.push(write);
        Ok(())
    }

    pub(crate) fn into_writes(self) -> Vec<Write> {
        self.writes
    }

    /// Takes from the front of `writes` what fits.
    pub(crate) fn take_from(writes: &mut std::collections::VecDeque<Write>) -> Self {
        let mut chunk = Self::default();
        while let Some(write) = writes.pop_front() {
            if let Err(write) = chunk.push(write) {
                writes.push_front(write);
                break;
            }
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn chunks(n: usize, bytes: usize) -> Vec<usize> {
        let write = |n: usize| Write {
            key: format!("{n:08}"),
            expected: None,
            value: Some(vec![0; bytes - 8]),
        };
        let mut writes: VecDeque<_> = (0..n).map(write).collect();
        let mut sizes = Vec::new();
        while !writes.is_empty() {
            sizes.push(Chunk::take_from(&mut writes).into_writes().len());
        }
        sizes
    }

    #[test]
    fn a_chunk_is_bounded_in_writes_and_bytes() {
        assert_eq!(chunks(2500, 100), [1000, 1000, 500]);
        assert_eq!(chunks(10, 300 << 10), [3, 3, 3, 1]);
        assert_eq!(chunks(2, 2 << 20), [1, 1]);
    }
}
