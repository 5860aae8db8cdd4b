//! The latest order of each supervisor that attends. Orders replace each other: nobody needs an old one.

use std::collections::BTreeMap;
use std::sync::Arc;

use squall_core::SupervisorId;
use squall_proto::TopologyOrder;
use tokio::sync::watch;

type Orders = Arc<Vec<TopologyOrder>>;

/// The streams of supervisors, one for each.
#[derive(Default)]
pub(super) struct OrderBook {
    last_number: u64,
    streams: BTreeMap<SupervisorId, (u64, watch::Sender<Orders>)>,
}

impl OrderBook {
    /// Opens a stream with its first order, and so closes an older one of the same supervisor.
    pub(super) fn open(
        &mut self,
        supervisor: SupervisorId,
        order: Vec<TopologyOrder>,
    ) -> (u64, watch::Receiver<Orders>) {
        self.last_number += 1;
        let (sender, orders) = watch::channel(Arc::new(order));
        self.streams.insert(supervisor, (self.last_number, sender));
        (self.last_number, orders)
    }

    /// Tells whether a stream is the latest of its supervisor.
    pub(super) fn is_open(&self, supervisor: &SupervisorId, number: u64) -> bool {
        let latest = self.streams.get(supervisor);
        latest.is_some_and(|(latest, _)| *latest == number)
    }

    /// Closes a stream.
    pub(super) fn close(&mut self, supervisor: &SupervisorId, number: u64) {
        if self.is_open(supervisor, number) {
            self.streams.remove(supervisor);
        }
    }

    /// Puts a new order into a supervisor's stream, if it has one.
    pub(super) fn send(
        &self,
        supervisor: &SupervisorId,
        order: impl FnOnce() -> Vec<TopologyOrder>,
    ) {
        if let Some((_, sender)) = self.streams.get(supervisor) {
            sender.send_replace(Arc::new(order()));
        }
    }
}
