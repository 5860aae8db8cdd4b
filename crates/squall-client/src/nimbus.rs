//! A connection to nimbus.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256 as Sha2};
use squall_core::{SupervisorId, TopologyId};
use squall_daemon::grpc::{ChannelLimits, endpoint};
use squall_daemon::identity::Identity;
use squall_proto::limits::{
    COMMAND_DEADLINE, HELLO_DEADLINE, MAX_ANSWER_BYTES, MAX_PIECE_BYTES, QUERY_DEADLINE,
};
use squall_proto::status::REFUSAL_KEY;
use squall_proto::wire::blob_client::BlobClient;
use squall_proto::wire::nimbus_client::NimbusClient;
use squall_proto::{
    Address, Describe, Description, Drain, Hello, Kill, LogPiece, Planned, Rebalance, Refusal,
    RefusalCode, SetActive, Sha256, Submit, SupervisorInfo, TailLog, TopologyName, TopologySummary,
    wire,
};
use tokio::sync::watch;
use tokio::time::{interval, timeout};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::binary::{Binary, BinaryError};
use crate::trouble::Trouble;
use crate::upload;

/// How long a call may take that waits for a disk to take a whole program.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(600);

/// How long a nimbus that went away before it answered may take to come back.
const SETTLE_WITHIN: Duration = Duration::from_secs(20);
/// How often it is asked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A connection to nimbus, agreed on a protocol.
#[derive(Clone, Debug)]
pub struct Nimbus {
    operations: NimbusClient<Channel>,
    blobs: BlobClient<Channel>,
    address: Address,
    hello: Hello,
}

/// Pieces of logs, as they come.
pub type LogPieces = std::pin::Pin<Box<dyn Stream<Item = Result<LogPiece, Trouble>> + Send>>;

/// Reads a list of addresses, `HOST:PORT` with commas in between.
///
/// # Errors
/// [`Trouble::Address`] with the first that is none.
pub fn addresses(list: &str) -> Result<Vec<Address>, Trouble> {
    let parse = |given: &str| {
        given.parse().map_err(|error| Trouble::Address {
            given: given.to_owned(),
            error,
        })
    };
    list.split(',').map(str::trim).map(parse).collect()
}

/// A request with its deadline.
fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

impl Nimbus {
    /// Connects to the first of these that answers, and agrees on a protocol.
    ///
    /// # Errors
    /// [`Trouble::Unreachable`] with what each of them said, [`Trouble::Refused`] when one answers and can't
    /// be talked to.
    pub async fn connect(addresses: &[Address]) -> Result<Self, Trouble> {
        let mut tried = Vec::new();
        for address in addresses {
            match Self::connect_to(address).await {
                Ok(nimbus) => return Ok(nimbus),
                Err(Trouble::Refused(refusal)) if refusal.code == RefusalCode::Unavailable => {
                    tried.push((address.to_string(), refusal));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Err(Trouble::Unreachable(tried))
    }

    async fn connect_to(address: &Address) -> Result<Self, Trouble> {
        let unreachable = |error: tonic::transport::Error| {
            Trouble::Refused(Refusal::from(Status::from_error(error.into())))
        };
        let endpoint = endpoint(address, &ChannelLimits::control()).map_err(unreachable)?;
        let channel = endpoint.connect().await.map_err(|error| {
            Trouble::Refused(Refusal::new(RefusalCode::Unavailable, causes(&error), ""))
        })?;
        let mut operations =
            NimbusClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES);
        let blobs = BlobClient::new(channel).max_decoding_message_size(MAX_PIECE_BYTES);
        let ours = Identity::ours().handshake(None);
        let asked = wire::HelloRequest::from(ours);
        let answer = operations.hello(within(HELLO_DEADLINE, asked)).await?;
        Ok(Self {
            operations,
            blobs,
            address: address.clone(),
            hello: answer.into_inner().try_into()?,
        })
    }

    /// Returns where it is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Returns what it said of itself.
    #[must_use]
    pub const fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Tells whether a program is stored.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn has(&mut self, sha256: Sha256) -> Result<bool, Trouble> {
        let asked = wire::HasRequest {
            sha256: sha256.into(),
        };
        let answer = self.blobs.has(within(QUERY_DEADLINE, asked)).await?;
        Ok(answer.into_inner().stored)
    }

    /// Stores a program, unless it is stored; `sent` hears how many bytes have left. Returns whether any
    /// had to.
    ///
    /// # Errors
    /// [`Trouble`]; nothing was stored.
    pub async fn upload(
        &mut self,
        binary: &Binary,
        sent: watch::Sender<u64>,
    ) -> Result<bool, Trouble> {
        if self.has(binary.sha256()).await? {
            return Ok(false);
        }
        let file = tokio::fs::File::open(binary.path()).await;
        let file = file.map_err(|error| BinaryError::Read {
            path: binary.path().to_owned(),
            error,
        })?;
        let messages = upload::messages(binary, file, sent);
        self.blobs
            .upload(within(UPLOAD_DEADLINE, messages))
            .await
            .map_err(|status| match Refusal::from(&status) {
                refusal if refusal.code == RefusalCode::WrongHash => {
                    BinaryError::Changed(binary.path().to_owned()).into()
                }
                refusal => Trouble::Refused(refusal),
            })?;
        Ok(true)
    }

    /// Has a topology run, or says what would happen. When nimbus goes away before it answers, it is asked until
    /// it is back, for 20 s at most, whether it has taken the topology: what it took counts as answered.
    ///
    /// # Errors
    /// [`Trouble`]; nothing runs, unless it is [`Trouble::Unanswered`].
    pub async fn submit(&mut self, submit: Submit) -> Result<Planned, Trouble> {
        let asked = within(COMMAND_DEADLINE, wire::SubmitRequest::from(submit.clone()));
        let status = match self.operations.submit(asked).await {
            Ok(answer) => return Ok(answer.into_inner().try_into()?),
            Err(status) => status,
        };
        if submit.dry_run || !is_unanswered(&status) {
            return Err(status.into());
        }
        let settling = timeout(SETTLE_WITHIN, self.settle(&submit));
        match settling.await {
            Ok(Some(planned)) => return Ok(planned),
            Ok(None) => {}
            Err(_) => return Err(Trouble::Unanswered(status.into())),
        }
        let asked = within(COMMAND_DEADLINE, wire::SubmitRequest::from(submit));
        match self.operations.submit(asked).await {
            Ok(answer) => Ok(answer.into_inner().try_into()?),
            Err(status) if is_unanswered(&status) => Err(Trouble::Unanswered(status.into())),
            Err(status) => Err(status.into()),
        }
    }

    /// Asks until nimbus answers whether it runs this very topology; returns where, if it does.
    async fn settle(&mut self, submit: &Submit) -> Option<Planned> {
        let spec: [u8; 32] = Sha2::digest(&submit.spec_json).into();
        let spec = Sha256::new(spec);
        let mut looks = interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let asked = wire::DescribeRequest::from(Describe {
                name: submit.name.clone(),
            });
            let answer = self.operations.describe(within(QUERY_DEADLINE, asked));
            let found: Description = match answer.await {
                Ok(answer) => answer.into_inner().try_into().ok()?,
                Err(status) if is_unanswered(&status) => continue,
                // It doesn't know the topology, or says what else is the matter when it is asked again.
                Err(_) => return None,
            };
            let topology = found.topology;
            let is_it =
                topology.spec_sha256 == spec && topology.binary_sha256 == submit.binary_sha256;
            return is_it.then_some(Planned {
                topology: Some(topology.id),
                plan: found.plan,
            });
        }
    }

    /// Lists the topologies.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn list(&mut self) -> Result<Vec<TopologySummary>, Trouble> {
        let asked = within(QUERY_DEADLINE, wire::ListTopologiesRequest {});
        let answer = self.operations.list_topologies(asked).await?;
        Ok(answer.into_inner().try_into()?)
    }

    /// Tells all about a topology.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn describe(&mut self, name: TopologyName) -> Result<Description, Trouble> {
        let asked = wire::DescribeRequest::from(Describe { name });
        let answer = self.operations.describe(within(QUERY_DEADLINE, asked));
        Ok(answer.await?.into_inner().try_into()?)
    }

    /// Has a topology drain and end.
    ///
    /// # Errors
    /// [`Trouble`]; it goes on.
    pub async fn kill(&mut self, kill: Kill) -> Result<TopologyId, Trouble> {
        let asked = wire::KillRequest::from(kill);
        let answer = self.operations.kill(within(COMMAND_DEADLINE, asked));
        Ok(answer.await?.into_inner().try_into()?)
    }

    /// Has a topology's spouts go on or pause.
    ///
    /// # Errors
    /// [`Trouble`]; nothing changes.
    pub async fn set_active(&mut self, set: SetActive) -> Result<TopologyId, Trouble> {
        let asked = wire::SetActiveRequest::from(set);
        let answer = self.operations.set_active(within(COMMAND_DEADLINE, asked));
        Ok(answer.await?.into_inner().try_into()?)
    }

    /// Has a topology spread anew, or says what would happen.
    ///
    /// # Errors
    /// [`Trouble`]; nothing moves.
    pub async fn rebalance(&mut self, rebalance: Rebalance) -> Result<Planned, Trouble> {
        let asked = wire::RebalanceRequest::from(rebalance);
        let answer = self.operations.rebalance(within(COMMAND_DEADLINE, asked));
        Ok(answer.await?.into_inner().try_into()?)
    }

    /// Lists the supervisors.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn supervisors(&mut self) -> Result<Vec<SupervisorInfo>, Trouble> {
        let asked = within(QUERY_DEADLINE, wire::ListSupervisorsRequest {});
        let answer = self.operations.list_supervisors(asked).await?;
        Ok(answer.into_inner().try_into()?)
    }

    /// Takes a supervisor out of use, or back; returns how many workers are to move.
    ///
    /// # Errors
    /// [`Trouble`]; nothing moves.
    pub async fn drain(&mut self, supervisor: SupervisorId, undo: bool) -> Result<u32, Trouble> {
        let asked = wire::DrainRequest::from(Drain { supervisor, undo });
        let answer = self
            .operations
            .drain(within(COMMAND_DEADLINE, asked))
            .await?;
        Ok(answer.into_inner().n_workers)
    }

    /// Reads the logs of a topology's workers; for as long as it runs when they are followed.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn tail_log(&mut self, tail: TailLog) -> Result<LogPieces, Trouble> {
        let asked = wire::TailLogRequest::from(tail);
        let pieces = self
            .operations
            .tail_log(Request::new(asked))
            .await?
            .into_inner();
        let read = |piece: Result<wire::TailLogResponse, Status>| Ok(piece?.try_into()?);
        Ok(Box::pin(pieces.map(read)))
    }
}

/// Tells whether a call broke off on the way: it may have been done.
fn is_unanswered(status: &Status) -> bool {
    let broke_off = matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
    );
    broke_off && !status.metadata().contains_key(REFUSAL_KEY)
}

/// Says what went wrong, with its causes: "transport error" alone helps nobody.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
