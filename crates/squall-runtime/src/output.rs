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
    Anchor, Anchoring, Anchors, Batch, Delivery, EmitTo, Output, Place, RootId, Roots, row_bytes,
};
use squall_core::{
    AckToken, EmitError, Failure, FailureReason, MessageId, Moment, Str, StreamId, TaskId, Value,
};

use crate::ack::{Ended, First, Lanes, Ledger, TokenDesk, Word};
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
    #[inline]
    pub(crate) fn ack_in_hand(&mut self) {
        match &self.in_hand {
            Anchors::None => return,
            Anchors::One(anchor) => self.lanes.push_xor(anchor.root, anchor.edge),
            Anchors::Many(anchors) => {
                for anchor in anchors {
                    self.lanes.push_xor(anchor.root, anchor.edge);
                }
            }
        }
        self.in_hand = Anchors::None;
    }

    /// Fails the trees of the tuple in hand.
    pub(crate) fn fail_in_hand(&mut self, failure: &Failure) {
        for anchor in self.in_hand.as_slice() {
            self.lanes.push(anchor.root, fail_word(failure));
        }
    }

    /// Puts the tuple in hand down: nothing is contributed for it.
    pub(crate) fn put_down(&mut self) {
        self.in_hand = Anchors::None;
    }

    /// Fails a tree.
    pub(crate) fn fail(&mut self, root: RootId, failure: &Failure) {
        self.lanes.push(root, fail_word(failure));
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
    fn find_stream(&self, name: Option<&str>) -> Result<usize, Box<EmitError>> {
        match (name, self.default_stream) {
            (None, Some(stream_idx)) => Ok(stream_idx),
            _ => self.find_named_stream(name),
        }
    }

    fn find_named_stream(&self, name: Option<&str>) -> Result<usize, Box<EmitError>> {
        let name = name.unwrap_or(StreamId::DEFAULT);
        let found = self
            .streams
            .iter()
            .position(|stream| stream.schema.stream == name);
        found.ok_or_else(|| {
            let streams = self.streams.iter();
            Box::new(EmitError::UnknownStream {
                stream: name.to_owned(),
                declared: streams.map(|stream| stream.schema.stream.clone()).collect(),
            })
        })
    }

    /// Checks the row under construction against its stream; returns its bytes.
    fn check_row(
        &self,
        stream_idx: usize,
        direct: Option<TaskId>,
    ) -> Result<usize, Box<EmitError>> {
        let stream = &self.streams[stream_idx];
        let schema = &stream.schema;
        if self.row.len() != schema.fields.len() {
            return Err(Box::new(EmitError::WrongArity {
                stream: schema.stream.clone(),
                n_values: self.row.len(),
                fields: schema.fields.clone(),
            }));
        }
        let bytes = row_bytes(&self.row);
        if bytes > self.max_tuple_bytes {
            return Err(Box::new(EmitError::TooLarge {
                bytes,
                max_tuple_bytes: self.max_tuple_bytes,
            }));
        }
        match direct {
            Some(task) if !stream.reaches_directly(task) => {
                Err(Box::new(EmitError::NotSubscribed {
                    stream: schema.stream.clone(),
                    task,
                }))
            }
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
        // Picked first, laid down after: a custom grouping that panics leaves nothing half done.
        let one;
        let picked = match stream.pick_one(row, direct) {
            Some(target_idx) => {
                one = [target_idx];
                one.as_slice()
            }
            None => {
                stream.pick(row, direct, picked);
                picked.as_slice()
            }
        };
        stream.count(picked.len());
        let origin = Origin {
            task: *task,
            stream_idx,
            schema: &stream.schema,
        };
        let (mut is_full, mut n_left) = (false, picked.len());
        for target_idx in picked {
            n_left -= 1;
            let target = &mut targets[*target_idx];
            if let Some(reader) = target.callee() {
                parents.call(reader, origin, row, rng, lanes);
                continue;
            }
            let lay = |batch: &mut Batch| lay_row(batch, row, bytes, n_left == 0);
            parents.lay(&mut target.draft, origin, bytes, rng, lay);
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

    fn send_to(&mut self, to: EmitTo<'_>) -> Result<(), Box<EmitError>> {
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
        let root = self.ledger.next_root();
        let mut trees = Anchors::One(Anchor { root, edge: 0 });
        self.route(stream_idx, direct, bytes, Tie::Trees(&mut trees));
        self.plant(message, bytes, &trees);
    }

    /// Opens the root whose tuples are tied to `trees`, the one that the ledger named.
    #[inline]
    fn plant(&mut self, message: MessageId, bytes: usize, trees: &Anchors) {
        let ids = trees.as_slice().iter().map(|anchor| anchor.edge);
        let first = First {
            message,
            bytes,
            now: self.now,
        };
        let xor = ids.fold(0, |xor, id| xor ^ id);
        self.ledger.plant(first, xor, &mut self.ended);
    }

    /// The shortest way, which most tuples in a chain take: all rows of the default stream go to one reader, and it
    /// can be called. Returns false, with nothing done, where it isn't so or there is something else to it.
    #[inline]
    fn call_only(&mut self, to: &EmitTo<'_>) -> bool {
        let (None, None, Some(stream_idx)) = (to.stream, to.task, self.default_stream) else {
            return false;
        };
        let stream = &mut self.streams[stream_idx];
        let reader = stream
            .only_target()
            .and_then(|only| self.targets[only].callee());
        let Some(reader) = reader else {
            return false;
        };
        let (schema, bytes) = (&stream.schema, row_bytes(&self.row));
        if self.row.len() != schema.fields.len() || bytes > self.max_tuple_bytes {
            return false;
        }
        let origin = Origin {
            task: self.task,
            stream_idx,
            schema,
        };
        match to.anchoring {
            Anchoring::Input => reader.call(origin, &mut self.row, &mut self.in_hand),
            Anchoring::Unanchored => reader.call(origin, &mut self.row, &mut Anchors::None),
            Anchoring::Root(message) => {
                let root = self.ledger.next_root();
                let mut trees = Anchors::One(Anchor { root, edge: 0 });
                reader.call(origin, &mut self.row, &mut trees);
                self.plant(message, bytes, &trees);
            }
            Anchoring::Tokens(_) => return false,
        }
        self.streams[stream_idx].count(1);
        self.row.clear();
        true
    }

    /// Borrows the readers that can be called, for a slice in which so many tasks are called above this one.
    pub(crate) fn borrow_neighbours(&mut self, depth: usize) {
        for target in &mut self.targets {
            target.borrow_neighbour(depth, self.now);
        }
    }

    /// Gives them back. Returns how long they were called for, by estimate.
    pub(crate) fn give_back_neighbours(&mut self) -> Duration {
        let targets = self.targets.iter_mut();
        targets.map(Target::give_back_neighbour).sum()
    }

    /// Takes the trees of a call in hand, or after it gives them back: with what it has to contribute.
    #[inline]
    pub(crate) const fn exchange_hand(&mut self, trees: &mut Anchors) {
        self.is_deferred = false;
        std::mem::swap(&mut self.in_hand, trees);
    }

    /// Adds ids to the trees in hand that nothing will ever take out again, lest the contribution of the caller end
    /// them well before they hear of the failure.
    pub(crate) fn spoil_hand(&mut self) {
        for anchor in self.in_hand.as_mut_slice() {
            anchor.edge ^= draw(&mut self.rng);
        }
    }
}

impl Output for TaskOutput {
    #[inline]
    fn row(&mut self) -> &mut Vec<Value> {
        // Left empty by the emit before, unless laying it out panicked.
        if !self.row.is_empty() {
            self.row.clear();
        }
        &mut self.row
    }

    #[inline]
    fn send(&mut self, to: EmitTo<'_>) -> Result<(), Box<EmitError>> {
        if self.call_only(&to) {
            return Ok(());
        }
        let sent = self.send_to(to);
        self.row.clear();
        sent
    }

    fn fields(&self, stream: Option<&str>) -> Result<&[Str], EmitError> {
        self.find_stream(stream)
            .map(|stream_idx| self.streams[stream_idx].schema.fields.as_slice())
            .map_err(|error| *error)
    }

    fn defer(&mut self) -> AckToken {
        let rng = &mut self.rng;
        let anchors = self.in_hand.grow(&mut || draw(rng));
        self.tokens.count_token();
        self.is_deferred = true;
        AckToken::new(anchors, self.tokens.clone())
    }
}

fn fail_word(failure: &Failure) -> Word {
    Word::Fail(Box::new(failure.clone()))
}
