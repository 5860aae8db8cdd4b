//! The connection to nimbus, for as long as there is something to read or to write.

use std::sync::Arc;
use std::time::Duration;

use squall_core::{Fence, StoreError};
use squall_daemon::grpc::{Backoff, BackoffConfig, ChannelLimits, endpoint};
use squall_proto::limits::{CHECKPOINT_DEADLINE, MAX_CHECKPOINTS_BYTES};
use squall_proto::wire::checkpoints_client::CheckpointsClient;
use squall_proto::{Address, CheckpointClient};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Status;
use tonic::transport::Channel;
use tracing::{debug, info, warn};

use super::batcher::BatchError;
use super::call::Failure;
use super::rotation::Rotation;

/// The waits between two tries: nimbus is to be found soon after its restart.
const BACKOFF: BackoffConfig = BackoffConfig {
    base: Duration::from_millis(100),
    cap: Duration::from_secs(1),
};

/// Where checkpoints are kept: calls nimbus, wherever it is.
pub struct Nimbus {
    /// Who calls.
    pub(super) client: CheckpointClient,
    /// Where it is looked for, for people.
    pub(super) location: String,
    state: Mutex<State>,
    /// A newer copy of this worker, once nimbus has spoken of one.
    superseded: Arc<watch::Sender<Option<Fence>>>,
}

struct State {
    rotation: Rotation,
    backoff: Backoff,
    connected: Option<Connected>,
    /// Raised with each connection, so that who used an old one doesn't end a new one.
    n_connections: u64,
}

#[derive(Clone)]
struct Connected {
    number: u64,
    client: CheckpointsClient<Channel>,
}

/// Whether a call whose answer was lost may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It reads.
    Yes,
    /// It writes, and may have been done.
    No,
}

impl Nimbus {
    /// Makes it; nobody is called yet. `superseded` hears of a newer copy of this worker.
    #[must_use]
    pub fn new(
        client: CheckpointClient,
        addresses: Vec<Address>,
        superseded: Arc<watch::Sender<Option<Fence>>>,
        seed: u64,
    ) -> Self {
        let named: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        Self {
            client,
            location: format!("nimbus at {}", named.join(", ")),
            state: Mutex::new(State {
                rotation: Rotation::new(addresses),
                backoff: Backoff::new(BACKOFF, seed),
                connected: None,
                n_connections: 0,
            }),
            superseded,
        }
    }

    /// Calls until there is an answer, or until `CHECKPOINT_DEADLINE`.
    ///
    /// # Errors
    /// [`BatchError`]; of [`BatchError::Unavailable`] nobody knows whether the call was done.
    pub(super) async fn call<T, F>(
        &self,
        repeat: Repeat,
        make: impl Fn(CheckpointsClient<Channel>) -> F,
    ) -> Result<T, BatchError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let deadline = Instant::now() + CHECKPOINT_DEADLINE;
        let mut why = "no answer".to_owned();
        loop {
            let tried = timeout_at(deadline, self.try_once(&make)).await;
            let Ok((tried, used)) = tried else {
                // Another nimbus may do better the next time.
                self.failed(None, None).await;
                let within = CHECKPOINT_DEADLINE.as_secs();
                return Err(BatchError::Unavailable(format!("{why} within {within} s")));
            };
            let failure = match tried {
                Ok(answer) => {
                    self.succeeded().await;
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let leader = match failure {
                Failure::NotDone { why: said, leader } => {
                    why = said;
                    leader
                }
                Failure::Unknown { why: said } if repeat == Repeat::Yes => {
                    why = said;
                    None
                }
                Failure::Unknown { why } => {
                    self.failed(used, None).await;
                    return Err(BatchError::Unavailable(why));
                }
                Failure::Invalid { why } => return Err(BatchError::Invalid(why)),
                Failure::Superseded(fence) => {
                    warn!(newest = ?fence, "nimbus knows a newer copy of this worker");
                    self.superseded.send_replace(Some(fence));
                    return Err(BatchError::Fenced(fence));
                }
            };
            let wait = self.failed(used, leader).await;
            sleep_until(deadline.min(Instant::now() + wait)).await;
        }
    }

    /// Returns what came of one try, and the number of the connection that was used.
    async fn try_once<T, F>(
        &self,
        make: impl Fn(CheckpointsClient<Channel>) -> F,
    ) -> (Result<T, Failure>, Option<u64>)
    where
        F: Future<Output = Result<T, Status>>,
    {
        let connected = match self.connected().await {
            Ok(connected) => connected,
            Err(why) => return (Err(Failure::NotDone { why, leader: None }), None),
        };
        let answer = make(connected.client).await;
        let answer = answer.map_err(|status| Failure::of(&status));
        (answer, Some(connected.number))
    }

    /// Returns the connection; makes one if there is none, for all who wait for it.
    async fn connected(&self) -> Result<Connected, String> {
        let mut state = self.state.lock().await;
        if let Some(connected) = &state.connected {
            return Ok(connected.clone());
        }
        let address = state.rotation.current().cloned();
        let address = address.ok_or_else(|| "no address of nimbus is known".to_owned())?;
        let endpoint = endpoint(&address, &ChannelLimits::control()).map_err(text)?;
        let channel = endpoint.connect().await.map_err(text)?;
        let client = CheckpointsClient::new(channel)
            .max_decoding_message_size(MAX_CHECKPOINTS_BYTES)
            .max_encoding_message_size(MAX_CHECKPOINTS_BYTES);
        state.n_connections += 1;
        let connected = Connected {
            number: state.n_connections,
            client,
        };
        state.connected = Some(connected.clone());
        debug!(%address, "connected to nimbus for checkpoints");
        Ok(connected)
    }

    async fn succeeded(&self) {
        let mut state = self.state.lock().await;
        if state.backoff.n_failures() > 0 {
            info!(location = self.location, "checkpoints are kept again");
        }
        state.backoff.succeeded();
    }

    /// Ends the connection that was `used`, unless it was replaced already, and moves on; returns how long to
    /// wait.
    async fn failed(&self, used: Option<u64>, leader: Option<Address>) -> Duration {
        let mut state = self.state.lock().await;
        let current = state.connected.as_ref().map(|connected| connected.number);
        if used.is_none() || used == current {
            state.connected = None;
            state.rotation.move_on(leader);
        }
        let wait = state.backoff.failed();
        if state.backoff.n_failures() == 1 {
            warn!(
                location = self.location,
                "checkpoints can't be kept for now"
            );
        }
        wait
    }
}

impl From<BatchError> for StoreError {
    fn from(error: BatchError) -> Self {
        error.of("")
    }
}

/// Says an error and its causes: "transport error" alone helps nobody.
fn text(error: tonic::transport::Error) -> String {
    squall_proto::Refusal::from(Status::from_error(error.into()))
        .message
        .to_string()
}
