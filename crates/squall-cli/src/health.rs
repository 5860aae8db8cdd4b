//! `health`: asks a daemon's `/healthz`, for health checks of containers that have no `curl`.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use squall::{Program, Result, console};

/// How long each step may take: to connect, to be answered.
const STEP_WITHIN: Duration = Duration::from_secs(3);
/// More than any answer has, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// Ask a daemon how it is: exit status 0 if it is well
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct HealthArgs {
    /// Where it says so
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:6628/healthz")]
    url: String,
}

/// Asks once.
pub(crate) fn health(args: &HealthArgs, _: &Program) -> Result<ExitCode> {
    let (host, path) = parts(&args.url)?;
    let answer = get(host, path).map_err(|error| format!("{}: {error}", args.url))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Ok(ExitCode::SUCCESS);
    }
    let status = head.lines().next().unwrap_or_default();
    console::say(format_args!("{status}\n{}", body.trim_end()));
    Ok(ExitCode::FAILURE)
}

/// Returns a URL's host with its port, and its path.
fn parts(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://");
    let rest = rest.ok_or_else(|| format!("`{url}` isn't http://HOST:PORT/healthz"))?;
    let slash = rest.find('/').unwrap_or(rest.len());
    Ok(match rest.split_at(slash) {
        (host, "") => (host, "/healthz"),
        parts => parts,
    })
}

fn get(host: &str, path: &str) -> std::io::Result<String> {
    let mut last = std::io::Error::other("no such host");
    for address in host.to_socket_addrs()? {
        let mut connection = match TcpStream::connect_timeout(&address, STEP_WITHIN) {
            Ok(connection) => connection,
            Err(error) => {
                last = error;
                continue;
            }
        };
        connection.set_read_timeout(Some(STEP_WITHIN))?;
        connection.set_write_timeout(Some(STEP_WITHIN))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection
            .take(MAX_ANSWER_BYTES)
            .read_to_string(&mut answer)?;
        return Ok(answer);
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_url_may_lack_its_path() {
        assert_eq!(parts("http://a:1").unwrap(), ("a:1", "/healthz"));
        assert_eq!(parts("http://a:1/x/y").unwrap(), ("a:1", "/x/y"));
        assert!(parts("https://a:1/").is_err());
    }

    #[test]
    fn asks_as_http_wants_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let n_read = connection.read(&mut request).unwrap();
            connection
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nstore: ok\n")
                .unwrap();
            String::from_utf8_lossy(&request[..n_read]).into_owned()
        });
        let answer = get(&host, "/healthz").unwrap();
        assert!(answer.ends_with("store: ok\n"), "{answer}");
        let request = server.join().unwrap();
        assert!(
            request.starts_with("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:"),
            "{request}"
        );
    }
}
