#![doc = include_str!("../README.md")]

mod access_log;
mod all;
mod count;
mod drill;
mod generate;
#[cfg(test)]
mod harness;
mod input;
mod json;
mod json_line;
mod jsonl;
mod lines;
mod log;
mod mutation;
mod replayed;
mod top;
mod unparsed;
mod zipf;

pub use access_log::{AccessLog, AccessLogConfig, Entry, Generator, ParseError, parse};
pub use all::all;
pub use count::{Count, CountConfig};
pub use drill::{Action, Drill, DrillConfig, Memory};
pub use generate::{FieldKind, Generate, GenerateConfig};
pub use json::{Json, JsonConfig};
pub use jsonl::{Jsonl, JsonlConfig};
pub use lines::{Lines, LinesConfig};
pub use log::{Log, LogConfig, capture_log};
pub use top::{Top, TopConfig};
pub use unparsed::OnUnparsed;
