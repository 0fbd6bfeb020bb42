//! What waits to be sent: a published message is held once however many subscribers are slow, and who is too slow is closed.
//!
//! Subscribers are on a unix socket: little fits into it, and the kernel does not enlarge it, so what they do not read waits in
//! the server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use support::server::info_field;
use support::{Client, Server, shard_counts};

const MESSAGE_BYTES: usize = 1_000_000;

/// A subscriber that reads only when it is told to.
struct Subscriber {
    stream: UnixStream,
    /// How each message begins, up to the payload.
    head: Vec<u8>,
}

/// How a subscriber of `channel` gets its messages.
#[derive(Clone, Copy)]
enum By {
    Name,
    NameResp3,
    Pattern,
    PatternResp3,
}

impl Subscriber {
    fn new(server: &Server, by: By) -> Self {
        let stream = UnixStream::connect(server.directory().join("socket")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut subscriber = Self {
            stream,
            head: Vec::new(),
        };
        let (mark, pattern) = match by {
            By::Name => ("*", false),
            By::NameResp3 => (">", false),
            By::Pattern => ("*", true),
            By::PatternResp3 => (">", true),
        };
        if mark == ">" {
            subscriber.send("HELLO 3\r\n");
        }
        subscriber.send(if pattern {
            "PSUBSCRIBE chan*\r\n"
        } else {
            "SUBSCRIBE channel\r\n"
        });
        let confirmation = if pattern {
            format!("{mark}3\r\n$10\r\npsubscribe\r\n$5\r\nchan*\r\n:1\r\n")
        } else {
            format!("{mark}3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n")
        };
        subscriber.read_past(confirmation.as_bytes());
        subscriber.head = if pattern {
            format!("{mark}4\r\n$8\r\npmessage\r\n$5\r\nchan*\r\n$7\r\nchannel\r\n")
        } else {
            format!("{mark}3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n")
        }
        .into_bytes();
        subscriber
    }

    fn send(&mut self, line: &str) {
        self.stream.write_all(line.as_bytes()).unwrap();
    }

    /// Reads up to and with these bytes.
    fn read_past(&mut self, end: &[u8]) {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            read.push(byte[0]);
        }
    }

    /// Reads a message, which must be this one.
    fn expect(&mut self, payload: &[u8]) {
        let length = format!("${}\r\n", payload.len());
        let expected = [&self.head, length.as_bytes(), payload, b"\r\n"].concat();
        let mut read = vec![0; expected.len()];
        self.stream.read_exact(&mut read).unwrap();
        assert!(read == expected, "another message");
    }

    /// Reads to the end of the connection.
    fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        // The end, or that what was sent to it was lost.
        let _ = self.stream.read_to_end(&mut rest);
        assert!(rest.len() < MESSAGE_BYTES, "it was sent all");
    }
}

fn payload(letter: u8) -> Vec<u8> {
    vec![letter; MESSAGE_BYTES]
}

fn publish(control: &mut Client, payload: &[u8]) -> i64 {
    control
        .call(&[b"PUBLISH", b"channel".as_slice(), payload])
        .integer()
}

/// The field `name` of each line of CLIENT LIST TYPE pubsub.
fn of_subscribers(control: &mut Client, name: &str) -> Vec<usize> {
    let list = control.run("CLIENT LIST TYPE pubsub").text();
    let field = |line: &str| {
        let mut words = line.split(' ').filter_map(|word| word.split_once('='));
        words
            .find(|(other, _)| *other == name)
            .unwrap()
            .1
            .parse()
            .unwrap()
    };
    list.lines().map(field).collect()
}

fn closed_for_output(control: &mut Client) -> String {
    let info = control.run("INFO stats").text();
    info_field(&info, "client_output_buffer_limit_disconnections").unwrap()
}

fn wait_for_closed(control: &mut Client, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while closed_for_output(control) != count.to_string() {
        assert!(Instant::now() < deadline, "not {count} are closed");
    }
}

#[test]
fn a_message_waits_once_for_a_thousand_subscribers_who_do_not_read() {
    const SUBSCRIBERS: usize = 1000;
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "pubsub 0 0 0");
        let mut control = server.connect();
        let kinds = [By::Name, By::NameResp3, By::Pattern, By::PatternResp3];
        let mut subscribers: Vec<Subscriber> = (0..SUBSCRIBERS)
            .map(|at| Subscriber::new(&server, kinds[at % 4]))
            .collect();
        let before = server.resident_bytes();
        for letter in b"abc" {
            assert_eq!(publish(&mut control, &payload(*letter)), SUBSCRIBERS as i64);
        }
        control.run("PING");
        // Every one of them is owed nearly all of it, as Redis counts: what is left of three messages.
        let deadline = Instant::now() + Duration::from_secs(30);
        let owed = loop {
            let owed: usize = of_subscribers(&mut control, "omem").iter().sum();
            if owed > SUBSCRIBERS * 5 / 2 * MESSAGE_BYTES {
                break owed;
            }
            assert!(Instant::now() < deadline, "owed {owed}");
        };
        let pieces = of_subscribers(&mut control, "oll");
        assert!(pieces.iter().all(|count| (3..20).contains(count)));
        let grown = server.growth_below(before, 64 << 20);
        assert!(
            grown < 64 << 20,
            "{grown} bytes for {owed} owed, {}",
            server.name
        );
        for subscriber in subscribers.iter_mut().take(8) {
            for letter in b"abc" {
                subscriber.expect(&payload(*letter));
            }
        }
        assert_eq!(closed_for_output(&mut control), "0");
    }
}

#[test]
fn who_is_owed_more_than_the_hard_limit_is_closed_and_counted() {
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "pubsub 1mb 0 0");
        let mut control = server.connect();
        let mut slow: Vec<Subscriber> = (0..10)
            .map(|at| {
                Subscriber::new(
                    &server,
                    if at % 2 == 0 {
                        By::Name
                    } else {
                        By::PatternResp3
                    },
                )
            })
            .collect();
        let mut quick = Subscriber::new(&server, By::NameResp3);
        // One is below it, two are above: the whole length counts for each, though it is held once.
        assert_eq!(publish(&mut control, &payload(b'a')), 11);
        quick.expect(&payload(b'a'));
        assert_eq!(closed_for_output(&mut control), "0");
        assert_eq!(publish(&mut control, &payload(b'b')), 11);
        quick.expect(&payload(b'b'));
        wait_for_closed(&mut control, 10);
        for subscriber in &mut slow {
            subscriber.expect_closed();
        }
        assert_eq!(closed_for_output(&mut control), "10");
        // It has read the last bytes, perhaps before the server has noted that they are sent.
        let deadline = Instant::now() + Duration::from_secs(30);
        while of_subscribers(&mut control, "omem") != [0] {
            assert!(Instant::now() < deadline, "more than the quick one is left");
        }
        assert_eq!(publish(&mut control, &payload(b'c')), 1);
        quick.expect(&payload(b'c'));
    }
}

#[test]
fn what_a_subscriber_asked_for_counts_against_its_limit_as_what_is_published() {
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "pubsub 1mb 0 0");
        let mut control = server.connect();
        let value = vec![b'v'; 8 << 20];
        control.call(&[b"SET", b"key".as_slice(), &value]);
        let mut subscriber = server.connect();
        subscriber.run("HELLO 3");
        subscriber.run("SUBSCRIBE channel");
        subscriber.send_line("GET key");
        wait_for_closed(&mut control, 1);
        assert_eq!(publish(&mut control, b"nobody is left"), 0);
    }
}

#[test]
fn who_is_owed_more_than_the_soft_limit_for_some_seconds_is_closed() {
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "pubsub 0 300kb 1");
        let mut control = server.connect();
        let mut slow = Subscriber::new(&server, By::Name);
        let mut late = Subscriber::new(&server, By::NameResp3);
        let begun = Instant::now();
        assert_eq!(publish(&mut control, &payload(b'a')), 2);
        // Over the limit, and not for long: who reads now stays.
        assert_eq!(of_subscribers(&mut control, "omem").len(), 2);
        late.expect(&payload(b'a'));
        wait_for_closed(&mut control, 1);
        assert!(
            begun.elapsed() >= Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
        slow.expect_closed();
        assert_eq!(closed_for_output(&mut control), "1");
        // Being below it in between, the other begins anew.
        assert_eq!(publish(&mut control, &payload(b'b')), 1);
        late.expect(&payload(b'b'));
    }
}
