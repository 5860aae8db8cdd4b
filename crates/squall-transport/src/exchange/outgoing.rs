//! Looks after what goes to one peer: opens the way there, again and again, and sends over it.

use std::sync::Arc;

use bytes::Bytes;
use squall_core::engine::{AckOutlet, Contribution, EdgeId, Outlet, RootId};
use squall_core::{Failure, FailureReason, Fence, TaskId};
use squall_proto::{AckReply, DataReply, FieldError, LinkMessage, wire};
use thiserror::Error;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tonic::Status;

use super::backoff::Backoff;
use super::incoming::stale;
use super::links::LinkContext;
use super::peer::{PeerState, Target};
use super::ready::{Bells, ReadyList};
use super::session::{OpenError, Session, open};
use super::status::LinkState;
use crate::link::{AckSender, DataSender, LinkError, PeerFence, Undeliverable};

/// The way to one peer.
pub(crate) struct Outgoing {
    link: Arc<LinkContext>,
    peer: Arc<PeerState>,
    target: watch::Receiver<Target>,
    data: DataSender,
    outlets: Vec<(EdgeId, Arc<dyn Outlet>)>,
    filled: Queues,
    acks: AckSender,
    ack_outlets: Vec<(TaskId, Arc<dyn AckOutlet>)>,
    said: Queues,
    backoff: Backoff,
    touch: Interval,
    /// Buffers, kept to be used again.
    words: Vec<Contribution>,
    roots: Vec<RootId>,
    undeliverable: Vec<Undeliverable>,
    payload_bytes: usize,
}

/// Queues of the runtime's that ring when something is put into them.
struct Queues {
    list: Arc<ReadyList>,
    bells: Bells,
    ready: Vec<usize>,
}

/// What became of something that was waited for.
enum Tended<T> {
    /// It is there.
    Done(T),
    /// The peer is somewhere else now.
    Moved,
    /// The link ends.
    Ended,
}

/// Why an open way ends.
#[derive(Debug, Error)]
enum Break {
    #[error("the link ends")]
    Ended,
    #[error("the peer has moved")]
    Moved,
    #[error("a newer copy of the peer is known")]
    Superseded,
    #[error("the peer has closed the stream")]
    Closed,
    #[error("{}", .0.message())]
    Status(#[from] Status),
    #[error("wrong reply: {0}")]
    Reply(#[from] FieldError),
    #[error("wrong reply: {0}")]
    Link(#[from] LinkError),
}

impl Queues {
    fn new(n_queues: usize) -> Self {
        let (list, bells) = ReadyList::new(n_queues);
        Self {
            list,
            bells,
            ready: Vec::new(),
        }
    }
}

impl Outgoing {
    /// Makes the way to a peer from the outlets that lead there, and has them ring here.
    pub(crate) fn new(
        link: Arc<LinkContext>,
        peer: Arc<PeerState>,
        data: DataSender,
        outlets: Vec<(EdgeId, Arc<dyn Outlet>)>,
        ack_outlets: Vec<(TaskId, Arc<dyn AckOutlet>)>,
    ) -> Self {
        let config = &link.config;
        let seed = config.seed ^ u64::from(peer.worker.0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let backoff = Backoff::new(config.reconnect_base, config.reconnect_cap, seed);
        let mut touch = interval_at(Instant::now() + config.touch_every, config.touch_every);
        touch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (filled, said) = (Queues::new(outlets.len()), Queues::new(ack_outlets.len()));
        for (idx, (_, outlet)) in outlets.iter().enumerate() {
            outlet.set_waker(filled.bells.waker(idx));
        }
        for (idx, (_, outlet)) in ack_outlets.iter().enumerate() {
            let waker = said.bells.waker(idx);
            outlet.set_waker(waker.clone());
            // What was said before that.
            waker.wake();
        }
        Self {
            target: peer.watch_target(),
            link,
            peer,
            data,
            outlets,
            filled,
            acks: AckSender::new(),
            ack_outlets,
            said,
            backoff,
            touch,
            words: Vec::new(),
            roots: Vec::new(),
            undeliverable: Vec::new(),
            payload_bytes: 0,
        }
    }

    /// Looks after it until the link ends. Then everything that isn't confirmed is given up.
    pub(crate) async fn run(mut self) {
        loop {
            let target = self.target.borrow_and_update().clone();
            let mut tried = self.peer.fence().newest();
            let opening = Box::pin(open(self.link.clone(), self.peer.clone(), target));
            match self.tend(opening).await {
                Tended::Ended => break,
                Tended::Moved => continue,
                Tended::Done(Ok(session)) => {
                    tried = session.fence;
                    match self.send_over(session).await {
                        Break::Ended => break,
                        why => self.close(&why),
                    }
                }
                Tended::Done(Err(error)) => self.note_refused(&error),
            }
            let until = Instant::now() + self.backoff.failed();
            let wait = Box::pin(pause(self.peer.clone(), tried, until));
            if matches!(self.tend(wait).await, Tended::Ended) {
                break;
            }
        }
        self.roots.clear();
        self.data.abandon(&mut self.roots);
        self.give_up("the link has ended");
        self.peer.counters.set_state(LinkState::Down, None);
        self.publish();
    }

    /// Waits for something else while the way isn't open. Acks are taken all the same: they merge here.
    async fn tend<T>(&mut self, mut done: impl Future<Output = T> + Unpin) -> Tended<T> {
        loop {
            tokio::select! {
                () = self.peer.end.cancelled() => return Tended::Ended,
                done = &mut done => return Tended::Done(done),
                _ = self.target.changed() => return Tended::Moved,
                () = self.said.list.filled() => self.take_words(),
                _ = self.touch.tick() => self.touch_roots(),
            }
            self.publish();
        }
    }

    /// Sends over an open way until it breaks.
    async fn send_over(&mut self, mut session: Session) -> Break {
        let mut fence = self.peer.watch_fence();
        if fence.borrow_and_update().newest() != session.fence {
            return Break::Superseded;
        }
        self.data.open(session.fence, session.window);
        self.acks.open();
        self.peer.counters.set_state(LinkState::Up, None);
        tracing::info!(worker_id = %self.peer.worker, "link is up");
        loop {
            let full = match self.send(&session) {
                Ok(full) => full,
                Err(why) => return why,
            };
            self.publish();
            let waited = self.wait(&mut session, &mut fence, full).await;
            if let Err(why) = waited {
                return why;
            }
        }
    }

    /// Lays out and hands over as many frames as the connection has room for, acks before tuples. Returns
    /// which of the two streams had none.
    fn send(&mut self, session: &Session) -> Result<Full, Break> {
        let mut full = Full::default();
        self.take_words();
        self.take_filled();
        loop {
            full.acks = self.send_acks(session)?;
            match session.data.try_reserve() {
                Err(TrySendError::Full(())) => full.data = true,
                Err(TrySendError::Closed(())) => return Err(Break::Closed),
                Ok(room) => {
                    if let Some(frame) = self.next_data() {
                        room.send(frame);
                        // What was said meanwhile goes first again.
                        self.take_words();
                        continue;
                    }
                }
            }
            self.report_undeliverable();
            return Ok(full);
        }
    }

    /// Hands over all frames of acks that there are and that there is room for; returns whether there was
    /// none.
    fn send_acks(&mut self, session: &Session) -> Result<bool, Break> {
        loop {
            match session.acks.try_reserve() {
                Err(TrySendError::Full(())) => return Ok(true),
                Err(TrySendError::Closed(())) => return Err(Break::Closed),
                Ok(room) => match self.next_acks() {
                    Some(frame) => room.send(frame),
                    None => return Ok(false),
                },
            }
        }
    }

    fn next_data(&mut self) -> Option<wire::DataFrame> {
        let mut payload = Vec::with_capacity(self.payload_bytes);
        let (outlets, ends) = (&self.outlets, &self.link.ends);
        let number = self.data.next_frame(
            self.link.ports.clock.now(),
            &mut payload,
            |edge_idx| {
                let (edge, outlet) = outlets.get(edge_idx)?;
                outlet.take().inspect(|item| ends.note(*edge, item))
            },
            &mut self.undeliverable,
        )?;
        // The next one is likely to be as large.
        self.payload_bytes = payload.len();
        Some(self.frame(number, payload).into())
    }

    fn next_acks(&mut self) -> Option<wire::AckFrame> {
        let mut payload = Vec::new();
        let number = self.acks.next_frame(&mut payload)?;
        Some(self.frame(number, payload).into())
    }

    fn frame(&self, number: u64, payload: Vec<u8>) -> LinkMessage {
        let counters = &self.peer.counters;
        counters.frames_sent.add(1);
        counters.bytes_sent.add(payload.len());
        LinkMessage::Frame(squall_proto::Frame {
            number,
            payload: Bytes::from(payload),
        })
    }

    /// Waits for something to do, and takes the peer's replies.
    async fn wait(
        &mut self,
        session: &mut Session,
        fence: &mut watch::Receiver<PeerFence>,
        full: Full,
    ) -> Result<(), Break> {
        tokio::select! {
            () = self.peer.end.cancelled() => return Err(Break::Ended),
            reply = session.ack_replies.message() => {
                let reply = AckReply::try_from(reply?.ok_or(Break::Closed)?)?;
                self.acks.confirm(reply.confirmed)?;
                self.backoff.succeeded();
            }
            reply = session.data_replies.message() => {
                let reply = DataReply::try_from(reply?.ok_or(Break::Closed)?)?;
                for queued in reply.queued {
                    self.data.confirm(queued.edge, queued.n_sections)?;
                }
                self.backoff.succeeded();
            }
            () = self.said.list.filled() => {}
            () = self.filled.list.filled() => {}
            // Whether the room is still there is seen when it is used.
            _ = session.acks.reserve(), if full.acks => {}
            _ = session.data.reserve(), if full.data => {}
            _ = self.touch.tick() => self.touch_roots(),
            _ = self.target.changed() => return Err(Break::Moved),
            _ = fence.changed() => {
                if fence.borrow_and_update().newest() != session.fence {
                    return Err(Break::Superseded);
                }
            }
        }
        Ok(())
    }

    /// Takes what tasks have said about the peer's roots.
    fn take_words(&mut self) {
        self.said.ready.clear();
        self.said.bells.take(&mut self.said.ready);
        for idx in &self.said.ready {
            if let Some((owner, outlet)) = self.ack_outlets.get(*idx) {
                outlet.take(&mut self.words);
                self.acks.push(*owner, &mut self.words);
            }
        }
    }

    /// Takes note of the outlets that have something.
    fn take_filled(&mut self) {
        self.filled.ready.clear();
        self.filled.bells.take(&mut self.filled.ready);
        for edge_idx in &self.filled.ready {
            self.data.wake(*edge_idx);
        }
    }

    /// Ends the streams, and gives up what isn't confirmed.
    fn close(&mut self, why: &Break) {
        self.roots.clear();
        self.data.close(&mut self.roots);
        self.acks.close();
        let counters = &self.peer.counters;
        counters.breaks.add(1);
        counters.set_state(LinkState::Down, Some(why.to_string()));
        tracing::warn!(worker_id = %self.peer.worker, error = %why, n_roots = self.roots.len(), "link is down");
        let text = format!("the link to worker {} broke: {why}", self.peer.worker);
        self.give_up(&text);
        self.publish();
    }

    fn give_up(&mut self, text: &str) {
        if self.roots.is_empty() {
            return;
        }
        self.peer.counters.roots_lost.add(self.roots.len());
        let why = Failure::new(FailureReason::Lost, None, text);
        self.link.ports.events.roots_lost(&self.roots, &why);
        self.roots.clear();
    }

    /// Fails the trees of tuples that no frame can carry.
    fn report_undeliverable(&mut self) {
        for Undeliverable { roots, why } in self.undeliverable.drain(..) {
            let failure = Failure {
                permanent: true,
                ..Failure::new(FailureReason::Rejected, None, &why.to_string())
            };
            self.link.ports.events.roots_lost(&roots, &failure);
        }
    }

    fn note_refused(&mut self, error: &OpenError) {
        tracing::debug!(worker_id = %self.peer.worker, %error, "link could not be opened");
        self.peer
            .counters
            .set_state(LinkState::Down, Some(error.to_string()));
        if let Some(by) = error.superseded_by() {
            self.link.ports.events.superseded(by);
        }
    }

    /// Tells the trees of what waits here that it does.
    fn touch_roots(&mut self) {
        self.roots.clear();
        let (now, age) = (self.link.ports.clock.now(), self.link.config.touch_every);
        self.data.waiting(now, age, &mut self.roots);
        if !self.roots.is_empty() {
            self.link.ports.events.roots_wait(&self.roots);
            self.roots.clear();
        }
    }

    fn publish(&self) {
        let (counters, load) = (&self.peer.counters, self.data.load());
        counters.unconfirmed_bytes.set(load.unconfirmed_bytes);
        counters.busy_edges.set(load.n_busy_edges);
        let (n_words, unconfirmed_bytes) = self.acks.load();
        counters
            .ack_words
            .set(n_words + usize::from(unconfirmed_bytes > 0));
        let n_dropped = usize::try_from(self.acks.n_dropped()).unwrap_or(usize::MAX);
        counters.ack_words_dropped.set(n_dropped);
    }
}

/// Waits until it is time to try again. A copy of the peer that is newer than the one that was tried has just
/// spoken, so it is there.
async fn pause(peer: Arc<PeerState>, tried: Fence, until: Instant) {
    let mut fence = peer.watch_fence();
    tokio::select! {
        () = sleep_until(until) => {}
        () = stale(&mut fence, tried) => {}
    }
}

/// Which streams had no room.
#[derive(Clone, Copy, Debug, Default)]
struct Full {
    acks: bool,
    data: bool,
}
