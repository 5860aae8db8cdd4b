//! What two handshakes come to, and what a binary and a machine do.

use std::ops::RangeInclusive;

use thiserror::Error;

use crate::handshake::{BinaryNeeds, GlibcVersion, Handshake};
use crate::hash::ClusterId;
use crate::refusal::{Refusal, RefusalCode};

/// What two sides have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The newest protocol that both understand.
    pub protocol: u32,
    /// The cluster that both belong to, or that the one belongs to which belongs to any.
    pub cluster: Option<ClusterId>,
}

/// Why two sides can't talk, or a binary can't run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// No protocol that both understand.
    #[error(
        "{} here, {} there",
        spoken(ours, ours_version),
        spoken(theirs, theirs_version)
    )]
    Protocol {
        /// What this side understands.
        ours: RangeInclusive<u32>,
        /// This side's engine.
        ours_version: String,
        /// What the other side understands.
        theirs: RangeInclusive<u32>,
        /// The other side's engine.
        theirs_version: String,
    },
    /// Two clusters.
    #[error("this is cluster {ours}, the other side belongs to {theirs}")]
    Cluster {
        /// This side's.
        ours: ClusterId,
        /// The other side's.
        theirs: ClusterId,
    },
    /// A binary for another kind of machine.
    #[error("the binary is built for {needed}, the machine is {machine}")]
    Target {
        /// What the binary was built for.
        needed: String,
        /// What the machine is.
        machine: String,
    },
    /// A binary that needs a newer glibc.
    #[error(
        "the binary needs glibc {needed}, the machine has {}",
        there_is(machine)
    )]
    Glibc {
        /// The newest version that the binary asks for.
        needed: GlibcVersion,
        /// What the machine has.
        machine: Option<GlibcVersion>,
    },
}

/// Compares what both sides said. Engine versions, targets and glibc may differ: they matter only to
/// [`runs_on`].
///
/// # Errors
/// [`Mismatch::Protocol`], then [`Mismatch::Cluster`].
pub fn agree(ours: &Handshake, theirs: &Handshake) -> Result<Agreed, Mismatch> {
    let newest = *ours.protocols.end().min(theirs.protocols.end());
    if !ours.protocols.contains(&newest) || !theirs.protocols.contains(&newest) {
        return Err(Mismatch::Protocol {
            ours: ours.protocols.clone(),
            ours_version: ours.engine_version.clone(),
            theirs: theirs.protocols.clone(),
            theirs_version: theirs.engine_version.clone(),
        });
    }
    match (ours.cluster, theirs.cluster) {
        (Some(ours), Some(theirs)) if ours != theirs => Err(Mismatch::Cluster { ours, theirs }),
        (ours, theirs) => Ok(Agreed {
            protocol: newest,
            cluster: ours.or(theirs),
        }),
    }
}

/// Tells whether a binary runs on the machine of a handshake's speaker: the same processor and system, and
/// a glibc that is as new as the binary asks for. A static binary asks for none.
///
/// # Errors
/// [`Mismatch::Target`], then [`Mismatch::Glibc`].
pub fn runs_on(needs: &BinaryNeeds, machine: &Handshake) -> Result<(), Mismatch> {
    if platform(&needs.target) != platform(&machine.target) {
        return Err(Mismatch::Target {
            needed: needs.target.clone(),
            machine: machine.target.clone(),
        });
    }
    match needs.glibc {
        Some(needed) if machine.glibc < Some(needed) => Err(Mismatch::Glibc {
            needed,
            machine: machine.glibc,
        }),
        _ => Ok(()),
    }
}

impl Mismatch {
    /// Says what to do about it, for the side that called.
    #[must_use]
    pub fn action(&self) -> String {
        match self {
            // Only ranges that don't touch end up here: one side is newer.
            Self::Protocol { ours, theirs, .. } if ours.start() > theirs.end() => {
                "upgrade the other side to this side's version".to_owned()
            }
            Self::Protocol { .. } => "upgrade this side to the other side's version".to_owned(),
            Self::Cluster { .. } => {
                "check the address of nimbus; if the cluster was made anew on purpose, start this process \
                 with an empty data directory"
                    .to_owned()
            }
            Self::Target { machine, .. } => format!(
                "build it for the machine: rustup target add {machine} && cargo build --release --target \
                 {machine}"
            ),
            Self::Glibc { machine, .. } => build_command(*machine),
        }
    }
}

impl From<Mismatch> for Refusal {
    fn from(mismatch: Mismatch) -> Self {
        let code = match &mismatch {
            Mismatch::Protocol { .. } => RefusalCode::WrongProtocol,
            Mismatch::Cluster { .. } => RefusalCode::WrongCluster,
            Mismatch::Target { .. } | Mismatch::Glibc { .. } => RefusalCode::WrongTarget,
        };
        Self::new(code, mismatch.to_string(), mismatch.action())
    }
}

/// What of a triple must be equal: processor and system, not the vendor and not the C library.
fn platform(target: &str) -> (&str, bool) {
    let processor = target.split('-').next().unwrap_or_default();
    (processor, target.split('-').any(|part| part == "linux"))
}

/// Says how to build against an old glibc: in an image of the newest Debian that has it.
fn build_command(machine: Option<GlibcVersion>) -> String {
    const IMAGES: [(GlibcVersion, &str); 3] = [
        (debian(41), "rust:1-trixie"),
        (debian(36), "rust:1-bookworm"),
        (debian(31), "rust:1-bullseye"),
    ];
    let image = IMAGES
        .iter()
        .find(|(glibc, _)| machine >= Some(*glibc))
        .map(|(_, image)| image);
    match image {
        Some(image) => format!(
            "build it against an older glibc: docker run --rm -v \"$PWD\":/src -w /src {image} cargo build \
             --release"
        ),
        None => {
            "build it for musl: cargo build --release --target x86_64-unknown-linux-musl".to_owned()
        }
    }
}

const fn debian(minor: u16) -> GlibcVersion {
    GlibcVersion { major: 2, minor }
}

fn spoken(protocols: &RangeInclusive<u32>, version: &str) -> String {
    match (protocols.start(), protocols.end()) {
        (only, same) if only == same => format!("protocol {only} (engine {version})"),
        (min, max) => format!("protocols {min} to {max} (engine {version})"),
    }
}

fn there_is(glibc: &Option<GlibcVersion>) -> String {
    match glibc {
        Some(version) => version.to_string(),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(protocols: RangeInclusive<u32>, cluster: Option<u8>) -> Handshake {
        Handshake {
            protocols,
            cluster: cluster.map(|byte| ClusterId::new([byte; 16])),
            ..Handshake::ours("x86_64-unknown-linux-gnu", Some(debian(36)), None)
        }
    }

    #[test]
    fn both_speak_the_newest_protocol_that_both_understand() {
        let protocol = |a, b| agree(&speaker(a, None), &speaker(b, None)).map(|a| a.protocol);
        assert_eq!(protocol(1..=1, 1..=1), Ok(1));
        assert_eq!(protocol(1..=3, 2..=5), Ok(3));
        assert_eq!(protocol(2..=5, 1..=3), Ok(3));
        assert_eq!(protocol(1..=9, 4..=4), Ok(4));
        assert!(protocol(1..=2, 3..=4).is_err());
        assert!(protocol(3..=4, 1..=2).is_err());
    }

    #[test]
    fn a_newer_side_tells_the_older_one_to_upgrade() {
        let (old, new) = (speaker(1..=2, None), speaker(3..=3, None));
        let error = agree(&old, &new).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "protocols 1 to 2 (engine {v}) here, protocol 3 (engine {v}) there",
                v = env!("CARGO_PKG_VERSION")
            )
        );
        assert!(error.action().contains("upgrade this side"));
        let error = agree(&new, &old).unwrap_err();
        assert!(error.action().contains("upgrade the other side"));
        assert_eq!(Refusal::from(error).code, RefusalCode::WrongProtocol);
    }

    #[test]
    fn a_cluster_talks_to_its_own_and_to_newcomers() {
        let cluster = |a, b| agree(&speaker(1..=1, a), &speaker(1..=1, b)).map(|a| a.cluster);
        let one = Some(ClusterId::new([1; 16]));
        assert_eq!(cluster(Some(1), Some(1)), Ok(one));
        assert_eq!(cluster(Some(1), None), Ok(one));
        assert_eq!(cluster(None, Some(1)), Ok(one));
        assert_eq!(cluster(None, None), Ok(None));
        let refusal: Refusal = cluster(Some(1), Some(2)).unwrap_err().into();
        assert_eq!(refusal.code, RefusalCode::WrongCluster);
    }

    fn fits(target: &str, glibc: Option<&str>, machine: Option<&str>) -> Result<(), Mismatch> {
        let version = |text: &str| text.parse().unwrap();
        let needs = BinaryNeeds {
            target: target.to_owned(),
            glibc: glibc.map(version),
        };
        let machine = Handshake {
            glibc: machine.map(version),
            ..speaker(1..=1, None)
        };
        runs_on(&needs, &machine)
    }

    #[test]
    fn a_binary_runs_where_glibc_is_at_least_as_new() {
        let gnu = "x86_64-unknown-linux-gnu";
        assert_eq!(fits(gnu, Some("2.36"), Some("2.36")), Ok(()));
        assert_eq!(fits(gnu, Some("2.9"), Some("2.36")), Ok(()));
        assert_eq!(
            fits("x86_64-unknown-linux-musl", None, Some("2.31")),
            Ok(())
        );
        assert_eq!(fits(gnu, None, None), Ok(()));
        let error = fits(gnu, Some("2.38"), Some("2.36")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the binary needs glibc 2.38, the machine has 2.36"
        );
        assert!(error.action().contains("rust:1-bookworm cargo build"));
        let error = fits(gnu, Some("2.38"), None).unwrap_err();
        assert!(error.to_string().ends_with("the machine has none"));
        assert!(error.action().contains("musl"));
    }

    #[test]
    fn a_binary_for_another_processor_or_system_is_refused() {
        for target in ["aarch64-unknown-linux-gnu", "x86_64-apple-darwin"] {
            let error = fits(target, None, Some("2.36")).unwrap_err();
            assert!(matches!(error, Mismatch::Target { .. }), "{target}");
            assert_eq!(Refusal::from(error).code, RefusalCode::WrongTarget);
        }
    }
}
