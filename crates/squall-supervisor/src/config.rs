//! A supervisor's settings.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use squall_core::{ByteSize, HumanDuration, SupervisorId};
use squall_proto::bounds::{MAX_NIMBUSES, MAX_SLOTS};
use squall_proto::{Address, supervisor_id};

use crate::files::FailPoints;
use crate::slots::Limits;

/// Settings of a supervisor. What it picks itself (its id and ports) it keeps in its data directory, so that
/// it is the same one after a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisorConfig {
    /// Where it keeps what it has to know after a restart, binaries and its workers' logs. On a disk that
    /// may hold programs. Default `squall-supervisor` in the current directory.
    pub data_dir: PathBuf,
    /// Its name in the cluster: letters, digits, `.`, `_` and `-`. Default: the machine's name and four
    /// random digits, drawn at the first start.
    pub supervisor_id: Option<String>,
    /// Where nimbus is: `host:port`, in the order to try, 1 to 16. Default `127.0.0.1:6627`.
    pub nimbus: Vec<String>,
    /// The address that it and its workers listen at. Default 127.0.0.1.
    pub bind: IpAddr,
    /// The port that it listens at itself; 0 for one picked at the first start. Default 0.
    pub port: u16,
    /// The host under which nimbus and workers of other machines reach this one. Default: `bind`, or the
    /// machine's name where that is no single address (`0.0.0.0`).
    pub host: Option<String>,
    /// The ports of its slots, each of which holds one worker: 1 to 64. Default: none given, `n_slots` are
    /// picked at the first start.
    pub slot_ports: Vec<u16>,
    /// How many slots it has when no ports are given, 1 to 64. Default 4.
    pub n_slots: u16,
    /// Allows `bind` to be another address than the loopback's, though nothing that is said is encrypted and
    /// nobody who calls proves who he is. Default false.
    pub insecure: bool,
    /// Leaves workers running when it ends, for the next start to adopt: for upgrades. Otherwise they are
    /// drained and ended first. Default false.
    pub leave_workers: bool,
    /// What stays free on the disk of `data_dir`: no binary is fetched into it. Default 64MiB.
    pub min_free: ByteSize,
    /// How long a new worker may take until it calls. Default 30s.
    pub start_timeout: HumanDuration,
    /// How long a worker may say nothing before it is killed and started again. Default 10s.
    pub worker_silence: HumanDuration,
    /// How long a worker that has to end may take to finish what is pending. Default 10s.
    pub drain_timeout: HumanDuration,
    /// How long it may take to end after that, before it is killed. Default 5s.
    pub term_grace: HumanDuration,
    /// The wait before a worker that ended is started again; it doubles while the worker doesn't stay up.
    /// Default 200ms.
    pub restart_backoff: HumanDuration,
    /// The longest such wait. Default 10s.
    pub restart_backoff_cap: HumanDuration,
    /// The wait between attempts once the worker has ended again and again. Default 60s.
    pub failed_retry: HumanDuration,
    /// What tests let happen in the middle of replacing a file.
    #[serde(skip)]
    pub fail_points: FailPoints,
}

impl Default for SupervisorConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            data_dir: PathBuf::from("squall-supervisor"),
            supervisor_id: None,
            nimbus: vec!["127.0.0.1:6627".to_owned()],
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            host: None,
            slot_ports: Vec::new(),
            n_slots: 4,
            insecure: false,
            leave_workers: false,
            min_free: ByteSize::mib(64),
            start_timeout: HumanDuration(limits.start_timeout),
            worker_silence: HumanDuration(limits.silence),
            drain_timeout: HumanDuration(limits.drain_timeout),
            term_grace: HumanDuration(limits.term_grace),
            restart_backoff: HumanDuration(limits.backoff),
            restart_backoff_cap: HumanDuration(limits.backoff_cap),
            failed_retry: HumanDuration(limits.failed_retry),
            fail_points: FailPoints::default(),
        }
    }
}

/// Settings that were checked.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) supervisor_id: Option<SupervisorId>,
    pub(crate) nimbus: Vec<Address>,
    pub(crate) limits: Limits,
}

impl SupervisorConfig {
    /// Checks the settings and reads the texts among them.
    ///
    /// # Errors
    /// All mistakes at once, for people.
    pub(crate) fn check(&self) -> Result<Checked, Vec<String>> {
        let mut mistakes = Vec::new();
        let id = self.supervisor_id.as_deref().map(supervisor_id).transpose();
        let id = id.unwrap_or_else(|error| {
            mistakes.push(format!("supervisor_id: {error}"));
            None
        });
        let mut nimbus: Vec<Address> = Vec::new();
        for text in &self.nimbus {
            match text.parse() {
                Ok(address) => nimbus.push(address),
                Err(error) => mistakes.push(format!("nimbus: {error}")),
            }
        }
        if self.nimbus.is_empty() || self.nimbus.len() > MAX_NIMBUSES {
            let found = self.nimbus.len();
            mistakes.push(format!(
                "nimbus: 1 to {MAX_NIMBUSES} addresses, found {found}"
            ));
        }
        if let Some(host) = &self.host
            && Address::new(host, 1).is_err()
        {
            mistakes.push(format!("host: {host:?} is no host's name or address"));
        }
        self.check_slots(&mut mistakes);
        self.check_times(&mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Checked {
            supervisor_id: id,
            nimbus,
            limits: self.limits(),
        })
    }

    fn check_slots(&self, mistakes: &mut Vec<String>) {
        let given = self.slot_ports.len();
        if given > MAX_SLOTS {
            mistakes.push(format!("slot_ports: at most {MAX_SLOTS}, found {given}"));
        }
        let mut ports = self.slot_ports.clone();
        ports.extend((self.port != 0).then_some(self.port));
        ports.sort_unstable();
        let twice = ports.windows(2).any(|pair| pair.first() == pair.last());
        if twice || self.slot_ports.contains(&0) {
            mistakes.push("slot_ports: ports from 1, each once, and not `port`".to_owned());
        }
        if given == 0 && !(1..=MAX_SLOTS).contains(&usize::from(self.n_slots)) {
            mistakes.push(format!("n_slots: 1 to {MAX_SLOTS}, found {}", self.n_slots));
        }
    }

    fn check_times(&self, mistakes: &mut Vec<String>) {
        let times = [
            ("start_timeout", self.start_timeout),
            ("worker_silence", self.worker_silence),
            ("restart_backoff", self.restart_backoff),
            ("restart_backoff_cap", self.restart_backoff_cap),
            ("failed_retry", self.failed_retry),
        ];
        for (name, time) in times {
            if time.0.is_zero() {
                mistakes.push(format!("{name}: more than 0"));
            }
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            start_timeout: self.start_timeout.0,
            silence: self.worker_silence.0,
            drain_timeout: self.drain_timeout.0,
            term_grace: self.term_grace.0,
            backoff: self.restart_backoff.0,
            backoff_cap: self.restart_backoff_cap.0,
            failed_retry: self.failed_retry.0,
            ..Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_right_and_every_mistake_is_told() {
        SupervisorConfig::default().check().unwrap();
        let config = SupervisorConfig {
            supervisor_id: Some("a/b".to_owned()),
            nimbus: vec!["nowhere".to_owned()],
            host: Some("a b".to_owned()),
            port: 7000,
            slot_ports: vec![7001, 7000],
            worker_silence: HumanDuration::from_secs(0),
            ..SupervisorConfig::default()
        };
        let mistakes = config.check().unwrap_err();
        let keys: Vec<_> = mistakes
            .iter()
            .map(|text| text.split(':').next().unwrap())
            .collect();
        let expected = [
            "supervisor_id",
            "nimbus",
            "host",
            "slot_ports",
            "worker_silence",
        ];
        assert_eq!(keys, expected, "{mistakes:#?}");
        let none = SupervisorConfig {
            nimbus: Vec::new(),
            n_slots: 65,
            ..SupervisorConfig::default()
        };
        assert_eq!(none.check().unwrap_err().len(), 2);
    }

    #[test]
    fn settings_are_read_by_their_names() {
        let text =
            r#"{"bind": "0.0.0.0", "insecure": true, "worker_silence": "3s", "min_free": "1MiB"}"#;
        let config: SupervisorConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.check().unwrap().limits.silence.as_secs(), 3);
        assert!(serde_json::from_str::<SupervisorConfig>(r#"{"prot": 1}"#).is_err());
    }
}
