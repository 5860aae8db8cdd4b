//! How a process ended, in words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Describes an exit; `None` when it was another process's child and nobody could tell.
pub(super) fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "ended under an earlier supervisor process: its exit status is unknown".to_owned();
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}{}", name(signal)),
        (None, None) => format!("ended: {status}"),
    }
}

fn name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL: by somebody, or for want of memory)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        31 => " (SIGSYS)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        let killed = ExitStatus::from_raw(9);
        assert!(describe(Some(killed)).starts_with("killed by signal 9 (SIGKILL"));
        let failed = ExitStatus::from_raw(3 << 8);
        assert_eq!(describe(Some(failed)), "ended with exit status 3");
    }
}
