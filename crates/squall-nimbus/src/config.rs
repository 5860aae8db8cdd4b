//! Nimbus's settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use squall_core::{ByteSize, HumanDuration};
use squall_proto::bounds::{MAX_BLOB_BYTES, MAX_SUPERVISORS, MAX_TOPOLOGIES};

use crate::heart::Limits;

/// Settings of nimbus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NimbusConfig {
    /// Where it keeps the cluster's state and the binaries. Default `squall-nimbus` in the current directory.
    pub data_dir: PathBuf,
    /// The address that it listens at. Default 127.0.0.1.
    pub bind: IpAddr,
    /// The port for supervisors, workers and operators; 0 for one that is free. Default 6627.
    pub port: u16,
    /// The address for `/healthz` and `/metrics`. Default: `bind`.
    pub http_bind: Option<IpAddr>,
    /// The port for `/healthz` and `/metrics`; 0 for one that is free. Default 6628.
    pub http_port: u16,
    /// Allows `bind` and `http_bind` to be another address than the loopback's, though nothing that is said is encrypted and
    /// nobody who calls proves who he is. Default false.
    pub insecure: bool,
    /// How long a supervisor may be silent before it is lost and its workers move. Default 10s.
    pub supervisor_timeout: HumanDuration,
    /// How long a supervisor that is known may take to come back before it is lost, after nimbus has started,
    /// has stood still, or was cut off from all of them. Default 20s.
    pub start_grace: HumanDuration,
    /// How often a worker may be started again in a slot within `shun_for` before it counts as crash-looping,
    /// should its supervisor not say so first. Default 10.
    pub max_restarts: u32,
    /// How long a supervisor is shunned by a worker that crash-looped there. Default 10m.
    pub shun_for: HumanDuration,
    /// How long a lost supervisor without workers is remembered. Default 1h.
    pub forget_after: HumanDuration,
    /// The most topologies, up to 4096. Default 1000.
    pub max_topologies: usize,
    /// The most bytes of specs of all topologies together. Default 32MiB, which is also the most.
    pub max_spec_bytes: ByteSize,
    /// The most supervisors, up to 4096. Default 2000.
    pub max_supervisors: usize,
    /// The shortest time between two commits of checkpoints: what comes in between is committed together.
    /// Default 50ms, that is at most 20 commits a second.
    pub commit_interval: HumanDuration,
    /// How much the store of the cluster's state holds, checkpoints included. Default 256MiB.
    pub max_store_bytes: ByteSize,
    /// The largest binary, up to 2GiB. Default 1GiB.
    pub max_binary_bytes: ByteSize,
    /// How much all binaries may take together. Default 16GiB.
    pub max_binaries_bytes: ByteSize,
    /// What stays free on the disk of `data_dir`: no binary is taken into it. Default 64MiB.
    pub min_free: ByteSize,
    /// How long a binary that no topology refers to is kept. Default 1h.
    pub keep_binaries: HumanDuration,
}

impl Default for NimbusConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            data_dir: PathBuf::from("squall-nimbus"),
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 6627,
            http_bind: None,
            http_port: 6628,
            insecure: false,
            supervisor_timeout: limits.supervisor_timeout,
            start_grace: limits.start_grace,
            max_restarts: limits.max_restarts,
            shun_for: limits.shun_for,
            forget_after: limits.forget_after,
            max_topologies: limits.max_topologies,
            max_spec_bytes: ByteSize(limits.max_spec_bytes as u64),
            max_supervisors: limits.max_supervisors,
            commit_interval: HumanDuration::from_millis(50),
            max_store_bytes: ByteSize::mib(256),
            max_binary_bytes: ByteSize::mib(1024),
            max_binaries_bytes: ByteSize::mib(16 * 1024),
            min_free: ByteSize::mib(64),
            keep_binaries: HumanDuration::from_secs(3600),
        }
    }
}

impl NimbusConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// All mistakes at once, for people.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut mistakes = Vec::new();
        let mut must = |holds: bool, mistake: String| {
            if !holds {
                mistakes.push(mistake);
            }
        };
        for (key, value) in [
            ("supervisor_timeout", self.supervisor_timeout),
            ("start_grace", self.start_grace),
            ("shun_for", self.shun_for),
            ("forget_after", self.forget_after),
            ("keep_binaries", self.keep_binaries),
        ] {
            let shortest = HumanDuration::from_secs(1);
            must(
                value >= shortest,
                format!("`{key}` is {value}, at least {shortest}"),
            );
        }
        must(
            self.start_grace >= self.supervisor_timeout,
            format!(
                "`start_grace` ({}) is shorter than `supervisor_timeout` ({})",
                self.start_grace, self.supervisor_timeout
            ),
        );
        for (key, value, most) in [
            ("max_topologies", self.max_topologies, MAX_TOPOLOGIES),
            ("max_supervisors", self.max_supervisors, MAX_SUPERVISORS),
            (
                "max_spec_bytes",
                self.max_spec_bytes.as_usize(),
                Limits::default().max_spec_bytes,
            ),
        ] {
            must(
                (1..=most).contains(&value),
                format!("`{key}` is {value}, 1 to {most}"),
            );
        }
        must(
            (1..=MAX_BLOB_BYTES).contains(&self.max_binary_bytes.0),
            format!(
                "`max_binary_bytes` is {}, 1B to 2GiB",
                self.max_binary_bytes
            ),
        );
        must(
            self.max_restarts > 0,
            "`max_restarts` is 0, at least 1".to_owned(),
        );
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes)
        }
    }

    /// Returns the heart's bounds and time-outs.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            supervisor_timeout: self.supervisor_timeout,
            start_grace: self.start_grace,
            max_restarts: self.max_restarts,
            shun_for: self.shun_for,
            forget_after: self.forget_after,
            max_topologies: self.max_topologies,
            max_spec_bytes: self.max_spec_bytes.as_usize(),
            max_supervisors: self.max_supervisors,
            ..Limits::default()
        }
    }

    /// Returns where it listens for everybody but HTTP.
    pub(crate) const fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }

    /// Returns where it listens for HTTP.
    pub(crate) fn http_address(&self) -> SocketAddr {
        SocketAddr::new(self.http_bind.unwrap_or(self.bind), self.http_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_legal_and_those_of_the_heart() {
        let config = NimbusConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.limits(), Limits::default());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let json = r#"{"supervisor_timeout": "30s", "max_topologies": 0, "max_binary_bytes": "4GiB", "max_restarts": 0}"#;
        let config: NimbusConfig = serde_json::from_str(json).unwrap();
        let expected = [
            "`start_grace` (20s) is shorter than `supervisor_timeout` (30s)",
            "`max_topologies` is 0, 1 to 4096",
            "`max_binary_bytes` is 4GiB, 1B to 2GiB",
            "`max_restarts` is 0, at least 1",
        ];
        assert_eq!(config.validate().unwrap_err(), expected);
        assert!(serde_json::from_str::<NimbusConfig>(r#"{"prot": 1}"#).is_err());
    }
}
