//! Logins that fail: they can be seen, in INFO and in the log, and who has not logged in can send little.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use support::client::{encode, exchange, read_to_close};
use support::server::info_field;
use support::{Client, Server, shard_counts};

const PASSWORD: [&str; 2] = ["--requirepass", "secret"];
/// For who fails often: nothing is held back.
const AT_ONCE: [&str; 4] = ["--requirepass", "secret", "--auth-failure-delay", "0"];

fn encoded(line: &str, times: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&line.split(' ').collect::<Vec<_>>(), &mut bytes);
    bytes.repeat(times)
}

fn logged_in(server: &Server) -> Client {
    let mut client = server.connect();
    assert_eq!(client.run("AUTH secret").to_string(), "+OK");
    client
}

fn denied(control: &mut Client) -> [u64; 4] {
    let info = control.run("INFO stats").text();
    ["auth", "cmd", "key", "channel"].map(|what| {
        let field = info_field(&info, &format!("acl_access_denied_{what}"));
        field.expect("the field is there").parse().unwrap()
    })
}

#[test]
fn each_wrong_password_is_counted_however_it_was_given_and_nothing_else_is() {
    let expected = [
        ("AUTH wrong", 1),
        ("AUTH default wrong", 1),
        ("AUTH nobody secret", 1),
        ("HELLO 3 AUTH default wrong", 1),
        ("HELLO 2 AUTH nobody secret SETNAME x", 1),
        ("HELLO 3", 0),
        ("HELLO 4 AUTH default wrong", 0),
        ("AUTH", 0),
        ("AUTH a b c", 0),
        ("GET k", 0),
        ("MULTI", 0),
        ("AUTH secret", 0),
        ("AUTH wrong", 1),
        ("CONFIG RESETSTAT", 0),
        ("CONFIG SET requirepass other", 0),
        ("AUTH secret", 1),
        ("AUTH other", 0),
    ];
    for shards in shard_counts() {
        let server = Server::millrace_with(shards, &PASSWORD);
        let mut control = logged_in(&server);
        let mut client = server.connect();
        let mut count = 0;
        for (line, failed) in expected {
            client.run(line);
            count += failed;
            assert_eq!(denied(&mut control), [count, 0, 0, 0], "{line}");
        }
    }
}

/// The lines of the log about failed logins from an address, as the counts they tell.
fn told(server: &Server, address: &str) -> Vec<u64> {
    let start = format!("Failed logins from {address}: ");
    let log = server.log();
    let lines = log.lines().filter_map(|line| line.split_once(&start));
    lines
        .map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

fn fail_often<S: Read + Write>(mut stream: S) {
    for _ in 0..100 {
        stream.write_all(&encoded("AUTH wrong", 10)).unwrap();
        let mut answers = vec![
                0;
                10 * "-WRONGPASS invalid username-password pair or user is disabled.\r\n".len()
            ];
        stream.read_exact(&mut answers).unwrap();
        assert!(answers.starts_with(b"-WRONGPASS "));
    }
}

#[test]
fn the_log_has_a_line_a_minute_for_each_address_that_fails_to_log_in() {
    let options = [
        &AT_ONCE[..],
        &["--bind", "127.0.0.1 ::1", "--unixsocket", "socket"],
    ]
    .concat();
    let server = Server::millrace_with(2, &options);
    let start = Instant::now();
    fail_often(TcpStream::connect(server.address()).unwrap());
    let sixth = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], server.port()));
    fail_often(TcpStream::connect(sixth).unwrap());
    fail_often(UnixStream::connect(server.directory().join("socket")).unwrap());
    assert_eq!(denied(&mut logged_in(&server))[0], 3000);
    let path = std::fs::canonicalize(server.directory())
        .unwrap()
        .join("socket");
    for address in ["127.0.0.1", "::1", path.to_str().unwrap()] {
        let deadline = Instant::now() + Duration::from_secs(30);
        while told(&server, address).is_empty() {
            assert!(Instant::now() < deadline, "nothing is told of {address}");
            std::thread::sleep(Duration::from_millis(5));
        }
        // The first at once, another only when its minute is over.
        let lines = told(&server, address);
        let minutes = start.elapsed().as_secs() / 60;
        assert!(lines.len() as u64 <= 1 + minutes, "{address}: {lines:?}");
        assert!((1..=1000).contains(&lines.iter().sum::<u64>()), "{lines:?}");
    }
}

#[test]
fn before_a_password_is_given_a_pipeline_is_served_as_far_as_the_oracle_serves_it() {
    let oracle = Server::oracle_with(&PASSWORD);
    for shards in shard_counts() {
        let server = Server::millrace_with(shards, &AT_ONCE);
        for (line, times) in [("PING", 400), ("GET k", 300), ("AUTH wrong", 200)] {
            let request = encoded(line, times);
            let ours = exchange(server.address(), &request);
            assert_eq!(ours.iter().filter(|byte| **byte == b'\n').count(), times);
            let theirs = exchange(oracle.address(), &request);
            assert!(ours == theirs, "{line}: another answer than the oracle's");
        }
        for line in ["PING", "GET k", "AUTH wrong"] {
            const TIMES: usize = 20_000;
            let request = encoded(line, TIMES);
            for address in [server.address(), oracle.address()] {
                let answer = exchange(address, &request);
                let replies = answer.iter().filter(|byte| **byte == b'\n').count();
                assert!(replies < TIMES / 4, "{line}: {replies} are answered");
            }
        }
        let mut client = logged_in(&server);
        client.send_raw(&encoded("PING", 20_000));
        (0..20_000).for_each(|_| assert_eq!(client.raw_reply(), b"+PONG\r\n"));
    }
}

#[test]
fn before_a_password_is_given_whoever_reads_no_reply_is_closed() {
    for server in [
        Server::oracle_with(&PASSWORD),
        Server::millrace_with(1, &PASSWORD),
        Server::millrace_with(4, &PASSWORD),
    ] {
        let stream = TcpStream::connect(server.address()).unwrap();
        let some = encoded("GET k", 50);
        let mut sent = 0;
        // Blocks for ever where the server neither reads on nor closes.
        let patience = Some(Duration::from_secs(30));
        stream.set_write_timeout(patience).unwrap();
        stream.set_read_timeout(patience).unwrap();
        let error = loop {
            match (&stream).write(&some) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        let closed = [
            std::io::ErrorKind::BrokenPipe,
            std::io::ErrorKind::ConnectionReset,
        ];
        assert!(
            closed.contains(&error.kind()),
            "{}: {error} after {sent} bytes",
            server.name
        );
        read_to_close(stream);
    }
}

#[test]
fn a_connection_that_guesses_waits_longer_each_time_and_nobody_else_does() {
    for shards in shard_counts() {
        let server = Server::millrace_with(
            shards,
            &["--requirepass", "secret", "--auth-failure-delay", "320"],
        );
        let mut other = logged_in(&server);
        let mut guesser = server.connect();
        let start = Instant::now();
        guesser.send_raw(&encoded("AUTH wrong", 7));
        guesser.send_raw(&encoded("PING", 1));
        for _ in 0..7 {
            // Served meanwhile, however often.
            assert_eq!(other.run("PING").to_string(), "+PONG");
            assert!(guesser.reply().to_string().starts_with("-WRONGPASS"));
        }
        // 10 + 20 + 40 + 80 + 160 + 320 + 320
        assert!(start.elapsed() >= Duration::from_millis(940));
        assert!(guesser.reply().to_string().starts_with("-NOAUTH"));
        // A right one forgives, and who has sent all is answered all.
        assert_eq!(guesser.run("AUTH secret").to_string(), "+OK");
        let answer = exchange(server.address(), &encoded("AUTH wrong", 2));
        assert_eq!(answer.iter().filter(|byte| **byte == b'\n').count(), 2);
        // Whoever leaves meanwhile is forgotten.
        let mut leaves = server.connect();
        leaves.send_raw(&encoded("AUTH wrong", 20));
        drop(leaves);
        assert_eq!(other.run("PING").to_string(), "+PONG");
    }
}
