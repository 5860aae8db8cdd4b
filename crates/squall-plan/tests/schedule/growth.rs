//! Placement takes hardly more than its share as clusters grow.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use squall_plan::schedule::{Liveness, place};

use crate::load::{cluster, demands, layouts};

/// The bound for 10,000 executors on 1,000 supervisors. Code that isn't optimized stays below it as well.
const MAX_FOR_10_000: Duration = Duration::from_secs(1);
/// How many times as long a cluster of ten times the size may take. What grows with the square takes 100 times,
/// what grows with the size and its logarithm 13 times; caches add to both.
const MAX_GROWTH: u32 = 45;

/// The time of this thread on a core: what else runs on the machine doesn't count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap(),
        time.tv_nsec.try_into().unwrap(),
    )
}

/// Places everything from nothing, then anew with a tenth of the machines lost; returns the least time of some
/// tries for each.
fn times(n_executors: u32) -> [Duration; 2] {
    let (layouts, supervisors) = (layouts(n_executors), cluster(n_executors));
    let mut lossy = supervisors.clone();
    for supervisor in lossy.iter_mut().step_by(10) {
        supervisor.liveness = Liveness::Lost;
    }
    let mut least = [Duration::MAX; 2];
    for _ in 0..3 {
        let begin = cpu_time();
        let placed = place(&supervisors, &demands(&layouts, None));
        let middle = cpu_time();
        let moved = place(&lossy, &demands(&layouts, Some(&placed)));
        let end = cpu_time();
        let n_placed = |verdicts: &[Vec<_>]| {
            let all = verdicts.iter().flatten();
            all.filter(|verdict: &&squall_plan::schedule::Verdict| verdict.reason.is_placed())
                .count()
        };
        let n_workers = usize::try_from(n_executors / 2).unwrap();
        assert_eq!(n_placed(&placed), n_workers);
        // There is room for all: 5.4 slots for 5 workers.
        assert_eq!(n_placed(&moved), n_workers);
        least = [least[0].min(middle - begin), least[1].min(end - middle)];
    }
    least
}

#[test]
fn ten_times_the_cluster_takes_not_much_more_than_ten_times_as_long() {
    let (small, large) = (times(1000), times(10_000));
    println!("1,000 executors on 100 supervisors: {small:?}; ten times that: {large:?}");
    for (small, large) in small.into_iter().zip(large) {
        assert!(large < MAX_FOR_10_000, "{large:?}");
        assert!(large < small * MAX_GROWTH, "{small:?}, then {large:?}");
    }
}
