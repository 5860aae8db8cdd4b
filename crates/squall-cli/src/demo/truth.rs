//! What was put, as the producer knows it: the topology has no part in this.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A place in the stream, in 128 bits of hash: shard and sequence number.
pub(super) type Place = (u64, u64);

/// All that was put.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// Where each event stands in the stream.
    pub(super) places: HashSet<Place>,
    /// How many there are by referrer.
    pub(super) counts: BTreeMap<String, u64>,
}

/// The truth, shared by the producer and those who compare.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<Truth>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Truth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn n_put(&self) -> u64 {
        self.lock().places.len() as u64
    }
}

impl Truth {
    pub(super) fn put(&mut self, line: &str, place: Place) {
        self.places.insert(place);
        let referrer = referrer_of(line).unwrap_or("null");
        match self.counts.get_mut(referrer) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(referrer.to_owned(), 1)),
        }
    }
}

/// Hashes a place.
pub(super) fn place(shard: &str, sequence: &str) -> Place {
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, shard, sequence).hash(&mut hasher);
        hasher.finish()
    };
    (hash(0), hash(1))
}

/// Returns the second quoted part of a line, found without the parser that is on trial.
fn referrer_of(line: &str) -> Option<&str> {
    let (_, rest) = quoted(line)?;
    quoted(rest).map(|(referrer, _)| referrer)
}

/// Returns what stands between the first quote and the next that isn't escaped, and the rest.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let (_, text) = text.split_once('"')?;
    let mut escaped = false;
    let end = text.find(|c: char| {
        let is_end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    })?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_the_second_quoted_part() {
        let mut truth = Truth::default();
        for (idx, line) in [
            r#"1.2.3.4 - - [x] "GET / HTTP/1.1" 200 1 "http://a/" "curl""#,
            r#"1.2.3.4 - - [x] "GET /\"q\\" 200 1 "http://a/" "curl""#,
            r#"1.2.3.4 - - [x] "GET / HTTP/1.1" 200 1"#,
        ]
        .iter()
        .enumerate()
        {
            truth.put(line, place("shard", &idx.to_string()));
        }
        let counts: Vec<_> = truth.counts.into_iter().collect();
        assert_eq!(
            counts,
            [("http://a/".to_owned(), 2), ("null".to_owned(), 1)]
        );
        assert_eq!(truth.places.len(), 3);
    }
}
