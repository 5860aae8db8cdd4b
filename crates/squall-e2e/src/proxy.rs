//! A TCP proxy on the loopback that can be cut: a network that fails between two processes, and heals.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 32 * 1024;

/// A way to one address. Dropping it closes all connections and listens no more.
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    listening: JoinHandle<()>,
}

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// What comes is passed on.
    Pass,
    /// Nothing is read or closed: neither side hears anything, and what was sent arrives after the healing.
    Freeze,
    /// All are closed, and new ones at once.
    Cut,
}

#[derive(Debug, Default)]
struct Counts {
    /// Connections that stand.
    open: AtomicUsize,
    /// Connections that came while they were cut, or frozen.
    turned_away: AtomicUsize,
    /// Connections that were made.
    made: AtomicUsize,
}

impl Proxy {
    /// Listens at `address`, a port of 0 being any, and leads to `upstream`, which needn't be there yet.
    ///
    /// # Errors
    /// If the address can't be had.
    pub async fn start(address: SocketAddr, upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("no proxy can listen at {address}"))?;
        let address = listener.local_addr()?;
        let (mode, counts) = (watch::Sender::new(Mode::Pass), Arc::<Counts>::default());
        let listening = tokio::spawn(listen(listener, upstream, mode.clone(), counts.clone()));
        Ok(Self {
            address,
            mode,
            counts,
            listening,
        })
    }

    /// Does as [`Proxy::start`] at any port.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub async fn to(upstream: &str) -> Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start(any, upstream.parse()?).await
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many connections stand.
    #[must_use]
    pub fn n_open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// Returns how many connections were made through it.
    #[must_use]
    pub fn n_made(&self) -> usize {
        self.counts.made.load(Ordering::SeqCst)
    }

    /// Returns how many have tried to connect while they could not.
    #[must_use]
    pub fn n_turned_away(&self) -> usize {
        self.counts.turned_away.load(Ordering::SeqCst)
    }

    /// Lets nothing pass any more, and nobody hear of it. Returns how many connections that struck.
    pub fn freeze(&self) -> usize {
        self.strike(Mode::Freeze)
    }

    /// Closes all connections, and new ones at once. Returns how many it were.
    pub fn cut(&self) -> usize {
        self.strike(Mode::Cut)
    }

    /// Lets everything pass again, also what was held up.
    pub fn heal(&self) {
        self.mode.send_replace(Mode::Pass);
    }

    fn strike(&self, mode: Mode) -> usize {
        let n_open = self.n_open();
        self.mode.send_replace(mode);
        n_open
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.mode.send_replace(Mode::Cut);
    }
}

async fn listen(
    listener: TcpListener,
    upstream: SocketAddr,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
) {
    while let Ok((near, _)) = listener.accept().await {
        let (mode, counts) = (mode.subscribe(), counts.clone());
        if *mode.borrow() != Mode::Pass {
            counts.turned_away.fetch_add(1, Ordering::SeqCst);
        }
        tokio::spawn(connect(near, upstream, mode, counts));
    }
}

/// Leads one connection on, until either side closes it or it is cut.
async fn connect(
    near: TcpStream,
    upstream: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    counts: Arc<Counts>,
) {
    // Like a packet that finds no way: who connects while it is frozen waits.
    let is_cut = {
        let began = mode.wait_for(|mode| *mode != Mode::Freeze).await;
        began.map_or(true, |mode| *mode == Mode::Cut)
    };
    if is_cut {
        return;
    }
    let Ok(far) = TcpStream::connect(upstream).await else {
        return;
    };
    // Without it small messages wait for each other; where it can't be set they only come later.
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    counts.made.fetch_add(1, Ordering::SeqCst);
    counts.open.fetch_add(1, Ordering::SeqCst);
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = copy(near_read, far_write, mode.clone()) => {}
        () = copy(far_read, near_write, mode.clone()) => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
    }
    counts.open.fetch_sub(1, Ordering::SeqCst);
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        if mode.wait_for(|mode| *mode == Mode::Pass).await.is_err() {
            return;
        }
        let Ok(n_bytes @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        // What was read when it froze waits as well.
        if mode.wait_for(|mode| *mode == Mode::Pass).await.is_err() {
            return;
        }
        let read = buffer.get(..n_bytes).unwrap_or_default();
        if to.write_all(read).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        address
    }

    async fn answer(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.read_u8().await
    }

    #[tokio::test]
    async fn what_is_frozen_arrives_after_the_healing() {
        let proxy = Proxy::to(&echo().await.to_string()).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_u8(1).await.unwrap();
        assert_eq!(answer(&mut stream).await.unwrap(), 1);
        assert_eq!(proxy.freeze(), 1);
        stream.write_u8(2).await.unwrap();
        let mut late = TcpStream::connect(proxy.address()).await.unwrap();
        late.write_u8(3).await.unwrap();
        let waited = timeout(Duration::from_millis(200), answer(&mut stream)).await;
        assert!(waited.is_err(), "nothing passes");
        let waited = timeout(Duration::from_millis(200), answer(&mut late)).await;
        assert!(waited.is_err(), "nobody new passes either");
        assert_eq!((proxy.n_turned_away(), proxy.n_made()), (1, 1));
        proxy.heal();
        assert_eq!(answer(&mut stream).await.unwrap(), 2);
        assert_eq!(answer(&mut late).await.unwrap(), 3);
        assert_eq!(proxy.n_made(), 2);
    }

    #[tokio::test]
    async fn what_is_cut_is_closed_until_the_healing() {
        let proxy = Proxy::to(&echo().await.to_string()).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_u8(1).await.unwrap();
        assert_eq!(answer(&mut stream).await.unwrap(), 1);
        assert_eq!(proxy.cut(), 1);
        assert!(answer(&mut stream).await.is_err(), "it is closed");
        let mut late = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(answer(&mut late).await.is_err(), "so is a new one");
        assert_eq!(proxy.n_turned_away(), 1);
        proxy.heal();
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        again.write_u8(4).await.unwrap();
        assert_eq!(answer(&mut again).await.unwrap(), 4);
    }
}
