//! The link to nimbus: a standing stream on which the supervisor tells how it is and hears what is to be.
//!
//! While nimbus is away nothing changes here: workers go on, and those that end are started again.

mod blobs;
mod reports;

use std::sync::Arc;
use std::time::Duration;

use squall_daemon::grpc::{Backoff, BackoffConfig};
use squall_proto::limits::{HELLO_DEADLINE, MAX_ORDER_BYTES};
use squall_proto::{Address, Refusal, SupervisorHello, SupervisorOrder, wire};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Streaming;
use tonic::transport::Channel;
use tracing::{debug, info, warn};

use crate::grpc;
use crate::hub::Hub;

pub(crate) use blobs::NimbusBlobs;

use wire::coordination_client::CoordinationClient;

/// How long to wait between attempts: nimbus is to be found soon after its restart.
const BACKOFF: BackoffConfig = BackoffConfig {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(3),
};

/// How long workers that were adopted may take to come back before nimbus is told without them.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(3);

/// The connection to the nimbus that leads; `None` while there is none.
pub(crate) type Leading = watch::Sender<Option<Channel>>;

/// Keeps the link up.
pub(crate) struct Link {
    hub: Arc<Hub>,
    hello: SupervisorHello,
    leading: Arc<Leading>,
    /// Failures since the last accepted order.
    backoff: Backoff,
}

impl Link {
    pub(crate) fn new(hub: Arc<Hub>, hello: SupervisorHello, leading: Arc<Leading>) -> Self {
        Self {
            hub,
            hello,
            leading,
            backoff: Backoff::new(BACKOFF, fastrand::u64(..)),
        }
    }

    /// Attends to one nimbus after the other, for ever.
    pub(crate) async fn run(mut self) {
        let addresses = self.hub.context().nimbus.clone();
        // To nimbus a worker that was adopted and hasn't called yet would look like one that just started.
        drop(timeout(SETTLE_TIMEOUT, self.hub.settled()).await);
        let mut hint = None;
        for address in addresses.iter().cycle() {
            let address = hint.take().unwrap_or_else(|| address.clone());
            let refusal = self.attend(&address).await;
            self.leading.send_replace(None);
            hint = refusal
                .fact("leader")
                .and_then(|leader| leader.parse().ok());
            let wait = self.backoff.failed();
            if self.backoff.n_failures() == 1 {
                warn!(%address, error = %refusal.message, "nimbus is away");
            } else {
                debug!(%address, error = %refusal.message, "nimbus is still away");
            }
            sleep_until(Instant::now() + wait).await;
        }
    }

    /// Attends to a nimbus until that ends; returns why it did.
    async fn attend(&mut self, address: &Address) -> Refusal {
        let (channel, mut orders) = match self.connect(address).await {
            Ok(connected) => connected,
            Err(refusal) => return refusal,
        };
        // Orders lead to fetches at once.
        self.leading.send_replace(Some(channel));
        let mut first = true;
        loop {
            let next = orders.message();
            let next = if first {
                timeout(HELLO_DEADLINE, next).await.unwrap_or_else(|_| {
                    let refusal = Refusal::unavailable("nimbus gave no order in time");
                    Err(refusal.into())
                })
            } else {
                next.await
            };
            let order = match next {
                Ok(Some(order)) => order,
                Ok(None) => return Refusal::unavailable("nimbus ended the stream"),
                Err(status) => return status.into(),
            };
            if let Err(refusal) = self.order(order).await {
                return refusal;
            }
            if first {
                info!(%address, "nimbus attended");
            }
            first = false;
            self.backoff.succeeded();
        }
    }

    async fn connect(
        &self,
        address: &Address,
    ) -> Result<(Channel, Streaming<wire::SupervisorOrder>), Refusal> {
        let channel = grpc::connect(address).await?;
        let mut client =
            CoordinationClient::new(channel.clone()).max_decoding_message_size(MAX_ORDER_BYTES);
        let leader = self.hub.leader();
        let hello = SupervisorHello {
            handshake: self.hub.context().handshake(),
            leader_epoch: leader.epoch,
            ..self.hello.clone()
        };
        let reports = reports::stream(&self.hub, hello);
        let answer = timeout(HELLO_DEADLINE, client.attend(reports)).await;
        let answer = answer.map_err(|_| Refusal::unavailable("nimbus didn't answer in time"))?;
        Ok((channel, answer.map_err(Refusal::from)?.into_inner()))
    }

    async fn order(&self, order: wire::SupervisorOrder) -> Result<(), Refusal> {
        let order = SupervisorOrder::try_from(order)?;
        self.hub.order(order).await
    }
}
