//! The standing stream to the supervisor: says how this worker fares, hears what is to be.
//!
//! It is opened again and again, with waits in between, for as long as the worker runs. Nothing else depends on
//! it: while the supervisor is away the worker goes on.

use std::num::NonZeroU32;

use futures_util::Stream;
use futures_util::stream::unfold;
use squall_daemon::grpc::{Backoff, BackoffConfig, ChannelLimits, endpoint};
use squall_proto::limits::{HELLO_DEADLINE, MAX_WORKER_ORDER_BYTES};
use squall_proto::wire::local_client::LocalClient;
use squall_proto::{
    Address, Handshake, Launch, Refusal, WorkerHello, WorkerOrder, WorkerReport, WorkerStatus,
    agree, wire,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Status, Streaming};
use tracing::{debug, info, warn};

/// The waits between two tries: a supervisor that restarts has to hear of its workers soon.
const BACKOFF: BackoffConfig = BackoffConfig {
    base: std::time::Duration::from_millis(100),
    cap: std::time::Duration::from_secs(2),
};

/// What was heard from the supervisor.
#[derive(Debug)]
pub(crate) enum Heard {
    /// What is to be.
    Order(WorkerOrder),
    /// It refuses this worker, or can't be reached.
    Refusal(Refusal),
}

/// Attends to the supervisor.
pub(crate) struct Attendant {
    address: Address,
    hello: WorkerHello,
    /// How the worker fares; nothing is said before it is known.
    statuses: watch::Receiver<Option<WorkerStatus>>,
    /// Who listens here takes one thing after the other: what isn't taken holds up the stream.
    heard: mpsc::Sender<Heard>,
    backoff: Backoff,
}

impl Attendant {
    /// Makes it; `ours` is what this process says of itself.
    pub(crate) fn new(
        launch: &Launch,
        ours: Handshake,
        statuses: watch::Receiver<Option<WorkerStatus>>,
        heard: mpsc::Sender<Heard>,
        seed: u64,
    ) -> Self {
        Self {
            address: launch.supervisor_address.clone(),
            hello: WorkerHello {
                handshake: ours,
                cookie: launch.cookie,
                pid: NonZeroU32::new(std::process::id()).unwrap_or(NonZeroU32::MIN),
                topology: launch.topology.id.clone(),
                worker: launch.worker,
                fence: launch.fence,
            },
            statuses,
            heard,
            backoff: Backoff::new(BACKOFF, seed),
        }
    }

    /// Attends until nobody listens to what is heard.
    pub(crate) async fn run(mut self) {
        loop {
            let refusal = self.attend().await;
            let wait = self.backoff.failed();
            if self.backoff.n_failures() == 1 {
                warn!(address = %self.address, error = %refusal.message, "the supervisor is away");
            } else {
                debug!(address = %self.address, error = %refusal.message, "the supervisor is still away");
            }
            if self.heard.send(Heard::Refusal(refusal)).await.is_err() {
                return;
            }
            sleep_until(Instant::now() + wait).await;
        }
    }

    /// Attends until the stream ends; returns why it did.
    async fn attend(&mut self) -> Refusal {
        let opened = timeout(HELLO_DEADLINE, self.open()).await;
        let opened = opened.unwrap_or_else(|_| {
            let silent = "the supervisor gave no order in time";
            Err(Refusal::unavailable(silent))
        });
        let (first, mut orders) = match opened {
            Ok(opened) => opened,
            Err(refusal) => return refusal,
        };
        info!(address = %self.address, "the supervisor is attended to");
        self.backoff.succeeded();
        let mut order = first;
        loop {
            let order_or_refusal = WorkerOrder::try_from(order).map_err(Refusal::from);
            let heard = match order_or_refusal {
                Ok(order) => Heard::Order(order),
                Err(refusal) => return refusal,
            };
            if self.heard.send(heard).await.is_err() {
                return Refusal::unavailable("this worker is ending");
            }
            order = match next(&mut orders).await {
                Ok(order) => order,
                Err(refusal) => return refusal,
            };
        }
    }

    /// Connects, says hello and waits for the first order.
    async fn open(&self) -> Result<(wire::WorkerOrder, Streaming<wire::WorkerOrder>), Refusal> {
        let from_error = |error: tonic::transport::Error| Status::from_error(error.into());
        let endpoint = endpoint(&self.address, &ChannelLimits::control()).map_err(from_error)?;
        let channel = endpoint.connect().await.map_err(from_error)?;
        let mut client =
            LocalClient::new(channel).max_decoding_message_size(MAX_WORKER_ORDER_BYTES);
        let reports = reports(self.hello.clone(), self.statuses.clone());
        let mut orders = client.attend(reports).await?.into_inner();
        let first = next(&mut orders).await?;
        let theirs: Option<Handshake> = first
            .handshake
            .clone()
            .map(Handshake::try_from)
            .transpose()?;
        if let Some(theirs) = theirs {
            agree(&self.hello.handshake, &theirs)?;
        }
        Ok((first, orders))
    }
}

async fn next(orders: &mut Streaming<wire::WorkerOrder>) -> Result<wire::WorkerOrder, Refusal> {
    let ended = || Refusal::unavailable("the supervisor has ended the stream");
    orders.message().await?.ok_or_else(ended)
}

/// Says hello, then each status. A status that is overtaken by the next one is left out.
fn reports(
    hello: WorkerHello,
    mut statuses: watch::Receiver<Option<WorkerStatus>>,
) -> impl Stream<Item = wire::WorkerReport> + Send + 'static {
    statuses.mark_changed();
    unfold(
        (Some(hello), statuses),
        |(hello, mut statuses)| async move {
            if let Some(hello) = hello {
                return Some((WorkerReport::Hello(hello).into(), (None, statuses)));
            }
            loop {
                statuses.changed().await.ok()?;
                let status = statuses.borrow_and_update().clone();
                if let Some(status) = status {
                    return Some((WorkerReport::Status(status).into(), (None, statuses)));
                }
            }
        },
    )
}
