//! Links between the workers of a topology.

pub mod wire;
