//! The thread behind a [`crate::FileStore`]: takes what is queued, does it in one transaction, answers.
//!
//! **Invariant:** nothing is answered before the transaction that it saw or wrote is durable.

use std::sync::mpsc::Receiver;

use futures_channel::oneshot;
use redb::{Database, ReadableTable, Table, TableDefinition};
use squall_core::{Entry, Fence, StoreError, Write};

use crate::commit::{apply, check_write};

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

/// Answers what a request got, once the transaction is durable, or refuses it otherwise.
type Reply = Box<dyn FnOnce(Result<(), &redb::Error>)>;

/// Serves requests until their senders are gone, or until the file can't be written any more.
pub(crate) fn run(database: Database, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let more = requests.try_iter().take(MAX_GROUP - 1);
        let group = std::iter::once(first).chain(more).collect();
        if !serve(&database, group) {
            break;
        }
    }
    drop(database);
}

/// Serves a group of requests in their order. Returns false when the database is beyond use.
fn serve(database: &Database, group: Vec<Request>) -> bool {
    let mut replies = Vec::with_capacity(group.len());
    let done = in_one_transaction(database, group, &mut replies);
    for reply in replies {
        reply(done.as_ref().copied());
    }
    done.is_ok()
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
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        };
        // The caller may have stopped waiting.
        drop(answer.send(result));
    })
}
