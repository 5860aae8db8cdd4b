//! Processes as the machine has them: started in a group of their own, watched, told from later ones with
//! the same number, and kept single by a lock that ends with the last of them.

mod exit;
mod lock;
mod spawn;
mod stat;
mod watch;

pub(crate) use lock::{holders, is_worker, try_lock};
pub(crate) use spawn::{Start, start};
pub(crate) use watch::Watched;

#[cfg(test)]
mod tests;
