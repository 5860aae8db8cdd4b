//! Bolts that let tuples pile up, for those who count how much memory they take.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use squall_core::{AckToken, Bolt, Emitter, Registry, Result, Tuple};

/// Keeps the token of each tuple, and nothing else of it.
struct Keep {
    tokens: Vec<AckToken>,
}

/// Stands still at its first tuple until the gate opens.
struct Stuck {
    gate: Gate,
}

/// What a [`Stuck`] bolt waits for. Clones are one gate.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everybody pass.
    pub(super) fn open(&self) {
        let (is_open, opened) = &*self.0;
        *is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        opened.notify_all();
    }

    fn pass(&self) {
        let (is_open, opened) = &*self.0;
        let guard = is_open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(opened.wait_while(guard, |is_open| !*is_open));
    }
}

impl Bolt for Keep {
    fn execute(&mut self, _: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        self.tokens.push(out.defer());
        Ok(())
    }
}

impl Bolt for Stuck {
    fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        self.gate.pass();
        Ok(())
    }
}

/// Registers both; [`Keep`] has room for so many.
pub(super) fn register(registry: &mut Registry, capacity: usize, gate: &Gate) {
    let gate = gate.clone();
    registry
        .bolt("bench-keep", move |(): ()| {
            let tokens = Vec::with_capacity(capacity);
            Ok(Keep { tokens })
        })
        .bolt("bench-stuck", move |(): ()| {
            Ok(Stuck { gate: gate.clone() })
        });
}
