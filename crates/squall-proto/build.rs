//! Generates the messages and services from `proto/`. Needs no `protoc`: protox is a compiler in Rust.

use std::error::Error;

const FOLDER: &str = "../../proto";

const FILES: [&str; 9] = [
    "squall/v1/common.proto",
    "squall/v1/topology.proto",
    "squall/v1/nimbus.proto",
    "squall/v1/blob.proto",
    "squall/v1/coordination.proto",
    "squall/v1/checkpoints.proto",
    "squall/v1/local.proto",
    "squall/v1/supervisor.proto",
    "squall/v1/exchange.proto",
];

/// What is passed on without being copied.
const SHARED_BYTES: [&str; 7] = [
    ".squall.v1.Topology.spec_json",
    ".squall.v1.SubmitRequest.spec_json",
    ".squall.v1.UploadRequest",
    ".squall.v1.FetchResponse",
    ".squall.v1.TailLogResponse",
    ".squall.v1.DataFrame",
    ".squall.v1.AckFrame",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={FOLDER}/{file}");
    }
    let descriptors = protox::compile(FILES, [FOLDER])?;
    let mut builder = tonic_prost_build::configure()
        // No `connect`: a client is made from a channel that has its deadlines and bounds set.
        .build_transport(false);
    for message in SHARED_BYTES {
        builder = builder.bytes(message);
    }
    builder.compile_fds(descriptors)?;
    Ok(())
}
