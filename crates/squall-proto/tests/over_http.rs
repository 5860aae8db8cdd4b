//! A refusal comes through a real connection whole: headers and trailers have bounds of their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use squall_proto::wire::supervisor_client::SupervisorClient;
use squall_proto::wire::supervisor_server::{Supervisor, SupervisorServer};
use squall_proto::{Refusal, RefusalCode, TailWorkerLog, limits, wire};
use tonic::codegen::tokio_stream::Empty;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

/// Refuses whatever it is asked for.
struct Refusing(Refusal);

#[tonic::async_trait]
impl Supervisor for Refusing {
    type TailLogStream = Empty<Result<wire::TailLogResponse, Status>>;

    async fn tail_log(
        &self,
        request: Request<wire::TailWorkerLogRequest>,
    ) -> Result<Response<Self::TailLogStream>, Status> {
        TailWorkerLog::try_from(request.into_inner())?;
        Err(self.0.clone().into())
    }
}

fn longest_refusal() -> Refusal {
    let long = "\u{10ffff}\n".repeat(1000);
    let refusal = Refusal::new(RefusalCode::Unplaceable, &long, &long);
    (0..20).fold(refusal, |refusal, idx| {
        refusal.with(&format!("fact_{idx}"), &long)
    })
}

fn request() -> wire::TailWorkerLogRequest {
    wire::TailWorkerLogRequest {
        cluster_id: "0".repeat(32),
        leader_epoch: 1,
        topology_id: "a-1".to_owned(),
        ..wire::TailWorkerLogRequest::default()
    }
}

async fn channel() -> Channel {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", incoming.local_addr().unwrap());
    let server = Server::builder()
        .http2_max_header_list_size(limits::MAX_HEADER_BYTES)
        .add_service(SupervisorServer::new(Refusing(longest_refusal())));
    tokio::spawn(server.serve_with_incoming(incoming));
    let endpoint = Channel::from_shared(address).unwrap();
    endpoint.connect().await.unwrap()
}

#[tokio::test]
async fn the_longest_refusal_arrives_whole() {
    let mut client = SupervisorClient::new(channel().await);
    let status = client.tail_log(request()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(Refusal::from(status), longest_refusal());
}

#[tokio::test]
async fn a_bad_field_is_told_to_the_caller() {
    let mut client = SupervisorClient::new(channel().await);
    let wrong = wire::TailWorkerLogRequest {
        topology_id: "a/b\n-1".to_owned(),
        ..request()
    };
    let refusal = Refusal::from(client.tail_log(wrong).await.unwrap_err());
    assert_eq!(refusal.code, RefusalCode::BadField);
    assert_eq!(refusal.fact("path"), Some("topology_id"));
    assert_eq!(refusal.fact("found"), Some("\"a/b\\n-1\""));
}
