//! The combined log format: `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`.
//!
//! Lenient where real logs are: the request may be malformed (its text is then the path), the last two
//! parts may be missing (the common format), and the last quote may be left open.

use thiserror::Error;

/// One line of an access log; the texts as they stand there, escapes and `-` included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'l> {
    /// Who asked: an address or a host name.
    pub remote_addr: &'l str,
    /// The user who was authenticated, or `-`.
    pub user: &'l str,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// The request's method; absent from a malformed request.
    pub method: Option<&'l str>,
    /// What was asked for; all of a malformed request.
    pub path: &'l str,
    /// The request's protocol; absent from a malformed request.
    pub protocol: Option<&'l str>,
    /// The status of the answer.
    pub status: u16,
    /// The size of the answer in bytes; `None` for `-`.
    pub bytes: Option<i64>,
    /// Where the link was, or `-`; absent from the common format.
    pub referrer: Option<&'l str>,
    /// The program that asked, or `-`; absent from the common format.
    pub user_agent: Option<&'l str>,
}

/// A line that isn't an access log's.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no access log line: {part} is missing or malformed at byte {at}")]
pub struct ParseError {
    /// What was looked for.
    pub part: &'static str,
    /// Where in the line, in bytes from 0.
    pub at: usize,
}

/// Parses one line, without its line feed or with it.
///
/// # Errors
/// [`ParseError`] names the first part that isn't as it should be.
pub fn parse(line: &str) -> Result<Entry<'_>, ParseError> {
    let line = line.trim_end_matches(['\n', '\r']);
    let mut rest = Rest { line, at: 0 };
    let remote_addr = rest.upto(" ", "the remote address")?;
    rest.upto(" ", "the identity")?;
    let user = rest.upto(" [", "the user")?;
    let time_ms = rest.parsed("] ", "the time", time_ms)?;
    let request = rest.quoted("the request")?;
    let status = rest.parsed(" ", "the status", |text| text.parse().ok())?;
    let bytes = rest.parsed(" ", "the size", size)?;
    let referrer = rest.quoted("the referrer").ok();
    let user_agent = rest.quoted("the user agent").ok();
    let (method, path, protocol) = split(request);
    Ok(Entry {
        remote_addr,
        user,
        time_ms,
        method,
        path,
        protocol,
        status,
        bytes,
        referrer,
        user_agent,
    })
}

/// What of the line isn't parsed yet.
struct Rest<'l> {
    line: &'l str,
    at: usize,
}

impl<'l> Rest<'l> {
    fn text(&self) -> &'l str {
        self.line.get(self.at..).unwrap_or_default()
    }

    /// Takes what stands before `end`, and `end` with it; at the end of the line, all.
    fn upto(&mut self, end: &str, part: &'static str) -> Result<&'l str, ParseError> {
        let text = self.text();
        let (taken, n_bytes) = match text.find(end) {
            Some(n_bytes) => (text.get(..n_bytes).unwrap_or_default(), n_bytes + end.len()),
            None => (text, text.len()),
        };
        if taken.is_empty() {
            return Err(ParseError { part, at: self.at });
        }
        self.at += n_bytes;
        Ok(taken)
    }

    fn parsed<T>(
        &mut self,
        end: &str,
        part: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ParseError> {
        let at = self.at;
        parse(self.upto(end, part)?).ok_or(ParseError { part, at })
    }

    /// Takes a quoted text, a backslash keeping the next character, and the space behind it.
    fn quoted(&mut self, part: &'static str) -> Result<&'l str, ParseError> {
        let malformed = ParseError { part, at: self.at };
        let text = self.text().strip_prefix('"').ok_or(malformed)?;
        let mut is_escaped = false;
        let end = text.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        });
        let end = end.unwrap_or(text.len());
        self.at = (self.at + end + 3).min(self.line.len());
        text.get(..end).ok_or(malformed)
    }
}

/// Splits `GET /path HTTP/1.1`; paths with spaces do occur.
fn split(request: &str) -> (Option<&str>, &str, Option<&str>) {
    let parts = request
        .split_once(' ')
        .and_then(|(method, rest)| Some((method, rest.rsplit_once(' ')?)));
    match parts {
        Some((method, (path, protocol))) if protocol.starts_with("HTTP/") => {
            (Some(method), path, Some(protocol))
        }
        _ => (None, request, None),
    }
}

/// Reads a size; the inner `None` is that of `-`.
fn size(text: &str) -> Option<Option<i64>> {
    match text {
        "-" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

/// Reads `17/May/2015:10:05:03 +0000`.
fn time_ms(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (local, zone) = text.split_once(' ')?;
    let mut date = local.splitn(3, '/');
    let day = number(date.next()?, 1..=31)?;
    let month_name = date.next()?;
    let month = (1i64..)
        .zip(MONTHS)
        .find(|(_, name)| *name == month_name)?
        .0;
    let mut clock = date.next()?.split(':');
    let year = number(clock.next()?, 1900..=9999)?;
    let hour = number(clock.next()?, 0..=23)?;
    let minute = number(clock.next()?, 0..=59)?;
    let second = number(clock.next()?, 0..=60)?;
    let (sign, zone) = match zone.split_at_checked(1)? {
        ("+", zone) => (1, zone),
        ("-", zone) => (-1, zone),
        _ => return None,
    };
    let (zone_hours, zone_minutes) = zone.split_at_checked(2)?;
    let zone = number(zone_hours, 0..=23)? * 60 + number(zone_minutes, 0..=59)?;
    let minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - sign * zone;
    Some((minutes * 60 + second) * 1000)
}

fn number(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(text)?;
    number.parse().ok().filter(|number| range.contains(number))
}

/// Counts the days of the Gregorian calendar; the year begins in March, so that the leap day ends it.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    // From March on, each five months have 153 days. 719,469 is what the 1st of January 1970 comes to.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "83.149.9.216 - - [17/May/2015:10:05:03 +0000] \"GET /a%20b?c=d HTTP/1.1\" \
                        200 203023 \"http://semicomplete.com/x/\" \"Mozilla/5.0 (X; Y) Z\"";

    fn entry() -> Entry<'static> {
        parse(LINE).unwrap()
    }

    #[test]
    fn parses_the_combined_format() {
        let expected = Entry {
            remote_addr: "83.149.9.216",
            user: "-",
            time_ms: 1_431_857_103_000,
            method: Some("GET"),
            path: "/a%20b?c=d",
            protocol: Some("HTTP/1.1"),
            status: 200,
            bytes: Some(203_023),
            referrer: Some("http://semicomplete.com/x/"),
            user_agent: Some("Mozilla/5.0 (X; Y) Z"),
        };
        assert_eq!(entry(), expected);
        assert_eq!(parse(&format!("{LINE}\r\n")).unwrap(), expected);
    }

    #[test]
    fn takes_what_real_logs_hold() {
        let common = "h - ann b [01/Jan/1970:00:00:00 +0000] \"-\" 408 -";
        let parsed = parse(common).unwrap();
        assert_eq!(
            (parsed.user, parsed.bytes, parsed.referrer),
            ("ann b", None, None)
        );
        assert_eq!(
            (parsed.method, parsed.path, parsed.protocol),
            (None, "-", None)
        );

        let spaces = LINE.replace("/a%20b?c=d", "/a b");
        assert_eq!(parse(&spaces).unwrap().path, "/a b");

        let open_quote = LINE.strip_suffix('"').unwrap();
        assert_eq!(parse(open_quote).unwrap(), entry());

        let escaped = LINE.replace("http://semicomplete.com/x/", r#"say \"x\" \\"#);
        let escaped = parse(&escaped).unwrap();
        assert_eq!(escaped.referrer, Some(r#"say \"x\" \\"#));
        assert_eq!(escaped.user_agent, entry().user_agent);
    }

    #[test]
    fn names_the_part_that_is_wrong() {
        for (from, to, part) in [
            (LINE, "", "the remote address"),
            ("17/May", "17/Mai", "the time"),
            ("+0000", "0000", "the time"),
            ("\"GET", "GET", "the request"),
            (" 200 ", " ok ", "the status"),
            (" 200 ", " 70000 ", "the status"),
            ("203023", "many", "the size"),
        ] {
            let line = LINE.replace(from, to);
            assert_eq!(parse(&line).unwrap_err().part, part, "{line}");
        }
    }

    #[test]
    fn reads_times_across_zones_and_leap_days() {
        for (text, ms) in [
            ("01/Jan/1970:00:00:00 +0000", 0),
            ("01/Jan/1970:01:30:00 +0130", 0),
            ("31/Dec/1969:23:00:00 -0100", 0),
            ("29/Feb/2000:12:00:00 +0000", 951_825_600_000),
            ("01/Mar/2024:00:00:00 +0000", 1_709_251_200_000),
            ("31/Dec/2099:23:59:59 +0000", 4_102_444_799_000),
        ] {
            assert_eq!(time_ms(text), Some(ms), "{text}");
        }
    }

    proptest! {
        #[test]
        fn takes_no_noise_and_survives_damage(line: String, cut in 0usize..200, put: char) {
            prop_assert!(parse(&line).is_err(), "{line}");
            let mut damaged: String = LINE.chars().take(cut).collect();
            damaged.push(put);
            damaged.extend(LINE.chars().skip(cut + 1));
            if let Ok(entry) = parse(&damaged) {
                prop_assert!(damaged.contains(entry.path));
            }
        }
    }
}
