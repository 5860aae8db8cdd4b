//! A problem as plain text: message, place, source line with the part underlined, note and help.

use std::fmt;

use super::{Origin, Place, Problem, Severity, Snippet};

/// Ends in a line break.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        let margin = self.place.as_ref().map_or(1, Place::margin);
        match &self.place {
            Some(place) => place.render(margin, f)?,
            None if self.path.is_empty() => {}
            None => writeln!(f, "{:margin$}--> {}", "", self.path)?,
        }
        if let Origin::Variables(names) = &self.origin {
            let names: Vec<_> = names.iter().map(|name| format!("${{{name}}}")).collect();
            let names = names.join(" and ");
            writeln!(f, "{:margin$} = note: the value comes from {names}", "")?;
        }
        match &self.help {
            Some(help) => writeln!(f, "{:margin$} = help: {help}", ""),
            None => Ok(()),
        }
    }
}

impl Place {
    const SET: &str = "--set";

    /// Makes the place of the bytes `start..end` of `text`; only the first line of them is underlined.
    pub(crate) fn new(file: &str, text: &str, start: usize, end: usize) -> Self {
        let start = text.floor_char_boundary(start);
        let end = text.floor_char_boundary(end.max(start));
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = start + after.find(['\n', '\r']).unwrap_or(after.len());
        let line = text.get(line_start..line_end).unwrap_or_default();
        let n_before = text.get(line_start..start).map_or(0, count_chars);
        let marked = text.get(start..end.min(line_end)).unwrap_or_default();
        Self {
            file: file.to_owned(),
            line: 1 + before.matches('\n').count(),
            column: 1 + n_before,
            span: (start, end),
            snippet: Snippet::cut(line, n_before, count_chars(marked.trim_end())),
        }
    }

    /// Makes the place of a `--set`, whose whole text is `text`.
    pub(crate) fn of_set(text: &str, start: usize, end: usize) -> Self {
        Self::new(Self::SET, text, start, end)
    }

    fn margin(&self) -> usize {
        if self.file == Self::SET {
            1
        } else {
            self.line.ilog10() as usize + 2
        }
    }

    fn render(&self, margin: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, line) = if self.file == Self::SET {
            (Self::SET.to_owned(), String::new())
        } else {
            let place = format!("{}:{}:{}", self.file, self.line, self.column);
            (place, self.line.to_string())
        };
        let Snippet { text, .. } = &self.snippet;
        let (before, marked) = (self.snippet.before, self.snippet.marked.max(1));
        writeln!(f, "{:margin$}--> {place}", "")?;
        writeln!(f, "{:margin$} |", "")?;
        writeln!(f, "{line:>margin$} | {text}")?;
        writeln!(f, "{:margin$} | {:before$}{:^<marked$}", "", "", "")
    }
}

impl Snippet {
    /// How much of a long line stands before the place.
    const LEAD_CHARS: usize = 40;

    fn cut(line: &str, before: usize, marked: usize) -> Self {
        let n_skipped = if count_chars(line) > Self::MAX_CHARS {
            before.saturating_sub(Self::LEAD_CHARS)
        } else {
            0
        };
        let shown = line.chars().skip(n_skipped).take(Self::MAX_CHARS);
        let text: String = shown.map(printable).collect();
        let before = before - n_skipped;
        let room = count_chars(&text).saturating_sub(before);
        Self {
            text: text.trim_end().to_owned(),
            before,
            marked: marked.min(room).max(1),
        }
    }
}

fn count_chars(text: &str) -> usize {
    text.chars().count()
}

/// Keeps the underline below its text, and what a file holds from driving the terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        _ if c.is_control() => '\u{fffd}',
        _ => c,
    }
}
