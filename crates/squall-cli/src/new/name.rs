//! Which names a crate may have: those that cargo takes, and that don't stand in the way of others.

/// What cargo calls directories of its own within `target`.
const DIRECTORIES: [&str; 4] = ["build", "deps", "examples", "incremental"];

/// The crates that come with the compiler.
const BUILT_IN: [&str; 6] = ["alloc", "core", "proc-macro", "proc_macro", "std", "test"];

/// Words that can't be the name of a crate in `use name::…`.
const KEYWORDS: [&str; 53] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "union", "Self",
];

/// Takes the name of a crate, or says why it can't be one.
pub(super) fn crate_name(text: &str) -> Result<String, String> {
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let goes_on_well = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !begins_well || !goes_on_well {
        return Err("a crate's name is a letter, then letters, digits, `-` and `_`".to_owned());
    }
    let of_squall = text.strip_prefix("squall");
    let why = if KEYWORDS.contains(&text) {
        "it is a word of the language"
    } else if BUILT_IN.contains(&text) {
        "a crate of that name comes with the compiler"
    } else if DIRECTORIES.contains(&text) {
        "cargo has a directory of that name where it builds"
    } else if of_squall.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_'])) {
        "it would be taken for one of Squall's own crates, which the new one depends on"
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("{why}; take another, such as my-{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_cargo_can_build_and_says_why_it_refuses_the_rest() {
        for name in ["word-count", "w2", "squalls", "testing", "a_b"] {
            assert_eq!(crate_name(name).as_deref(), Ok(name));
        }
        let refused = [
            ("", "a letter, then"),
            ("9lives", "a letter, then"),
            ("../up", "a letter, then"),
            ("fn", "a word of the language"),
            ("test", "comes with the compiler"),
            ("build", "where it builds"),
            ("squall", "Squall's own"),
            ("squall-core", "Squall's own"),
        ];
        for (name, why) in refused {
            let said = crate_name(name).unwrap_err();
            assert!(said.contains(why), "{name}: {said}");
        }
    }
}
