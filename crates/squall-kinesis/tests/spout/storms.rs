//! Random outages of the checkpoint store under random acks, kills and copies: no checkpoint ever goes
//! back or passes a record that isn't acked. In virtual time.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use squall_core::{CheckpointStore, HumanDuration};
use squall_kinesis::Sequence;

use crate::audit::{Audit, Mood};
use crate::driver::{Driver, Emitted, Setup};
use crate::fake::{Fake, shard_id};
use crate::rejected;

const N_SHARDS: u64 = 3;

/// A copy of the task, and what it has emitted without a verdict.
struct Copy {
    driver: Driver,
    open: Vec<Emitted>,
}

struct Storm {
    rng: Rng,
    fake: Arc<Fake>,
    store: Arc<Audit>,
    setup: Setup,
    /// The newest last; the others should have ended, and don't know.
    copies: Vec<Copy>,
    n_put: u64,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let fake = Arc::new(Fake::new(N_SHARDS));
        fake.allow_copies();
        let store = Arc::new(Audit::new(&fake, seed));
        let mut setup = Setup::fake(&fake, Arc::clone(&store) as Arc<dyn CheckpointStore>);
        setup.config.page_records = 7.try_into().unwrap();
        setup.config.max_uncheckpointed = 20.try_into().unwrap();
        setup.config.replay.backoff_cap = HumanDuration::from_millis(400);
        // In the machine's time, for a store that won't answer.
        setup.config.close_timeout = HumanDuration::from_millis(5);
        let mut storm = Self {
            rng: Rng::with_seed(seed),
            fake,
            store,
            setup,
            copies: Vec::new(),
            n_put: 0,
        };
        storm.start();
        storm
    }

    fn start(&mut self) {
        let driver = self.setup.start();
        let open = Vec::new();
        self.copies.push(Copy { driver, open });
    }

    async fn step(&mut self) {
        match self.rng.u8(0..20) {
            0..5 => self.put(),
            5..11 => self.run().await,
            11..14 => self.judge(),
            14 => self.store.set(Mood::Well),
            15 => self.store.set(Mood::Away),
            16 => self.store.set(Mood::Wild),
            17 => self.replace().await,
            18 => {
                // A newer copy, while the old one goes on for a while.
                self.setup.fence.placement_epoch += 1;
                self.start();
            }
            _ => self.drop_oldest(),
        }
    }

    fn put(&mut self) {
        for _ in 0..self.rng.u32(1..20) {
            self.n_put += 1;
            let shard = self.rng.u64(0..N_SHARDS);
            self.fake.put(shard, &format!("r{}", self.n_put));
        }
    }

    async fn run(&mut self) {
        for idx in 0..self.copies.len() {
            let time = Duration::from_millis(self.rng.u64(1..4000));
            let copy = &mut self.copies[idx];
            copy.open.extend(copy.driver.run_for(time).await);
        }
    }

    fn judge(&mut self) {
        for copy in &mut self.copies {
            for emitted in std::mem::take(&mut copy.open) {
                match self.rng.u8(0..10) {
                    0..7 => ack(&self.store, &mut copy.driver, &emitted),
                    7 => copy.driver.fail(&emitted, &rejected()),
                    _ => copy.open.push(emitted),
                }
            }
        }
    }

    /// Ends the newest copy, well or badly, and starts another.
    async fn replace(&mut self) {
        let Some(copy) = self.copies.pop() else {
            return;
        };
        if self.rng.bool() {
            copy.driver.close().await;
        } else {
            copy.driver.kill();
        }
        self.setup.fence.incarnation += self.rng.u64(0..2);
        self.start();
    }

    fn drop_oldest(&mut self) {
        if self.copies.len() > 1 {
            self.copies.remove(0).driver.kill();
        }
    }

    /// Acks all that comes until nothing is left.
    async fn calm_down(&mut self) {
        self.store.set(Mood::Well);
        while self.copies.len() > 1 {
            self.drop_oldest();
        }
        for _ in 0..200 {
            self.run().await;
            let copy = &mut self.copies[0];
            for emitted in std::mem::take(&mut copy.open) {
                ack(&self.store, &mut copy.driver, &emitted);
            }
            if (0..N_SHARDS).all(|n| self.store.is_all_saved(&shard_id(n))) {
                return;
            }
        }
        panic!("some records were never saved");
    }
}

fn ack(store: &Audit, driver: &mut Driver, emitted: &Emitted) {
    let sequence = emitted.value("sequence").as_str().unwrap();
    let shard = squall_kinesis::ShardId::new(emitted.shard());
    store.ack(&shard, Sequence::parse(sequence).unwrap());
    driver.ack(emitted);
}

#[tokio::test(start_paused = true)]
async fn no_outage_turns_a_checkpoint_back_or_skips_a_record() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut storm = Storm::new(seed);
        for _ in 0..100 {
            storm.step().await;
            storm.store.assert_right();
        }
        storm.calm_down().await;
        let Some(copy) = storm.copies.pop() else {
            panic!("one is left");
        };
        copy.driver.close().await;
        storm.start();
        let again = storm.copies[0].driver.run_for(Duration::from_secs(5)).await;
        storm.store.assert_right();
        assert!(again.is_empty(), "{} records come again", again.len());
    }
}
