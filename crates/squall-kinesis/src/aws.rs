//! The real thing: [`KinesisApi`] over the AWS SDK.

mod connection;
mod explain;
mod records;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::ProvideCredentials;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Shard, ShardIteratorType};
use squall_core::BoxFuture;
use tracing::instrument::WithSubscriber;

use crate::api::{ApiError, ErrorClass, KinesisApi, Page, ShardId, ShardInfo, ShardPage, Start};
use crate::aws::connection::Reached;

pub use connection::{Connection, StreamRef};
pub(crate) use explain::explain;

/// One stream, over the AWS SDK. The SDK's own retries are off: the spout knows better how long to wait.
#[derive(Clone, Debug)]
pub struct Aws {
    reached: Reached,
    stream: StreamRef,
}

impl Aws {
    /// Finds out how a stream is reached. Makes no call to it; credentials are looked for at the first one.
    /// Where no region is set, asking EC2's instance metadata for one may take seconds.
    ///
    /// # Errors
    /// [`ErrorClass::NoRegion`].
    pub async fn connect(connection: &Connection, stream: StreamRef) -> Result<Self, ApiError> {
        let reached = connection.reach(false).await?;
        Ok(Self { reached, stream })
    }

    /// Returns the region that was found.
    pub(crate) fn region(&self) -> &str {
        &self.reached.region
    }

    /// Looks for credentials, of which nothing is kept: the first call that finds none says so.
    pub(crate) async fn look_for_credentials(&self) {
        if let Some(credentials) = &self.reached.credentials {
            drop(quietly(credentials.provide_credentials()).await);
        }
    }

    const fn client(&self) -> &Client {
        &self.reached.client
    }

    async fn list_page(&self, token: Option<&str>) -> Result<ShardPage, ApiError> {
        let call = self.client().list_shards();
        let call = match (token, &self.stream) {
            // A token names its stream; both together are refused.
            (Some(token), _) => call.next_token(token),
            (None, StreamRef::Name(name)) => call.stream_name(name.as_str()),
            (None, StreamRef::Arn(arn)) => call.stream_arn(arn.as_str()),
        };
        let answer = quietly(call.send()).await;
        let answer = answer.map_err(|error| explain(&error))?;
        Ok(ShardPage {
            shards: answer.shards().iter().map(shard_info).collect(),
            next_token: answer.next_token,
        })
    }

    async fn iterator(&self, shard: &ShardId, start: &Start) -> Result<String, ApiError> {
        let call = self.client().get_shard_iterator().shard_id(shard.as_str());
        let call = match &self.stream {
            StreamRef::Name(name) => call.stream_name(name.as_str()),
            StreamRef::Arn(arn) => call.stream_arn(arn.as_str()),
        };
        let call = match start {
            Start::TrimHorizon => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Start::Latest => call.shard_iterator_type(ShardIteratorType::Latest),
            Start::AtTimestamp(unix_ms) => call
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(
                    i64::try_from(*unix_ms).unwrap_or(i64::MAX),
                )),
            Start::AtSequence(sequence) => call
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(sequence.as_str()),
            Start::AfterSequence(sequence) => call
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence.as_str()),
        };
        let answer = quietly(call.send()).await;
        let answer = answer.map_err(|error| explain(&error))?;
        answer.shard_iterator.ok_or_else(|| ApiError {
            class: ErrorClass::Transient,
            code: "MissingIterator".to_owned(),
            message: "the answer has no iterator".to_owned(),
        })
    }
}

impl KinesisApi for Aws {
    fn list_shards<'a>(
        &'a self,
        token: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ShardPage, ApiError>> {
        Box::pin(self.list_page(token))
    }

    fn shard_iterator<'a>(
        &'a self,
        shard: &'a ShardId,
        start: &'a Start,
    ) -> BoxFuture<'a, Result<String, ApiError>> {
        Box::pin(self.iterator(shard, start))
    }

    fn records<'a>(
        &'a self,
        iterator: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Page, ApiError>> {
        let limit = i32::try_from(limit.clamp(1, 10_000)).unwrap_or(10_000);
        let call = self.client().get_records().shard_iterator(iterator);
        let call = match &self.stream {
            StreamRef::Name(_) => call,
            StreamRef::Arn(arn) => call.stream_arn(arn.as_str()),
        };
        Box::pin(async move {
            let answer = quietly(call.limit(limit).send()).await;
            records::page(answer.map_err(|error| explain(&error))?)
        })
    }
}

/// Runs a part of the SDK without its own lines in the log: they are dumps of what is told better here.
/// A filter that asks for `aws_config=debug` brings them back.
pub(crate) async fn quietly<T>(part: impl Future<Output = T>) -> T {
    if tracing::enabled!(target: "aws_config", tracing::Level::DEBUG) {
        part.await
    } else {
        part.with_subscriber(tracing::Dispatch::none()).await
    }
}

pub(crate) fn shard_info(shard: &Shard) -> ShardInfo {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    let range = shard.sequence_number_range();
    ShardInfo {
        id: ShardId::new(shard.shard_id()),
        parents: parents.into_iter().flatten().map(ShardId::new).collect(),
        closed: range.is_some_and(|range| range.ending_sequence_number().is_some()),
    }
}
