//! The services that nimbus serves: thin, from the wire to the leader and back.

mod attend;
mod blobs;
mod checkpoints;
mod counted;
mod logs;
mod operators;

use squall_proto::Refusal;
use tonic::Status;

use crate::metrics::NimbusMetrics;

pub(crate) use attend::CoordinationService;
pub(crate) use blobs::BlobService;
pub(crate) use checkpoints::{CheckpointDesk, CheckpointService};
pub(crate) use counted::Counted;
pub(crate) use logs::Logs;
pub(crate) use operators::NimbusService;

/// Counts refusals of one service on their way out.
#[derive(Clone)]
pub(crate) struct Refusals {
    metrics: NimbusMetrics,
    service: &'static str,
}

impl Refusals {
    pub(crate) const fn of(service: &'static str, metrics: NimbusMetrics) -> Self {
        Self { metrics, service }
    }

    /// Counts one that has its status already.
    pub(crate) fn count(&self) {
        self.metrics.refused(self.service);
    }

    /// Turns a refusal into the status that the caller gets.
    pub(crate) fn status(&self, refusal: impl Into<Refusal>) -> Status {
        self.count();
        Status::from(refusal.into())
    }
}
