//! An embedded Kinesis endpoint and a small client, for demos, development and tests. Feature `dev`.

mod admin;
mod endpoint;

pub use admin::{Admin, AdminError, PutEntry, PutPlace};
pub use endpoint::{Endpoint, EndpointError, EndpointOptions};
