//! A server that is gone with all its connections when it is dropped, as a killed process is.

use std::net::TcpListener as StdListener;

use squall_proto::Address;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Error;
use tonic::transport::server::TcpIncoming;

/// A server in a runtime of its own.
pub(crate) struct Serving(Option<Runtime>);

impl Serving {
    /// Listens at an address and serves what `serve` makes.
    pub(crate) fn start<F>(
        address: &Address,
        serve: impl FnOnce(TcpIncoming) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = bind(address);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            serve(TcpIncoming::from(listener)).await.unwrap();
        });
        Self(Some(runtime))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// Listens. A server that was there before may take a moment to go.
fn bind(address: &Address) -> StdListener {
    for _ in 0..1000 {
        if let Ok(listener) = StdListener::bind(address.to_string()) {
            listener.set_nonblocking(true).unwrap();
            return listener;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    panic!("{address} doesn't become free");
}
