//! A random life, in virtual time: puts, acks, failures, faults, reshards, clean stops and kills, checked
//! step by step against plain lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use squall_kinesis::ErrorClass;

use crate::driver::{Driver, Emitted, Setup};
use crate::fake::{Fake, Fault, Op, shard_id};
use crate::rejected;
use crate::world::world;

/// What a shard has to do by the words of the specification.
#[derive(Default)]
struct Model {
    /// What was put, in order.
    put: Vec<String>,
    parents: Vec<u64>,
    acked: BTreeSet<String>,
    /// How many of the first records a clean stop has found done: they must not come again.
    n_saved: usize,
    /// The first record that the present run emitted, and the one behind the last.
    emitted: Option<(usize, usize)>,
    /// What the present run has acked.
    acked_now: BTreeSet<String>,
    closed: bool,
}

struct Life {
    rng: Rng,
    fake: Arc<Fake>,
    setup: Setup,
    driver: Option<Driver>,
    shards: BTreeMap<u64, Model>,
    /// Emitted by the present run and without a verdict.
    open: Vec<Emitted>,
    n_put: u64,
}

impl Model {
    fn n_done(&self) -> usize {
        let done = |data: &&String| self.acked.contains(*data);
        self.put.iter().take_while(done).count()
    }

    fn is_done(&self) -> bool {
        self.n_done() == self.put.len()
    }

    /// How many of the first records the present run's checkpoint covers.
    fn n_covered(&self) -> usize {
        let Some((first, _)) = self.emitted else {
            return 0;
        };
        let done = |data: &&String| self.acked_now.contains(*data);
        first + self.put[first..].iter().take_while(done).count()
    }
}

impl Life {
    fn new(seed: u64) -> Self {
        let (fake, _, mut setup) = world(2);
        setup.config.page_records = 7.try_into().unwrap();
        setup.config.replay.backoff_cap = squall_core::HumanDuration::from_millis(400);
        Self {
            rng: Rng::with_seed(seed),
            driver: Some(setup.start()),
            shards: (0..2).map(|n| (n, Model::default())).collect(),
            fake,
            setup,
            open: Vec::new(),
            n_put: 0,
        }
    }

    fn driver(&mut self) -> &mut Driver {
        self.driver.as_mut().unwrap()
    }

    async fn step(&mut self) {
        match self.rng.u8(0..20) {
            0..6 => self.put(),
            6..12 => self.run().await,
            12..15 => self.judge(),
            15 => self.reshard(),
            16 => self.break_something(),
            17 => self
                .fake
                .set_iterator_life(Duration::from_millis(self.rng.u64(300..5000))),
            18 => self.stop().await,
            _ => self.kill(),
        }
    }

    fn put(&mut self) {
        let open: Vec<u64> = self.open_shards();
        let shard = open[self.rng.usize(..open.len())];
        for _ in 0..self.rng.usize(1..20) {
            let data = format!("s{shard}r{}", self.n_put);
            self.n_put += 1;
            self.fake.put(shard, &data);
            self.shards.get_mut(&shard).unwrap().put.push(data);
        }
    }

    async fn run(&mut self) {
        let time = Duration::from_millis(self.rng.u64(1..3000));
        let emits = self.driver().run_for(time).await;
        for emitted in emits {
            self.check(&emitted);
            self.open.push(emitted);
        }
    }

    fn check(&mut self, emitted: &Emitted) {
        let n = emitted
            .shard()
            .trim_start_matches("shardId-")
            .parse()
            .unwrap();
        let data = emitted.data();
        let parents = self.shards[&n].parents.clone();
        for parent in parents {
            assert!(
                self.shards[&parent].is_done(),
                "{data} before its parent's end"
            );
        }
        let shard = self.shards.get_mut(&n).unwrap();
        let idx = shard.put.iter().position(|put| *put == data).unwrap();
        assert!(
            idx >= shard.n_saved,
            "{data} was done when the last run stopped"
        );
        if emitted.attempt() == 1 {
            let (first, next) = shard.emitted.unwrap_or((idx, idx));
            assert_eq!(idx, next, "{data} out of order");
            shard.emitted = Some((first, idx + 1));
        }
    }

    /// Gives verdicts on some of what is open.
    fn judge(&mut self) {
        for emitted in std::mem::take(&mut self.open) {
            match self.rng.u8(0..10) {
                0..7 => self.ack(&emitted),
                7 => self.driver().fail(&emitted, &rejected()),
                _ => self.open.push(emitted),
            }
        }
    }

    fn ack(&mut self, emitted: &Emitted) {
        self.driver().ack(emitted);
        let n: u64 = emitted
            .shard()
            .trim_start_matches("shardId-")
            .parse()
            .unwrap();
        self.shards
            .get_mut(&n)
            .unwrap()
            .acked
            .insert(emitted.data());
    }

    fn reshard(&mut self) {
        let open = self.open_shards();
        let next = u64::try_from(self.shards.len()).unwrap();
        let (parents, children) = if open.len() > 3 {
            (open[..2].to_vec(), vec![next])
        } else {
            (vec![open[0]], vec![next, next + 1])
        };
        if next > 12 {
            return;
        }
        self.fake.reshard(&parents, &children);
        for parent in &parents {
            self.shards.get_mut(parent).unwrap().closed = true;
        }
        for child in children {
            let model = Model {
                parents: parents.clone(),
                ..Model::default()
            };
            self.shards.insert(child, model);
        }
    }

    fn break_something(&mut self) {
        let ops = [Op::List, Op::Iterator, Op::Records];
        let classes = [ErrorClass::Transient, ErrorClass::Throttled];
        let op = ops[self.rng.usize(..ops.len())];
        let class = classes[self.rng.usize(..classes.len())];
        let n = self.rng.usize(1..4);
        self.fake.fail_next(op, None, Fault::Error(class), n);
        if self.rng.bool() {
            self.fake
                .fail_next(Op::Records, None, Fault::NullIterator, 1);
        }
    }

    async fn stop(&mut self) {
        self.driver.take().unwrap().close().await;
        for shard in self.shards.values_mut() {
            shard.n_saved = shard.n_saved.max(shard.n_covered());
        }
        self.start();
    }

    fn kill(&mut self) {
        self.driver.take().unwrap().kill();
        self.start();
    }

    fn start(&mut self) {
        self.open.clear();
        self.driver = Some(self.setup.start());
        for shard in self.shards.values_mut() {
            shard.emitted = None;
            shard.acked_now.clear();
        }
    }

    fn open_shards(&self) -> Vec<u64> {
        let open = self.shards.iter().filter(|(_, shard)| !shard.closed);
        open.map(|(n, _)| *n).collect()
    }

    /// Acks all that comes until nothing is left.
    async fn live_on(&mut self) {
        for _ in 0..200 {
            self.run().await;
            for emitted in std::mem::take(&mut self.open) {
                self.ack(&emitted);
            }
            if self.shards.values().all(Model::is_done) {
                return;
            }
        }
        let missing = self.shards.values().map(|s| s.put.len() - s.n_done());
        panic!("{} records never came", missing.sum::<usize>());
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_in_a_random_life() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut life = Life::new(seed);
        for _ in 0..120 {
            life.step().await;
        }
        life.live_on().await;
        let finished = life.shards.iter().filter(|(_, shard)| shard.closed);
        let finished: Vec<_> = finished.map(|(n, _)| shard_id(*n)).collect();
        life.driver().run_for(Duration::from_secs(60)).await;
        for shard in finished {
            let state = life.driver().metric("state", shard.as_str());
            // One that an earlier run has finished has no state in this one.
            assert!(state == 3 || state == 0, "{shard} is {state}");
        }
        life.stop().await;
        assert!(
            life.driver()
                .run_for(Duration::from_secs(5))
                .await
                .is_empty()
        );
    }
}
