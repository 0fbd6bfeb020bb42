//! What a connection may rely on, whatever becomes of it: it moves between shards, ends, falls behind, waits, is paused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::server::info_field;
use support::{Client, Outcome, Server, for_each_shard_count};

/// Names that are spread over all shards.
fn names() -> Vec<String> {
    (0..12).map(|n| format!("name{n}")).collect()
}

/// Commands as they go over the wire.
fn encoded<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.as_ref().split(' ').collect();
        support::client::encode(&words, &mut bytes);
    }
    bytes
}

#[test]
fn a_connection_that_moves_is_not_caught_in_the_middle_of_a_command() {
    let server = Server::millrace(4);
    let mut pusher = server.connect();
    for far in names() {
        for near in names() {
            let mut client = server.connect();
            client.timeout = Duration::from_secs(5);
            // Enough for it to move to where `far` is at the end of its next turn, with more work behind it.
            for _ in 0..7 {
                client.run(&format!("GET {far}"));
            }
            let mut lines = vec![format!("GET {far}"); 160];
            lines.extend((0..256).map(|_| format!("GET {near}")));
            lines.push(format!("GET {far}"));
            lines.push(format!("BLPOP queue:{far} 5"));
            client.send_raw(&encoded(&lines));
            for _ in 1..lines.len() {
                assert!(client.reply().is_null());
            }
            pusher.run(&format!("LPUSH queue:{far} job"));
            assert_eq!(client.reply().items()[1].text(), "job", "{near} {far}");
        }
    }
    let info = pusher.run("INFO").text();
    let moves: u64 = info_field(&info, "millrace_migrations")
        .unwrap()
        .parse()
        .unwrap();
    assert!(moves > 10, "connections must have moved: {moves}");
}

/// A thread that sleeps wakes once a second by itself here: whoever had to wait for that would wait for half a minute.
#[test]
fn a_connection_that_moves_to_a_thread_that_sleeps_wakes_it() {
    let server = Server::millrace_with(4, &["--hz", "1"]);
    let began = Instant::now();
    for number in 0..60 {
        let mut client = server.connect();
        for _ in 0..20 {
            assert!(client.run(&format!("GET name{number}")).is_null());
        }
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{began:?}");
    let info = server.connect().run("INFO").text();
    let moves: u64 = info_field(&info, "millrace_migrations")
        .unwrap()
        .parse()
        .unwrap();
    assert!(moves > 20, "connections must have moved: {moves}");
}

/// The shard of a connection.
fn shard_of(control: &mut Client, id: i64) -> usize {
    let list = control.run("CLIENT LIST EXTENDED").text();
    let start = format!("id={id} ");
    let line = list.lines().find(|line| line.starts_with(&start));
    let mut words = line.unwrap().split(' ');
    let value = words.find_map(|word| word.strip_prefix("io-thread="));
    value.unwrap().parse().unwrap()
}

/// A client waits, and is served.
fn wait_and_be_served(client: &mut Client, pusher: &mut Client, key: &str) {
    client.send_line(&format!("BLPOP {key} 0"));
    until("it waits", || {
        let info = pusher.run("INFO clients").text();
        info_field(&info, "blocked_clients").unwrap() == "1"
    });
    pusher.run(&format!("RPUSH {key} x"));
    assert_eq!(client.reply().items()[1].text(), "x", "{key}");
}

#[test]
fn a_connection_that_always_waits_moves_to_its_key_and_goes_on() {
    const SHARDS: usize = 4;
    let server = Server::millrace(SHARDS);
    let mut pusher = server.connect();
    let mut moved = 0;
    for name in names() {
        let home = millrace::ids::shard_of(name.as_bytes(), SHARDS).index();
        let mut client = server.connect();
        let id = client.id();
        moved += usize::from(shard_of(&mut pusher, id) != home);
        until("it is where its key is", || {
            wait_and_be_served(&mut client, &mut pusher, &name);
            shard_of(&mut pusher, id) == home
        });
        (0..20).for_each(|_| wait_and_be_served(&mut client, &mut pusher, &name));
    }
    assert!(moved > 0, "some must have begun elsewhere");
}

/// Whoever unblocks may be faster than the thread of the client, which has not heard of the wait yet; and of two one is slower.
#[test]
fn each_unblock_that_wins_ends_one_wait_however_early_it_comes() {
    const COUNT: usize = 1_000;
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let unblock = format!("CLIENT UNBLOCK {}", client.id());
        let mut controls = [server.connect(), server.connect()];
        for name in names() {
            client.send_raw(&encoded(vec![format!("BLPOP {name} 0"); COUNT]));
            let (won, begun) = (AtomicUsize::new(0), Instant::now());
            std::thread::scope(|scope| {
                for control in &mut controls {
                    let (won, unblock) = (&won, &unblock);
                    scope.spawn(move || {
                        while won.load(Ordering::Acquire) < COUNT {
                            let wins = control.run(unblock).integer() as usize;
                            won.fetch_add(wins, Ordering::AcqRel);
                            assert!(begun.elapsed() < Duration::from_secs(60), "{won:?}");
                        }
                    });
                }
            });
            assert_eq!(won.into_inner(), COUNT, "{name}");
            (0..COUNT).for_each(|_| assert!(client.reply().is_null()));
            assert_eq!(client.run("PING").to_string(), "+PONG");
        }
    });
}

#[test]
fn what_was_sent_before_the_end_of_input_runs_and_is_answered() {
    const COUNT: usize = 2_000;
    for_each_shard_count(|server| {
        for name in names() {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            stream
                .write_all(&encoded((0..COUNT).map(|n| format!("LPUSH {name} {n}"))))
                .unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let answer = String::from_utf8(answer).unwrap();
            assert_eq!(answer.lines().count(), COUNT);
            assert!(answer.ends_with(&format!(":{COUNT}\r\n")));
        }
        // One that would have to wait is gone.
        let mut control = server.connect();
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
            .write_all(&encoded(["PING", "BLPOP none 0", "SET after 1"]))
            .unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"+PONG\r\n");
        assert_eq!(control.run("EXISTS after").integer(), 0);
    });
}

#[test]
fn nothing_is_delivered_after_the_end_of_a_subscription_is_confirmed() {
    for_each_shard_count(|server| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (mut publisher, stop) = (server.connect(), &stop);
                scope.spawn(move || {
                    let lines: Vec<String> = (0..32).map(|_| "PUBLISH news x".to_owned()).collect();
                    while !stop.load(Ordering::Acquire) {
                        publisher.pipeline(&lines);
                    }
                });
            }
            let mut client = server.connect();
            for round in 0..300 {
                let (begin, end) = [
                    ("SUBSCRIBE news", "UNSUBSCRIBE news"),
                    ("PSUBSCRIBE n*", "PUNSUBSCRIBE"),
                    ("SUBSCRIBE news", "RESET"),
                ][round % 3];
                client.send_line(begin);
                while client.reply().items()[0].text()
                    != begin.split(' ').next().unwrap().to_lowercase()
                {}
                std::thread::sleep(Duration::from_micros(500));
                client.send_line(end);
                client.send_line("PING");
                let mut reply = client.reply();
                while reply
                    .items()
                    .first()
                    .is_some_and(|kind| kind.text().ends_with("message"))
                {
                    reply = client.reply();
                }
                // The confirmation, then the answer, nothing between.
                let reply = client.reply().to_string();
                if reply != "+PONG" {
                    stop.store(true, Ordering::Release);
                }
                assert_eq!(reply, "+PONG", "round {round}");
            }
            stop.store(true, Ordering::Release);
        });
    });
}

#[test]
fn a_whole_pipeline_can_be_sent_before_the_first_reply_is_read() {
    const COUNT: usize = 200_000;
    for_each_shard_count(|server| {
        let mut control = server.connect();
        control.call(&["SET", "k", &"x".repeat(100)]);
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .write_all(&encoded((0..COUNT).map(|_| "GET k")))
            .unwrap();
        let mut answer = vec![0; COUNT * "$100\r\n\r\n".len() + COUNT * 100];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer.ends_with(b"x\r\n"));
        assert_eq!(control.run("PING").to_string(), "+PONG");
    });
}

#[test]
fn no_write_runs_after_client_pause_is_confirmed() {
    for_each_shard_count(|server| {
        let stop = AtomicBool::new(false);
        let names = names();
        let mut control = server.connect();
        let all = format!("MGET {}", names.join(" "));
        std::thread::scope(|scope| {
            for at in 0..4 {
                let (mut client, stop, names) = (server.connect(), &stop, &names);
                scope.spawn(move || {
                    client.timeout = Duration::from_secs(20);
                    let mut n = 0;
                    while !stop.load(Ordering::Acquire) {
                        n += 1;
                        let pairs: Vec<String> = names
                            .iter()
                            .skip(at)
                            .map(|name| format!("{name} {n}"))
                            .collect();
                        let lines = [
                            format!("MSET {}", pairs.join(" ")),
                            format!("SET {} {n}", names[at]),
                            "MULTI".to_owned(),
                            format!("INCR {}", names[at]),
                            format!("INCR {}", names[at + 4]),
                            "EXEC".to_owned(),
                        ];
                        client.pipeline(&lines);
                    }
                });
            }
            for round in 0..15 {
                assert_eq!(control.run("CLIENT PAUSE 60000 WRITE").to_string(), "+OK");
                let first = control.run(&all).to_string();
                // Each looks at all shards: what one of them let through would have run by the last.
                let later: Vec<String> = (0..30).map(|_| control.run(&all).to_string()).collect();
                control.run("CLIENT UNPAUSE");
                let has_changed = later.iter().any(|later| *later != first);
                if has_changed {
                    stop.store(true, Ordering::Release);
                }
                assert!(!has_changed, "round {round}: {first} became {later:?}");
                // The writers go on.
                let deadline = Instant::now() + Duration::from_secs(30);
                while control.run(&all).to_string() == first {
                    assert!(Instant::now() < deadline, "round {round}: nobody writes");
                }
            }
            stop.store(true, Ordering::Release);
        });
    });
}

#[test]
fn info_counts_what_has_been_acknowledged() {
    for_each_shard_count(|server| {
        let (mut writer, mut reader) = (server.connect(), server.connect());
        for count in 1..=100 {
            writer.run(&format!("SET key{count} v"));
            let info = reader.run("INFO keyspace").text();
            let shown = format!("db0:keys={count},");
            assert!(info.contains(&shown), "{shown} is not in {info}");
        }
    });
}

#[test]
fn who_waits_is_not_idle() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        control.run("CONFIG SET timeout 1");
        let mut waiting = server.connect();
        waiting.send_line("WAIT 1 2500");
        let mut paused = server.connect();
        assert_eq!(paused.run("PING").to_string(), "+PONG");
        let mut idle = server.connect();
        control.run("CLIENT PAUSE 2500 WRITE");
        paused.send_line("SET k v");
        let until = Instant::now() + Duration::from_secs(60);
        while idle.poll(Duration::from_millis(200)) != Outcome::Closed {
            assert!(Instant::now() < until, "the idle one is closed");
            control.run("PING");
        }
        let kept = |client: &mut Client| match client.poll(client.timeout) {
            Outcome::Reply(reply) => String::from_utf8(reply).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(kept(&mut waiting), ":0\r\n");
        assert_eq!(kept(&mut paused), "+OK\r\n");
    });
}

#[test]
fn a_normal_client_over_its_output_limit_is_closed() {
    let options = ["--client-output-buffer-limit", "normal 1mb 0 0"];
    for shards in [1, 4] {
        let server = Server::millrace_with(shards, &options);
        let mut control = server.connect();
        control.call(&["SET", "big", &"x".repeat(3_000_000)]);
        let mut client = server.connect();
        client.send_line("GET big");
        assert_eq!(client.poll(Duration::from_secs(5)), Outcome::Closed);
        assert_eq!(control.run("STRLEN big").integer(), 3_000_000);
    }
}

#[test]
fn a_process_that_panics_says_in_which_command() {
    let mut server = Server::millrace(2);
    let mut client = server.connect();
    client.send_line("DEBUG PANIC");
    assert_eq!(client.poll(Duration::from_secs(10)), Outcome::Closed);
    assert_ne!(server.wait_for_exit(), Some(0));
    let log = server.log();
    assert!(
        log.contains("panicked in 'debug': the process ends"),
        "{log}"
    );
}

/// A field of the line that CLIENT LIST has of a connection.
fn listed(control: &mut Client, id: i64, field: &str) -> u64 {
    let list = control.run(&format!("CLIENT LIST ID {id}")).text();
    let mut words = list.split_whitespace();
    let value = words.find_map(|word| word.strip_prefix(field)?.strip_prefix('='));
    value.map_or(0, |value| value.parse().unwrap())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a client that waits may send at full speed; what it may have sent and have kept; and one read more, bytes.
const FAST_BYTES: usize = 16 * 1024 * 1024;
const KEPT_BYTES: usize = 32 * 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;

#[test]
fn what_a_client_sends_while_it_waits_is_kept_up_to_a_limit_and_runs_when_it_goes_on() {
    const SET_COUNT: usize = 2000;
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let mut client = server.connect();
        let id = client.id();
        client.send_line("BLPOP queue 0");
        let value = "v".repeat(30_000);
        let sets = encoded((0..SET_COUNT).map(|n| format!("SET key{n} {value}")));
        let mut writing = client.stream().try_clone().unwrap();
        std::thread::scope(|scope| {
            // More than sockets hold: this ends when the client goes on.
            scope.spawn(move || writing.write_all(&sets).unwrap());
            until("much is kept", || {
                listed(&mut control, id, "qbuf") >= FAST_BYTES as u64
            });
            for _ in 0..100 {
                let kept = listed(&mut control, id, "qbuf") as usize;
                assert!(kept <= KEPT_BYTES + READ_BYTES, "kept: {kept}");
            }
            assert_eq!(control.run("EXISTS key0").integer(), 0);
            control.run("RPUSH queue job");
            assert_eq!(client.reply().items()[1].text(), "job");
            for _ in 0..SET_COUNT {
                assert_eq!(client.reply().text(), "OK");
            }
        });
        let last = format!("STRLEN key{}", SET_COUNT - 1);
        assert_eq!(control.run(&last).integer(), value.len() as i64);
    });
}

#[test]
fn a_client_that_is_gone_waits_no_longer_however_much_it_sent() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        // All of it is read; it ends behind what is read, in the socket.
        for behind in [1000, 3_000_000, FAST_BYTES + READ_BYTES / 2] {
            let mut client = TcpStream::connect(server.address()).unwrap();
            client.write_all(&encoded(["BLPOP queue 0"])).unwrap();
            client.write_all(&vec![b'x'; behind]).unwrap();
            until("it waits", || {
                let info = control.run("INFO clients").text();
                info_field(&info, "blocked_clients").unwrap() == "1"
            });
            drop(client);
            until("it is gone", || {
                let info = control.run("INFO clients").text();
                info_field(&info, "blocked_clients").unwrap() == "0"
            });
            control.run("RPUSH queue job");
            assert_eq!(control.run("LPOP queue").text(), "job");
        }
    });
}

#[test]
fn a_client_that_is_gone_waits_no_longer_though_its_end_is_behind_what_sockets_hold() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let mut client = server.connect();
        let id = client.id();
        client.send_line("BLPOP queue 0");
        let mut stream = client.stream().try_clone().unwrap();
        stream.set_nonblocking(true).unwrap();
        let piece = vec![b'x'; 1024 * 1024];
        until("both sockets are full", || {
            let is_full = stream.write(&piece).is_err();
            is_full && listed(&mut control, id, "qbuf") >= FAST_BYTES as u64
        });
        drop((client, stream));
        until("it is gone", || {
            let info = control.run("INFO clients").text();
            info_field(&info, "blocked_clients").unwrap() == "0"
        });
    });
}

#[test]
fn a_client_that_does_not_read_is_stopped_and_gets_every_reply_when_it_does() {
    const STOPPED_BYTES: u64 = 64 * 1024 * 1024;
    const COUNT: usize = 5_000;
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let value = "v".repeat(20_000);
        control.run(&format!("SET key {value}"));
        let mut client = server.connect();
        client.timeout = Duration::from_secs(60);
        let id = client.id();
        client.send_raw(&encoded((0..COUNT).map(|_| "GET key")));
        until("it is stopped", || {
            listed(&mut control, id, "omem") > STOPPED_BYTES
        });
        for _ in 0..100 {
            // A turn more may have run.
            let unread = listed(&mut control, id, "omem");
            assert!(unread < STOPPED_BYTES + 4 * 1024 * 1024, "unread: {unread}");
        }
        for _ in 0..COUNT {
            assert_eq!(client.reply().text().len(), value.len());
        }
    });
}

#[test]
fn a_pipeline_longer_than_sockets_hold_can_be_sent_before_its_long_replies_are_read() {
    const COUNT: usize = 80_000;
    for_each_shard_count(|server| {
        let mut client = server.connect();
        client.timeout = Duration::from_secs(60);
        let (key, value) = ("k".repeat(250), "v".repeat(2_000));
        client.run(&format!("SET {key} {value}"));
        let get = format!("GET {key}");
        let mut writing = client.stream().try_clone().unwrap();
        writing
            .write_all(&encoded((0..COUNT).map(|_| &get)))
            .unwrap();
        for _ in 0..COUNT {
            assert_eq!(client.reply().text().len(), value.len());
        }
    });
}
