//! Where one topology's workers are while it is being placed.

use std::collections::{BTreeSet, HashMap};

use squall_core::SupervisorId;

use super::Slot;
use super::cluster::Free;

/// How welcome a worker is on a machine or under a supervisor: the smallest is best. Fewest workers of
/// the topology first, then places where one of them may stay.
pub(super) type Welcome = (usize, bool);

/// One topology's workers by machine and supervisor.
pub(super) struct Presence {
    n_on: Vec<usize>,
    n_under: HashMap<SupervisorId, usize>,
    /// Workers that may stay where they are or move, by supervisor and machine.
    idle_under: HashMap<SupervisorId, Vec<(usize, Slot)>>,
    idle_on: Vec<usize>,
    /// The machines with a free slot: welcome, fullness, index.
    order: BTreeSet<(Welcome, usize, usize)>,
}

impl Presence {
    /// Starts from the workers that stay for certain and those that may.
    pub(super) fn new(free: &Free<'_>, staying: &[&Slot], movable: Vec<(usize, Slot)>) -> Self {
        let n_machines = free.machines.len();
        let mut presence = Self {
            n_on: vec![0; n_machines],
            n_under: HashMap::new(),
            idle_under: HashMap::new(),
            idle_on: vec![0; n_machines],
            order: BTreeSet::new(),
        };
        for slot in staying {
            presence.count(free, &slot.supervisor);
        }
        for (worker_idx, slot) in movable.into_iter().rev() {
            if let Some(machine_idx) = free.machine_of(&slot.supervisor) {
                presence.idle_on[machine_idx] += 1;
                let idle = presence.idle_under.entry(slot.supervisor.clone());
                idle.or_default().push((worker_idx, slot));
            }
        }
        let keys = (0..n_machines).filter_map(|idx| presence.key(free, idx));
        presence.order = keys.collect();
        presence
    }

    /// Returns how welcome another worker is under a supervisor.
    pub(super) fn under(&self, supervisor: &SupervisorId) -> Welcome {
        let n = self.n_under.get(supervisor).copied().unwrap_or(0);
        let none_stays = self.idle_under.get(supervisor).is_none_or(Vec::is_empty);
        (n, none_stays)
    }

    /// Returns how many workers of the topology are on a machine.
    pub(super) fn n_on(&self, machine_idx: usize) -> usize {
        self.n_on[machine_idx]
    }

    /// Returns how many machines have a free slot.
    pub(super) fn n_candidates(&self) -> usize {
        self.order.len()
    }

    /// Returns the best machine: among those of supervisors that are shunned only if there is no other.
    pub(super) fn best_machine(&self, free: &Free<'_>, shun: &[SupervisorId]) -> Option<usize> {
        if shun.is_empty() {
            return self.order.first().map(|(_, _, machine_idx)| *machine_idx);
        }
        let shunned: BTreeSet<_> = shun.iter().filter_map(|id| free.machine_of(id)).collect();
        let usable = self
            .order
            .iter()
            .filter(|(_, _, idx)| free.choose(*idx, self, shun).is_some());
        let best = usable.min_by_key(|(_, _, idx)| shunned.contains(idx));
        best.map(|(_, _, machine_idx)| *machine_idx)
    }

    /// Returns a worker that may stay under a supervisor, and takes it off the list.
    pub(super) fn take_idle(&mut self, supervisor: &SupervisorId) -> Option<(usize, Slot)> {
        self.idle_under.get_mut(supervisor)?.pop()
    }

    /// Takes a slot for a worker.
    pub(super) fn settle(&mut self, free: &mut Free<'_>, slot: &Slot, was_idle: bool) {
        let machine_idx = free.machine_of(&slot.supervisor);
        if let Some(key) = machine_idx.and_then(|idx| self.key(free, idx)) {
            self.order.remove(&key);
        }
        free.take(slot);
        self.count(free, &slot.supervisor);
        if let Some(idx) = machine_idx {
            self.idle_on[idx] -= usize::from(was_idle);
            self.order.extend(self.key(free, idx));
        }
    }

    fn count(&mut self, free: &Free<'_>, supervisor: &SupervisorId) {
        *self.n_under.entry(supervisor.clone()).or_default() += 1;
        if let Some(machine_idx) = free.machine_of(supervisor) {
            self.n_on[machine_idx] += 1;
        }
    }

    /// Returns a machine's place in the order; none while it has no free slot.
    fn key(&self, free: &Free<'_>, machine_idx: usize) -> Option<(Welcome, usize, usize)> {
        let n_free = free.machines[machine_idx].n_free;
        let welcome = (self.n_on[machine_idx], self.idle_on[machine_idx] == 0);
        (n_free > 0).then_some((welcome, usize::MAX - n_free, machine_idx))
    }
}
