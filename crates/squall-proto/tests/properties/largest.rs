//! Messages that are as large as they may be, or have so many entries.

use prost::bytes::Bytes;
use squall_proto::{bounds::*, wire, *};

pub(crate) fn handshake() -> wire::Handshake {
    Handshake::ours("x86_64-unknown-linux-gnu", None, None).into()
}

pub(crate) fn fence() -> Option<wire::Fence> {
    Some(wire::Fence {
        placement_epoch: 1,
        incarnation: 1,
    })
}

pub(crate) fn sha256() -> Vec<u8> {
    vec![7; 32]
}

/// The longest topology's id.
pub(crate) fn long_id() -> String {
    format!("{}-{}", "x".repeat(MAX_TOPOLOGY_NAME_BYTES), u64::MAX)
}

pub(crate) fn topology() -> wire::Topology {
    let component = |idx: usize| wire::ComponentParallelism {
        component_id: format!("{idx:0>64}"),
        n_tasks: 1,
    };
    wire::Topology {
        id: long_id(),
        spec_json: Bytes::from(vec![b' '; MAX_SPEC_BYTES]),
        spec_sha256: sha256(),
        binary_sha256: sha256(),
        n_workers: MAX_WORKERS,
        program: "p".repeat(MAX_TOPOLOGY_NAME_BYTES),
        args: vec!["a".repeat(MAX_ARGS_BYTES / MAX_ARGS); MAX_ARGS],
        parallelism: (0..MAX_COMPONENTS).map(component).collect(),
    }
}

/// All workers, with tasks that no range holds together.
pub(crate) fn assignment() -> wire::Assignment {
    let worker = |worker_idx| wire::WorkerPlacement {
        worker_idx,
        supervisor_id: format!("{worker_idx:s>128}"),
        address: format!("{worker_idx:0>255}:65535"),
        tasks: (0..MAX_TASKS / MAX_WORKERS)
            .map(|round| wire::TaskRange {
                first: round * MAX_WORKERS + worker_idx,
                n_tasks: 1,
            })
            .collect(),
        placement_epoch: u64::MAX,
    };
    wire::Assignment {
        topology_id: long_id(),
        version: u64::MAX,
        workers: (0..MAX_WORKERS).map(worker).collect(),
    }
}

/// As much as one worker may tell of itself.
fn counters() -> wire::Counters {
    let component = |idx: usize| ComponentCounters {
        last_error: Some(Note::new("e".repeat(MAX_NOTE_BYTES))),
        ..ComponentCounters::new(format!("{idx}").as_str().into(), true)
    };
    let counters = Counters {
        components: (0..100).map(component).collect(),
        n_omitted: 0,
    };
    let fitted = counters.fit();
    assert!(fitted.n_omitted > 0, "there was room for more");
    fitted.into()
}

pub(crate) fn slot(port: u32) -> wire::SlotStatus {
    wire::SlotStatus {
        port,
        state: wire::SlotState::Running.into(),
        topology_id: long_id(),
        worker_idx: 1,
        fence: fence(),
        pid: u32::MAX,
        counters: Some(counters()),
        last_exit: "x".repeat(MAX_NOTE_BYTES),
        ..wire::SlotStatus::default()
    }
}

pub(crate) fn report(n_slots: usize) -> wire::SupervisorReport {
    let status = wire::SupervisorStatus {
        slots: (1..).map(slot).take(n_slots).collect(),
        ..wire::SupervisorStatus::default()
    };
    wire::SupervisorReport {
        report: Some(wire::supervisor_report::Report::Status(status)),
    }
}

pub(crate) fn commit(n_writes: usize, value_bytes: usize) -> wire::CommitCheckpointsRequest {
    let write = |idx: usize| wire::CheckpointWrite {
        key: format!("{idx:0>100}"),
        expected_version: Some(u64::MAX),
        value: Some(vec![0; value_bytes]),
    };
    wire::CommitCheckpointsRequest {
        client: Some(wire::CheckpointClient {
            cluster_id: "0".repeat(32),
            topology_id: long_id(),
            worker_idx: 0,
            fence: fence(),
        }),
        commits: vec![wire::CheckpointCommit {
            writes: (0..n_writes).map(write).collect(),
        }],
    }
}

pub(crate) fn data_reply(n_edges: u32) -> wire::DataReply {
    let queued = |task_id| wire::QueuedSections {
        emitter_idx: 4095,
        task_id,
        n_sections: u64::MAX,
    };
    wire::DataReply {
        welcome: Some(wire::LinkWelcome {
            handshake: Some(handshake()),
            protocol: 1,
            fence: fence(),
        }),
        window_bytes: u64::MAX,
        queued: (0..n_edges).map(queued).collect(),
    }
}
