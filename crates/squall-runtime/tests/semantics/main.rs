//! The semantics of the data plane, in virtual time: groupings, acking, flow control, restarts, drains.

mod acking;
mod kit;
