//! A page of records as the SDK gives it, taken apart.

use std::sync::Arc;

use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use squall_core::Str;

use crate::api::{ApiError, ErrorClass, Page, Record, ShardId};
use crate::sequence::Sequence;

/// Converts a page. A sequence number that isn't a number is a fault of the server's.
pub(crate) fn page(answer: GetRecordsOutput) -> Result<Page, ApiError> {
    let children = answer.child_shards();
    let children = children.iter().map(|child| ShardId::new(child.shard_id()));
    Ok(Page {
        children: children.collect(),
        behind_ms: answer
            .millis_behind_latest
            .and_then(|millis| u64::try_from(millis).ok()),
        next_iterator: answer.next_shard_iterator,
        records: answer
            .records
            .into_iter()
            .map(record)
            .collect::<Result<_, _>>()?,
    })
}

fn record(record: aws_sdk_kinesis::types::Record) -> Result<Record, ApiError> {
    let sequence = Sequence::parse(&record.sequence_number).map_err(|error| ApiError {
        class: ErrorClass::Transient,
        code: "MalformedAnswer".to_owned(),
        message: error.to_string(),
    })?;
    let arrival = record.approximate_arrival_timestamp;
    Ok(Record {
        sequence,
        partition_key: Str::from(record.partition_key.unwrap_or_default()),
        data: Arc::from(record.data.into_inner()),
        arrival_ms: arrival.and_then(|arrival| arrival.to_millis().ok()),
    })
}
