//! A connection that counts, has to speak soon, and ends when its scope is forced.

use std::fmt;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::net::{ListenerLimits, ListenerStats};

/// A connection that a [`crate::net::Listener`] has taken.
pub struct Connection {
    stream: TcpStream,
    /// Given back when the connection is dropped.
    _permit: OwnedSemaphorePermit,
    forced: Pin<Box<WaitForCancellationFutureOwned>>,
    is_forced: bool,
    /// How much has to come, and until when; `None` once it has.
    awaited: Option<Awaited>,
    stats: Arc<ListenerStats>,
}

struct Awaited {
    n_left: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
        forced: WaitForCancellationFutureOwned,
        limits: ListenerLimits,
        stats: Arc<ListenerStats>,
    ) -> Self {
        let awaited = Awaited {
            n_left: limits.first_bytes,
            deadline: Box::pin(sleep_until(Instant::now() + limits.first_bytes_within)),
        };
        Self {
            stream,
            _permit: permit,
            forced: Box::pin(forced),
            is_forced: false,
            awaited: (limits.first_bytes > 0).then_some(awaited),
            stats,
        }
    }

    /// Returns who has called.
    ///
    /// # Errors
    /// They have gone already.
    pub fn peer(&self) -> Result<SocketAddr> {
        self.stream.peer_addr()
    }

    #[cfg(test)]
    pub(crate) fn is_nodelay(&self) -> bool {
        self.stream.nodelay().unwrap()
    }

    /// Fails once the scope is forced.
    fn check(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if !self.is_forced && self.forced.as_mut().poll(cx).is_ready() {
            self.is_forced = true;
        }
        if self.is_forced {
            return Err(Error::new(
                ErrorKind::ConnectionAborted,
                "this process is ending",
            ));
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        self.check(cx)?;
        let n_before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let n_read = buffer.filled().len() - n_before;
        if let Some(awaited) = &mut self.awaited {
            awaited.n_left = awaited.n_left.saturating_sub(n_read);
            if awaited.n_left == 0 {
                self.awaited = None;
            } else if read.is_pending() {
                ready!(awaited.deadline.as_mut().poll(cx));
                self.stats.silent.fetch_add(1, Ordering::Relaxed);
                return Poll::Ready(Err(Error::new(
                    ErrorKind::TimedOut,
                    "the caller said nothing",
                )));
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
