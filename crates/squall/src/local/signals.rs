//! SIGINT and SIGTERM: the first drains, the second forces.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use squall_runtime::Running;

use crate::console;

/// Waits for signals for as long as the process lives.
pub(super) async fn heed(running: Arc<Running>) {
    let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(interrupt), signal(terminate)) else {
        tracing::warn!("signals can't be caught: they end the process at once");
        return;
    };
    either(&mut interrupt, &mut terminate).await;
    console::say("draining: what is pending goes on to its end; once more to end at once");
    running.drain();
    either(&mut interrupt, &mut terminate).await;
    console::say("ending at once");
    running.force();
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
