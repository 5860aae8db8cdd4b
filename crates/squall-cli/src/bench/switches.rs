//! How often threads gave way to others: what waking and waiting cost, beside CPU time.

use std::fs;
use std::path::Path;

/// What the system's count of each thread's switches begin with, the voluntary ones and the others.
const COUNTS: [&str; 2] = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];

/// Returns how often the threads of this process that live have given way to others. What the system doesn't tell
/// counts as none; reads a small file for each thread.
pub(super) fn context_switches() -> u64 {
    // The process's own file counts the first thread's alone.
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    threads
        .filter_map(|thread| Some(of_thread(&thread.ok()?.path())))
        .sum()
}

fn of_thread(folder: &Path) -> u64 {
    let status = fs::read_to_string(folder.join("status"));
    status.map_or(0, |status| counted(&status))
}

fn counted(status: &str) -> u64 {
    let counts = status.lines().filter_map(|line| {
        let count = COUNTS.iter().find_map(|name| line.strip_prefix(name))?;
        count.trim().parse::<u64>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use std::thread::park_timeout;
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_kinds_are_added_up() {
        let status =
            "Name:\tsquall\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!((counted(status), counted("Name:\tsquall\n")), (42, 0));
    }

    #[test]
    fn who_waits_gives_way() {
        let own = Path::new("/proc/thread-self");
        let before = of_thread(own);
        for _ in 0..10 {
            park_timeout(Duration::from_millis(1));
        }
        assert!(of_thread(own) >= before + 10, "{before}");
        assert!(context_switches() > 0);
    }
}
