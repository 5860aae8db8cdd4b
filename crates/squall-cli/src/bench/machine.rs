//! The machine and the build that figures were taken with: without them they mean nothing.

use std::fmt;
use std::fs;
use std::thread::available_parallelism;

use rustix::system::{sysinfo, uname};
use serde::{Deserialize, Serialize};

/// What a system call counts load averages in.
const LOAD_UNIT: f64 = 65_536.0;

/// A machine and a build. What isn't known is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Machine {
    /// What the processor calls itself.
    cpu: String,
    /// How many cores this process may use.
    n_cores: usize,
    memory_bytes: u64,
    /// The system's name and version.
    kernel: String,
    /// Of this program.
    squall: String,
    /// The compiler that built it.
    rustc: String,
    /// `debug` or `release`.
    build: String,
    allocator: String,
    /// How many threads ran or wanted to, in the last minute before the bench.
    load_average: f64,
}

impl Machine {
    /// Looks around.
    pub(super) fn here() -> Self {
        let (system, info) = (uname(), sysinfo());
        let name = [system.sysname(), system.release(), system.machine()];
        let name = name.map(|part| part.to_string_lossy().into_owned());
        let [load, ..] = info.loads;
        Self {
            cpu: cpu().unwrap_or_default(),
            n_cores: available_parallelism().map_or(1, usize::from),
            memory_bytes: info.totalram.saturating_mul(u64::from(info.mem_unit)),
            kernel: name.join(" "),
            squall: env!("CARGO_PKG_VERSION").to_owned(),
            rustc: env!("SQUALL_RUSTC").to_owned(),
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            }
            .to_owned(),
            allocator: crate::ALLOCATOR_NAME.to_owned(),
            load_average: (load as f64 / LOAD_UNIT * 100.0).round() / 100.0,
        }
    }

    /// Returns in what the machine and the build of an earlier bench were others than these; its load and the version
    /// of Squall don't count.
    pub(super) fn differences(&self, earlier: &Self) -> Vec<String> {
        let named = |machine: &Self| {
            let Self {
                cpu,
                n_cores,
                memory_bytes,
                kernel,
                rustc,
                build,
                allocator,
                ..
            } = machine.clone();
            [
                ("processor", cpu),
                ("cores", n_cores.to_string()),
                ("memory", memory_bytes.to_string()),
                ("kernel", kernel),
                ("compiler", rustc),
                ("build", build),
                ("allocator", allocator),
            ]
        };
        let pairs = named(self).into_iter().zip(named(earlier));
        pairs
            .filter(|((_, now), (_, then))| now != then)
            .map(|((what, now), (_, then))| format!("{what} {then}, now {now}"))
            .collect()
    }
}

/// Reads what the first processor calls itself.
fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        write!(
            f,
            "{} ({} cores, {gib:.1} GiB), {}; squall {} ({}, {}, {}); load {:.2}",
            self.cpu,
            self.n_cores,
            self.kernel,
            self.squall,
            self.build,
            self.rustc,
            self.allocator,
            self.load_average
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_knows_itself_and_tells_itself_from_others() {
        let here = Machine::here();
        assert!(here.n_cores > 0 && here.memory_bytes > 1 << 20, "{here:?}");
        assert!(here.rustc.starts_with("rustc 1."), "{here:?}");
        let later = Machine {
            load_average: 7.0,
            squall: "9.9.9".into(),
            ..here.clone()
        };
        assert_eq!(here.differences(&later), Vec::<String>::new());
        let other = Machine {
            n_cores: 96,
            ..here.clone()
        };
        let cores = here.n_cores;
        assert_eq!(here.differences(&other), [format!("cores 96, now {cores}")]);
        let text = serde_json::to_string(&here).unwrap();
        assert_eq!(serde_json::from_str::<Machine>(&text).unwrap(), here);
    }
}
