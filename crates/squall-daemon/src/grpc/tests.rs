//! Servers and clients with limits, over real sockets.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use squall_proto::wire::blob_client::BlobClient;
use squall_proto::wire::blob_server::{Blob, BlobServer};
use squall_proto::wire::{
    FetchRequest, FetchResponse, HasRequest, HasResponse, UploadRequest, UploadResponse,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::grpc::{ChannelLimits, ServerLimits, endpoint, incoming, server};
use crate::net::{Exposure, Listener};
use crate::shutdown::{Manner, Shutdown, ShutdownBounds, Signal, Signals};

/// A service that has every blob, and never ends a fetch.
struct Everything;

type Pieces = Pin<Box<dyn Stream<Item = Result<FetchResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Blob for Everything {
    type FetchStream = Pieces;

    async fn has(&self, request: Request<HasRequest>) -> Result<Response<HasResponse>, Status> {
        assert!(request.remote_addr().is_some(), "the caller is known");
        Ok(Response::new(HasResponse::default()))
    }

    async fn upload(
        &self,
        _: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn fetch(&self, _: Request<FetchRequest>) -> Result<Response<Pieces>, Status> {
        let first = stream::iter([Ok(FetchResponse::default())]);
        Ok(Response::new(Box::pin(first.chain(stream::pending()))))
    }
}

fn limits() -> ServerLimits {
    ServerLimits {
        max_connections: NonZeroUsize::MIN.saturating_add(1),
        max_streams: 2,
        ..ServerLimits::nimbus()
    }
}

/// Starts the service; returns who owns it and where it is.
async fn serve(bounds: ShutdownBounds) -> (Shutdown, squall_proto::Address) {
    let shutdown = Shutdown::new(bounds);
    let scope = shutdown.scope().child("grpc");
    let address = "127.0.0.1:0".parse().unwrap();
    let limits = limits();
    let listener = Listener::bind(address, Exposure::Loopback, limits.listener(), &scope);
    let listener = listener.await.unwrap();
    let address = listener.address().to_string().parse().unwrap();
    let service = BlobServer::new(Everything).max_decoding_message_size(1000);
    let draining = scope.clone();
    scope.spawn_vital("serve", async move {
        server(&limits)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming(listener), async move {
                draining.draining().await;
            })
            .await
    });
    (shutdown, address)
}

async fn connect(address: &squall_proto::Address) -> BlobClient<Channel> {
    let endpoint = endpoint(address, &ChannelLimits::control()).unwrap();
    BlobClient::new(endpoint.connect().await.unwrap())
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.unwrap()
}

fn has(n_bytes: usize) -> HasRequest {
    HasRequest {
        sha256: vec![7; n_bytes],
    }
}

#[tokio::test]
async fn messages_and_headers_are_bounded() {
    let (_shutdown, address) = serve(ShutdownBounds::default()).await;
    let mut client = connect(&address).await;
    client.has(has(32)).await.unwrap();
    let refused = client.has(has(2000)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    let mut request = Request::new(has(32));
    let value = "x".repeat(20_000).parse().unwrap();
    request.metadata_mut().insert("long", value);
    let refused = soon(client.has(request)).await.unwrap_err();
    assert!(refused.message().contains("431"), "{refused}");
    client.has(has(32)).await.unwrap();
}

#[tokio::test]
async fn one_call_too_many_waits_for_another_to_end() {
    let (_shutdown, address) = serve(ShutdownBounds::default()).await;
    let mut client = connect(&address).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut pieces = client
            .fetch(FetchRequest::default())
            .await
            .unwrap()
            .into_inner();
        pieces.message().await.unwrap().unwrap();
        streams.push(pieces);
    }
    let mut third = client.clone();
    let third = tokio::spawn(async move { third.has(has(32)).await });
    // Another connection is not held up.
    connect(&address).await.has(has(32)).await.unwrap();
    assert!(!third.is_finished());
    drop(streams.pop());
    soon(third).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_connection_too_many_is_told_at_once() {
    let (_shutdown, address) = serve(ShutdownBounds::default()).await;
    let mut first = connect(&address).await;
    let mut second = connect(&address).await;
    first.has(has(32)).await.unwrap();
    second.has(has(32)).await.unwrap();
    let endpoint = endpoint(&address, &ChannelLimits::control()).unwrap();
    let mut third = BlobClient::new(endpoint.connect_lazy());
    assert!(soon(third.has(has(32))).await.is_err());
    first.has(has(32)).await.unwrap();
    // The place is free again once somebody goes, which the server has to notice first.
    drop(second);
    soon(async { while third.has(has(32)).await.is_err() {} }).await;
}

#[tokio::test]
async fn draining_lets_calls_end_and_forcing_ends_them() {
    for is_held in [false, true] {
        let (shutdown, address) = serve(ShutdownBounds {
            drain: Duration::from_millis(100),
            ..ShutdownBounds::default()
        })
        .await;
        let mut client = connect(&address).await;
        let mut pieces = client
            .fetch(FetchRequest::default())
            .await
            .unwrap()
            .into_inner();
        pieces.message().await.unwrap().unwrap();
        let mut held = is_held.then_some(pieces);
        let (signals, received) = mpsc::channel(1);
        signals.send(Signal::Terminate).await.unwrap();
        let ended = soon(shutdown.run(Signals::from_channel(received))).await;
        let expected = match is_held {
            true => Manner::Forced,
            false => Manner::Drained,
        };
        assert_eq!(ended.manner, expected, "{ended:?}");
        if let Some(pieces) = &mut held {
            assert!(soon(pieces.message()).await.is_err());
        }
        assert!(client.has(has(32)).await.is_err());
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let limits = ChannelLimits {
        keep_alive_interval: Duration::from_millis(50),
        keep_alive_timeout: Duration::from_millis(50),
        ..ChannelLimits::control()
    };
    let endpoint = endpoint(&address, &limits).unwrap();
    let mut client = BlobClient::new(endpoint.connect_lazy());
    let (refused, _connection) = tokio::join!(soon(client.has(has(32))), listener.accept());
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
}

#[test]
fn limits_are_those_of_the_protocol() {
    use squall_proto::limits;
    let nimbus = ServerLimits::nimbus();
    assert_eq!(nimbus.max_connections.get(), limits::NIMBUS_CONNECTIONS);
    assert_eq!(nimbus.max_streams, limits::NIMBUS_STREAMS);
    assert_eq!(nimbus.keep_alive_interval, limits::KEEP_ALIVE_INTERVAL);
    let worker = ServerLimits::worker();
    assert_eq!(worker.max_streams, limits::WORKER_STREAMS);
    assert_eq!(worker.window_bytes, limits::LINK_WINDOW_BYTES);
    assert_eq!(worker.keep_alive_interval, limits::LINK_KEEP_ALIVE_INTERVAL);
    assert_eq!(
        ServerLimits::supervisor().max_streams,
        limits::SUPERVISOR_STREAMS
    );
}
