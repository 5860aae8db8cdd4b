//! The threads: one for each loop, one for each task that has left its loop, and one that watches.
//!
//! A task that keeps its loop's thread for too long loses the loop, not the thread: the watcher starts
//! another thread for the loop's other tasks, and the one that is stuck serves its task alone from
//! then on. So a bolt that blocks stalls nobody else. Once it hasn't blocked for a while, for it may have been the
//! machine that stalled, it moves back.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, available_parallelism};
use std::time::Duration;

use rustix::thread::set_current_timer_slack;

use squall_core::{Clock, Moment};

use crate::ack::Inbox;
use crate::assembly::Assembly;
use crate::bell::Bed;
use crate::control::Control;
use crate::seat::Seat;

/// How long a task may keep its loop's thread.
const OVERRUN: Duration = Duration::from_millis(50);
/// How long a task that has left its loop has to do without overruns before it moves back; twice as long each time.
const CALM: Duration = Duration::from_secs(10);
/// How often that is doubled at most: to about an hour and a half.
const MAX_DOUBLED: u32 = 9;
/// A thread that sleeps for less than this goes to sleep at once, not to miss its time.
const LOOK_OUT_BELOW: Duration = Duration::from_millis(1);
/// How late the system may wake a thread that sleeps for a time, in ns. It is 50,000 by default: as much as a tuple takes
/// otherwise.
const TIMER_SLACK_NS: NonZero<u64> = NonZero::new(1_000).unwrap();
/// The stack of each thread, in bytes: for a chain of calls. Memory is taken as it is used.
const STACK_BYTES: usize = 16 << 20;
/// How many slices tasks downstream may take out of turn in one round of a loop, so that those upstream
/// have theirs.
const DRAIN_SLICES: usize = 64;
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
    n_cores: usize,
    /// How many threads are at work, the watcher left out.
    n_awake: AtomicUsize,
    watcher: Bed,
    /// The watcher sleeps until a loop wakes.
    dozing: AtomicBool,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

/// How long a task has its own thread.
#[derive(Clone, Copy, PartialEq)]
enum Stay {
    /// To its end: it was declared so.
    Forever,
    /// Until it has been calm for so long.
    UntilCalm(Duration),
}

struct Loop {
    bed: Arc<Bed>,
    seats: Vec<Arc<Seat>>,
    /// Who runs the loop and what it is at, in one word: see [`Turn`].
    turn: AtomicU64,
}

/// Which thread runs a loop and which of its seats it is in. A thread enters and leaves a seat, and the
/// watcher takes the loop away from a thread that stays in one too long, each by replacing the turn
/// that it knows: so exactly one of them wins, and each seat has one thread to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    /// Goes up when another thread takes over.
    runner: u32,
    /// The seat's index in the loop, from 1; 0 between two seats.
    seat: u32,
}

impl Turn {
    const fn between(runner: u32) -> Self {
        Self { runner, seat: 0 }
    }

    fn at(runner: u32, seat_idx: usize) -> Self {
        Self {
            runner,
            seat: u32::try_from(seat_idx + 1).unwrap_or(u32::MAX),
        }
    }

    const fn to_word(self) -> u64 {
        (self.runner as u64) << 32 | self.seat as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes a word apart")]
    const fn from_word(word: u64) -> Self {
        Self {
            runner: (word >> 32) as u32,
            seat: word as u32,
        }
    }

    /// Replaces the turn in `word`, unless somebody has replaced it before.
    fn replace(self, next: Self, word: &AtomicU64) -> bool {
        word.compare_exchange(
            self.to_word(),
            next.to_word(),
            Ordering::SeqCst,
            Ordering::SeqCst,
        )
        .is_ok()
    }
}

impl Threads {
    /// Starts all threads.
    pub(crate) fn start(assembly: &Assembly) -> std::io::Result<Arc<Self>> {
        let loops = assembly.loops.iter().map(|(bed, seats)| Loop {
            bed: bed.clone(),
            seats: seats.clone(),
            turn: AtomicU64::new(Turn::between(0).to_word()),
        });
        let threads = Arc::new(Self {
            control: assembly.control.clone(),
            clock: assembly.services.clock.clone(),
            inboxes: assembly.inboxes.clone(),
            touch_every: assembly.settings.message_timeout.0 / 4,
            loops: loops.collect(),
            all: assembly.seats.clone(),
            n_cores: available_parallelism().map_or(1, NonZero::get),
            n_awake: AtomicUsize::new(0),
            watcher: Bed::default(),
            dozing: AtomicBool::new(false),
            handles: Mutex::default(),
        });
        match threads.spawn_all(&assembly.dedicated) {
            Ok(()) => Ok(threads),
            Err(error) => {
                // Half a topology is none: those that have a thread are stopped.
                threads.control.abandon();
                threads.join();
                Err(error)
            }
        }
    }

    fn spawn_all(self: &Arc<Self>, dedicated: &[Arc<Seat>]) -> std::io::Result<()> {
        for seat in dedicated {
            seat.move_out();
            self.spawn_alone(seat)?;
        }
        for loop_idx in 0..self.loops.len() {
            self.spawn(&format!("squall-loop-{loop_idx}"), move |this| {
                this.work(|| this.run_loop(loop_idx, 0));
            })?;
        }
        self.spawn("squall-watch", Self::watch)
    }

    /// Waits for all threads; those that are stuck in author code keep it waiting.
    pub(crate) fn join(&self) {
        self.watcher.wake();
        // A loop whose tasks have all left it has nobody else to wake it.
        self.loops.iter().for_each(|each| each.bed.wake());
        self.all.iter().for_each(|seat| seat.bell.own_bed().wake());
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
            .stack_size(STACK_BYTES)
            .spawn(move || body(&this))?;
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|handle| !handle.is_finished());
        handles.push(handle);
        Ok(())
    }

    fn spawn_alone(self: &Arc<Self>, seat: &Arc<Seat>) -> std::io::Result<()> {
        let seat = seat.clone();
        self.spawn(
            &format!("squall-{}-{}", seat.component, seat.id),
            move |this| this.work(|| this.run_alone(&seat, Stay::Forever)),
        )
    }

    /// Begins and ends a thread that runs tasks.
    fn work(&self, run: impl FnOnce()) {
        // What can't be had makes a topology slower, not wrong.
        set_current_timer_slack(Some(TIMER_SLACK_NS)).unwrap_or_default();
        self.n_awake.fetch_add(1, Ordering::Relaxed);
        run();
        self.n_awake.fetch_sub(1, Ordering::Relaxed);
    }

    /// Runs the seats of a loop in turn, until all have ended or the loop is taken away.
    fn run_loop(&self, loop_idx: usize, runner: u32) {
        let Loop { bed, seats, turn } = &self.loops[loop_idx];
        let own = || seats.iter().filter(|seat| !seat.bell.has_moved_out());
        let between = Turn::between(runner);
        let mut now = self.clock.now();
        while !self.control.has_ended() {
            let (mut worked, mut n_drained) = (false, 0);
            let mut seat_idx = 0;
            while let Some(seat) = seats.get(seat_idx) {
                if seat.bell.has_moved_out() || !seat.is_ready(now) {
                    seat_idx += 1;
                    continue;
                }
                let inside = Turn::at(runner, seat_idx);
                between.replace(inside, turn);
                worked |= seat.run(now, &self.control);
                if !inside.replace(between, turn) {
                    let n_before = seat.n_moves().saturating_sub(1).min(MAX_DOUBLED);
                    return self.run_alone(seat, Stay::UntilCalm(CALM * 2u32.pow(n_before)));
                }
                now = self.clock.now();
                // What waits downstream goes first: it frees memory, and room for other loops.
                let downstream = seats
                    .iter()
                    .take(seat_idx)
                    .position(|seat| seat.is_ready(now) && !seat.bell.has_moved_out());
                seat_idx = match downstream {
                    Some(ready) if n_drained < DRAIN_SLICES => {
                        n_drained += 1;
                        ready
                    }
                    _ => seat_idx + 1,
                };
            }
            if !worked {
                let due = own().filter_map(|seat| seat.due()).min();
                let ready = || self.control.has_ended() || own().any(|seat| seat.is_ready(now));
                self.rest(bed, due.map(|due| due.since(now)), ready);
                now = self.clock.now();
            }
        }
    }

    /// Runs one seat on a thread of its own, to its end or until it moves back.
    fn run_alone(&self, seat: &Arc<Seat>, stay: Stay) {
        let mut calm_since = self.clock.now();
        while !seat.has_ended() && !self.control.has_ended() {
            let now = self.clock.now();
            if matches!(stay, Stay::UntilCalm(calm) if now.since(calm_since) >= calm) {
                seat.bell.move_in();
                tracing::debug!(component_id = %seat.component, task_id = %seat.id, "task is back on its loop");
                return;
            }
            if seat.run(now, &self.control) {
                let ran_until = self.clock.now();
                if ran_until.since(now) >= OVERRUN / 2 {
                    calm_since = ran_until;
                }
            } else {
                let ready = || self.control.has_ended() || seat.is_ready(now);
                let due = seat.due().map(|due| due.since(now));
                self.rest(seat.bell.own_bed(), due, ready);
            }
        }
    }

    /// Has a thread wait until it is woken or `at_most` has passed. First it looks out for work, if a core is free for
    /// that: where threads outnumber cores, whoever is waited for may need this one.
    fn rest(&self, bed: &Bed, at_most: Option<Duration>, ready: impl Fn() -> bool) {
        let has_core = self.n_awake.load(Ordering::Relaxed) <= self.n_cores;
        let has_time = at_most.is_none_or(|at_most| at_most >= LOOK_OUT_BELOW);
        if has_core && has_time && bed.look_out(&ready) {
            return self.rouse_watcher();
        }
        self.n_awake.fetch_sub(1, Ordering::Relaxed);
        bed.sleep(at_most, ready);
        self.n_awake.fetch_add(1, Ordering::Relaxed);
        self.rouse_watcher();
    }

    /// Has the watcher look again: something is at work.
    fn rouse_watcher(&self) {
        if self.dozing.load(Ordering::SeqCst) {
            self.watcher.wake();
        }
    }

    /// Watches for tasks that keep their loop's thread, until the topology has ended.
    fn watch(self: &Arc<Self>) {
        let mut last_touch = self.clock.now();
        while !self.control.has_ended() {
            let now = self.clock.now();
            let slow = self
                .all
                .iter()
                .filter(|seat| seat.busy_for(now) >= OVERRUN / 2);
            slow.for_each(|seat| seat.bell.hurry());
            for loop_idx in 0..self.loops.len() {
                self.relieve(loop_idx, now);
            }
            if now.since(last_touch) >= self.touch_every {
                last_touch = now;
                let stuck = self
                    .all
                    .iter()
                    .filter(|seat| seat.busy_for(now) >= self.touch_every);
                stuck.for_each(|seat| seat.touch_waiting(&self.inboxes));
            }
            let at_work = || {
                self.control.has_ended()
                    || self.loops.iter().any(|each| !each.bed.is_asleep())
                    || self.all.iter().any(|seat| seat.is_occupied())
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

    /// Gives a loop another thread when one of its tasks keeps the present one. The new thread itself
    /// takes the loop over, so that a system without threads to spare changes nothing.
    fn relieve(self: &Arc<Self>, loop_idx: usize, now: Moment) {
        let each = &self.loops[loop_idx];
        let turn = Turn::from_word(each.turn.load(Ordering::SeqCst));
        let Some(seat) = (turn.seat as usize)
            .checked_sub(1)
            .and_then(|idx| each.seats.get(idx))
        else {
            return;
        };
        if seat.busy_for(now) < OVERRUN {
            return;
        }
        let (seat, next) = (seat.clone(), turn.runner.wrapping_add(1));
        let taken_over = self.spawn(&format!("squall-loop-{loop_idx}"), move |this| {
            if turn.replace(Turn::between(next), &this.loops[loop_idx].turn) {
                seat.move_out();
                tracing::debug!(component_id = %seat.component, task_id = %seat.id, "task has left its loop");
                this.work(|| this.run_loop(loop_idx, next));
            }
        });
        if let Err(error) = taken_over {
            tracing::warn!(%error, "no thread for the other tasks of a loop whose task blocks");
        }
    }
}
