//! What stands behind a task's emitter: routes rows, draws edge ids, lays each row into the deliveries of
//! its readers, and keeps what the edges can't take yet.
//!
//! **Invariant:** a tuple's edge id enters its root in the same contribution that takes its parent's
//! out. So the ids drawn while a tuple is in hand gather in the anchors of that tuple, and leave with
//! its ack; a deferred tuple gets an id of its own, as if it had been emitted to its holder. Tuples of
//! the same tree that are executed one after the other leave as one contribution.

mod parents;
mod stream;
mod target;

use std::sync::Arc;
use std::time::Duration;

use squall_core::engine::{
    Anchor, Anchoring, Anchors, Delivery, EmitTo, Output, Place, RootId, Roots, row_bytes,
};
use squall_core::{
    AckToken, EmitError, Failure, FailureReason, MessageId, Moment, Str, StreamId, TaskId, Value,
};

use crate::ack::{Ended, Lanes, Ledger, TokenDesk, Word};
use crate::bell::Bell;
use crate::draft::{Origin, lay_row};
use crate::stats::TaskStats;

use parents::{Parents, draw};
pub(crate) use stream::{StreamOut, Subscription};
pub(crate) use target::Target;

/// One task's side of all its outgoing edges, and the ledger of the roots it opens.
pub(crate) struct TaskOutput {
    task: TaskId,
    pub(crate) streams: Vec<StreamOut>,
    pub(crate) targets: Vec<Target>,
    pub(crate) ledger: Ledger,
    /// Ends of own roots that the task has not been told of.
    pub(crate) ended: Vec<Ended>,
    pub(crate) lanes: Lanes,
    pub(crate) tokens: Arc<TokenDesk>,
    pub(crate) rng: fastrand::Rng,
    pub(crate) max_tuple_bytes: usize,
    /// The time of the current slice.
    pub(crate) now: Moment,
    /// The trees of the tuple in hand, with what those before it in the same tree have to contribute.
    in_hand: Anchors,
    /// The tuple in hand was deferred: its tokens end it.
    is_deferred: bool,
    row: Vec<Value>,
    /// The targets of the row under construction.
    picked: Vec<usize>,
    /// The default stream's index, where there is one: what nearly every emit asks for.
    default_stream: Option<usize>,
    /// Something waits for room on an edge.
    blocked: bool,
}

/// What a row is tied to.
enum Tie<'a> {
    /// The tuple in hand.
    InHand,
    /// These trees.
    Trees(&'a mut Anchors),
    /// Deferred tuples.
    Tokens(&'a [&'a AckToken]),
}

/// What an output is made of.
pub(crate) struct OutputParts {
    pub(crate) task: TaskId,
    pub(crate) streams: Vec<StreamOut>,
    pub(crate) targets: Vec<Target>,
    pub(crate) ledger: Ledger,
    pub(crate) lanes: Lanes,
    pub(crate) tokens: Arc<TokenDesk>,
    pub(crate) rng: fastrand::Rng,
    pub(crate) max_tuple_bytes: usize,
}

impl TaskOutput {
    pub(crate) fn new(parts: OutputParts) -> Self {
        let OutputParts {
            task,
            streams,
            targets,
            ledger,
            lanes,
            tokens,
            rng,
            max_tuple_bytes,
        } = parts;
        Self {
            task,
            default_stream: streams
                .iter()
                .position(|stream| stream.schema.stream == StreamId::DEFAULT),
            streams,
            targets,
            ledger,
            ended: Vec::new(),
            lanes,
            tokens,
            rng,
            max_tuple_bytes,
            now: Moment::ZERO,
            in_hand: Anchors::None,
            is_deferred: false,
            row: Vec::new(),
            picked: Vec::new(),
            blocked: false,
        }
    }

    /// Takes a tuple in hand: emits are anchored to its trees. The one before it is done.
    #[inline]
    pub(crate) fn take_in_hand(&mut self, place: Place<'_>) {
        self.is_deferred = false;
        match (&mut self.in_hand, place.roots, place.edges) {
            (Anchors::None, Roots::None, _) => {}
            (Anchors::One(held), Roots::One(root), [edge]) if held.root == *root => {
                held.edge ^= edge;
            }
            (_, roots, edges) => {
                self.ack_in_hand();
                self.in_hand = roots.anchors(edges);
            }
        }
    }

    /// Tells whether the tuple in hand was deferred: its tokens end it.
    pub(crate) const fn is_deferred(&self) -> bool {
        self.is_deferred
    }

    /// Acks the tuples in hand: their own edge ids out and their children's in, in one stroke.
    pub(crate) fn ack_in_hand(&mut self) {
        for anchor in std::mem::take(&mut self.in_hand).as_slice() {
            self.lanes.push(anchor.root, Word::Xor(anchor.edge));
        }
    }

    /// Fails the trees of the tuple in hand.
    pub(crate) fn fail_in_hand(&mut self, failure: &Failure) {
        for anchor in std::mem::take(&mut self.in_hand).as_slice() {
            self.fail(anchor.root, failure);
        }
    }

    /// Fails a tree.
    pub(crate) fn fail(&mut self, root: RootId, failure: &Failure) {
        self.lanes.push(root, Word::Fail(Box::new(failure.clone())));
    }

    /// Fails the trees of all rows of a delivery.
    fn fail_all(&mut self, delivery: &Delivery, failure: &Failure) {
        delivery.for_each_root(0, |root| self.fail(root, failure));
    }

    /// Sends the deliveries under construction, and what waited before them, as far as the edges take it.
    /// Returns whether everything left.
    pub(crate) fn flush(&mut self) -> bool {
        let mut clear = true;
        for target in &mut self.targets {
            target.close(self.now);
            clear &= target.send_backlog();
        }
        self.fail_refused();
        self.blocked = !clear;
        clear
    }

    /// Tells whether something waits for room on an edge.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Tells whether so much waits for room that the author's code is not to add to it.
    pub(crate) fn is_overfull(&self) -> bool {
        self.blocked && self.targets.iter().any(Target::is_overfull)
    }

    /// Tells whether rows wait whose roots are to be told so by this side.
    pub(crate) fn is_waiting(&self) -> bool {
        self.targets.iter().any(Target::is_waiting)
    }

    /// Returns how much has been taken from the feedback edges that are full and whose readers wait for
    /// room as well; `None` when there is none. A reader that is merely slow is no jam.
    pub(crate) fn taken_from_jammed(&self) -> Option<u64> {
        let jammed = self.targets.iter().filter(|target| target.is_jammed());
        jammed
            .map(|target| target.edge.n_taken())
            .reduce(u64::wrapping_add)
    }

    /// Tells whether one of them leads to another worker.
    pub(crate) fn is_jammed_elsewhere(&self) -> bool {
        let mut jammed = self.targets.iter().filter(|target| target.is_jammed());
        jammed.any(|target| target.edge.leads_elsewhere())
    }

    /// Tells whether an edge that is full closes a cycle: it may come to a jam.
    pub(crate) fn closes_cycle(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.edge.feedback && target.is_blocked())
    }

    /// Gives a new instance a desk of its own: tokens of the old one keep the reason of its end.
    pub(crate) fn renew_tokens(&mut self) {
        self.tokens = Arc::new(self.tokens.renew());
    }

    /// Asks the edges that are full to ring when there is room.
    pub(crate) fn await_room(&self, bell: &Arc<Bell>) {
        self.targets
            .iter()
            .filter(|target| target.is_blocked())
            .for_each(|target| target.edge.await_room(bell));
    }

    /// Tells the roots of what waits here that it still waits.
    pub(crate) fn touch_backlog(&mut self) {
        let lanes = &mut self.lanes;
        for target in &self.targets {
            target.for_each_waiting(|root| lanes.push(root, Word::Waiting));
        }
    }

    /// Lets a jammed cycle go on: drops the oldest batch of each feedback edge in it, and fails
    /// its roots. Returns how many were dropped.
    pub(crate) fn drop_oldest_feedback(&mut self, failure: &Failure) -> u64 {
        let mut n_dropped = 0;
        let mut dropped = Vec::new();
        for target in self.targets.iter().filter(|target| target.is_jammed()) {
            if let Some(delivery) = target.edge.drop_oldest() {
                n_dropped += 1;
                dropped.push(delivery);
            }
        }
        for delivery in &dropped {
            self.fail_all(delivery, failure);
        }
        n_dropped
    }

    /// Drops what waits for room, and fails its roots: nobody is left to send it.
    pub(crate) fn drop_backlog(&mut self, failure: &Failure) {
        for target_idx in 0..self.targets.len() {
            for delivery in self.targets[target_idx].take_backlog() {
                self.fail_all(&delivery, failure);
            }
        }
    }

    /// Tells readers that nothing follows from `task`.
    pub(crate) fn send_end(&mut self, task: TaskId) {
        for target in &mut self.targets {
            target.close(self.now);
            target.push_end(task);
        }
    }

    /// Publishes the streams' counters.
    pub(crate) fn publish(&self, stats: &TaskStats) {
        for (stream_idx, stream) in self.streams.iter().enumerate() {
            stats.publish_stream(stream_idx, stream.n_emitted, stream.n_transferred);
        }
        let (pending, held) = (self.ledger.pending(), self.ledger.held());
        stats.pending.set(pending.n_roots as u64);
        stats.pending_bytes.set(pending.bytes as u64);
        stats.held.set(held.n_roots as u64);
    }

    /// Fails what went to readers that have ended.
    fn fail_refused(&mut self) {
        for target_idx in 0..self.targets.len() {
            let refused = std::mem::take(&mut self.targets[target_idx].refused);
            if refused.is_empty() {
                continue;
            }
            let failure = Failure::new(FailureReason::Lost, None, "the reading task has ended");
            for delivery in &refused {
                self.fail_all(delivery, &failure);
            }
        }
    }

    #[inline]
    fn find_stream(&self, name: Option<&str>) -> Result<usize, EmitError> {
        match (name, self.default_stream) {
            (None, Some(stream_idx)) => Ok(stream_idx),
            _ => self.find_named_stream(name),
        }
    }

    fn find_named_stream(&self, name: Option<&str>) -> Result<usize, EmitError> {
        let name = name.unwrap_or(StreamId::DEFAULT);
        let found = self
            .streams
            .iter()
            .position(|stream| stream.schema.stream == name);
        found.ok_or_else(|| EmitError::UnknownStream {
            stream: name.to_owned(),
            declared: self
                .streams
                .iter()
                .map(|stream| stream.schema.stream.clone())
                .collect(),
        })
    }

    /// Checks the row under construction against its stream; returns its bytes.
    fn check_row(&self, stream_idx: usize, direct: Option<TaskId>) -> Result<usize, EmitError> {
        let stream = &self.streams[stream_idx];
        let schema = &stream.schema;
        if self.row.len() != schema.fields.len() {
            return Err(EmitError::WrongArity {
                stream: schema.stream.clone(),
                n_values: self.row.len(),
                fields: schema.fields.clone(),
            });
        }
        let bytes = row_bytes(&self.row);
        if bytes > self.max_tuple_bytes {
            return Err(EmitError::TooLarge {
                bytes,
                max_tuple_bytes: self.max_tuple_bytes,
            });
        }
        match direct {
            Some(task) if !stream.reaches_directly(task) => Err(EmitError::NotSubscribed {
                stream: schema.stream.clone(),
                task,
            }),
            _ => Ok(bytes),
        }
    }

    /// Hands the row to each task that gets it: calls those that can be called, and lays it into the deliveries of
    /// the others.
    fn route(&mut self, stream_idx: usize, direct: Option<TaskId>, bytes: usize, tie: Tie<'_>) {
        let Self {
            task,
            streams,
            targets,
            lanes,
            in_hand,
            row,
            picked,
            rng,
            ..
        } = self;
        let mut parents = match tie {
            Tie::InHand => Parents::Trees(in_hand),
            Tie::Trees(trees) => Parents::Trees(trees),
            Tie::Tokens(tokens) => Parents::Tokens(tokens),
        };
        let stream = &mut streams[stream_idx];
        stream.n_emitted += 1;
        // Picked first, laid down after: a custom grouping that panics leaves nothing half done.
        picked.clear();
        for subscription in &mut stream.subscriptions {
            subscription.pick(row, direct, |target_idx| picked.push(target_idx));
        }
        stream.n_transferred += picked.len() as u64;
        let schema = &stream.schema;
        let origin = Origin {
            task: *task,
            stream_idx,
            schema,
        };
        let mut is_full = false;
        for (n_left, target_idx) in (0..picked.len()).rev().zip(&*picked) {
            let target = &mut targets[*target_idx];
            if let Some(reader) = target.callee() {
                let anchors = parents.enter(rng);
                let left = reader.call((stream_idx, schema, *task), row, anchors);
                parents.leave(&left, lanes);
                continue;
            }
            let anchors = parents.grow(rng);
            target.draft.push(origin, &anchors, bytes, |batch| {
                lay_row(batch, row, bytes, n_left == 0);
            });
            is_full |= target.is_full();
        }
        if is_full {
            self.send_full();
        }
    }

    /// Sends the deliveries that are large enough.
    fn send_full(&mut self) {
        for target in &mut self.targets {
            if target.is_full() {
                target.close(self.now);
                self.blocked |= !target.send_backlog();
            }
        }
        self.fail_refused();
    }

    fn send_to(&mut self, to: EmitTo<'_>) -> Result<(), EmitError> {
        let stream_idx = self.find_stream(to.stream)?;
        let bytes = self.check_row(stream_idx, to.task)?;
        let (direct, mut trees) = (to.task, Anchors::None);
        match to.anchoring {
            Anchoring::Unanchored => {
                self.route(stream_idx, direct, bytes, Tie::Trees(&mut trees));
            }
            Anchoring::Input => self.route(stream_idx, direct, bytes, Tie::InHand),
            Anchoring::Tokens(tokens) => {
                self.route(stream_idx, direct, bytes, Tie::Tokens(tokens));
            }
            Anchoring::Root(message) => self.send_root(stream_idx, direct, bytes, message),
        }
        Ok(())
    }

    /// Opens a root and emits under it. Nobody subscribes, or all is done at once: the root is acked.
    fn send_root(
        &mut self,
        stream_idx: usize,
        direct: Option<TaskId>,
        bytes: usize,
        message: MessageId,
    ) {
        let root: RootId = self.ledger.open(message, bytes, self.now);
        let mut trees = Anchors::One(Anchor { root, edge: 0 });
        self.route(stream_idx, direct, bytes, Tie::Trees(&mut trees));
        let xor = trees
            .as_slice()
            .iter()
            .fold(0, |xor, anchor| xor ^ anchor.edge);
        self.ledger.plant(root, xor, &mut self.ended);
    }

    /// Borrows the readers that can be called, for a slice.
    pub(crate) fn borrow_neighbours(&mut self) {
        for target in &mut self.targets {
            target.borrow_neighbour(self.now);
        }
    }

    /// Gives them back. Returns how long they were called for, by estimate.
    pub(crate) fn give_back_neighbours(&mut self) -> Duration {
        let targets = self.targets.iter_mut();
        targets.map(Target::give_back_neighbour).sum()
    }

    /// Takes a tuple in hand that the task before is calling with.
    #[inline]
    pub(crate) fn enter_call(&mut self, anchors: Anchors) {
        self.is_deferred = false;
        self.in_hand = anchors;
    }

    /// Puts the tuple down that was called with; returns what is to be contributed for it.
    #[inline]
    pub(crate) fn leave_call(&mut self) -> Anchors {
        std::mem::take(&mut self.in_hand)
    }

    /// Returns what is to be contributed for a call that has failed: ids that nothing will ever take out of the
    /// trees again, lest the caller's contribution end them well before they hear of the failure.
    pub(crate) fn spoil_in_hand(&mut self) -> Anchors {
        let mut spoilt = self.in_hand.clone();
        for anchor in spoilt.as_mut_slice() {
            anchor.edge = draw(&mut self.rng);
        }
        spoilt
    }
}

impl Output for TaskOutput {
    fn row(&mut self) -> &mut Vec<Value> {
        self.row.clear();
        &mut self.row
    }

    fn send(&mut self, to: EmitTo<'_>) -> Result<(), EmitError> {
        let sent = self.send_to(to);
        self.row.clear();
        sent
    }

    fn fields(&self, stream: Option<&str>) -> Result<&[Str], EmitError> {
        self.find_stream(stream)
            .map(|stream_idx| self.streams[stream_idx].schema.fields.as_slice())
    }

    fn defer(&mut self) -> AckToken {
        let rng = &mut self.rng;
        let anchors = self.in_hand.grow(&mut || draw(rng));
        self.tokens.count_token();
        self.is_deferred = true;
        AckToken::new(anchors, self.tokens.clone())
    }
}
