//! Words: each is heard once or its root fails, whatever breaks when.

use std::collections::{BTreeMap, VecDeque};

use squall_core::engine::{Contribution, RootId, Word};
use squall_core::{Failure, FailureReason, TaskId};
use squall_transport::link::{AckReceiver, AckSender, LinkError};

/// One stream's pipe.
#[derive(Default)]
struct Pipe {
    stream: u64,
    frames: VecDeque<(u64, Vec<u8>)>,
    replies: VecDeque<u64>,
    deaf: bool,
}

/// What was said of a root, and what its owner has heard.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// Each XOR that is said is a power of two that no other one of the root is.
    xors: u64,
    heard: u64,
    failed: bool,
    heard_fail: bool,
}

struct World {
    rng: fastrand::Rng,
    sender: AckSender,
    receiver: AckReceiver,
    pipes: Vec<Pipe>,
    up: bool,
    roots: BTreeMap<u32, Said>,
    n_stale: usize,
}

fn lost() -> Failure {
    Failure::new(
        FailureReason::Rejected,
        Some("count".into()),
        "no such word",
    )
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            sender: AckSender::new(),
            receiver: AckReceiver::new(),
            pipes: Vec::new(),
            up: false,
            roots: BTreeMap::new(),
            n_stale: 0,
        }
    }

    fn run(&mut self) {
        for step in 0..2500 {
            match self.rng.u32(0..100) {
                0..40 => self.say(step),
                40..60 => self.send(),
                60..78 => self.arrive(),
                78..92 => self.reply_arrives(),
                92 if self.rng.u32(0..3) == 0 => self.break_at_sender(),
                93 if self.rng.u32(0..3) == 0 => self.break_at_receiver(),
                _ => self.connect(),
            }
        }
    }

    fn say(&mut self, step: u32) {
        // A window of roots that moves on: most get several words.
        let slot = step / 20 + self.rng.u32(0..10);
        let said = self.roots.entry(slot).or_default();
        let word = match self.rng.u32(0..20) {
            0 => {
                said.failed = true;
                Word::Fail(Box::new(lost()))
            }
            1 => Word::Waiting,
            _ => {
                let next = said.xors + 1;
                said.xors |= next;
                Word::Xor(next)
            }
        };
        let mut words = vec![Contribution {
            slot,
            generation: 1 << 50,
            word,
        }];
        self.sender.push(TaskId(4), &mut words);
    }

    fn connect(&mut self) {
        if self.up {
            return;
        }
        let stream = self.receiver.open();
        self.sender.open();
        self.up = true;
        self.pipes.push(Pipe {
            stream,
            ..Pipe::default()
        });
    }

    fn send(&mut self) {
        let mut payload = Vec::new();
        if let Some(number) = self.sender.next_frame(&mut payload) {
            assert!(self.up);
            self.pipes
                .last_mut()
                .unwrap()
                .frames
                .push_back((number, payload));
        }
    }

    fn arrive(&mut self) {
        if self.pipes.is_empty() {
            return;
        }
        let last = self.pipes.len() - 1;
        let late = (0..last).filter(|at| !self.pipes[*at].frames.is_empty());
        let late: Vec<usize> = late.collect();
        let at = match self.rng.usize(..20) {
            0 if !late.is_empty() => late[self.rng.usize(..late.len())],
            _ => last,
        };
        let newest = at == last;
        let pipe = &mut self.pipes[at];
        let Some((number, payload)) = pipe.frames.pop_front() else {
            return;
        };
        if pipe.deaf {
            return;
        }
        let mut words = Vec::new();
        match self
            .receiver
            .take_frame(pipe.stream, number, &payload, &mut words)
        {
            Ok(()) => {
                assert!(newest, "a replaced stream is refused");
                pipe.replies.push_back(self.receiver.n_taken());
            }
            Err(LinkError::StaleStream { .. }) if !newest => self.n_stale += 1,
            Err(error) => panic!("{error}"),
        }
        for (owner, contribution) in words {
            assert_eq!((owner, contribution.generation), (TaskId(4), 1 << 50));
            let said = self.roots.get_mut(&contribution.slot).unwrap();
            match contribution.word {
                Word::Xor(xor) => {
                    assert_eq!(said.heard & xor, 0, "no XOR is heard twice");
                    said.heard |= xor;
                }
                Word::Fail(_) => said.heard_fail = true,
                Word::Waiting | Word::Hold | Word::Release => {}
            }
        }
    }

    fn reply_arrives(&mut self) {
        if self.up
            && let Some(number) = self.pipes.last_mut().unwrap().replies.pop_front()
        {
            self.sender.confirm(number).unwrap();
        }
    }

    fn break_at_sender(&mut self) {
        self.sender.close();
        self.up = false;
    }

    fn break_at_receiver(&mut self) {
        if let Some(pipe) = self.pipes.last_mut() {
            self.receiver.close(pipe.stream);
            pipe.deaf = true;
            self.break_at_sender();
        }
    }

    fn finish(&mut self) {
        self.break_at_sender();
        self.connect();
        for _ in 0..1000 {
            self.send();
            let last = self.pipes.len() - 1;
            self.pipes[..last]
                .iter_mut()
                .for_each(|pipe| pipe.frames.clear());
            self.arrive();
            self.reply_arrives();
        }
        assert_eq!(self.sender.load(), (0, 0), "everything is confirmed");
        for (slot, said) in &self.roots {
            assert!(
                said.heard_fail || said.heard == said.xors,
                "root {slot} waits for ever: {said:?}"
            );
            assert!(
                said.heard_fail || !said.failed,
                "root {slot} has failed: {said:?}"
            );
        }
    }
}

#[test]
fn every_word_is_heard_once_or_its_root_fails() {
    let (mut n_roots, mut n_spurious, mut n_stale) = (0, 0, 0);
    for seed in 0..300 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.run();
        world.finish();
        n_roots += world.roots.len();
        let fails = world.roots.values().filter(|said| said.heard_fail);
        n_spurious += fails.filter(|said| !said.failed).count();
        n_stale += world.n_stale;
    }
    println!("{n_roots} roots, {n_spurious} failed with their link, {n_stale} stale frames");
    assert!(n_spurious > 1000 && n_spurious < n_roots / 2 && n_stale > 500);
}

#[test]
fn too_much_under_way_waits_and_merges() {
    let mut sender = AckSender::new();
    sender.open();
    let root = |slot| RootId {
        task: TaskId(1),
        slot,
        generation: 7,
    };
    let mut n_frames = 0;
    for _ in 0..200 {
        let mut words: Vec<Contribution> = (0..5000)
            .map(|slot| Contribution {
                slot: root(slot).slot,
                generation: 7,
                word: Word::Xor(1),
            })
            .collect();
        sender.push(TaskId(1), &mut words);
        assert!(words.is_empty());
        while sender.next_frame(&mut Vec::new()).is_some() {
            n_frames += 1;
        }
    }
    let (n_words, n_bytes) = sender.load();
    assert!(n_bytes < (1 << 20) + 65_536 && n_frames < 25, "{n_bytes}");
    assert!(n_words <= 4 * 5000, "{n_words}");
    sender.confirm(n_frames).unwrap();
    assert!(sender.next_frame(&mut Vec::new()).is_some());
    assert!(matches!(
        sender.confirm(n_frames + 2),
        Err(LinkError::WrongConfirmation { .. })
    ));
}
