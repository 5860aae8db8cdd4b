//! The free slots of a cluster while workers are being placed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use squall_core::{Str, SupervisorId};

use super::presence::Presence;
use super::{Liveness, Shortage, Slot, Supervisor};

/// The cluster with what is free. Indexes are in the order of names, so that ties always break the same way.
pub(super) struct Free<'a> {
    seats: Vec<Seats<'a>>,
    pub(super) machines: Vec<Machine<'a>>,
    by_id: HashMap<&'a SupervisorId, usize>,
    pub(super) n_free: usize,
}

/// One supervisor's slots.
struct Seats<'a> {
    supervisor: &'a Supervisor,
    machine_idx: usize,
    free: BTreeSet<u16>,
}

/// The supervisors of one machine.
pub(super) struct Machine<'a> {
    pub(super) name: &'a Str,
    seats: Vec<usize>,
    pub(super) n_free: usize,
}

impl<'a> Free<'a> {
    /// Looks at the supervisors; of two with the same id the last counts.
    pub(super) fn new(supervisors: &'a [Supervisor]) -> Self {
        let by_name: BTreeMap<&SupervisorId, &Supervisor> =
            supervisors.iter().map(|known| (&known.id, known)).collect();
        let mut idx_of: BTreeMap<&Str, usize> =
            by_name.values().map(|known| (&known.machine, 0)).collect();
        for (idx, (_, machine_idx)) in idx_of.iter_mut().enumerate() {
            *machine_idx = idx;
        }
        let mut machines: Vec<Machine<'_>> = idx_of
            .keys()
            .map(|name| Machine {
                name,
                seats: Vec::new(),
                n_free: 0,
            })
            .collect();
        let mut seats = Vec::with_capacity(by_name.len());
        for supervisor in by_name.into_values() {
            let takes = supervisor.liveness == Liveness::Live;
            let slots = supervisor.slots.iter().copied().filter(|_| takes);
            let free: BTreeSet<u16> = slots.collect();
            let machine_idx = idx_of.get(&supervisor.machine).copied().unwrap_or(0);
            machines[machine_idx].seats.push(seats.len());
            machines[machine_idx].n_free += free.len();
            seats.push(Seats {
                supervisor,
                machine_idx,
                free,
            });
        }
        let by_id = seats.iter().enumerate();
        Self {
            by_id: by_id
                .map(|(idx, seats)| (&seats.supervisor.id, idx))
                .collect(),
            n_free: machines.iter().map(|machine| machine.n_free).sum(),
            machines,
            seats,
        }
    }

    /// Returns a supervisor.
    pub(super) fn supervisor(&self, id: &SupervisorId) -> Option<&'a Supervisor> {
        self.by_id.get(id).map(|idx| self.seats[*idx].supervisor)
    }

    /// Returns the index of a supervisor's machine.
    pub(super) fn machine_of(&self, id: &SupervisorId) -> Option<usize> {
        self.by_id.get(id).map(|idx| self.seats[*idx].machine_idx)
    }

    /// Takes a slot; false if it isn't free.
    pub(super) fn take(&mut self, slot: &Slot) -> bool {
        let Some(idx) = self.by_id.get(&slot.supervisor).copied() else {
            return false;
        };
        let seats = &mut self.seats[idx];
        let taken = seats.free.remove(&slot.port);
        if taken {
            self.machines[seats.machine_idx].n_free -= 1;
            self.n_free -= 1;
        }
        taken
    }

    /// Gives a slot back; without effect if its supervisor takes no workers.
    pub(super) fn give_back(&mut self, slot: &Slot) {
        let Some(idx) = self.by_id.get(&slot.supervisor).copied() else {
            return;
        };
        let seats = &mut self.seats[idx];
        let is_slot = seats.supervisor.slots.contains(&slot.port);
        let takes = seats.supervisor.liveness == Liveness::Live;
        if is_slot && takes && seats.free.insert(slot.port) {
            self.machines[seats.machine_idx].n_free += 1;
            self.n_free += 1;
        }
    }

    /// Chooses a supervisor of a machine that has a free slot: the one with the fewest workers of the
    /// topology, then one where it has a worker that may stay, then the one with the most free slots.
    pub(super) fn choose(
        &self,
        machine_idx: usize,
        topology: &Presence,
        shun: &[SupervisorId],
    ) -> Option<&'a SupervisorId> {
        let candidates = self.machines[machine_idx].seats.iter().copied();
        let candidates = candidates.filter(|idx| {
            let seats = &self.seats[*idx];
            !seats.free.is_empty() && !shun.contains(&seats.supervisor.id)
        });
        let best = candidates.min_by_key(|idx| {
            let seats = &self.seats[*idx];
            let of_topology = topology.under(&seats.supervisor.id);
            (of_topology, usize::MAX - seats.free.len(), *idx)
        });
        best.map(|idx| &self.seats[idx].supervisor.id)
    }

    /// Returns a supervisor's free slot with the lowest port.
    pub(super) fn first_slot(&self, supervisor: &SupervisorId) -> Option<Slot> {
        let idx = self.by_id.get(supervisor)?;
        Some(Slot {
            supervisor: supervisor.clone(),
            port: self.seats[*idx].free.first().copied()?,
        })
    }

    /// Says what is missing should what is free now not suffice for `n_needed` workers.
    pub(super) fn shortage(&self, n_needed: usize) -> Shortage {
        let n = |liveness| {
            let of_that = |seats: &&Seats<'_>| seats.supervisor.liveness == liveness;
            self.seats.iter().filter(of_that).count()
        };
        Shortage {
            n_needed,
            n_free: self.n_free,
            n_live: n(Liveness::Live),
            n_draining: n(Liveness::Draining),
            n_lost: n(Liveness::Lost),
        }
    }
}
