//! Clients that mean harm, or do not know what they do: no panic, no hang, memory bounded, and the next connection works.
//! Requests with very many names are in hostile/proportion.rs.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "hostile/proportion.rs"]
mod proportion;
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use support::client::exchange;
use support::frame::{printable, printable_command};
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
    // With something behind each: what becomes of that shows whether the connection was closed, and where the parser stood.
    let tail = b"\r\n*1\r\n$4\r\nPING\r\n";
    let followed = requests.iter().map(|request| [request, &tail[..]].concat());
    let requests: Vec<Vec<u8>> = followed.chain(requests.iter().cloned()).collect();
    let oracle = Server::oracle();
    for shards in support::shard_counts() {
        let mut server = Server::millrace(shards);
        let before = server.resident_bytes();
        for request in &requests {
            let ours = exchange(server.address(), request);
            let theirs = exchange(oracle.address(), request);
            let shown = printable(&request[..request.len().min(60)]);
            assert_eq!(printable(&ours), printable(&theirs), "{shown}");
            let pong = server.connect().run("PING").to_string();
            assert_eq!(pong, "+PONG", "after {shown}");
        }
        server.expect_alive();
        let grown = server.growth_below(before, 16 * MB) / MB;
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
    "sync",
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

/// The reply to what a client has sent, or that the server says it waits.
fn reply_or_wait(client: &mut Client, control: &mut Client) -> Outcome {
    let deadline = Instant::now() + client.timeout;
    let address = format!(" addr={} ", client.local_address());
    loop {
        let list = control.run("CLIENT LIST").text();
        let line = list.lines().find(|line| line.contains(&address));
        let mut fields = line.into_iter().flat_map(|line| line.split(' '));
        let flags = fields.find_map(|field| field.strip_prefix("flags="));
        let waits = flags.is_some_and(|flags| flags.contains('b'));
        match client.poll(Duration::ZERO) {
            Outcome::Quiet if !waits => assert!(Instant::now() < deadline, "no reply"),
            outcome => return outcome,
        }
    }
}

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
        let (mut client, mut control) = (server.connect(), server.connect());
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
            let may_wait = name.starts_with('b') || name.starts_with("xread");
            match may_wait.then(|| reply_or_wait(&mut client, &mut control)) {
                // One that waits is left alone: the next commands go to a new connection.
                Some(Outcome::Quiet) => client = server.connect(),
                Some(Outcome::Reply(_)) => answered += 1,
                Some(Outcome::Closed) => panic!("{} closes", printable_command(&words)),
                None => {
                    client.raw_reply();
                    answered += 1;
                }
            }
        }
        assert!(answered > 10_000, "{answered} answered");
        let grown = server.growth_below(before, 64 * MB) / MB;
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
    let grown = server.growth_below(before, 100 * MB);
    assert!(
        grown < 100 * MB,
        "{COUNT} idle connections take {} MB",
        grown / MB
    );
    drop(idle);
    expect_next_connection(&mut server, "ten thousand have left");
}

/// Rounds through all shards in which a server that wants to read a full socket would have read it.
const ROUNDS: u64 = 30;

/// Fills a socket until the server has read nothing of it for some rounds, in which it served others; the bytes it took.
fn flood(stream: &TcpStream, control: &mut Client, request: &[u8], bytes_max: u64) -> u64 {
    stream.set_nonblocking(true).unwrap();
    let address = stream.local_addr().unwrap();
    let (mut taken, mut received, mut rounds, mut at) = (0, None, 0, 0);
    while rounds < ROUNDS && taken < bytes_max {
        match (&*stream).write(&request[at..]) {
            Ok(count) => {
                taken += count as u64;
                at = (at + count) % request.len();
                rounds = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                // It is answered when every shard has had its turn.
                control.run("CONFIG SET hz 10");
                // Perhaps it is not accepted yet.
                let now = control.traffic_of(address).map(|traffic| traffic.received);
                rounds = if now == received { rounds + 1 } else { 0 };
                received = now;
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
        let clients: Vec<TcpStream> = (0..4)
            .map(|_| TcpStream::connect(server.address()).unwrap())
            .collect();
        let mut request = Vec::new();
        (0..100).for_each(|_| support::client::encode(&["GET", "big"], &mut request));
        std::thread::scope(|scope| {
            for stream in &clients {
                let request = &request;
                scope.spawn(move || {
                    let mut control = server.connect();
                    let taken = flood(stream, &mut control, request, 200 << 20);
                    assert!(taken < 200 << 20, "the server never stopped reading");
                });
            }
        });
        let grown = server.growth_below(before, 64 * MB) / MB;
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
    let mut control = server.connect();
    let mut clients = Vec::new();
    for at in 0..300 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let announcement = announced[at % announced.len()];
        stream.write_all(announcement).unwrap();
        control.until_received(stream.local_addr().unwrap(), announcement.len() as u64);
        clients.push(stream);
    }
    assert_eq!(control.run("PING").to_string(), "+PONG");
    let grown = server.growth_below(before, 16 * MB) / MB;
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
        let answer = exchange(server.address(), request);
        assert!(
            answer.starts_with(b"-ERR Protocol error: unauthenticated"),
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

#[test]
fn the_log_shows_what_was_no_request_where_it_may_show_user_data() {
    let server = Server::millrace_with(2, &["--loglevel", "verbose"]);
    let mut control = server.connect();
    let said = |request: &[u8]| {
        let before = server.log().len();
        exchange(server.address(), request);
        let log = server.log();
        let from = (log.get(before..).unwrap())
            .find("Protocol error (")
            .unwrap()
            + before;
        log[from..].lines().next().unwrap().to_owned()
    };
    let long = [&b"*1\r\nfoo'\x01\xff"[..], &[b'z'; 300], b"end\r\n"].concat();
    // That nothing is shown is the default.
    let hidden = said(&long);
    assert!(
        hidden.starts_with("Protocol error (expected $ but got something else) from client id=")
            && hidden.ends_with(". Query buffer during protocol error: *redacted*"),
        "{hidden}"
    );
    control.run("CONFIG SET hide-user-data-from-log no");
    let shown = said(&long);
    let expected = format!(
        "'foo'..{}' (... more 183 bytes ...) '{}end..'",
        "z".repeat(58),
        "z".repeat(59)
    );
    assert!(shown.ends_with(&expected), "{shown}");
    let short = said(b"*1\r\n$x\r\n");
    assert!(
        short.contains("(invalid bulk length)") && short.ends_with(": '$x..'"),
        "{short}"
    );
}

#[test]
fn modules_are_not_loaded_and_only_who_may_try_hears_why() {
    let not_allowed = "-ERR MODULE command not allowed. If the enable-module-command option is set to \\\"local\\\", \
        you can run it from a local connection, otherwise you need to set this option in the configuration file, \
        and then restart the server.";
    let not_loaded = "-ERR Error loading the extension. Please check the server logs.";
    let none = "-ERR Error unloading module: no such module with that name";
    for (set, load, unload) in [
        ("no", not_allowed, not_allowed),
        ("local", not_loaded, none),
        ("yes", not_loaded, none),
    ] {
        let server = Server::millrace_with(1, &["--enable-module-command", set]);
        let mut client = server.connect();
        for (line, reply) in [
            ("MODULE LOAD /x.so", load),
            ("MODULE LOADEX /x.so CONFIG a b ARGS c", load),
            ("MODULE UNLOAD x", unload),
            ("MODULE LIST", "[]"),
        ] {
            assert_eq!(client.run(line).to_string(), reply, "{set}: {line}");
        }
        let told = server.log().contains("this server has no modules");
        assert_eq!(told, set != "no");
    }
}
