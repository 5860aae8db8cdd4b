//! What the tests in `tests/` stand on: the workspace as cargo and the file system show it.

mod workspace;

pub use workspace::{Dependency, Kind, Metadata, Package, cargo, root, sources, text};
