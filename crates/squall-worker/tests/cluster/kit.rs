//! What the tests stand on.

mod cluster;
mod nimbus;
mod node;
mod serving;
mod supervisor;
mod topology;

use std::net::TcpListener;
use std::time::Duration;

use squall_core::{Clock, Moment};
use squall_proto::{Address, ClusterId};
use tokio::time::{Instant, interval, timeout};

pub(crate) use cluster::Cluster;
pub(crate) use nimbus::{FakeNimbus, Trick};
pub(crate) use node::Node;
pub(crate) use serving::Serving;
pub(crate) use supervisor::FakeSupervisor;
pub(crate) use topology::{Oracle, topology};

/// How long anything may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The cluster that everybody here belongs to.
pub(crate) const CLUSTER: ClusterId = ClusterId::new([7; 16]);

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        let mut ticks = interval(Duration::from_millis(5));
        while !is_so() {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
}

/// Returns an address that nobody listens at.
pub(crate) fn free_address() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Address::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap()
}

/// Tells tokio's time, which tests may hold still.
pub(crate) struct TokioClock(Instant);

impl TokioClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Moment {
        Moment::ZERO + self.0.elapsed()
    }

    fn unix_ms(&self) -> u64 {
        0
    }
}
