//! Reading here and there in a file that isn't trusted, up to a bound.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use crate::elf::{ElfError, damaged};

/// A file of which only so much is read.
pub(super) struct Source<R> {
    file: R,
    n_left: usize,
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(file: R, max_bytes: usize) -> Self {
        Self {
            file,
            n_left: max_bytes,
        }
    }

    /// Reads these bytes, which have to be there.
    pub(super) fn exactly(&mut self, offset: u64, n_bytes: usize) -> Result<Bytes, ElfError> {
        let bytes = self.at_most(offset, n_bytes)?;
        if bytes.0.len() < n_bytes {
            return Err(damaged("it is cut short"));
        }
        Ok(bytes)
    }

    /// Reads these bytes, or those of them that there are.
    pub(super) fn at_most(&mut self, offset: u64, n_bytes: usize) -> Result<Bytes, ElfError> {
        let left = self.n_left.checked_sub(n_bytes);
        self.n_left = left.ok_or_else(|| damaged("its headers are too large"))?;
        match self.file.seek(SeekFrom::Start(offset)) {
            // An offset that no file has.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(damaged("it is cut short"));
            }
            other => other?,
        };
        let mut bytes = Vec::new();
        let mut limited = (&mut self.file).take(n_bytes as u64);
        limited.read_to_end(&mut bytes)?;
        Ok(Bytes(bytes))
    }
}

/// A piece of a file.
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    #[cfg(test)]
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn get(&self, at: usize, n_bytes: usize) -> Option<&[u8]> {
        let end = at.saturating_add(n_bytes).min(self.0.len());
        self.0.get(at..end)
    }

    pub(super) fn u8(&self, at: usize) -> Result<u8, ElfError> {
        self.array(at).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&self, at: usize) -> Result<u16, ElfError> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, at: usize) -> Result<u32, ElfError> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: usize) -> Result<u64, ElfError> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// The text up to the next zero byte.
    pub(super) fn text(&self, at: usize) -> Option<&str> {
        let text = self.0.get(at..)?.split(|byte| *byte == 0).next()?;
        str::from_utf8(text).ok()
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], ElfError> {
        let bytes = self.get(at, N).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| damaged("it is cut short"))
    }
}
