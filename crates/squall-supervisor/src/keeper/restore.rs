//! Opening a slot: what an earlier supervisor process has left there.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use squall_core::Clock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::context::Context;
use crate::home::SlotDir;
use crate::keeper::handle::{INBOX, Seen};
use crate::keeper::{Keeper, KeeperHandle, is_settled, status};
use crate::order::SlotOrder;
use crate::process::{self, Watched};
use crate::slots::{Launch, Record, Slot};

impl Keeper {
    /// Opens the slot: adopts the worker in it, or finds that it is empty. Blocks for as long as it takes to
    /// read the process table.
    ///
    /// # Errors
    /// The slot's directory can't be read.
    pub(crate) fn open(
        port: u16,
        dir: SlotDir,
        context: Arc<Context>,
    ) -> io::Result<(Self, KeeperHandle)> {
        let record = dir.record()?;
        // What an order was stored for an empty slot may be long outdated: nimbus will say.
        let adopted = match &record {
            Some(record) => find(record, &dir)?,
            None => None,
        };
        let incarnation = match record {
            Some(record) => record.incarnation,
            // Higher than whatever was given before the record, or the whole directory, was lost.
            None => last_launched(&dir)?.max(context.clock.unix_ms() / 1000),
        };
        let slot = Slot::new(incarnation, context.limits.clone(), fastrand::u64(..));
        let mut order = None;
        let (slot, watched) = match adopted {
            Some((launch, watched)) => {
                order = stored_order(&dir, &context, port);
                let process = watched.process();
                info!(port, pid = process.pid, topology_id = %launch.work.topology_id, "worker adopted");
                let slot = slot.adopt(launch, process, context.clock.now());
                (slot, Some(watched))
            }
            None => (slot, None),
        };
        let (sender, inbox) = mpsc::channel(INBOX);
        let seen = watch::Sender::new(Seen {
            status: status::of_slot(port, slot.view(), None),
            launch: slot.record().launch,
            is_settled: is_settled(&slot.view(), None),
        });
        let handle = KeeperHandle {
            port,
            inbox: sender,
            seen: seen.subscribe(),
            dir: dir.clone(),
        };
        let mut keeper = Self {
            port,
            context,
            dir,
            unsaved: Some(slot.record()),
            slot,
            inbox,
            seen,
            order,
            was_ordered: false,
            running: None,
            to_worker: watch::Sender::new(None),
            status: None,
            watched,
            output_at: None,
            fetches: JoinSet::new(),
            binary: PathBuf::new(),
        };
        keeper.forward();
        Ok((keeper, handle))
    }
}

/// Finds the worker of a record among the processes.
fn find(record: &Record, dir: &SlotDir) -> io::Result<Option<(Launch, Watched)>> {
    let Some(launch) = &record.launch else {
        return Ok(None);
    };
    // The lock is free exactly when nobody is there, whatever numbers have been used again.
    if process::try_lock(&dir.lock())?.is_some() {
        return Ok(None);
    }
    if let Some(process) = record.process {
        let watched = Watched::adopted(process)?;
        return Ok(watched.map(|watched| (launch.clone(), watched)));
    }
    // The supervisor was killed before it could note the process down.
    for process in process::holders(&dir.lock())? {
        if process::is_worker(process, &launch.cookie.to_string())?
            && let Some(watched) = Watched::adopted(process)?
        {
            return Ok(Some((launch.clone(), watched)));
        }
    }
    Ok(None)
}

/// Reads the incarnation of the last launch file; 0 if there is none that can be read.
fn last_launched(dir: &SlotDir) -> io::Result<u64> {
    let launch = dir.launch_file()?.map(squall_proto::Launch::from_file);
    Ok(launch.map_or(0, |launch| {
        launch.map_or(0, |launch| launch.fence.incarnation)
    }))
}

/// Reads what nimbus wanted last. Without it the worker goes on all the same, and nimbus will say it again.
fn stored_order(dir: &SlotDir, context: &Context, port: u16) -> Option<SlotOrder> {
    let stored = dir.order().map_err(|error| error.to_string());
    let order = stored.and_then(|stored| match stored {
        Some(stored) => SlotOrder::parse(&stored, &context.supervisor_id, port),
        None => Ok(None),
    });
    order.unwrap_or_else(|reason| {
        warn!(port, reason, "stored order can't be read");
        None
    })
}
