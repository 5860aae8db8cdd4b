//! Deals a layout's tasks out to workers.
//!
//! What is dealt are executors: task `i` of each component of a fused chain, which stay together. The
//! executors of a chain are dealt out in runs of neighbours, all of the same length but for one executor more
//! for the workers that have the fewest, so that workers differ by at most one executor in all, and by at most
//! one task of any component.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use squall_core::TaskId;

use crate::layout::{ComponentLayout, Layout};

/// Assigns every task to exactly one worker; returns the tasks of each, in ascending order.
///
/// There are `n_workers` of them, but at least one and at most one for each executor.
#[must_use]
pub fn assign_workers(layout: &Layout, n_workers: u32) -> Vec<Vec<TaskId>> {
    let mut chains: BTreeMap<usize, Vec<&ComponentLayout>> = BTreeMap::new();
    for component in &layout.components {
        chains.entry(component.chain).or_default().push(component);
    }
    let n_executors: usize = chains.values().map(|chain| length(chain)).sum();
    let wanted = usize::try_from(n_workers).unwrap_or(usize::MAX);
    let mut hands = vec![Hand::default(); wanted.clamp(1, n_executors.max(1))];
    // The widest executors first: narrow ones even out what they leave.
    let mut chains: Vec<_> = chains.into_values().collect();
    chains.sort_by_key(|chain| std::cmp::Reverse(chain.len()));
    for chain in chains {
        deal(&chain, &mut hands);
    }
    let sorted = hands.into_iter().map(|mut hand| {
        hand.tasks.sort_unstable();
        hand.tasks
    });
    sorted.collect()
}

/// Deals a chain's executors out in runs of neighbours, one more of them to those who have the fewest.
fn deal(chain: &[&ComponentLayout], hands: &mut [Hand]) {
    let (n_each, n_over) = (length(chain) / hands.len(), length(chain) % hands.len());
    let mut order: Vec<usize> = (0..hands.len()).collect();
    order.sort_by_key(|idx| (hands[*idx].n_executors, hands[*idx].tasks.len(), *idx));
    let mut n_dealt = vec![n_each; hands.len()];
    for idx in order.into_iter().take(n_over) {
        n_dealt[idx] += 1;
    }
    let mut first = 0;
    for (hand, n) in hands.iter_mut().zip(n_dealt) {
        hand.n_executors += n;
        for component in chain {
            hand.tasks.extend(component.task_ids().skip(first).take(n));
        }
        first += n;
    }
}

/// Names tasks for people, by component: `parse[0-3], count[1,5]`, numbered within the component.
#[must_use]
pub fn name_tasks(layout: &Layout, tasks: &[TaskId]) -> String {
    let mut text = String::new();
    for component in &layout.components {
        let own = tasks
            .iter()
            .filter(|task| component.tasks.contains(&task.0));
        let mut numbers: Vec<u32> = own.map(|task| task.0 - component.tasks.start).collect();
        numbers.sort_unstable();
        if numbers.is_empty() {
            continue;
        }
        let separator = if text.is_empty() { "" } else { ", " };
        let runs = numbers.chunk_by(|a, b| a + 1 == *b).map(run);
        let runs: Vec<String> = runs.collect();
        // Writing to a String can't fail.
        let _infallible = write!(text, "{separator}{}[{}]", component.id, runs.join(","));
    }
    text
}

/// What one worker has been dealt.
#[derive(Clone, Default)]
struct Hand {
    tasks: Vec<TaskId>,
    n_executors: usize,
}

/// Returns how many executors a chain has: its components have equally many tasks.
fn length(chain: &[&ComponentLayout]) -> usize {
    chain
        .iter()
        .map(|component| component.n_tasks())
        .max()
        .unwrap_or(0)
}

fn run(numbers: &[u32]) -> String {
    match numbers {
        [first, .., last] => format!("{first}-{last}"),
        [only] => only.to_string(),
        [] => String::new(),
    }
}
