//! A topology as a picture: Graphviz's DOT and Mermaid.

use std::fmt::Write;

use indexmap::IndexSet;

use squall_core::{ComponentId, InputSpec, StreamId, TopologySpec};

/// Draws a topology in the DOT language of Graphviz.
#[must_use]
pub fn to_dot(spec: &TopologySpec) -> String {
    let mut out = format!("digraph {} {{\n", dot_text(&[&spec.name]));
    out.push_str("  rankdir=LR;\n  node [shape=box];\n");
    for component in components(spec) {
        let id = dot_text(&[component.id.as_str()]);
        let label = dot_text(&[component.id.as_str(), &component.label]);
        let shape = if component.is_spout {
            ", shape=cds"
        } else {
            ""
        };
        line(&mut out, format_args!("  {id} [label={label}{shape}];"));
    }
    for (to, input) in edges(spec) {
        let from = dot_text(&[input.component.as_str()]);
        let (to, label) = (dot_text(&[to.as_str()]), dot_text(&[&edge_label(input)]));
        line(&mut out, format_args!("  {from} -> {to} [label={label}];"));
    }
    out.push_str("}\n");
    out
}

/// Draws a topology as a Mermaid flowchart.
#[must_use]
pub fn to_mermaid(spec: &TopologySpec) -> String {
    let mut out = "flowchart LR\n".to_owned();
    let mut ids = IndexSet::new();
    for component in components(spec) {
        let (idx, _) = ids.insert_full(component.id.as_str());
        let text = mermaid_text(&[component.id.as_str(), &component.label]);
        let (open, close) = if component.is_spout {
            ("([", "])")
        } else {
            ("[", "]")
        };
        line(&mut out, format_args!("  n{idx}{open}{text}{close}"));
    }
    for (to, input) in edges(spec) {
        // A source that isn't declared gets a node without a text of its own.
        let (from, _) = ids.insert_full(input.component.as_str());
        let (to, _) = ids.insert_full(to.as_str());
        let label = mermaid_text(&[&edge_label(input)]);
        line(&mut out, format_args!("  n{from} -->|{label}| n{to}"));
    }
    out
}

struct Component<'s> {
    id: &'s ComponentId,
    /// Type and parallelism.
    label: String,
    is_spout: bool,
}

fn components(spec: &TopologySpec) -> impl Iterator<Item = Component<'_>> {
    let spouts = spec.spouts.iter().map(|(id, spout)| Component {
        id,
        label: format!("{} ×{}", spout.type_name, spout.parallelism),
        is_spout: true,
    });
    let bolts = spec.bolts.iter().map(|(id, bolt)| Component {
        id,
        label: format!("{} ×{}", bolt.type_name, bolt.parallelism),
        is_spout: false,
    });
    spouts.chain(bolts)
}

fn edges(spec: &TopologySpec) -> impl Iterator<Item = (&ComponentId, &InputSpec)> {
    let bolts = spec.bolts.iter();
    bolts.flat_map(|(id, bolt)| bolt.inputs.iter().map(move |input| (id, input)))
}

/// Writes `grouping`, or `stream: grouping` where it isn't the default stream.
fn edge_label(input: &InputSpec) -> String {
    if input.stream == StreamId::DEFAULT {
        input.grouping.to_string()
    } else {
        format!("{}: {}", input.stream, input.grouping)
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = writeln!(out, "{text}");
    debug_assert!(written.is_ok(), "a string takes any text");
}

/// Quotes lines of text for DOT.
fn dot_text(lines: &[&str]) -> String {
    let escape = |line: &&str| {
        let line = line.replace('\\', "\\\\").replace('"', "\\\"");
        line.replace(char::is_control, " ")
    };
    let lines: Vec<_> = lines.iter().map(escape).collect();
    format!("\"{}\"", lines.join("\\n"))
}

/// Quotes lines of text for Mermaid, which knows characters by `#name;`.
fn mermaid_text(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| mermaid_escape(line)).collect();
    format!("\"{}\"", lines.join("<br/>"))
}

fn mermaid_escape(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '&' => out.push_str("#amp;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '`' => out.push_str("#96;"),
            '\\' => out.push_str("#92;"),
            _ if c.is_control() => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use squall_core::{Grouping, TopologyBuilder};

    use super::*;

    fn spec() -> TopologySpec {
        let mut t = TopologyBuilder::new("clickstream");
        t.spout("clicks", "kinesis", ()).unwrap().parallelism(2);
        t.bolt("parse", "access-log", ())
            .unwrap()
            .local_or_shuffle("clicks");
        t.bolt("count", "count", ())
            .unwrap()
            .parallelism(4)
            .fields("parse", ["referrer", "path"])
            .global("parse/late");
        t.build()
    }

    #[test]
    fn draws_dot() {
        let expected = r#"digraph "clickstream" {
  rankdir=LR;
  node [shape=box];
  "clicks" [label="clicks\nkinesis ×2", shape=cds];
  "parse" [label="parse\naccess-log ×1"];
  "count" [label="count\ncount ×4"];
  "clicks" -> "parse" [label="local-or-shuffle"];
  "parse" -> "count" [label="fields(referrer, path)"];
  "parse" -> "count" [label="late: global"];
}
"#;
        assert_eq!(to_dot(&spec()), expected);
    }

    #[test]
    fn draws_mermaid() {
        let expected = r#"flowchart LR
  n0(["clicks<br/>kinesis ×2"])
  n1["parse<br/>access-log ×1"]
  n2["count<br/>count ×4"]
  n0 -->|"local-or-shuffle"| n1
  n1 -->|"fields(referrer, path)"| n2
  n1 -->|"late: global"| n2
"#;
        assert_eq!(to_mermaid(&spec()), expected);
    }

    #[test]
    fn escapes_names() {
        let mut t = TopologyBuilder::new("a\"b\\");
        t.bolt("x]\"-->\n", "t", ())
            .unwrap()
            .input("<s>", Grouping::Custom("`#&".into()));
        let spec = t.build();
        let dot = to_dot(&spec);
        assert!(dot.starts_with(r#"digraph "a\"b\\" {"#), "{dot}");
        assert!(
            dot.contains(r#""<s>" -> "x]\"--> " [label="custom(`#&)"];"#),
            "{dot}"
        );
        let mermaid = to_mermaid(&spec);
        assert!(
            mermaid.contains(r##"n0["x]#quot;--#gt; <br/>t ×1"]"##),
            "{mermaid}"
        );
        assert!(
            mermaid.contains(r##"n1 -->|"custom(#96;#35;#amp;)"| n0"##),
            "{mermaid}"
        );
    }
}
