//! Whatever the text, the loader neither panics nor takes more than its bounds.

use proptest::prelude::*;

use squall_plan::{Problems, SourceFile, Sources, declare};

use crate::support::program;

fn load(files: Vec<String>, sets: Vec<(String, String)>) {
    let files = files.into_iter().enumerate().map(|(n, text)| SourceFile {
        name: format!("{n}.yaml"),
        text,
    });
    let sources = Sources {
        files: files.collect(),
        sets,
        env: &|name| (name.len() % 2 == 0).then(|| format!("{name}: [")),
    };
    match declare(&sources, &program()) {
        Ok(declared) => assert!(!declared.warnings.has_errors()),
        Err(problems) => {
            assert!(problems.has_errors());
            assert!(problems.iter().len() <= Problems::MAX);
            assert!(problems.to_string().len() <= Problems::MAX * 4096);
        }
    }
}

/// Pieces that a topology file is made of, in any order.
fn yaml_ish() -> impl Strategy<Value = String> {
    let pieces = [
        "name: ",
        "spouts:\n",
        "bolts:\n",
        "  a:\n",
        "  b: ",
        "    type: lines\n",
        "    inputs: ",
        "settings: ",
        "parallelism: ",
        "config: ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "&x ",
        "*x",
        "<<: ",
        "*y",
        "&y ",
        "${A}",
        "${AB:-1}",
        "${",
        "$$",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "? ",
        "!!str ",
        "!t ",
        "---\n",
        "...\n",
        "# c\n",
        "\t",
        "\r\n",
        "é",
        "\u{feff}",
        "\u{0}",
        "~",
        "0x1",
        "1e9",
        ".inf",
        "a/b",
        "fields",
        "grouping: ",
        "from: ",
        "x-a: ",
        "%YAML 1.2\n",
        "streams: [",
        "className: ",
    ];
    let piece = proptest::sample::select(pieces.to_vec());
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn path() -> impl Strategy<Value = String> {
    "(name|bolts|spouts|settings|[a.\\[\\]0-9é]{0,6})([.](a|b|inputs|config|[\\[\\].0-9]{0,4})){0,4}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        match SourceFile::from_bytes("t.yaml", bytes.clone()) {
            Ok(file) => load(vec![file.text], Vec::new()),
            Err(problems) => prop_assert!(problems.has_errors()),
        }
        load(vec![String::from_utf8_lossy(&bytes).into_owned()], Vec::new());
    }

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}", value in "\\PC{0,20}") {
        load(vec![text.clone()], vec![(text, value)]);
    }

    #[test]
    fn anything_like_yaml_is_survived(
        files in proptest::collection::vec(yaml_ish(), 1..3),
        sets in proptest::collection::vec((path(), yaml_ish()), 0..3),
    ) {
        load(files, sets);
    }
}
