//! What runs here: the engine, the target that it was built for, and the glibc of this machine.

mod glibc;

use squall_proto::{ClusterId, GlibcVersion, Handshake};

/// What runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The version of the engine.
    pub engine_version: String,
    /// The target triple that it was built for.
    pub target: String,
    /// The glibc that this process runs on; none for musl or a static binary.
    pub glibc: Option<GlibcVersion>,
}

impl Identity {
    /// Finds out about this process. Reads a few files: once, at start.
    #[must_use]
    pub fn ours() -> Self {
        Self {
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            target: env!("SQUALL_TARGET").to_owned(),
            glibc: glibc::of_this_process(),
        }
    }

    /// Returns what this process says first to others.
    #[must_use]
    pub fn handshake(&self, cluster: Option<ClusterId>) -> Handshake {
        Handshake::ours(&self.target, self.glibc, cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_says_what_runs_here() {
        let identity = Identity::ours();
        assert!(identity.target.starts_with(std::env::consts::ARCH));
        assert!(identity.target.contains(std::env::consts::OS));
        let handshake = identity.handshake(None);
        assert_eq!(handshake.engine_version, identity.engine_version);
        assert_eq!(handshake.target, identity.target);
        assert_eq!(handshake.glibc, identity.glibc);
        assert_eq!(identity.glibc.is_some(), cfg!(target_env = "gnu"));
    }
}
