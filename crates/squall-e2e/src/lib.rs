//! What the tests in `tests/` stand on: the workspace as cargo and the file system show it, the command
//! `squall` as a process, what it says about a demo, clusters of such processes, and a network between them that
//! fails when it is told to.

mod binary;
mod clickstream;
pub mod cluster;
mod patience;
mod process;
mod proxy;
mod summary;
mod workspace;

pub use binary::{program, squall};
pub use clickstream::{Clickstream, Place, Processed};
pub use patience::{until, until_asked};
pub use process::{Process, is_gone, is_stopped, signal};
pub use proxy::Proxy;
pub use rustix::process::Signal;
pub use summary::{Count, Summary, check_top};
pub use workspace::{Dependency, Kind, Metadata, Package, cargo, root, sources, text};
