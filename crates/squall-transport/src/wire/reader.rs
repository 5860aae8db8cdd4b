//! Reads numbers and bytes off a payload, and never beyond its end.

use super::error::WireError;

/// A place in a payload. All methods move on by what they return.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns how far it is.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Returns the number of bytes that are left.
    #[inline]
    pub(crate) const fn n_left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Returns all that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }

    #[inline]
    pub(crate) fn take(
        &mut self,
        n_bytes: usize,
        what: &'static str,
    ) -> Result<&'a [u8], WireError> {
        let end = self.at.saturating_add(n_bytes);
        match self.bytes.get(self.at..end) {
            Some(taken) => {
                self.at = end;
                Ok(taken)
            }
            None => Err(WireError::Truncated {
                what,
                at: self.at,
                n_missing: n_bytes - self.n_left(),
            }),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => Err(WireError::Truncated {
                what,
                at: self.at,
                n_missing: 1,
            }),
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let taken = self.take(N, what)?;
        let mut fixed = [0; N];
        fixed.copy_from_slice(taken);
        Ok(fixed)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, WireError> {
        self.fixed(what).map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, WireError> {
        self.fixed(what).map(u64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn varint64(&mut self, what: &'static str) -> Result<u64, WireError> {
        let start = self.at;
        let first = self.u8(what)?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7F);
        let mut shift = 7;
        loop {
            let byte = self.u8(what)?;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(WireError::Overlong { what, at: start });
            }
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    #[inline]
    pub(crate) fn varint32(&mut self, what: &'static str) -> Result<u32, WireError> {
        let start = self.at;
        let value = self.varint64(what)?;
        u32::try_from(value).map_err(|_| WireError::Overlong { what, at: start })
    }

    /// Reads how many of something follow, each of which takes at least `min_bytes`: a count that the
    /// bytes left can't hold is refused before anything is allocated for it.
    #[inline]
    pub(crate) fn count(
        &mut self,
        min_bytes: usize,
        what: &'static str,
    ) -> Result<usize, WireError> {
        let count = self.varint32(what)?;
        self.check_count(count, min_bytes, what)
    }

    /// Checks a count that has been read.
    #[inline]
    pub(crate) fn check_count(
        &self,
        count: u32,
        min_bytes: usize,
        what: &'static str,
    ) -> Result<usize, WireError> {
        let needed = u64::from(count).saturating_mul(min_bytes as u64);
        let n_left = self.n_left();
        if needed > n_left as u64 {
            return Err(WireError::Truncated {
                what,
                at: self.at,
                n_missing: usize::try_from(needed).unwrap_or(usize::MAX) - n_left,
            });
        }
        Ok(count as usize)
    }

    /// Reads bytes behind their length.
    #[inline]
    pub(crate) fn sized(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let n_bytes = self.count(1, what)?;
        self.take(n_bytes, what)
    }

    /// Reads text of a known length.
    #[inline]
    pub(crate) fn text(&mut self, n_bytes: usize) -> Result<&'a str, WireError> {
        let at = self.at;
        let taken = self.take(n_bytes, "text")?;
        std::str::from_utf8(taken).map_err(|_| WireError::NotUtf8 { at })
    }

    /// Checks that nothing is left.
    pub(crate) fn finish(&self) -> Result<(), WireError> {
        match self.n_left() {
            0 => Ok(()),
            n_bytes => Err(WireError::LeftOver {
                at: self.at,
                n_bytes,
            }),
        }
    }
}
