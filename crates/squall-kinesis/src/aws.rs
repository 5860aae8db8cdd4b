//! The real thing: [`KinesisApi`] over the AWS SDK.

mod connection;
mod records;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Shard, ShardIteratorType};
use squall_core::BoxFuture;

use crate::api::{ApiError, ErrorClass, KinesisApi, Page, ShardId, ShardInfo, ShardPage, Start};

pub use connection::{Connection, StreamRef};

/// One stream, over the AWS SDK. The SDK's own retries are off: the spout knows better how long to wait.
#[derive(Clone, Debug)]
pub struct Aws {
    client: Client,
    stream: StreamRef,
}

impl Aws {
    /// Connects to a stream. Makes no call; credentials are looked for at the first one.
    pub async fn connect(connection: &Connection, stream: StreamRef) -> Self {
        Self {
            client: connection.client(false).await,
            stream,
        }
    }

    async fn list_page(&self, token: Option<&str>) -> Result<ShardPage, ApiError> {
        let call = self.client.list_shards();
        let call = match (token, &self.stream) {
            // A token names its stream; both together are refused.
            (Some(token), _) => call.next_token(token),
            (None, StreamRef::Name(name)) => call.stream_name(name.as_str()),
            (None, StreamRef::Arn(arn)) => call.stream_arn(arn.as_str()),
        };
        let answer = call.send().await.map_err(|error| explain(&error))?;
        Ok(ShardPage {
            shards: answer.shards().iter().map(shard_info).collect(),
            next_token: answer.next_token,
        })
    }

    async fn iterator(&self, shard: &ShardId, start: &Start) -> Result<String, ApiError> {
        let call = self.client.get_shard_iterator().shard_id(shard.as_str());
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
        let answer = call.send().await.map_err(|error| explain(&error))?;
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
        let call = self.client.get_records().shard_iterator(iterator);
        let call = match &self.stream {
            StreamRef::Name(_) => call,
            StreamRef::Arn(arn) => call.stream_arn(arn.as_str()),
        };
        Box::pin(async move {
            let answer = call
                .limit(limit)
                .send()
                .await
                .map_err(|error| explain(&error))?;
            records::page(answer)
        })
    }
}

/// Puts a failed call into the spout's error table. The text holds no credentials.
pub(crate) fn explain<E>(error: &SdkError<E>) -> ApiError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let code = match (error, error.code()) {
        (_, Some(code)) => code.to_owned(),
        (SdkError::TimeoutError(_), None) => "Timeout".to_owned(),
        (SdkError::DispatchFailure(_), None) => "Unreachable".to_owned(),
        (_, None) => "Unknown".to_owned(),
    };
    let message = match error.message() {
        Some(message) => message.to_owned(),
        None => DisplayErrorContext(error).to_string(),
    };
    ApiError {
        class: ErrorClass::of(&code, status),
        code,
        message,
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
