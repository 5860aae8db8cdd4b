//! Whatever arrives is a value or an error: never a panic, never more memory than the bytes that came.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use prost::Message;
use squall_core::Entry;
use squall_proto::{wire, *};

use crate::any;

/// Takes bytes as a message and converts it. What converts must convert again.
fn take<D, W>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    D: TryFrom<W, Error = FieldError> + Clone + PartialEq,
    W: Message + Default + From<D>,
{
    let Ok(wire) = W::decode(bytes) else {
        return Ok(());
    };
    match D::try_from(wire) {
        Ok(value) => match D::try_from(W::from(value.clone())) {
            Ok(again) => prop_assert!(again == value, "another value the second time"),
            Err(error) => prop_assert!(false, "what was taken can't be sent: {error}"),
        },
        Err(error) => {
            prop_assert!(!error.path.is_empty(), "no path: {error}");
            prop_assert!(error.to_string().len() < 4096, "too long: {error}");
        }
    }
    Ok(())
}

/// Feeds a message with noise, and with valid bytes that were changed, cut or doubled somewhere.
fn check<D, W>(values: impl Strategy<Value = D>)
where
    D: TryFrom<W, Error = FieldError> + Clone + PartialEq + std::fmt::Debug,
    W: Message + Default + From<D>,
{
    let name = std::any::type_name::<W>();
    let noise = TestRunner::default().run(&vec(any::<u8>(), 0..300), |bytes| take::<D, W>(&bytes));
    if let Err(error) = noise {
        panic!("{name}: {error}");
    }
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    let cut = (any::<prop::sample::Index>(), any::<bool>(), any::<bool>());
    let changed = TestRunner::default().run(
        &(values, changes, cut),
        |(value, changes, (end, cut, double))| {
            let mut bytes = W::from(value).encode_to_vec();
            bytes.push(0);
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let end = end.index(bytes.len());
            if cut {
                bytes.truncate(end);
            }
            if double {
                // Fields that come twice: the last one, or both, count.
                bytes.extend_from_within(..end.min(bytes.len()));
            }
            take::<D, W>(&bytes)
        },
    );
    if let Err(error) = changed {
        panic!("{name}: {error}");
    }
}

#[test]
fn nimbus_takes_anything() {
    check::<Handshake, wire::HelloRequest>(any::handshake());
    check::<Submit, wire::SubmitRequest>(any::submit());
    check::<Describe, wire::DescribeRequest>(any::describe());
    check::<Kill, wire::KillRequest>(any::kill());
    check::<SetActive, wire::SetActiveRequest>(any::set_active());
    check::<Rebalance, wire::RebalanceRequest>(any::rebalance());
    check::<Drain, wire::DrainRequest>(any::drain());
    check::<TailLog, wire::TailLogRequest>(any::tail_log());
    check::<SupervisorReport, wire::SupervisorReport>(any::supervisor_report());
    check::<Sha256, wire::HasRequest>(any::sha256());
    check::<UploadPart, wire::UploadRequest>(any::upload_part());
    check::<FetchBlob, wire::FetchRequest>(any::fetch_blob());
    check::<LoadCheckpoint, wire::LoadCheckpointRequest>(any::load_checkpoint());
    check::<ListCheckpoints, wire::ListCheckpointsRequest>(any::list_checkpoints());
    check::<CommitCheckpoints, wire::CommitCheckpointsRequest>(any::commit_checkpoints());
}

#[test]
fn supervisors_take_anything() {
    check::<SupervisorOrder, wire::SupervisorOrder>(any::supervisor_order());
    check::<WorkerReport, wire::WorkerReport>(any::worker_report());
    check::<TailWorkerLog, wire::TailWorkerLogRequest>(any::tail_worker_log());
    check::<BlobChunk, wire::FetchResponse>(any::blob_chunk());
}

#[test]
fn workers_take_anything() {
    check::<Launch, wire::Launch>(any::launch());
    check::<WorkerOrder, wire::WorkerOrder>(any::worker_order());
    check::<LinkMessage, wire::DataFrame>(any::link_message());
    check::<LinkMessage, wire::AckFrame>(any::link_message());
    check::<DataReply, wire::DataReply>(any::data_reply());
    check::<AckReply, wire::AckReply>(any::ack_reply());
    check::<Option<(String, Entry)>, wire::LoadCheckpointResponse>(any::loaded());
    check::<CheckpointPage, wire::ListCheckpointsResponse>(any::checkpoint_page());
    check::<Vec<CheckpointOutcome>, wire::CommitCheckpointsResponse>(any::checkpoint_outcomes());
}

#[test]
fn the_command_line_takes_anything() {
    check::<Hello, wire::HelloResponse>(any::hello());
    check::<Planned, wire::SubmitResponse>(any::planned());
    check::<Planned, wire::RebalanceResponse>(any::planned());
    check::<Vec<TopologySummary>, wire::ListTopologiesResponse>(any::summaries());
    check::<Description, wire::DescribeResponse>(any::description());
    check::<Vec<SupervisorInfo>, wire::ListSupervisorsResponse>(any::supervisor_infos());
    check::<LogPiece, wire::TailLogResponse>(any::log_piece());
    check::<Refusal, wire::Refusal>(any::refusal());
}
