//! How far something is, on stderr: a bar on a terminal, a line elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console;

/// How often a terminal is drawn anew, a second.
const REDRAWS_PER_SEC: u8 = 10;

/// Something on its way. Dropping it clears the terminal.
pub(super) struct Meter(Option<ProgressBar>);

impl Meter {
    /// Shows how many bytes are done of `n_bytes`.
    pub(super) fn of_bytes(what: String, n_bytes: u64) -> Self {
        Self::begin(
            what,
            ProgressBar::new(n_bytes),
            "{msg} [{wide_bar}] {percent}%",
        )
    }

    /// Shows a text that changes.
    pub(super) fn of_text() -> Self {
        Self::begin(
            String::new(),
            ProgressBar::no_length(),
            "{elapsed} {wide_msg}",
        )
    }

    fn begin(what: String, bar: ProgressBar, template: &str) -> Self {
        if !console::is_watched() {
            if !what.is_empty() {
                console::say(what);
            }
            return Self(None);
        }
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SEC));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(Some(bar))
    }

    /// Says how many are done.
    pub(super) fn set(&self, n: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(n);
        }
    }

    /// Says how it is now; to be called when that has changed.
    pub(super) fn say(&self, text: &str) {
        match &self.0 {
            Some(bar) => bar.set_message(text.to_owned()),
            None => console::say(text),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
