//! A deliberate defect, for proving that the tests would find it.
//!
//! Compiled in with the test-only feature `mutations` and switched on by the environment variable
//! `SQUALL_MUTATION`; without the feature there is nothing here to switch on.

/// What the defect `resend-frame` keeps of an edge: the last section that was confirmed, which is sent once more
/// after a break, as if the stream went on with what the peer has seen last and not with what comes behind it.
#[cfg(feature = "mutations")]
#[derive(Debug, Default)]
pub(crate) struct Resend {
    /// Sections of rows under way: number, bytes, cost.
    sent: std::collections::VecDeque<(u64, Vec<u8>, usize)>,
    confirmed: Option<(Vec<u8>, usize)>,
    due: Option<(Vec<u8>, usize)>,
}

#[cfg(feature = "mutations")]
impl Resend {
    pub(crate) const fn new() -> Self {
        Self {
            sent: std::collections::VecDeque::new(),
            confirmed: None,
            due: None,
        }
    }

    /// Takes note of a section, the edge's n-th on this stream.
    pub(crate) fn sent(&mut self, number: u64, section: &[u8], cost: usize) {
        if is_on() {
            self.sent.push_back((number, section.to_vec(), cost));
        }
    }

    /// Takes note that the first `n_sections` are queued at their reader.
    pub(crate) fn confirmed(&mut self, n_sections: u64) {
        while let Some((_, section, cost)) = self
            .sent
            .pop_front_if(|(number, _, _)| *number <= n_sections)
        {
            self.confirmed = Some((section, cost));
        }
    }

    /// Takes note that the stream has ended.
    pub(crate) fn broken(&mut self) {
        self.sent.clear();
        self.due = self.confirmed.take();
    }

    /// Returns what is to be sent once more, and its cost.
    pub(crate) fn due(&mut self) -> Option<(Vec<u8>, usize)> {
        self.due.take()
    }
}

#[cfg(feature = "mutations")]
fn is_on() -> bool {
    use std::sync::LazyLock;
    static ON: LazyLock<bool> =
        LazyLock::new(|| std::env::var("SQUALL_MUTATION").as_deref() == Ok("resend-frame"));
    *ON
}

/// What the defect keeps in a build without the feature: nothing.
#[cfg(not(feature = "mutations"))]
#[derive(Debug, Default)]
pub(crate) struct Resend;

#[cfg(not(feature = "mutations"))]
impl Resend {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) const fn sent(&mut self, _: u64, _: &[u8], _: usize) {}

    pub(crate) const fn confirmed(&mut self, _: u64) {}

    pub(crate) const fn broken(&mut self) {}

    pub(crate) const fn due(&mut self) -> Option<(Vec<u8>, usize)> {
        None
    }
}
