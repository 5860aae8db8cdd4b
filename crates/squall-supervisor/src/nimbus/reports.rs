//! What nimbus is told: a hello, then each second, and at once when something changes, how all slots are.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use squall_proto::limits::REPORT_INTERVAL;
use squall_proto::{SupervisorHello, SupervisorReport, wire};
use tokio::select;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use crate::hub::Hub;

/// Changes that follow each other closer than this are told together.
const GATHER: Duration = Duration::from_millis(20);

/// Makes the stream of reports. It is polled only when there is room for the next, and each report is made
/// at that moment: nothing piles up.
pub(super) fn stream(
    hub: &Arc<Hub>,
    hello: SupervisorHello,
) -> impl Stream<Item = wire::SupervisorReport> + Send + 'static {
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let reports = Reports {
        hub: Arc::downgrade(hub),
        hello: Some(hello),
        ticks,
    };
    unfold(reports, Reports::next)
}

struct Reports {
    /// The connection to nimbus has this stream, and the hub has the connection.
    hub: Weak<Hub>,
    hello: Option<SupervisorHello>,
    ticks: Interval,
}

impl Reports {
    async fn next(mut self) -> Option<(wire::SupervisorReport, Self)> {
        let report = match self.hello.take() {
            Some(hello) => SupervisorReport::Hello(hello),
            None => {
                let context = self.hub.upgrade()?.context().clone();
                select! {
                    _ = self.ticks.tick() => {}
                    () = context.changed.notified() => {
                        sleep_until(Instant::now() + GATHER).await;
                    }
                }
                SupervisorReport::Status(self.hub.upgrade()?.status())
            }
        };
        Some((report.into(), self))
    }
}
