//! The command `squall` as the worker of a supervisor that isn't there: what it leaves in its directory.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sha2::Digest;
use squall_core::engine::WorkerIdx;
use squall_core::{Fence, TaskId, TopologyBuilder, TopologyId, TopologySpec};
use squall_e2e::{Process, until};
use squall_proto::{
    Address, Assignment, ClusterId, Cookie, Handshake, Launch, Sha256, Topology, WorkerPlacement,
};

fn free_address() -> Result<Address> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(Address::new("127.0.0.1", listener.local_addr()?.port())?)
}

/// A source and a sink, in the one worker that there is.
fn topology(sink: &str) -> Result<TopologySpec> {
    let mut topology = TopologyBuilder::new("numbers");
    topology.spout("in", "generate", ())?;
    topology.bolt("out", sink, ())?.shuffle("in");
    Ok(topology.build())
}

/// Writes a launch file into a worker's directory, and starts the worker there.
fn start(spec: &TopologySpec, folder: &Path) -> Result<Process> {
    let spec_json = serde_json::to_vec(spec)?;
    let address = free_address()?;
    let id = TopologyId::new("numbers-1");
    let launch = Launch {
        handshake: Handshake::ours("test", None, Some(ClusterId::new([3; 16]))),
        topology: Topology {
            id: id.clone(),
            spec_sha256: Sha256::new(sha2::Sha256::digest(&spec_json).into()),
            spec_json: spec_json.into(),
            binary_sha256: Sha256::new([0; 32]),
            n_workers: NonZeroU32::MIN,
            program: None,
            parallelism: BTreeMap::new(),
        },
        assignment: Assignment {
            topology: id,
            version: 1,
            workers: vec![WorkerPlacement {
                worker: WorkerIdx(0),
                supervisor: "s".into(),
                address: address.clone(),
                tasks: vec![TaskId(0), TaskId(1)],
                placement_epoch: 1,
            }],
        },
        worker: WorkerIdx(0),
        fence: Fence {
            placement_epoch: 1,
            incarnation: 1,
        },
        cookie: Cookie::new([5; 16]),
        supervisor_address: free_address()?,
        nimbus_addresses: vec![free_address()?],
        bind_address: address,
    };
    fs::write(folder.join("launch"), launch.to_file())?;
    Process::start(&["worker", "--launch", "launch"], folder, "output.log")
}

fn exit_reason(folder: &Path) -> Result<String> {
    fs::read_to_string(folder.join("exit-reason")).context("no exit reason")
}

#[tokio::test]
async fn a_worker_that_is_told_to_end_says_that_it_has_drained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut worker = start(&topology("log")?, folder.path())?;
    let log = || fs::read_to_string(folder.path().join("worker.log")).unwrap_or_default();
    until("it misses its supervisor", || {
        Ok(log().contains("the supervisor is away"))
    })
    .await?;
    ensure!(worker.is_running()?, "it goes on without: {}", log());
    ensure!(!folder.path().join("exit-reason").exists());
    let status = worker.terminate().await?;
    ensure!(status.code() == Some(0), "{status}");
    ensure!(exit_reason(folder.path())? == "drained\n");
    ensure!(worker.said()?.is_empty(), "{}", worker.said()?);
    ensure!(log().contains("numbers-1"), "{}", log());
    Ok(())
}

#[tokio::test]
async fn what_keeps_a_worker_from_starting_is_its_exit_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut worker = start(&topology("nowhere")?, folder.path())?;
    until("it has ended", || Ok(!worker.is_running()?)).await?;
    let status = worker.kill()?;
    ensure!(status.code() == Some(1), "{status}");
    let reason = exit_reason(folder.path())?;
    let expected =
        "failed: this binary can't run the topology:\nerror: unknown bolt type `nowhere`";
    ensure!(reason.starts_with(expected), "{reason}");
    Ok(())
}
