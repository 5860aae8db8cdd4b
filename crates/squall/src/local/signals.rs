//! SIGINT and SIGTERM: the first asks for an orderly end, the second for one at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Calls `first` at the first signal and `second` at the next one.
pub async fn heed(first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
    let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(interrupt), signal(terminate)) else {
        tracing::warn!("signals can't be caught: they end the process at once");
        return;
    };
    either(&mut interrupt, &mut terminate).await;
    first();
    either(&mut interrupt, &mut terminate).await;
    second();
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
