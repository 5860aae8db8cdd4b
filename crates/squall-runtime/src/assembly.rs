//! Puts a topology together: edges, routers, ledgers and tasks, from its layout.

mod loops;
mod wiring;

use std::sync::Arc;

use squall_core::{
    ComponentId, Metrics, Registry, Schema, Settings, Str, TaskId, TaskInfo, TaskServices,
    TopologySpec,
};
use squall_plan::{ComponentLayout, Kind, Layout, Signatures};

use crate::ack::{Inbox, Lanes, Ledger, TokenDesk};
use crate::bell::{Bed, Bell};
use crate::control::Control;
use crate::memory::MemoryBound;
use crate::output::{OutputParts, TaskOutput};
use crate::seat::{Seat, SeatParts};
use crate::services::{Options, Services, StartError};
use crate::stats::TaskStats;
use crate::task::{Base, BoltTask, Inputs, Maker, Restarts, SpoutTask, Task};

use loops::{assign_loops, sinks_first};
use wiring::Wiring;

/// A topology, ready to be run by threads or by a simulation.
pub(crate) struct Assembly {
    pub(crate) name: String,
    pub(crate) settings: Arc<Settings>,
    /// The tasks in the order of their ids.
    pub(crate) seats: Vec<Arc<Seat>>,
    /// For each loop its bed and its seats, sinks first; tasks with a thread of their own are in none.
    pub(crate) loops: Vec<(Arc<Bed>, Vec<Arc<Seat>>)>,
    /// Tasks that have a thread of their own from the start.
    pub(crate) dedicated: Vec<Arc<Seat>>,
    pub(crate) control: Arc<Control>,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) memory_bound: MemoryBound,
    pub(crate) services: Services,
}

impl Assembly {
    pub(crate) fn new(
        spec: &TopologySpec,
        signatures: &Signatures,
        registry: &Arc<Registry>,
        services: Services,
        options: &Options,
    ) -> Result<Self, StartError> {
        let layout = Layout::new(spec, signatures, options.fuse);
        let placement = assign_loops(&layout, options.n_loops);
        let beds: Vec<Arc<Bed>> = (0..placement.n_loops).map(|_| Arc::default()).collect();
        let bells: Vec<Arc<Bell>> = placement
            .loop_of
            .iter()
            .map(|at| Bell::new(beds[at.unwrap_or(0)].clone()))
            .collect();
        let n_spouts = layout
            .components
            .iter()
            .filter(|c| c.kind == Kind::Spout)
            .map(ComponentLayout::n_tasks)
            .sum();
        let settings = Arc::new(spec.settings.clone());
        let builder = Builder {
            topology: spec.name.clone(),
            wiring: Wiring::new(&layout, &settings, &bells),
            inboxes: bells.iter().map(|bell| Inbox::new(bell.clone())).collect(),
            control: Arc::new(Control::new(
                bells.clone(),
                n_spouts,
                settings.max_held_bytes.as_usize(),
            )),
            tasks: Arc::new(
                layout
                    .components
                    .iter()
                    .map(|c| (c.id.clone(), c.task_ids().collect()))
                    .collect(),
            ),
            seed: settings.seed.unwrap_or_else(|| fastrand::u64(..)),
            settings: settings.clone(),
            registry: registry.clone(),
            services: services.clone(),
            layout: &layout,
            bells: &bells,
        };
        let seats = builder.build_seats()?;
        let mut loops: Vec<_> = beds.into_iter().map(|bed| (bed, Vec::new())).collect();
        let mut dedicated = Vec::new();
        // Sinks before sources: what is nearest to its end goes first.
        for component in sinks_first(&layout) {
            for task in component.task_ids() {
                let seat = seats[task.idx()].clone();
                match placement.loop_of[task.idx()] {
                    Some(loop_idx) => loops[loop_idx].1.push(seat),
                    None => dedicated.push(seat),
                }
            }
        }
        Ok(Self {
            name: spec.name.to_string(),
            memory_bound: MemoryBound::new(&layout, &settings),
            settings,
            seats,
            loops,
            dedicated,
            control: builder.control,
            inboxes: builder.inboxes,
            services,
        })
    }
}

/// What is needed to build each task.
struct Builder<'a> {
    topology: Str,
    layout: &'a Layout,
    bells: &'a [Arc<Bell>],
    wiring: Wiring,
    inboxes: Arc<[Inbox]>,
    control: Arc<Control>,
    tasks: Arc<Vec<(ComponentId, Vec<TaskId>)>>,
    seed: u64,
    settings: Arc<Settings>,
    registry: Arc<Registry>,
    services: Services,
}

impl Builder<'_> {
    fn build_seats(&self) -> Result<Vec<Arc<Seat>>, StartError> {
        let mut seats = Vec::with_capacity(self.layout.n_tasks());
        for (component_idx, component) in self.layout.components.iter().enumerate() {
            let schemas = self.schemas_of(component);
            for (task_idx, task) in component.task_ids().enumerate() {
                seats.push(Arc::new(self.build_seat(
                    component_idx,
                    task,
                    task_idx,
                    &schemas,
                )?));
            }
        }
        Ok(seats)
    }

    /// The schemas of a component's outputs, one for all its tasks.
    fn schemas_of(&self, component: &ComponentLayout) -> Vec<Arc<Schema>> {
        let streams = component.outputs.iter();
        streams
            .map(|(stream, fields)| {
                Schema::new(component.id.clone(), stream.clone(), fields.to_vec())
            })
            .collect()
    }

    fn build_seat(
        &self,
        component_idx: usize,
        task: TaskId,
        task_idx: usize,
        schemas: &[Arc<Schema>],
    ) -> Result<Seat, StartError> {
        let component = &self.layout.components[component_idx];
        let bell = self.bells[task.idx()].clone();
        let stats = Arc::new(TaskStats::new(
            component.outputs.iter().map(|(stream, _)| stream.clone()),
        ));
        let metrics = Metrics::default();
        // Every task draws from a stream of its own, the same in each run under a fixed seed.
        let mut rng = fastrand::Rng::with_seed(
            self.seed
                .wrapping_add(u64::from(task.0).wrapping_mul(0x9E37_79B9)),
        );
        let info = self.info_of(component, task, task_idx);
        let maker = Maker {
            registry: self.registry.clone(),
            type_name: component.type_name.clone(),
            config: component.config.clone(),
            info: info.clone(),
            services: self.services_of(rng.u64(..), &bell, &metrics),
        };
        let output = self.output_of(component_idx, task, task_idx, schemas, &stats, rng)?;
        let base = Base {
            info,
            settings: self.settings.clone(),
            output,
            inboxes: self.inboxes.clone(),
            bell: bell.clone(),
            stats: stats.clone(),
            control: self.control.clone(),
            restarts: Restarts::new(&self.settings),
            next_sweep: None,
            next_touch: None,
            jam: None,
            n_pending: 0,
        };
        let inputs = self.wiring.inputs_of(task);
        let edges = inputs.iter().map(|input| input.edge.clone()).collect();
        let inputs = Inputs::new(inputs);
        let hand = inputs.hand().clone();
        let task_at_work = match component.kind {
            Kind::Spout => Task::Spout(Box::new(SpoutTask::new(base, maker))),
            Kind::Bolt => Task::Bolt(Box::new(BoltTask::new(base, maker, inputs, component.tick))),
        };
        Ok(Seat::new(SeatParts {
            id: task,
            component: component.id.clone(),
            kind: component.kind,
            bell,
            stats,
            metrics,
            inputs: edges,
            hand,
            task: task_at_work,
        }))
    }

    fn output_of(
        &self,
        component_idx: usize,
        task: TaskId,
        task_idx: usize,
        schemas: &[Arc<Schema>],
        stats: &Arc<TaskStats>,
        mut rng: fastrand::Rng,
    ) -> Result<TaskOutput, StartError> {
        let component = &self.layout.components[component_idx];
        let (streams, targets) = self.wiring.outputs_of(
            self.layout,
            component_idx,
            task_idx,
            schemas,
            &self.registry,
        )?;
        let desk = TokenDesk::new(component.id.clone(), self.inboxes.clone(), stats.clone());
        Ok(TaskOutput::new(OutputParts {
            task,
            streams,
            targets,
            ledger: Ledger::new(task, rng.u64(..)),
            lanes: Lanes::new(self.inboxes.clone()),
            tokens: Arc::new(desk),
            rng,
            max_tuple_bytes: self.settings.max_tuple_bytes.as_usize(),
        }))
    }

    fn info_of(&self, component: &ComponentLayout, task: TaskId, task_idx: usize) -> TaskInfo {
        TaskInfo {
            topology: self.topology.clone(),
            component: component.id.clone(),
            task,
            task_idx,
            n_tasks: component.n_tasks(),
            inputs: wiring::schemas_read_by(self.layout, component),
            key_fields: component.key_fields(),
            tasks: self.tasks.clone(),
        }
    }

    fn services_of(&self, seed: u64, bell: &Arc<Bell>, metrics: &Metrics) -> TaskServices {
        TaskServices {
            clock: self.services.clock.clone(),
            seed,
            fence: self.services.fence,
            waker: bell.clone().into(),
            spawner: self.services.spawner.clone(),
            checkpoints: self.services.checkpoints.clone(),
            metrics: metrics.clone(),
        }
    }
}
