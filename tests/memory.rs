//! Limits on memory: who is refused, which keys go, which clients go, and what the server says of it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

#[path = "memory/returns.rs"]
mod returns;
#[path = "memory/saver.rs"]
mod saver;
#[path = "memory/telling.rs"]
mod telling;

use std::io::Write;
use std::time::{Duration, Instant};

use support::server::info_field;
use support::{Client, Server, shard_counts};

const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";

fn info(client: &mut Client, name: &str) -> u64 {
    let text = client.run("INFO everything").text();
    let value = info_field(&text, name).unwrap();
    value.parse().unwrap()
}

/// Asks until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn expect(client: &mut Client, line: &str, reply: &str) {
    assert_eq!(client.run(line).to_string(), reply, "{line}");
}

/// Sets the limit this far above what is used.
fn limit(client: &mut Client, above: u64) -> u64 {
    let max = info(client, "used_memory") + above;
    expect(client, &format!("CONFIG SET maxmemory {max}"), "+OK");
    max
}

#[test]
fn producers_are_refused_and_consumers_are_not() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = server.connect();
        for line in [
            "XADD jobs 1-1 a b",
            "XADD jobs 2-1 a b",
            "XGROUP CREATE jobs g 0",
            "RPUSH list a b c",
            "SET text x",
            "ZADD set 1 a",
        ] {
            assert!(!client.run(line).is_error(), "{line}");
        }
        expect(&mut client, "CONFIG SET maxmemory 1", "+OK");
        for line in [
            "XADD jobs * a b",
            "RPUSH list d",
            "SET text y",
            "APPEND text y",
            "ZADD set 2 b",
            "HSET hash f v",
            "LMOVE list list LEFT RIGHT",
            "SETRANGE text 100 x",
        ] {
            expect(&mut client, line, OOM);
        }
        for (line, reply) in [
            ("PING", "+PONG"),
            (
                "XREADGROUP GROUP g me COUNT 1 STREAMS jobs >",
                "[[\"jobs\", [[\"1-1\", [\"a\", \"b\"]]]]]",
            ),
            ("XACK jobs g 1-1", ":1"),
            ("XTRIM jobs MAXLEN 1", ":1"),
            ("XDEL jobs 2-1", ":1"),
            ("LPOP list", "\"a\""),
            ("EXPIRE text 1000", ":1"),
            ("GET text", "\"x\""),
            ("DEL text set", ":2"),
            ("CONFIG SET maxmemory 0", "+OK"),
            ("SET text y", "+OK"),
        ] {
            expect(&mut client, line, reply);
        }
        let lines = server.log();
        let refusals = lines.matches("Out of memory: commands that need some are refused");
        assert_eq!(refusals.count(), 1, "{lines}");
        until("they are served again", || {
            let again = "Commands that need memory are served again.";
            server.log().matches(again).count() == 1
        });
        assert_eq!(info(&mut client, "evicted_keys"), 0);
        assert_eq!(info(&mut client, "millrace_oom_refused_commands"), 8);
    }
}

#[test]
fn a_transaction_is_refused_where_it_would_take_memory() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let (mut client, mut control) = (server.connect(), server.connect());
        let mut set =
            |max: &str| expect(&mut control, &format!("CONFIG SET maxmemory {max}"), "+OK");
        set("1");
        expect(&mut client, "MULTI", "+OK");
        for line in ["GET k", "PING", "WATCH k"] {
            expect(&mut client, line, OOM);
        }
        expect(
            &mut client,
            "EXEC",
            "-EXECABORT Transaction discarded because of previous errors.",
        );
        expect(&mut client, "MULTI", "+OK");
        expect(&mut client, "DISCARD", "+OK");
        set("0");
        expect(&mut client, "MULTI", "+OK");
        expect(&mut client, "SET k v", "+QUEUED");
        set("1");
        let refused = format!("-EXECABORT Transaction discarded because of: {}", &OOM[1..]);
        expect(&mut client, "EXEC", &refused);
        set("0");
        expect(&mut client, "MULTI", "+OK");
        expect(&mut client, "GET k", "+QUEUED");
        expect(&mut client, "DEL k", "+QUEUED");
        set("1");
        expect(&mut client, "EXEC", "[nil, :0]");
    }
}

#[test]
fn a_client_that_waits_is_asked_again_when_it_is_served() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let (mut moves, mut pops, mut control) =
            (server.connect(), server.connect(), server.connect());
        moves.send_line("BLMOVE from to LEFT RIGHT 0");
        until("it is blocked", || {
            info(&mut control, "blocked_clients") == 1
        });
        pops.send_line("BLPOP other 0");
        until("both are blocked", || {
            info(&mut control, "blocked_clients") == 2
        });
        expect(&mut control, "CONFIG SET maxmemory 1", "+OK");
        // A push is refused when it is sent alone.
        let script = "#!lua flags=allow-oom\nredis.call('RPUSH', 'from', 'a') redis.call('RPUSH', 'other', 'b')";
        let pushed = control.call(&["EVAL", script, "0"]);
        assert_eq!(pushed.to_string(), "nil");
        assert_eq!(moves.reply().to_string(), OOM);
        assert_eq!(pops.reply().to_string(), "[\"other\", \"b\"]");
        expect(&mut control, "LLEN from", ":1");
    }
}

/// Adds keys of 100 bytes until some have gone.
fn fill(client: &mut Client, prefix: &str, ending: &str) -> usize {
    let value = "x".repeat(100);
    for round in 0..1000 {
        let lines: Vec<String> = (0..100)
            .map(|n| format!("SET {prefix}:{} {value}{ending}", 100 * round + n))
            .collect();
        for (line, reply) in lines.iter().zip(client.pipeline(&lines)) {
            assert_eq!(reply.to_string(), "+OK", "{line}");
        }
        if info(client, "evicted_keys") > 200 {
            return 100 * (round + 1);
        }
    }
    panic!("nothing was evicted");
}

#[test]
fn each_policy_keeps_memory_below_the_limit() {
    for shards in shard_counts() {
        for policy in ["lru", "lfu", "random", "ttl"] {
            for keys in ["allkeys", "volatile"] {
                if (keys, policy) == ("allkeys", "ttl") {
                    continue;
                }
                let server = Server::millrace(shards);
                let mut client = server.connect();
                client.run("RPUSH stays a b c");
                expect(
                    &mut client,
                    &format!("CONFIG SET maxmemory-policy {keys}-{policy}"),
                    "+OK",
                );
                let max = limit(&mut client, 500_000);
                let added = fill(&mut client, "key", " EX 1000");
                let used = info(&mut client, "used_memory");
                // The reply of INFO and its like come and go.
                assert!(used < max + 100_000, "{keys}-{policy}: {used} of {max}");
                // Each command may make a key go, also between these two.
                until("each key is there or was evicted", || {
                    let evicted = info(&mut client, "evicted_keys");
                    let there = client.run("DBSIZE").integer();
                    there as u64 + evicted == added as u64 + 1
                });
                if keys == "volatile" {
                    expect(&mut client, "LLEN stays", ":3");
                }
            }
        }
    }
}

#[test]
fn a_write_is_refused_when_no_key_may_go() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = server.connect();
        for n in 0..100 {
            client.run(&format!("SET stays:{n} x"));
        }
        client.run("SET goes x EX 1000");
        expect(
            &mut client,
            "CONFIG SET maxmemory-policy volatile-lru maxmemory 1",
            "+OK",
        );
        until("it has gone", || client.run("EXISTS goes").integer() == 0);
        expect(&mut client, "SET k v", OOM);
        expect(&mut client, "DBSIZE", ":100");
        expect(
            &mut client,
            "CONFIG SET maxmemory-policy allkeys-random",
            "+OK",
        );
        until("all have gone", || client.run("DBSIZE").integer() == 0);
        expect(&mut client, "SET k v", OOM);
    }
}

#[test]
fn no_shard_loses_more_than_its_part() {
    let server = Server::millrace(4);
    let mut client = server.connect();
    expect(
        &mut client,
        "CONFIG SET maxmemory-policy allkeys-random",
        "+OK",
    );
    let value = "x".repeat(100);
    let add = |client: &mut Client, tag: &str, from: usize| {
        let lines: Vec<String> = (from..from + 500)
            .map(|n| format!("SET {{{tag}}}:{n} {value}"))
            .collect();
        client.pipeline(&lines);
    };
    let tags: Vec<String> = (0..32).map(|tag| format!("tag{tag}")).collect();
    for tag in &tags {
        add(&mut client, tag, 0);
    }
    limit(&mut client, 0);
    // All producers write to one shard; keys go from all.
    for round in 0..20 {
        add(&mut client, "hot", 500 * round);
    }
    let keys = client.run("KEYS *");
    let lost = tags.iter().map(|tag| {
        let begin = format!("{{{tag}}}");
        let left = keys
            .items()
            .iter()
            .filter(|key| key.text().starts_with(&begin));
        500 - left.count()
    });
    let lost: Vec<usize> = lost.collect();
    let mean = lost.iter().sum::<usize>() / lost.len();
    assert!(mean > 50, "{lost:?}");
    let is_fair = |lost: &usize| *lost > mean / 2 && *lost < 2 * mean;
    assert!(lost.iter().all(is_fair), "{lost:?}");
}

#[test]
fn an_evicted_key_is_deleted_for_everybody() {
    for shards in shard_counts() {
        let server = Server::millrace_with(shards, &["--appendonly", "yes"]);
        let mut client = server.connect();
        let (mut events, mut watcher) = (server.connect(), server.connect());
        let mut caches = server.connect_resp3();
        client.run("CONFIG SET notify-keyspace-events Ee");
        events.run("SUBSCRIBE __keyevent@0__:evicted");
        client.run("SET key value");
        watcher.run("WATCH key");
        caches.run("CLIENT TRACKING ON");
        caches.run("GET key");
        expect(
            &mut client,
            "CONFIG SET maxmemory-policy allkeys-lru maxmemory 1",
            "+OK",
        );
        // Its own command makes the key go, or comes later: the cache is told first.
        caches.send_line("GET key");
        assert_eq!(caches.reply().to_string(), ">[\"invalidate\", [\"key\"]]");
        assert_eq!(caches.reply().to_string(), "null");
        assert_eq!(
            events.reply().to_string(),
            "[\"message\", \"__keyevent@0__:evicted\", \"key\"]"
        );
        expect(&mut client, "CONFIG SET maxmemory 0", "+OK");
        watcher.run("MULTI");
        expect(&mut watcher, "EXEC", "nil-array");
        let mut log = Vec::new();
        for file in std::fs::read_dir(server.directory().join("appendonlydir")).unwrap() {
            log.extend(std::fs::read(file.unwrap().path()).unwrap());
        }
        let log = String::from_utf8_lossy(&log);
        assert!(log.contains("DEL\r\n$3\r\nkey\r\n"), "{log}");
    }
}

/// Twenty lists of a thousand elements of a thousand bytes.
fn fill_lists(client: &mut Client) {
    let element = "x".repeat(1000);
    for key in 0..20 {
        let lines: Vec<String> = (0..20)
            .map(|_| format!("RPUSH big:{key} {}", [element.as_str(); 50].join(" ")))
            .collect();
        client.pipeline(&lines);
    }
}

#[test]
fn a_big_value_counts_as_gone_while_it_is_being_freed() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = server.connect();
        fill_lists(&mut client);
        expect(
            &mut client,
            "CONFIG SET maxmemory-policy allkeys-random maxmemory-eviction-tenacity 100",
            "+OK",
        );
        // A list and a half too much: two go, and not all because the first is not freed at once.
        let max = info(&mut client, "used_memory") - 1_500_000;
        expect(&mut client, &format!("CONFIG SET maxmemory {max}"), "+OK");
        client.run("SET k v");
        let there = client.run("DBSIZE").integer();
        assert!((16..=19).contains(&there), "{there}");
    }
}

#[test]
fn the_log_warns_when_memory_gets_scarce() {
    let server = Server::millrace(2);
    let mut client = server.connect();
    let used = info(&mut client, "used_memory");
    let told = |percent: u64| format!("More than {percent} % of maxmemory is used");
    client.run(&format!("CONFIG SET maxmemory {}", used * 100 / 85));
    until("80 % are told", || server.log().contains(&told(80)));
    assert!(!server.log().contains(&told(95)));
    client.run(&format!("CONFIG SET maxmemory {}", used * 100 / 97));
    until("95 % are told", || server.log().contains(&told(95)));
    assert_eq!(server.log().matches(&told(80)).count(), 1);
}

#[test]
fn a_limit_may_be_a_share_of_the_machine() {
    let server = Server::millrace_with(1, &["--maxmemory", "50%"]);
    let mut client = server.connect();
    expect(
        &mut client,
        "CONFIG GET maxmemory",
        "[\"maxmemory\", \"50%\"]",
    );
    let (max, machine) = (
        info(&mut client, "maxmemory"),
        info(&mut client, "total_system_memory"),
    );
    assert!(max > 0 && max <= machine / 2, "{max} of {machine}");
    expect(&mut client, "SET k v", "+OK");
}

/// A client that has sent so many bytes of a request, and not the rest.
fn holding(server: &Server, control: &mut Client, bytes: usize) -> Client {
    let client = server.connect();
    let mut request = format!("*2\r\n${bytes}\r\n").into_bytes();
    request.resize(request.len() + bytes, b'v');
    client
        .stream()
        .try_clone()
        .unwrap()
        .write_all(&request)
        .unwrap();
    control.until_received(client.local_address(), request.len() as u64);
    client
}

/// How many of them are connected.
fn connected(control: &mut Client, clients: &[Client]) -> usize {
    let list = control.run("CLIENT LIST").text();
    let is_there = |client: &&Client| list.contains(&format!(" addr={} ", client.local_address()));
    clients.iter().filter(is_there).count()
}

#[test]
fn the_largest_clients_go_first_and_no_more_than_needed() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut control = server.connect();
        control.run("CLIENT NO-EVICT ON");
        let mut of = |bytes: usize| -> Vec<Client> {
            (0..4)
                .map(|_| holding(&server, &mut control, bytes))
                .collect()
        };
        let (small, middle, large) = (of(200_000), of(1_000_000), of(4_000_000));
        let counts = |control: &mut Client| {
            [&small, &middle, &large].map(|clients| connected(control, clients))
        };
        for (max, left) in [
            (21_000_000, [4, 4, 4]),
            (17_500_000, [4, 4, 3]),
            (5_000_000, [4, 4, 0]),
            (3_200_000, [4, 2, 0]),
            (500_000, [2, 0, 0]),
        ] {
            expect(
                &mut control,
                &format!("CONFIG SET maxmemory-clients {max}"),
                "+OK",
            );
            let counts = counts(&mut control);
            assert_eq!(counts, left, "{max}");
        }
        assert_eq!(info(&mut control, "evicted_clients"), 10);
        assert!(server.log().contains("Evicting client: id="));
        // It holds more than is allowed, and stays.
        expect(&mut control, "CONFIG SET maxmemory-clients 131072", "+OK");
        let text = "x".repeat(1_000_000);
        control.run("MULTI");
        expect(&mut control, &format!("SET k {text}"), "+QUEUED");
        expect(&mut control, "EXEC", "[+OK]");
    }
}

#[test]
fn who_may_go_goes_also_while_those_that_stay_hold_too_much() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let (mut control, mut stays) = (server.connect(), server.connect());
        for client in [&mut control, &mut stays] {
            expect(client, "CLIENT NO-EVICT ON", "+OK");
        }
        stays.run("MULTI");
        stays.run(&format!("SET k {}", "x".repeat(1_000_000)));
        let limit = "CONFIG SET maxmemory-clients 500000";
        expect(&mut control, limit, "+OK");
        for evicted in 1..4 {
            let mut comes = server.connect();
            comes.send_line("PING");
            comes.expect_closed();
            assert_eq!(info(&mut control, "evicted_clients"), evicted);
        }
        let told = server.log().matches("may not be closed (NO-EVICT)").count();
        assert!((1..=shards).contains(&told), "{told}");
        // It may go from now on.
        assert_eq!(stays.run("RESET").to_string(), "+RESET");
        stays.run("MULTI");
        stays.send_line(&format!("SET k {}", "x".repeat(1_000_000)));
        stays.expect_closed();
    }
}

#[test]
fn a_start_with_streams_that_may_be_evicted_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().display().to_string();
    let start = |policy: &str| {
        let limits = ["--maxmemory", "1gb", "--maxmemory-policy", policy];
        Server::millrace_with(2, &[&["--dir", &dir], &limits[..]].concat())
    };
    let warning = "a whole stream is one key and may be evicted";
    let mut server = start("allkeys-lru");
    let mut client = server.connect();
    client.run("SET text value");
    // More than a round.
    client.run("BLPOP nothing 0.3");
    assert!(!server.log().contains(warning));
    client.run("XADD jobs * field value");
    until("it is told", || server.log().contains(warning));
    client.send_line("SHUTDOWN SAVE");
    server.wait_for_exit();
    let mut server = start("volatile-lru");
    until("it is told", || server.log().contains(warning));
    assert_eq!(server.log().matches(warning).count(), 1);
    let mut client = server.connect();
    client.send_line("SHUTDOWN NOSAVE");
    server.wait_for_exit();
    let server = start("noeviction");
    let mut client = server.connect();
    expect(&mut client, "XLEN jobs", ":1");
    client.run("BLPOP nothing 0.3");
    assert!(!server.log().contains(warning));
}

#[test]
fn a_client_goes_for_whatever_it_holds() {
    for shards in shard_counts() {
        let server = Server::millrace_with(shards, &["--maxmemory-clients", "200000"]);
        let mut control = server.connect();
        control.run("CLIENT NO-EVICT ON");
        control.run(&format!("SET k {}", "x".repeat(50_000)));
        let big = "x".repeat(60_000);
        for line in [
            "SUBSCRIBE channel:%".to_owned(),
            "PSUBSCRIBE pattern:%*".to_owned(),
            "WATCH key:%".to_owned(),
            "CLIENT TRACKING ON BCAST PREFIX prefix:%:".to_owned(),
            format!("SET queued:% {big}"),
        ] {
            let mut client = server.connect_resp3();
            if line.starts_with("SET") {
                client.run("MULTI");
            }
            let before = info(&mut control, "evicted_clients");
            for n in 0..10_000 {
                let text = line.replace('%', &format!("{n:06}"));
                let mut bytes = Vec::new();
                support::client::encode(&text.split(' ').collect::<Vec<_>>(), &mut bytes);
                if client
                    .stream()
                    .try_clone()
                    .unwrap()
                    .write_all(&bytes)
                    .is_err()
                {
                    break;
                }
                let looks = n % 100 == 99 || line.starts_with("SET");
                if looks && info(&mut control, "evicted_clients") > before {
                    break;
                }
            }
            until(&line, || {
                info(&mut control, "evicted_clients") == before + 1
            });
        }
    }
}
