//! Acking: the ledger that each owner of roots keeps, and the lanes on which contributions reach it.

mod desk;
mod lane;
mod ledger;

pub(crate) use desk::{Dropping, TokenDesk};
pub(crate) use lane::{Inbox, Lanes};
pub use ledger::{Ended, First, Ledger, Load, Outcome};
pub use squall_core::engine::{Contribution, Word};
