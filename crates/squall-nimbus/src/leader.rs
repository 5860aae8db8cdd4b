//! The shell around the heart: one async task that takes events in turn, stores what was decided, and then
//! lets the orders follow.
//!
//! **Invariant:** nobody hears of a decision before it is stored.

mod book;
mod handle;
mod request;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use squall_core::{Clock, SupervisorId};
use squall_daemon::health::HealthPart;
use squall_daemon::shutdown::Scope;
use squall_proto::Refusal;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

use crate::beats::Beats;
use crate::clock::TimerClock;
use crate::heart::{Desired, Event, Limits, Observed, Reply, affected, order_for, step};
use crate::keeper::{KeepError, Keeper, Kept};
use crate::metrics::NimbusMetrics;

use book::OrderBook;
use request::Request;

pub(crate) use handle::LeaderHandle;
pub(crate) use request::{Attendance, Status, View};

/// How often the heart is told that time has passed.
const TICK: Duration = Duration::from_secs(1);
/// How many requests may wait. A report waits for its place; a command that finds none is refused.
const MAX_WAITING: usize = 1024;

/// What the leader works with.
pub(crate) struct Leader {
    keeper: Arc<Keeper>,
    desired: Arc<Desired>,
    observed: Observed,
    /// The last status of each supervisor, without counters.
    statuses: BTreeMap<SupervisorId, Status>,
    book: OrderBook,
    limits: Limits,
    clock: TimerClock,
    beats: Arc<Beats>,
    metrics: NimbusMetrics,
    health: HealthPart,
    snapshot: watch::Sender<Arc<Desired>>,
    requests: mpsc::Receiver<Request>,
    /// The store may hold something else than `desired`.
    must_read: bool,
    /// The last commit failed.
    is_failing: bool,
}

impl Leader {
    /// Begins to lead with what the store holds.
    pub(crate) fn new(
        (keeper, desired): (Arc<Keeper>, Desired),
        limits: Limits,
        beats: Arc<Beats>,
        metrics: NimbusMetrics,
        health: HealthPart,
    ) -> (Self, LeaderHandle) {
        let clock = TimerClock::new();
        let desired = Arc::new(desired);
        let (snapshot, seen) = watch::channel(Arc::clone(&desired));
        let (sender, requests) = mpsc::channel(MAX_WAITING);
        let leader = Self {
            keeper,
            desired,
            observed: Observed::new(clock.now()),
            statuses: BTreeMap::new(),
            book: OrderBook::default(),
            limits,
            clock,
            beats,
            metrics,
            health,
            snapshot,
            requests,
            must_read: false,
            is_failing: false,
        };
        leader.health.set_healthy();
        (leader, LeaderHandle::new(sender, seen, clock))
    }

    /// Leads until the scope drains.
    ///
    /// # Errors
    /// [`KeepError::NotLeading`].
    pub(crate) async fn run(mut self, scope: Scope) -> Result<(), KeepError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = scope.draining() => return Ok(()),
                _ = ticks.tick() => {
                    drop(self.happen(Event::Tick).await?);
                    self.recover().await?;
                    let now = self.clock.now();
                    self.metrics.observe(&self.desired, &self.observed, now, &self.limits);
                }
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn serve(&mut self, request: Request) -> Result<(), KeepError> {
        match request {
            Request::Command { event, reply } => {
                let answer = self.happen(*event).await?;
                if let Err(refusal) = &answer {
                    debug!(error = %refusal.message, "command refused");
                }
                // Whoever asked may have gone; it is done all the same.
                reply.send(answer).unwrap_or_default();
            }
            Request::Attend { hello, reply } => {
                let id = hello.supervisor.clone();
                let answer = match self.happen(Event::Attended(hello)).await? {
                    Ok(_) => {
                        let order = order_for(&self.desired, &self.observed, &id);
                        let (number, orders) = self.book.open(id.clone(), order);
                        info!(supervisor_id = %id, "supervisor attends");
                        Ok(Attendance { number, orders })
                    }
                    Err(refusal) => Err(refusal),
                };
                reply.send(answer).unwrap_or_default();
            }
            Request::Report {
                supervisor,
                attendance,
                slots,
                status,
            } => {
                // The stream that a newer one has replaced may have something left to say.
                if self.book.is_open(&supervisor, attendance) {
                    let draining = status.draining;
                    let status = Status {
                        status,
                        at: self.clock.now(),
                    };
                    self.statuses.insert(supervisor.clone(), status);
                    let event = Event::Reported {
                        supervisor,
                        slots,
                        draining,
                    };
                    drop(self.happen(event).await?);
                }
            }
            Request::Leave {
                supervisor,
                attendance,
            } => self.book.close(&supervisor, attendance),
            Request::Ask(ask) => ask(&View {
                desired: &self.desired,
                observed: &self.observed,
                statuses: &self.statuses,
                limits: &self.limits,
                now: self.clock.now(),
            }),
        }
        Ok(())
    }

    /// Lets an event happen: decides, stores, and then orders.
    async fn happen(&mut self, event: Event) -> Result<Result<Reply, Refusal>, KeepError> {
        // From before it was read anew, if it has to be: what turns out to be stored needs its orders too.
        let old = Arc::clone(&self.desired);
        let read = self.read_if_need_be().await;
        let now = self.clock.now();
        let decision = step(&self.desired, &mut self.observed, event, now, &self.limits);
        let stored = match (read, decision.next) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), Some(next)) => self.store(next).await?,
            (Ok(()), None) => Ok(()),
        };
        let time = (now, &self.limits);
        let changed = (&*old, &*self.desired);
        for id in affected(changed, &mut self.observed, decision.checked, time) {
            let (desired, observed) = (&self.desired, &self.observed);
            self.book.send(&id, || order_for(desired, observed, &id));
        }
        Ok(stored.and(decision.reply))
    }

    /// Stores the next state and makes it the present one.
    async fn store(&mut self, next: Desired) -> Result<Result<(), Refusal>, KeepError> {
        let refusal = match self.keeper.keep(&self.desired, &next).await? {
            Kept::Yes => {
                self.is_failing = false;
                self.health.set_healthy();
                self.metrics.commits.inc();
                self.become_known(next);
                return Ok(Ok(()));
            }
            Kept::No(refusal) => refusal,
            Kept::Perhaps(refusal) => {
                self.must_read = true;
                refusal
            }
        };
        self.is_failing = true;
        self.metrics.failed_commits.inc();
        self.health.set_unhealthy(refusal.message.as_str());
        warn!(error = %refusal.message, "the cluster's state can't be stored");
        Ok(Err(refusal))
    }

    /// Finds out, after a commit that failed, whether another would not: there may be none for days, and until
    /// then nimbus would call itself ill.
    async fn recover(&mut self) -> Result<(), KeepError> {
        if !self.is_failing || self.must_read {
            return Ok(());
        }
        match self.keeper.probe().await? {
            Kept::Yes => {
                self.is_failing = false;
                self.health.set_healthy();
                info!("the cluster's state can be stored again");
            }
            Kept::No(refusal) | Kept::Perhaps(refusal) => {
                self.health.set_unhealthy(refusal.message.as_str());
            }
        }
        Ok(())
    }

    /// Reads what is stored, if that may be something else than what is known here.
    async fn read_if_need_be(&mut self) -> Result<(), Refusal> {
        if !self.must_read {
            return Ok(());
        }
        match self.keeper.read().await {
            Ok(desired) => {
                self.must_read = false;
                self.become_known(desired);
                Ok(())
            }
            Err(error) => {
                error!(%error, "the cluster's state can't be read");
                Err(Refusal::unavailable(error))
            }
        }
    }

    fn become_known(&mut self, desired: Desired) {
        let gone = self
            .desired
            .topologies
            .keys()
            .filter(|n| !desired.topologies.contains_key(*n));
        if gone.count() > 0 {
            self.beats.retain(&desired);
        }
        self.statuses
            .retain(|id, _| desired.supervisors.contains_key(id));
        self.desired = Arc::new(desired);
        self.snapshot.send_replace(Arc::clone(&self.desired));
    }
}
