//! `access-log`: a web server's log lines, parsed and generated.

mod bolt;
mod generator;
mod parse;

pub use bolt::{AccessLog, AccessLogConfig};
pub use generator::Generator;
pub use parse::{Entry, ParseError, parse};
