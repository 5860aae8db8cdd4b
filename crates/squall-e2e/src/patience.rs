//! Waiting for something to become true.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{interval, timeout};

/// How long anything may take: far above what it takes, for machines that are busy with other things.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often to look where looking starts a process.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Waits until `holds`, looking 50 times a second, for 90 s at most.
///
/// # Errors
/// The condition's own, or that the time is over; the error says what was waited for.
pub async fn until(what: &str, holds: impl FnMut() -> Result<bool>) -> Result<()> {
    wait(what, LOOK_EVERY, holds).await
}

/// Does as [`until`], and looks 10 times a second: for conditions that are asked of a process.
///
/// # Errors
/// As [`until`].
pub async fn until_asked(what: &str, holds: impl FnMut() -> Result<bool>) -> Result<()> {
    wait(what, ASK_EVERY, holds).await
}

async fn wait(what: &str, period: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let mut looks = interval(period);
    let wait = async {
        while !holds()? {
            looks.tick().await;
        }
        anyhow::Ok(())
    };
    let waited = timeout(PATIENCE, wait).await;
    waited.with_context(|| format!("{PATIENCE:?} are not enough until {what}"))?
}
