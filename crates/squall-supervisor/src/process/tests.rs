//! Real processes: short scripts in place of workers.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{interval, timeout};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A slot's directory with a script that stands for the worker.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new(script: &str) -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let program = place.path("worker");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self) -> Watched {
        let lock = try_lock(&self.path("lock")).unwrap().expect("it is free");
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("output"))
            .unwrap();
        let child = start(Start {
            program: &self.path("worker"),
            launch_file: &self.path("launch"),
            directory: self.directory.path(),
            cookie: "c0",
            lock,
            output,
        })
        .unwrap();
        Watched::child(child).unwrap()
    }

    /// Waits for what the script writes.
    async fn output(&self, expected: &str) {
        let written = async {
            let mut ticks = interval(Duration::from_millis(5));
            while fs::read_to_string(self.path("output")).unwrap() != expected {
                ticks.tick().await;
            }
        };
        timeout(PATIENCE, written).await.expect("the script writes");
    }
}

async fn ended(watched: &mut Watched) -> String {
    timeout(PATIENCE, watched.ended())
        .await
        .expect("it ends")
        .unwrap()
}

#[tokio::test]
async fn a_worker_gets_its_arguments_cookie_and_directory() {
    let place = Place::new("echo \"$1 $2 $3 $SQUALL_COOKIE $(pwd)\"; echo oops >&2; exit 3");
    let mut watched = place.start();
    assert_eq!(ended(&mut watched).await, "ended with exit status 3");
    let expected = format!(
        "worker --launch {} c0 {}\noops\n",
        place.path("launch").display(),
        place.directory.path().canonicalize().unwrap().display()
    );
    place.output(&expected).await;
}

#[tokio::test]
async fn the_lock_is_the_workers_for_as_long_as_it_lives() {
    let place = Place::new("echo up; read line < /dev/zero & wait");
    let mut watched = place.start();
    place.output("up\n").await;
    assert!(try_lock(&place.path("lock")).unwrap().is_none());
    let holders = holders(&place.path("lock")).unwrap();
    assert!(holders.contains(&watched.process()), "{holders:?}");
    let workers = holders
        .iter()
        .filter(|process| is_worker(**process, "c0").unwrap());
    assert_eq!(workers.collect::<Vec<_>>(), [&watched.process()]);
    assert!(!is_worker(watched.process(), "c1").unwrap());
    watched.kill().unwrap();
    let reason = ended(&mut watched).await;
    assert!(reason.starts_with("killed by signal 9"), "{reason}");
    // What it had started went with it: nobody holds the lock.
    let free = async {
        let mut ticks = interval(Duration::from_millis(5));
        while try_lock(&place.path("lock")).unwrap().is_none() {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, free).await.expect("the lock is free");
}

#[tokio::test]
async fn children_of_a_worker_that_ends_are_killed() {
    let place = Place::new("sleep 1000 & echo $!");
    let mut watched = place.start();
    assert_eq!(ended(&mut watched).await, "ended with exit status 0");
    let gone = async {
        let mut ticks = interval(Duration::from_millis(5));
        while !holders(&place.path("lock")).unwrap().is_empty() {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("nothing is left");
}

#[tokio::test]
async fn an_adopted_process_is_told_from_another_with_its_number() {
    let place = Place::new("echo up; exec sleep 1000");
    let mut own = place.start();
    place.output("up\n").await;
    let process = own.process();
    let mut adopted = Watched::adopted(process).unwrap().expect("it runs");
    let later = crate::slots::Process {
        start_ticks: process.start_ticks + 1,
        ..process
    };
    assert!(Watched::adopted(later).unwrap().is_none());
    adopted.terminate().unwrap();
    let reason = ended(&mut adopted).await;
    assert!(reason.contains("exit status is unknown"), "{reason}");
    let reason = ended(&mut own).await;
    assert_eq!(reason, "killed by signal 15 (SIGTERM)");
    assert!(Watched::adopted(process).unwrap().is_none());
    // Signals to who is gone go nowhere.
    adopted.kill().unwrap();
}

#[tokio::test]
async fn an_exit_is_seen_at_once() {
    let place = Place::new("echo up; exec sleep 1000");
    let mut watched = place.start();
    place.output("up\n").await;
    watched.kill().unwrap();
    let seen = timeout(Duration::from_millis(200), watched.ended()).await;
    assert!(seen.is_ok());
}
