//! A page of a listing while it is being filled.

use crate::cluster::{MAX_PAGE_BYTES, MAX_PAGE_ENTRIES, Page, Revision, Stored};

/// Takes entries in order until the page is full.
pub(crate) struct PageBuilder {
    page: Page,
    n_bytes: usize,
}

impl PageBuilder {
    /// Begins a page that is read at this revision.
    pub(crate) fn new(revision: Revision) -> Self {
        let page = Page {
            revision,
            ..Page::default()
        };
        Self { page, n_bytes: 0 }
    }

    /// Adds an entry, or says by false that it belongs to the next page. The first one always fits.
    pub(crate) fn push(&mut self, key: &str, stored: Stored) -> bool {
        self.n_bytes += key.len() + stored.value.len();
        let is_full = self.page.entries.len() == MAX_PAGE_ENTRIES || self.n_bytes > MAX_PAGE_BYTES;
        if is_full && let Some((last, _)) = self.page.entries.last() {
            self.page.next = Some(last.clone());
            return false;
        }
        self.page.entries.push((key.to_owned(), stored));
        true
    }

    pub(crate) fn finish(self) -> Page {
        self.page
    }
}
