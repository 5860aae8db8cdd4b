//! What this machine has, and its name.

use std::fs;
use std::num::NonZeroU32;
use std::thread::available_parallelism;

use squall_proto::Resources;

/// Returns what this process may use of the machine.
pub(crate) fn resources() -> Resources {
    let n_cores = available_parallelism().map_or(1, std::num::NonZero::get);
    let n_cores = u32::try_from(n_cores).unwrap_or(u32::MAX);
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| mem_total(&text));
    // In a container the limit is here; outside there is none, or `max`.
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    Resources {
        n_cores: NonZeroU32::new(n_cores).unwrap_or(NonZeroU32::MIN),
        memory_bytes: machine.into_iter().chain(limit).min().unwrap_or(0),
    }
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Returns the machine's name, as far as it can be part of an id or an address.
pub(crate) fn name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let name: String = name.chars().filter(allowed).take(64).collect();
    if name.is_empty() {
        "supervisor".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something_to_say() {
        assert!(resources().memory_bytes > 1 << 20);
        assert!(!name().is_empty());
    }

    #[test]
    fn memory_is_read_in_kib() {
        let text = "MemTotal:       1024 kB\nMemFree: 1 kB\n";
        assert_eq!(mem_total(text), Some(1 << 20));
        assert_eq!(mem_total("MemFree: 1 kB\n"), None);
    }
}
