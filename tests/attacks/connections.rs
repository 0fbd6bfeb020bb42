//! Connections: many, slow, half, unread, without a password, torn down.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::driver::{halves, info, pour, request, until};
use super::field::{Attack, Case, Room};
use super::support::Client;
use super::support::client::{exchange, read_to_close};

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let password = &["--requirepass", "secret"];
    vec![
        Case::new("nothing", Room::of(5, 5), |attack| {
            std::thread::sleep(attack.duration());
            String::new()
        }),
        Case::new(
            "half requests on many connections",
            Room::of(10, 10),
            half_requests,
        ),
        Case::new("long values declared", Room::of(10, 10), |attack| {
            let head = b"*2\r\n$3\r\nGET\r\n$536870912\r\n";
            declared(attack, &[&head[..], &[b'x'; 40_000]].concat())
        }),
        Case::new("many arguments declared", Room::of(10, 10), |attack| {
            declared(attack, b"*1048576\r\n")
        }),
        Case::new("garbage", Room::of(10, 10), garbage),
        Case::new("replies of 100 KB unread", Room::of(20, 20), |attack| {
            attack.connect().call(&["SET", "big", &"x".repeat(100_000)]);
            unread(attack, "GET big", attack.size(1_000, 10_000))
        }),
        // Many clients send a whole pipeline before they read: so much input is kept, half of the limit.
        Case::new("short replies unread", Room::of(60, 20), |attack| {
            unread(attack, "PING", attack.size(1_000_000, 15_000_000))
        })
        .with(&["--client-query-buffer-limit", "64mb"]),
        Case::new(
            "strangers: replies unread",
            Room::of(10, 5),
            stranger_unread,
        )
        .with(password)
        .alone(),
        Case::new(
            "strangers: long requests",
            Room::of(10, 10),
            stranger_requests,
        )
        .with(password)
        .alone(),
        Case::new(
            "strangers: wrong passwords",
            Room::of(10, 10),
            stranger_passwords,
        )
        .with(password)
        .alone(),
        Case::new("idle connections", Room::of(40, 40), idle),
        Case::new("connections torn down", Room::of(10, 10), torn_down),
        Case::new("long names in CLIENT LIST", Room::of(10, 10), long_names),
        Case::new("more than maxclients", Room::of(5, 5), beyond_maxclients)
            .with(&["--maxclients", "32"])
            .alone()
            .plain_only(),
        Case::new("flood: redis-cli --pipe", Room::of(100, 60), pipe),
    ]
}

fn half_requests(attack: &Attack<'_>) -> String {
    let count = attack.size(300, 2_000);
    let mut control = attack.connect();
    let address = attack.address;
    let mut streams = halves(address, &mut control, count, b"*2\r\n$3\r\nGET\r\n$5\r\nab");
    std::thread::sleep(attack.duration());
    // Slow is not wrong: each is served when the rest comes.
    for stream in &mut streams {
        stream.write_all(b"cde\r\n").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"$-1\r\n");
    }
    format!("{count} connections")
}

fn declared(attack: &Attack<'_>, bytes: &[u8]) -> String {
    let count = attack.size(100, 300);
    let mut control = attack.connect();
    let streams = halves(attack.address, &mut control, count, bytes);
    let resident = attack.resident_mb();
    drop(streams);
    format!("{count} connections, {resident} MB while they last")
}

fn garbage(attack: &Attack<'_>) -> String {
    let kinds: [&[u8]; 6] = [
        b"*-99999999999\r\n",
        b"*1\r\n$-5\r\n",
        b"*1\r\n:1\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"*1\r\n$99999999999999999999\r\n",
    ];
    let count = attack.size(200, 5_000);
    for number in 0..count {
        exchange(attack.address, kinds[number % kinds.len()]);
    }
    format!("{count} connections")
}

fn unread(attack: &Attack<'_>, line: &str, count: usize) -> String {
    let stream = TcpStream::connect(attack.address).unwrap();
    let bytes = request(line);
    let piece = bytes.repeat(100);
    let sent = pour(&stream, &piece, count * bytes.len(), attack.duration());
    let resident = attack.resident_mb();
    format!("sent {sent} bytes, {resident} MB while unread")
}

fn stranger_unread(attack: &Attack<'_>) -> String {
    let stream = TcpStream::connect(attack.address).unwrap();
    let piece = request("PING").repeat(1000);
    let sent = pour(&stream, &piece, 100 << 20, Duration::from_secs(30));
    assert!(sent < 100 << 20, "it may send without end");
    format!("closed after {sent} bytes")
}

fn stranger_requests(attack: &Attack<'_>) -> String {
    for number in 0..attack.size(50, 1_000) {
        let (bytes, error): (Vec<u8>, &str) = match number % 3 {
            0 => (b"*11\r\n".to_vec(), "unauthenticated multibulk length"),
            1 => (
                b"*2\r\n$3\r\nGET\r\n$16385\r\n".to_vec(),
                "unauthenticated bulk length",
            ),
            _ => (vec![b'x'; 70_000], "too big inline request"),
        };
        let answer = exchange(attack.address, &bytes);
        let expected = format!("-ERR Protocol error: {error}\r\n");
        assert_eq!(String::from_utf8_lossy(&answer), expected);
    }
    String::new()
}

fn stranger_passwords(attack: &Attack<'_>) -> String {
    let mut client = attack.connect();
    let count = attack.size(2_000, 1_000_000);
    let piece: Vec<&str> = vec!["AUTH wrong"; 100];
    for _ in 0..count / piece.len() {
        for reply in client.pipeline(&piece) {
            assert!(reply.to_string().starts_with("-WRONGPASS"));
        }
    }
    let log_lines = attack.server.log().lines().count();
    assert!(log_lines < 100, "{log_lines} lines in the log");
    format!("{count} attempts, {log_lines} lines in the log")
}

fn idle(attack: &Attack<'_>) -> String {
    let count = attack.sockets(1_000, 15_000);
    let mut control = attack.connect();
    control.run("CONFIG SET maxclients 16000");
    let mut clients = attack.connections(count);
    let last = clients
        .last_mut()
        .map(|client| client.run("PING").to_string());
    assert_eq!(last.as_deref(), Some("+PONG"));
    let resident = attack.resident_mb();
    let cpu_before = attack.server.cpu_time();
    std::thread::sleep(attack.duration());
    let cpu = attack.server.cpu_time() - cpu_before;
    let listed = control.run("CLIENT LIST").text().lines().count();
    assert!(listed > count, "{listed} clients are listed");
    format!("{count} connections, {resident} MB, then {cpu:?} of processor time")
}

fn torn_down(attack: &Attack<'_>) -> String {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < attack.duration() {
        let mut stream = TcpStream::connect(attack.address).unwrap();
        stream.write_all(&request("PING")).unwrap();
        // It is reset, whatever is on its way.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        count += 1;
    }
    let mut control = attack.connect();
    until("all have left", || {
        info(&mut control, "connected_clients") <= 2
    });
    format!("{count} connections")
}

fn long_names(attack: &Attack<'_>) -> String {
    let count = attack.size(300, 3_000);
    let mut clients = attack.connections(count);
    for client in &mut clients {
        let name = "n".repeat(2_000);
        assert_eq!(
            client.call(&["CLIENT", "SETNAME", &name]).to_string(),
            "+OK"
        );
    }
    let mut control = attack.connect();
    let bytes = control.run("CLIENT LIST").text().len();
    assert!(bytes > count * 2_000, "{bytes} bytes");
    format!("{count} clients, CLIENT LIST {bytes} bytes")
}

fn beyond_maxclients(attack: &Attack<'_>) -> String {
    let mut clients: Vec<Client> = Vec::new();
    let mut refused = 0;
    for _ in 0..120 {
        let mut client = attack.connect();
        client.send_line("PING");
        match client.raw_reply().as_slice() {
            b"+PONG\r\n" => clients.push(client),
            answer => {
                assert_eq!(answer, b"-ERR max number of clients reached\r\n");
                refused += 1;
            }
        }
    }
    assert_eq!((clients.len(), refused), (32, 88));
    let leaving = clients
        .pop()
        .map(|client| client.stream().try_clone().unwrap());
    leaving
        .iter()
        .for_each(|stream| stream.shutdown(std::net::Shutdown::Write).unwrap());
    leaving
        .into_iter()
        .for_each(|stream| drop(read_to_close(stream)));
    until("a place is free", || {
        let mut client = attack.connect();
        client.send_line("PING");
        client.raw_reply() == b"+PONG\r\n"
    });
    String::new()
}

/// A bulk load as the manual of redis-cli describes it: nothing is lost, nobody is cut off.
fn pipe(attack: &Attack<'_>) -> String {
    let count = attack.size(300_000, 20_000_000);
    let mut loading = Command::new("redis-cli")
        .args(["-p", &attack.address.port().to_string(), "--pipe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = loading.stdin.take().unwrap();
    let feeding = std::thread::spawn(move || {
        let piece: Vec<u8> = (0..1000)
            .flat_map(|number| request(&format!("INCR pipe:{}", number * 97 % 1000)))
            .collect();
        for _ in 0..count / 1000 {
            input.write_all(&piece).unwrap();
        }
    });
    let ended = loading.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    feeding.join().unwrap();
    assert!(
        told.contains(&format!("errors: 0, replies: {count}")),
        "{told}"
    );
    format!("{count} requests")
}
