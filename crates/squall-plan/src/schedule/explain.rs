//! Why a worker is where it is, as data and in words.

use std::fmt;

use squall_core::{Str, SupervisorId};

/// Why a worker is where it is. Its `Display` is a sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It runs where it is, and nothing speaks against that.
    Stays,
    /// It got another slot.
    Placed {
        /// What made it need one.
        cause: Cause,
        /// The machine.
        machine: Str,
        /// How many workers of its topology the machine had before it.
        n_beside: usize,
        /// How many machines could have taken it.
        n_candidates: usize,
    },
    /// It should move and can't: it keeps its slot until there is another.
    Stranded {
        /// What makes it need another slot.
        cause: Cause,
        /// What is missing.
        shortage: Shortage,
    },
    /// It has no slot.
    Waits(Shortage),
}

/// What makes a worker need a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It has none yet.
    New,
    /// Its supervisor is lost, or nobody knows it any more.
    Lost(SupervisorId),
    /// Its supervisor is draining.
    Draining(SupervisorId),
    /// Its supervisor has no such slot any more.
    SlotGone(SupervisorId, u16),
    /// Another worker has its slot.
    Taken(SupervisorId, u16),
    /// It crash-looped there.
    CrashLoop(SupervisorId),
    /// Its topology is rebalanced.
    Rebalance,
}

/// What is missing for a topology to be placed as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// How many of the topology's workers needed a slot.
    pub n_needed: usize,
    /// How many slots were free for them.
    pub n_free: usize,
    /// Supervisors that take workers.
    pub n_live: usize,
    /// Supervisors that are draining.
    pub n_draining: usize,
    /// Supervisors that are lost.
    pub n_lost: usize,
}

impl Reason {
    /// Tells whether the worker has a slot that is good.
    #[must_use]
    pub const fn is_placed(&self) -> bool {
        matches!(self, Self::Stays | Self::Placed { .. })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stays => f.write_str("stays where it is"),
            Self::Placed {
                cause,
                machine,
                n_beside,
                n_candidates,
            } => {
                let machines = count(*n_candidates, "machine");
                write!(f, "{cause}: machine {machine} had ")?;
                match n_beside {
                    0 => f.write_str("no worker of the topology yet")?,
                    n => write!(f, "{} of the topology, the fewest", count(*n, "worker"))?,
                }
                write!(f, " ({machines} with a free slot)")
            }
            Self::Stranded { cause, shortage } => {
                write!(f, "{cause}, and keeps its slot meanwhile: {shortage}")
            }
            Self::Waits(shortage) => write!(f, "has no slot: {shortage}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Lost(id) => write!(f, "supervisor {id} is lost"),
            Self::Draining(id) => write!(f, "supervisor {id} is draining"),
            Self::SlotGone(id, port) => write!(f, "supervisor {id} has no slot {port} any more"),
            Self::Taken(id, port) => {
                write!(f, "slot {port} of supervisor {id} is another worker's")
            }
            Self::CrashLoop(id) => write!(f, "it crash-looped under supervisor {id}"),
            Self::Rebalance => f.write_str("rebalanced"),
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (needed, live) = (
            count(self.n_needed, "slot"),
            count(self.n_live, "live supervisor"),
        );
        write!(f, "needs {needed}, {} free on {live}", self.n_free)?;
        let others = [(self.n_draining, "draining"), (self.n_lost, "lost")];
        let others = others.iter().filter(|(n, _)| *n > 0);
        let others: Vec<String> = others.map(|(n, what)| format!("{n} {what}")).collect();
        if !others.is_empty() {
            write!(f, " ({})", others.join(", "))?;
        }
        let n_missing = self.n_needed.saturating_sub(self.n_free).max(1);
        let missing = count(n_missing, "slot");
        write!(f, ": add {missing}, or kill or rebalance a topology")
    }
}

/// Writes a number and what is counted: `1 slot`, `3 slots`.
fn count(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}
