//! Where a process listens: `host:port`.

use std::fmt;
use std::str::FromStr;

use crate::bounds::MAX_HOST_BYTES;
use crate::field::FieldError;

/// A host and a port: `worker-3.example:6700`, `10.0.0.7:6700`, `[::1]:6700`. Not resolved, not reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Puts a host and a port together. IPv6 hosts come with their brackets or without.
    ///
    /// # Errors
    /// The host is none, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, FieldError> {
        let bracketed = host.contains(':') && !host.starts_with('[');
        if bracketed {
            format!("[{host}]:{port}").parse()
        } else {
            format!("{host}:{port}").parse()
        }
    }

    /// Returns the host; an IPv6 address stands in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, never 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns another port of the same host.
    ///
    /// # Errors
    /// The port is 0.
    pub fn with_port(&self, port: u16) -> Result<Self, FieldError> {
        Self::new(&self.host, port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let wrong = || FieldError::of_text("", "`host:port`", text);
        let (host, digits) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = digits.parse().ok().filter(|port| *port > 0);
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
        match port {
            Some(port) if plain && is_host(host) => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// Tells whether a text could be a host, so that no address becomes a path, an option or a URL of its own.
fn is_host(host: &str) -> bool {
    if host.is_empty() || host.len() > MAX_HOST_BYTES {
        return false;
    }
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(ipv6) => ipv6.contains(':') && ipv6.bytes().all(is_ipv6),
        None => !host.starts_with('-') && host.bytes().all(is_name),
    }
}

const fn is_ipv6(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_both_ways() {
        for text in ["localhost:1", "10.0.0.7:6700", "[::1]:65535", "a_b-c.d:80"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let address = Address::new("::1", 80).unwrap();
        assert_eq!(address.host(), "[::1]");
        assert_eq!(address.with_port(81).unwrap().to_string(), "[::1]:81");
    }

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        let bad = [
            "",
            "a",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:01",
            "::1:80",
            "a b:80",
            "a/b:80",
            "-a:80",
            "[]:80",
            "[a]:80",
            "http://a:80",
            "a\n:80",
            "é:80",
        ];
        for text in bad {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error.expected, "`host:port`", "{text}");
        }
        assert!(format!("{}:1", "x".repeat(256)).parse::<Address>().is_err());
    }
}
