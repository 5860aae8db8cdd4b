//! Every domain type comes back from the wire as it went there.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use prost::Message;
use squall_core::Entry;
use squall_proto::{wire, *};
use tonic::Status;

use crate::any;

/// Sends values as bytes and takes them back.
pub(crate) fn check<D, W>(values: impl Strategy<Value = D>)
where
    D: Clone + Debug + PartialEq + TryFrom<W, Error = FieldError>,
    W: Message + Default + From<D>,
{
    let mut runner = TestRunner::default();
    let result = runner.run(&values, |value| {
        let bytes = W::from(value.clone()).encode_to_vec();
        let wire = W::decode(bytes.as_slice()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let back = D::try_from(wire).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(back, value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{}: {error}", std::any::type_name::<D>());
    }
}

#[test]
fn what_all_share_comes_back() {
    check::<Handshake, wire::Handshake>(any::handshake());
    check::<BinaryNeeds, wire::BinaryNeeds>(any::needs());
    check::<squall_core::Fence, wire::Fence>(any::fence());
    check::<Counters, wire::Counters>(any::counters());
    check::<Topology, wire::Topology>(any::topology());
    check::<Assignment, wire::Assignment>(any::assignment());
    check::<Plan, wire::Plan>(any::plan());
    check::<SlotStatus, wire::SlotStatus>(any::slot());
    check::<Refusal, wire::Refusal>(any::refusal());
}

#[test]
fn what_operators_ask_and_hear_comes_back() {
    check::<Handshake, wire::HelloRequest>(any::handshake());
    check::<Hello, wire::HelloResponse>(any::hello());
    check::<Submit, wire::SubmitRequest>(any::submit());
    check::<Planned, wire::SubmitResponse>(any::planned());
    check::<Planned, wire::SubmitResponse>(any::dry_planned());
    check::<Vec<TopologySummary>, wire::ListTopologiesResponse>(any::summaries());
    check::<Describe, wire::DescribeRequest>(any::describe());
    check::<Description, wire::DescribeResponse>(any::description());
    check::<Kill, wire::KillRequest>(any::kill());
    check::<squall_core::TopologyId, wire::KillResponse>(any::topology_id());
    check::<SetActive, wire::SetActiveRequest>(any::set_active());
    check::<squall_core::TopologyId, wire::SetActiveResponse>(any::topology_id());
    check::<Rebalance, wire::RebalanceRequest>(any::rebalance());
    check::<Planned, wire::RebalanceResponse>(any::planned());
    check::<Vec<SupervisorInfo>, wire::ListSupervisorsResponse>(any::supervisor_infos());
    check::<Drain, wire::DrainRequest>(any::drain());
    check::<TailLog, wire::TailLogRequest>(any::tail_log());
    check::<TailWorkerLog, wire::TailWorkerLogRequest>(any::tail_worker_log());
    check::<LogPiece, wire::TailLogResponse>(any::log_piece());
}

#[test]
fn what_the_cluster_says_to_itself_comes_back() {
    check::<SupervisorReport, wire::SupervisorReport>(any::supervisor_report());
    check::<SupervisorOrder, wire::SupervisorOrder>(any::supervisor_order());
    check::<WorkerReport, wire::WorkerReport>(any::worker_report());
    check::<WorkerOrder, wire::WorkerOrder>(any::worker_order());
    check::<Launch, wire::Launch>(any::launch());
}

#[test]
fn blobs_and_checkpoints_come_back() {
    check::<Sha256, wire::HasRequest>(any::sha256());
    check::<UploadPart, wire::UploadRequest>(any::upload_part());
    check::<FetchBlob, wire::FetchRequest>(any::fetch_blob());
    check::<BlobChunk, wire::FetchResponse>(any::blob_chunk());
    check::<LoadCheckpoint, wire::LoadCheckpointRequest>(any::load_checkpoint());
    check::<Option<(String, Entry)>, wire::LoadCheckpointResponse>(any::loaded());
    check::<ListCheckpoints, wire::ListCheckpointsRequest>(any::list_checkpoints());
    check::<CheckpointPage, wire::ListCheckpointsResponse>(any::checkpoint_page());
    check::<CommitCheckpoints, wire::CommitCheckpointsRequest>(any::commit_checkpoints());
    check::<Vec<CheckpointOutcome>, wire::CommitCheckpointsResponse>(any::checkpoint_outcomes());
}

#[test]
fn what_workers_exchange_comes_back() {
    check::<LinkMessage, wire::DataFrame>(any::link_message());
    check::<LinkMessage, wire::AckFrame>(any::link_message());
    check::<DataReply, wire::DataReply>(any::data_reply());
    check::<AckReply, wire::AckReply>(any::ack_reply());
}

proptest! {
    #[test]
    fn refusals_come_back_from_statuses(refusal in any::refusal()) {
        prop_assert_eq!(Refusal::from(Status::from(refusal.clone())), refusal);
    }

    #[test]
    fn launch_files_come_back(launch in any::launch()) {
        prop_assert_eq!(Launch::from_file(launch.to_file()).unwrap(), launch);
    }

    #[test]
    fn names_and_hashes_come_back_from_their_text(
        name in any::topology_name(),
        number in any::number(),
        sha256 in any::sha256(),
        address in any::address(),
    ) {
        prop_assert_eq!(TopologyName::of_id(&name.id(number)), Ok((name, number)));
        prop_assert_eq!(sha256.to_string().parse(), Ok(sha256));
        prop_assert_eq!(address.to_string().parse(), Ok(address));
    }

    #[test]
    fn counters_that_were_cut_can_be_sent(counters in any::counters()) {
        prop_assert_eq!(counters.clone().fit(), counters);
    }
}
