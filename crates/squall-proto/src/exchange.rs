//! Between workers of one topology. What a frame's payload means, only `squall-transport` knows.

use prost::bytes::Bytes;
use squall_core::engine::{ComponentIdx, EdgeId, WorkerIdx};
use squall_core::{Fence, TaskId, TopologyId};

use crate::bounds::{MAX_COMPONENTS, MAX_FRAME_BYTES, MAX_TASKS};
use crate::check;
use crate::fence;
use crate::field::{At, FieldError};
use crate::handshake::Handshake;
use crate::names::topology_id;
use crate::wire;

/// The first thing on each stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkHello {
    /// The sender's handshake.
    pub handshake: Handshake,
    /// The topology that both must run.
    pub topology: TopologyId,
    /// A hash over all streams, their fields and readers: both must have come to the same.
    pub schema_fingerprint: u64,
    /// The sending worker.
    pub from: WorkerIdx,
    /// Which copy of it.
    pub from_fence: Fence,
    /// The worker that the sender means to reach.
    pub to: WorkerIdx,
    /// The placement epoch in which it expects that worker, from 1.
    pub to_placement_epoch: u64,
}

/// The first thing back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkWelcome {
    /// The receiver's handshake.
    pub handshake: Handshake,
    /// The protocol that both speak on this stream, from 1.
    pub protocol: u32,
    /// Which copy of the worker answers.
    pub fence: Fence,
}

/// What a sender says on a stream of data or of acks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkMessage {
    /// The first message.
    Hello(LinkHello),
    /// All others.
    Frame(Frame),
}

/// A numbered frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Counts the frames of the stream from 1, without gaps. That there are none is the receiver's to check.
    pub number: u64,
    /// The payload: 1 to [`MAX_FRAME_BYTES`]. Shared with the buffer that it was read into.
    pub payload: Bytes,
}

/// From the receiver of tuples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataReply {
    /// In the first message, and in no other.
    pub welcome: Option<LinkWelcome>,
    /// How much the sender may have waiting at each edge, in bytes. In the first message; 0 in others.
    pub window_bytes: u64,
    /// What is queued at its readers. An edge may stand there twice: the larger number counts.
    pub queued: Vec<Queued>,
}

/// How much of what was sent over one edge is queued at its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The edge.
    pub edge: EdgeId,
    /// How many of its sections since the stream began.
    pub n_sections: u64,
}

/// From the receiver of acks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AckReply {
    /// In the first message, and in no other.
    pub welcome: Option<LinkWelcome>,
    /// Every frame up to this one is in its owners' ledgers or inboxes.
    pub confirmed: u64,
}

impl TryFrom<wire::LinkHello> for LinkHello {
    type Error = FieldError;

    fn try_from(wire: wire::LinkHello) -> Result<Self, FieldError> {
        let epoch = wire.to_placement_epoch;
        Ok(Self {
            handshake: check::required("handshake", wire.handshake)?,
            topology: topology_id("topology_id", wire.topology_id)?,
            schema_fingerprint: wire.schema_fingerprint,
            from: check::worker_idx("from_worker_idx", wire.from_worker_idx)?,
            from_fence: fence::started("from_fence", wire.from_fence)?,
            to: check::worker_idx("to_worker_idx", wire.to_worker_idx)?,
            to_placement_epoch: check::number("to_placement_epoch", epoch, 1..=u64::MAX)?,
        })
    }
}

impl From<LinkHello> for wire::LinkHello {
    fn from(hello: LinkHello) -> Self {
        Self {
            handshake: Some(hello.handshake.into()),
            topology_id: hello.topology.to_string(),
            schema_fingerprint: hello.schema_fingerprint,
            from_worker_idx: hello.from.0,
            from_fence: Some(hello.from_fence.into()),
            to_worker_idx: hello.to.0,
            to_placement_epoch: hello.to_placement_epoch,
        }
    }
}

impl TryFrom<wire::LinkWelcome> for LinkWelcome {
    type Error = FieldError;

    fn try_from(wire: wire::LinkWelcome) -> Result<Self, FieldError> {
        Ok(Self {
            handshake: check::required("handshake", wire.handshake)?,
            protocol: check::number("protocol", wire.protocol, 1..=u32::MAX)?,
            fence: fence::started("fence", wire.fence)?,
        })
    }
}

impl From<LinkWelcome> for wire::LinkWelcome {
    fn from(welcome: LinkWelcome) -> Self {
        Self {
            handshake: Some(welcome.handshake.into()),
            protocol: welcome.protocol,
            fence: Some(welcome.fence.into()),
        }
    }
}

impl LinkMessage {
    fn checked(
        hello: Option<wire::LinkHello>,
        number: u64,
        payload: Bytes,
    ) -> Result<Self, FieldError> {
        if let Some(hello) = hello {
            check::number("number", number, 0..=0)?;
            check::bytes("payload", payload, 0..=0)?;
            return hello.try_into().map(Self::Hello).at("hello");
        }
        Ok(Self::Frame(Frame {
            number: check::number("number", number, 1..=u64::MAX)?,
            payload: check::bytes("payload", payload, 1..=MAX_FRAME_BYTES)?,
        }))
    }

    fn into_parts(self) -> (Option<wire::LinkHello>, u64, Bytes) {
        match self {
            Self::Hello(hello) => (Some(hello.into()), 0, Bytes::new()),
            Self::Frame(frame) => (None, frame.number, frame.payload),
        }
    }
}

impl TryFrom<wire::DataFrame> for LinkMessage {
    type Error = FieldError;

    fn try_from(wire: wire::DataFrame) -> Result<Self, FieldError> {
        Self::checked(wire.hello, wire.number, wire.payload)
    }
}

impl From<LinkMessage> for wire::DataFrame {
    fn from(message: LinkMessage) -> Self {
        let (hello, number, payload) = message.into_parts();
        Self {
            hello,
            number,
            payload,
        }
    }
}

impl TryFrom<wire::AckFrame> for LinkMessage {
    type Error = FieldError;

    fn try_from(wire: wire::AckFrame) -> Result<Self, FieldError> {
        Self::checked(wire.hello, wire.number, wire.payload)
    }
}

impl From<LinkMessage> for wire::AckFrame {
    fn from(message: LinkMessage) -> Self {
        let (hello, number, payload) = message.into_parts();
        Self {
            hello,
            number,
            payload,
        }
    }
}

/// Takes a welcome that may be absent.
fn welcome(wire: Option<wire::LinkWelcome>) -> Result<Option<LinkWelcome>, FieldError> {
    wire.map(|welcome| welcome.try_into().at("welcome"))
        .transpose()
}

impl TryFrom<wire::DataReply> for DataReply {
    type Error = FieldError;

    fn try_from(wire: wire::DataReply) -> Result<Self, FieldError> {
        Ok(Self {
            welcome: welcome(wire.welcome)?,
            window_bytes: wire.window_bytes,
            queued: check::list("queued", wire.queued, 0..=MAX_TASKS as usize)?,
        })
    }
}

impl From<DataReply> for wire::DataReply {
    fn from(reply: DataReply) -> Self {
        Self {
            welcome: reply.welcome.map(Into::into),
            window_bytes: reply.window_bytes,
            queued: reply.queued.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::QueuedSections> for Queued {
    type Error = FieldError;

    fn try_from(wire: wire::QueuedSections) -> Result<Self, FieldError> {
        let max_emitter = u32::try_from(MAX_COMPONENTS).unwrap_or(u32::MAX) - 1;
        let emitter = check::number("emitter_idx", wire.emitter_idx, 0..=max_emitter)?;
        let reader = check::number("task_id", wire.task_id, 0..=MAX_TASKS - 1)?;
        Ok(Self {
            edge: EdgeId {
                emitter: ComponentIdx(emitter),
                reader: TaskId(reader),
            },
            n_sections: wire.n_sections,
        })
    }
}

impl From<Queued> for wire::QueuedSections {
    fn from(queued: Queued) -> Self {
        Self {
            emitter_idx: queued.edge.emitter.0,
            task_id: queued.edge.reader.0,
            n_sections: queued.n_sections,
        }
    }
}

impl TryFrom<wire::AckReply> for AckReply {
    type Error = FieldError;

    fn try_from(wire: wire::AckReply) -> Result<Self, FieldError> {
        Ok(Self {
            welcome: welcome(wire.welcome)?,
            confirmed: wire.confirmed,
        })
    }
}

impl From<AckReply> for wire::AckReply {
    fn from(reply: AckReply) -> Self {
        Self {
            welcome: reply.welcome.map(Into::into),
            confirmed: reply.confirmed,
        }
    }
}
