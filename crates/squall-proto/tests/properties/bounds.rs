//! What is beyond its bounds is refused with the name of its field, and what is within fits into the messages
//! that servers take.

use std::fmt::Debug;

use prost::Message;
use prost::bytes::Bytes;
use squall_proto::{bounds::*, limits::*, wire, *};

use crate::largest::*;

/// A value with its wire form changed.
fn path_of<D, W>(wire: W) -> String
where
    D: TryFrom<W, Error = FieldError> + Debug,
{
    D::try_from(wire).unwrap_err().path
}

/// Takes the largest message there may be, and finds that servers would have taken it.
#[track_caller]
fn fits<D, W>(wire: W, limit: usize)
where
    D: TryFrom<W, Error = FieldError>,
    W: Message,
{
    let n_bytes = wire.encoded_len();
    assert!(n_bytes <= limit, "{n_bytes} bytes, at most {limit}");
    if let Err(error) = D::try_from(wire) {
        panic!("{error}");
    }
}

#[test]
fn the_largest_messages_there_may_be_are_taken() {
    let submit = wire::SubmitRequest {
        name: "n".repeat(MAX_TOPOLOGY_NAME_BYTES),
        spec_json: topology().spec_json,
        binary_sha256: sha256(),
        needs: Some(wire::BinaryNeeds {
            target: "t".repeat(MAX_VERSION_BYTES),
            glibc: String::new(),
        }),
        n_workers: MAX_WORKERS,
        program: topology().program,
        args: topology().args,
        dry_run: true,
    };
    fits::<Submit, _>(submit, MAX_REQUEST_BYTES);
    let rebalance = wire::RebalanceRequest {
        name: "n".to_owned(),
        parallelism: topology().parallelism,
        ..wire::RebalanceRequest::default()
    };
    fits::<Rebalance, _>(rebalance, MAX_REQUEST_BYTES);
    fits::<SupervisorReport, _>(report(MAX_SLOTS), MAX_REPORT_BYTES);
    let order = wire::WorkerOrder {
        handshake: Some(handshake()),
        assignment: Some(assignment()),
        phase: wire::Phase::Active.into(),
        all_ready: true,
    };
    fits::<WorkerOrder, _>(order, MAX_WORKER_ORDER_BYTES);
    let launch = wire::Launch {
        handshake: Some(handshake()),
        topology: Some(topology()),
        assignment: Some(assignment()),
        worker_idx: 0,
        fence: Some(wire::Fence {
            placement_epoch: u64::MAX,
            incarnation: 1,
        }),
        cookie: "0".repeat(32),
        supervisor_address: "a:1".to_owned(),
        nimbus_addresses: vec![format!("{}:1", "x".repeat(255)); MAX_NIMBUSES],
        bind_address: "a:1".to_owned(),
    };
    fits::<Launch, _>(launch, MAX_LAUNCH_BYTES);
    let topology_order = wire::TopologyOrder {
        topology: Some(topology()),
        assignment: Some(assignment()),
        phase: wire::Phase::Active.into(),
        all_ready: true,
    };
    let n_bytes = topology_order.encoded_len();
    let told = Topology::try_from(topology()).unwrap();
    let most = TopologyOrder::max_bytes(&told, MAX_WORKERS as usize, MAX_TASKS as usize);
    assert!(
        (n_bytes..n_bytes + n_bytes / 4).contains(&most),
        "{n_bytes} bytes, said to be at most {most}"
    );
    let order = wire::SupervisorOrder {
        handshake: Some(handshake()),
        leader_epoch: 1,
        topologies: vec![topology_order],
    };
    fits::<SupervisorOrder, _>(order, MAX_ORDER_BYTES);
    fits::<CommitCheckpoints, _>(commit(10_000, 700), MAX_CHECKPOINTS_BYTES);
    fits::<CommitCheckpoints, _>(commit(31, 256 * 1024), MAX_CHECKPOINTS_BYTES);
    fits::<DataReply, _>(data_reply(MAX_TASKS), MAX_EXCHANGE_BYTES);
    let frame = wire::DataFrame {
        hello: None,
        number: u64::MAX,
        payload: Bytes::from(vec![0; MAX_FRAME_BYTES]),
    };
    fits::<LinkMessage, _>(frame, MAX_EXCHANGE_BYTES);
    let piece = wire::FetchResponse {
        size_bytes: MAX_BLOB_BYTES,
        offset_bytes: 0,
        chunk: Bytes::from(vec![0; MAX_CHUNK_BYTES]),
    };
    fits::<BlobChunk, _>(piece, MAX_PIECE_BYTES);
}

#[test]
fn lists_that_are_too_long_are_refused() {
    let mut wrong = topology();
    wrong.parallelism.push(wire::ComponentParallelism {
        component_id: "one-more".to_owned(),
        n_tasks: 1,
    });
    assert_eq!(path_of::<Topology, _>(wrong), "parallelism");
    let mut wrong = topology();
    wrong.args.push(String::new());
    assert_eq!(path_of::<Topology, _>(wrong), "args");
    let mut wrong = assignment();
    wrong.workers.push(wire::WorkerPlacement::default());
    assert_eq!(path_of::<Assignment, _>(wrong), "workers");
    let path = path_of::<SupervisorReport, _>(report(MAX_SLOTS + 1));
    assert_eq!(path, "status.slots");
    assert_eq!(
        path_of::<CommitCheckpoints, _>(commit(10_001, 0)),
        "commits[0].writes"
    );
    assert_eq!(
        path_of::<CommitCheckpoints, _>(commit(0, 0)),
        "commits[0].writes"
    );
    assert_eq!(path_of::<DataReply, _>(data_reply(MAX_TASKS + 1)), "queued");
    let hello = wire::SupervisorHello {
        handshake: Some(handshake()),
        supervisor_id: "s".to_owned(),
        address: "a:1".to_owned(),
        slot_ports: (1..=65).collect(),
        ..wire::SupervisorHello::default()
    };
    assert_eq!(path_of::<SupervisorHello, _>(hello), "slot_ports");
    let component = |idx: usize| wire::ComponentCounters {
        component_id: idx.to_string(),
        ..wire::ComponentCounters::default()
    };
    let counters = wire::Counters {
        components: (0..=MAX_COMPONENTS).map(component).collect(),
        n_omitted: 0,
    };
    assert_eq!(path_of::<Counters, _>(counters), "components");
    // One worker's have less room than a topology's.
    let component = |idx: usize| wire::ComponentCounters {
        component_id: format!("{idx:0>64}"),
        ..wire::ComponentCounters::default()
    };
    let counters = wire::Counters {
        components: (0..1000).map(component).collect(),
        n_omitted: 0,
    };
    assert!(Counters::try_from(counters.clone()).is_ok());
    let status = wire::WorkerStatusReport {
        assignment_version: 1,
        counters: Some(counters),
        ..wire::WorkerStatusReport::default()
    };
    assert_eq!(path_of::<WorkerStatus, _>(status), "counters");
    let supervisors = wire::ListSupervisorsResponse {
        supervisors: vec![wire::SupervisorInfo::default(); MAX_SUPERVISORS + 1],
    };
    assert_eq!(
        path_of::<Vec<SupervisorInfo>, _>(supervisors),
        "supervisors"
    );
    let facts = vec![wire::Fact::default(); MAX_FACTS + 1];
    let refusal = wire::Refusal {
        facts,
        ..wire::Refusal::default()
    };
    assert_eq!(path_of::<Refusal, _>(refusal), "facts");
}

#[test]
fn texts_and_bytes_that_are_too_long_are_refused() {
    let mut wrong = topology();
    wrong.spec_json = Bytes::from(vec![b' '; MAX_SPEC_BYTES + 1]);
    assert_eq!(path_of::<Topology, _>(wrong), "spec_json");
    let mut wrong = topology();
    wrong.args[0].push('a');
    assert_eq!(path_of::<Topology, _>(wrong), "args");
    let mut wrong = topology();
    wrong.binary_sha256.push(0);
    assert_eq!(path_of::<Topology, _>(wrong), "binary_sha256");
    assert_eq!(
        path_of::<CommitCheckpoints, _>(commit(1, 256 * 1024 + 1)),
        "commits[0].writes[0].value"
    );
    // Each value fits, all of them don't.
    assert_eq!(
        path_of::<CommitCheckpoints, _>(commit(33, 256 * 1024)),
        "commits"
    );
    let frame = wire::AckFrame {
        number: 1,
        payload: Bytes::from(vec![0; MAX_FRAME_BYTES + 1]),
        ..wire::AckFrame::default()
    };
    assert_eq!(path_of::<LinkMessage, _>(frame), "payload");
    let part = wire::UploadRequest {
        part: Some(wire::upload_request::Part::Chunk(Bytes::from(vec![
            0;
            MAX_CHUNK_BYTES
                + 1
        ]))),
    };
    assert_eq!(path_of::<UploadPart, _>(part), "chunk");
    let header = wire::UploadHeader {
        sha256: sha256(),
        size_bytes: MAX_BLOB_BYTES + 1,
    };
    assert_eq!(path_of::<UploadHeader, _>(header), "size_bytes");
    let kill = wire::KillRequest {
        name: "a".to_owned(),
        wait_ms: MAX_WAIT_MS + 1,
    };
    assert_eq!(path_of::<Kill, _>(kill), "wait_ms");
}

#[test]
fn an_error_names_the_field_and_shows_what_it_found() {
    let mut wrong = assignment();
    wrong.workers[3].address = "\u{1b}[2Jhost".to_owned();
    let order = wire::WorkerOrder {
        handshake: Some(handshake()),
        assignment: Some(wrong),
        phase: wire::Phase::Active.into(),
        all_ready: false,
    };
    assert_eq!(
        WorkerOrder::try_from(order).unwrap_err().to_string(),
        r#"`assignment.workers[3].address`: expected `host:port`, found "\u{1b}[2Jhost""#
    );
    let error = Submit::try_from(wire::SubmitRequest {
        name: "a/b".to_owned(),
        ..wire::SubmitRequest::default()
    });
    assert_eq!(
        error.unwrap_err().to_string(),
        r#"`name`: expected 1 to 128 letters, digits, `.`, `_` and `-`, found "a/b""#
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    type Change = fn(&mut wire::Assignment);
    let changes: [(&str, Change); 6] = [
        ("workers[1].worker_idx", |a| a.workers[1].worker_idx = 0),
        ("workers[2].tasks", |a| {
            a.workers[2].tasks = a.workers[1].tasks.clone();
        }),
        ("workers[2]", |a| {
            a.workers[2].address = a.workers[1].address.clone();
        }),
        ("workers[0].placement_epoch", |a| a.version = 9),
        ("workers[4].tasks", |a| a.workers[4].tasks.clear()),
        ("topology_id", |a| a.topology_id = "no-number-".to_owned()),
    ];
    for (path, change) in changes {
        let mut wrong = assignment();
        change(&mut wrong);
        assert_eq!(path_of::<Assignment, _>(wrong), path);
    }
    // Another topology's assignment.
    let order = wire::TopologyOrder {
        topology: Some(wire::Topology {
            id: "another-1".to_owned(),
            ..topology()
        }),
        assignment: Some(assignment()),
        phase: wire::Phase::Active.into(),
        all_ready: false,
    };
    assert_eq!(path_of::<TopologyOrder, _>(order), "assignment.topology_id");
    // One slot, two topologies.
    let order = |id: &str| wire::TopologyOrder {
        topology: Some(wire::Topology {
            id: id.to_owned(),
            ..topology()
        }),
        assignment: Some(wire::Assignment {
            topology_id: id.to_owned(),
            ..assignment()
        }),
        phase: wire::Phase::Active.into(),
        all_ready: false,
    };
    let orders = wire::SupervisorOrder {
        handshake: Some(handshake()),
        leader_epoch: 1,
        topologies: vec![order("a-1"), order("b-2")],
    };
    let path = path_of::<SupervisorOrder, _>(orders);
    assert_eq!(path, "topologies.assignment.workers[4096]");
    // A running worker without a process, an empty slot with a worker.
    let running = wire::SlotStatus { pid: 0, ..slot(1) };
    assert_eq!(path_of::<SlotStatus, _>(running), "pid");
    let empty = wire::SlotStatus {
        state: wire::SlotState::Empty.into(),
        ..slot(1)
    };
    assert_eq!(path_of::<SlotStatus, _>(empty), "topology_id");
    // A hello with a payload.
    let hello = wire::DataFrame {
        hello: Some(wire::LinkHello::default()),
        payload: Bytes::from_static(b"x"),
        ..wire::DataFrame::default()
    };
    assert_eq!(path_of::<LinkMessage, _>(hello), "payload");
}
