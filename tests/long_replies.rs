//! Replies that are encoded as they leave: what arrives is what was there when the command ran, however slowly it is read and
//! whatever happens meanwhile; and who does not read holds no copy of it.
//!
//! Slow readers are on a unix socket: little fits into it, and the kernel does not enlarge it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use support::client::encode;
use support::server::info_field;
use support::{Client, Frame, Server, shard_counts};

const ELEMENTS: usize = 100_000;

fn element(number: usize, bytes: usize) -> Vec<u8> {
    format!("{number:0bytes$}").into_bytes()
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A list of numbers written with so many digits, and LRANGE's reply to all of it.
fn fill_list(control: &mut Client, key: &str, bytes: usize) -> Vec<u8> {
    let mut reply = format!("*{ELEMENTS}\r\n").into_bytes();
    for first in (0..ELEMENTS).step_by(1000) {
        let mut command = vec![b"RPUSH".to_vec(), key.as_bytes().to_vec()];
        command.extend((first..first + 1000).map(|number| element(number, bytes)));
        control.call(&command);
        command[2..]
            .iter()
            .for_each(|element| reply.extend(bulk(element)));
    }
    reply
}

/// A stream of so many entries, and XRANGE's reply to all of it.
fn fill_stream(control: &mut Client, key: &str, bytes: usize) -> Vec<u8> {
    let mut reply = format!("*{ELEMENTS}\r\n").into_bytes();
    for first in (1..=ELEMENTS).step_by(1000) {
        let mut commands = Vec::new();
        for number in first..first + 1000 {
            let (id, value) = (format!("{number}-7"), element(number, bytes));
            encode(
                &[
                    b"XADD".as_slice(),
                    key.as_bytes(),
                    id.as_bytes(),
                    b"field",
                    &value,
                ],
                &mut commands,
            );
            let parts = [
                bulk(id.as_bytes()),
                b"*2\r\n".to_vec(),
                bulk(b"field"),
                bulk(&value),
            ];
            reply.extend([b"*2\r\n".as_slice(), &parts.concat()].concat());
        }
        control.send_raw(&commands);
        (0..1000).for_each(|_| drop(control.raw_reply()));
    }
    reply
}

/// A client that reads only when it is told to.
struct Slow {
    stream: UnixStream,
}

impl Slow {
    fn new(server: &Server) -> Self {
        let stream = UnixStream::connect(server.directory().join("socket")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self { stream }
    }

    fn send(&mut self, line: &str) {
        let mut bytes = Vec::new();
        encode(&line.split(' ').collect::<Vec<_>>(), &mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    fn expect(&mut self, reply: &[u8]) {
        let mut got = vec![0; reply.len()];
        self.stream.read_exact(&mut got).unwrap();
        let differs = got
            .iter()
            .zip(reply)
            .position(|(got, wanted)| got != wanted);
        assert!(differs.is_none(), "byte {differs:?} of {}", reply.len());
    }

    fn expect_end(&mut self, at_most: usize) {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        assert!(rest.len() < at_most, "it was sent {}", rest.len());
    }
}

/// The field `name` of the other clients' lines of CLIENT LIST.
fn of_others(control: &mut Client, name: &str) -> Vec<usize> {
    let own = format!("id={} ", control.id());
    let list = control.run("CLIENT LIST TYPE normal").text();
    let others = list.lines().filter(|line| !line.starts_with(&own));
    let field = |line: &str| {
        let mut words = line.split(' ').filter_map(|word| word.split_once('='));
        let (_, value) = words.find(|(other, _)| *other == name).unwrap();
        value.parse().unwrap()
    };
    others.map(field).collect()
}

/// Waits until that holds of the others' unsent output.
fn until_owed(control: &mut Client, holds: impl Fn(&[usize]) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let owed = of_others(control, "omem");
        if holds(&owed) {
            return;
        }
        assert!(Instant::now() < deadline, "owed {owed:?}");
    }
}

#[test]
fn a_slow_reader_gets_what_was_there_when_it_asked() {
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "normal 0 0 0");
        let mut control = server.connect();
        let list = fill_list(&mut control, "list", 50);
        let stream = fill_stream(&mut control, "stream", 50);
        let mut readers = Vec::new();
        for (line, reply) in [("LRANGE list 0 -1", &list), ("XRANGE stream - +", &stream)] {
            for hello in ["HELLO 2", "HELLO 3"] {
                let mut slow = Slow::new(&server);
                slow.send(hello);
                slow.send(line);
                slow.send("PING");
                readers.push((slow, reply));
            }
        }
        // All have begun: each is owed most of it.
        until_owed(&mut control, |owed| {
            owed.iter().filter(|owed| **owed > 4_000_000).count() == 4
        });
        for line in [
            "LSET list 50000 changed",
            "LTRIM list 20 -20",
            "LPUSH list first",
            "RPUSH list last",
            "LREM list 0 none",
            "DEL list",
            "XDEL stream 500-7 50000-7 99999-7",
            "XADD stream * f v",
            "XTRIM stream MAXLEN 1000",
            "SET stream gone",
        ] {
            control.run(line);
        }
        for (slow, reply) in &mut readers {
            // HELLO's reply ends with the modules, of which there are none.
            let mut greeting = Vec::new();
            while !greeting.ends_with(b"modules\r\n*0\r\n") {
                let mut byte = [0];
                slow.stream.read_exact(&mut byte).unwrap();
                greeting.push(byte[0]);
            }
            slow.expect(reply);
            slow.expect(b"+PONG\r\n");
        }
        until_owed(&mut control, |owed| owed.iter().all(|owed| *owed == 0));
    }
}

#[test]
fn who_does_not_read_a_hundred_megabytes_costs_little_and_can_be_killed() {
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "normal 0 0 0");
        let mut control = server.connect();
        let reply = fill_list(&mut control, "list", 1000);
        let before = server.resident_bytes();
        let mut readers: Vec<Slow> = (0..10).map(|_| Slow::new(&server)).collect();
        for slow in &mut readers {
            slow.send("LRANGE list 0 -1");
        }
        // As Redis counts it: the whole reply.
        until_owed(&mut control, |owed| {
            owed.len() == 10
                && owed
                    .iter()
                    .all(|owed| (95_000_000..105_000_000).contains(owed))
        });
        let grown = server.growth_below(before, 32 << 20);
        assert!(
            grown < 32 << 20,
            "{grown} bytes for ten readers, {}",
            server.name
        );
        for slow in &mut readers[..5] {
            slow.expect(&reply[..3_000_000]);
        }
        let (id, own) = (of_others(&mut control, "id"), control.id());
        for id in id.iter().filter(|id| **id as i64 != own).take(9) {
            assert_eq!(control.run(&format!("CLIENT KILL ID {id}")).integer(), 1);
        }
        // The last of them still reads, though the list goes; the others are told no more than was on its way.
        assert_eq!(control.run("DEL list").integer(), 1);
        let mut last = readers.pop().unwrap();
        last.expect(&reply);
        for slow in &mut readers {
            slow.expect_end(5_000_000);
        }
        assert_eq!(control.run("PING").to_string(), "+PONG");
    }
}

#[test]
fn the_whole_reply_counts_against_the_limit_of_the_output() {
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "normal 4mb 0 0");
        let mut control = server.connect();
        fill_list(&mut control, "list", 100);
        let mut slow = Slow::new(&server);
        slow.send("LRANGE list 0 -1");
        slow.expect_end(4 << 20);
        let mut within = Slow::new(&server);
        within.send("LRANGE list 0 9999");
        within.expect(b"*10000\r\n$100\r\n");
        let info = control.run("INFO stats").text();
        let closed = info_field(&info, "client_output_buffer_limit_disconnections");
        assert_eq!(closed.as_deref(), Some("1"), "{}", server.name);
    }
}

#[test]
fn long_replies_follow_each_other_in_their_order() {
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "normal 0 0 0");
        let mut control = server.connect();
        let list = fill_list(&mut control, "list", 20);
        let stream = fill_stream(&mut control, "stream", 20);
        let [first, last] = [b"$20\r\n00000000000000000000\r\n".as_slice(), b"*0\r\n"];
        let mut slow = Slow::new(&server);
        for line in [
            "MULTI",
            "LRANGE list 0 -1",
            "LINDEX list 0",
            "XRANGE stream - +",
            "LRANGE none 0 -1",
            "DEL list",
            "LRANGE list 0 -1",
            "EXEC",
            "ECHO behind",
            "XREAD STREAMS stream 0",
            "CLIENT REPLY SKIP",
            "XRANGE stream - +",
            "XRANGE stream - +",
            "ECHO end",
        ] {
            slow.send(line);
        }
        slow.expect(b"+OK\r\n");
        (0..6).for_each(|_| slow.expect(b"+QUEUED\r\n"));
        slow.expect(b"*6\r\n");
        for part in [&list, first, &stream, last, b":1\r\n", last] {
            slow.expect(part);
        }
        slow.expect(b"$6\r\nbehind\r\n*1\r\n*2\r\n$6\r\nstream\r\n");
        slow.expect(&stream);
        slow.expect(&stream);
        slow.expect(b"$3\r\nend\r\n");
    }
}

/// Sets so many keys `key:<n>`.
fn fill_keys(control: &mut Client, count: usize) {
    for first in (0..count).step_by(1000) {
        let mut command = vec![b"MSET".to_vec()];
        for number in first..first + 1000 {
            command.extend([format!("key:{number}").into_bytes(), b"1".to_vec()]);
        }
        control.call(&command);
    }
}

/// The numbers behind the colon in the keys of a reply, ascending.
fn numbers(reply: &Frame) -> Vec<usize> {
    let Frame::Array(keys) = reply else {
        panic!("not an array: {reply}")
    };
    let number = |key: &Frame| {
        let text = key.text();
        text.split_once(':').unwrap().1.parse().unwrap()
    };
    let mut numbers: Vec<usize> = keys.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn keys_over_very_many_gives_those_of_one_moment() {
    const KEYS: usize = 30_000;
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "normal 0 0 0");
        let mut control = server.connect();
        fill_keys(&mut control, KEYS);
        let all: Vec<usize> = (0..KEYS).collect();
        let mut renamer = server.connect();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let renames = scope.spawn(|| {
                let mut renamed = 0;
                for number in (0..KEYS).step_by(7).cycle() {
                    if over.load(std::sync::atomic::Ordering::Relaxed) {
                        return renamed;
                    }
                    // There and back: at every moment the key has one of its names.
                    renamer.pipeline(&[
                        format!("RENAME key:{number} other:{number}"),
                        format!("RENAME other:{number} key:{number}"),
                        format!("RENAME key:{number} another:{number}"),
                        format!("RENAME another:{number} key:{number}"),
                    ]);
                    renamed += 4;
                }
                unreachable!("a cycle")
            });
            for pattern in ["*", "*:*", "*[0-9]"].iter().cycle().take(12) {
                assert!(
                    numbers(&control.run(&format!("KEYS {pattern}"))) == all,
                    "{}",
                    server.name
                );
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(renames.join().unwrap() > 0);
        });
        let prefixed = control.run("KEYS key:12*");
        assert_eq!(numbers(&prefixed).len(), 1111);
        // In its place among the commands of its client; in EXEC; without a reply.
        control.send_raw(b"KEYS *\r\nSET new:1 x\r\nMULTI\r\nKEYS *\r\nDEL new:1\r\nEXEC\r\nCLIENT REPLY SKIP\r\nKEYS *\r\nFLUSHALL\r\nKEYS *\r\n");
        assert!(numbers(&control.reply()) == all);
        for _ in 0..4 {
            control.raw_reply();
        }
        let Frame::Array(parts) = control.reply() else {
            panic!("EXEC")
        };
        assert_eq!(numbers(&parts[0]).len(), KEYS + 1);
        assert_eq!(control.reply().to_string(), "+OK");
        assert_eq!(control.reply(), Frame::Array(Vec::new()));
    }
}

/// What KEYS names was there when it began: a client that has it in its cache hears of the end of it afterwards.
#[test]
fn a_cache_is_told_behind_keys_of_what_ended_since_it_began() {
    const KEYS: usize = 30_000;
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut control = server.connect();
        fill_keys(&mut control, KEYS);
        let mut client = server.connect_resp3();
        client.run("CLIENT TRACKING ON");
        for round in 0..100 {
            control.run("SET cached v");
            client.run("GET cached");
            client.send_line("KEYS cached");
            // Another thread is in the middle of the walk, or has not begun.
            std::thread::sleep(Duration::from_micros(round * 20));
            control.run("DEL cached");
            let replies = [client.raw_reply(), client.raw_reply()];
            let keys = replies.iter().position(|reply| reply.starts_with(b"*"));
            let keys = keys.expect("the reply to KEYS");
            let names_it = replies[keys].starts_with(b"*1");
            assert_eq!(keys == 0, names_it, "round {round}: {replies:?}");
        }
    }
}

#[test]
fn a_flush_does_not_take_from_keys_what_was_there_and_who_leaves_is_not_missed() {
    const KEYS: usize = 30_000;
    for shards in shard_counts() {
        let server = Server::millrace_with_output_limit(shards, "normal 0 0 0");
        let mut control = server.connect();
        for round in 0..5 {
            fill_keys(&mut control, KEYS);
            let mut asking = server.connect();
            let mut leaving = server.connect();
            asking.run("PING");
            // Before or after the flush, but never in part.
            asking.send_line("KEYS *");
            leaving.send_line("KEYS *");
            drop(leaving);
            control.run(if round % 2 == 0 {
                "FLUSHALL"
            } else {
                "SWAPDB 0 1"
            });
            let found = numbers(&asking.reply()).len();
            assert!(found == KEYS || found == 0, "{found}");
            control.run("FLUSHALL");
        }
        assert_eq!(control.run("DBSIZE").integer(), 0);
    }
}
