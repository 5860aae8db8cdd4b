//! The events that are put: lines of an access log.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use squall::{Result, console};
use squall_components::{Generator, parse};

/// The lines to put, in order.
pub(super) enum Events {
    /// Made up; there is no end of them.
    MadeUp(Generator),
    /// Read from a file.
    Read(std::vec::IntoIter<String>),
}

impl Events {
    /// Reads the file, or begins to make lines up. Lines that are none of an access log are left out.
    pub(super) fn open(input: Option<&Path>, seed: u64) -> Result<Self> {
        let Some(path) = input else {
            return Ok(Self::MadeUp(Generator::new(seed)));
        };
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut lines = Vec::new();
        let mut n_left_out = 0;
        for line in BufReader::new(file).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
            match parse(&line) {
                Ok(_) => lines.push(line),
                Err(_) => n_left_out += 1,
            }
        }
        if n_left_out > 0 {
            console::say(format_args!(
                "{n_left_out} lines that are no access log are left out"
            ));
        }
        Ok(Self::Read(lines.into_iter()))
    }

    /// Returns how many there will be: at most `wanted`, else `default` of made-up ones; `None` without
    /// end.
    pub(super) fn bound(&self, wanted: Option<u64>, default: Option<u64>) -> Option<u64> {
        match self {
            Self::MadeUp(_) => wanted.or(default),
            Self::Read(lines) => {
                Some(wanted.map_or(lines.len() as u64, |n| n.min(lines.len() as u64)))
            }
        }
    }
}

impl Iterator for Events {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        match self {
            Self::MadeUp(generator) => generator.next(),
            Self::Read(lines) => lines.next(),
        }
    }
}
