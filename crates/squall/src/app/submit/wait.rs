//! `submit --wait`: until every task of a topology runs.

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use squall_client::{Nimbus, Trouble};
use squall_core::engine::WorkerIdx;
use squall_core::{Result, TopologyId};
use squall_proto::{
    Description, Phase, RefusalCode, SlotState, SlotWorker, TopologyName, WorkerPlacement,
};

use crate::app::submit::meter::Meter;
use crate::cluster::{advise, explain};
use crate::console::{self, counted};

/// How often nimbus is asked.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// The most workers that are named: of thousands that wait for the same, the first few tell it.
const MAX_NAMED: usize = 8;

/// How far a topology is.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    /// Every task runs, and spouts are asked.
    all_run: bool,
    /// The same in a line.
    text: String,
    /// What keeps the workers that aren't ready, a line each.
    missing: Vec<String>,
}

/// Waits until every task of a topology runs, and says how far it is. Fails when that takes longer than
/// `bound`; the topology goes on.
pub(super) async fn until_all_run(
    nimbus: &mut Nimbus,
    name: &TopologyName,
    id: &TopologyId,
    bound: Duration,
) -> Result<ExitCode> {
    let meter = Meter::of_text();
    let mut last = None;
    let waited = timeout(bound, watch(nimbus, (name, id), &meter, &mut last)).await;
    drop(meter);
    match (waited, last) {
        (Ok(Ok(())), Some(standing)) => {
            console::say(format_args!("{id} runs: {}", standing.text));
            Ok(ExitCode::SUCCESS)
        }
        (Ok(Err(error)), _) => Err(error),
        (_, standing) => {
            let (text, missing) = standing.map_or_else(
                || ("nimbus hasn't answered".to_owned(), Vec::new()),
                |standing| (standing.text, standing.missing),
            );
            let lines: String = missing.iter().map(|line| format!("\n  {line}")).collect();
            let what = format!("{id} doesn't run within {bound:?}: {text}{lines}");
            let action = format!(
                "`squall describe {name}` and `squall logs {name}` tell more; it goes on trying, `squall kill {name}` ends it"
            );
            Err(advise(what, action))
        }
    }
}

/// Asks again and again, until every task runs.
async fn watch(
    nimbus: &mut Nimbus,
    (name, id): (&TopologyName, &TopologyId),
    meter: &Meter,
    last: &mut Option<Standing>,
) -> Result<()> {
    let (mut asks, mut said) = (interval(ASK_EVERY), String::new());
    asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        asks.tick().await;
        let text = match nimbus.describe(name.clone()).await {
            Ok(description) if description.topology.id == *id => {
                let standing = Standing::of(&description);
                let text = match standing.missing.first() {
                    Some(first) => format!("{}; {first}", standing.text),
                    None => standing.text.clone(),
                };
                let all_run = standing.all_run;
                *last = Some(standing);
                if all_run {
                    return Ok(());
                }
                text
            }
            Ok(_) => return Err(format!("{id} was ended meanwhile").into()),
            Err(Trouble::Refused(refusal)) if refusal.code == RefusalCode::UnknownTopology => {
                return Err(format!("{id} was ended meanwhile").into());
            }
            // Nimbus is starting again, say. What was submitted it knows then.
            Err(Trouble::Refused(refusal)) if refusal.code == RefusalCode::Unavailable => {
                format!("nimbus doesn't answer: {}", refusal.message)
            }
            Err(trouble) => return Err(explain(trouble)),
        };
        if text != said {
            meter.say(&text);
            said = text;
        }
    }
}

impl Standing {
    fn of(description: &Description) -> Self {
        let summary = &description.summary;
        let (ready, all) = (summary.n_workers_ready, summary.n_workers);
        let all_ready = ready == all && description.plan.unplaced.is_empty();
        let text = match summary.phase {
            Phase::Draining => "it is draining".to_owned(),
            Phase::Starting if all_ready => "all workers are ready, spouts start".to_owned(),
            _ => format!("{ready} of {} ready", counted(all.into(), "worker")),
        };
        Self {
            all_run: all_ready && matches!(summary.phase, Phase::Active | Phase::Inactive),
            text,
            missing: missing(description),
        }
    }
}

/// Names what keeps workers from being ready, the worst first.
fn missing(description: &Description) -> Vec<String> {
    let unplaced = description.plan.unplaced.iter().map(|unplaced| {
        let (worker, reason) = (unplaced.worker, &unplaced.reason);
        (0, format!("worker {worker} has no place: {reason}"))
    });
    let placed = description.plan.assignment.workers.iter();
    let placed = placed.filter_map(|placed| {
        let (rank, fares) = fares(worker_of(description, placed))?;
        let (worker, supervisor) = (placed.worker, &placed.supervisor);
        Some((rank, format!("worker {worker} on {supervisor}: {fares}")))
    });
    let mut missing: Vec<(u8, String)> = unplaced.chain(placed).collect();
    missing.sort_by_key(|(rank, _)| *rank);
    let n_left_out = missing.len().saturating_sub(MAX_NAMED);
    let named = missing.into_iter().take(MAX_NAMED).map(|(_, line)| line);
    let left_out =
        (n_left_out > 0).then(|| format!("and {}", counted(n_left_out as u64, "more worker")));
    named.chain(left_out).collect()
}

/// Finds what the supervisor of a placed worker told of it.
fn worker_of<'d>(description: &'d Description, placed: &WorkerPlacement) -> Option<&'d SlotWorker> {
    let is_of = |worker: &SlotWorker, idx: WorkerIdx| {
        worker.worker == idx && worker.topology == description.topology.id
    };
    let mut slots = description.workers.iter();
    slots.find_map(|reported| {
        let worker = reported.slot.worker.as_ref()?;
        let here = reported.supervisor == placed.supervisor;
        (here && is_of(worker, placed.worker)).then_some(worker)
    })
}

/// Says what a worker does that isn't ready, and how bad that is: less is worse.
fn fares(worker: Option<&SlotWorker>) -> Option<(u8, String)> {
    let Some(worker) = worker else {
        return Some((3, "its supervisor hasn't begun with it".to_owned()));
    };
    let before = match &worker.last_exit {
        Some(exit) => format!(", it ended before: {exit}"),
        None => String::new(),
    };
    let times = counted(worker.n_restarts.into(), "restart");
    match &worker.state {
        SlotState::Running(running) if running.ready => None,
        SlotState::Failed {
            crash_looping: true,
        } => Some((1, format!("crash-looping after {times}{before}"))),
        SlotState::Failed { .. } => Some((2, format!("down after {times}{before}"))),
        SlotState::Running(_) => {
            Some((4, format!("running, its links don't all stand yet{before}")))
        }
        SlotState::Starting { .. } => Some((5, format!("starting{before}"))),
        SlotState::Stopping { .. } => Some((6, "stopping".to_owned())),
        SlotState::Fetching => Some((7, "fetching the program".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use squall_core::{Fence, TaskId};
    use squall_proto::{
        Assignment, Counters, Note, Plan, ReportedSlot, RunningWorker, Sha256, SlotStatus,
        Topology, TopologyState, TopologySummary, Unplaced,
    };

    use super::*;

    fn running(ready: bool) -> SlotState {
        SlotState::Running(RunningWorker {
            pid: NonZeroU32::MIN,
            ready,
            drained: false,
            assignment_version: 1,
            oldest_turn_ms: 0,
            counters: Counters::default(),
        })
    }

    fn failed(crash_looping: bool) -> SlotState {
        SlotState::Failed { crash_looping }
    }

    /// A topology whose workers stand like that; without a state a supervisor hasn't told of it yet.
    fn standing(phase: Phase, states: Vec<Option<SlotState>>, n_unplaced: u32) -> Standing {
        let id = TopologyId::new("clicks-1");
        let all = u32::try_from(states.len()).unwrap() + n_unplaced;
        let mut ready = 0;
        let (mut placed, mut workers) = (Vec::new(), Vec::new());
        for (idx, state) in (0..).zip(states) {
            let port = 7000 + u16::try_from(idx).unwrap();
            placed.push(WorkerPlacement {
                worker: WorkerIdx(idx),
                supervisor: "east".into(),
                address: format!("127.0.0.1:{port}").parse().unwrap(),
                tasks: vec![TaskId(idx)],
                placement_epoch: 1,
            });
            let Some(state) = state else { continue };
            ready += u32::from(matches!(&state, SlotState::Running(worker) if worker.ready));
            let is_down = matches!(state, SlotState::Failed { .. });
            let worker = SlotWorker {
                topology: id.clone(),
                worker: WorkerIdx(idx),
                fence: Fence {
                    placement_epoch: 1,
                    incarnation: 1,
                },
                state,
                n_restarts: if is_down { 4 } else { 0 },
                last_exit: is_down.then(|| Note::new("exit status 101: no such file")),
            };
            workers.push(ReportedSlot {
                supervisor: "east".into(),
                slot: SlotStatus {
                    port,
                    worker: Some(worker),
                },
                age_ms: 0,
            });
        }
        let unplaced = (all - n_unplaced..all).map(|idx| Unplaced {
            worker: WorkerIdx(idx),
            tasks: vec![TaskId(idx)],
            reason: Note::new("no slot is free"),
        });
        Standing::of(&Description {
            topology: Topology {
                id: id.clone(),
                spec_json: "{}".into(),
                spec_sha256: Sha256::new([0; 32]),
                binary_sha256: Sha256::new([0; 32]),
                n_workers: NonZeroU32::new(all).unwrap(),
                program: None,
                parallelism: Default::default(),
            },
            summary: TopologySummary {
                topology: id.clone(),
                state: TopologyState::Active,
                phase,
                n_tasks: all,
                n_workers: all,
                n_workers_ready: ready,
                n_workers_crash_looping: 0,
                n_tasks_unplaced: n_unplaced,
                submitted_unix_ms: 0,
            },
            plan: Plan {
                assignment: Assignment {
                    topology: id,
                    version: 1,
                    workers: placed,
                },
                reasons: Vec::new(),
                unplaced: unplaced.collect(),
            },
            workers,
            counters: Counters::default(),
        })
    }

    #[test]
    fn runs_when_all_workers_are_ready_and_spouts_are_asked() {
        let ready = || vec![Some(running(true)), Some(running(true))];
        let active = standing(Phase::Active, ready(), 0);
        assert!(active.all_run && active.missing.is_empty());
        assert_eq!(active.text, "2 of 2 workers ready");
        assert!(standing(Phase::Inactive, ready(), 0).all_run);
        let starting = standing(Phase::Starting, ready(), 0);
        assert!(!starting.all_run);
        assert_eq!(starting.text, "all workers are ready, spouts start");
        assert!(!standing(Phase::Active, ready(), 1).all_run);
        assert!(!standing(Phase::Draining, ready(), 0).all_run);
    }

    #[test]
    fn names_what_is_missing_and_the_worst_first() {
        let states = vec![
            Some(running(true)),
            Some(SlotState::Fetching),
            None,
            Some(running(false)),
            Some(failed(false)),
            Some(failed(true)),
        ];
        let standing = standing(Phase::Starting, states, 1);
        assert_eq!(standing.text, "1 of 7 workers ready");
        assert_eq!(
            standing.missing,
            [
                "worker 6 has no place: no slot is free",
                "worker 5 on east: crash-looping after 4 restarts, it ended before: exit status 101: no such file",
                "worker 4 on east: down after 4 restarts, it ended before: exit status 101: no such file",
                "worker 2 on east: its supervisor hasn't begun with it",
                "worker 3 on east: running, its links don't all stand yet",
                "worker 1 on east: fetching the program",
            ]
        );
    }

    #[test]
    fn names_a_few_of_many() {
        let standing = standing(Phase::Starting, vec![None; 1000], 0);
        assert_eq!(standing.missing.len(), MAX_NAMED + 1);
        assert_eq!(standing.missing.last().unwrap(), "and 992 more workers");
    }
}
