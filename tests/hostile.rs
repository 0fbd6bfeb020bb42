//! Clients that mean harm, or do not know what they do: no panic, no hang, memory bounded, and the next connection works.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use support::frame::{printable, printable_command};
use support::server::info_field;
use support::{Client, Outcome, Random, Server, for_each_shard_count};

const MB: u64 = 1024 * 1024;

/// Lets this process open as many sockets as the machine allows.
fn raise_file_limit(wanted: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        setrlimit(Resource::Nofile, limit).unwrap();
    }
    assert!(
        limit.current.is_none_or(|current| current >= wanted),
        "{wanted} open files are needed: raise the hard limit (ulimit -Hn), it is {:?}",
        limit.maximum
    );
}

/// What the server does with bytes: everything it answers until it closes or is silent for a moment.
fn answer_to(server: &Server, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(150)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes);
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return (answer, true),
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return (answer, false);
            }
            Err(_) => return (answer, true),
        }
    }
}

fn expect_next_connection(server: &mut Server, after: &str) {
    server.expect_alive();
    assert_eq!(
        server.connect().run("PING").to_string(),
        "+PONG",
        "after {after}"
    );
}

#[test]
fn malformed_requests_are_answered_as_the_oracle_answers_them() {
    let repeated = |part: &str, times: usize| part.repeat(times).into_bytes();
    let mut requests: Vec<Vec<u8>> = [
        "*1\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*\r\n",
        "*a\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n+PING\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$a\r\n",
        "*1\r\n$4\r\nPING",
        "*1\r\n$4\r\nPINGXX*1\r\n$4\r\nPING\r\n",
        "*1\r\n$999999999999\r\n",
        "*2147483648\r\n",
        "*9223372036854775808\r\n",
        "*1\r\n$9223372036854775807\r\n",
        "*1\r\n$536870913\r\n",
        "*-99\r\nPING\r\n",
        "*2\r\n*1\r\n$4\r\nPING\r\n",
        "\r\n\r\n\r\nPING\r\n",
        "PING \"unbalanced\r\n",
        "PING 'a'b\r\n",
        "PING \"\\x00\\xff\"\r\n",
        "*1\r\n$0\r\n\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nabcd\r\n",
        "$4\r\nPING\r\n",
        ":1\r\n",
        "+OK\r\n",
        "-ERR\r\n",
        "*1\n$4\nPING\n",
        "*01\r\n$04\r\nPING\r\n",
        "*+1\r\n$4\r\nPING\r\n",
        "* 1\r\n$4\r\nPING\r\n",
        "*1 \r\n$4\r\nPING\r\n",
        "GET\r\n",
        "*1\r\n$3\r\nGET\r\n",
        "NOSUCH a b c\r\n",
        "\u{0}\u{1}\u{2}\r\n",
        "\u{feff}PING\r\n",
        "PING\0\r\n",
        "PING a\0b\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    requests.push(repeated("*1\r\n", 50_000));
    requests.push(repeated("a", 70_000));
    requests.push(repeated("[", 200_000));
    requests.push([&b"*"[..], &repeated("1", 70_000)].concat());
    requests.push([&b"*1\r\n$"[..], &repeated("1", 70_000)].concat());
    requests.push(repeated("ECHO a\r\n", 5_000));
    let mut random = Random::new(11);
    for _ in 0..40 {
        requests.push(
            (0..random.below(200))
                .map(|_| random.below(256) as u8)
                .filter(|byte| *byte != b'\n')
                .collect(),
        );
    }
    let oracle = Server::oracle();
    for shards in support::shard_counts() {
        let mut server = Server::millrace(shards);
        let before = server.resident_bytes();
        // Silence has to be waited for: several at once.
        std::thread::scope(|scope| {
            for some in requests.chunks(requests.len().div_ceil(16)) {
                let (server, oracle) = (&server, &oracle);
                scope.spawn(move || {
                    for request in some {
                        let ours = answer_to(server, request);
                        let theirs = answer_to(oracle, request);
                        let shown = printable(&request[..request.len().min(60)]);
                        assert_eq!(
                            (printable(&ours.0), ours.1),
                            (printable(&theirs.0), theirs.1),
                            "{shown}"
                        );
                        let pong = server.connect().run("PING").to_string();
                        assert_eq!(pong, "+PONG", "after {shown}");
                    }
                });
            }
        });
        server.expect_alive();
        let grown = server.resident_bytes().saturating_sub(before) / MB;
        assert!(grown < 16, "memory grew by {grown} MB");
    }
}

#[test]
fn a_request_cut_off_anywhere_harms_nobody() {
    let mut whole = Vec::new();
    support::client::encode(
        &["XADD", "s", "MAXLEN", "~", "10", "*", "field", "value"],
        &mut whole,
    );
    let mut server = Server::millrace(4);
    for cut in 1..whole.len() {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(&whole[..cut]).unwrap();
    }
    expect_next_connection(&mut server, "requests cut off");
    assert_eq!(
        server.connect().run("EXISTS s").integer(),
        0,
        "none of them ran"
    );
}

/// Commands that stop or pause the server, leave the connection or answer more than once: called blindly they tell nothing.
const NOT_CALLED_BLINDLY: &[&str] = &[
    "shutdown",
    "debug",
    "quit",
    "monitor",
    "client",
    "config",
    "subscribe",
    "psubscribe",
    "ssubscribe",
    "unsubscribe",
    "punsubscribe",
    "sunsubscribe",
    "failover",
    "wait",
    "waitaof",
];

#[test]
fn arguments_at_the_borders_of_every_type_neither_panic_nor_hang() {
    const WORDS: &[&[u8]] = &[
        b"k",
        b"l",
        b"s",
        b"g",
        b"0",
        b"1",
        b"-1",
        b"2",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"9223372036854775808",
        b"18446744073709551615",
        b"18446744073709551616",
        b"4294967296",
        b"1e308",
        b"-inf",
        b"nan",
        b"0.0000001",
        b"",
        b"\0",
        b"\xff\xfe",
        b"*",
        b"$",
        b">",
        b"+",
        b"-",
        b"(",
        b"(1-1",
        b"0-0",
        b"1-*",
        b"18446744073709551615-18446744073709551615",
        b"1-1-1",
        b"[1-1",
        b"COUNT",
        b"BLOCK",
        b"STREAMS",
        b"GROUP",
        b"MAXLEN",
        b"MINID",
        b"~",
        b"=",
        b"LIMIT",
        b"LEFT",
        b"RIGHT",
        b"NX",
        b"XX",
        b"GET",
        b"EX",
        b"PX",
        b"EXAT",
        b"KEEPTTL",
        b"IDLE",
        b"JUSTID",
        b"FORCE",
        b"NUMKEYS",
        b"RANK",
        b"MATCH",
        b"TYPE",
        b"DB",
        b"REPLACE",
        b"CREATE",
        b"SETID",
        b"DESTROY",
        b"STREAM",
        b"FULL",
        b"GROUPS",
        b"HELP",
        b"MKSTREAM",
        b"ENTRIESREAD",
        b"IDX",
        b"LEN",
    ];
    for_each_shard_count(|server| {
        let mut random = Random::new(5);
        let mut client = server.connect();
        let names: Vec<String> = client
            .run("COMMAND LIST")
            .items()
            .iter()
            .map(support::Frame::text)
            .collect();
        let names: Vec<&String> = names
            .iter()
            .filter(|name| !NOT_CALLED_BLINDLY.contains(&name.as_str()))
            .collect();
        let before = server.resident_bytes();
        let mut answered = 0;
        for round in 0..12_000 {
            if round % 400 == 0 {
                client = server.connect();
                client.run("FLUSHALL");
                client.run("SET k 5");
                client.run("RPUSH l a b c");
                client.run("XADD s 1-1 f v");
                client.run("XGROUP CREATE s g 0");
                client.run("XREADGROUP GROUP g c STREAMS s >");
            }
            let name = names[round % names.len()];
            let mut words: Vec<&[u8]> = vec![name.as_bytes()];
            words.extend((0..random.below(8)).map(|_| random.pick(WORDS)));
            client.send(&words);
            // One that waits is left alone: the next commands go to a new connection.
            match client.poll(Duration::from_millis(
                if name.starts_with('b') || name.starts_with("xread") {
                    3
                } else {
                    5_000
                },
            )) {
                Outcome::Reply(_) => answered += 1,
                Outcome::Quiet if name.starts_with('b') || name.starts_with("xread") => {
                    client = server.connect()
                }
                other => panic!("{}: {other:?}", printable_command(&words)),
            }
        }
        assert!(answered > 10_000, "{answered} answered");
        let grown = server.resident_bytes().saturating_sub(before) / MB;
        assert!(grown < 64, "memory grew by {grown} MB");
        assert_eq!(server.connect().run("PING").to_string(), "+PONG");
    });
}

#[test]
fn ten_thousand_idle_connections_fit_in_a_hundred_megabytes() {
    const COUNT: usize = 10_000;
    raise_file_limit(COUNT as u64 + 500);
    let mut server = Server::millrace_with(2, &["--maxclients", "10100", "--tcp-backlog", "4096"]);
    let before = server.resident_bytes();
    let mut idle: Vec<TcpStream> = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        // Idle, not new: each has been served.
        stream.write_all(b"PING\r\n").unwrap();
        idle.push(stream);
    }
    for stream in &mut idle {
        let mut pong = [0; 7];
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"+PONG\r\n");
    }
    let mut control = server.connect();
    let info = control.run("INFO clients").text();
    assert_eq!(
        support::server::info_field(&info, "connected_clients"),
        Some((COUNT + 1).to_string())
    );
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(
        grown < 100 * MB,
        "{COUNT} idle connections take {} MB",
        grown / MB
    );
    drop(idle);
    expect_next_connection(&mut server, "ten thousand have left");
}

/// Writes until the server takes nothing for a while; the bytes it took.
fn flood(stream: &mut TcpStream, request: &[u8], bytes_max: usize) -> usize {
    stream
        .set_write_timeout(Some(Duration::from_millis(700)))
        .unwrap();
    let mut taken = 0;
    while taken < bytes_max {
        match stream.write(request) {
            Ok(count) => taken += count,
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                    "{error}"
                );
                return taken;
            }
        }
    }
    taken
}

#[test]
fn a_client_that_reads_no_replies_is_not_read_without_end() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        // Half of it is kept, since many clients send a whole pipeline before they read.
        control.run("CONFIG SET client-query-buffer-limit 16mb");
        control.call(&["SET", "big", &"x".repeat(100_000)]);
        let before = server.resident_bytes();
        let mut clients: Vec<TcpStream> = (0..4)
            .map(|_| TcpStream::connect(server.address()).unwrap())
            .collect();
        let mut request = Vec::new();
        (0..100).for_each(|_| support::client::encode(&["GET", "big"], &mut request));
        std::thread::scope(|scope| {
            for stream in &mut clients {
                scope.spawn(|| {
                    let taken = flood(stream, &request, 200 << 20);
                    assert!(taken < 200 << 20, "the server never stopped reading");
                });
            }
            let until = Instant::now() + Duration::from_millis(600);
            while Instant::now() < until {
                assert_eq!(
                    control.run("PING").to_string(),
                    "+PONG",
                    "others are served meanwhile"
                );
            }
        });
        let grown = server.resident_bytes().saturating_sub(before) / MB;
        assert!(grown < 64, "unread replies take {grown} MB");
        drop(clients);
        assert_eq!(server.connect().run("STRLEN big").integer(), 100_000);
    });
}

#[test]
fn what_is_only_announced_takes_no_memory() {
    let server = Server::millrace(2);
    let before = server.resident_bytes();
    let announced: [&[u8]; 3] = [
        b"*2\r\n$3\r\nGET\r\n$536870912\r\nabc",
        b"*1048576\r\n$3\r\nDEL\r\n",
        b"*1048576\r\n",
    ];
    let mut clients = Vec::new();
    for at in 0..300 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(announced[at % announced.len()]).unwrap();
        clients.push(stream);
    }
    let mut control = server.connect();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(control.run("PING").to_string(), "+PONG");
    let grown = server.resident_bytes().saturating_sub(before) / MB;
    assert!(grown < 16, "300 announcements take {grown} MB");
    assert!(
        control.run("CLIENT LIST").text().lines().count() > 300,
        "nobody was closed"
    );
}

#[test]
fn before_a_password_is_given_a_client_can_send_little() {
    let server = Server::millrace_with(2, &["--requirepass", "secret"]);
    for request in [&b"*11\r\n"[..], b"*2\r\n$3\r\nGET\r\n$16385\r\n"] {
        let (answer, closed) = answer_to(&server, request);
        assert!(
            closed && answer.starts_with(b"-ERR Protocol error: unauthenticated"),
            "{}",
            printable(&answer)
        );
    }
    let mut client = Client::connect(server.address()).unwrap();
    assert_eq!(
        client.run("GET k").to_string(),
        "-NOAUTH Authentication required."
    );
    assert_eq!(client.run("AUTH secret").to_string(), "+OK");
    assert_eq!(client.run("GET k").to_string(), "nil");
}

/// How many names a request has here: enough that work for each pair of them takes seconds.
const NAMES: usize = 60_000;

/// A command with so many names that begin with `prefix`, and what is to stand before and behind each list.
fn with_names(before: &[&str], prefix: &str, after: &[&str]) -> Vec<String> {
    let names = (0..NAMES).map(|name| format!("{prefix}{name}"));
    let words = before.iter().map(|word| (*word).to_owned());
    let after = after.iter().map(|word| (*word).to_owned());
    words.chain(names).chain(after).collect()
}

/// Waits until INFO shows a value.
fn until(server: &Server, section: &str, field: &str, value: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut control = server.connect();
    loop {
        let info = control.run(&format!("INFO {section}")).text();
        let seen = info_field(&info, field).unwrap();
        if seen == value {
            return;
        }
        assert!(Instant::now() < deadline, "{field} stays at {seen}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets a client block and waits until the server knows.
fn block(server: &Server, request: &[String]) -> Client {
    let mut client = server.connect();
    client.send(request);
    until(server, "clients", "blocked_clients", "1");
    client
}

/// How long a request of `NAMES` names may take that needs time in proportion to them.
struct Pace(Duration);

impl Pace {
    /// Some times as long as a plain MSET of so many keys, to a server that does nothing else.
    fn of(server: &Server) -> Self {
        let pairs: Vec<String> = with_names(&["MSET"], "plain:", &[])
            .into_iter()
            .flat_map(|word| match word.as_str() {
                "MSET" => vec![word],
                _ => vec![word, "1".to_owned()],
            })
            .collect();
        let started = Instant::now();
        assert_eq!(server.connect().call(&pairs).to_string(), "+OK");
        Self(started.elapsed() * 20 + Duration::from_millis(500))
    }

    /// Runs something, after which another client must have been served in time.
    fn check<R>(&self, server: &Server, what: &str, run: impl FnOnce() -> R) -> R {
        let mut client = server.connect();
        let started = Instant::now();
        let done = run();
        client.run("PING");
        let (elapsed, limit) = (started.elapsed(), self.0);
        let name = &server.name;
        assert!(
            elapsed < limit,
            "{what}: {elapsed:?} of {limit:?} at {name}"
        );
        done
    }
}

#[test]
fn subscriptions_to_very_many_patterns_begin_and_end_in_proportion_to_them() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        let mut client = server.connect();
        for verb in ["PSUBSCRIBE", "PUNSUBSCRIBE", "PSUBSCRIBE"] {
            let request = with_names(&[verb], "name*", &[]);
            pace.check(server, verb, || {
                client.send(&request);
                for _ in 0..NAMES {
                    client.raw_reply();
                }
            });
        }
        pace.check(server, "the end of the connection", || drop(client));
    });
}

#[test]
fn very_many_keys_written_while_somebody_waits_for_another_take_time_in_proportion_to_them() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        for waiting in ["BLPOP other 0", "BLMOVE other elsewhere LEFT LEFT 0"] {
            let words: Vec<String> = waiting.split(' ').map(str::to_owned).collect();
            let waiter = block(server, &words);
            let request = with_names(&["UNLINK"], "name:", &[]);
            pace.check(server, waiting, || server.connect().call(&request));
            drop(waiter);
            until(server, "clients", "blocked_clients", "0");
        }
    });
}

#[test]
fn a_wait_for_very_many_keys_begins_in_proportion_to_them_and_is_served_by_the_last() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        let request = with_names(&["BLPOP"], "name:", &["0"]);
        let mut waiter = pace.check(server, "BLPOP", || block(server, &request));
        let last = format!("name:{}", NAMES - 1);
        let reply = server.connect().call(&["RPUSH", &last, "element"]);
        assert_eq!(reply.to_string(), ":1");
        assert_eq!(waiter.reply().items()[0].text(), last);
    });
}

#[test]
fn very_many_commands_are_queued_in_proportion_to_them() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        let mut client = server.connect();
        client.run("MULTI");
        let commands = vec!["INCR counter"; NAMES];
        pace.check(server, "MULTI", || client.pipeline(&commands));
        let replies = client.run("EXEC");
        assert_eq!(replies.items().len(), NAMES);
    });
}

#[test]
fn very_many_keys_that_end_in_the_same_millisecond_are_all_removed() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let at = client.run("TIME").items()[0].text().parse::<u64>().unwrap() + 2;
        let commands: Vec<String> = (0..10_000)
            .map(|key| format!("SET name:{key} 1 EXAT {at}"))
            .collect();
        client.pipeline(&commands);
        until(server, "stats", "expired_keys", "10000");
        assert_eq!(client.run("DBSIZE").to_string(), ":0");
    });
}

#[test]
fn a_key_watched_very_often_is_watched_once_and_who_watches_no_more_leaves_nothing_behind() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        let mut client = server.connect();
        let request: Vec<&str> = std::iter::once("WATCH")
            .chain(std::iter::repeat_n("name", NAMES))
            .collect();
        pace.check(server, "WATCH", || client.call(&request));
        client.run("SELECT 1");
        client.run("WATCH name other name");
        until(server, "clients", "total_watched_keys", "3");
        until(server, "clients", "watching_clients", "1");
        client.run("UNWATCH");
        until(server, "clients", "watching_clients", "0");
        let mut rounds = |from: usize| {
            for round in from..from + 50 {
                let watches: Vec<String> = (0..1000)
                    .flat_map(|key| [format!("WATCH name:{round}:{key}"), "UNWATCH".to_owned()])
                    .collect();
                client.pipeline(&watches);
            }
        };
        rounds(0);
        let before = server.resident_bytes();
        rounds(50);
        rounds(100);
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 4 * MB, "{grown} bytes more");
    });
}
