//! Logs: nimbus asks the supervisors and passes on what they say.

use futures_util::stream;
use squall_proto::wire::supervisor_server::{Supervisor as LogService, SupervisorServer};
use squall_proto::{LogPiece, Phase, Refusal, TailWorkerLog, wire};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use crate::harness::Bench;
use crate::supervisor::{Supervisor, hello};

/// A supervisor's log service, which logs what it is asked.
struct Echo;

#[tonic::async_trait]
impl LogService for Echo {
    type TailLogStream = stream::Iter<std::vec::IntoIter<Result<wire::TailLogResponse, Status>>>;

    async fn tail_log(
        &self,
        request: Request<wire::TailWorkerLogRequest>,
    ) -> Result<Response<Self::TailLogStream>, Status> {
        let tail = TailWorkerLog::try_from(request.into_inner())?;
        let text = format!(
            "{} {} epoch {}\n",
            tail.worker.0, tail.n_lines, tail.leader_epoch
        );
        let piece = LogPiece {
            topology: tail.topology,
            worker: tail.worker,
            text: text.into(),
            trouble: None,
        };
        if tail.worker.0 == 1 {
            return Err(Refusal::unavailable("the log is on the moon").into());
        }
        Ok(Response::new(stream::iter(vec![Ok(piece.into())])))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_all_workers_come_side_by_side_and_one_that_fails_says_why() {
    let bench = Bench::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut hello = hello("a");
    hello.address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let incoming = stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let server = tonic::transport::Server::builder().add_service(SupervisorServer::new(Echo));
    let serving = tokio::spawn(server.serve_with_incoming(incoming));
    let a = Supervisor::start(bench.coordination().await, hello).await;
    let mut operator = bench.operator().await;
    operator.run("words", 3).await;
    a.phase(Phase::Active).await;
    let request = wire::TailLogRequest {
        name: "words".to_owned(),
        n_lines: 5,
        ..wire::TailLogRequest::default()
    };
    let mut pieces = operator
        .nimbus
        .tail_log(request)
        .await
        .unwrap()
        .into_inner();
    let mut lines = Vec::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        let piece = LogPiece::try_from(piece).unwrap();
        let text = String::from_utf8(piece.text.to_vec()).unwrap();
        lines.push(piece.trouble.map_or(text, |note| note.to_string()));
    }
    lines.sort();
    assert_eq!(lines[..2], ["0 5 epoch 1\n", "2 5 epoch 1\n"]);
    assert!(lines[2].ends_with("the log is on the moon"), "{lines:?}");
    serving.abort();

    let request = wire::TailLogRequest {
        name: "unknown".to_owned(),
        ..wire::TailLogRequest::default()
    };
    let status = operator.nimbus.tail_log(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}
