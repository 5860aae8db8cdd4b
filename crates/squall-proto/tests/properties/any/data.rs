//! Blobs, checkpoints, links, refusals.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use squall_core::engine::{ComponentIdx, EdgeId};
use squall_core::{Entry, TaskId, Write};
use squall_proto::{
    AckReply, BlobChunk, CheckpointClient, CheckpointOutcome, CheckpointPage, CommitCheckpoints,
    DataReply, FetchBlob, Frame, LinkHello, LinkMessage, LinkWelcome, ListCheckpoints,
    LoadCheckpoint, Queued, Refusal, RefusalCode, UploadHeader, UploadPart,
};

use crate::any::*;

pub(crate) fn upload_part() -> impl Strategy<Value = UploadPart> {
    let header = (sha256(), 1..=2u64 << 30)
        .prop_map(|(sha256, size_bytes)| UploadHeader { sha256, size_bytes });
    prop_oneof![
        header.prop_map(UploadPart::Header),
        bytes(1..200).prop_map(UploadPart::Chunk),
    ]
}

pub(crate) fn fetch_blob() -> impl Strategy<Value = FetchBlob> {
    (sha256(), 0..=2u64 << 30).prop_map(|(sha256, offset_bytes)| FetchBlob {
        sha256,
        offset_bytes,
    })
}

pub(crate) fn blob_chunk() -> impl Strategy<Value = BlobChunk> {
    (bytes(0..200), 1..1000u64, 1..1000u64).prop_map(|(chunk, before, behind)| {
        let n_bytes = u64::try_from(chunk.len()).unwrap();
        BlobChunk {
            size_bytes: before + n_bytes + if n_bytes == 0 { 0 } else { behind },
            offset_bytes: before,
            chunk,
        }
    })
}

fn client() -> impl Strategy<Value = CheckpointClient> {
    (cluster_id(), topology_id(), worker(), started_fence()).prop_map(
        |(cluster, topology, worker, fence)| CheckpointClient {
            cluster,
            topology,
            worker,
            fence,
        },
    )
}

/// Short ones, so that neighbours are drawn now and then.
fn key() -> impl Strategy<Value = String> {
    "[a-z/é]{1,4}"
}

fn entry() -> impl Strategy<Value = Entry> {
    let value = vec(any::<u8>(), 0..50);
    (value, from_one(), fence()).prop_map(|(value, version, fence)| Entry {
        value,
        version,
        fence,
    })
}

pub(crate) fn loaded() -> impl Strategy<Value = Option<(String, Entry)>> {
    of((key(), entry()))
}

pub(crate) fn load_checkpoint() -> impl Strategy<Value = LoadCheckpoint> {
    (client(), key()).prop_map(|(client, key)| LoadCheckpoint { client, key })
}

pub(crate) fn list_checkpoints() -> impl Strategy<Value = ListCheckpoints> {
    (client(), "[a-z/]{0,9}", of(key())).prop_map(|(client, prefix, after)| ListCheckpoints {
        client,
        prefix,
        after,
    })
}

pub(crate) fn checkpoint_page() -> impl Strategy<Value = CheckpointPage> {
    (btree_map(key(), entry(), 0..9), any::<bool>()).prop_map(|(entries, more)| CheckpointPage {
        more: more && !entries.is_empty(),
        entries: entries.into_iter().collect(),
    })
}

pub(crate) fn commit_checkpoints() -> impl Strategy<Value = CommitCheckpoints> {
    let rest = (of(from_one()), of(vec(any::<u8>(), 0..50)));
    let writes = btree_map(key(), rest, 1..9);
    (client(), writes, 1..4usize).prop_map(|(client, writes, n_in_each)| {
        let write = |(key, (expected, value))| Write {
            key,
            expected,
            value,
        };
        let writes: Vec<Write> = writes.into_iter().map(write).collect();
        let commits = writes.chunks(n_in_each).map(<[Write]>::to_vec).collect();
        CommitCheckpoints { client, commits }
    })
}

pub(crate) fn checkpoint_outcomes() -> impl Strategy<Value = Vec<CheckpointOutcome>> {
    let conflict = (key(), of(number()), of(number())).prop_map(|(key, expected, found)| {
        CheckpointOutcome::Conflict {
            key,
            expected,
            found,
        }
    });
    let outcome = prop_oneof![
        vec(number(), 1..9).prop_map(CheckpointOutcome::Committed),
        conflict,
        (key(), fence()).prop_map(|(key, found)| CheckpointOutcome::Fenced { key, found }),
    ];
    vec(outcome, 0..9)
}

fn link_hello() -> impl Strategy<Value = LinkHello> {
    let from = (worker(), started_fence());
    let to = (worker(), from_one());
    (handshake(), topology_id(), any::<u64>(), from, to).prop_map(
        |(handshake, topology, schema_fingerprint, from, to)| LinkHello {
            handshake,
            topology,
            schema_fingerprint,
            from: from.0,
            from_fence: from.1,
            to: to.0,
            to_placement_epoch: to.1,
        },
    )
}

fn link_welcome() -> impl Strategy<Value = LinkWelcome> {
    (handshake(), 1..=u32::MAX, started_fence()).prop_map(|(handshake, protocol, fence)| {
        LinkWelcome {
            handshake,
            protocol,
            fence,
        }
    })
}

pub(crate) fn link_message() -> impl Strategy<Value = LinkMessage> {
    let frame = (from_one(), bytes(1..200)).prop_map(|(number, payload)| Frame { number, payload });
    prop_oneof![
        link_hello().prop_map(LinkMessage::Hello),
        frame.prop_map(LinkMessage::Frame),
    ]
}

pub(crate) fn data_reply() -> impl Strategy<Value = DataReply> {
    let edge = (0..4096u32, 0..65_536u32).prop_map(|(emitter, reader)| EdgeId {
        emitter: ComponentIdx(emitter),
        reader: TaskId(reader),
    });
    let queued = (edge, number()).prop_map(|(edge, n_sections)| Queued { edge, n_sections });
    (of(link_welcome()), number(), vec(queued, 0..9)).prop_map(|(welcome, window_bytes, queued)| {
        DataReply {
            welcome,
            window_bytes,
            queued,
        }
    })
}

pub(crate) fn ack_reply() -> impl Strategy<Value = AckReply> {
    (of(link_welcome()), number()).prop_map(|(welcome, confirmed)| AckReply { welcome, confirmed })
}

pub(crate) fn refusal() -> impl Strategy<Value = Refusal> {
    let code = select(RefusalCode::all().collect::<Vec<_>>());
    let facts = vec(("[a-z_]{1,9}", any::<String>()), 0..12);
    (code, any::<String>(), any::<String>(), facts).prop_map(|(code, message, action, facts)| {
        let refusal = Refusal::new(code, message, action);
        let add = |refusal: Refusal, (name, value): (String, String)| refusal.with(&name, &value);
        facts.into_iter().fold(refusal, add)
    })
}
