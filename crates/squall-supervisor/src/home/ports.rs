//! Ports for a supervisor that wasn't given any: picked once and kept, for workers are found by them.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, TcpListener};
use std::ops::Range;

use fastrand::Rng;

/// Ports are picked from here: below those that systems give to outgoing connections, which may take one
/// while its worker is being restarted.
const RANGE: Range<u16> = 20_000..32_000;
/// How many are tried for each that is needed.
const MAX_TRIES: usize = 200;

/// Picks so many free ports that follow no pattern. Blocks for milliseconds.
///
/// # Errors
/// There are too few, or the address isn't one of this machine's.
pub(crate) fn pick(ip: IpAddr, n_ports: usize, rng: &mut Rng) -> io::Result<Vec<u16>> {
    let mut held = Vec::new();
    for _ in 0..n_ports.saturating_mul(MAX_TRIES) {
        if held.len() == n_ports {
            break;
        }
        let port = rng.u16(RANGE);
        match TcpListener::bind((ip, port)) {
            Ok(listener) => held.push((port, listener)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    if held.len() < n_ports {
        let message = format!(
            "no {n_ports} free ports between {} and {}",
            RANGE.start, RANGE.end
        );
        return Err(io::Error::new(ErrorKind::AddrInUse, message));
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn ports_are_free_and_differ() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let taken = pick(ip, 1, &mut Rng::with_seed(1)).unwrap()[0];
        let _listener = TcpListener::bind((ip, taken)).unwrap();
        let ports = pick(ip, 20, &mut Rng::with_seed(1)).unwrap();
        let distinct: HashSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), 20);
        assert!(!distinct.contains(&taken));
        for port in ports {
            TcpListener::bind((ip, port)).unwrap();
        }
    }
}
