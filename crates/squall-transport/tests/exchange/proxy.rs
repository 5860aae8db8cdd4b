//! A TCP proxy that can cut its connections, and swallow what they carry.

use std::net::SocketAddr;
use std::sync::Arc;

use squall_proto::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It passes everything on.
    Pass,
    /// It reads nothing and closes nothing: neither side hears anything.
    Swallow,
    /// It closes all connections, and new ones at once.
    Refuse,
}

/// A proxy in front of one worker. Ends when it is dropped.
pub(crate) struct Proxy {
    mode: Arc<watch::Sender<Mode>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens in front of `upstream`.
    pub(crate) async fn new(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let modes = mode.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mode = modes.subscribe();
                if *mode.borrow() == Mode::Refuse {
                    continue;
                }
                tokio::spawn(pass(stream, upstream, mode));
            }
        });
        Self {
            mode,
            address,
            task,
        }
    }

    pub(crate) fn address(&self) -> Address {
        self.address.to_string().parse().unwrap()
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Cuts all connections; new ones are passed on.
    pub(crate) async fn cut(&self) {
        self.set(Mode::Refuse);
        // Those that stand have to see it.
        while self.mode.receiver_count() > 0 {
            tokio::task::yield_now().await;
        }
        self.set(Mode::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(near: TcpStream, upstream: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let Ok(far) = TcpStream::connect(upstream).await else {
        return;
    };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let (there, back) = (mode.clone(), mode.clone());
    tokio::select! {
        () = copy(near_read, far_write, there) => {}
        () = copy(far_read, near_write, back) => {}
        _ = mode.wait_for(|mode| *mode == Mode::Refuse) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        if mode.wait_for(|mode| *mode == Mode::Pass).await.is_err() {
            return;
        }
        match from.read(&mut buffer).await {
            Ok(n_bytes) if n_bytes > 0 => {
                // What was read when the mode changed waits for it to change back.
                if mode.wait_for(|mode| *mode == Mode::Pass).await.is_err() {
                    return;
                }
                if to.write_all(&buffer[..n_bytes]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}
