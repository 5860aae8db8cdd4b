//! The edges: every input against what its source emits, and which bolts a tuple can reach.

use std::collections::{HashMap, HashSet};

use squall_core::{
    BoltSpec, ComponentId, Grouping, InputSpec, Outputs, Registry, Str, StreamId, TopologySpec,
};

use crate::Signatures;
use crate::declare::Point;
use crate::path::Path;
use crate::problem::{did_you_mean, quote};
use crate::report::Reporter;

/// Reports edges that can't be, and bolts that no tuple reaches.
pub(super) fn check(
    (spec, flawed): (&TopologySpec, &HashSet<ComponentId>),
    signatures: &Signatures,
    registry: Option<&Registry>,
    reporter: &mut Reporter<'_>,
) {
    let root = Path::default();
    if spec.spouts.is_empty() {
        let help = "declare where its tuples come from under `spouts`".to_owned();
        let message = "the topology has no spouts";
        reporter.error(&root.key("spouts"), Point::Key, message, Some(help));
    }
    let mut edges = Edges {
        spec,
        flawed,
        signatures,
        registry,
        reporter,
    };
    for (id, bolt) in &spec.bolts {
        edges.bolt(id, bolt);
    }
    reach(spec, reporter);
}

struct Edges<'a, 'r> {
    spec: &'a TopologySpec,
    /// What was reported as unreadable already.
    flawed: &'a HashSet<ComponentId>,
    signatures: &'a Signatures,
    /// The program's custom groupings; without it none is judged.
    registry: Option<&'a Registry>,
    reporter: &'a mut Reporter<'r>,
}

impl Edges<'_, '_> {
    fn bolt(&mut self, id: &ComponentId, bolt: &BoltSpec) {
        let at = Path::default().key("bolts").key(id.as_str());
        let mut read = HashSet::new();
        for (idx, input) in bolt.inputs.iter().enumerate() {
            let at = at.key("inputs").idx(idx);
            let is_new = read.insert((&input.component, &input.stream));
            if !is_new && !self.is_unreadable(input.component.as_str()) {
                let message = format!("{} is read twice by the same bolt", from_of(input));
                let help =
                    "each of its tuples would count twice; keep one of the inputs".to_owned();
                self.reporter
                    .error(&at.key("from"), Point::Value, message, Some(help));
            }
            self.input(&at, id, input);
        }
    }

    fn input(&mut self, at: &Path, reader: &ComponentId, input: &InputSpec) {
        self.grouping(&at.key("grouping"), &input.grouping);
        let id = &input.component;
        if self.is_unreadable(id.as_str()) {
            // Reported where it was read.
        } else if !self.spec.spouts.contains_key(id) && !self.spec.bolts.contains_key(id) {
            self.unknown_component(at, id);
        } else if let Some(outputs) = self.signatures.get(id) {
            match outputs.get(input.stream.as_str()) {
                Some(fields) => self.fields(&at.key("grouping"), input, fields),
                None => self.unknown_stream(at, reader, input, outputs),
            }
        }
    }

    fn is_unreadable(&self, name: &str) -> bool {
        name.is_empty() && self.flawed.contains(name)
    }

    fn unknown_component(&mut self, at: &Path, id: &ComponentId) {
        let declared = self.spec.spouts.keys().chain(self.spec.bolts.keys());
        let mut help = did_you_mean(id.as_str(), "declared", declared.map(ComponentId::as_str));
        if id.as_str().starts_with("x-") {
            help.push_str("; keys that begin with `x-` are ignored");
        }
        let message = format!("unknown component {}", quote(id.as_str()));
        self.reporter
            .error(&at.key("from"), Point::Value, message, Some(help));
    }

    fn unknown_stream(
        &mut self,
        at: &Path,
        reader: &ComponentId,
        input: &InputSpec,
        outputs: &Outputs,
    ) {
        let (id, stream) = (input.component.as_str(), input.stream.as_str());
        let (message, help) = if outputs.is_empty() && input.component == *reader {
            let message = format!("{} can't read itself: it emits nothing", quote(id));
            (message, None)
        } else if outputs.is_empty() {
            (format!("{} emits nothing", quote(id)), None)
        } else {
            let streams = outputs.iter().map(|(stream, _)| stream.as_str());
            let streams: Vec<_> = streams.collect();
            let help = did_you_mean(stream, "its streams", streams);
            let message = format!("{} has no stream {}", quote(id), quote(stream));
            (message, Some(help))
        };
        self.reporter
            .error(&at.key("from"), Point::Value, message, help);
    }

    fn grouping(&mut self, at: &Path, grouping: &Grouping) {
        match grouping {
            Grouping::Fields(fields) | Grouping::PartialKey(fields) if fields.is_empty() => {
                let message = "a grouping by fields needs at least one field";
                self.reporter
                    .error(&key_path(at, grouping), Point::Value, message, None);
            }
            Grouping::Custom(name) => {
                let known = self.registry.map(Registry::groupings);
                let known: Option<Vec<_>> = known.map(|all| all.map(Str::as_str).collect());
                let Some(known) = known.filter(|known| !known.contains(&name.as_str())) else {
                    return;
                };
                let help = did_you_mean(name, "custom groupings of this program", known);
                let message = format!("unknown custom grouping {}", quote(name));
                self.reporter
                    .error(&at.key("custom"), Point::Value, message, Some(help));
            }
            _ => {}
        }
    }

    fn fields(&mut self, at: &Path, input: &InputSpec, known: &[Str]) {
        let (Grouping::Fields(fields) | Grouping::PartialKey(fields)) = &input.grouping else {
            return;
        };
        for (idx, field) in fields.iter().enumerate() {
            if !known.contains(field) && !self.is_unreadable(field) {
                let path = key_path(at, &input.grouping).idx(idx);
                let message = format!("{} has no field {}", from_of(input), quote(field));
                let help = did_you_mean(field, "its fields", known.iter().map(Str::as_str));
                self.reporter
                    .error(&path, Point::Value, message, Some(help));
            }
        }
    }
}

/// Returns where the fields of a grouping stand.
fn key_path(at: &Path, grouping: &Grouping) -> Path {
    match grouping {
        Grouping::PartialKey(_) => at.key("partial-key"),
        _ => at.key("fields"),
    }
}

/// Writes an input's source as in a file.
pub(super) fn from_of(input: &InputSpec) -> String {
    if input.stream == StreamId::DEFAULT {
        quote(input.component.as_str())
    } else {
        quote(&format!("{}/{}", input.component, input.stream))
    }
}

/// Warns of bolts that no tuple reaches. Cycles are as good as any other way. A bolt with a mistake in it
/// is taken for reached: it may seem cut off only because of that.
fn reach(spec: &TopologySpec, reporter: &mut Reporter<'_>) {
    if spec.spouts.is_empty() {
        return;
    }
    let bolts = Path::default().key("bolts");
    let mut readers: HashMap<&ComponentId, Vec<&ComponentId>> = HashMap::new();
    let mut next: Vec<_> = spec.spouts.keys().collect();
    for (id, bolt) in &spec.bolts {
        for input in &bolt.inputs {
            readers.entry(&input.component).or_default().push(id);
        }
        if reporter.has_errors_at(&bolts.key(id.as_str())) {
            next.push(id);
        }
    }
    let mut reached: HashSet<&ComponentId> = HashSet::new();
    while let Some(id) = next.pop() {
        if reached.insert(id) {
            next.extend(readers.get(id).into_iter().flatten());
        }
    }
    for (id, bolt) in spec.bolts.iter().filter(|(id, _)| !reached.contains(id)) {
        let path = bolts.key(id.as_str());
        let name = quote(id.as_str());
        let (message, help) = if bolt.inputs.is_empty() {
            (format!("nobody feeds {name}"), "name its `inputs`")
        } else if bolt.inputs.iter().all(|input| input.component == *id) {
            let message = format!("{name} reads nothing but itself");
            (
                message,
                "name a spout, or a bolt that reads one, among its `inputs`",
            )
        } else {
            let message = format!("no tuple of a spout reaches {name}");
            (message, "one of the bolts before it must read a spout")
        };
        reporter.warning(&path, Point::Key, message, Some(help.to_owned()));
    }
}
