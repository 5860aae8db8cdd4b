//! `/healthz` and `/metrics` over HTTP/1.1, and nothing else.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;
use tracing::{debug, error};

use crate::health::Health;
use crate::metrics::Metrics;
use crate::net::{BindError, Connection, Exposure, Listener, ListenerLimits};
use crate::shutdown::Scope;

/// Connections at the same time: scrapers and health checks, a few each.
const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(31);
/// How long a request's head may take, and so how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may last in all: a reader that takes its answer a byte a minute holds no place for
/// ever, and a scraper that comes every few seconds connects again now and then.
const CONNECTION_WITHIN: Duration = Duration::from_secs(120);
/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// What Prometheus asks for.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A daemon's HTTP server, bound.
#[derive(Debug)]
pub struct HttpServer {
    listener: Listener,
    scope: Scope,
    health: Health,
    metrics: Metrics,
}

impl HttpServer {
    /// Binds the address; port 0 picks a free one.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(
        address: SocketAddr,
        exposure: Exposure,
        scope: &Scope,
        health: Health,
        metrics: Metrics,
    ) -> Result<Self, BindError> {
        let limits = ListenerLimits {
            max_connections: MAX_CONNECTIONS,
            // hyper has its own deadline for the head.
            first_bytes: 0,
            first_bytes_within: HEAD_WITHIN,
        };
        let scope = scope.child("http");
        let listener = Listener::bind(address, exposure, limits, &scope).await?;
        Ok(Self {
            listener,
            scope,
            health,
            metrics,
        })
    }

    /// Returns the address, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until the scope drains: health checks fail then, as they should.
    ///
    /// # Errors
    /// None: the type is what [`Scope::spawn_vital`] takes.
    pub async fn serve(mut self) -> Result<(), Infallible> {
        while let Some(connection) = self.listener.accept().await {
            let serve = serve(
                connection,
                self.scope.clone(),
                self.health.clone(),
                self.metrics.clone(),
            );
            self.scope.spawn("connection", serve);
        }
        Ok(())
    }
}

async fn serve(connection: Connection, scope: Scope, health: Health, metrics: Metrics) {
    let service = service_fn(|request| {
        let answer = answer(&request, &health, &metrics);
        async { Ok::<_, Infallible>(answer) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(connection), service);
    tokio::pin!(serving);
    let served = timeout(CONNECTION_WITHIN, async {
        tokio::select! {
            served = serving.as_mut() => served,
            () = scope.draining() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        }
    });
    match served.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection broke off"),
        Err(_) => debug!("a connection has lasted too long"),
    }
}

/// What a request gets. Its body, if there is one, is not read.
fn answer(
    request: &Request<Incoming>,
    health: &Health,
    metrics: &Metrics,
) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    let path = request.uri().path();
    if !matches!(path, "/healthz" | "/metrics") {
        let text = "there are /healthz and /metrics here\n".to_owned();
        return respond(StatusCode::NOT_FOUND, TEXT, text);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "GET and HEAD are answered\n".to_owned();
        return respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
    }
    if path == "/metrics" {
        return match metrics.render() {
            Ok(text) => respond(StatusCode::OK, METRICS_TYPE, text),
            Err(error) => {
                error!(%error, "metrics can't be rendered");
                let text = "a metric can't be rendered; the log says more\n".to_owned();
                respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
            }
        };
    }
    let report = health.report();
    let status = match report.is_healthy {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    respond(status, TEXT, report.text)
}

fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static(content_type),
    );
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}
