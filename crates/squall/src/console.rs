//! Where a program's words go: data to stdout, talk to stderr.
//!
//! A reader that has gone away (`squall components | head -1`) is no error: what can't be written is
//! dropped.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Writes a line of data to stdout. Blocks while the reader is slow.
pub fn data(text: impl Display) {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    written.unwrap_or_default();
}

/// Writes a line of talk to stderr. Blocks while the reader is slow.
pub fn say(text: impl Display) {
    writeln!(std::io::stderr().lock(), "{text}").unwrap_or_default();
}

/// Writes a number and what it counts: `1 task`, `2 tasks`.
#[must_use]
pub fn counted(n: u64, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

/// Writes a time as people say it, rounded down: `90 s`, `5 min`, `3 h`, `12 days`.
#[must_use]
pub fn rough(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} days", secs / 86_400),
    }
}

/// Tells whether a person watches stderr.
#[must_use]
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Tells whether stderr takes colours: it is a terminal, and `NO_COLOR` is unset or empty.
#[must_use]
pub fn is_coloured() -> bool {
    is_watched() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_down_to_a_unit_that_fits() {
        let cases = [
            (59, "59 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (200_000, "2 days"),
        ];
        for (secs, expected) in cases {
            assert_eq!(rough(Duration::from_secs(secs)), expected);
        }
    }
}
