//! Who speaks something else, too little, or too often.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::client::{TlsServer, VERSIONS, config, is_served};
use crate::support::Client;

fn connect(server: &TlsServer) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    socket
}

/// All that comes until the server closes.
fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = socket.read_to_end(&mut answer);
    answer
}

/// The log as soon as it has these words.
fn log_with(server: &TlsServer, words: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let log = server.server.log();
        if log.contains(words) {
            return log;
        }
        assert!(Instant::now() < deadline, "{log}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until only one client is connected, who asks.
fn until_alone(control: &mut Client) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let info = control.run("INFO clients").text();
        if info.contains("connected_clients:1\r\n") {
            return;
        }
        assert!(Instant::now() < deadline, "{info}");
    }
}

/// The beginning of a handshake with a version (0x0302: TLS 1.1) and one cipher of old.
fn hello(version: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    // No session; one cipher; no compression; no extension.
    body.extend([0, 0, 2, 0xc0, 0x13, 1, 0, 0, 0]);
    let mut message = vec![1, 0, 0, body.len() as u8];
    message.extend(body);
    let mut record = vec![0x16, 3, 1, 0, message.len() as u8];
    record.extend(message);
    record
}

#[test]
fn old_versions_and_plain_requests_are_told_off_and_logged_once() {
    let server = TlsServer::start(1, &[]);
    let mut old = connect(&server);
    old.write_all(&hello(0x0302)).unwrap();
    let alert = rest(old);
    // A fatal alert.
    assert_eq!(alert.get(..1), Some(&[0x15][..]), "{alert:?}");
    assert_eq!(alert.get(5), Some(&2), "{alert:?}");
    for _ in 0..5 {
        let mut plain = connect(&server);
        plain.write_all(b"PING\r\n").unwrap();
        let answer = rest(plain);
        assert!(!answer.starts_with(b"+"), "{answer:?}");
    }
    let log = log_with(&server, "Error accepting a client connection");
    let lines = log
        .lines()
        .filter(|line| line.contains("Error accepting a client connection"));
    assert_eq!(lines.count(), 1, "{log}");
    assert!(log.contains("(addr=127.0.0.1:"), "{log}");
    assert!(is_served(
        server.port,
        &config(&server.authority, None, &VERSIONS)
    ));
}

#[test]
fn records_that_make_no_sense_end_their_connection_and_nothing_else() {
    let mut server = TlsServer::start(2, &[]);
    let mut cases: Vec<Vec<u8>> = vec![
        // A message that is said to be of 16 MB.
        vec![0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff],
        // A byte of a message, then an alert in the middle of it.
        vec![0x16, 3, 1, 0, 1, 1, 0x15, 3, 1, 0, 2, 1, 0],
        // Records without anything in them.
        [0x16, 3, 1, 0, 0].repeat(100),
        // What only follows later.
        vec![0x17, 3, 3, 0, 1, 0],
        vec![0x14, 3, 3, 0, 1, 1],
    ];
    // A good beginning, and anything behind it: always the same bytes.
    let mut seed = 1u32;
    let mut byte = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    for _ in 0..200 {
        let kind = [0x14, 0x15, 0x16, 0x17][usize::from(byte() % 4)];
        let body: Vec<u8> = (0..byte() % 40).map(|_| byte()).collect();
        let mut bytes = if byte() % 2 == 0 {
            hello(0x0303)
        } else {
            Vec::new()
        };
        bytes.extend([kind, 3, 3, 0, body.len() as u8]);
        bytes.extend(body);
        cases.push(bytes);
    }
    for case in cases {
        let mut socket = connect(&server);
        // It may be closed before all is written.
        let _ = socket.write_all(&case);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        rest(socket);
        server.server.expect_alive();
    }
    assert!(is_served(
        server.port,
        &config(&server.authority, None, &VERSIONS)
    ));
}

#[test]
fn bad_records_behind_good_ones_lose_no_command_that_came_whole() {
    for shards in [1, 4] {
        let mut server = TlsServer::start(shards, &[]);
        for tail in [
            // A record that no key fits.
            &[0x17, 3, 3, 0, 40][..],
            &[0x16, 3, 3, 0, 4],
            &[0x15, 3, 3, 0, 2],
        ] {
            let mut client = server.connect();
            client.run("DEL queue");
            // Both in one piece.
            let (connection, socket) = (&mut client.stream.conn, &mut client.stream.sock);
            let command = b"*3\r\n$5\r\nLPUSH\r\n$5\r\nqueue\r\n$3\r\njob\r\n";
            connection.writer().write_all(command).unwrap();
            let mut bytes = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut bytes).unwrap();
            }
            bytes.extend_from_slice(tail);
            bytes.extend(vec![7; usize::from(tail[4])]);
            socket.write_all(&bytes).unwrap();
            let _ = socket.read_to_end(&mut Vec::new());
            server.server.expect_alive();
            assert_eq!(server.connect().run("LLEN queue").to_string(), ":1");
        }
    }
}

#[test]
fn what_is_said_of_plain_requests_can_be_understood() {
    let server = TlsServer::start(1, &[]);
    let mut plain = connect(&server);
    plain.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    rest(plain);
    log_with(&server, "connection: it does not speak TLS (addr=");
}

#[test]
fn who_says_nothing_or_too_little_is_dropped_after_ten_seconds() {
    let server = TlsServer::start(1, &[]);
    let begun = Instant::now();
    let silent = connect(&server);
    let mut half = connect(&server);
    half.write_all(&hello(0x0303)[..20]).unwrap();
    assert_eq!(rest(silent), b"");
    assert_eq!(rest(half), b"");
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(9), "{took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn handshakes_that_are_broken_off_leave_nothing() {
    let server = TlsServer::start(1, &["--maxclients", "30"]);
    let config = config(&server.authority, None, &VERSIONS);
    for n in 0..300 {
        let mut socket = connect(&server);
        let hello = hello(0x0303);
        socket.write_all(&hello[..n % hello.len()]).unwrap();
    }
    assert!(is_served(server.port, &config));
    until_alone(&mut server.server.connect());
}

#[test]
fn silent_handshakes_make_room_for_who_means_it() {
    let server = TlsServer::start(1, &["--maxclients", "20"]);
    let config = config(&server.authority, None, &VERSIONS);
    let mut kept: Vec<_> = (0..10).map(|_| server.connect()).collect();
    let silent: Vec<_> = (0..100).map(|_| connect(&server)).collect();
    for _ in 0..5 {
        assert!(is_served(server.port, &config));
        assert_eq!(server.server.connect().run("PING").to_string(), "+PONG");
    }
    for client in &mut kept {
        assert_eq!(client.run("PING").to_string(), "+PONG");
    }
    drop(silent);
}

#[test]
fn a_flood_of_handshakes_holds_no_more_descriptors_than_it_counts() {
    const MOST: usize = 40;
    let server = TlsServer::start(1, &["--maxclients", &MOST.to_string()]);
    let config = config(&server.authority, None, &VERSIONS);
    let folder = format!("/proc/{}/fd", server.server.process_id());
    let count = || std::fs::read_dir(&folder).unwrap().count();
    assert!(is_served(server.port, &config));
    until_alone(&mut server.server.connect());
    let before = count();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (server, config, is_over) = (&server, &config, &is_over);
            scope.spawn(move || {
                let mut kept = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    if number < 2 {
                        // Those keep the thread busy.
                        is_served(server.port, config);
                    } else {
                        kept.push(connect(server));
                        kept.truncate(500);
                    }
                }
            });
        }
        let begun = Instant::now();
        let mut most = 0;
        while begun.elapsed() < Duration::from_secs(2) {
            most = most.max(count());
        }
        is_over.store(true, Ordering::Relaxed);
        // One more is accepted before it is known to be too many, and the two that leave are closed a moment after they are counted.
        assert!(
            most <= before + MOST + 4,
            "{before} before, {most} in the flood"
        );
    });
}

#[test]
fn clients_over_tls_count_for_maxclients() {
    let server = TlsServer::start(1, &["--maxclients", "6"]);
    let config = config(&server.authority, None, &VERSIONS);
    let mut control = server.server.connect();
    // Whoever has waited for its start has left.
    until_alone(&mut control);
    let mut kept: Vec<_> = (0..5).map(|_| server.connect()).collect();
    assert!(!is_served(server.port, &config));
    let plain = server.server.connect().reply().to_string();
    assert_eq!(plain, "-ERR max number of clients reached");
    assert_eq!(kept[0].run("PING").to_string(), "+PONG");
    let info = kept[0].run("INFO stats").text();
    assert!(info.contains("rejected_connections:2\r\n"), "{info}");
}

#[test]
fn noise_in_the_middle_of_a_connection_ends_it_and_nothing_else() {
    let mut server = TlsServer::start(1, &[]);
    for noise in [
        &[0x17, 3, 3, 0, 40, 9, 9][..],
        &[0xff; 100],
        &[0x16; 70_000],
    ] {
        let mut client = server.connect();
        assert_eq!(client.run("PING").to_string(), "+PONG");
        let socket = &mut client.stream.sock;
        socket.write_all(noise).unwrap();
        // It may have been closed at once.
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read_to_end(&mut Vec::new());
    }
    server.server.expect_alive();
}
