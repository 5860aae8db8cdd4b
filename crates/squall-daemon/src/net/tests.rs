//! Listening, over real sockets.

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::net::{BindError, Connection, Exposure, Listener, ListenerLimits};
use crate::shutdown::{Scope, Shutdown, ShutdownBounds};

const LIMITS: ListenerLimits = ListenerLimits {
    max_connections: NonZeroUsize::MIN.saturating_add(1),
    first_bytes: 4,
    first_bytes_within: Duration::from_millis(50),
};

fn scope() -> Scope {
    Shutdown::new(ShutdownBounds::default()).scope().clone()
}

async fn bind(address: &str, exposure: Exposure, scope: &Scope) -> Result<Listener, BindError> {
    Listener::bind(address.parse().unwrap(), exposure, LIMITS, scope).await
}

/// Accepts for ever, and hands the connections on.
fn accept(mut listener: Listener) -> mpsc::Receiver<Connection> {
    let (accepted, connections) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(connection) = listener.accept().await {
            accepted.send(connection).await.unwrap();
        }
    });
    connections
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.unwrap()
}

#[tokio::test]
async fn only_this_machine_is_listened_to_unless_the_operator_says_otherwise() {
    let scope = scope();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let refused = bind(address, Exposure::Loopback, &scope).await.unwrap_err();
        assert!(matches!(refused, BindError::Exposed { .. }), "{refused:?}");
        let text = refused.to_string();
        assert!(
            text.contains("Bind 127.0.0.1, or pass --insecure"),
            "{text}"
        );
    }
    for address in ["127.0.0.1:0", "127.8.9.10:0"] {
        let listener = bind(address, Exposure::Loopback, &scope).await.unwrap();
        assert_ne!(listener.address().port(), 0);
    }
    bind("0.0.0.0:0", Exposure::Insecure, &scope).await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_and_an_address_of_another_machine_are_told() {
    let scope = scope();
    let first = bind("127.0.0.1:0", Exposure::Loopback, &scope)
        .await
        .unwrap();
    let again = first.address().to_string();
    let refused = bind(&again, Exposure::Loopback, &scope).await.unwrap_err();
    assert!(matches!(refused, BindError::InUse { .. }));
    assert!(
        refused
            .to_string()
            .starts_with(&format!("{again} is in use: "))
    );
    let refused = bind("192.0.2.1:0", Exposure::Insecure, &scope)
        .await
        .unwrap_err();
    assert!(matches!(refused, BindError::Io { .. }));
    assert!(
        refused
            .to_string()
            .starts_with("can't listen at 192.0.2.1:0: ")
    );
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once_and_counted() {
    let scope = scope();
    let listener = bind("127.0.0.1:0", Exposure::Loopback, &scope)
        .await
        .unwrap();
    let (address, stats) = (listener.address(), listener.stats());
    let mut connections = accept(listener);
    let mut callers = Vec::new();
    let mut taken = Vec::new();
    for _ in 0..2 {
        callers.push(TcpStream::connect(address).await.unwrap());
        taken.push(soon(connections.recv()).await.unwrap());
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    let mut buffer = [0; 4];
    assert!(matches!(
        soon(third.read(&mut buffer)).await,
        Ok(0) | Err(_)
    ));
    assert_eq!((stats.n_accepted(), stats.n_refused()), (2, 1));
    // A connection that ends makes room.
    drop(taken.pop());
    callers.push(TcpStream::connect(address).await.unwrap());
    let taken = soon(connections.recv()).await.unwrap();
    assert_eq!(taken.peer().unwrap(), callers[2].local_addr().unwrap());
    assert!(taken.is_nodelay());
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_disconnected() {
    let scope = scope();
    let listener = bind("127.0.0.1:0", Exposure::Loopback, &scope)
        .await
        .unwrap();
    let (address, stats) = (listener.address(), listener.stats());
    let mut connections = accept(listener);
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(b"123").await.unwrap();
    let mut taken = soon(connections.recv()).await.unwrap();
    let mut buffer = Vec::new();
    let refused = soon(taken.read_to_end(&mut buffer)).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!((buffer.as_slice(), stats.n_silent()), (&b"123"[..], 1));
    drop(taken);
    // Who has said enough may take his time.
    let mut polite = TcpStream::connect(address).await.unwrap();
    polite.write_all(b"1234").await.unwrap();
    let mut taken = soon(connections.recv()).await.unwrap();
    let mut start = [0; 4];
    soon(taken.read_exact(&mut start)).await.unwrap();
    let more = timeout(3 * LIMITS.first_bytes_within, taken.read(&mut start));
    assert!(more.await.is_err(), "it should still wait");
    assert_eq!(stats.n_silent(), 1);
}

#[tokio::test]
async fn draining_ends_the_listening_and_forcing_the_connections() {
    let scope = scope();
    let listener = bind("127.0.0.1:0", Exposure::Loopback, &scope)
        .await
        .unwrap();
    let address = listener.address();
    let mut connections = accept(listener);
    let mut caller = TcpStream::connect(address).await.unwrap();
    let mut taken = soon(connections.recv()).await.unwrap();
    scope.drain();
    assert!(soon(connections.recv()).await.is_none());
    assert!(TcpStream::connect(address).await.is_err());
    caller.write_all(b"12345").await.unwrap();
    let mut buffer = [0; 5];
    soon(taken.read_exact(&mut buffer)).await.unwrap();
    let waiting = tokio::spawn(async move { taken.read(&mut buffer).await });
    tokio::task::yield_now().await;
    scope.force();
    let refused = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionAborted);
}
