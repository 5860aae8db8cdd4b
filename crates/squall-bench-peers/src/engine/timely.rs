//! Timely dataflow: in one process with a worker for each core, or in several over loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Result;

use crate::engine::{Course, WARM_UP, drive};
use crate::sample::Sample;

pub(super) fn run(course: Course<'_>) -> Result<Sample> {
    let n_processes = course.job.processes();
    let n_workers = course.job.parallelism() / n_processes;
    let threads = ["-w".to_owned(), n_workers.to_string()];
    let folder = tempfile::tempdir()?;
    let mut orders = Vec::new();
    if n_processes == 1 {
        orders.push(course.order(WARM_UP, threads.to_vec()));
    } else {
        let hosts = folder.path().join("hosts");
        fs::write(&hosts, addresses(n_processes)?)?;
        for process_idx in 0..n_processes {
            let place = [
                "-n".to_owned(),
                n_processes.to_string(),
                "-p".to_owned(),
                process_idx.to_string(),
                "-h".to_owned(),
                hosts.display().to_string(),
            ];
            let rest = threads.iter().chain(&place).cloned().collect();
            orders.push(course.order(WARM_UP, rest));
        }
    }
    let figures = drive("peer-timely", &course.programs.timely, &orders, course.stop)?;
    Sample::of(&figures, course.job.driven().sunk_per_record())
}

/// Returns free addresses on loopback, a line each. Somebody else could take one before timely does, which then
/// fails and says so.
fn addresses(n: usize) -> Result<String> {
    // All are held until all are known: else one could come twice.
    let mut held = Vec::new();
    for _ in 0..n {
        held.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    }
    let mut lines = String::new();
    for listener in held {
        let address: SocketAddr = listener.local_addr()?;
        lines.push_str(&format!("{address}\n"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_an_address_of_its_own_on_loopback() {
        let text = addresses(2).unwrap();
        let lines: Vec<SocketAddr> = text.lines().map(|line| line.parse().unwrap()).collect();
        let [near, far] = lines.as_slice() else {
            panic!("{text}");
        };
        assert!(near.ip().is_loopback() && far.ip().is_loopback());
        assert!(near.port() != far.port() && near.port() > 0 && far.port() > 0);
    }
}
