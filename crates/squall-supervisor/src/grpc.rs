//! Connections: how the supervisor is reached, and reaches nimbus.

use squall_daemon::grpc::{self, ChannelLimits, ServerLimits};
use squall_daemon::net::Listener;
use squall_proto::limits::{MAX_PIECE_BYTES, MAX_WORKER_REPORT_BYTES};
use squall_proto::wire::local_server::LocalServer;
use squall_proto::wire::supervisor_server::SupervisorServer;
use squall_proto::{Address, Refusal};
use tonic::Status;
use tonic::transport::{Channel, Error};

use crate::local::LocalService;
use crate::tail::TailService;

/// Connects to a nimbus.
pub(crate) async fn connect(address: &Address) -> Result<Channel, Refusal> {
    let refused = |error: Error| Refusal::from(Status::from_error(error.into()));
    let endpoint = grpc::endpoint(address, &ChannelLimits::control()).map_err(refused)?;
    endpoint.connect().await.map_err(refused)
}

/// Serves workers and nimbus. Ends when the listener's scope drains; connections live on until it is forced.
pub(crate) async fn serve(
    listener: Listener,
    local: LocalService,
    tail: TailService,
) -> Result<(), Error> {
    let local = LocalServer::new(local).max_decoding_message_size(MAX_WORKER_REPORT_BYTES);
    let tail = SupervisorServer::new(tail).max_decoding_message_size(MAX_PIECE_BYTES);
    grpc::server(&ServerLimits::supervisor())
        .add_service(local)
        .add_service(tail)
        .serve_with_incoming(grpc::incoming(listener))
        .await
}
