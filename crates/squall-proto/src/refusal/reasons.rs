//! The refusals by their reasons: what each says and what it advises, in one place.

use std::fmt::Display;

use squall_core::{Fence, StoreError, SupervisorId, TopologyId};

use crate::field::FieldError;
use crate::hash::Sha256;
use crate::names::TopologyName;
use crate::refusal::{Refusal, RefusalCode};
use crate::topology::TopologyState;

impl Refusal {
    /// No topology of that name runs.
    #[must_use]
    pub fn unknown_topology(name: &TopologyName) -> Self {
        let message = format!("no topology `{name}` runs");
        Self::new(
            RefusalCode::UnknownTopology,
            message,
            "see what runs with `squall list`",
        )
        .with("name", name)
    }

    /// A topology of that name runs already.
    #[must_use]
    pub fn already_running(id: &TopologyId, name: &TopologyName) -> Self {
        let message = format!("a topology `{name}` runs already: {id}");
        let action =
            format!("end it with `squall kill {name}`, or submit this one under another name");
        Self::new(RefusalCode::AlreadyRunning, message, action)
            .with("name", name)
            .with("topology_id", id)
    }

    /// This very topology, with the same spec and program, runs already: it may be the caller's own, from an
    /// attempt that was not answered.
    #[must_use]
    pub fn already_submitted(id: &TopologyId, name: &TopologyName) -> Self {
        let message =
            format!("a topology `{name}` runs already: {id}, with this very spec and program");
        let action = format!(
            "if an earlier submit got no answer, this is what it did: see `squall describe {name}`; otherwise end \
             it with `squall kill {name}`, or submit this one under another name"
        );
        Self::new(RefusalCode::AlreadyRunning, message, action)
            .with("name", name)
            .with("topology_id", id)
    }

    /// The topology's state doesn't allow that; `wanted` is a verb: `activate`.
    #[must_use]
    pub fn illegal_move(name: &TopologyName, state: TopologyState, wanted: &str) -> Self {
        let message = format!("can't {wanted} `{name}`: it is {state}");
        let action = match state {
            TopologyState::Killed => "wait until it is gone, then submit it again",
            TopologyState::Rebalancing => {
                "wait until it has moved; `squall describe` shows how far it is"
            }
            TopologyState::Active | TopologyState::Inactive => "there is nothing to do",
        };
        Self::new(RefusalCode::IllegalMove, message, action)
            .with("name", name)
            .with("state", &state)
    }

    /// A newer copy of a worker is known than the one that speaks.
    #[must_use]
    pub fn stale_fence(theirs: Fence, newest: Fence) -> Self {
        let show = |fence: Fence| format!("{}.{}", fence.placement_epoch, fence.incarnation);
        let (theirs, newest) = (show(theirs), show(newest));
        let message = format!("this worker's fence {theirs} is older than {newest}");
        let action = "end this worker: a newer copy of it runs";
        Self::new(RefusalCode::StaleFence, message, action)
            .with("fence", &theirs)
            .with("newest_fence", &newest)
    }

    /// A newer leader is known than the one that speaks.
    #[must_use]
    pub fn stale_epoch(theirs: u64, newest: u64) -> Self {
        let message = format!("leader epoch {theirs} is older than {newest}");
        let action = "end this nimbus: a newer one leads";
        Self::new(RefusalCode::StaleEpoch, message, action)
            .with("leader_epoch", &theirs)
            .with("newest_leader_epoch", &newest)
    }

    /// Not every task can be placed; `why` names what is missing.
    #[must_use]
    pub fn unplaceable(name: &TopologyName, why: impl Display) -> Self {
        let message = format!("`{name}` can't be placed: {why}");
        let action = "start more supervisors, undo a drain, or ask for fewer workers; `squall supervisors` \
                      shows the free slots";
        Self::new(RefusalCode::Unplaceable, message, action).with("name", name)
    }

    /// Something exceeds its bound.
    #[must_use]
    pub fn too_large(what: &str, limit: u64, found: u64, action: &str) -> Self {
        let message = format!("{what} is too large: {found}, at most {limit}");
        Self::new(RefusalCode::TooLarge, message, action)
            .with("limit", &limit)
            .with("found", &found)
    }

    /// The disk is full or the store can't be written.
    #[must_use]
    pub fn storage_full(why: impl Display) -> Self {
        let message = format!("nimbus can't store anything now: {why}");
        let action = "free room in nimbus's data directory, then try again; what runs goes on";
        Self::new(RefusalCode::StorageFull, message, action)
    }

    /// No supervisor of that name is known.
    #[must_use]
    pub fn unknown_supervisor(id: &SupervisorId) -> Self {
        let message = format!("no supervisor `{id}` is known");
        let action = "see which there are with `squall supervisors`";
        Self::new(RefusalCode::UnknownSupervisor, message, action).with("supervisor_id", id)
    }

    /// No blob of that hash is stored.
    #[must_use]
    pub fn unknown_blob(sha256: &Sha256) -> Self {
        let message = format!("no blob {sha256} is stored");
        Self::new(RefusalCode::UnknownBlob, message, "upload it first").with("sha256", sha256)
    }

    /// What was uploaded isn't what its header announced.
    #[must_use]
    pub fn wrong_hash(announced: &Sha256, found: &Sha256) -> Self {
        let message = format!("the upload's hash is {found}, not {announced}");
        let action = "upload it again; if it fails again, the file changes while it is read";
        Self::new(RefusalCode::WrongHash, message, action)
            .with("announced", announced)
            .with("found", found)
    }

    /// What was uploaded is no program.
    #[must_use]
    pub fn not_a_program(why: impl Display) -> Self {
        let message = format!("the upload is no ELF program: {why}");
        let action = "give `--bin` a program built by `cargo build --release`";
        Self::new(RefusalCode::NotAProgram, message, action)
    }

    /// Another nimbus leads.
    #[must_use]
    pub fn not_leader(leader: Option<&str>) -> Self {
        let refusal =
            |action| Self::new(RefusalCode::NotLeader, "this nimbus doesn't lead", action);
        match leader {
            Some(leader) => refusal(format!("call {leader}")).with("leader", &leader),
            None => refusal("try again: a leader is being found".to_owned()),
        }
    }

    /// The service is starting, stopping or cut off.
    #[must_use]
    pub fn unavailable(why: impl Display) -> Self {
        Self::new(RefusalCode::Unavailable, why.to_string(), "try again")
    }

    /// The spec is no topology, or another one than the binary builds.
    #[must_use]
    pub fn bad_spec(why: impl Display) -> Self {
        let action = "see all its mistakes with `squall validate`";
        Self::new(RefusalCode::BadSpec, why.to_string(), action)
    }

    /// The worker isn't one of this supervisor's.
    #[must_use]
    pub fn unknown_worker(why: impl Display) -> Self {
        let action = "end this worker: nobody here has started it";
        Self::new(RefusalCode::UnknownWorker, why.to_string(), action)
    }

    /// The other end of a link runs something else.
    #[must_use]
    pub fn wrong_peer(why: impl Display) -> Self {
        let action = "try again when the assignment has changed";
        Self::new(RefusalCode::WrongPeer, why.to_string(), action)
    }

    /// As many as there may be; `what` is a plural: `uploads`.
    #[must_use]
    pub fn busy(what: &str, limit: usize) -> Self {
        let message = format!("there are {limit} {what} already");
        Self::new(RefusalCode::Busy, message, "try again when one has ended").with("limit", &limit)
    }

    /// A mistake of ours.
    #[must_use]
    pub fn internal(why: impl Display) -> Self {
        let action = "please report it with the logs of this process";
        Self::new(RefusalCode::Internal, why.to_string(), action)
    }
}

impl From<FieldError> for Refusal {
    fn from(error: FieldError) -> Self {
        let action = "correct the field; if you didn't make the request by hand, report it";
        Self::new(RefusalCode::BadField, error.to_string(), action)
            .with("path", &error.path)
            .with("expected", &error.expected)
            .with("found", &error.found)
    }
}

/// A conflict or a newer fence is an answer to a commit ([`crate::CheckpointOutcome`]); as a refusal of a
/// whole call it is a mistake of ours.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Invalid(why) => Self::new(RefusalCode::TooLarge, why, ""),
            StoreError::Unavailable(why) => Self::storage_full(why),
            StoreError::Conflict { .. } | StoreError::Fenced { .. } => Self::internal(error),
        }
    }
}
