//! What stands in the file of a [`crate::cluster::FileCluster`], by redb.
//!
//! Two tables: `cluster` has a row for each key, `cluster_head` what is known beside them.

use std::ops::Bound;

use bytes::Bytes;
use redb::{
    Database, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError, WriteTransaction,
};

use crate::cluster::page::PageBuilder;
use crate::cluster::txn::{Found, Head};
use crate::cluster::{Change, LeaderEpoch, Page, Revision, Stored};

/// Revision, value.
type Row = (u64, &'static [u8]);

const ROWS: TableDefinition<'_, &str, Row> = TableDefinition::new("cluster");
const HEAD: TableDefinition<'_, &str, u64> = TableDefinition::new("cluster_head");

/// How the file is written. A file with another number is not opened.
const FORMAT: u64 = 1;

/// Makes the tables where there are none, and checks that the file is written in the way that we know.
pub(crate) fn prepare(database: &Database) -> Result<(), redb::Error> {
    let found = match database.begin_read()?.open_table(HEAD) {
        Ok(head) => number(&head, "format")?,
        Err(TableError::TableDoesNotExist(_)) => 0,
        Err(error) => return Err(error.into()),
    };
    match found {
        FORMAT => Ok(()),
        0 => {
            let transaction = database.begin_write()?;
            transaction.open_table(ROWS)?;
            transaction.open_table(HEAD)?.insert("format", FORMAT)?;
            Ok(transaction.commit()?)
        }
        newer => Err(redb::Error::Corrupted(format!(
            "it is of format {newer}, and this program knows format {FORMAT}"
        ))),
    }
}

/// Reads what is known beside the keys.
pub(crate) fn head(database: &Database) -> Result<Head, redb::Error> {
    read_head(&database.begin_read()?.open_table(HEAD)?)
}

/// Reads some keys.
pub(crate) fn get_many(
    database: &Database,
    keys: &[String],
) -> Result<Vec<Option<Stored>>, redb::Error> {
    let rows = database.begin_read()?.open_table(ROWS)?;
    let find = |key: &String| Ok(rows.get(key.as_str())?.map(|row| stored(row.value())));
    keys.iter().map(find).collect()
}

/// Reads a page of a listing.
pub(crate) fn list(
    database: &Database,
    prefix: &str,
    after: Option<&str>,
) -> Result<Page, redb::Error> {
    let transaction = database.begin_read()?;
    let head = read_head(&transaction.open_table(HEAD)?)?;
    let rows = transaction.open_table(ROWS)?;
    let from = match after.filter(|after| *after >= prefix) {
        Some(after) => Bound::Excluded(after),
        None => Bound::Included(prefix),
    };
    let mut page = PageBuilder::new(head.revision);
    for row in rows.range::<&str>((from, Bound::Unbounded))? {
        let (key, row) = row?;
        if !key.value().starts_with(prefix) || !page.push(key.value(), stored(row.value())) {
            break;
        }
    }
    Ok(page.finish())
}

/// The tables in a transaction that writes.
pub(crate) struct Tables<'txn> {
    rows: Table<'txn, &'static str, Row>,
    head: Table<'txn, &'static str, u64>,
}

impl<'txn> Tables<'txn> {
    pub(crate) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            rows: transaction.open_table(ROWS)?,
            head: transaction.open_table(HEAD)?,
        })
    }

    pub(crate) fn head(&self) -> Result<Head, redb::Error> {
        read_head(&self.head)
    }

    pub(crate) fn set_head(&mut self, head: Head) -> Result<(), redb::Error> {
        self.head.insert("revision", head.revision.0)?;
        self.head.insert("leader_epoch", head.leader_epoch.0)?;
        self.head.insert("n_bytes", head.n_bytes)?;
        Ok(())
    }

    pub(crate) fn find(&self, key: &str) -> Result<Option<Found>, redb::Error> {
        Ok(self.rows.get(key)?.map(|row| {
            let (revision, value) = row.value();
            Found {
                revision: Revision(revision),
                n_value_bytes: value.len(),
            }
        }))
    }

    pub(crate) fn apply(&mut self, changes: &[Change]) -> Result<(), redb::Error> {
        for change in changes {
            let key = change.key.as_str();
            match &change.value {
                Some(value) => {
                    self.rows.insert(key, (change.revision.0, value.as_ref()))?;
                }
                None => {
                    self.rows.remove(key)?;
                }
            }
        }
        Ok(())
    }
}

fn read_head(table: &impl ReadableTable<&'static str, u64>) -> Result<Head, redb::Error> {
    Ok(Head {
        revision: Revision(number(table, "revision")?),
        leader_epoch: LeaderEpoch(number(table, "leader_epoch")?),
        n_bytes: number(table, "n_bytes")?,
    })
}

/// Reads a number that is 0 until it is written.
fn number(
    table: &impl ReadableTable<&'static str, u64>,
    name: &'static str,
) -> Result<u64, redb::Error> {
    Ok(table.get(name)?.map_or(0, |number| number.value()))
}

fn stored((revision, value): (u64, &[u8])) -> Stored {
    Stored {
        value: Bytes::copy_from_slice(value),
        revision: Revision(revision),
    }
}
