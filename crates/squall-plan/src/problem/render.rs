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
        writeln!(f, "{severity}: {}", harmless(&self.message))?;
        let margin = self.place.as_ref().map_or(1, Place::margin);
        match &self.place {
            Some(place) => place.render(margin, f)?,
            None if self.path.is_empty() => {}
            None => writeln!(f, "{:margin$}--> {}", "", harmless(&self.path))?,
        }
        if let Origin::Variables(names) = &self.origin {
            let names: Vec<_> = names.iter().map(|name| format!("${{{name}}}")).collect();
            let names = names.join(" and ");
            writeln!(f, "{:margin$} = note: the value comes from {names}", "")?;
        }
        match &self.help {
            Some(help) => writeln!(f, "{:margin$} = help: {}", "", harmless(help)),
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
        let lead = before.rsplit('\n').next().unwrap_or_default();
        // Of a very long line no more is looked at than can be shown.
        let near = after.floor_char_boundary(4 * Snippet::MAX_CHARS);
        let rest = after.get(..near).unwrap_or_default();
        let rest = rest.split(['\n', '\r']).next().unwrap_or_default();
        let marked = rest.get(..end - start).unwrap_or(rest).trim_end();
        Self {
            file: file.to_owned(),
            line: 1 + before.matches('\n').count(),
            column: 1 + count_chars(lead),
            span: (start, end),
            snippet: Snippet::cut(lead, rest, marked),
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
            self.line.max(1).ilog10() as usize + 2
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
        let before = self.snippet.before.min(Snippet::MAX_CHARS);
        let marked = self.snippet.marked.clamp(1, Snippet::MAX_CHARS);
        writeln!(f, "{:margin$}--> {}", "", harmless(&place))?;
        writeln!(f, "{:margin$} |", "")?;
        writeln!(f, "{line:>margin$} | {text}")?;
        writeln!(f, "{:margin$} | {:before$}{:^<marked$}", "", "", "")
    }
}

impl Snippet {
    /// How much of a long line stands before the place.
    const LEAD_CHARS: usize = 40;

    /// Cuts a line, given as what stands before the place and from the place on, to what is shown.
    fn cut(lead: &str, rest: &str, marked: &str) -> Self {
        let is_long = lead
            .chars()
            .chain(rest.chars())
            .nth(Self::MAX_CHARS)
            .is_some();
        let lead = match lead.char_indices().rev().nth(Self::LEAD_CHARS) {
            Some((at, _)) if is_long => lead.get(at..).unwrap_or_default(),
            _ => lead,
        };
        let shown = lead.chars().chain(rest.chars()).take(Self::MAX_CHARS);
        let text: String = shown.map(printable).collect();
        let before = count_chars(lead);
        let room = count_chars(&text).saturating_sub(before);
        Self {
            text: text.trim_end().to_owned(),
            before,
            marked: marked.chars().take(room).count().max(1),
        }
    }
}

fn count_chars(text: &str) -> usize {
    text.chars().count()
}

/// Keeps what names and values hold from driving the terminal; line breaks of longer explanations stay.
fn harmless(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// Keeps the underline below its text, and what a file holds from driving the terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        _ if c.is_control() => '\u{fffd}',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(place: Place) -> Problem {
        Problem {
            severity: Severity::Error,
            message: "\u{1b}[31mred".to_owned(),
            path: "a".to_owned(),
            place: Some(place),
            origin: Origin::File,
            help: None,
        }
    }

    #[test]
    fn keeps_the_underline_below_its_text() {
        let text = "é:\t\u{1b}bad # c\r\nnext";
        let shown = problem(Place::new("f", text, 5, 8)).to_string();
        let expected =
            "error: \u{fffd}[31mred\n  --> f:1:5\n   |\n 1 | é: \u{fffd}bad # c\n   |     ^^^\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn shows_the_part_of_a_long_line_around_the_place() {
        let text = format!("{}bad{}", "é".repeat(500), "x".repeat(500));
        let place = Place::new("f", &text, 1000, 1003);
        assert_eq!((place.line, place.column), (1, 501));
        let Snippet {
            text,
            before,
            marked,
        } = place.snippet;
        assert_eq!(text.chars().count(), Snippet::MAX_CHARS);
        let at: String = text.chars().skip(before).take(marked).collect();
        assert_eq!(at, "bad");
    }

    #[test]
    fn survives_places_that_another_process_made_up() {
        let snippet = Snippet {
            text: String::new(),
            before: usize::MAX,
            marked: usize::MAX,
        };
        let place = Place {
            file: "f".to_owned(),
            line: 0,
            column: 0,
            span: (9, 1),
            snippet,
        };
        assert!(problem(place).to_string().len() < 500);
    }
}
