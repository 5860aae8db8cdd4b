//! Puts a topology together: edges, routers, ledgers and tasks, from its layout.

mod loops;
mod wiring;

use std::collections::BTreeMap;
use std::sync::Arc;

use squall_core::{
    ComponentId, Fence, Metrics, Registry, Schema, Settings, Str, TaskId, TaskInfo, TaskServices,
    TopologySpec,
};
use squall_plan::{ComponentLayout, Kind, Layout, Signatures};

use crate::ack::{Inbox, Lanes, Ledger, TokenDesk};
use crate::bell::{Bed, Bell};
use crate::control::Control;
use crate::memory::MemoryBound;
use crate::output::{OutputParts, TaskOutput};
use crate::ports::{AckEnd, Events, Part, Ports};
use crate::seat::{Seat, SeatParts};
use crate::services::{Options, Services, StartError};
use crate::stats::TaskStats;
use crate::task::{
    Base, BoltTask, Inputs, Maker, Neighbour, Restarts, SpoutTask, Task, TaskCell, Trial,
};

use loops::{assign_loops, sinks_first};
use wiring::Wiring;

/// A topology, ready to be run by threads or by a simulation.
pub(crate) struct Assembly {
    pub(crate) name: String,
    pub(crate) settings: Arc<Settings>,
    /// The tasks that run here, in the order of their ids.
    pub(crate) seats: Vec<Arc<Seat>>,
    /// For each loop its bed and its seats, sinks first; tasks with a thread of their own are in none.
    pub(crate) loops: Vec<(Arc<Bed>, Vec<Arc<Seat>>)>,
    /// Tasks that have a thread of their own from the start.
    pub(crate) dedicated: Vec<Arc<Seat>>,
    pub(crate) control: Arc<Control>,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) memory_bound: MemoryBound,
    /// The ends that lead elsewhere, in a part of a topology.
    pub(crate) ports: Option<Ports>,
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
        let part = options.part.as_ref();
        let is_here = |task: TaskId| part.is_none_or(|part| part.is_here(task));
        let placement = assign_loops(&layout, options.n_loops, is_here);
        // Who is not to be fused calls nobody.
        let calling_on: Vec<Option<usize>> = placement
            .loop_of
            .iter()
            .map(|at| at.filter(|_| options.fuse))
            .collect();
        let beds: Vec<Arc<Bed>> = (0..placement.n_loops).map(|_| Arc::default()).collect();
        let task_ids = || layout.components.iter().flat_map(ComponentLayout::task_ids);
        let bells: Vec<Arc<Bell>> = task_ids()
            .zip(&placement.loop_of)
            .map(|(task, at)| match is_here(task) {
                true => Bell::new(beds[at.unwrap_or(0)].clone()),
                false => Bell::outside(),
            })
            .collect();
        let own_bells = task_ids().zip(&bells).filter(|(task, _)| is_here(*task));
        let spouts = layout.components.iter().filter(|c| c.kind == Kind::Spout);
        let n_spouts = spouts
            .flat_map(ComponentLayout::task_ids)
            .filter(|task| is_here(*task))
            .count();
        let mut inputs = layout.components.iter().flat_map(|c| &c.inputs);
        let is_cyclic = inputs.any(|input| input.feedback);
        let settings = Arc::new(spec.settings.clone());
        let builder = Builder {
            topology: spec.name.clone(),
            wiring: Wiring::new(&layout, &settings, &bells, part, &calling_on),
            inboxes: bells.iter().map(|bell| Inbox::new(bell.clone())).collect(),
            control: Arc::new(Control::new(
                own_bells.map(|(_, bell)| bell.clone()).collect(),
                n_spouts,
                part.is_some(),
                is_cyclic,
                settings.max_held_bytes.as_usize(),
            )),
            tasks: Arc::new(
                layout
                    .components
                    .iter()
                    .map(|c| (c.id.clone(), c.task_ids().collect()))
                    .collect(),
            ),
            seed: settings
                .seed
                .map_or_else(|| fastrand::u64(..), |seed| seed_of(seed, services.fence)),
            settings: settings.clone(),
            registry: registry.clone(),
            services: services.clone(),
            layout: &layout,
            bells: &bells,
            cells: bells.iter().map(|_| Arc::new(TaskCell::new())).collect(),
            part,
            call_after: options.call_after,
        };
        let seats = builder.build_seats()?;
        let seat_of: BTreeMap<TaskId, &Arc<Seat>> =
            seats.iter().map(|seat| (seat.id, seat)).collect();
        let mut loops: Vec<_> = beds.into_iter().map(|bed| (bed, Vec::new())).collect();
        let mut dedicated = Vec::new();
        // Sinks before sources: what is nearest to its end goes first.
        for component in sinks_first(&layout) {
            for seat in component.task_ids().filter_map(|task| seat_of.get(&task)) {
                match placement.loop_of[seat.id.idx()] {
                    Some(loop_idx) => loops[loop_idx].1.push(Arc::clone(seat)),
                    None => dedicated.push(Arc::clone(seat)),
                }
            }
        }
        Ok(Self {
            name: spec.name.to_string(),
            memory_bound: MemoryBound::of(builder.wiring.n_edges(), n_spouts as u64, &settings),
            ports: part.map(|part| builder.ports(part)),
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

/// Derives the seed of one copy of a topology: were it the same for the next one, what is still said to the
/// trees of this one would reach those of the next.
const fn seed_of(seed: u64, fence: Fence) -> u64 {
    seed ^ fence.placement_epoch.wrapping_mul(0xD1B5_4A32_D192_ED03)
        ^ fence.incarnation.wrapping_mul(0x8CB9_2BA7_2F3D_8DD7)
}

/// What is needed to build each task.
struct Builder<'a> {
    topology: Str,
    layout: &'a Layout,
    bells: &'a [Arc<Bell>],
    /// Where each task stands, by id.
    cells: Vec<Arc<TaskCell>>,
    wiring: Wiring,
    inboxes: Arc<[Inbox]>,
    control: Arc<Control>,
    tasks: Arc<Vec<(ComponentId, Vec<TaskId>)>>,
    seed: u64,
    settings: Arc<Settings>,
    registry: Arc<Registry>,
    services: Services,
    part: Option<&'a Part>,
    call_after: u32,
}

impl Builder<'_> {
    /// Returns the ends that lead to other workers.
    fn ports(&self, part: &Part) -> Ports {
        let events = Events::new(
            self.layout,
            part,
            self.inboxes.clone(),
            self.control.clone(),
        );
        let mut ports = Ports {
            outlets: self.wiring.outlets(),
            inlets: self.wiring.inlets(),
            ack_outlets: Vec::new(),
            ack_inlets: Vec::new(),
            events: Arc::new(events),
        };
        for task in self
            .layout
            .components
            .iter()
            .flat_map(ComponentLayout::task_ids)
        {
            let end = Arc::new(AckEnd::new(self.inboxes.clone(), task));
            if part.is_here(task) {
                ports.ack_inlets.push((task, end));
            } else {
                ports.ack_outlets.push((task, end));
            }
        }
        ports
    }

    fn build_seats(&self) -> Result<Vec<Arc<Seat>>, StartError> {
        let mut seats = Vec::with_capacity(self.layout.n_tasks());
        for (component_idx, component) in self.layout.components.iter().enumerate() {
            let schemas = self.schemas_of(component);
            let is_here = |task: TaskId| self.part.is_none_or(|part| part.is_here(task));
            let tasks = component.task_ids().enumerate();
            for (task_idx, task) in tasks.filter(|(_, task)| is_here(*task)) {
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
        // Every task draws from a stream of its own, the same in each run of a copy under a fixed seed.
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
        let outlets = output.targets.iter().map(|target| &target.edge);
        let outlets = outlets.filter(|edge| edge.leads_elsewhere()).cloned();
        let outlets = outlets.collect();
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
            late_loss: None,
            jam: None,
            n_pending: 0,
            ended_room: Vec::new(),
            trial: Trial::new(self.call_after),
        };
        let inputs = self.wiring.inputs_of(task);
        let edges = inputs.iter().map(|input| input.edge.clone()).collect();
        let inputs = Inputs::new(inputs);
        let hand = inputs.hand().clone();
        let cell = self.cells[task.idx()].clone();
        cell.put(match component.kind {
            Kind::Spout => Task::Spout(Box::new(SpoutTask::new(base, maker))),
            Kind::Bolt => Task::Bolt(Box::new(BoltTask::new(base, maker, inputs, component.tick))),
        });
        Ok(Seat::new(SeatParts {
            id: task,
            component: component.id.clone(),
            kind: component.kind,
            bell,
            stats,
            metrics,
            inputs: edges,
            outlets,
            hand,
            cell,
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
            (component_idx, task_idx),
            schemas,
            &self.registry,
            self.part,
            |reader| self.neighbour(reader),
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

    /// Returns how `reader` is called by a task on the same loop.
    fn neighbour(&self, reader: TaskId) -> Neighbour {
        let (cell, bell) = (&self.cells[reader.idx()], &self.bells[reader.idx()]);
        Neighbour::new(cell.clone(), bell.clone())
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
