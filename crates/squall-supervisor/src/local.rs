//! Service `Local`: the standing streams of this machine's workers.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use squall_proto::limits::HELLO_DEADLINE;
use squall_proto::{
    Cookie, Refusal, RefusalCode, WorkerHello, WorkerOrder, WorkerReport, handshake, wire,
};
use tokio::select;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use crate::hub::Hub;
use crate::keeper::{KeeperHandle, Message};

type Orders = Pin<Box<dyn Stream<Item = Result<wire::WorkerOrder, Status>> + Send>>;

/// Serves workers.
#[derive(Clone, Debug)]
pub(crate) struct LocalService {
    hub: Arc<Hub>,
}

impl LocalService {
    pub(crate) const fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    async fn welcome(
        &self,
        mut reports: Streaming<wire::WorkerReport>,
    ) -> Result<Session, Refusal> {
        let first = timeout(HELLO_DEADLINE, reports.message()).await;
        let first = first.map_err(|_| bad_start("nothing was said in time"))??;
        let hello = match first.map(WorkerReport::try_from).transpose()? {
            Some(WorkerReport::Hello(hello)) => hello,
            Some(WorkerReport::Status(_)) => {
                return Err(bad_start("the first message is no hello"));
            }
            None => return Err(bad_start("the stream ended at once")),
        };
        handshake::agree(&self.hub.context().handshake(), &hello.handshake)?;
        let keeper = self.hub.keeper_of(hello.cookie).ok_or_else(|| {
            let why = "no worker that runs here has this cookie";
            Refusal::unknown_worker(why)
        })?;
        let cookie = hello.cookie;
        let orders = present(&keeper, hello).await?;
        Ok(Session {
            keeper,
            cookie,
            reports,
            orders,
            over: false,
        })
    }
}

#[tonic::async_trait]
impl wire::local_server::Local for LocalService {
    type AttendStream = Orders;

    async fn attend(
        &self,
        request: Request<Streaming<wire::WorkerReport>>,
    ) -> Result<Response<Orders>, Status> {
        let session = self.welcome(request.into_inner()).await?;
        Ok(Response::new(Box::pin(unfold(session, Session::next))))
    }
}

/// Asks a keeper to accept a worker.
async fn present(
    keeper: &KeeperHandle,
    hello: WorkerHello,
) -> Result<watch::Receiver<Option<WorkerOrder>>, Refusal> {
    let (answer, answered) = oneshot::channel();
    keeper.tell(Message::Hello { hello, answer }).await;
    let ending = |_| Refusal::unavailable("the supervisor is ending");
    let mut orders = answered.await.map_err(ending)??;
    orders.mark_changed();
    Ok(orders)
}

/// One worker's stream. It is driven by whoever waits for the next order, so it needs no task of its own.
struct Session {
    keeper: KeeperHandle,
    cookie: Cookie,
    reports: Streaming<wire::WorkerReport>,
    orders: watch::Receiver<Option<WorkerOrder>>,
    over: bool,
}

impl Session {
    /// Passes reports on until there is an order to send.
    async fn next(mut self) -> Option<(Result<wire::WorkerOrder, Status>, Self)> {
        if self.over {
            return None;
        }
        loop {
            let result = select! {
                changed = self.orders.changed() => match changed {
                    Ok(()) => match self.orders.borrow_and_update().clone() {
                        Some(order) => Ok(order.into()),
                        None => continue,
                    },
                    // Another stream has taken this one's place, or the worker is gone.
                    Err(_) => return None,
                },
                report = self.reports.message() => match self.report(report).await {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(refusal) => {
                        self.over = true;
                        Err(refusal.into())
                    }
                }
            };
            return Some((result, self));
        }
    }

    /// Says whether the stream goes on.
    async fn report(
        &self,
        report: Result<Option<wire::WorkerReport>, Status>,
    ) -> Result<bool, Refusal> {
        let report = match report {
            Ok(Some(report)) => report,
            Ok(None) => return Ok(false),
            Err(status) => {
                debug!(port = self.keeper.port, %status, "worker's stream broke");
                return Ok(false);
            }
        };
        match WorkerReport::try_from(report)? {
            WorkerReport::Status(status) => {
                let cookie = self.cookie;
                Ok(self.keeper.tell(Message::Status { cookie, status }).await)
            }
            WorkerReport::Hello(_) => Err(bad_start("a second hello on one stream")),
        }
    }
}

fn bad_start(what: &str) -> Refusal {
    Refusal::new(RefusalCode::BadField, what, "begin a stream with one hello")
}
