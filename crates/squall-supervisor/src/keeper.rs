//! A slot's keeper: does what [`Slot`] decides, one thing after the other, and tells it what comes of it.
//!
//! Everything about a slot goes through its keeper's inbox, so nothing about it needs a lock. While the
//! keeper writes a file or starts a process, messages wait; the inbox is bounded, and who sends to a full
//! one waits too.

mod handle;
mod launch;
mod output;
mod restore;
mod status;

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use squall_core::Clock;
use squall_proto::{Cookie, Refusal, Sha256, WorkerHello, WorkerOrder, WorkerStatus};
use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::binaries::FetchError;
use crate::context::Context;
use crate::home::SlotDir;
use crate::order::SlotOrder;
use crate::process::Watched;
use crate::slots::{Effect, Event, Fault, Launch, Phase, Record, Slot, View, Work};

pub(crate) use handle::{KeeperHandle, Message};

use handle::Seen;

/// One slot's keeper.
pub(crate) struct Keeper {
    port: u16,
    context: Arc<Context>,
    dir: SlotDir,
    slot: Slot,
    inbox: mpsc::Receiver<Message>,
    seen: watch::Sender<Seen>,
    /// What nimbus wants, or wanted when an earlier process of this supervisor heard of it last.
    order: Option<SlotOrder>,
    /// Nimbus has said what it wants since this process started.
    was_ordered: bool,
    /// What the worker that runs is told by; its `order` or an earlier one.
    running: Option<SlotOrder>,
    to_worker: watch::Sender<Option<WorkerOrder>>,
    /// What the worker said last.
    status: Option<WorkerStatus>,
    watched: Option<Watched>,
    /// How long the file of the worker's output was when it started.
    output_at: Option<u64>,
    fetches: JoinSet<(Sha256, Result<PathBuf, FetchError>)>,
    binary: PathBuf,
    /// A record that could not be stored: tried again with each tick.
    unsaved: Option<Record>,
}

impl Keeper {
    /// Runs for as long as there are handles.
    pub(crate) async fn run(mut self) {
        self.look_after().await;
        self.publish();
        loop {
            let deadline = self.slot.deadline();
            let wake = deadline.map(|moment| self.context.clock.instant(moment));
            let event = select! {
                message = self.inbox.recv() => match message {
                    Some(message) => {
                        self.take(message).await;
                        continue;
                    }
                    None => return,
                },
                ended = ended(&mut self.watched) => self.gone(ended).await,
                Some(fetched) = self.fetches.join_next() => match fetched {
                    Ok((binary, result)) => self.fetched(binary, result),
                    Err(error) => self.fetch_lost(&error),
                },
                () = wait_until(wake) => {
                    self.look_after().await;
                    Event::Tick
                }
            };
            self.happen(event).await;
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Order(order) => self.ordered(order).await,
            Message::Hello { hello, answer } => {
                let accepted = self.called(&hello).await;
                // Who has gone away meanwhile will come again.
                drop(answer.send(accepted));
            }
            Message::Status { cookie, status } => self.reported(cookie, status).await,
            Message::Drain => {
                self.happen(Event::Drain).await;
            }
        }
    }

    async fn ordered(&mut self, order: Option<SlotOrder>) {
        let is_news = order != self.order;
        // An earlier process may have been killed when it had stored this very order and not followed it: the
        // slot hears of the first one whether or not it is news.
        if std::mem::replace(&mut self.was_ordered, true) && !is_news {
            return;
        }
        if is_news {
            let dir = self.dir.clone();
            let stored = order.as_ref().map(SlotOrder::to_bytes).unwrap_or_default();
            if let Err(error) = blocking(move || dir.store_order(&stored)).await {
                // It goes on as ordered; only a restart of the supervisor would not know.
                warn!(port = self.port, %error, "order can't be stored");
            }
        }
        let work = order.as_ref().map(|order| order.work().clone());
        self.order = order;
        self.happen(Event::Order(work)).await;
        if self.order.as_ref().is_some_and(SlotOrder::drains) {
            self.happen(Event::Drains).await;
        }
        self.forward();
    }

    async fn called(
        &mut self,
        hello: &WorkerHello,
    ) -> Result<watch::Receiver<Option<WorkerOrder>>, Refusal> {
        let event = Event::Attended {
            cookie: hello.cookie,
            fence: hello.fence,
        };
        if let Some(refusal) = self.happen(event).await {
            let (port, pid) = (self.port, hello.pid);
            warn!(port, pid, topology_id = %hello.topology, error = %refusal.message, "worker refused");
            return Err(refusal);
        }
        // Who called before for the same worker has lost its connection.
        self.to_worker = watch::Sender::new(None);
        self.forward();
        Ok(self.to_worker.subscribe())
    }

    async fn reported(&mut self, cookie: Cookie, status: WorkerStatus) {
        let launch = self.slot.record().launch;
        if launch.is_none_or(|launch| launch.cookie != cookie) {
            return;
        }
        let event = Event::Reported {
            cookie,
            ready: status.ready,
            drained: status.drained,
        };
        let news = self.status.as_ref().is_none_or(|last| {
            (last.ready, last.drained, last.assignment_version)
                != (status.ready, status.drained, status.assignment_version)
        });
        self.status = Some(status);
        self.happen(event).await;
        if news {
            self.context.changed.notify_one();
        }
    }

    /// Lets the slot know what happened and does all that follows. Returns the refusal if that was a call
    /// and it was refused.
    async fn happen(&mut self, event: Event) -> Option<Refusal> {
        let mut events = VecDeque::from([event]);
        let mut refused = None;
        while let Some(event) = events.pop_front() {
            let effects = self.slot.step(event, self.context.clock.now());
            let mut stored = Ok(());
            for effect in effects {
                match effect {
                    Effect::Fetch(binary) => self.fetch(binary),
                    Effect::Persist(record) => stored = self.persist(record).await,
                    Effect::Launch(launch) => {
                        // The worker may call before all here is done: its cookie must be known.
                        self.publish();
                        let launched = match std::mem::replace(&mut stored, Ok(())) {
                            Ok(()) => self.launch(&launch).await,
                            Err(error) => {
                                Err(format!("the slot's record can't be stored: {error}"))
                            }
                        };
                        events.push_back(self.launched(&launch, launched));
                    }
                    Effect::Accept => {}
                    Effect::Refuse(refusal) => refused = Some(refusal),
                    Effect::AskDrain => self.forward(),
                    Effect::Terminate(_) => self.signal("SIGTERM", Watched::terminate),
                    Effect::Kill(_) => self.signal("SIGKILL", Watched::kill),
                    Effect::Report => {
                        self.publish();
                        self.context.changed.notify_one();
                    }
                }
            }
        }
        self.publish();
        refused
    }

    fn fetch(&mut self, binary: Sha256) {
        let context = self.context.clone();
        let task = async move { (binary, context.binaries.get(binary).await) };
        self.fetches.spawn(task);
    }

    fn fetched(&mut self, binary: Sha256, result: Result<PathBuf, FetchError>) -> Event {
        match result {
            Ok(path) => {
                self.binary = path;
                Event::Fetched(binary)
            }
            Err(error) => {
                warn!(port = self.port, %binary, %error, "binary can't be fetched");
                Event::FetchFailed {
                    binary,
                    fault: error.fault(),
                    reason: error.to_string(),
                }
            }
        }
    }

    /// A fetch that panicked: what is wanted now gets no answer from it.
    fn fetch_lost(&self, error: &JoinError) -> Event {
        error!(port = self.port, %error, "fetch ended without an answer");
        match self.slot.view().work {
            Some(work) => Event::FetchFailed {
                binary: work.binary,
                reason: error.to_string(),
                fault: Fault::Here,
            },
            None => Event::Tick,
        }
    }

    async fn persist(&mut self, record: Record) -> io::Result<()> {
        let (dir, stored) = (self.dir.clone(), record.clone());
        let result = blocking(move || dir.store_record(&stored)).await;
        match &result {
            Ok(()) => self.unsaved = None,
            Err(error) => {
                if self.unsaved.replace(record).is_none() {
                    warn!(port = self.port, %error, "slot's record can't be stored now");
                }
            }
        }
        result
    }

    fn launched(&mut self, launch: &Launch, launched: Result<Watched, String>) -> Event {
        let Work {
            topology_id,
            worker_idx,
            ..
        } = &launch.work;
        match launched {
            Ok(watched) => {
                let process = watched.process();
                let (port, pid, incarnation) = (self.port, process.pid, launch.incarnation);
                info!(port, %topology_id, %worker_idx, incarnation, pid, "worker started");
                self.watched = Some(watched);
                self.running = self.order.clone();
                Event::Spawned(process)
            }
            Err(reason) => {
                let port = self.port;
                warn!(port, %topology_id, %worker_idx, reason, "worker can't be started");
                Event::LaunchFailed { reason }
            }
        }
    }

    /// Turns the end of the process into what the slot is told.
    async fn gone(&mut self, ended: io::Result<String>) -> Event {
        let how = ended.unwrap_or_else(|error| format!("lost from sight: {error}"));
        let process = self.watched.take().map(|watched| watched.process());
        let launch = self.slot.record().launch;
        let reason = match &launch {
            Some(launch) => {
                let directory = self
                    .dir
                    .worker(&launch.work.topology_id, launch.work.worker_idx);
                let from = self.output_at.take();
                let words = blocking(move || Ok(output::last_words(&directory, from))).await;
                output::reason(&how, words.unwrap_or_default().as_deref())
            }
            None => how,
        };
        info!(
            port = self.port,
            pid = process.map(|process| process.pid),
            reason,
            "worker is gone"
        );
        self.running = None;
        self.status = None;
        self.to_worker = watch::Sender::new(None);
        let process = process.or(self.slot.record().process);
        match process {
            Some(process) => Event::Exited { process, reason },
            None => Event::Tick,
        }
    }

    fn signal(&self, name: &str, send: impl FnOnce(&Watched) -> io::Result<()>) {
        let Some(watched) = &self.watched else {
            return;
        };
        let pid = watched.process().pid;
        match send(watched) {
            Ok(()) => info!(port = self.port, pid, signal = name, "worker told to end"),
            Err(error) => {
                error!(port = self.port, pid, signal = name, %error, "worker can't be told to end");
            }
        }
    }

    /// Tells the worker what it is to know, if that is news.
    fn forward(&mut self) {
        let launch = self.slot.record().launch;
        if let (Some(order), Some(launch)) = (&self.order, launch)
            && *order.work() == launch.work
        {
            self.running = Some(order.clone());
        }
        let Some(running) = &self.running else {
            return;
        };
        let order = running.to_worker(self.context.handshake(), self.slot.must_drain());
        self.to_worker.send_if_modified(|last| {
            let news = last.as_ref() != Some(&order);
            *last = Some(order);
            news
        });
    }

    /// What is to be done now and then.
    async fn look_after(&mut self) {
        if let Some(record) = self.unsaved.clone() {
            // It says so itself the first time that it fails.
            drop(self.persist(record).await);
        }
        if self.watched.is_some()
            && let Some(launch) = self.slot.record().launch
        {
            let directory = self
                .dir
                .worker(&launch.work.topology_id, launch.work.worker_idx);
            let trimmed = blocking(move || output::trim(&directory)).await;
            match trimmed {
                Ok(false) => {}
                Ok(true) => self.output_at = Some(0),
                Err(error) => warn!(port = self.port, %error, "worker's output can't be trimmed"),
            }
        }
    }

    fn publish(&self) {
        let (view, status) = (self.slot.view(), self.status.as_ref());
        self.seen.send_replace(Seen {
            is_settled: is_settled(&view, status),
            status: status::of_slot(self.port, view, status),
            launch: self.slot.record().launch,
        });
    }
}

/// Tells whether a worker that was adopted has said how it is, so that nimbus can be told.
fn is_settled(view: &View, status: Option<&WorkerStatus>) -> bool {
    match view.phase {
        Phase::Starting => false,
        Phase::Running => status.is_some(),
        Phase::Empty | Phase::Fetching | Phase::Stopping | Phase::Failed => true,
    }
}

async fn ended(watched: &mut Option<Watched>) -> io::Result<String> {
    match watched {
        Some(watched) => watched.ended().await,
        None => pending().await,
    }
}

async fn wait_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep_until(wake).await,
        None => pending().await,
    }
}

/// Does what blocks on a thread for such things.
async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(task).await.map_err(io::Error::other)?
}
