//! The words of suggestions: names that are near, and lists of the names there are.

/// The longest name that is shown or compared, in characters.
const MAX_NAME_CHARS: usize = 64;

/// The most names of a list that are shown.
const MAX_LISTED: usize = 16;

/// The most names that are compared with one.
const MAX_COMPARED: usize = 512;

/// How alike two names must be, from 0 to 1, to be suggested.
const ALIKE: f64 = 0.6;

/// Puts a name in back quotes, cut to its bound and without control characters.
pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", shorten(name))
}

/// Lists names, separated by commas; of very many the first ones.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<_> = names.by_ref().take(MAX_LISTED).map(shorten).collect();
    let n_more = names.count();
    match (shown.is_empty(), n_more) {
        (true, _) => "none".to_owned(),
        (false, 0) => shown.join(", "),
        (false, _) => format!("{}, and {n_more} more", shown.join(", ")),
    }
}

/// Says which of `names` may have been meant, and which there are: ``did you mean `parse`? declared:
/// clicks, parse, count``, where `which` is `declared`.
pub(crate) fn did_you_mean<'n>(
    name: &'n str,
    which: &str,
    names: impl IntoIterator<Item = &'n str> + Clone,
) -> String {
    did_you_mean_one([name], which, names)
}

/// As [`did_you_mean`], where any of several names would have been right.
pub(crate) fn did_you_mean_one<'n>(
    names: impl IntoIterator<Item = &'n str>,
    which: &str,
    known: impl IntoIterator<Item = &'n str> + Clone,
) -> String {
    let mut names = names.into_iter();
    let near = names.find_map(|name| nearest(name, known.clone()));
    let all = format!("{which}: {}", list(known));
    match near {
        Some(near) => format!("did you mean {}? {all}", quote(near)),
        None => all,
    }
}

fn shorten(name: &str) -> String {
    let end = name.char_indices().nth(MAX_NAME_CHARS);
    let (shown, rest) = name.split_at(end.map_or(name.len(), |(at, _)| at));
    let dots = if rest.is_empty() { "" } else { "…" };
    format!("{}{dots}", shown.replace(char::is_control, "\u{fffd}"))
}

fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > MAX_NAME_CHARS {
        return None;
    }
    let mut best = (ALIKE, None);
    for other in names.into_iter().take(MAX_COMPARED) {
        if other.len() > MAX_NAME_CHARS {
            continue;
        }
        let alike = alike(name, other);
        if alike >= best.0 && (best.1.is_none() || alike > best.0) {
            best = (alike, Some(other));
        }
    }
    best.1
}

/// Compares two names; one that begins with the whole of the other is alike too: `rate_per_sec` and `rate`.
fn alike(name: &str, other: &str) -> f64 {
    let shorter = name.len().min(other.len());
    let is_beginning = shorter >= 3 && (name.starts_with(other) || other.starts_with(name));
    let alike = strsim::normalized_damerau_levenshtein(name, other);
    alike.max(if is_beginning { ALIKE } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_nearest_name_only_when_it_is_near() {
        let names = ["clicks", "parse", "count"];
        assert_eq!(
            did_you_mean("pasre", "declared", names),
            "did you mean `parse`? declared: clicks, parse, count"
        );
        assert_eq!(
            did_you_mean("sessions", "declared", names),
            "declared: clicks, parse, count"
        );
        assert_eq!(did_you_mean("x", "declared", []), "declared: none");
        let keys = ["max_rate", "rate_per_sec", "rat"];
        let suggestion = did_you_mean("rate", "keys here", keys);
        assert!(
            suggestion.starts_with("did you mean `rat`?"),
            "{suggestion}"
        );
        let suggestion = did_you_mean("rate", "keys here", keys.into_iter().take(2));
        assert!(
            suggestion.starts_with("did you mean `rate_per_sec`?"),
            "{suggestion}"
        );
    }

    #[test]
    fn bounds_what_it_shows() {
        assert_eq!(quote("a\u{1b}[31m"), "`a\u{fffd}[31m`");
        assert_eq!(quote(&"é".repeat(65)), format!("`{}…`", "é".repeat(64)));
        let many: Vec<_> = (0..20).map(|n| n.to_string()).collect();
        let shown = list(many.iter().map(String::as_str));
        assert!(shown.ends_with("15, and 4 more"), "{shown}");
    }
}
