//! The thread behind a [`crate::FileStore`]: takes what is queued, does it in one transaction, answers.
//!
//! It outlives what goes wrong: a write that fails, and a panic, cost the requests of that transaction and
//! close the file, which is opened again for the next ones.
//!
//! **Invariant:** nothing is answered before the transaction that it saw or wrote is durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;

use futures_channel::oneshot;
use redb::{Database, ReadableTable, Table, TableDefinition};
use squall_core::{Entry, Fence, StoreError, Write};

use crate::commit::{apply, check_write};
use crate::disk::OpenError;

/// The longest queue of requests; one more is refused as unavailable.
pub(crate) const MAX_QUEUED: usize = 1024;
/// The most requests that share one transaction.
const MAX_GROUP: usize = 256;

/// Version, placement epoch, incarnation, value.
type Row = (u64, u64, u64, &'static [u8]);

/// Key → row.
pub(crate) const TABLE: TableDefinition<'_, &str, Row> = TableDefinition::new("checkpoints");

/// Where an answer goes. A caller that has lost interest is no error.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the worker is asked for.
pub(crate) enum Request {
    Load {
        key: String,
        answer: Answer<Option<Entry>>,
    },
    List {
        prefix: String,
        answer: Answer<Vec<(String, Entry)>>,
    },
    Commit {
        fence: Fence,
        writes: Vec<Write>,
        answer: Answer<Vec<u64>>,
    },
}

/// Answers what a request got, once the transaction is durable, or refuses it with a reason.
type Reply = Box<dyn FnOnce(Result<(), &str>)>;

/// Serves requests until their senders are gone; `reopen` opens the file again after it had to be closed.
pub(crate) fn run(
    database: Database,
    reopen: impl Fn() -> Result<Database, OpenError>,
    requests: &Receiver<Request>,
) {
    let mut database = Some(database);
    while let Ok(first) = requests.recv() {
        let more = requests.try_iter().take(MAX_GROUP - 1);
        let group = std::iter::once(first).chain(more).collect();
        let open = match database.take() {
            Some(database) => Ok(database),
            None => guard(|| reopen().map_err(|error| error.to_string())),
        };
        match open {
            Ok(open) => database = serve(open, group),
            Err(reason) => refuse(group, &reason),
        }
    }
}

/// Serves a group of requests in their order; gives the database back unless it is beyond use.
fn serve(database: Database, group: Vec<Request>) -> Option<Database> {
    let mut replies = Vec::with_capacity(group.len());
    let done = guard(|| {
        let done = in_one_transaction(&database, group, &mut replies);
        done.map_err(|error| error.to_string())
    });
    for reply in replies {
        reply(done.as_ref().copied().map_err(String::as_str));
    }
    if done.is_ok() {
        return Some(database);
    }
    // Closing a file that can't be written may go wrong as well.
    guard(|| {
        drop(database);
        Ok(())
    })
    .unwrap_or_default();
    None
}

/// Makes a panic an error like others: what it left behind is thrown away with the database.
fn guard<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // The panic hook has told what.
    let panicked = |_| Err("the thread of the store has panicked".to_owned());
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

/// Answers that nothing can be done now.
fn refuse(group: Vec<Request>, reason: &str) {
    let unavailable = || StoreError::Unavailable(reason.to_owned());
    for request in group {
        // The caller may have stopped waiting.
        match request {
            Request::Load { answer, .. } => drop(answer.send(Err(unavailable()))),
            Request::List { answer, .. } => drop(answer.send(Err(unavailable()))),
            Request::Commit { answer, .. } => drop(answer.send(Err(unavailable()))),
        }
    }
}

fn in_one_transaction(
    database: &Database,
    group: Vec<Request>,
    replies: &mut Vec<Reply>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let mut n_changes = 0;
    {
        let mut table = transaction.open_table(TABLE)?;
        for request in group {
            n_changes += perform(&mut table, request, replies)?;
        }
    }
    if n_changes == 0 {
        // Only reads: nothing to make durable.
        transaction.abort()?;
    } else {
        transaction.commit()?;
    }
    Ok(())
}

/// Performs one request; returns how many keys it changed.
fn perform(
    table: &mut Table<'_, &str, Row>,
    request: Request,
    replies: &mut Vec<Reply>,
) -> Result<usize, redb::Error> {
    match request {
        Request::Load { key, answer } => {
            let found = table.get(key.as_str())?.map(|row| entry(row.value()));
            replies.push(reply(answer, Ok(found)));
            Ok(0)
        }
        Request::List { prefix, answer } => {
            let mut found = Vec::new();
            for item in table.range(prefix.as_str()..)? {
                let (key, row) = item?;
                if !key.value().starts_with(&prefix) {
                    break;
                }
                found.push((key.value().to_owned(), entry(row.value())));
            }
            replies.push(reply(answer, Ok(found)));
            Ok(0)
        }
        Request::Commit {
            fence,
            writes,
            answer,
        } => {
            let versions = commit(table, fence, writes)?;
            let n_changes = versions.as_ref().map_or(0, Vec::len);
            replies.push(reply(answer, versions));
            Ok(n_changes)
        }
    }
}

/// Checks all writes, then does all of them. An outer error is the file's, an inner one the caller's.
fn commit(
    table: &mut Table<'_, &str, Row>,
    fence: Fence,
    writes: Vec<Write>,
) -> Result<Result<Vec<u64>, StoreError>, redb::Error> {
    for write in &writes {
        let stored = table.get(write.key.as_str())?.map(|row| {
            let (version, placement_epoch, incarnation, _) = row.value();
            let fence = Fence {
                placement_epoch,
                incarnation,
            };
            (version, fence)
        });
        if let Err(refused) = check_write(stored, fence, write) {
            return Ok(Err(refused));
        }
    }
    let mut versions = Vec::with_capacity(writes.len());
    for write in writes {
        let (key, entry) = apply(fence, write);
        versions.push(entry.as_ref().map_or(0, |entry| entry.version));
        match entry {
            Some(Entry {
                value,
                version,
                fence,
            }) => {
                let row = (
                    version,
                    fence.placement_epoch,
                    fence.incarnation,
                    value.as_slice(),
                );
                table.insert(key.as_str(), row)?;
            }
            None => {
                table.remove(key.as_str())?;
            }
        }
    }
    Ok(Ok(versions))
}

fn entry((version, placement_epoch, incarnation, value): (u64, u64, u64, &[u8])) -> Entry {
    Entry {
        value: value.to_owned(),
        version,
        fence: Fence {
            placement_epoch,
            incarnation,
        },
    }
}

fn reply<T: 'static>(answer: Answer<T>, result: Result<T, StoreError>) -> Reply {
    Box::new(move |durable| {
        let result = match durable {
            Ok(()) => result,
            Err(reason) => Err(StoreError::Unavailable(reason.to_owned())),
        };
        // The caller may have stopped waiting.
        drop(answer.send(result));
    })
}

#[cfg(test)]
mod tests;
