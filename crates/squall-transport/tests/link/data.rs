//! Tuples: each is queued once or given up, whatever breaks when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use squall_core::engine::{Delivery, EdgeId, Item, Mark, RootId};
use squall_core::{Fence, Moment, TaskId};
use squall_transport::link::{DataReceiver, DataSender, LinkError};

use crate::rows::{SOURCES, delivery, edges, ids_of, roots_of, schemas};

const WINDOW: usize = 4 * 1024;
const MAX_TUPLE_BYTES: usize = 200_000;
/// Frames or replies that the pipe has room for.
const PIPE: usize = 8;

/// One stream's pipe. Both directions keep what is under way when an end closes.
#[derive(Default)]
struct Pipe {
    /// The receiver's number for the stream, in that life of it.
    stream: u64,
    receiver_life: u64,
    frames: VecDeque<(u64, Vec<u8>)>,
    /// Sections that are queued, and, for the model, how many rows those have.
    replies: VecDeque<Vec<(EdgeId, u64, usize)>>,
    /// The receiver has closed its end: nothing more arrives.
    deaf: bool,
    /// What the receiver queued, by edge, for the model.
    queued: BTreeMap<EdgeId, Vec<u32>>,
}

/// What the model knows of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fate {
    emitted_by: u64,
    /// In which life of the receiver it was queued.
    queued_in: Option<u64>,
    confirmed: bool,
    n_lost: usize,
}

struct World {
    rng: fastrand::Rng,
    now: Moment,
    sender: DataSender,
    sender_life: u64,
    receiver: DataReceiver,
    receiver_life: u64,
    /// The life of the sender that the receiver knows of.
    known_life: u64,
    outlets: Vec<VecDeque<Item>>,
    /// All pipes there were; the sender's end is at the last one while `up`.
    pipes: Vec<Pipe>,
    up: bool,
    rows: Vec<Fate>,
    /// By edge: what was last queued of each source, and who ended, in this life of the receiver.
    last: BTreeMap<(usize, TaskId), u32>,
    ended: BTreeSet<(usize, TaskId)>,
    /// Tasks whose end was sent, by edge.
    ends: BTreeSet<(usize, TaskId)>,
    n_stale: usize,
    n_breaks: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: Moment::ZERO,
            sender: DataSender::new(&edges(), schemas(), MAX_TUPLE_BYTES),
            sender_life: 1,
            receiver: DataReceiver::new(&edges(), schemas(), WINDOW, MAX_TUPLE_BYTES),
            receiver_life: 1,
            known_life: 1,
            outlets: edges().iter().map(|_| VecDeque::new()).collect(),
            pipes: Vec::new(),
            up: false,
            rows: Vec::new(),
            last: BTreeMap::new(),
            ended: BTreeSet::new(),
            ends: BTreeSet::new(),
            n_stale: 0,
            n_breaks: 0,
        }
    }

    fn fence(life: u64) -> Fence {
        Fence {
            placement_epoch: 1,
            incarnation: life,
        }
    }

    fn run(&mut self) {
        for _ in 0..2500 {
            self.now = self.now + Duration::from_millis(1);
            match self.rng.u32(0..100) {
                0..22 => self.emit(),
                22..45 => self.send(),
                45..65 => self.arrive(),
                65..80 => {
                    let generous = self.rng.u32(0..4) > 0;
                    self.deliver(generous);
                }
                80..94 => self.reply_arrives(),
                94 if self.rng.u32(0..3) == 0 => self.break_at_sender(),
                95 if self.rng.u32(0..3) == 0 => self.break_at_receiver(),
                96 if self.rng.u32(0..6) == 0 => self.restart_receiver(),
                97 if self.rng.u32(0..6) == 0 => self.restart_sender(),
                _ => self.connect(),
            }
            self.check_bounds();
        }
    }

    fn emit(&mut self) {
        let edge_idx = self.rng.usize(..self.outlets.len());
        let source = SOURCES[self.rng.usize(..2)];
        if self.ends.contains(&(edge_idx, source)) || self.outlets[edge_idx].len() > 4 {
            return;
        }
        if self.rng.u32(0..200) == 0 {
            self.end(edge_idx, source);
            return;
        }
        let n_rows = self.rng.usize(1..12);
        let mut rows = Vec::new();
        for _ in 0..n_rows {
            let n_bytes = match self.rng.u32(0..100) {
                0 => 150_000,
                1 => 60_000,
                2..5 => 5_000,
                _ => self.rng.usize(0..100),
            };
            rows.push((u32::try_from(self.rows.len()).unwrap(), n_bytes));
            self.rows.push(Fate {
                emitted_by: self.sender_life,
                ..Fate::default()
            });
        }
        self.push(edge_idx, Item::Rows(delivery(source, &rows)));
    }

    fn end(&mut self, edge_idx: usize, source: TaskId) {
        self.ends.insert((edge_idx, source));
        self.push(edge_idx, Item::Mark(Mark::End(source)));
    }

    fn push(&mut self, edge_idx: usize, item: Item) {
        self.outlets[edge_idx].push_back(item);
        self.sender.wake(edge_idx);
    }

    fn connect(&mut self) {
        if self.up {
            return;
        }
        let stream = self.receiver.open(Self::fence(self.sender_life));
        if self.known_life != self.sender_life {
            // The new incarnation's tasks begin anew.
            self.known_life = self.sender_life;
            self.ended.clear();
        }
        self.sender
            .open(Self::fence(self.receiver_life), self.receiver.window());
        self.up = true;
        self.pipes.push(Pipe {
            stream,
            receiver_life: self.receiver_life,
            ..Pipe::default()
        });
    }

    fn send(&mut self) {
        let full = self
            .pipes
            .last()
            .is_some_and(|pipe| pipe.frames.len() >= PIPE);
        if full && self.up {
            return;
        }
        let (mut payload, mut refused) = (Vec::new(), Vec::new());
        let outlets = &mut self.outlets;
        let take = |edge_idx: usize| outlets[edge_idx].pop_front();
        let number = self
            .sender
            .next_frame(self.now, &mut payload, take, &mut refused);
        assert!(refused.is_empty());
        if let Some(number) = number {
            assert!(self.up, "frames go out on open streams only");
            assert!(payload.len() <= 64 * 1024 + 32, "{} bytes", payload.len());
            self.pipes
                .last_mut()
                .unwrap()
                .frames
                .push_back((number, payload));
        }
    }

    /// A frame reaches the receiver, on any of the pipes: the older ones are to be refused.
    fn arrive(&mut self) {
        if self.pipes.is_empty() {
            return;
        }
        let last = self.pipes.len() - 1;
        let late = (0..last).filter(|at| !self.pipes[*at].frames.is_empty());
        let late: Vec<usize> = late.collect();
        let at = match self.rng.usize(..4) {
            0 if !late.is_empty() => late[self.rng.usize(..late.len())],
            _ => last,
        };
        let (newest, life) = (at == last, self.receiver_life);
        let pipe = &mut self.pipes[at];
        let Some((number, payload)) = pipe.frames.pop_front() else {
            return;
        };
        if pipe.deaf || pipe.receiver_life != life {
            return;
        }
        match self
            .receiver
            .take_frame(pipe.stream, number, &payload, self.now)
        {
            Ok(()) => assert!(newest, "a replaced stream is refused"),
            Err(LinkError::StaleStream { .. }) if !newest => self.n_stale += 1,
            Err(error) => panic!("{error}"),
        }
    }

    fn deliver(&mut self, generous: bool) {
        let (rng, rows, last, ended) = (
            &mut self.rng,
            &mut self.rows,
            &mut self.last,
            &mut self.ended,
        );
        let (life, known_life) = (self.receiver_life, self.known_life);
        let Some(pipe) = self.pipes.last_mut() else {
            return;
        };
        let all_queued = &mut pipe.queued;
        self.receiver.deliver(|edge_idx, item| {
            if !generous || rng.u32(0..4) == 0 {
                return Err(item);
            }
            match item {
                Item::Mark(Mark::End(task)) => {
                    assert!(ended.insert((edge_idx, task)), "an end is queued once");
                }
                Item::Rows(delivery) => {
                    note_queued(rows, &delivery, life, known_life);
                    for (source, id) in ids_of(&delivery) {
                        assert!(!ended.contains(&(edge_idx, source)), "rows precede the end");
                        let before = last.insert((edge_idx, source), id);
                        assert!(before < Some(id), "rows of one task keep their order");
                        all_queued.entry(edges()[edge_idx]).or_default().push(id);
                    }
                }
            }
            Ok(())
        });
        let mut news = Vec::new();
        self.receiver.take_news(usize::MAX, &mut news);
        if !news.is_empty() {
            let n_rows = |edge| pipe.queued.get(edge).map_or(0, Vec::len);
            let news = news
                .iter()
                .map(|(edge, n)| (*edge, *n, n_rows(edge)))
                .collect();
            pipe.replies.push_back(news);
        }
    }

    /// A reply reaches the sender.
    fn reply_arrives(&mut self) {
        if !self.up {
            return;
        }
        let pipe = self.pipes.last_mut().unwrap();
        let Some(news) = pipe.replies.pop_front() else {
            return;
        };
        for (edge, n_sections, n_rows) in news {
            self.sender.confirm(edge, n_sections).unwrap();
            for id in pipe.queued.entry(edge).or_default().iter().take(n_rows) {
                self.rows[*id as usize].confirmed = true;
            }
        }
    }

    fn break_at_sender(&mut self) {
        let mut lost = Vec::new();
        self.sender.close(&mut lost);
        self.up = false;
        self.n_breaks += 1;
        note_lost(&mut self.rows, &lost);
    }

    fn break_at_receiver(&mut self) {
        let life = self.receiver_life;
        let Some(pipe) = self.pipes.last_mut() else {
            return;
        };
        if pipe.receiver_life == life {
            self.receiver.close(pipe.stream);
        }
        pipe.deaf = true;
        assert_eq!(self.receiver.waiting_bytes(), 0);
        // The sender hears of it in its own time.
        if self.rng.bool() {
            self.break_at_sender();
        }
    }

    fn restart_receiver(&mut self) {
        self.receiver = DataReceiver::new(&edges(), schemas(), WINDOW, MAX_TUPLE_BYTES);
        self.receiver_life += 1;
        self.last.clear();
        self.ended.clear();
        if let Some(pipe) = self.pipes.last_mut() {
            pipe.deaf = true;
        }
    }

    fn restart_sender(&mut self) {
        self.sender = DataSender::new(&edges(), schemas(), MAX_TUPLE_BYTES);
        self.sender_life += 1;
        self.up = false;
        self.outlets.iter_mut().for_each(VecDeque::clear);
        self.ends.clear();
    }

    fn check_bounds(&self) {
        let n_edges = edges().len();
        let most = n_edges * (MAX_TUPLE_BYTES + WINDOW);
        let load = self.sender.load();
        assert!(load.unconfirmed_bytes <= most && self.receiver.waiting_bytes() <= most);
        assert!(load.n_roots * size_of::<RootId>() <= load.unconfirmed_bytes);
    }

    /// Lets everything arrive, and looks at what became of it.
    fn finish(&mut self) {
        for (edge_idx, source) in (0..3).flat_map(|edge_idx| SOURCES.map(|s| (edge_idx, s))) {
            if !self.ends.contains(&(edge_idx, source)) {
                self.end(edge_idx, source);
            }
        }
        self.break_at_sender();
        self.connect();
        for _ in 0..20_000 {
            self.send();
            let last = self.pipes.len() - 1;
            self.pipes[..last]
                .iter_mut()
                .for_each(|pipe| pipe.frames.clear());
            self.arrive();
            self.deliver(true);
            self.reply_arrives();
            let load = self.sender.load();
            if load.n_busy_edges == 0 && self.outlets.iter().all(VecDeque::is_empty) {
                break;
            }
        }
        assert_eq!(
            self.sender.load(),
            Default::default(),
            "everything is confirmed"
        );
        assert_eq!(self.receiver.waiting_bytes(), 0);
        assert_eq!(self.ended.len(), 6, "the receiver knows of every end");
        for (id, fate) in self.rows.iter().enumerate() {
            // What died with its sender died with its root's owner, or is that one's to know.
            if fate.emitted_by == self.sender_life {
                assert!(
                    fate.queued_in.is_some() || fate.n_lost > 0,
                    "row {id} is lost and nobody knows: {fate:?}"
                );
            }
            assert!(fate.n_lost <= 1, "row {id} is given up once");
        }
    }
}

fn note_queued(rows: &mut [Fate], delivery: &Delivery, life: u64, sender_life: u64) {
    for (_, id) in ids_of(delivery) {
        let fate = &mut rows[id as usize];
        assert_eq!(fate.queued_in, None, "row {id} is queued once");
        assert_eq!(fate.emitted_by, sender_life, "row {id} is of an old sender");
        fate.queued_in = Some(life);
    }
}

fn note_lost(rows: &mut [Fate], lost: &[RootId]) {
    let mut told: BTreeMap<u32, usize> = BTreeMap::new();
    for root in lost {
        *told.entry(root.slot).or_default() += 1;
    }
    for (id, n_roots) in told {
        assert_eq!(n_roots, roots_of(id).as_slice().len(), "all its trees");
        let fate = &mut rows[id as usize];
        assert!(!fate.confirmed, "row {id} was confirmed");
        fate.n_lost += 1;
    }
}

#[test]
fn every_row_is_queued_once_or_given_up() {
    let (mut n_rows, mut n_lost, mut n_both, mut n_stale, mut n_breaks) = (0, 0, 0, 0, 0);
    for seed in 0..150 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.run();
        world.finish();
        n_rows += world.rows.len();
        n_lost += world.rows.iter().filter(|fate| fate.n_lost > 0).count();
        n_both += world
            .rows
            .iter()
            .filter(|fate| fate.n_lost > 0 && fate.queued_in.is_some())
            .count();
        n_stale += world.n_stale;
        n_breaks += world.n_breaks;
    }
    println!(
        "{n_rows} rows, {n_lost} given up, {n_both} of them queued; {n_stale} stale frames, {n_breaks} breaks"
    );
    // The simulation is worth something only if these happen.
    assert!(n_lost > 1000 && n_both > 100 && n_stale > 80 && n_breaks > 500);
    assert!(n_both < n_lost / 2 && n_lost < n_rows / 4);
}
