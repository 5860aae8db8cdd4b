//! One opening of the way to a peer: a connection and its two streams.

use std::sync::Arc;
use std::time::Duration;

use squall_core::Fence;
use squall_proto::wire::exchange_client::ExchangeClient;
use squall_proto::{
    AckReply, DataReply, FieldError, LinkMessage, LinkWelcome, Refusal, RefusalCode, limits, wire,
};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::hello;
use super::links::LinkContext;
use super::peer::{PeerState, Target};

/// How many frames of tuples wait for the connection. When it has no room for more, no further ones are
/// laid out.
const DATA_FRAMES: usize = 4;
/// How many frames of acks wait for it.
const ACK_FRAMES: usize = 4;

/// The largest window that is made use of, in bytes: it bounds what is kept for what isn't confirmed.
const MAX_WINDOW_BYTES: usize = 64 << 20;

/// Both streams, open.
pub(crate) struct Session {
    /// Which copy of the peer has answered.
    pub(crate) fence: Fence,
    /// How many bytes it gives to each edge.
    pub(crate) window: usize,
    pub(crate) data: mpsc::Sender<wire::DataFrame>,
    pub(crate) data_replies: Streaming<wire::DataReply>,
    pub(crate) acks: mpsc::Sender<wire::AckFrame>,
    pub(crate) ack_replies: Streaming<wire::AckReply>,
}

/// Why the way to a peer can't be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// No connection.
    #[error("no connection to {}: {}", .target.address, causes(.source))]
    Connect {
        /// Where it was tried.
        target: Target,
        source: tonic::transport::Error,
    },
    /// No answer.
    #[error("no answer from {} within {within:?}", .target.address)]
    Silent { target: Target, within: Duration },
    /// The peer refuses, or its connection broke.
    #[error("{} refuses: {}", .target.address, .refusal.message)]
    Refused { target: Target, refusal: Refusal },
    /// An answer that is none.
    #[error("wrong answer from {}: {source}", .target.address)]
    Answer { target: Target, source: FieldError },
    /// An answer without a welcome.
    #[error("{} has answered without a welcome", .target.address)]
    NoWelcome { target: Target },
    /// Two copies of the peer answered, or an old one.
    #[error("an old copy of the worker answers at {}", .target.address)]
    Stale { target: Target },
}

/// Connects and opens both streams, acks first.
pub(crate) async fn open(
    link: Arc<LinkContext>,
    peer: Arc<PeerState>,
    target: Target,
) -> Result<Session, OpenError> {
    let silent = |within| OpenError::Silent {
        target: target.clone(),
        within,
    };
    let within = limits::CONNECT_DEADLINE;
    let channel = timeout(within, link.dialer.dial(&target.address))
        .await
        .map_err(|_| silent(within))?
        .map_err(|source| OpenError::Connect {
            target: target.clone(),
            source,
        })?;
    let client = ExchangeClient::new(channel)
        .max_decoding_message_size(limits::MAX_EXCHANGE_BYTES)
        .max_encoding_message_size(limits::MAX_EXCHANGE_BYTES);
    let within = limits::HELLO_DEADLINE;
    timeout(within, say_hello(client, &link, &peer, &target))
        .await
        .map_err(|_| silent(within))?
}

async fn say_hello(
    mut client: ExchangeClient<tonic::transport::Channel>,
    link: &LinkContext,
    peer: &PeerState,
    target: &Target,
) -> Result<Session, OpenError> {
    let hello = || LinkMessage::Hello(hello::hello(&link.config, peer, target));
    let refused = |status: Status| OpenError::Refused {
        target: target.clone(),
        refusal: status.into(),
    };
    let answer = |source| OpenError::Answer {
        target: target.clone(),
        source,
    };
    let (acks, ack_frames) = mpsc::channel(ACK_FRAMES);
    // The channel is empty: there is room.
    acks.try_send(hello().into()).ok();
    let response = client.acks(ReceiverStream::new(ack_frames)).await;
    let mut ack_replies = response.map_err(refused)?.into_inner();
    let first = ack_replies.message().await.map_err(refused)?;
    let first = AckReply::try_from(first.unwrap_or_default()).map_err(answer)?;
    let fence = admit(link, peer, target, first.welcome)?;

    let (data, data_frames) = mpsc::channel(DATA_FRAMES);
    data.try_send(hello().into()).ok();
    let response = client.data(ReceiverStream::new(data_frames)).await;
    let mut data_replies = response.map_err(refused)?.into_inner();
    let first = data_replies.message().await.map_err(refused)?;
    let first = DataReply::try_from(first.unwrap_or_default()).map_err(answer)?;
    let same = admit(link, peer, target, first.welcome)?;
    if same != fence {
        return Err(OpenError::Stale {
            target: target.clone(),
        });
    }
    Ok(Session {
        fence,
        window: usize::try_from(first.window_bytes)
            .unwrap_or(MAX_WINDOW_BYTES)
            .min(MAX_WINDOW_BYTES),
        data,
        data_replies,
        acks,
        ack_replies,
    })
}

/// Checks which copy of the peer has answered.
fn admit(
    link: &LinkContext,
    peer: &PeerState,
    target: &Target,
    welcome: Option<LinkWelcome>,
) -> Result<Fence, OpenError> {
    let Some(welcome) = welcome else {
        return Err(OpenError::NoWelcome {
            target: target.clone(),
        });
    };
    let admitted = hello::admit(peer, welcome.fence, &*link.ports.events);
    match admitted {
        Ok(()) => Ok(welcome.fence),
        Err(_) => Err(OpenError::Stale {
            target: target.clone(),
        }),
    }
}

impl OpenError {
    /// Returns the fence of the newer copy of this worker that the peer knows, if that is why it refuses.
    pub(crate) fn superseded_by(&self) -> Option<Fence> {
        match self {
            Self::Refused { refusal, .. } if refusal.code == RefusalCode::StaleFence => {
                hello::superseded_by(refusal)
            }
            _ => None,
        }
    }
}

/// Says an error and its causes: "transport error" alone helps nobody.
fn causes(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
