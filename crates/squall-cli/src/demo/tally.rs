//! A bolt behind `count`: keeps what the topology counted, for the comparison at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use squall_core::{Bolt, Emitter, Inputs, Result, Tuple};

/// The last count of each key; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

impl Tally {
    /// Returns the counts.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Bolt for Tally {
    fn inputs(&self) -> Inputs {
        Inputs::fields(["key", "count"])
    }

    fn execute(&mut self, input: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
        let (key, count) = (input.str("key")?, u64::try_from(input.i64("count")?)?);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(key) {
            Some(last) => *last = count,
            None => drop(counts.insert(key.to_owned(), count)),
        }
        Ok(())
    }
}
