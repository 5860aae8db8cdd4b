//! The threads: one for each loop, one for each task that has left its loop, and one that watches.
//!
//! A task that keeps its loop's thread for too long loses the loop, not the thread: the watcher starts
//! another thread for the loop's other tasks, and the one that is stuck serves its task alone from
//! then on. So a bolt that blocks stalls nobody else.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use squall_core::{Clock, Moment};

use crate::ack::Inbox;
use crate::assembly::Assembly;
use crate::bell::Bed;
use crate::control::Control;
use crate::seat::Seat;

/// How long a task may keep its loop's thread.
const OVERRUN: Duration = Duration::from_millis(50);
/// How often the watcher looks while a loop is at work.
const WATCH_EVERY: Duration = Duration::from_millis(25);

/// The threads of a running topology.
pub(crate) struct Threads {
    control: Arc<Control>,
    clock: Arc<dyn Clock>,
    inboxes: Arc<[Inbox]>,
    /// How often the roots of what waits in front of a stuck task are told that it waits.
    touch_every: Duration,
    loops: Vec<Loop>,
    all: Vec<Arc<Seat>>,
    watcher: Bed,
    /// The watcher sleeps until a loop wakes.
    dozing: AtomicBool,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

struct Loop {
    bed: Arc<Bed>,
    seats: Vec<Arc<Seat>>,
    /// The thread that runs the loop: a number that goes up when another takes over.
    runner: AtomicU64,
}

impl Threads {
    /// Starts all threads.
    pub(crate) fn start(assembly: &Assembly) -> std::io::Result<Arc<Self>> {
        let loops = assembly.loops.iter().map(|(bed, seats)| Loop {
            bed: bed.clone(),
            seats: seats.clone(),
            runner: AtomicU64::new(0),
        });
        let threads = Arc::new(Self {
            control: assembly.control.clone(),
            clock: assembly.services.clock.clone(),
            inboxes: assembly.inboxes.clone(),
            touch_every: assembly.settings.message_timeout.0 / 4,
            loops: loops.collect(),
            all: assembly.seats.clone(),
            watcher: Bed::default(),
            dozing: AtomicBool::new(false),
            handles: Mutex::default(),
        });
        for seat in &assembly.dedicated {
            seat.bell.move_out();
            threads.spawn_alone(seat)?;
        }
        for loop_idx in 0..threads.loops.len() {
            threads.spawn_loop(loop_idx, 0)?;
        }
        threads.spawn("squall-watch", Self::watch)?;
        Ok(threads)
    }

    /// Waits for all threads; those that are stuck in author code keep it waiting.
    pub(crate) fn join(&self) {
        self.watcher.wake();
        // A loop whose tasks have all left it has nobody else to wake it.
        self.loops.iter().for_each(|each| each.bed.wake());
        loop {
            let handle = self
                .handles
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let Some(handle) = handle else { return };
            // Author code and seats are guarded: a thread that panicked has nothing to say.
            drop(handle.join());
        }
    }

    fn spawn(
        self: &Arc<Self>,
        name: &str,
        body: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> std::io::Result<()> {
        let this = self.clone();
        let handle = Builder::new()
            .name(name.to_owned())
            .spawn(move || body(&this))?;
        self.handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(handle);
        Ok(())
    }

    fn spawn_loop(self: &Arc<Self>, loop_idx: usize, runner: u64) -> std::io::Result<()> {
        self.spawn(&format!("squall-loop-{loop_idx}"), move |this| {
            this.run_loop(loop_idx, runner);
        })
    }

    fn spawn_alone(self: &Arc<Self>, seat: &Arc<Seat>) -> std::io::Result<()> {
        let seat = seat.clone();
        self.spawn(
            &format!("squall-{}-{}", seat.component, seat.id),
            move |this| this.run_alone(&seat),
        )
    }

    /// Runs the seats of a loop in turn, until all have ended or the loop is taken over.
    fn run_loop(&self, loop_idx: usize, runner: u64) {
        let Loop {
            bed,
            seats,
            runner: current,
        } = &self.loops[loop_idx];
        let mut now = self.clock.now();
        while !self.control.has_ended() {
            let mut worked = false;
            for seat in seats.iter().filter(|seat| !seat.bell.has_moved_out()) {
                let Some(after) = seat.run(now, &self.control) else {
                    continue;
                };
                worked = true;
                now = after;
                if current.load(Ordering::SeqCst) != runner {
                    return self.run_alone(seat);
                }
            }
            now = self.clock.now();
            if !worked {
                let own = || seats.iter().filter(|seat| !seat.bell.has_moved_out());
                let due = own().filter_map(|seat| seat.due()).min();
                let ready = || self.control.has_ended() || own().any(|seat| seat.is_ready(now));
                bed.sleep(due.map(|due| due.since(now)), ready);
                if self.dozing.load(Ordering::SeqCst) {
                    self.watcher.wake();
                }
                now = self.clock.now();
            }
        }
    }

    /// Runs one seat on a thread of its own.
    fn run_alone(&self, seat: &Arc<Seat>) {
        while !seat.has_ended() {
            let now = self.clock.now();
            if seat.run(now, &self.control).is_none() {
                let ready = || seat.has_ended() || seat.is_ready(now);
                seat.bell
                    .own_bed()
                    .sleep(seat.due().map(|due| due.since(now)), ready);
            }
        }
    }

    /// Watches for tasks that keep their loop's thread, until the topology has ended.
    fn watch(self: &Arc<Self>) {
        let mut last_touch = self.clock.now();
        while !self.control.has_ended() {
            let now = self.clock.now();
            for loop_idx in 0..self.loops.len() {
                self.relieve(loop_idx, now);
            }
            if now.since(last_touch) >= self.touch_every {
                last_touch = now;
                let stuck = self
                    .all
                    .iter()
                    .filter(|seat| seat.busy_for(now) >= self.touch_every);
                stuck.for_each(|seat| seat.touch_inputs(&self.inboxes));
            }
            let at_work = || {
                self.control.has_ended()
                    || self.loops.iter().any(|each| !each.bed.is_asleep())
                    || self
                        .all
                        .iter()
                        .any(|seat| seat.busy_for(now) > Duration::ZERO)
            };
            if at_work() {
                self.watcher
                    .sleep(Some(WATCH_EVERY), || self.control.has_ended());
            } else {
                self.dozing.store(true, Ordering::SeqCst);
                self.watcher.sleep(None, at_work);
                self.dozing.store(false, Ordering::SeqCst);
            }
        }
    }

    /// Gives a loop another thread when one of its tasks keeps the present one.
    fn relieve(self: &Arc<Self>, loop_idx: usize, now: Moment) {
        let each = &self.loops[loop_idx];
        let overrun =
            |seat: &&Arc<Seat>| !seat.bell.has_moved_out() && seat.busy_for(now) >= OVERRUN;
        let Some(seat) = each.seats.iter().find(overrun) else {
            return;
        };
        seat.bell.move_out();
        let runner = each.runner.fetch_add(1, Ordering::SeqCst) + 1;
        tracing::debug!(component_id = %seat.component, task_id = %seat.id, "task has left its loop");
        if let Err(error) = self.spawn_loop(loop_idx, runner) {
            self.control.fail(
                format!("no thread for a loop whose task blocks: {error}"),
                now,
            );
        }
    }
}
