//! How often and how patiently a failed message is tried again.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, HumanDuration};

/// How a spout keeps and retries what it has in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayConfig {
    /// How many messages a task keeps in flight; at the bound it takes no more. Default 20000.
    pub max_items: NonZeroU32,
    /// How many bytes of message bodies a task keeps in flight; at the bound it takes no more. The last
    /// body taken may go above it. Default 16MiB.
    pub max_bytes: ByteSize,
    /// How many attempts a message has; 1 means no retry. Only rejected and timed-out attempts count,
    /// not those that the engine lost. Default 5.
    pub max_attempts: NonZeroU32,
    /// How long the first retry waits; each further one waits twice as long, up to `backoff_cap`. The
    /// actual wait is drawn between half of it and all of it. Default 100ms.
    pub backoff_base: HumanDuration,
    /// The longest wait before a retry. Default 30s.
    pub backoff_cap: HumanDuration,
    /// What happens to a message whose attempts are used up, or that no retry mends. Default
    /// `retry-at-cap`, so that nothing is lost where there is no place for dead letters.
    pub on_exhausted: OnExhausted,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self {
            max_items: NonZeroU32::MIN.saturating_add(19_999),
            max_bytes: ByteSize::mib(16),
            max_attempts: NonZeroU32::MIN.saturating_add(4),
            backoff_base: HumanDuration::from_millis(100),
            backoff_cap: HumanDuration::from_secs(30),
            on_exhausted: OnExhausted::RetryAtCap,
        }
    }
}

/// What happens to a message that failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnExhausted {
    /// It is tried again every `backoff_cap`, visibly, and holds the checkpoint until it succeeds.
    #[default]
    RetryAtCap,
    /// It is written to the dead letters, and counts as done once it stands there.
    DeadLetter,
    /// It counts as done: lost on purpose, and counted.
    Drop,
}
