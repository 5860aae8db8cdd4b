//! Bad input to processes that serve: refused, counted, bounded, and nothing that runs takes notice.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::spawn_blocking;
use tonic::transport::{Channel, Endpoint};

use squall_core::engine::WorkerIdx;
use squall_core::{Fence, TopologyId, Write as Commit};
use squall_e2e::cluster::{Cluster, Described};
use squall_proto::wire::checkpoints_client::CheckpointsClient;
use squall_proto::wire::exchange_client::ExchangeClient;
use squall_proto::wire::nimbus_client::NimbusClient;
use squall_proto::{
    CheckpointClient, CommitCheckpoints, Handshake, LinkHello, LinkMessage, Refusal, RefusalCode,
    wire,
};

use crate::numbers::{NAME, Numbers};

/// What is far too large, in bytes.
const HUGE: usize = 100 << 20;
/// How much more memory nimbus may have after it was sent that, in MiB.
const GROWS_MIB: u64 = 32;
/// How long a connection that speaks nonsense may stand.
const CLOSED_WITHIN: Duration = Duration::from_secs(60);

/// Says nonsense to an address until it is hung up on.
fn shout(address: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(CLOSED_WITHIN))?;
    stream.set_write_timeout(Some(CLOSED_WITHIN))?;
    // It may be closed before all is said.
    drop(stream.write_all(&[0xff; 64 << 10]));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{address} doesn't hang up")),
    }
}

async fn channel(address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(endpoint.connect().await?)
}

fn said(output: &Output, status: i32) -> Result<String> {
    let said = String::from_utf8(output.stderr.clone())?;
    ensure!(
        output.status.code() == Some(status),
        "{}: {said}",
        output.status
    );
    Ok(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_strangers_send_nothing_that_runs_takes_notice() -> Result<()> {
    let mut cluster = Cluster::start(&["east", "west"]).await?;
    let numbers = Numbers {
        n: 20_000,
        rate_per_sec: 2_000,
    };
    cluster.submit(&numbers.topology(&cluster), &["--workers", "2"])?;
    let flows = |now: &Described| Ok(now.acked("in") >= 1_000);
    let before = cluster.until_described("numbers flow", NAME, flows).await?;
    let n_refused = cluster.metric("squall_nimbus_refusals_total").unwrap_or(0);
    let rss_mib = cluster.nimbus()?.resident_mib()?;

    let mut ports = vec![cluster.address().to_owned()];
    ports.extend(cluster.supervisors()?.into_iter().map(|each| each.address));
    ports.extend(
        before
            .plan
            .workers
            .iter()
            .map(|placed| placed.address.clone()),
    );
    ensure!(ports.len() == 5, "{ports:?}");
    let shouting = ports
        .into_iter()
        .map(|port| spawn_blocking(move || shout(&port)));
    for shouted in shouting.collect::<Vec<_>>() {
        shouted.await??;
    }

    refuses_what_is_huge(&cluster).await?;
    refuses_checkpoints_of_strangers(&cluster).await?;
    for placed in &before.plan.workers {
        refuses_frames_of_others(&placed.address).await?;
    }
    let refused = cluster.metric("squall_nimbus_refusals_total")? - n_refused;
    ensure!(refused == 5, "{refused} refusals were counted");
    let grown_mib = cluster.nimbus()?.resident_mib()?.saturating_sub(rss_mib);
    println!("nimbus has grown by {grown_mib} MiB");
    ensure!(grown_mib <= GROWS_MIB, "{grown_mib} MiB");

    let done = |now: &Described| Ok(now.acked("in") >= numbers.n);
    let after = cluster.until_described("all is acked", NAME, done).await?;
    let pids = |now: &Described| {
        now.workers
            .iter()
            .map(|worker| worker.pid)
            .collect::<Vec<_>>()
    };
    ensure!(
        pids(&before) == pids(&after),
        "a worker has died: {after:#?}"
    );
    let recorded = Numbers::recorded(&cluster)?;
    numbers.check(&recorded)?;
    ensure!(recorded.n_lines == numbers.n, "{} lines", recorded.n_lines);
    cluster.end().await
}

/// A spec, and a list of names, of 100 MiB.
async fn refuses_what_is_huge(cluster: &Cluster) -> Result<()> {
    let mut nimbus = NimbusClient::new(channel(cluster.address()).await?);
    let submit = wire::SubmitRequest {
        name: "huge".to_owned(),
        spec_json: vec![b' '; HUGE].into(),
        ..wire::SubmitRequest::default()
    };
    let refused = nimbus.submit(submit).await.err().context("refused")?;
    ensure!(refused.message().contains("too large"), "{refused}");
    let describe = wire::DescribeRequest {
        name: "x".repeat(HUGE),
    };
    let refused = nimbus.describe(describe).await.err().context("refused")?;
    ensure!(refused.message().contains("too large"), "{refused}");
    Ok(())
}

/// Commits of a worker of another cluster, of no topology, and of an old copy.
async fn refuses_checkpoints_of_strangers(cluster: &Cluster) -> Result<()> {
    let mut nimbus = NimbusClient::new(channel(cluster.address()).await?);
    let handshake = Handshake::ours("x86_64-unknown-linux-gnu", None, None);
    let hello = nimbus.hello(wire::HelloRequest::from(handshake)).await?;
    let hello = hello.into_inner().handshake.context("a handshake")?;
    let ours = hello.cluster_id.parse()?;
    let mut checkpoints = CheckpointsClient::new(channel(cluster.address()).await?);
    let topology = TopologyId::new(format!("{NAME}-1"));
    let stale = Fence {
        placement_epoch: 1,
        incarnation: 1,
    };
    for (cluster, topology, code) in [
        (
            squall_proto::ClusterId::new([7; 16]),
            topology.clone(),
            RefusalCode::WrongCluster,
        ),
        (
            ours,
            TopologyId::new("nobody-9"),
            RefusalCode::UnknownWorker,
        ),
        (ours, topology, RefusalCode::StaleFence),
    ] {
        let commit = CommitCheckpoints {
            client: CheckpointClient {
                cluster,
                topology,
                worker: WorkerIdx(0),
                fence: stale,
            },
            commits: vec![vec![Commit {
                key: "numbers/in/rows/0-of-1".to_owned(),
                expected: None,
                value: Some(b"{}".to_vec()),
            }]],
        };
        let request = wire::CommitCheckpointsRequest::from(commit);
        let refused = checkpoints.commit_checkpoints(request).await;
        let refusal = Refusal::from(refused.err().context("refused")?);
        ensure!(refusal.code == code, "{refusal:?}");
    }
    Ok(())
}

/// Tuples of another topology.
async fn refuses_frames_of_others(address: &str) -> Result<()> {
    let hello = LinkMessage::Hello(LinkHello {
        handshake: Handshake::ours("x86_64-unknown-linux-gnu", None, None),
        topology: TopologyId::new("others-1"),
        schema_fingerprint: 7,
        from: WorkerIdx(0),
        from_fence: Fence {
            placement_epoch: 1,
            incarnation: 1,
        },
        to: WorkerIdx(1),
        to_placement_epoch: 1,
    });
    let mut worker = ExchangeClient::new(channel(address).await?);
    let frames = tokio_stream::once(wire::DataFrame::from(hello));
    let refusal = Refusal::from(worker.data(frames).await.err().context("refused")?);
    ensure!(
        refusal.code == RefusalCode::WrongPeer
            && refusal.message.as_str().contains("runs topology numbers-1"),
        "{refusal:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_submitted_is_refused_before_anything_is_done() -> Result<()> {
    let cluster = Cluster::start(&[]).await?;
    let numbers = Numbers {
        n: 10,
        rate_per_sec: 10,
    };
    let folder = cluster.folder();
    fs::write(folder.join("topology.yaml"), numbers.topology(&cluster))?;
    File::create(folder.join("huge.yaml"))?.set_len(HUGE as u64)?;
    fs::write(folder.join("script"), "#!/bin/sh\n")?;

    let huge = cluster.run(&["submit", "huge.yaml"])?;
    let talk = said(&huge, 2)?;
    ensure!(talk.contains("larger than") && talk.len() < 1_000, "{talk}");
    for name in ["a/b", "../x", "a\nb", "a\u{7}", "", &"x".repeat(10_000)] {
        let named = cluster.run(&["submit", "topology.yaml", "--name", name])?;
        let talk = said(&named, 2)?;
        ensure!(
            talk.contains("--name") && !talk.contains('\u{7}'),
            "{name:?}: {talk}"
        );
    }
    let script = cluster.run(&["submit", "topology.yaml", "--bin", "script"])?;
    let talk = said(&script, 1)?;
    ensure!(
        talk.contains("`script` can't be submitted") && talk.contains("cargo build --release"),
        "{talk}"
    );
    ensure!(cluster.list()?.is_empty(), "something was submitted");
    cluster.end().await
}
