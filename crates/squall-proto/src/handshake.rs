//! Who is speaking, and whether two sides understand each other. Pure: nothing is sent here.

mod compare;
mod glibc;

use std::ops::RangeInclusive;

use crate::bounds::MAX_VERSION_BYTES;
use crate::check;
use crate::field::{At, FieldError};
use crate::hash::ClusterId;
use crate::wire;

pub use compare::{Agreed, Mismatch, agree, runs_on};
pub use glibc::GlibcVersion;

/// The protocols that this build speaks.
pub const PROTOCOL: RangeInclusive<u32> = 1..=1;

/// What each side of a connection or stream says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The protocols that the speaker understands; never empty, from 1.
    pub protocols: RangeInclusive<u32>,
    /// The version of its engine. Nothing is decided by it.
    pub engine_version: String,
    /// The target triple that it was built for.
    pub target: String,
    /// The glibc of its machine; none on musl.
    pub glibc: Option<GlibcVersion>,
    /// The cluster that it belongs to; none for the command line and for a supervisor's first start.
    pub cluster: Option<ClusterId>,
}

impl Handshake {
    /// Returns the handshake of a process of this build.
    #[must_use]
    pub fn ours(target: &str, glibc: Option<GlibcVersion>, cluster: Option<ClusterId>) -> Self {
        Self {
            protocols: PROTOCOL,
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            target: target.to_owned(),
            glibc,
            cluster,
        }
    }
}

/// What a binary asks of the machine that is to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinaryNeeds {
    /// The target triple that it was built for.
    pub target: String,
    /// The highest glibc version among its symbols; none for a static binary.
    pub glibc: Option<GlibcVersion>,
}

impl TryFrom<wire::Handshake> for Handshake {
    type Error = FieldError;

    fn try_from(wire: wire::Handshake) -> Result<Self, FieldError> {
        let min = check::number("protocol_min", wire.protocol_min, 1..=u32::MAX)?;
        let max = check::number("protocol_max", wire.protocol_max, min..=u32::MAX)?;
        let cluster = match wire.cluster_id.as_str() {
            "" => None,
            id => Some(id.parse().at("cluster_id")?),
        };
        Ok(Self {
            protocols: min..=max,
            engine_version: version("engine_version", wire.engine_version)?,
            target: version("target", wire.target)?,
            glibc: GlibcVersion::given("glibc", &wire.glibc)?,
            cluster,
        })
    }
}

impl From<Handshake> for wire::Handshake {
    fn from(handshake: Handshake) -> Self {
        let (protocol_min, protocol_max) = handshake.protocols.into_inner();
        Self {
            protocol_min,
            protocol_max,
            engine_version: handshake.engine_version,
            target: handshake.target,
            glibc: text_of(handshake.glibc),
            cluster_id: text_of(handshake.cluster),
        }
    }
}

impl TryFrom<wire::BinaryNeeds> for BinaryNeeds {
    type Error = FieldError;

    fn try_from(wire: wire::BinaryNeeds) -> Result<Self, FieldError> {
        Ok(Self {
            target: version("target", wire.target)?,
            glibc: GlibcVersion::given("glibc", &wire.glibc)?,
        })
    }
}

impl From<BinaryNeeds> for wire::BinaryNeeds {
    fn from(needs: BinaryNeeds) -> Self {
        Self {
            target: needs.target,
            glibc: text_of(needs.glibc),
        }
    }
}

/// Takes a version or a triple: printable ASCII without blanks, `+` for builds included.
fn version(field: &str, text: String) -> Result<String, FieldError> {
    let fits = (1..=MAX_VERSION_BYTES).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text);
    }
    let expected = format!("1 to {MAX_VERSION_BYTES} printable characters");
    Err(FieldError::of_text(field, expected, &text))
}

fn text_of(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
