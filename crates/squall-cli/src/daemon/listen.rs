//! Where a daemon listens, as the command line says it.

use std::net::{IpAddr, SocketAddr};

/// Reads `IP:PORT`, or an `IP` alone for the port that is the default.
pub(super) fn at(text: &str, default_port: u16) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let ip = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match ip.unwrap_or(text).parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, default_port)),
        Err(_) => {
            Err("an IP address of this machine and perhaps a port, as in 127.0.0.1:6627".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port() {
        let cases = [
            ("127.0.0.1:7000", "127.0.0.1:7000"),
            ("0.0.0.0", "0.0.0.0:6627"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("::1", "[::1]:6627"),
            ("[::1]", "[::1]:6627"),
            ("[::1]:7", "[::1]:7"),
        ];
        for (text, expected) in cases {
            assert_eq!(at(text, 6627).unwrap().to_string(), expected);
        }
        for wrong in [
            "",
            "localhost",
            "127.0.0.1:",
            "127.0.0.1:70000",
            ":6627",
            "6627",
        ] {
            assert!(at(wrong, 6627).is_err(), "{wrong}");
        }
    }
}
