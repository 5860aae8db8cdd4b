//! Lists of tasks: written out here, as ranges on the wire.

use squall_core::TaskId;

use crate::bounds::MAX_TASKS;
use crate::check;
use crate::field::{At, FieldError};
use crate::wire;

/// Takes tasks in the order of their ids, none twice. Ranges that promise more than there may be are refused
/// before they are written out.
pub(crate) fn tasks(field: &str, ranges: &[wire::TaskRange]) -> Result<Vec<TaskId>, FieldError> {
    let mut tasks = Vec::new();
    let mut next = 0;
    for (idx, range) in ranges.iter().enumerate() {
        let end = check_range(range, next).at_idx(field, idx)?;
        tasks.extend((range.first..end).map(TaskId));
        next = end;
    }
    Ok(tasks)
}

/// Checks a range that begins at `next` or behind it, and returns where it ends.
fn check_range(range: &wire::TaskRange, next: u32) -> Result<u32, FieldError> {
    check::number("first", range.first, next..=MAX_TASKS - 1)?;
    check::number("n_tasks", range.n_tasks, 1..=MAX_TASKS - range.first)?;
    Ok(range.first + range.n_tasks)
}

/// Writes tasks as ranges; their order doesn't matter.
pub(crate) fn ranges(mut tasks: Vec<TaskId>) -> Vec<wire::TaskRange> {
    tasks.sort_unstable();
    tasks.dedup();
    let mut ranges: Vec<wire::TaskRange> = Vec::new();
    for task in tasks {
        match ranges.last_mut() {
            Some(range) if task.0 - range.first == range.n_tasks => range.n_tasks += 1,
            _ => ranges.push(wire::TaskRange {
                first: task.0,
                n_tasks: 1,
            }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_ranges_and_come_back() {
        let ids = |ids: &[u32]| ids.iter().copied().map(TaskId).collect::<Vec<_>>();
        let wire = ranges(ids(&[7, 1, 2, 3, 2, 9]));
        let pairs: Vec<_> = wire.iter().map(|r| (r.first, r.n_tasks)).collect();
        assert_eq!(pairs, [(1, 3), (7, 1), (9, 1)]);
        assert_eq!(tasks("tasks", &wire), Ok(ids(&[1, 2, 3, 7, 9])));
    }

    #[test]
    fn ranges_that_overlap_or_promise_too_much_are_refused() {
        let range = |(first, n_tasks)| wire::TaskRange { first, n_tasks };
        let wrong = [
            (vec![(0, 0)], "tasks[0].n_tasks"),
            (vec![(0, u32::MAX)], "tasks[0].n_tasks"),
            (vec![(u32::MAX, 1)], "tasks[0].first"),
            (vec![(0, 3), (2, 1)], "tasks[1].first"),
            (vec![(0, MAX_TASKS), (0, MAX_TASKS)], "tasks[1].first"),
        ];
        for (pairs, path) in wrong {
            let wire: Vec<_> = pairs.into_iter().map(range).collect();
            assert_eq!(tasks("tasks", &wire).unwrap_err().path, path);
        }
    }
}
