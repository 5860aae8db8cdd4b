//! The operator's commands: each is a call or two to nimbus.

mod change;
mod confirm;
mod describe;
mod list;
mod logs;
mod rebalance;
mod supervisors;

use std::process::ExitCode;
use std::time::Duration;

use squall::{Program, Result};

pub(crate) use change::{activate, deactivate, kill};
pub(crate) use describe::describe;
pub(crate) use list::list;
pub(crate) use logs::logs;
pub(crate) use rebalance::rebalance;
pub(crate) use supervisors::{drain, supervisors};

// What these have in common with `submit`, which every program has.
use squall::cluster::{
    Format, NimbusArgs, explain, plan_json, show, show_plan, table, topology_name,
};

/// Runs a command against nimbus to its end.
pub(crate) fn block_on(
    program: &Program,
    command: impl Future<Output = Result<ExitCode>>,
) -> Result<ExitCode> {
    program.tokio().block_on(command)
}

/// Writes how long ago something was, as people say it.
pub(crate) fn ago(age: Duration) -> String {
    let secs = age.as_secs();
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let written = [0, 119, 120, 7_199, 7_200, 172_800].map(|s| ago(Duration::from_secs(s)));
        assert_eq!(written, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d"]);
    }
}
