//! What a call that failed means: whether it was done, and whether to try again. Pure.

use squall_core::Fence;
use squall_proto::status::REFUSAL_KEY;
use squall_proto::{Address, Refusal, RefusalCode};
use tonic::Status;

/// What is known of a call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was not done, and may be done here or elsewhere: try again.
    NotDone {
        /// Why.
        why: String,
        /// Where the leader is said to be.
        leader: Option<Address>,
    },
    /// The connection broke, or no answer came: nobody knows whether it was done.
    Unknown {
        /// What happened.
        why: String,
    },
    /// It can't be done, whenever it is tried.
    Invalid {
        /// What is wrong with it.
        why: String,
    },
    /// A newer copy of this worker is known.
    Superseded(Fence),
}

impl Failure {
    /// Reads a status. What nimbus refuses it has not done, but for what it couldn't wait for: that may be done.
    pub(super) fn of(status: &Status) -> Self {
        let is_said = status.metadata().contains_key(REFUSAL_KEY);
        let refusal = Refusal::from(status);
        let why = refusal.message.to_string();
        match refusal.code {
            _ if !is_said => Self::Unknown { why },
            RefusalCode::Unavailable => Self::Unknown { why },
            RefusalCode::StaleFence => Self::Superseded(newest_fence(&refusal)),
            RefusalCode::BadField | RefusalCode::TooLarge => Self::Invalid { why },
            _ => {
                let leader = refusal.fact("leader");
                Self::NotDone {
                    why,
                    leader: leader.and_then(|leader| leader.parse().ok()),
                }
            }
        }
    }
}

/// Reads the newest fence from a refusal; zero where it isn't said.
fn newest_fence(refusal: &Refusal) -> Fence {
    let newest = refusal.fact("newest_fence");
    let parts = newest.and_then(|newest| newest.split_once('.'));
    let parsed = parts.and_then(|(placement_epoch, incarnation)| {
        Some(Fence {
            placement_epoch: placement_epoch.parse().ok()?,
            incarnation: incarnation.parse().ok()?,
        })
    });
    parsed.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(refusal: Refusal) -> Failure {
        Failure::of(&refusal.into())
    }

    #[test]
    fn what_nimbus_refuses_was_not_done_and_what_breaks_may_have_been() {
        let leader = of(Refusal::not_leader(Some("10.0.0.2:6627")));
        let Failure::NotDone { leader, .. } = leader else {
            panic!("{leader:?}");
        };
        assert_eq!(leader, Some(Address::new("10.0.0.2", 6627).unwrap()));
        let full = of(Refusal::storage_full("no space"));
        assert!(
            matches!(full, Failure::NotDone { leader: None, .. }),
            "{full:?}"
        );
        let slow = "the store doesn't answer; what was asked may be done";
        for status in [
            Status::unavailable("broken pipe"),
            Status::deadline_exceeded("5 s"),
            Refusal::unavailable(slow).into(),
        ] {
            let broke = Failure::of(&status);
            assert!(matches!(broke, Failure::Unknown { .. }), "{broke:?}");
        }
        let wrong = of(Refusal::too_large(
            "the commit",
            10,
            11,
            "write less at once",
        ));
        assert!(matches!(wrong, Failure::Invalid { .. }), "{wrong:?}");
    }

    #[test]
    fn an_old_copy_hears_who_is_newer() {
        let fence = |placement_epoch, incarnation| Fence {
            placement_epoch,
            incarnation,
        };
        let stale = of(Refusal::stale_fence(fence(2, 3), fence(4, 1)));
        assert_eq!(stale, Failure::Superseded(fence(4, 1)));
    }
}
