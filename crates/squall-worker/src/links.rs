//! The links to the other workers: what they need of this one, and how they stand.

use std::sync::Arc;

use squall_core::engine::{LinkEvents, RootId, WorkerIdx};
use squall_core::{BoxFuture, Clock, Failure, Fence};
use squall_daemon::grpc::{ChannelLimits, endpoint};
use squall_proto::{Address, Assignment, Handshake, Launch};
use squall_transport::{Dial, LinkConfig, LinkState, LinkStatus, Peer, Ports};
use tokio::sync::watch;
use tonic::transport::{Channel, Error};

use crate::blueprint::Blueprint;

/// Connects to other workers.
pub(crate) struct Dialer;

impl Dial for Dialer {
    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Channel, Error>> {
        Box::pin(async { endpoint(address, &ChannelLimits::link())?.connect().await })
    }
}

/// Returns what the links are told when they start.
pub(crate) fn config(
    launch: &Launch,
    blueprint: &Blueprint,
    ours: Handshake,
    seed: u64,
) -> LinkConfig {
    let settings = &blueprint.spec.settings;
    LinkConfig {
        topology: launch.topology.id.clone(),
        worker: launch.worker,
        fence: launch.fence,
        handshake: ours,
        schemas: blueprint.schemas.clone(),
        max_tuple_bytes: settings.max_tuple_bytes.as_usize(),
        window_bytes: LinkConfig::WINDOW_BYTES,
        touch_every: settings.message_timeout.0 / 4,
        reconnect_base: LinkConfig::RECONNECT_BASE,
        reconnect_cap: LinkConfig::RECONNECT_CAP,
        seed,
    }
}

/// Hands the runtime's ends over to the links. That this worker is superseded is heard by `superseded` and not
/// by the runtime: the worker ends as a whole.
pub(crate) fn ports(
    ends: &squall_runtime::Ports,
    clock: Arc<dyn Clock>,
    superseded: Arc<watch::Sender<Option<Fence>>>,
) -> Ports {
    Ports {
        outlets: ends.outlets.clone(),
        inlets: ends.inlets.clone(),
        ack_outlets: ends.ack_outlets.clone(),
        ack_inlets: ends.ack_inlets.clone(),
        events: Arc::new(Events {
            runtime: ends.events.clone(),
            superseded,
        }),
        clock,
    }
}

/// Returns the workers to be linked with: all that have a place.
pub(crate) fn peers(assignment: &Assignment, me: WorkerIdx) -> Vec<Peer> {
    let others = assignment
        .workers
        .iter()
        .filter(|placement| placement.worker != me);
    let peer = |placement: &squall_proto::WorkerPlacement| Peer {
        worker: placement.worker,
        address: placement.address.clone(),
        placement_epoch: placement.placement_epoch,
        tasks: placement.tasks.clone(),
    };
    others.map(peer).collect()
}

/// Tells whether the way to each of so many peers is open.
pub(crate) fn all_stand(status: &[LinkStatus], n_peers: usize) -> bool {
    let is_up = |link: &LinkStatus| link.state == LinkState::Up;
    status.len() == n_peers && status.iter().all(is_up)
}

/// Tells whether all that this worker has to say about others' roots has arrived, or can't.
pub(crate) fn all_idle(status: &[LinkStatus]) -> bool {
    let is_idle = |link: &LinkStatus| link.ack_words == 0 || link.state == LinkState::Down;
    status.iter().all(is_idle)
}

/// Passes on what links report.
struct Events {
    runtime: Arc<dyn LinkEvents>,
    superseded: Arc<watch::Sender<Option<Fence>>>,
}

impl LinkEvents for Events {
    fn roots_lost(&self, roots: &[RootId], why: &Failure) {
        self.runtime.roots_lost(roots, why);
    }

    fn roots_wait(&self, roots: &[RootId]) {
        self.runtime.roots_wait(roots);
    }

    fn peer_ended(&self, peer: WorkerIdx, fence: Fence) {
        self.runtime.peer_ended(peer, fence);
    }

    fn peer_moved(&self, peer: WorkerIdx, fence: Fence) {
        self.runtime.peer_moved(peer, fence);
    }

    fn superseded(&self, by: Fence) {
        self.superseded.send_replace(Some(by));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Writes down what it hears.
    #[derive(Default)]
    struct Heard(Mutex<Vec<&'static str>>);

    impl Heard {
        fn note(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl LinkEvents for Heard {
        fn roots_lost(&self, _: &[RootId], _: &Failure) {
            self.note("lost");
        }

        fn roots_wait(&self, _: &[RootId]) {
            self.note("wait");
        }

        fn peer_ended(&self, _: WorkerIdx, _: Fence) {
            self.note("ended");
        }

        fn peer_moved(&self, _: WorkerIdx, _: Fence) {
            self.note("moved");
        }

        fn superseded(&self, _: Fence) {
            self.note("superseded");
        }
    }

    #[test]
    fn all_but_its_own_end_is_the_runtimes_affair() {
        let (heard, (superseded, watched)) = (Arc::new(Heard::default()), watch::channel(None));
        let events = Events {
            runtime: heard.clone(),
            superseded: Arc::new(superseded),
        };
        let (peer, fence) = (WorkerIdx(1), Fence::default());
        let lost = Failure::new(squall_core::FailureReason::Lost, None, "");
        events.roots_lost(&[], &lost);
        events.roots_wait(&[]);
        events.peer_ended(peer, fence);
        events.peer_moved(peer, fence);
        events.superseded(fence);
        assert_eq!(*heard.0.lock().unwrap(), ["lost", "wait", "ended", "moved"]);
        assert_eq!(*watched.borrow(), Some(fence));
    }
}
