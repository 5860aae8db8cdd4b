//! A whole topology on the test's own thread, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use squall_core::{Fence, ManualClock, Registry, TopologySpec};
use squall_plan::{Problems, SourceFile, Sources};
use squall_runtime::{Options, RunError, Services, Simulation, StartError, TopologySnapshot};
use squall_store::MemoryStore;

use crate::testing::TestSpawner;

/// The longest stretch of time that passes at once while asynchronous work is there to notice it.
const MAX_STRIDE: Duration = Duration::from_millis(100);

/// Runs topologies without threads and without waiting: time passes when the test says so.
///
/// Time-outs, ticks, back-off and restarts happen in virtual time. The order in which tasks take their
/// turns is drawn from a seed, so a test that failed fails again.
///
/// ```
/// use std::time::Duration;
/// use squall::prelude::*;
/// use squall::testing::LocalCluster;
///
/// # fn main() -> Result<()> {
/// let mut t = TopologyBuilder::new("beat");
/// t.spout("in", "generate", serde_json::json!({ "rate_per_sec": 10 }))?;
/// t.bolt("count", "count", serde_json::json!({ "by": ["n"] }))?.global("in");
///
/// let cluster = LocalCluster::new(squall::App::new().into_registry());
/// let mut topology = cluster.start(&t.build())?;
/// topology.advance(Duration::from_secs(60));
/// let acked: u64 = topology.snapshot().spouts().map(|task| task.acked).sum();
/// assert!((599..=601).contains(&acked), "{acked}");
/// # Ok(()) }
/// ```
pub struct LocalCluster {
    registry: Arc<Registry>,
    spawner: Arc<TestSpawner>,
    checkpoints: Arc<MemoryStore>,
    options: Options,
    seed: u64,
}

/// A topology of a [`LocalCluster`].
pub struct LocalTopology {
    simulation: Simulation,
    spawner: Arc<TestSpawner>,
}

/// A topology that can't be started.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// It is wrong.
    #[error("{0}")]
    Invalid(#[from] Problems),
    /// It can't be put together.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl LocalCluster {
    /// Makes a cluster of the components in `registry`, with seed 1.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        #[cfg(feature = "components")]
        let registry = captured(registry);
        Self {
            registry: Arc::new(registry),
            spawner: Arc::new(TestSpawner::new()),
            checkpoints: Arc::new(MemoryStore::new()),
            options: Options::default(),
            seed: 1,
        }
    }

    /// Sets the seed of all that is drawn, for topologies that don't set their own.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Keeps neighbours apart that would be fused; on by default, with no effect on what is computed.
    #[must_use]
    pub const fn fuse(mut self, fuse: bool) -> Self {
        self.options.fuse = fuse;
        self
    }

    /// Reads a topology that is declared in YAML, without environment.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn declare(&self, yaml: &str) -> Result<TopologySpec, Problems> {
        let sources = Sources {
            files: vec![SourceFile {
                name: "topology.yaml".to_owned(),
                text: yaml.to_owned(),
            }],
            sets: Vec::new(),
            env: &|_| None,
        };
        Ok(squall_plan::declare(&sources, &self.registry)?.spec)
    }

    /// Starts a topology; nothing runs before time passes. Topologies share the checkpoints, so one that
    /// is started a second time resumes.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn start(&self, spec: &TopologySpec) -> Result<LocalTopology, ClusterError> {
        let checked = squall_plan::check(spec, &self.registry)?;
        let mut spec = spec.clone();
        spec.settings.seed.get_or_insert(self.seed);
        let clock = Arc::new(ManualClock::new());
        let services = Services {
            clock: clock.clone(),
            spawner: self.spawner.clone(),
            checkpoints: self.checkpoints.clone(),
            fence: Fence::default(),
        };
        let (registry, options) = (&self.registry, &self.options);
        let simulation = Simulation::new(
            &spec,
            &checked.signatures,
            registry,
            services,
            options,
            clock,
        )?;
        Ok(LocalTopology {
            simulation,
            spawner: self.spawner.clone(),
        })
    }
}

impl LocalTopology {
    /// Lets time pass: all that is due on the way happens, in order.
    pub fn advance(&mut self, by: Duration) {
        let mut left = by;
        self.run_until_idle();
        while left > Duration::ZERO {
            let busy = self.spawner.n_alive() > 0;
            let stride = if busy { left.min(MAX_STRIDE) } else { left };
            self.simulation.advance(stride);
            if busy {
                self.spawner.advance(stride);
                self.run_until_idle();
            }
            left -= stride;
        }
    }

    /// Lets everything happen that can happen without time passing. Doesn't return while a spout always
    /// has more.
    pub fn run_until_idle(&mut self) {
        self.simulation.run_until_idle();
        while self.spawner.n_alive() > 0 {
            self.spawner.settle();
            if !self.simulation.step() {
                return;
            }
            self.simulation.run_until_idle();
        }
    }

    /// Lets time pass until the topology has ended by itself, or `at_most` has passed; tells whether it
    /// has.
    pub fn run_to_end(&mut self, at_most: Duration) -> bool {
        let mut left = at_most;
        self.run_until_idle();
        while !self.has_ended() && left > Duration::ZERO {
            if self.spawner.n_alive() == 0 {
                return self.simulation.run_to_end(left);
            }
            let stride = left.min(MAX_STRIDE);
            self.advance(stride);
            left -= stride;
        }
        self.has_ended()
    }

    /// Reads all counters.
    #[must_use]
    pub fn snapshot(&self) -> TopologySnapshot {
        self.simulation.snapshot()
    }

    /// Returns the clock that the components see.
    #[must_use]
    pub const fn clock(&self) -> &Arc<ManualClock> {
        self.simulation.clock()
    }

    /// Begins to end the topology, as SIGTERM does; let time pass for it to be done.
    pub fn drain(&self) {
        self.simulation.drain();
    }

    /// Ends the topology at once: what is pending fails as drained.
    pub fn force(&self) {
        self.simulation.force();
    }

    /// Has the spouts asked for no more tuples.
    pub fn deactivate(&self) {
        self.simulation.deactivate();
    }

    /// Has the spouts asked for tuples again.
    pub fn activate(&self) {
        self.simulation.activate();
    }

    /// Tells whether all tasks have ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.simulation.has_ended()
    }

    /// Returns why the topology failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<RunError> {
        self.simulation.failure()
    }
}

/// What `log` prints belongs to the test, not to whoever runs it.
#[cfg(feature = "components")]
fn captured(mut registry: Registry) -> Registry {
    squall_components::capture_log(&mut registry);
    registry
}
