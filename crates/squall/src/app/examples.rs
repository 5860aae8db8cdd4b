//! The end of `--help` of a program that has none of its own.

use crate::app::built::BuiltTopology;

/// Shows what a program called `name` can be asked to do.
pub(super) fn of(name: &str, topologies: &[BuiltTopology]) -> String {
    let mut examples = Vec::new();
    match topologies {
        [] => {}
        [only] => examples.push(("run".to_owned(), format!("run the topology {}", only.name))),
        [first, ..] => {
            let what = "run a topology of this program".to_owned();
            examples.push((format!("run {}", first.name), what));
        }
    }
    let of_any = [
        (
            "run topology.yaml",
            "run a declared topology until its spouts finish, or Ctrl-C",
        ),
        ("run topology.yaml --for 30s", "run it for half a minute"),
        ("run topology.yaml --set bolts.count.parallelism=4", ""),
        (
            "validate topology.yaml",
            "say everything that is wrong with it",
        ),
        ("components", "list what topologies can be made of"),
        ("components count", "show one component: config and fields"),
    ];
    examples.extend(of_any.map(|(line, what)| (line.to_owned(), what.to_owned())));
    if cfg!(feature = "cluster") {
        let line = match topologies {
            [first, ..] => format!("submit {} --wait", first.name),
            [] => "submit topology.yaml --wait".to_owned(),
        };
        examples.push((
            line,
            "have a cluster run it, and wait until it does".to_owned(),
        ));
    }
    let lines = examples.iter().map(|(line, what)| {
        let line = format!("  {name} {line}");
        format!("\n{line:0$}  {what}", name.len() + 30)
            .trim_end()
            .to_owned()
    });
    format!("Examples:{}", lines.collect::<String>())
}
