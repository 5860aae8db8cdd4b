//! Making streams, putting records and resharding: what a producer or a test needs.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, StreamStatus};
use thiserror::Error;
use tokio::time::{sleep, timeout};

use crate::api::{ApiError, ErrorClass, ShardId, ShardInfo};
use crate::aws::{Connection, explain, shard_info};

/// The most records in one PutRecords call.
const MAX_PUT_RECORDS: usize = 500;
/// The most bytes in one PutRecords call, keys included; the service takes more by now, emulators may not.
const MAX_PUT_BYTES: usize = 5 << 20;
const POLL: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that manages streams and puts records, with the SDK's retries.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The client, or why there is none.
    client: Result<Client, ApiError>,
}

/// A record to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutEntry {
    /// Decides on the shard.
    pub partition_key: String,
    /// The contents.
    pub data: Vec<u8>,
}

/// Where a record that was put now stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutPlace {
    /// The shard.
    pub shard: ShardId,
    /// The sequence number, as the service wrote it.
    pub sequence: String,
}

/// What can go wrong.
#[derive(Debug, Error)]
pub enum AdminError {
    /// A call failed.
    #[error("{operation}: {source}")]
    Call {
        /// The operation.
        operation: &'static str,
        /// What the server said.
        source: ApiError,
    },
    /// A minute has passed.
    #[error("`{0}` took longer than {PATIENCE:?}")]
    TimedOut(&'static str),
    /// The shard isn't listed, or has no hash key range.
    #[error("the stream has no open shard {0}")]
    NoShard(ShardId),
}

impl Admin {
    /// Makes a client; see [`Connection`]. Without a region each call fails and says so.
    pub async fn connect(connection: &Connection) -> Self {
        let reached = connection.reach(true).await;
        Self {
            client: reached.map(|reached| reached.client),
        }
    }

    fn client(&self, operation: &'static str) -> Result<&Client, AdminError> {
        let without = |source: &ApiError| AdminError::Call {
            operation,
            source: source.clone(),
        };
        self.client.as_ref().map_err(without)
    }

    /// Makes a stream of so many shards and waits until it is active.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn create_stream(&self, stream: &str, n_shards: u16) -> Result<(), AdminError> {
        let call = self
            .client("CreateStream")?
            .create_stream()
            .stream_name(stream);
        let call = call.shard_count(i32::from(n_shards));
        call.send().await.map_err(failed("CreateStream"))?;
        self.wait_until_active(stream).await
    }

    /// Deletes a stream; doesn't wait until it is gone.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn delete_stream(&self, stream: &str) -> Result<(), AdminError> {
        let call = self
            .client("DeleteStream")?
            .delete_stream()
            .stream_name(stream);
        call.send().await.map_err(failed("DeleteStream"))?;
        Ok(())
    }

    /// Puts records, in calls of at most 500; those that are refused are put again until all are taken,
    /// which may change their order. Returns the places in the order of `entries`.
    ///
    /// # Errors
    /// [`AdminError`]; any number of the records may have been put.
    pub async fn put_records(
        &self,
        stream: &str,
        entries: &[PutEntry],
    ) -> Result<Vec<PutPlace>, AdminError> {
        let mut places = vec![None; entries.len()];
        let put_all = async {
            let mut wait = POLL;
            loop {
                let missing =
                    (0..entries.len()).filter(|idx| matches!(places.get(*idx), Some(None)));
                let chunk = first_chunk(entries, missing);
                if chunk.is_empty() {
                    return Ok(());
                }
                let refused = self.put_chunk(stream, entries, &chunk, &mut places).await?;
                if refused {
                    sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
            }
        };
        in_time("PutRecords", put_all).await?;
        Ok(places.into_iter().flatten().collect())
    }

    /// Puts one call's worth; tells whether some were refused.
    async fn put_chunk(
        &self,
        stream: &str,
        entries: &[PutEntry],
        chunk: &[usize],
        places: &mut [Option<PutPlace>],
    ) -> Result<bool, AdminError> {
        let failed = failed("PutRecords");
        let mut call = self.client("PutRecords")?.put_records().stream_name(stream);
        for entry in chunk.iter().filter_map(|idx| entries.get(*idx)) {
            let entry = PutRecordsRequestEntry::builder()
                .partition_key(entry.partition_key.as_str())
                .data(Blob::new(entry.data.as_slice()));
            let entry = entry.build().map_err(SdkError::construction_failure);
            call = call.records(entry.map_err(&failed)?);
        }
        let answer = call.send().await.map_err(&failed)?;
        let mut refused = false;
        for (idx, result) in chunk.iter().zip(answer.records()) {
            match (
                result.shard_id(),
                result.sequence_number(),
                places.get_mut(*idx),
            ) {
                (Some(shard), Some(sequence), Some(place)) => {
                    *place = Some(PutPlace {
                        shard: ShardId::new(shard),
                        sequence: sequence.to_owned(),
                    });
                }
                _ => refused = true,
            }
        }
        Ok(refused)
    }

    /// Lists all shards, open and closed.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn list_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, AdminError> {
        Ok(self.shards(stream).await?.iter().map(shard_info).collect())
    }

    /// Splits an open shard in the middle of its hash keys and waits until the stream is active again.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn split_shard(&self, stream: &str, shard: &ShardId) -> Result<(), AdminError> {
        let shards = self.shards(stream).await?;
        let found = shards
            .iter()
            .find(|found| found.shard_id() == shard.as_str());
        let middle = found.and_then(middle_hash_key);
        let middle = middle.ok_or_else(|| AdminError::NoShard(shard.clone()))?;
        let call = self.client("SplitShard")?.split_shard().stream_name(stream);
        let call = call.shard_to_split(shard.as_str());
        let call = call.new_starting_hash_key(middle.to_string());
        call.send().await.map_err(failed("SplitShard"))?;
        self.wait_until_active(stream).await
    }

    /// Merges two neighbouring open shards and waits until the stream is active again.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn merge_shards(
        &self,
        stream: &str,
        shard: &ShardId,
        adjacent: &ShardId,
    ) -> Result<(), AdminError> {
        let call = self
            .client("MergeShards")?
            .merge_shards()
            .stream_name(stream);
        let call = call.shard_to_merge(shard.as_str());
        let call = call.adjacent_shard_to_merge(adjacent.as_str());
        call.send().await.map_err(failed("MergeShards"))?;
        self.wait_until_active(stream).await
    }

    /// Waits until a stream is active, for a minute at most.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn wait_until_active(&self, stream: &str) -> Result<(), AdminError> {
        in_time("waiting until the stream is active", async {
            loop {
                let call = self
                    .client("DescribeStreamSummary")?
                    .describe_stream_summary()
                    .stream_name(stream);
                let answer = call.send().await.map_err(failed("DescribeStreamSummary"))?;
                let summary = answer.stream_description_summary();
                let status =
                    summary.map(aws_sdk_kinesis::types::StreamDescriptionSummary::stream_status);
                if status == Some(&StreamStatus::Active) {
                    return Ok(());
                }
                sleep(POLL).await;
            }
        })
        .await
    }

    async fn shards(&self, stream: &str) -> Result<Vec<Shard>, AdminError> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let call = match token.take() {
                Some(token) => self.client("ListShards")?.list_shards().next_token(token),
                None => self.client("ListShards")?.list_shards().stream_name(stream),
            };
            let mut answer = call.send().await.map_err(failed("ListShards"))?;
            token = answer.next_token.take();
            shards.extend(answer.shards.unwrap_or_default());
            if token.is_none() {
                return Ok(shards);
            }
        }
    }
}

fn first_chunk(entries: &[PutEntry], idxs: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut bytes = 0;
    let fits = |idx: &usize| {
        let entry = entries.get(*idx);
        bytes += entry.map_or(0, |entry| entry.data.len() + entry.partition_key.len());
        bytes <= MAX_PUT_BYTES
    };
    let mut idxs = idxs.take(MAX_PUT_RECORDS).peekable();
    // One that is too large by itself goes alone, for the service to judge.
    let first = idxs.peek().copied();
    let chunk: Vec<_> = idxs.take_while(fits).collect();
    if chunk.is_empty() {
        first.into_iter().collect()
    } else {
        chunk
    }
}

fn middle_hash_key(shard: &Shard) -> Option<u128> {
    let range = shard.hash_key_range()?;
    let first = range.starting_hash_key().parse::<u128>().ok()?;
    let last = range.ending_hash_key().parse::<u128>().ok()?;
    Some(first + last.checked_sub(first)? / 2 + 1)
}

fn failed<E>(operation: &'static str) -> impl Fn(SdkError<E>) -> AdminError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| AdminError::Call {
        operation,
        source: explain(&error),
    }
}

async fn in_time<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, AdminError>>,
) -> Result<T, AdminError> {
    let done = timeout(PATIENCE, work).await;
    done.unwrap_or(Err(AdminError::TimedOut(operation)))
}

impl AdminError {
    /// Returns the class of the failed call's error, where it was a call.
    #[must_use]
    pub const fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Call { source, .. } => Some(source.class),
            Self::TimedOut(_) | Self::NoShard(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(n: usize, bytes: usize) -> usize {
        let entry = PutEntry {
            partition_key: "k".to_owned(),
            data: vec![0; bytes - 1],
        };
        first_chunk(&vec![entry; n], 0..n).len()
    }

    #[test]
    fn a_call_has_no_more_than_the_service_takes() {
        assert_eq!(chunk(0, 10), 0);
        assert_eq!(chunk(501, 10), 500);
        assert_eq!(chunk(10, 1 << 20), 5);
        // For the service to judge.
        assert_eq!(chunk(2, 6 << 20), 1);
    }
}
