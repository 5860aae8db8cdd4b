//! Answers peers that open streams.

use std::sync::Arc;

use squall_core::Fence;
use squall_proto::wire::exchange_server::Exchange;
use squall_proto::{
    AckReply, DataReply, FieldError, LinkHello, LinkMessage, LinkWelcome, Refusal, limits, wire,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::hello;
use super::incoming::{Incoming, REPLIES};
use super::links::LinkContext;
use super::peer::PeerState;

/// The service that a worker offers to its peers. Made by [`crate::Links::service`].
#[derive(Clone)]
pub struct ExchangeService {
    link: Arc<LinkContext>,
}

/// A peer whose hello was right.
struct Guest {
    peer: Arc<PeerState>,
    from: Fence,
    welcome: LinkWelcome,
}

impl ExchangeService {
    pub(crate) const fn new(link: Arc<LinkContext>) -> Self {
        Self { link }
    }

    /// Reads the first message of a stream.
    async fn greet<M>(&self, frames: &mut Streaming<M>) -> Result<Guest, Status>
    where
        LinkMessage: TryFrom<M, Error = FieldError>,
    {
        let first = timeout(limits::HELLO_DEADLINE, frames.message()).await;
        let first = first.map_err(|_| Refusal::unavailable("no hello came in time"))?;
        let first = first?.ok_or_else(|| Refusal::wrong_peer("no hello came"))?;
        let admitted = match LinkMessage::try_from(first)? {
            LinkMessage::Hello(hello) => self.admit(&hello),
            LinkMessage::Frame(_) => Err(Refusal::wrong_peer("a frame came before the hello")),
        };
        admitted.map_err(|refusal| {
            self.link.count_refused();
            tracing::debug!(error = %refusal.message, "peer refused");
            refusal.into()
        })
    }

    fn admit(&self, hello: &LinkHello) -> Result<Guest, Refusal> {
        let events = &*self.link.ports.events;
        let welcome = hello::check(&self.link.config, hello, events)?;
        let Some(peer) = self.link.peer(hello.from) else {
            // It may know of an assignment that hasn't arrived here.
            let why = format!("worker {} is not one of its peers", hello.from);
            return Err(Refusal::unavailable(why));
        };
        hello::admit(&peer, hello.from_fence, events)?;
        Ok(Guest {
            peer,
            from: hello.from_fence,
            welcome,
        })
    }
}

#[tonic::async_trait]
impl Exchange for ExchangeService {
    type DataStream = ReceiverStream<Result<wire::DataReply, Status>>;
    type AcksStream = ReceiverStream<Result<wire::AckReply, Status>>;

    async fn data(
        &self,
        request: Request<Streaming<wire::DataFrame>>,
    ) -> Result<Response<Self::DataStream>, Status> {
        let mut frames = request.into_inner();
        let Guest {
            peer,
            from,
            welcome,
        } = self.greet(&mut frames).await?;
        let (replies, stream_of_replies) = mpsc::channel(REPLIES);
        let mut receiver = peer.data();
        let (stream, window) = (receiver.open(from), receiver.window());
        drop(receiver);
        let first = DataReply {
            welcome: Some(welcome),
            window_bytes: window as u64,
            ..DataReply::default()
        };
        // The channel is empty: there is room.
        replies.try_send(Ok(first.into())).ok();
        let incoming = Incoming {
            link: self.link.clone(),
            peer,
            from,
            stream,
            frames,
            replies,
        };
        self.link.tasks.spawn(incoming.run());
        Ok(Response::new(ReceiverStream::new(stream_of_replies)))
    }

    async fn acks(
        &self,
        request: Request<Streaming<wire::AckFrame>>,
    ) -> Result<Response<Self::AcksStream>, Status> {
        let mut frames = request.into_inner();
        let Guest {
            peer,
            from,
            welcome,
        } = self.greet(&mut frames).await?;
        let (replies, stream_of_replies) = mpsc::channel(REPLIES);
        let stream = peer.acks().open();
        let first = AckReply {
            welcome: Some(welcome),
            ..AckReply::default()
        };
        replies.try_send(Ok(first.into())).ok();
        let incoming = Incoming {
            link: self.link.clone(),
            peer,
            from,
            stream,
            frames,
            replies,
        };
        self.link.tasks.spawn(incoming.run());
        Ok(Response::new(ReceiverStream::new(stream_of_replies)))
    }
}
