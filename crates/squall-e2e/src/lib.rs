//! What the tests in `tests/` stand on: the workspace as cargo and the file system show it, the command
//! `squall` as a process, and what it says about a demo.

mod binary;
mod clickstream;
mod patience;
mod process;
mod summary;
mod workspace;

pub use binary::squall;
pub use clickstream::{Clickstream, Place, Processed};
pub use patience::until;
pub use process::Process;
pub use summary::{Count, Summary, check_top};
pub use workspace::{Dependency, Kind, Metadata, Package, cargo, root, sources, text};
