//! Finds a slot for each worker that needs one.
//!
//! Greedy, topology by topology in the order given: each worker goes to the machine with the fewest workers
//! of its topology, then with the most free slots; on the machine, to the supervisor by the same rule.
//!
//! **Invariant:** no slot is given twice, and a worker whose slot is good keeps it unless its topology is
//! to be spread anew.

use squall_core::{Str, SupervisorId};

use super::cluster::Free;
use super::explain::{Cause, Reason, Shortage};
use super::presence::Presence;
use super::{Demand, Liveness, Slot, Supervisor, Verdict, Wanted};

/// Places the workers of all topologies; returns a verdict for each, in the order of the demands.
///
/// Where slots are short, earlier topologies come first. A slot that a worker leaves is free from the next
/// call on, not in this one.
#[must_use]
pub fn place(supervisors: &[Supervisor], demands: &[Demand]) -> Vec<Vec<Verdict>> {
    let mut free = Free::new(supervisors);
    let standings: Vec<Vec<Standing>> = demands
        .iter()
        .map(|demand| {
            let workers = demand.workers.iter();
            workers.map(|wanted| stand(&mut free, wanted)).collect()
        })
        .collect();
    let pairs = demands.iter().zip(standings);
    pairs
        .map(|(demand, standings)| settle(&mut free, demand, standings))
        .collect()
}

/// Whether a worker has a slot that is good.
enum Standing {
    Good(Slot),
    Needs(Cause),
}

/// Judges where a worker is and takes the slot off the free ones, be it good or about to be left.
fn stand(free: &mut Free<'_>, wanted: &Wanted) -> Standing {
    let Some(slot) = &wanted.current else {
        return Standing::Needs(Cause::New);
    };
    let id = || slot.supervisor.clone();
    let supervisor = free.supervisor(&slot.supervisor);
    let Some(supervisor) = supervisor.filter(|known| known.liveness != Liveness::Lost) else {
        return Standing::Needs(Cause::Lost(id()));
    };
    if !supervisor.slots.contains(&slot.port) {
        return Standing::Needs(Cause::SlotGone(id(), slot.port));
    }
    if supervisor.liveness == Liveness::Draining {
        return Standing::Needs(Cause::Draining(id()));
    }
    if !free.take(slot) {
        return Standing::Needs(Cause::Taken(id(), slot.port));
    }
    if wanted.shun.contains(&slot.supervisor) {
        return Standing::Needs(Cause::CrashLoop(id()));
    }
    Standing::Good(slot.clone())
}

/// Places one topology.
fn settle(free: &mut Free<'_>, demand: &Demand, standings: Vec<Standing>) -> Vec<Verdict> {
    let mut verdicts: Vec<Option<Verdict>> = Vec::with_capacity(standings.len());
    let mut movable: Vec<(usize, Slot)> = Vec::new();
    let mut queue: Vec<(usize, Cause)> = Vec::new();
    for (worker_idx, standing) in standings.into_iter().enumerate() {
        verdicts.push(None);
        match standing {
            Standing::Good(slot) if demand.respread => {
                free.give_back(&slot);
                movable.push((worker_idx, slot));
            }
            Standing::Good(slot) => verdicts[worker_idx] = Some(stays(slot)),
            Standing::Needs(cause) => queue.push((worker_idx, cause)),
        }
    }
    if !(movable.is_empty() && queue.is_empty()) {
        // Whoever had a good slot comes first, so that none of them loses it to one that had none.
        let healthy = movable.iter().map(|(idx, _)| (*idx, Cause::Rebalance));
        queue.splice(0..0, healthy);
        let slots = verdicts
            .iter()
            .flatten()
            .filter_map(|verdict| verdict.slot.as_ref());
        let presence = Presence::new(free, &slots.collect::<Vec<_>>(), movable);
        let shortage = free.shortage(queue.len());
        let mut turn = Turn {
            free,
            demand,
            presence,
            verdicts,
        };
        let left = if demand.respread {
            turn.respread(queue)
        } else {
            turn.fill(queue)
        };
        verdicts = turn.verdicts;
        for (worker_idx, cause) in left {
            verdicts[worker_idx] = Some(missed(&demand.workers[worker_idx], cause, &shortage));
        }
    }
    verdicts.into_iter().flatten().collect()
}

/// One topology's turn.
struct Turn<'t, 'a> {
    free: &'t mut Free<'a>,
    demand: &'t Demand,
    presence: Presence,
    verdicts: Vec<Option<Verdict>>,
}

/// Workers that need a slot, by index, and what for.
type Queue = Vec<(usize, Cause)>;

/// A slot for one more worker.
struct Found {
    slot: Slot,
    /// The worker that has it already and may stay.
    stays: Option<usize>,
    machine: Str,
    n_beside: usize,
    n_candidates: usize,
}

impl Turn<'_, '_> {
    /// Gives each worker the best slot for it; returns those that got none.
    fn fill(&mut self, queue: Queue) -> Queue {
        let mut left = Vec::new();
        for (worker_idx, cause) in queue {
            match self.next(&self.demand.workers[worker_idx].shun) {
                Some(found) => self.verdicts[worker_idx] = Some(found.verdict(cause)),
                None => left.push((worker_idx, cause)),
            }
        }
        left
    }

    /// Finds the best set of slots for all workers together, then leaves each where it is if its slot is
    /// among them; returns those that got none.
    fn respread(&mut self, mut queue: Queue) -> Queue {
        let mut found: Vec<Found> = Vec::new();
        for _ in 0..queue.len() {
            let Some(next) = self.next(&[]) else { break };
            match next.stays {
                Some(worker_idx) => self.verdicts[worker_idx] = Some(stays(next.slot)),
                None => found.push(next),
            }
        }
        queue.retain(|(worker_idx, _)| self.verdicts[*worker_idx].is_none());
        let left = queue.split_off(found.len().min(queue.len()));
        for ((worker_idx, cause), found) in queue.into_iter().zip(found) {
            self.verdicts[worker_idx] = Some(found.verdict(cause));
        }
        left
    }

    /// Takes the best slot for one more worker.
    fn next(&mut self, shun: &[SupervisorId]) -> Option<Found> {
        let machine_idx = self.presence.best_machine(self.free, shun)?;
        let supervisor = self.free.choose(machine_idx, &self.presence, shun)?;
        let (stays, slot) = match self.presence.take_idle(supervisor) {
            Some((worker_idx, slot)) => (Some(worker_idx), slot),
            None => (None, self.free.first_slot(supervisor)?),
        };
        let found = Found {
            slot,
            stays,
            machine: self.free.machines[machine_idx].name.clone(),
            n_beside: self.presence.n_on(machine_idx),
            n_candidates: self.presence.n_candidates(),
        };
        self.presence
            .settle(self.free, &found.slot, stays.is_some());
        Some(found)
    }
}

impl Found {
    fn verdict(self, cause: Cause) -> Verdict {
        Verdict {
            slot: Some(self.slot),
            reason: Reason::Placed {
                cause,
                machine: self.machine,
                n_beside: self.n_beside,
                n_candidates: self.n_candidates,
            },
        }
    }
}

fn stays(slot: Slot) -> Verdict {
    Verdict {
        slot: Some(slot),
        reason: Reason::Stays,
    }
}

/// Says of a worker that got no slot what is missing, and leaves it the one it has if that is one.
fn missed(wanted: &Wanted, cause: Cause, shortage: &Shortage) -> Verdict {
    let mut shortage = shortage.clone();
    if !wanted.shun.is_empty() {
        // What is free is of no use to it.
        (shortage.n_needed, shortage.n_free) = (1, 0);
    }
    let is_slot = !matches!(cause, Cause::SlotGone(..) | Cause::Taken(..));
    match wanted.current.clone().filter(|_| is_slot) {
        Some(slot) => Verdict {
            slot: Some(slot),
            reason: Reason::Stranded { cause, shortage },
        },
        None => Verdict {
            slot: None,
            reason: Reason::Waits(shortage),
        },
    }
}
