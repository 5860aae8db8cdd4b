//! What `/proc/PID/stat` says of a process.

use std::io::ErrorKind;
use std::{fs, io};

use crate::slots::Process;

/// A process that exists, if only as a zombie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Which process.
    pub(super) process: Process,
    /// It leads its process group, as workers do and what they start doesn't.
    pub(super) leads_group: bool,
    /// It has ended, and nobody has asked how.
    pub(super) zombie: bool,
}

/// Reads what there is of the process with this number; `None` if there is none. Blocks for microseconds:
/// the kernel has it in memory.
pub(super) fn stat(pid: u32) -> io::Result<Option<Stat>> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => parse(pid, &text).map(Some).ok_or_else(|| {
            io::Error::new(
                ErrorKind::InvalidData,
                format!("/proc/{pid}/stat is not as expected: {text}"),
            )
        }),
        // The process may end between opening and reading.
        Err(error) if error.kind() == ErrorKind::NotFound || is_no_process(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_no_process(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The command's name is in parentheses and may hold any of them itself, so fields count from the last.
fn parse(pid: u32, text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    // The state is field 3 of proc(5), the group field 5, the start time field 22.
    let group: u32 = fields.nth(1)?.parse().ok()?;
    let start_ticks = fields.nth(16)?.parse().ok()?;
    Some(Stat {
        process: Process { pid, start_ticks },
        leads_group: group == pid,
        zombie: matches!(state, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_and_spaces_are_read() {
        let text = "77 (a) b (c) S 1 77 77 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 3 0 123456 1 2 3\n";
        let expected = Stat {
            process: Process {
                pid: 77,
                start_ticks: 123_456,
            },
            leads_group: true,
            zombie: false,
        };
        assert_eq!(parse(77, text), Some(expected));
        let dead = text.replace(") S", ") Z");
        assert!(parse(77, &dead).is_some_and(|stat| stat.zombie));
        assert_eq!(parse(77, "77 (short) S 1 2"), None);
    }

    #[test]
    fn this_process_is_there_and_an_impossible_one_is_not() {
        let own = stat(std::process::id()).unwrap().expect("it runs");
        assert!(own.process.start_ticks > 0 && !own.zombie);
        assert_eq!(stat(u32::MAX).unwrap(), None);
    }
}
