//! Several writes in one transaction of the file, each decided on its own.

use redb::{Database, Durability, WriteTransaction};

use crate::cluster::txn::{Head, judge};
use crate::cluster::worker::tables::Tables;
use crate::cluster::{Change, ClusterError, LeaderEpoch, Outcome, Revision, Txn};

/// A wish to change something.
pub(crate) enum Wish {
    Commit(Txn),
    Raise,
}

/// What becomes of a wish if its group becomes durable.
pub(crate) enum Granted {
    Committed(Result<Outcome, ClusterError>),
    Raised(LeaderEpoch),
}

/// What the group may not pass.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    /// See [`crate::cluster::FileClusterConfig::max_bytes`].
    pub(crate) max_bytes: u64,
    /// Whether the disk takes more.
    pub(crate) is_left: bool,
}

/// A group that was decided on and is not durable yet.
pub(crate) struct Group {
    /// In the order of the wishes.
    pub(crate) granted: Vec<Granted>,
    /// What each commit changed, in their order.
    pub(crate) changes: Vec<(Revision, Vec<Change>)>,
    /// The file's head before the group.
    pub(crate) before: Head,
    after: Head,
}

impl Group {
    /// Decides on each wish as if those before it were done, in a transaction that is left open. `None`
    /// instead of it says that there is nothing to make durable.
    pub(crate) fn decide(
        database: &Database,
        wishes: Vec<Wish>,
        room: Room,
    ) -> Result<(Self, Option<WriteTransaction>), redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        let mut tables = Tables::open(&transaction)?;
        let before = tables.head()?;
        let mut group = Self {
            granted: Vec::with_capacity(wishes.len()),
            changes: Vec::new(),
            before,
            after: before,
        };
        for wish in wishes {
            let granted = match wish {
                Wish::Raise => {
                    group.after.leader_epoch.0 += 1;
                    Granted::Raised(group.after.leader_epoch)
                }
                Wish::Commit(txn) => Granted::Committed(group.commit(&mut tables, txn, room)?),
            };
            group.granted.push(granted);
        }
        if group.after == before {
            drop(tables);
            transaction.abort()?;
            return Ok((group, None));
        }
        tables.set_head(group.after)?;
        drop(tables);
        Ok((group, Some(transaction)))
    }

    fn commit(
        &mut self,
        tables: &mut Tables<'_>,
        txn: Txn,
        room: Room,
    ) -> Result<Result<Outcome, ClusterError>, redb::Error> {
        let head = self.after;
        let plan = match judge(head, room.max_bytes, txn, |key| tables.find(key))? {
            Ok(plan) => plan,
            Err(refused) => return Ok(refused.into_answer(room.max_bytes)),
        };
        if plan.head.n_bytes > head.n_bytes && !room.is_left {
            return Ok(Err(ClusterError::Full(
                "the disk of the cluster store is all but full: free some room, nimbus goes on by itself"
                    .to_owned(),
            )));
        }
        tables.apply(&plan.changes)?;
        self.after = plan.head;
        let revision = plan.head.revision;
        if !plan.changes.is_empty() {
            self.changes.push((revision, plan.changes));
        }
        Ok(Ok(Outcome::Committed { revision }))
    }
}
