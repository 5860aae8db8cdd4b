//! The reasons of refusals, each with its status code: the one table of the house.

use tonic::Code;

use crate::wire::RefusalCode as Wire;

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// A reason that this build doesn't know: the other side is newer.
    Other,
    /// No topology of that name runs.
    UnknownTopology,
    /// A topology of that name runs already.
    AlreadyRunning,
    /// The topology's state doesn't allow that.
    IllegalMove,
    /// A newer copy of the task or worker is known.
    StaleFence,
    /// A newer leader is known.
    StaleEpoch,
    /// The speaker belongs to another cluster.
    WrongCluster,
    /// No protocol that both sides understand.
    WrongProtocol,
    /// Not every task can be placed.
    Unplaceable,
    /// Something exceeds its bound.
    TooLarge,
    /// The disk is full or the store can't be written.
    StorageFull,
    /// A field of the request can't be.
    BadField,
    /// No supervisor of that name is known.
    UnknownSupervisor,
    /// No blob of that hash is stored.
    UnknownBlob,
    /// What was uploaded isn't what its header announced.
    WrongHash,
    /// What was uploaded is no ELF program.
    NotAProgram,
    /// The binary was built for another machine or a newer glibc.
    WrongTarget,
    /// Another nimbus leads; the fact `leader` says where it is.
    NotLeader,
    /// The service is starting, stopping or cut off.
    Unavailable,
    /// The spec is no topology, or another one than the binary builds.
    BadSpec,
    /// The worker isn't one of this supervisor's, or its cookie is wrong.
    UnknownWorker,
    /// The topology or schema at the other end of a link is another one.
    WrongPeer,
    /// As many connections, streams or uploads as there may be.
    Busy,
    /// The caller isn't allowed to.
    Unauthorised,
    /// A mistake of ours.
    Internal,
}

/// Each code: its number on the wire, and the status code under which it travels.
const TABLE: [(RefusalCode, Wire, Code); 25] = [
    (RefusalCode::Other, Wire::Unspecified, Code::Internal),
    (
        RefusalCode::UnknownTopology,
        Wire::UnknownTopology,
        Code::NotFound,
    ),
    (
        RefusalCode::AlreadyRunning,
        Wire::AlreadyRunning,
        Code::AlreadyExists,
    ),
    (
        RefusalCode::IllegalMove,
        Wire::IllegalMove,
        Code::FailedPrecondition,
    ),
    (
        RefusalCode::StaleFence,
        Wire::StaleFence,
        Code::FailedPrecondition,
    ),
    (
        RefusalCode::StaleEpoch,
        Wire::StaleEpoch,
        Code::FailedPrecondition,
    ),
    (
        RefusalCode::WrongCluster,
        Wire::WrongCluster,
        Code::FailedPrecondition,
    ),
    (
        RefusalCode::WrongProtocol,
        Wire::WrongProtocol,
        Code::FailedPrecondition,
    ),
    (
        RefusalCode::Unplaceable,
        Wire::Unplaceable,
        Code::ResourceExhausted,
    ),
    (RefusalCode::TooLarge, Wire::TooLarge, Code::InvalidArgument),
    (
        RefusalCode::StorageFull,
        Wire::StorageFull,
        Code::ResourceExhausted,
    ),
    (RefusalCode::BadField, Wire::BadField, Code::InvalidArgument),
    (
        RefusalCode::UnknownSupervisor,
        Wire::UnknownSupervisor,
        Code::NotFound,
    ),
    (RefusalCode::UnknownBlob, Wire::UnknownBlob, Code::NotFound),
    (
        RefusalCode::WrongHash,
        Wire::WrongHash,
        Code::InvalidArgument,
    ),
    (
        RefusalCode::NotAProgram,
        Wire::NotAProgram,
        Code::InvalidArgument,
    ),
    (
        RefusalCode::WrongTarget,
        Wire::WrongTarget,
        Code::FailedPrecondition,
    ),
    (RefusalCode::NotLeader, Wire::NotLeader, Code::Unavailable),
    (
        RefusalCode::Unavailable,
        Wire::Unavailable,
        Code::Unavailable,
    ),
    (RefusalCode::BadSpec, Wire::BadSpec, Code::InvalidArgument),
    (
        RefusalCode::UnknownWorker,
        Wire::UnknownWorker,
        Code::NotFound,
    ),
    (
        RefusalCode::WrongPeer,
        Wire::WrongPeer,
        Code::FailedPrecondition,
    ),
    (RefusalCode::Busy, Wire::Busy, Code::ResourceExhausted),
    (
        RefusalCode::Unauthorised,
        Wire::Unauthorised,
        Code::FailedPrecondition,
    ),
    (RefusalCode::Internal, Wire::Internal, Code::Internal),
];

impl RefusalCode {
    /// Returns the status code under which the refusal travels.
    #[must_use]
    pub fn status(self) -> Code {
        let row = TABLE.iter().find(|(code, ..)| *code == self);
        row.map_or(Code::Internal, |(.., status)| *status)
    }

    /// Tells whether the same call may succeed later, nothing else being changed by the caller.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Unavailable
                | Self::NotLeader
                | Self::Busy
                | Self::StorageFull
                | Self::Unplaceable
        )
    }

    /// Iterates over all codes.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(code, ..)| *code)
    }
}

impl From<i32> for RefusalCode {
    fn from(number: i32) -> Self {
        let wire = Wire::try_from(number).unwrap_or(Wire::Unspecified);
        let row = TABLE.iter().find(|(_, number, _)| *number == wire);
        row.map_or(Self::Other, |(code, ..)| *code)
    }
}

impl From<RefusalCode> for i32 {
    fn from(code: RefusalCode) -> Self {
        let row = TABLE.iter().find(|(known, ..)| *known == code);
        row.map_or(Wire::Unspecified, |(_, wire, _)| *wire).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_number_of_its_own_and_comes_back() {
        for (idx, code) in RefusalCode::all().enumerate() {
            let number = i32::from(code);
            assert_eq!(usize::try_from(number), Ok(idx), "{code:?}");
            assert_eq!(RefusalCode::from(number), code);
        }
        assert_eq!(RefusalCode::from(i32::MAX), RefusalCode::Other);
        assert!(Wire::try_from(25).is_err(), "a code lacks its row");
    }

    #[test]
    fn only_the_eight_status_codes_of_the_house_are_used() {
        const HOUSE: [Code; 8] = [
            Code::InvalidArgument,
            Code::NotFound,
            Code::AlreadyExists,
            Code::FailedPrecondition,
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::ResourceExhausted,
            Code::Internal,
        ];
        assert!(RefusalCode::all().all(|code| HOUSE.contains(&code.status())));
    }
}
