//! What Squall's processes say to each other.
//!
//! **Invariant:** wire types stop here: what is decided, is decided on domain types.

pub mod wire;
