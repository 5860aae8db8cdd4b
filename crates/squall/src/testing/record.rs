//! A bolt that keeps all it reads.

use std::sync::{Arc, Mutex, PoisonError};

use squall_core::{Bolt, Emitter, Result, Tuple};

/// Keeps its input, in the order in which it came. Memory grows with the input.
pub(super) struct Record(pub(super) Arc<Mutex<Vec<Tuple>>>);

impl Bolt for Record {
    fn execute(&mut self, input: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(input.clone());
        Ok(())
    }
}
