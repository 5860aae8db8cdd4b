//! Who a supervisor is: its name, its ports, and the cluster that it has joined.

use serde::{Deserialize, Serialize};
use squall_core::SupervisorId;
use squall_proto::{ClusterId, Refusal, RefusalCode, supervisor_id};

/// The format that is written.
const FORMAT: u32 = 1;

/// What a supervisor keeps of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its name.
    pub(crate) supervisor_id: SupervisorId,
    /// The port that it serves at.
    pub(crate) port: u16,
    /// Its slots' ports.
    pub(crate) slot_ports: Vec<u16>,
    /// Whose orders it takes.
    pub(crate) leader: Leader,
}

/// Whose orders are taken.
///
/// **Invariant:** once an order of some leader was taken, no order of an earlier one and none of another
/// cluster is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leader {
    /// The cluster; `None` until one was joined.
    pub(crate) cluster: Option<ClusterId>,
    /// The highest epoch seen; 0 if none.
    pub(crate) epoch: u64,
}

impl Leader {
    /// Judges somebody who speaks as a cluster's leader. Returns what has to be durable before what it says
    /// is heeded; equal to `self` if that is so already.
    ///
    /// # Errors
    /// The refusal to tell it.
    pub(crate) fn judge(&self, cluster: Option<ClusterId>, epoch: u64) -> Result<Self, Refusal> {
        let Some(cluster) = cluster else {
            let message = "nimbus doesn't say which cluster it leads";
            return Err(Refusal::new(RefusalCode::WrongCluster, message, ""));
        };
        if let Some(joined) = self.cluster.filter(|joined| *joined != cluster) {
            let message = format!("this supervisor belongs to cluster {joined}, not to {cluster}");
            let action = "start it with another data directory to join the other cluster";
            return Err(Refusal::new(RefusalCode::WrongCluster, message, action));
        }
        if epoch < self.epoch {
            return Err(Refusal::stale_epoch(epoch, self.epoch));
        }
        Ok(Self {
            cluster: Some(cluster),
            epoch,
        })
    }
}

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Format {
    format: u32,
    supervisor_id: String,
    port: u16,
    slot_ports: Vec<u16>,
    #[serde(default)]
    cluster_id: Option<String>,
    #[serde(default)]
    leader_epoch: u64,
}

impl Identity {
    /// Reads the file's content; the error is for people.
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        let format: Format = serde_json::from_slice(content).map_err(|error| error.to_string())?;
        if format.format != FORMAT {
            return Err(format!(
                "it has format {}, this version knows {FORMAT}",
                format.format
            ));
        }
        let cluster = format.cluster_id.map(|id| id.parse::<ClusterId>());
        let cluster = cluster.transpose();
        Ok(Self {
            supervisor_id: supervisor_id(&format.supervisor_id).map_err(|e| e.to_string())?,
            port: format.port,
            slot_ports: format.slot_ports,
            leader: Leader {
                cluster: cluster.map_err(|error| error.to_string())?,
                epoch: format.leader_epoch,
            },
        })
    }

    /// Writes it down.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let format = Format {
            format: FORMAT,
            supervisor_id: self.supervisor_id.to_string(),
            port: self.port,
            slot_ports: self.slot_ports.clone(),
            cluster_id: self.leader.cluster.map(|id| id.to_string()),
            leader_epoch: self.leader.epoch,
        };
        // Nothing in it can fail to be written as JSON.
        serde_json::to_vec_pretty(&format).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            supervisor_id: SupervisorId::new("rack-1.a"),
            port: 6700,
            slot_ports: vec![6701, 6702],
            leader: Leader {
                cluster: Some(ClusterId::new([7; 16])),
                epoch: 12,
            },
        }
    }

    #[test]
    fn the_file_is_as_it_was() {
        let text = r#"{
  "format": 1,
  "supervisor_id": "rack-1.a",
  "port": 6700,
  "slot_ports": [
    6701,
    6702
  ],
  "cluster_id": "07070707070707070707070707070707",
  "leader_epoch": 12
}"#;
        assert_eq!(String::from_utf8(identity().to_bytes()).unwrap(), text);
        assert_eq!(Identity::parse(text.as_bytes()), Ok(identity()));
        let newer = text.replace("\"format\": 1", "\"format\": 2");
        let error = Identity::parse(newer.as_bytes()).unwrap_err();
        assert_eq!(error, "it has format 2, this version knows 1");
        let bad = text.replace("rack-1.a", "../rack");
        assert!(Identity::parse(bad.as_bytes()).is_err());
    }

    #[test]
    fn the_first_cluster_is_joined_and_no_other() {
        let (one, other) = (ClusterId::new([1; 16]), ClusterId::new([2; 16]));
        let leader = Leader::default().judge(Some(one), 5).unwrap();
        assert_eq!(leader.cluster, Some(one));
        let refused = |cluster, epoch| leader.judge(cluster, epoch).unwrap_err().code;
        assert_eq!(refused(Some(other), 9), RefusalCode::WrongCluster);
        assert_eq!(refused(None, 9), RefusalCode::WrongCluster);
        assert_eq!(refused(Some(one), 4), RefusalCode::StaleEpoch);
        assert_eq!(leader.judge(Some(one), 5).unwrap(), leader);
        assert_eq!(leader.judge(Some(one), 6).unwrap().epoch, 6);
    }
}
