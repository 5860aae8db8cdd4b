//! Links between the workers of a topology.

pub mod link;
pub mod wire;
