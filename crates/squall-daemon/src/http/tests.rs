//! The HTTP server, over real sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::health::HealthPart;
use crate::identity::Identity;
use crate::shutdown::{Manner, Shutdown, ShutdownBounds, Signal, Signals};

struct Daemon {
    shutdown: Shutdown,
    address: SocketAddr,
    store: HealthPart,
}

async fn daemon() -> Daemon {
    let shutdown = Shutdown::new(ShutdownBounds::default());
    let health = Health::new();
    let store = health.part("store");
    store.set_healthy();
    let metrics = Metrics::new(&Identity::ours());
    let local = "127.0.0.1:0".parse().unwrap();
    let scope = shutdown.scope();
    let server = HttpServer::bind(local, Exposure::Loopback, scope, health, metrics);
    let server = server.await.unwrap();
    let address = server.address();
    scope.spawn_vital("http", server.serve());
    Daemon {
        shutdown,
        address,
        store,
    }
}

impl Daemon {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request and returns all that comes until the connection is closed.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ))
        .await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut text));
    // A reset ends it as well.
    drop(read.await.unwrap());
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn says_how_the_daemon_is_and_what_it_counts() {
    let daemon = daemon().await;
    let well = daemon.get("/healthz").await;
    assert!(well.starts_with("HTTP/1.1 200 OK"), "{well}");
    assert!(well.ends_with("\r\n\r\nstore: ok\n"), "{well}");
    daemon.store.set_unhealthy("no room on the disk");
    let ill = daemon.get("/healthz?verbose").await;
    assert!(ill.starts_with("HTTP/1.1 503 "), "{ill}");
    assert!(ill.ends_with("store: no room on the disk\n"), "{ill}");
    let metrics = daemon.get("/metrics").await;
    assert!(metrics.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(metrics.contains("squall_engine_info{version="), "{metrics}");
    let head = "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(daemon.ask(head).await.ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn refuses_other_paths_methods_and_what_is_no_http() {
    let daemon = daemon().await;
    for path in ["/", "/healthz/", "/metrics/../healthz", "/%2e"] {
        let answer = daemon.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(answer.ends_with("there are /healthz and /metrics here\n"));
    }
    let post =
        "POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = daemon.ask(post).await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD"));
    let answer = daemon.ask("\x16\x03\x01 hello TLS\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let long = format!(
        "GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n",
        "y".repeat(100_000)
    );
    let answer = daemon.ask(&long).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    // It is still there.
    assert!(daemon.get("/healthz").await.contains("200 OK"));
}

#[tokio::test]
async fn connections_are_bounded_and_come_back() {
    let daemon = daemon().await;
    let mut kept = Vec::new();
    for _ in 0..MAX_CONNECTIONS.get() {
        let mut stream = daemon.connect().await;
        let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        kept.push(stream);
    }
    assert_eq!(rest(&mut daemon.connect().await).await, "");
    drop(kept.pop());
    // The server has to notice first.
    let answered = timeout(Duration::from_secs(10), async {
        while !daemon.get("/healthz").await.contains("200 OK") {
            tokio::task::yield_now().await;
        }
    });
    answered.await.unwrap();
}

#[tokio::test]
async fn ends_with_the_daemon_idle_connections_included() {
    let daemon = daemon().await;
    let mut idle = daemon.connect().await;
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    idle.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).await.unwrap();
    let (signals, received) = mpsc::channel(1);
    signals.send(Signal::Terminate).await.unwrap();
    let ended = daemon.shutdown.run(Signals::from_channel(received)).await;
    assert_eq!(ended.manner, Manner::Drained);
    rest(&mut idle).await;
    assert!(TcpStream::connect(daemon.address).await.is_err());
}
