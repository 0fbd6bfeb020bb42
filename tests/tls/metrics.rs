//! The metrics over TLS: who gets them, who does not, and whom a stranger keeps from them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use super::authority::{Authority, Identity};
use super::client::{TlsClient, VERSIONS, config, free_port};
use crate::support::Server;

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server whose metrics are the only thing that TLS is spoken for.
struct Measured {
    server: Server,
    port: u16,
    authority: Authority,
}

fn measured(options: &[&str]) -> Measured {
    let authority = Authority::new("Test Authority");
    let identity = authority.issue("server");
    let (port, authority_file) = (free_port(), authority.certificate());
    let text = port.to_string();
    let mut all = vec!["--metrics-port", &text, "--metrics-tls", "yes"];
    all.extend(["--tls-cert-file", identity.certificate()]);
    all.extend(["--tls-key-file", identity.key()]);
    all.extend(["--tls-ca-cert-file", &authority_file]);
    all.extend(["--tls-auth-clients", "no"]);
    all.extend(options);
    Measured {
        server: Server::millrace_with(2, &all),
        port,
        authority,
    }
}

impl Measured {
    /// Connects, and says nothing.
    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let patience = Some(Duration::from_secs(60));
        socket.set_read_timeout(patience).unwrap();
        socket
    }

    /// What is answered to a request for metrics.
    fn scrape_with(&self, shown: Option<&Identity>) -> Option<String> {
        let config = config(&self.authority, shown, &VERSIONS);
        let mut client = TlsClient::connect(self.port, &config).ok()?;
        let sent = client.stream.write_all(REQUEST);
        sent.and_then(|()| client.stream.flush()).ok()?;
        let mut answer = Vec::new();
        // The end is told, and not only a socket closed.
        client.stream.read_to_end(&mut answer).ok()?;
        Some(String::from_utf8(answer).unwrap())
    }

    fn expect_metrics(&self, shown: Option<&Identity>) {
        let answer = self.scrape_with(shown).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\nmillrace_shards 2\n"), "{answer}");
    }

    /// The certificate that whoever scrapes is shown.
    fn certificate(&self) -> Vec<u8> {
        let config = config(&self.authority, None, &VERSIONS);
        let client = TlsClient::connect(self.port, &config).unwrap();
        client.server_certificate()
    }
}

/// All that comes until the server closes.
fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = socket.read_to_end(&mut answer);
    answer
}

#[test]
fn curl_gets_them_from_the_server_it_knows() {
    let measured = measured(&[]);
    let curl = |options: &[&str], scheme: &str| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "60"]);
        command.args(options);
        command.arg(format!("{scheme}://localhost:{}/metrics", measured.port));
        let output = command.output().expect("curl is missing");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().unwrap(), printed)
    };
    let file = measured.authority.certificate();
    for version in ["--tlsv1.3", "--tls-max=1.2"] {
        let version: Vec<&str> = version.split('=').collect();
        let (code, printed) = curl(&[&["--cacert", &file], &version[..]].concat(), "https");
        assert_eq!(code, 0, "{version:?}");
        assert!(printed.contains("\nmillrace_shards 2\n"), "{printed}");
    }
    // 60: whoever that server is, curl does not know it.
    assert_eq!(curl(&[], "https"), (60, String::new()));
    let (code, printed) = curl(&[], "http");
    assert!(code != 0 && !printed.contains("millrace"), "{printed}");
    let log = measured.server.log();
    assert!(log.contains("Metrics are at https port"), "{log}");
}

#[test]
fn what_is_no_handshake_is_answered_by_an_alert_at_most() {
    let mut measured = measured(&[]);
    for bytes in [REQUEST.to_vec(), b"PING\r\n".to_vec(), vec![0x16; 100_000]] {
        let mut socket = measured.connect();
        // It may have closed before all is sent.
        let _ = socket.write_all(&bytes);
        let answer = rest(socket);
        assert!(answer.len() < 100, "{answer:?}");
        assert!(!answer.starts_with(b"HTTP"), "nothing is said in the clear");
    }
    measured.expect_metrics(None);
    measured.server.expect_alive();
}

#[test]
fn a_handshake_that_does_not_come_is_closed_in_time() {
    let measured = measured(&[]);
    let mut half = measured.connect();
    half.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    let start = Instant::now();
    let silent = measured.connect();
    measured.expect_metrics(None);
    rest(silent);
    let limit = Duration::from_millis(millrace::limits::METRICS_REQUEST_MS);
    assert!(start.elapsed() >= limit, "it has had its time");
    rest(half);
    // After the handshake there is the same time for the request.
    let config = config(&measured.authority, None, &VERSIONS);
    let mut shaken = TlsClient::connect(measured.port, &config).unwrap();
    let mut answer = Vec::new();
    let _ = shaken.stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn the_oldest_of_too_many_handshakes_make_room_for_a_scrape() {
    let measured = measured(&[]);
    let limit = Duration::from_millis(millrace::limits::METRICS_REQUEST_MS);
    for _ in 0..20 {
        let start = Instant::now();
        let silent: Vec<TcpStream> = (0..500).map(|_| measured.connect()).collect();
        measured.expect_metrics(None);
        let closed: Vec<bool> = silent.iter().map(is_closed).collect();
        // Later some may have gone by themselves: that shows nothing.
        if start.elapsed() < limit {
            assert!(closed[..100].iter().all(|closed| *closed), "{closed:?}");
            assert!(!closed[400..].contains(&true), "{closed:?}");
            return;
        }
    }
    panic!("a scrape beside silent handshakes waits for their time to run out");
}

/// Whether the other end has closed a socket on which it has nothing to say.
fn is_closed(mut socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let read = socket.read(&mut [0; 64]);
    !matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn whoever_scrapes_shows_a_certificate_as_clients_do() {
    let elsewhere = Authority::new("Somebody Else");
    let stranger = elsewhere.issue("scraper");
    for (setting, bare, wrong) in [
        ("yes", false, false),
        ("optional", true, false),
        ("no", true, true),
    ] {
        let measured = measured(&["--tls-auth-clients", setting]);
        let scraper = measured.authority.issue("scraper");
        measured.expect_metrics(Some(&scraper));
        let scraped = measured.scrape_with(None);
        assert_eq!(scraped.is_some(), bare, "{setting}: {scraped:?}");
        let scraped = measured.scrape_with(Some(&stranger));
        assert_eq!(scraped.is_some(), wrong, "{setting}: {scraped:?}");
    }
}

#[test]
fn a_renewed_certificate_is_shown_from_then_on() {
    let measured = measured(&[]);
    let mut control = measured.server.connect();
    let first = measured.certificate();
    let renewed = measured.authority.issue("server");
    assert!(measured.certificate() == first, "nobody has said anything");
    let file = renewed.certificate();
    let set = control.call(&["CONFIG", "SET", "tls-cert-file", file]);
    assert_eq!(set.to_string(), "+OK");
    let second = measured.certificate();
    assert!(second != first);
    measured.expect_metrics(None);
    // One that cannot be used changes nothing, and to have none is no choice.
    for path in ["/nowhere/server.crt", ""] {
        let set = control.call(&["CONFIG", "SET", "tls-cert-file", path]);
        assert!(set.is_error(), "{set:?}");
    }
    assert!(measured.certificate() == second);
    // A port for clients that comes and goes leaves this one as it is.
    for port in [&*free_port().to_string(), "0"] {
        let set = control.call(&["CONFIG", "SET", "tls-port", port]);
        assert_eq!(set.to_string(), "+OK");
        assert!(measured.certificate() == second);
    }
    let set = control.call(&["CONFIG", "SET", "tls-auth-clients", "yes"]);
    assert_eq!(set.to_string(), "+OK");
    assert_eq!(measured.scrape_with(None), None);
    assert!(control.run("CONFIG SET metrics-tls no").is_error());
}

#[test]
fn a_start_without_certificates_says_what_is_missing() {
    let authority = Authority::new("Test Authority");
    let one = authority.issue("one");
    let only_tls = ["--metrics-port", "1", "--metrics-tls", "yes"];
    let with_clients = [&only_tls[..], &["--tls-port", "1"]].concat();
    let with_certificate = [&only_tls[..], &["--tls-cert-file", one.certificate()]].concat();
    let with_key = [&with_certificate[..], &["--tls-key-file", one.key()]].concat();
    for (options, expected) in [
        (
            &only_tls[..],
            "cannot serve TLS: tls-cert-file: No tls-cert-file configured: name the server's certificate, or set metrics-tls no",
        ),
        (&with_clients, "or set tls-port 0 and metrics-tls no"),
        (
            &with_certificate,
            "No tls-key-file configured: name the key of the server's certificate, or set metrics-tls no",
        ),
        (
            &with_key,
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(["--port", "0", "--save", ""])
            .args(options)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{options:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    // Where there are no metrics nobody asks.
    Server::millrace_with(1, &["--metrics-tls", "yes"]).expect_alive();
}
