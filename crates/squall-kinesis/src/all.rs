//! The components of this crate, by name.

use std::sync::Arc;

use squall_core::Registry;

use crate::config::KinesisConfig;
use crate::problem::SharedQuota;
use crate::spout::KinesisSpout;

/// Registers all that this crate has to offer: the spout `kinesis`.
pub fn all(registry: &mut Registry) {
    let quota = SharedQuota::default();
    registry.spout("kinesis", move |config: KinesisConfig| {
        Ok(KinesisSpout::new(config)?.telling_by(Arc::clone(&quota)))
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use squall_core::BuildError;

    use super::*;

    #[test]
    fn a_topology_can_declare_the_spout() {
        let mut registry = Registry::new();
        all(&mut registry);
        let kinesis = registry.get_spout("kinesis").unwrap();
        let built = kinesis.build(&json!({ "stream": "clicks" })).unwrap();
        let outputs = built.outputs();
        let streams: Vec<_> = outputs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(streams, ["default", "dead-letters"]);
        let wrong = json!({ "stream": "clicks", "tip_interval": "fast" });
        let Err(BuildError::Config { path, .. }) = kinesis.build(&wrong) else {
            panic!("`fast` is no duration");
        };
        assert_eq!(path, "tip_interval");
        assert!(matches!(
            kinesis.build(&json!({ "stream": "" })),
            Err(BuildError::Factory(_))
        ));
    }
}
