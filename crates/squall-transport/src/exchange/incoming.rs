//! Looks after one stream that a peer has opened: takes its frames, hands on what is in them, confirms.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::task::Waker;

use foldhash::fast::RandomState;
use squall_core::engine::{Contribution, Item, Refused, RootId};
use squall_core::{Failure, FailureReason, Fence, TaskId};
use squall_proto::{AckReply, DataReply, Frame, LinkMessage, Queued, Refusal, wire};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tonic::{Code, Status, Streaming};

use super::links::LinkContext;
use super::peer::PeerState;
use super::ready::Room;
use crate::link::{DataReceiver, LinkError, PeerFence};

/// How many replies wait for the connection. With no room for more, the next one says it all.
pub(crate) const REPLIES: usize = 4;

/// The most edges in one reply.
const MAX_QUEUED: usize = 4096;

/// A stream that has come in, once its hello was answered.
pub(crate) struct Incoming<F, R> {
    pub(crate) link: Arc<LinkContext>,
    pub(crate) peer: Arc<PeerState>,
    /// Which copy of the peer has opened it.
    pub(crate) from: Fence,
    /// Its number at the receiver.
    pub(crate) stream: u64,
    pub(crate) frames: Streaming<F>,
    pub(crate) replies: mpsc::Sender<Result<R, Status>>,
}

impl<F, R> Incoming<F, R> {
    /// Tells the peer why its stream ends, if it listens.
    fn refuse(&self, refusal: Refusal) {
        self.replies.try_send(Err(refusal.into())).ok();
    }

    /// Refuses a frame that broke a rule.
    fn refuse_frame(&self, refusal: Refusal) {
        self.peer.counters.bad_frames.add(1);
        tracing::warn!(worker_id = %self.peer.worker, error = %refusal.message, "frame refused");
        self.refuse(refusal);
    }

    /// Tells whether a newer copy of the peer is known.
    fn is_stale(&self) -> bool {
        self.peer.fence().newest() != self.from
    }

    fn count(&self, frame: &Frame) {
        self.peer.counters.frames_received.add(1);
        self.peer.counters.bytes_received.add(frame.payload.len());
    }
}

/// Waits until the newest fence isn't `from` any more.
pub(super) async fn stale(fence: &mut watch::Receiver<PeerFence>, from: Fence) {
    // The sender lives as long as the peer, which the caller holds.
    fence.wait_for(|known| known.newest() != from).await.ok();
}

/// Why no frame has arrived.
enum NoFrame {
    /// The peer has closed the stream, or its connection broke.
    Gone,
    /// What arrived is none.
    Bad(Refusal),
}

/// Takes a frame out of what has arrived.
fn frame_of<M>(message: Result<Option<M>, Status>) -> Result<Frame, NoFrame>
where
    LinkMessage: TryFrom<M, Error = squall_proto::FieldError>,
{
    let message = match message {
        Ok(Some(message)) => message,
        Ok(None) => return Err(NoFrame::Gone),
        Err(status) => {
            // What tonic could not decode; all other statuses tell of the connection.
            let bad = matches!(status.code(), Code::OutOfRange | Code::Internal);
            return Err(if bad && status.source().is_none() {
                NoFrame::Bad(status.into())
            } else {
                NoFrame::Gone
            });
        }
    };
    match LinkMessage::try_from(message) {
        Ok(LinkMessage::Frame(frame)) => Ok(frame),
        Ok(LinkMessage::Hello(_)) => Err(NoFrame::Bad(Refusal::wrong_peer("a second hello"))),
        Err(error) => Err(NoFrame::Bad(error.into())),
    }
}

impl Incoming<wire::DataFrame, wire::DataReply> {
    /// Takes tuples until the stream ends.
    pub(crate) async fn run(mut self) {
        let mut fence = self.peer.watch_fence();
        let room = Arc::new(Room::default());
        let waker = Waker::from(room.clone());
        let (mut waits, mut untold) = (false, false);
        loop {
            tokio::select! {
                () = self.peer.end.cancelled() => break,
                () = stale(&mut fence, self.from) => {
                    let newest = self.peer.fence().newest();
                    self.refuse(Refusal::stale_fence(self.from, newest));
                    break;
                }
                message = self.frames.message() => match frame_of(message) {
                    Ok(frame) => {
                        if let Err(error) = self.take(&frame) {
                            self.refuse_frame(Refusal::wrong_peer(error));
                            break;
                        }
                    }
                    Err(NoFrame::Gone) => break,
                    Err(NoFrame::Bad(refusal)) => {
                        self.refuse_frame(refusal);
                        break;
                    }
                },
                () = room.made(), if waits => {}
                room = self.replies.reserve(), if untold => if room.is_err() { break },
            }
            waits = !self.deliver(&waker);
            match self.confirm() {
                Ok(told) => untold = !told,
                Err(Gone) => break,
            }
        }
        self.peer.data().close(self.stream);
    }

    fn take(&self, frame: &Frame) -> Result<(), LinkError> {
        self.count(frame);
        if self.is_stale() {
            let number = frame.number;
            return Err(LinkError::StaleStream { number });
        }
        let now = self.link.ports.clock.now();
        let mut receiver = self.peer.data();
        receiver.take_frame(self.stream, frame.number, &frame.payload, now)
    }

    /// Offers what has arrived to the readers; returns whether nothing waits for room.
    fn deliver(&self, waker: &Waker) -> bool {
        let (inlets, mut lost) = (&self.link.ports.inlets, Vec::new());
        let mut receiver = self.peer.data();
        // Another stream may have taken over: what waits is its own then.
        let clear = !receiver.is_open(self.stream)
            || receiver.deliver(|edge_idx, item| match inlets.get(edge_idx) {
                None => Ok(()),
                Some((_, inlet)) => {
                    let refused = inlet.try_deliver(item).or_else(|refused| match refused {
                        Refused::Full(item) => {
                            // The room may come between the two tries.
                            inlet.await_room(waker);
                            inlet.try_deliver(item)
                        }
                        closed @ Refused::Closed(_) => Err(closed),
                    });
                    match refused {
                        Ok(()) => Ok(()),
                        Err(Refused::Full(item)) => Err(item),
                        Err(Refused::Closed(item)) => {
                            note_roots(&item, &mut lost);
                            Ok(())
                        }
                    }
                }
            });
        drop(receiver);
        if !lost.is_empty() {
            let why = Failure::new(FailureReason::Lost, None, "the reading task has ended");
            self.link.ports.events.roots_lost(&lost, &why);
        }
        clear
    }

    /// Confirms what is queued; returns whether all of it could be said.
    fn confirm(&self) -> Result<bool, Gone> {
        loop {
            let mut receiver = self.peer.data();
            if !has_news(&receiver, self.stream) {
                return Ok(true);
            }
            let room = match self.replies.try_reserve() {
                Ok(room) => room,
                Err(TrySendError::Full(())) => return Ok(false),
                Err(TrySendError::Closed(())) => return Err(Gone),
            };
            let mut news = Vec::new();
            receiver.take_news(MAX_QUEUED, &mut news);
            drop(receiver);
            let queued = news
                .into_iter()
                .map(|(edge, n_sections)| Queued { edge, n_sections });
            let reply = DataReply {
                queued: queued.collect(),
                ..DataReply::default()
            };
            room.send(Ok(reply.into()));
        }
    }
}

/// The peer doesn't listen any more.
struct Gone;

fn has_news(receiver: &DataReceiver, stream: u64) -> bool {
    receiver.is_open(stream) && receiver.has_news()
}

fn note_roots(item: &Item, lost: &mut Vec<RootId>) {
    if let Item::Rows(delivery) = item {
        delivery.for_each_root(0, |root| lost.push(root));
    }
}

impl Incoming<wire::AckFrame, wire::AckReply> {
    /// Takes acks until the stream ends.
    pub(crate) async fn run(mut self) {
        let mut fence = self.peer.watch_fence();
        let mut mail = Mail::new(&self.link);
        let mut untold = false;
        loop {
            tokio::select! {
                () = self.peer.end.cancelled() => break,
                () = stale(&mut fence, self.from) => {
                    let newest = self.peer.fence().newest();
                    self.refuse(Refusal::stale_fence(self.from, newest));
                    break;
                }
                message = self.frames.message() => match frame_of(message) {
                    Ok(frame) => {
                        if let Err(error) = self.take(&frame, &mut mail) {
                            self.refuse_frame(Refusal::wrong_peer(error));
                            break;
                        }
                    }
                    Err(NoFrame::Gone) => break,
                    Err(NoFrame::Bad(refusal)) => {
                        self.refuse_frame(refusal);
                        break;
                    }
                },
                room = self.replies.reserve(), if untold => if room.is_err() { break },
            }
            match self.replies.try_reserve() {
                Ok(room) => {
                    untold = false;
                    let reply = AckReply {
                        confirmed: mail.n_taken,
                        ..AckReply::default()
                    };
                    room.send(Ok(reply.into()));
                }
                Err(TrySendError::Full(())) => untold = true,
                Err(TrySendError::Closed(())) => break,
            }
        }
        self.peer.acks().close(self.stream);
    }

    /// Takes a frame, and hands its contributions to the owners of the roots.
    fn take(&self, frame: &Frame, mail: &mut Mail) -> Result<(), LinkError> {
        self.count(frame);
        if self.is_stale() {
            let number = frame.number;
            return Err(LinkError::StaleStream { number });
        }
        let mut receiver = self.peer.acks();
        receiver.take_frame(
            self.stream,
            frame.number,
            &frame.payload,
            &mut mail.contributions,
        )?;
        drop(receiver);
        mail.hand_over(&self.link);
        mail.n_taken = frame.number;
        Ok(())
    }
}

/// Sorts contributions by the owners of their roots.
struct Mail {
    contributions: Vec<(TaskId, Contribution)>,
    /// By owner, the inlet's index.
    owners: HashMap<TaskId, usize, RandomState>,
    /// By inlet.
    sorted: Vec<Vec<Contribution>>,
    touched: Vec<usize>,
    /// The last frame that was handed over.
    n_taken: u64,
}

impl Mail {
    fn new(link: &LinkContext) -> Self {
        let owners = link.ports.ack_inlets.iter().map(|(owner, _)| *owner);
        let owners: HashMap<_, _, _> = owners.zip(0..).collect();
        Self {
            sorted: owners.iter().map(|_| Vec::new()).collect(),
            owners,
            contributions: Vec::new(),
            touched: Vec::new(),
            n_taken: 0,
        }
    }

    /// Hands over all contributions. Those to roots of tasks that are not here are for nobody.
    fn hand_over(&mut self, link: &LinkContext) {
        // Neighbours mostly have the same owner.
        let mut last = None;
        for (owner, contribution) in self.contributions.drain(..) {
            let inlet_idx = match last {
                Some((known, inlet_idx)) if known == owner => inlet_idx,
                _ => self.owners.get(&owner).copied(),
            };
            last = Some((owner, inlet_idx));
            let Some((inlet_idx, sorted)) =
                inlet_idx.and_then(|idx| Some((idx, self.sorted.get_mut(idx)?)))
            else {
                continue;
            };
            if sorted.is_empty() {
                self.touched.push(inlet_idx);
            }
            sorted.push(contribution);
        }
        for inlet_idx in self.touched.drain(..) {
            let inlet = link.ports.ack_inlets.get(inlet_idx);
            if let (Some((_, inlet)), Some(sorted)) = (inlet, self.sorted.get_mut(inlet_idx)) {
                inlet.contribute(sorted);
                sorted.clear();
            }
        }
    }
}
