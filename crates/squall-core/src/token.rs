//! The right and the duty to end a tuple later: for joins, windows and asynchronous sinks.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::anchor::Anchors;
use crate::error::ComponentError;

/// A deferred tuple. Exactly one of [`AckToken::ack`] and [`AckToken::fail`] ends it; dropping it fails
/// the tree at once, so that nothing waits for a time-out because somebody forgot.
///
/// Both consume the token: a double ack can't be written. It may be sent to another thread.
#[must_use = "dropping a token fails its tuple tree"]
pub struct AckToken {
    anchors: RefCell<Anchors>,
    held: bool,
    sink: Option<Arc<dyn TokenSink>>,
}

/// Where tokens report. Implemented by the engine; never blocks.
pub trait TokenSink: Send + Sync {
    /// Takes the end of a token, or the wish to hold it. `anchors` may be empty.
    fn report(&self, anchors: Anchors, report: TokenReport);
}

/// What a token says to its engine.
#[derive(Debug)]
pub enum TokenReport {
    /// The tuple is done, and whatever grew from it is on its way.
    Acked {
        /// The token was held.
        held: bool,
    },
    /// The tuple failed.
    Failed {
        /// Why; `None` for a token that was dropped.
        error: Option<ComponentError>,
        /// The token was held.
        held: bool,
    },
    /// The tuple stays longer than any time-out.
    Held,
}

impl AckToken {
    /// Makes a token. Engine use: the anchors' edge ids are drawn for this token alone.
    pub fn new(anchors: Anchors, sink: Arc<dyn TokenSink>) -> Self {
        Self {
            anchors: RefCell::new(anchors),
            held: false,
            sink: Some(sink),
        }
    }

    /// Ends the tuple well. Emits that were anchored to the token live on.
    pub fn ack(mut self) {
        self.end(TokenReport::Acked { held: self.held });
    }

    /// Fails the trees of the tuple.
    pub fn fail(mut self, error: impl Into<ComponentError>) {
        self.end(TokenReport::Failed {
            error: Some(error.into()),
            held: self.held,
        });
    }

    /// Takes the tuple's trees out of the message timeout and of max spout pending while this token
    /// lives, within `max_held_bytes`. A second call changes nothing.
    pub fn hold(&mut self) {
        if let (false, Some(sink)) = (self.held, &self.sink) {
            self.held = true;
            sink.report(self.anchors.borrow().clone(), TokenReport::Held);
        }
    }

    /// Grows a child under the token's trees. Engine use.
    pub fn grow(&self, draw: &mut impl FnMut() -> u64) -> Anchors {
        self.anchors.borrow_mut().grow(draw)
    }

    fn end(&mut self, report: TokenReport) {
        if let Some(sink) = self.sink.take() {
            sink.report(self.anchors.take(), report);
        }
    }
}

impl Drop for AckToken {
    fn drop(&mut self) {
        self.end(TokenReport::Failed {
            error: None,
            held: self.held,
        });
    }
}

impl fmt::Debug for AckToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckToken")
            .field("anchors", &self.anchors)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}
