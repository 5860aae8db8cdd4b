//! Picks the tasks that get a tuple: one router for each input of each sending task.

mod router;

pub use router::RouterError;
pub use router::{Picks, Router};
