//! Declared topologies from outside: what is read, what is merged, and what every mistake looks like.

mod arbitrary;
mod configs;
mod edges;
mod files;
mod keys;
mod merging;
mod needs;
mod reach;
mod readme;
mod round_trip;
mod support;
mod values;
