//! What a topology is to the cluster, and what it is to be.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use prost::bytes::Bytes;
use squall_core::{ComponentId, TopologyId};

use crate::bounds::{
    MAX_ARGS, MAX_ARGS_BYTES, MAX_COMPONENTS, MAX_SPEC_BYTES, MAX_TASKS, MAX_TOPOLOGY_NAME_BYTES,
    MAX_WORKERS,
};
use crate::check;
use crate::field::{At, FieldError};
use crate::hash::Sha256;
use crate::names::topology_id;
use crate::wire;

/// A submitted topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Its id.
    pub id: TopologyId,
    /// Its spec as JSON, not yet read: 1 to [`MAX_SPEC_BYTES`]. Clones share it.
    pub spec_json: Bytes,
    /// What that is known by. Not checked here.
    pub spec_sha256: Sha256,
    /// Which binary is the worker.
    pub binary_sha256: Sha256,
    /// How many workers its tasks are spread over: 1 to [`MAX_WORKERS`].
    pub n_workers: NonZeroU32,
    /// How the binary builds it; none when it was declared in a file.
    pub program: Option<Program>,
    /// The components that have another number of tasks than the spec says.
    pub parallelism: Parallelism,
}

/// A topology that is built in Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The name under which the binary has it: 1 to [`MAX_TOPOLOGY_NAME_BYTES`].
    pub name: String,
    /// Its arguments: at most [`MAX_ARGS`], together at most [`MAX_ARGS_BYTES`].
    pub args: Vec<String>,
}

/// Numbers of tasks by component: at most [`MAX_COMPONENTS`], each 1 to [`MAX_TASKS`].
pub type Parallelism = BTreeMap<ComponentId, NonZeroU32>;

macro_rules! enumeration {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl TryFrom<i32> for $name {
            type Error = FieldError;

            fn try_from(number: i32) -> Result<Self, FieldError> {
                match wire::$name::try_from(number) {
                    $(Ok(wire::$name::$variant) => Ok(Self::$variant),)+
                    Ok(wire::$name::Unspecified) | Err(_) => {
                        Err(FieldError::new("", [$($word),+].join(", "), number))
                    }
                }
            }
        }

        impl From<$name> for i32 {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => wire::$name::$variant.into(),)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self {
                    $(Self::$variant => $word,)+
                })
            }
        }
    };
}

enumeration! {
    /// What nimbus wants a topology to be.
    TopologyState {
        /// Its spouts are asked for tuples.
        Active = "active",
        /// Its spouts aren't asked.
        Inactive = "inactive",
        /// It drains, then moves.
        Rebalancing = "rebalancing",
        /// It drains, then ends for good.
        Killed = "killed",
    }
}

enumeration! {
    /// What the workers of a topology are to do now.
    Phase {
        /// Bolts run, spouts wait until every task is ready.
        Starting = "starting",
        /// Spouts are asked for tuples.
        Active = "active",
        /// Spouts aren't asked; what is pending goes on.
        Inactive = "inactive",
        /// Spouts aren't asked; a worker says when nothing of its own is pending any more.
        Draining = "draining",
    }
}

impl TryFrom<wire::Topology> for Topology {
    type Error = FieldError;

    fn try_from(wire: wire::Topology) -> Result<Self, FieldError> {
        Ok(Self {
            id: topology_id("id", wire.id)?,
            spec_json: check::bytes("spec_json", wire.spec_json, 1..=MAX_SPEC_BYTES)?,
            spec_sha256: wire.spec_sha256.try_into().at("spec_sha256")?,
            binary_sha256: wire.binary_sha256.try_into().at("binary_sha256")?,
            n_workers: n_workers("n_workers", wire.n_workers)?
                .ok_or_else(|| FieldError::new("n_workers", format!("1 to {MAX_WORKERS}"), 0))?,
            program: program(wire.program, wire.args)?,
            parallelism: parallelism("parallelism", wire.parallelism)?,
        })
    }
}

impl From<Topology> for wire::Topology {
    fn from(topology: Topology) -> Self {
        let (program, args) = Program::to_wire(topology.program);
        Self {
            id: topology.id.to_string(),
            spec_json: topology.spec_json,
            spec_sha256: topology.spec_sha256.into(),
            binary_sha256: topology.binary_sha256.into(),
            n_workers: topology.n_workers.get(),
            program,
            args,
            parallelism: parallelism_to_wire(topology.parallelism),
        }
    }
}

impl Program {
    /// Makes what [`program`] takes.
    pub(crate) fn to_wire(program: Option<Self>) -> (String, Vec<String>) {
        program.map_or_else(Default::default, |program| (program.name, program.args))
    }
}

/// Takes the fields `program` and `args`.
pub(crate) fn program(name: String, args: Vec<String>) -> Result<Option<Program>, FieldError> {
    if name.is_empty() {
        check::within("args", args.len(), &(0..=0), "entries without `program`")?;
        return Ok(None);
    }
    check::within("args", args.len(), &(0..=MAX_ARGS), "entries")?;
    let n_bytes = args.iter().map(String::len).sum();
    check::within("args", n_bytes, &(0..=MAX_ARGS_BYTES), "bytes together")?;
    let name = check::text("program", name, 1..=MAX_TOPOLOGY_NAME_BYTES)?;
    Ok(Some(Program { name, args }))
}

/// Takes a number of workers; 0 is none given.
pub(crate) fn n_workers(field: &str, number: u32) -> Result<Option<NonZeroU32>, FieldError> {
    check::number(field, number, 0..=MAX_WORKERS).map(NonZeroU32::new)
}

/// Takes numbers of tasks by component.
pub(crate) fn parallelism(
    field: &str,
    wire: Vec<wire::ComponentParallelism>,
) -> Result<Parallelism, FieldError> {
    let entries: Vec<(ComponentId, NonZeroU32)> = check::list(field, wire, 0..=MAX_COMPONENTS)?;
    check::distinct(field, entries.iter().map(|(id, _)| id), "component")?;
    Ok(entries.into_iter().collect())
}

/// Makes what [`parallelism`] takes.
pub(crate) fn parallelism_to_wire(parallelism: Parallelism) -> Vec<wire::ComponentParallelism> {
    let entry = |(id, n_tasks): (ComponentId, NonZeroU32)| wire::ComponentParallelism {
        component_id: id.to_string(),
        n_tasks: n_tasks.get(),
    };
    parallelism.into_iter().map(entry).collect()
}

impl TryFrom<wire::ComponentParallelism> for (ComponentId, NonZeroU32) {
    type Error = FieldError;

    fn try_from(wire: wire::ComponentParallelism) -> Result<Self, FieldError> {
        let n_tasks = NonZeroU32::new(wire.n_tasks)
            .filter(|n_tasks| n_tasks.get() <= MAX_TASKS)
            .ok_or_else(|| FieldError::new("n_tasks", format!("1 to {MAX_TASKS}"), wire.n_tasks))?;
        Ok((
            check::component("component_id", wire.component_id)?,
            n_tasks,
        ))
    }
}
