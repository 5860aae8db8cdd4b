//! Where words go: data to stdout, talk to stderr.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};

/// Writes data. A reader that has gone away is no error.
pub(crate) fn data(text: impl Display) {
    let written = writeln!(stdout().lock(), "{text}");
    written.unwrap_or_default();
}

/// Writes a line of talk.
pub(crate) fn say(text: impl Display) {
    writeln!(stderr().lock(), "{text}").unwrap_or_default();
}
