//! The topology `clickstream`, with what the demo lays over it.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use squall::Result;
use squall::local::{self, Local, StateFile};
use squall_core::Registry;
use squall_kinesis::{KinesisConfig, KinesisSpout};
use squall_plan::{Declared, SourceFile, Sources};
use squall_runtime::Options;

use super::stage::Stage;
use super::tally::Tally;
use super::tape::{Tape, Taped};

const TOPOLOGY: &str = include_str!("../../../../topologies/clickstream/topology.yaml");
const DRILL: &str = include_str!("../../../../topologies/clickstream/demo.yaml");
/// Reads what `count` counted; changes nothing before it.
const TALLY: &str =
    "bolts: { tally: { type: demo-tally, inputs: [ { from: count, grouping: global } ] } }";

/// A topology ready to be started, and what watches it.
pub(super) struct Demo {
    pub(super) tape: Tape,
    pub(super) tally: Tally,
    declared: Declared,
    registry: Arc<Registry>,
    state: Arc<StateFile>,
}

impl Demo {
    /// Declares the topology on the stage's stream; its state goes to `directory`.
    pub(super) fn prepare(stage: &Stage, record: Option<&Path>, directory: &Path) -> Result<Self> {
        let tape = match record {
            Some(path) => {
                let tape = Tape::recording(path);
                tape.map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => Tape::default(),
        };
        let tally = Tally::default();
        let registry = registry(&tape, &tally);
        let declared = squall_plan::declare(&sources(stage), &registry)?;
        let state = StateFile::new(Some(directory), &declared.spec.name);
        Ok(Self {
            tape,
            tally,
            declared,
            registry: Arc::new(registry),
            state: Arc::new(state),
        })
    }

    /// Starts it.
    pub(super) fn start(&self, tokio: &Handle) -> Result<Local> {
        let (state, options) = (self.state.clone(), Options::default());
        Ok(local::start(
            &self.declared,
            &self.registry,
            state,
            tokio,
            &options,
        )?)
    }
}

fn registry(tape: &Tape, tally: &Tally) -> Registry {
    let mut registry = Registry::new();
    squall_components::all(&mut registry);
    let (tape, tally) = (tape.clone(), tally.clone());
    registry.spout("kinesis", move |config: KinesisConfig| {
        Ok(Taped::new(KinesisSpout::new(config)?, tape.clone()))
    });
    registry.bolt("demo-tally", move |(): ()| Ok(tally.clone()));
    registry
}

fn sources(stage: &Stage) -> Sources<'static> {
    let file = |name: &str, text: &str| SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let set = |path: &str, value: &str| (format!("spouts.clicks.config.{path}"), value.to_owned());
    Sources {
        files: vec![
            file("topologies/clickstream/topology.yaml", TOPOLOGY),
            file("topologies/clickstream/demo.yaml", DRILL),
            file("tally.yaml", TALLY),
        ],
        sets: vec![
            set("stream", &stage.stream),
            set("endpoint_url", &stage.url),
            // The embedded endpoint is on this machine: it may be asked more often.
            set("tip_interval", "250ms"),
        ],
        env: &|_| None,
    }
}
