//! Which messages were harmed already, and how often.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;

/// The most messages that are remembered at once; what is beyond passes unharmed.
const MAX_MESSAGES: usize = 100_000;

/// What drills remember of the messages that they harmed; clones share it.
///
/// A message is forgotten when it passes. Memory: about 20 bytes for each that is remembered.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<HashMap<u64, u32, RandomState>>>);

impl Memory {
    /// Counts another attempt of a message and tells whether it is one of the first `n_first`.
    pub(super) fn is_early(&self, message: u64, n_first: u32) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = seen.len() >= MAX_MESSAGES;
        match seen.get_mut(&message) {
            Some(n_seen) if *n_seen < n_first => {
                *n_seen += 1;
                true
            }
            Some(_) => {
                seen.remove(&message);
                false
            }
            None if is_full => false,
            None => {
                seen.insert(message, 1);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_passed_and_is_bounded() {
        let memory = Memory::default();
        let attempts = [(); 6].map(|()| memory.clone().is_early(7, 2));
        assert_eq!(attempts, [true, true, false, true, true, false]);
        for message in 0..200_000 {
            memory.is_early(message, 1);
        }
        assert_eq!(memory.0.lock().unwrap().len(), MAX_MESSAGES);
    }
}
