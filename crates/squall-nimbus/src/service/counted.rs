//! Counts calls that never reach a service: too large, or no message at all. What the services refuse themselves
//! they count themselves.

use std::task::{Context, Poll};

use squall_proto::status::REFUSAL_KEY;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

use super::Refusals;

/// A service, and where its refusals are counted.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    service: S,
    refusals: Refusals,
}

impl<S> Counted<S> {
    pub(crate) const fn new(service: S, refusals: Refusals) -> Self {
        Self { service, refusals }
    }
}

impl<S: NamedService> NamedService for Counted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (refusals, answer) = (self.refusals.clone(), self.service.call(request));
        Box::pin(async move {
            let answer = answer.await?;
            if is_refused_on_the_way(answer.headers()) {
                refusals.count();
            }
            Ok(answer)
        })
    }
}

/// Tells whether an answer is an error without a reason of ours: its status is among the headers, for there is no
/// message.
fn is_refused_on_the_way(headers: &HeaderMap) -> bool {
    let status = headers.get("grpc-status");
    let is_error = status.is_some_and(|status| Code::from_bytes(status.as_bytes()) != Code::Ok);
    is_error && !headers.contains_key(REFUSAL_KEY)
}
