//! The scheduler: tasks to workers, workers to slots.

mod assign;
mod explain;
mod place;
