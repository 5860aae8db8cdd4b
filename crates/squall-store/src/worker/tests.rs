//! A disk that fails, and a thread that panics, under the worker.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::*;

const OURS: Fence = Fence {
    placement_epoch: 1,
    incarnation: 1,
};

/// What the disk does with writes.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Well,
    Full,
    Panics,
}

/// A disk in memory that outlives the database on it.
#[derive(Clone, Debug)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    mood: Arc<AtomicU8>,
}

impl Disk {
    fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        match self.mood.load(Ordering::SeqCst) {
            mood if mood == Mood::Full as u8 => Err(io::Error::other("the disk is full")),
            mood if mood == Mood::Panics as u8 => panic!("told to panic"),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.bytes.lock().unwrap()[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        let len = usize::try_from(len).unwrap();
        self.bytes.lock().unwrap().resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        let offset = usize::try_from(offset).unwrap();
        self.bytes.lock().unwrap()[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// A worker on a disk that can be told to fail.
struct Bench {
    disk: Disk,
    requests: Option<SyncSender<Request>>,
    worker: Option<std::thread::JoinHandle<()>>,
}

impl Bench {
    fn new() -> Self {
        let disk = Disk {
            bytes: Arc::default(),
            mood: Arc::new(AtomicU8::new(Mood::Well as u8)),
        };
        let (requests, queue) = sync_channel(MAX_QUEUED);
        let again = disk.clone();
        let open = move || {
            let opened = redb::Builder::new().create_with_backend(again.clone());
            opened.map_err(|error| OpenError::explain("disk".as_ref(), error))
        };
        let database = open().unwrap();
        let made = database.begin_write().unwrap();
        made.open_table(TABLE).unwrap();
        made.commit().unwrap();
        let worker = std::thread::spawn(move || run(database, open, &queue));
        Self {
            disk,
            requests: Some(requests),
            worker: Some(worker),
        }
    }

    fn ask<T>(&self, make: impl FnOnce(Answer<T>) -> Request) -> Result<T, StoreError> {
        let (answer, mut answered) = oneshot::channel();
        self.requests.as_ref().unwrap().send(make(answer)).unwrap();
        loop {
            match answered.try_recv() {
                Ok(Some(answer)) => return answer,
                Ok(None) => std::thread::yield_now(),
                Err(_) => return Err(StoreError::Unavailable("no answer".to_owned())),
            }
        }
    }

    fn put(&self, expected: Option<u64>, value: &str) -> Result<Vec<u64>, StoreError> {
        let write = Write {
            key: "a".to_owned(),
            expected,
            value: Some(value.into()),
        };
        self.ask(|answer| Request::Commit {
            fence: OURS,
            writes: vec![write],
            answer,
        })
    }

    fn get(&self) -> Result<Option<Entry>, StoreError> {
        self.ask(|answer| Request::Load {
            key: "a".to_owned(),
            answer,
        })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.requests.take());
        self.worker.take().unwrap().join().unwrap();
    }
}

#[test]
fn what_goes_wrong_costs_a_transaction_and_not_the_store() {
    for mood in [Mood::Full, Mood::Panics] {
        let bench = Bench::new();
        assert_eq!(bench.put(None, "first").unwrap(), [1]);
        bench.disk.set(mood);
        for _ in 0..3 {
            let refused = bench.put(Some(1), "second");
            assert!(
                matches!(refused, Err(StoreError::Unavailable(_))),
                "{mood:?}: {refused:?}"
            );
        }
        bench.disk.set(Mood::Well);
        let entry = bench.get().unwrap().unwrap();
        // Nobody knows whether a commit was done that went wrong; all or nothing of it was.
        assert!(
            (entry.version == 1 && entry.value == b"first")
                || (entry.version == 2 && entry.value == b"second"),
            "{entry:?}"
        );
        let version = entry.version + 1;
        assert_eq!(bench.put(Some(entry.version), "third").unwrap(), [version]);
        assert_eq!(bench.get().unwrap().unwrap().value, b"third");
    }
}

#[test]
fn what_waits_behind_a_failure_is_answered() {
    let bench = Bench::new();
    bench.disk.set(Mood::Full);
    let mut waiting = Vec::new();
    for n in 0..100 {
        let (answer, answered) = oneshot::channel();
        let write = Write {
            key: format!("k{n}"),
            expected: None,
            value: Some(Vec::new()),
        };
        let request = Request::Commit {
            fence: OURS,
            writes: vec![write],
            answer,
        };
        bench.requests.as_ref().unwrap().send(request).unwrap();
        waiting.push(answered);
    }
    for mut answered in waiting {
        let refused = loop {
            match answered.try_recv() {
                Ok(None) => std::thread::yield_now(),
                Ok(Some(answer)) => break answer,
                Err(_) => break Err(StoreError::Unavailable("no answer".to_owned())),
            }
        };
        assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    }
}
