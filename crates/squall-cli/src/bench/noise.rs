//! How late the machine wakes who sleeps: what any latency on it has in it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use squall::{Clock, Moment, Result};
use squall_runtime::SystemClock;

use super::latencies::Latencies;

/// How many times it is tried.
const N_PINGS: u32 = 1000;
/// How long both are idle between two pings.
const PAUSE: Duration = Duration::from_millis(1);

/// How long what was found holds.
const HOLDS_FOR: Duration = Duration::from_secs(60);

/// How late the machine was last found to be.
#[derive(Debug, Default)]
pub(super) struct Noise {
    clock: SystemClock,
    last: Option<(Moment, u64)>,
}

impl Noise {
    /// Returns the 99th percentile of a [`ping_pong`] that is at most a minute old, in microseconds. Nothing else of
    /// this process may run.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn p99_us(&mut self) -> Result<u64> {
        let now = self.clock.now();
        match self.last {
            Some((at, us)) if now.since(at) < HOLDS_FOR => Ok(us),
            _ => {
                let us = ping_pong()?.value_us(0.99);
                self.last = Some((now, us));
                Ok(us)
            }
        }
    }
}

/// Sends single bytes over loopback from one idle thread to another and back. Returns how long each took;
/// blocks for some two seconds.
///
/// # Errors
/// What the system says.
pub(super) fn ping_pong() -> Result<Latencies> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut byte = [0];
        while far.read_exact(&mut byte).is_ok() && far.write_all(&byte).is_ok() {}
    });
    let clock = SystemClock::new();
    let mut latencies = Latencies::default();
    let mut byte = [0];
    for _ in 0..N_PINGS {
        thread::park_timeout(PAUSE);
        let sent = clock.now();
        near.write_all(&byte)?;
        near.read_exact(&mut byte)?;
        let took = clock.now().since(sent);
        latencies.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
    drop(near);
    echo.join().map_err(|_| "the echo has panicked")?;
    Ok(latencies)
}
