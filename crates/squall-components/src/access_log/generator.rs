//! Made-up access log lines with a skewed choice of referrers.

use fastrand::Rng;

use crate::zipf::{Zipf, rng_of};

const N_REFERRERS: usize = 200;
const N_PATHS: usize = 500;
/// Lines a second of the time in the lines.
const LINES_PER_SEC: u64 = 100;
const SECS_PER_DAY: u64 = 86_400;
const SITES: [&str; 8] = [
    "search.example.com",
    "news.example.org",
    "blog.example.net",
    "social.example.com",
    "shop.example.org",
    "forum.example.net",
    "wiki.example.org",
    "mail.example.com",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (compatible; ExampleBot/2.1)",
    "curl/8.5.0",
];

/// Makes the lines of an access log in combined format: the n-th line depends on the seed and n alone.
///
/// A quarter of the requests has no referrer (`-`); the others choose among 200 by Zipf's law, so that the
/// first one comes about 18 times as often as the twentieth.
pub struct Generator {
    seed: u64,
    referrers: Zipf,
    paths: Zipf,
    next_idx: u64,
}

impl Generator {
    /// Makes a generator that begins with line 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            referrers: Zipf::new(N_REFERRERS, 1.0),
            paths: Zipf::new(N_PATHS, 0.8),
            next_idx: 0,
        }
    }

    /// Makes one line, without a line feed.
    #[must_use]
    pub fn line(&self, line_idx: u64) -> String {
        let mut rng = rng_of(self.seed, line_idx);
        let client: [u8; 3] = [(); 3].map(|()| rng.u8(1..=254));
        let [b, c, d] = client;
        let time = time_of(line_idx);
        let path_idx = self.paths.draw(&mut rng);
        let status = *rng
            .choice(&[200u16, 200, 200, 200, 304, 404])
            .unwrap_or(&200);
        let n_bytes = rng.u32(200..60_000);
        let referrer = self.referrer(&mut rng);
        let agent = rng.choice(AGENTS).unwrap_or_default();
        format!(
            "10.{b}.{c}.{d} - - [{time}] \"GET /articles/{path_idx} HTTP/1.1\" {status} {n_bytes} \
             \"{referrer}\" \"{agent}\""
        )
    }

    fn referrer(&self, rng: &mut Rng) -> String {
        if rng.u8(0..4) == 0 {
            return "-".to_owned();
        }
        let referrer_idx = self.referrers.draw(rng);
        let site = SITES
            .get(referrer_idx % SITES.len())
            .copied()
            .unwrap_or_default();
        format!("https://{site}/{referrer_idx}")
    }
}

impl Iterator for Generator {
    type Item = String;

    /// Never ends.
    fn next(&mut self) -> Option<String> {
        let line = self.line(self.next_idx);
        self.next_idx = self.next_idx.wrapping_add(1);
        Some(line)
    }
}

/// Returns the time of a line, in an endless January of 2026.
fn time_of(line_idx: u64) -> String {
    let secs = line_idx / LINES_PER_SEC;
    let (day, secs) = (secs / SECS_PER_DAY % 31 + 1, secs % SECS_PER_DAY);
    let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
    format!("{day:02}/Jan/2026:{hour:02}:{minute:02}:{second:02} +0000")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::access_log::parse;

    #[test]
    fn lines_repeat_with_the_seed_and_parse() {
        let lines: Vec<_> = Generator::new(1).take(1000).collect();
        assert_eq!(lines, Generator::new(1).take(1000).collect::<Vec<_>>());
        assert_ne!(lines, Generator::new(2).take(1000).collect::<Vec<_>>());
        assert_eq!(lines[7], Generator::new(1).line(7));
        for line in &lines {
            assert!(parse(line).is_ok(), "{line}");
        }
        let late = Generator::new(1).line(u64::MAX);
        assert!(parse(&late).is_ok(), "{late}");
    }

    #[test]
    fn referrers_are_skewed() {
        let mut counts = HashMap::<_, u32>::new();
        for line in Generator::new(1).take(20_000) {
            let referrer = parse(&line).unwrap().referrer.unwrap().to_owned();
            *counts.entry(referrer).or_default() += 1;
        }
        let first = counts["https://search.example.com/0"];
        let twentieth = counts["https://social.example.com/19"];
        assert!(first > 10 * twentieth, "{first} and {twentieth}");
        assert!((4500..5500).contains(&counts["-"]));
    }
}
