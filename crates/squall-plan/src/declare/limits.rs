//! The bounds of what is read, so that no file can take the memory or the time of the process.

/// The most bytes of all files and `--set`s together.
pub const MAX_INPUT_BYTES: usize = 1 << 20;

/// How deep maps and lists may stand in each other.
pub const MAX_DEPTH: usize = 64;

/// The most values and keys, after aliases were replaced by what they stand for.
pub const MAX_NODES: usize = 100_000;

/// The most bytes of text, keys included, after aliases and variables were replaced.
pub const MAX_TEXT_BYTES: usize = 8 << 20;

/// The longest path of a `--set` in bytes.
pub(super) const MAX_PATH_BYTES: usize = 4096;

/// What may still be allocated.
#[derive(Debug)]
pub(super) struct Budget {
    n_nodes: usize,
    n_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            n_nodes: MAX_NODES,
            n_bytes: MAX_TEXT_BYTES,
        }
    }
}

impl Budget {
    /// Takes from what is left, or says which bound is reached.
    pub(super) fn take(&mut self, n_nodes: usize, n_bytes: usize) -> Result<(), String> {
        let Some(nodes_left) = self.n_nodes.checked_sub(n_nodes) else {
            return Err(format!(
                "more than {MAX_NODES} values and keys, aliases replaced"
            ));
        };
        let Some(bytes_left) = self.n_bytes.checked_sub(n_bytes) else {
            return Err(format!(
                "more than {MAX_TEXT_BYTES} bytes of text, aliases and variables replaced"
            ));
        };
        self.n_nodes = nodes_left;
        self.n_bytes = bytes_left;
        Ok(())
    }
}
