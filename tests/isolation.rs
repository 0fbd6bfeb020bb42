//! What several clients at once can see of each other's work: whole transactions only, a connection's commands in their order,
//! nothing of how connections and keys are spread over shards.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "isolation/publications.rs"]
mod publications;
mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::frame::printable;
use support::server::info_field;
use support::{Client, Frame, Outcome, Random, Server, for_each_shard_count};

/// Names that fall on different shards.
const ACCOUNTS: usize = 8;
/// In all accounts together.
const SUM: i64 = 8_000;

fn number(frame: &Frame) -> i64 {
    frame.text().parse().unwrap()
}

/// Runs at the end of a scope, a failed check included: the other threads must stop then, or the test hangs.
struct AtEnd<F: Fn()>(F);

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Moves amounts between accounts, in MULTI; now and then by WATCH, reading first.
fn transfer(mut client: Client, seed: u64, rounds: u64) -> u64 {
    let mut random = Random::new(seed);
    let mut refused = 0;
    for _ in 0..rounds {
        let from = random.below(ACCOUNTS);
        let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
        let (from, to) = (format!("account{from}"), format!("account{to}"));
        if random.percent(70) {
            let replies = client.pipeline(&[
                "MULTI".to_owned(),
                format!("DECRBY {from} 7"),
                format!("INCRBY {to} 7"),
                "EXEC".to_owned(),
            ]);
            assert_eq!(replies[3].items().len(), 2, "{}", replies[3]);
        } else {
            client.run(&format!("WATCH {from} {to}"));
            let read = client.run(&format!("MGET {from} {to}"));
            let (less, more) = (number(&read.items()[0]) - 5, number(&read.items()[1]) + 5);
            client.run("MULTI");
            client.run(&format!("SET {from} {less}"));
            client.run(&format!("SET {to} {more}"));
            refused += u64::from(client.run("EXEC").is_null());
        }
    }
    refused
}

/// Moves tokens between lists.
fn shuffle(mut client: Client, seed: u64, rounds: u64) {
    let mut random = Random::new(seed);
    for _ in 0..rounds {
        let (from, to) = (random.below(4), random.below(4));
        let side = random.pick(&["LEFT", "RIGHT"]);
        match random.below(4) {
            0 => client.run(&format!("RPOPLPUSH tokens{from} tokens{to}")),
            1 => client.run(&format!("BLMOVE tokens{from} tokens{to} {side} LEFT 0.001")),
            _ => client.run(&format!("LMOVE tokens{from} tokens{to} {side} RIGHT")),
        };
    }
}

#[test]
fn readers_always_see_whole_transfers() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        for at in 0..ACCOUNTS {
            control.run(&format!("SET account{at} {}", SUM / ACCOUNTS as i64));
        }
        control.run("RPUSH tokens0 a b c d e f g h i j k l");
        let stop = AtomicBool::new(false);
        let (reads, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let _stopper = AtEnd(|| stop.store(true, Ordering::Release));
            for _ in 0..2 {
                let (mut client, stop, reads) = (server.connect(), &stop, &reads);
                scope.spawn(move || {
                    let names: Vec<String> =
                        (0..ACCOUNTS).map(|at| format!("account{at}")).collect();
                    while !stop.load(Ordering::Acquire) {
                        let mut lines = vec!["MULTI".to_owned()];
                        lines.extend(names.iter().map(|name| format!("GET {name}")));
                        lines.extend((0..4).map(|at| format!("LLEN tokens{at}")));
                        lines.push("EXEC".to_owned());
                        let replies = client.pipeline(&lines);
                        let seen = replies[lines.len() - 1].items();
                        let sum: i64 = seen[..ACCOUNTS].iter().map(number).sum();
                        assert_eq!(sum, SUM, "in MULTI");
                        let tokens: i64 = seen[ACCOUNTS..].iter().map(Frame::integer).sum();
                        assert_eq!(tokens, 12, "no token is between two lists");
                        let read = client.run(&format!("MGET {}", names.join(" ")));
                        let sum: i64 = read.items().iter().map(number).sum();
                        assert_eq!(sum, SUM, "by MGET");
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let writers: Vec<_> = (0..3)
                .map(|at| {
                    let (client, refused) = (server.connect(), &refused);
                    scope.spawn(move || {
                        refused.fetch_add(transfer(client, at, 1_000), Ordering::Relaxed)
                    })
                })
                .collect();
            let shufflers: Vec<_> = (0..2)
                .map(|at| {
                    let client = server.connect();
                    scope.spawn(move || shuffle(client, 50 + at, 2_000))
                })
                .collect();
            writers.into_iter().for_each(|writer| {
                writer.join().unwrap();
            });
            shufflers
                .into_iter()
                .for_each(|other| other.join().unwrap());
        });
        assert!(reads.into_inner() > 50, "readers must have had their turn");
        assert!(
            refused.into_inner() > 0,
            "some WATCH must have met a change, or nothing ran at once"
        );
    });
}

#[test]
fn who_is_woken_sees_what_the_same_pipeline_wrote_before() {
    const JOBS: usize = 1_500;
    for_each_shard_count(|server| {
        std::thread::scope(|scope| {
            for popper in 0..3 {
                let mut client = server.connect();
                scope.spawn(move || {
                    for _ in 0..JOBS / 3 {
                        let job = client.run("BLPOP queue 20").items()[1].text();
                        let body = client.run(&format!("GET job:{job}"));
                        assert_eq!(body.text(), format!("body {job}"), "popper {popper}");
                    }
                });
            }
            let mut reader = server.connect();
            scope.spawn(move || {
                let mut last = "0-0".to_owned();
                let mut seen = 0;
                while seen < JOBS {
                    let reply =
                        reader.run(&format!("XREAD COUNT 5 BLOCK 20000 STREAMS log {last}"));
                    for entry in reply.items()[0].items()[1].items() {
                        last = entry.items()[0].text();
                        let job = entry.items()[1].items()[1].text();
                        let body = reader.run(&format!("GET job:{job}"));
                        assert_eq!(body.text(), format!("body {job}"), "reader of the stream");
                        seen += 1;
                    }
                }
            });
            let (mut subscriber, mut asker) = (server.connect(), server.connect());
            subscriber.run("SUBSCRIBE news");
            scope.spawn(move || {
                for _ in 0..JOBS {
                    let job = subscriber.reply().items()[2].text();
                    let body = asker.run(&format!("GET job:{job}"));
                    assert_eq!(body.text(), format!("body {job}"), "subscriber");
                }
            });
            let mut producer = server.connect();
            scope.spawn(move || {
                for job in 0..JOBS {
                    for words in [
                        vec![
                            "SET".to_owned(),
                            format!("job:{job}"),
                            format!("body {job}"),
                        ],
                        vec!["LPUSH".to_owned(), "queue".to_owned(), job.to_string()],
                        ["XADD", "log", "*", "job", &job.to_string()]
                            .map(str::to_owned)
                            .to_vec(),
                        vec!["PUBLISH".to_owned(), "news".to_owned(), job.to_string()],
                    ] {
                        producer.send(&words);
                    }
                    if job % 15 == 14 {
                        (0..60).for_each(|_| assert!(!producer.reply().is_error()));
                    }
                }
            });
        });
    });
}

#[test]
fn connections_can_be_listed_and_killed_while_they_move_between_shards() {
    let server = Server::millrace(4);
    let stop = AtomicBool::new(false);
    let (killed, rounds) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stopper = AtEnd(|| stop.store(true, Ordering::Release));
        for worker in 0..8 {
            let (server, stop, rounds, killed) = (&server, &stop, &rounds, &killed);
            scope.spawn(move || {
                let mut random = Random::new(worker);
                let mut client = server.connect();
                let mut value = 0;
                while !stop.load(Ordering::Acquire) {
                    // Long enough on one key for the connection to move to its shard.
                    let key = format!("worker{worker}:{}", random.below(40));
                    for _ in 0..40 {
                        value += 1;
                        client.send_line(&format!("SET {key} {value}"));
                        client.send_line(&format!("GET {key}"));
                        let answers = [(); 2].map(|()| client.poll(Duration::from_secs(10)));
                        if answers.contains(&Outcome::Closed) {
                            killed.fetch_add(1, Ordering::Relaxed);
                            client = server.connect();
                            continue;
                        }
                        let [Outcome::Reply(ok), Outcome::Reply(read)] = &answers else {
                            panic!("worker {worker} hangs: {answers:?}");
                        };
                        assert_eq!(ok, b"+OK\r\n");
                        let text = value.to_string();
                        assert_eq!(
                            printable(read),
                            printable(format!("${}\r\n{text}\r\n", text.len()).as_bytes())
                        );
                        rounds.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut control = server.connect();
        let own = control.id();
        let mut random = Random::new(99);
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            let list = control.run("CLIENT LIST").text();
            let ids: Vec<i64> = list
                .lines()
                .map(|line| line.split(' ').next().unwrap()[3..].parse().unwrap())
                .collect();
            assert!(ids.contains(&own), "the list has everybody: {list}");
            let other = random.pick(&ids);
            if other != own && random.percent(30) {
                let reply = control.run(&format!("CLIENT KILL ID {other}")).integer();
                assert!((0..=1).contains(&reply));
                let list = control.run(&format!("CLIENT LIST ID {other}")).text();
                assert!(list.is_empty(), "killed and still there: {list}");
            }
        }
    });
    let mut control = server.connect();
    let info = control.run("INFO").text();
    let field = |name: &str| -> u64 { info_field(&info, name).unwrap().parse().unwrap() };
    assert!(
        field("millrace_migrations") > 20,
        "connections must have moved"
    );
    assert!(killed.into_inner() > 5, "connections must have been killed");
    assert!(
        rounds.into_inner() > 1_000,
        "and the others must have worked"
    );
    let deadline = Instant::now() + Duration::from_secs(5);
    while control.run("CLIENT LIST").text().lines().count() > 1 {
        assert!(
            Instant::now() < deadline,
            "nobody else is connected any more"
        );
    }
}

#[test]
fn info_behind_writes_in_a_pipeline_counts_them_whatever_shard_they_went_to() {
    for shards in [1, 2, 4] {
        let server = Server::millrace(shards);
        let mut client = server.connect();
        for count in 1..=40 {
            let write = format!("SET name{count} value");
            let info = client.pipeline(&[write.as_str(), "INFO keyspace"])[1].text();
            assert!(info.contains(&format!("keys={count},")), "{info}");
        }
    }
}

/// The longest time without an answer to a client that asks the same again and again.
fn longest_silence(mut client: Client, line: &str, stop: &AtomicBool) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while !stop.load(Ordering::Acquire) {
        client.run(line);
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    longest
}

/// Commands on another shard's key and DEBUG SLEEP in one pipeline: that shard does not sleep.
#[test]
fn a_sleeping_shard_keeps_no_other_from_its_keys() {
    const SLEEP: Duration = Duration::from_secs(4);
    let server = Server::millrace(2);
    let stop = AtomicBool::new(false);
    // Two of each on either shard.
    let lines = ["PING", "GET a", "GET b"].map(|line| [line; 4]).concat();
    let clients: Vec<Client> = lines.iter().map(|_| server.connect()).collect();
    let mut sleeper = server.connect();
    let asleep = std::thread::scope(|scope| {
        let asked: Vec<_> = std::iter::zip(clients, &lines)
            .map(|(client, line)| scope.spawn(|| longest_silence(client, line, &stop)))
            .collect();
        // Keys of both shards, so one of them is not the sleeper's.
        let sleep = format!("GET a\r\nGET b\r\nDEBUG SLEEP {}\r\n", SLEEP.as_secs());
        sleeper.send_raw(sleep.as_bytes());
        let ended = AtEnd(|| stop.store(true, Ordering::Release));
        (0..3).for_each(|_| drop(sleeper.raw_reply()));
        drop(ended);
        let longest = asked.into_iter().map(|asked| asked.join().unwrap());
        // Some may have begun to ask when the sleep had.
        let kept = |longest: Duration| longest >= SLEEP * 3 / 4;
        longest.map(kept).collect::<Vec<bool>>()
    });
    let count = |kept: &[bool]| kept.iter().filter(|kept| **kept).count();
    assert_eq!(
        count(&asleep[..4]),
        2,
        "the other shard is awake: {asleep:?}"
    );
    // Of keys, whichever shard they are at home on, are kept those clients only that live with the sleeper. Who asks long enough
    // for keys of the sleeping shard moves to it.
    let mut kept = [count(&asleep[4..8]), count(&asleep[8..])];
    kept.sort_unstable();
    assert!(kept[0] <= 2 && kept[1] == 4, "{asleep:?}");
}

/// Bytes of a message of the flood.
const MESSAGE_BYTES: usize = 16 * 1024;

/// A client of a shard that is awake while another sleeps: it is answered again and again while one of another shard is not.
fn awake_client(server: &Server) -> Client {
    const ROUNDS: usize = 100;
    let mut clients: Vec<(Client, usize)> = (0..8).map(|_| (server.connect(), 0)).collect();
    clients
        .iter_mut()
        .for_each(|(client, _)| client.send_line("PING"));
    loop {
        for (client, answers) in &mut clients {
            if let Outcome::Reply(_) = client.poll(Duration::ZERO) {
                *answers += 1;
                client.send_line("PING");
            }
        }
        let least = clients.iter().map(|(_, answers)| *answers).min().unwrap();
        let ahead = clients
            .iter()
            .position(|(_, answers)| *answers > least + ROUNDS);
        if let Some(at) = ahead {
            let (mut client, _) = clients.swap_remove(at);
            client.raw_reply();
            return client;
        }
    }
}

#[test]
fn a_publisher_at_full_speed_against_a_sleeping_shard_is_slowed_down_and_loses_nothing() {
    let server = Server::millrace_with(4, &["--client-output-buffer-limit", "pubsub 0 0 0"]);
    let subscribers: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = server.connect();
            client.timeout = Duration::from_secs(30);
            client.run("SUBSCRIBE flood");
            client
        })
        .collect();
    let mut sleeper = server.connect();
    let before = server.resident_bytes();
    sleeper.send_line("DEBUG SLEEP 2");
    let mut publisher = awake_client(&server);
    let asleep_until = Instant::now() + Duration::from_millis(1_400);
    let mut message = vec![b'.'; MESSAGE_BYTES];
    let sent = AtomicU64::new(0);
    let mut most = before;
    let last = AtomicU64::new(u64::MAX);
    std::thread::scope(|scope| {
        let _all_sent = AtEnd(|| last.store(sent.load(Ordering::Acquire), Ordering::Release));
        for mut subscriber in subscribers {
            let last = &last;
            scope.spawn(move || {
                let mut expected = 0;
                while expected < last.load(Ordering::Acquire) {
                    let Outcome::Reply(raw) = subscriber.poll(Duration::from_millis(500)) else {
                        continue;
                    };
                    let message = Frame::parse(&raw);
                    let number = &message.items()[2].bytes()[..8];
                    assert_eq!(
                        number,
                        format!("{expected:08}").as_bytes(),
                        "in order, none missing"
                    );
                    expected += 1;
                }
            });
        }
        let stream = publisher.stream().try_clone().unwrap();
        stream
            .set_write_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        while Instant::now() < asleep_until {
            let number = sent.load(Ordering::Acquire);
            message[..8].copy_from_slice(format!("{number:08}").as_bytes());
            let mut bytes = Vec::new();
            support::client::encode(&[&b"PUBLISH"[..], b"flood", &message], &mut bytes);
            if !write_all(&stream, &bytes, asleep_until + Duration::from_secs(20)) {
                break;
            }
            sent.store(number + 1, Ordering::Release);
            if number.is_multiple_of(64) {
                most = most.max(server.resident_bytes());
            }
        }
        most = most.max(server.resident_bytes());
        for _ in 0..sent.load(Ordering::Acquire) {
            assert_eq!(publisher.reply().integer(), 4);
        }
    });
    let sent = sent.into_inner();
    assert!(sent > 100, "something must have been published: {sent}");
    let grown = most.saturating_sub(before) / (1024 * 1024);
    assert!(
        grown < 96,
        "memory grew by {grown} MB while a shard slept ({sent} messages)"
    );
    assert_eq!(sleeper.reply().to_string(), "+OK");
}

/// Writes everything, however long the server does not read; false when the deadline passes.
fn write_all(mut stream: &std::net::TcpStream, mut bytes: &[u8], deadline: Instant) -> bool {
    use std::io::Write;
    while !bytes.is_empty() && Instant::now() < deadline {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ),
                "{error}"
            ),
        }
    }
    bytes.is_empty()
}

#[test]
fn a_subscriber_gets_what_its_own_commands_cause_after_their_replies() {
    for_each_shard_count(|server| {
        let mut client = server.connect_resp3();
        client.run("CONFIG SET notify-keyspace-events KEA");
        client.run("PSUBSCRIBE __key*");
        for at in 0..30 {
            client.send_line(&format!("SET key{at} v"));
            client.send_line(&format!("DEL key{at}"));
        }
        for at in 0..30 {
            for (reply, event) in [("+OK", "set"), (":1", "del")] {
                assert_eq!(client.reply().to_string(), reply, "key{at} {event}");
                for channel in ["keyspace", "keyevent"] {
                    let told = client.reply().to_string();
                    assert!(told.contains(channel) && told.contains(event), "{told}");
                }
            }
        }
        // In a transaction: between (P)SUBSCRIBE and UNSUBSCRIBE only.
        let lines = "MULTI;SET a 1;SUBSCRIBE news;SET b 2;UNSUBSCRIBE news;SET c 3;PUNSUBSCRIBE __key*;SET d 4;EXEC";
        let mut replies = client.pipeline(&lines.split(';').collect::<Vec<_>>());
        assert_eq!(replies.pop().map(|exec| exec.items().len()), Some(7));
        for key in ["a", "b", "c"] {
            let told = [client.reply().to_string(), client.reply().to_string()];
            assert!(
                told.iter().all(|told| told.contains(key)),
                "{key}: {told:?}"
            );
        }
        let mut control = server.connect();
        client.expect_quiet(&mut control);
    });
}
