//! What a connection may rely on, whatever becomes of it: it moves between shards, ends, falls behind, waits, is paused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
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
                std::thread::sleep(Duration::from_millis(3));
                let second = control.run(&all).to_string();
                control.run("CLIENT UNPAUSE");
                if first != second {
                    stop.store(true, Ordering::Release);
                }
                assert_eq!(first, second, "round {round}");
                std::thread::sleep(Duration::from_millis(2));
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
        let until = Instant::now() + Duration::from_secs(8);
        while idle.poll(Duration::from_millis(200)) != Outcome::Closed {
            assert!(Instant::now() < until, "the idle one is closed");
            control.run("PING");
        }
        let kept = |client: &mut Client| match client.poll(Duration::from_secs(5)) {
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
