//! Values of every domain type, within their bounds.

mod cluster;
mod data;
mod operations;
mod words;

pub(crate) use cluster::*;
pub(crate) use data::*;
pub(crate) use operations::*;
pub(crate) use words::*;
