//! The receiving end of a link's acks.

use squall_core::TaskId;
use squall_core::engine::Contribution;

use super::error::LinkError;
use crate::wire::decode_acks;

/// Takes ack frames off one stream after the other. What is in them goes to its owners at once.
#[derive(Debug, Default)]
pub struct AckReceiver {
    stream: u64,
    open: bool,
    n_taken: u64,
}

impl AckReceiver {
    /// Makes the receiver of a link.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a stream in place of any other; returns the number by which it is known. The caller has made
    /// sure that its sender isn't a stale one.
    pub const fn open(&mut self) -> u64 {
        self.stream += 1;
        self.open = true;
        self.n_taken = 0;
        self.stream
    }

    /// Tells whether a stream is the open one.
    #[must_use]
    pub const fn is_open(&self, stream: u64) -> bool {
        self.open && self.stream == stream
    }

    /// Takes a frame and appends its contributions, which count as confirmed once
    /// [`AckReceiver::n_taken`] has been sent: hand them over first.
    ///
    /// # Errors
    /// [`LinkError`]; `into` is left as it was, and the stream is to be closed.
    pub fn take_frame(
        &mut self,
        stream: u64,
        number: u64,
        payload: &[u8],
        into: &mut Vec<(TaskId, Contribution)>,
    ) -> Result<(), LinkError> {
        if !self.is_open(stream) {
            return Err(LinkError::StaleStream { number });
        }
        let expected = self.n_taken + 1;
        if number != expected {
            return Err(LinkError::WrongNumber {
                expected,
                found: number,
            });
        }
        let n_before = into.len();
        if let Err(source) = decode_acks(payload, into) {
            into.truncate(n_before);
            return Err(LinkError::Malformed { number, source });
        }
        self.n_taken = number;
        Ok(())
    }

    /// Returns the number of the last frame that was taken.
    #[must_use]
    pub const fn n_taken(&self) -> u64 {
        self.n_taken
    }

    /// Ends a stream, unless another one has replaced it.
    pub const fn close(&mut self, stream: u64) {
        if self.is_open(stream) {
            self.open = false;
        }
    }
}
