//! What looks at the server and its keys through a socket: facts of clients, the use of keys, events of every class.

use std::time::{Duration, Instant};

use crate::connection::{check, raw, spaced};
use crate::support::for_each_shard_count;

/// A field of a line of CLIENT LIST.
#[track_caller]
fn field(line: &str, name: &str) -> String {
    let mut fields = line.trim_end().split(' ');
    let found = fields.find_map(|field| field.strip_prefix(&format!("{name}=")));
    found
        .unwrap_or_else(|| panic!("no {name} in {line}"))
        .to_owned()
}

#[test]
fn the_facts_of_a_client_are_its_own() {
    for_each_shard_count(|server| {
        let (mut client, mut other) = (server.connect(), server.connect());
        let id = client.id();
        let facts = |control: &mut crate::support::Client| {
            control.run(&format!("CLIENT LIST ID {id} EXTENDED")).text()
        };
        let before = facts(&mut other);
        assert_eq!(field(&before, "watch"), "0");
        assert_eq!(field(&before, "flags"), "N");
        check(&mut client, &[("WATCH a b c", "+OK"), ("PING", "+PONG")]);
        let watching = facts(&mut other);
        assert_eq!(field(&watching, "watch"), "3");
        other.run("SET b 1");
        assert_eq!(field(&facts(&mut other), "flags"), "d");
        check(
            &mut client,
            &[
                ("MULTI", "+OK"),
                ("SET a 1", "+QUEUED"),
                ("SET a 2", "+QUEUED"),
            ],
        );
        let queued = facts(&mut other);
        assert_eq!(field(&queued, "flags"), "xd");
        assert_eq!(field(&queued, "multi"), "2");
        assert_ne!(field(&queued, "multi-mem"), "0");
        assert_eq!(field(&queued, "cmd"), "set");
        check(&mut client, &[("EXEC", "*-1")]);
        let after = facts(&mut other);
        assert_eq!(
            (field(&after, "flags"), field(&after, "watch")),
            ("N".into(), "0".into())
        );
        let number = |line: &str, name: &str| field(line, name).parse::<u64>().unwrap();
        // WATCH, PING, MULTI, two SET, EXEC.
        assert!(number(&after, "tot-cmds") >= number(&before, "tot-cmds") + 4);
        assert!(number(&after, "tot-net-in") > number(&before, "tot-net-in") + 100);
        // +OK, +PONG, +OK, twice +QUEUED, *-1: counted when the client may have read them already.
        let sent = number(&before, "tot-net-out") + 5 + 7 + 5 + 18 + 5;
        let deadline = Instant::now() + Duration::from_secs(20);
        while number(&facts(&mut other), "tot-net-out") < sent {
            assert!(Instant::now() < deadline, "{}", facts(&mut other));
        }
        assert!(number(&after, "io-thread") < 4);
        other.run("CLIENT NO-EVICT ON");
        let own = other.run("CLIENT INFO").text();
        assert_eq!(
            (field(&own, "flags"), field(&own, "cmd")),
            ("e".into(), "client|info".into())
        );
        assert_ne!(field(&own, "argv-mem"), "0");
    });
}

#[test]
fn lists_of_commands_have_their_subcommands() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let names = client.run("COMMAND LIST").to_string();
        assert!(
            names.contains("\"client|list\"") && names.contains("\"client\""),
            "{names}"
        );
        assert!(!names.contains("debug|"), "{names}");
    });
}

#[test]
fn the_use_of_keys_is_counted_under_lfu() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        check(
            &mut client,
            &[
                ("SET old 1", "+OK"),
                ("OBJECT IDLETIME old", ":0"),
                (
                    "OBJECT FREQ old",
                    "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                     switching between policies at runtime LRU and LFU data will take some time to adjust.",
                ),
                (
                    "CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 0",
                    "+OK",
                ),
                ("SET k 1", "+OK"),
                ("OBJECT FREQ k", ":5"),
                ("GET k", "$1 1"),
                ("GET k", "$1 1"),
                ("OBJECT FREQ k", ":7"),
                ("INCR k", ":2"),
                // Looked up to write, then replaced: its count goes on.
                ("SET k 2", "+OK"),
                ("OBJECT FREQ k", ":9"),
                ("CLIENT NO-TOUCH ON", "+OK"),
                ("GET k", "$1 2"),
                ("OBJECT FREQ k", ":9"),
                ("TOUCH k", ":1"),
                ("OBJECT FREQ k", ":10"),
                ("OBJECT FREQ none", "$-1"),
                (
                    "OBJECT IDLETIME k",
                    "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                     between policies at runtime LRU and LFU data will take some time to adjust.",
                ),
                ("CONFIG SET lfu-log-factor 1000000", "+OK"),
                ("CLIENT NO-TOUCH OFF", "+OK"),
            ],
        );
        for _ in 0..100 {
            raw(&mut client, "GET k");
        }
        let count = client.run("OBJECT FREQ k").integer();
        assert!((10..13).contains(&count), "{count}");
    });
}

#[test]
fn events_tell_what_was_overwritten() {
    for_each_shard_count(|server| {
        let (mut client, mut listener) = (server.connect(), server.connect());
        check(
            &mut client,
            &[
                ("CONFIG SET notify-keyspace-events AKE", "+OK"),
                (
                    "CONFIG GET notify-keyspace-events",
                    "*2 $22 notify-keyspace-events $3 AKE",
                ),
                ("RPUSH {t}l a", ":1"),
                ("SET {t}l v", "+OK"),
                ("CONFIG SET notify-keyspace-events Eocg$l", "+OK"),
                (
                    "CONFIG GET notify-keyspace-events",
                    "*2 $22 notify-keyspace-events $6 g$lEoc",
                ),
            ],
        );
        listener.run("PSUBSCRIBE __keyevent@*__:*");
        let mut expect = |lines: &[&str], events: &[(&str, &str)]| {
            for line in lines {
                client.run(line);
            }
            for (name, key) in events {
                let channel = format!("__keyevent@0__:{name}");
                assert_eq!(
                    spaced(&listener.raw_reply()),
                    format!(
                        "*4 $8 pmessage $16 __keyevent@*__:* ${} {channel} ${} {key}",
                        channel.len(),
                        key.len()
                    ),
                    "{lines:?}"
                );
            }
        };
        expect(&["SET a 1"], &[("set", "a")]);
        expect(&["SET a 2"], &[("overwritten", "a"), ("set", "a")]);
        expect(
            &["APPEND a 2", "INCR a"],
            &[("append", "a"), ("incrby", "a")],
        );
        expect(&["RPUSH {t}m x"], &[("rpush", "{t}m")]);
        expect(
            &["SET {t}m v EX 100"],
            &[
                ("overwritten", "{t}m"),
                ("type_changed", "{t}m"),
                ("set", "{t}m"),
                ("expire", "{t}m"),
            ],
        );
        expect(
            &["MSET {t}m 1 {t}n 2", "GETSET {t}n 3"],
            &[
                ("overwritten", "{t}m"),
                ("set", "{t}m"),
                ("set", "{t}n"),
                ("overwritten", "{t}n"),
                ("set", "{t}n"),
            ],
        );
        expect(
            &["RPUSH {t}o x", "RENAME {t}o {t}n"],
            &[
                ("rpush", "{t}o"),
                ("rename_from", "{t}o"),
                ("rename_to", "{t}n"),
                ("overwritten", "{t}n"),
                ("type_changed", "{t}n"),
            ],
        );
        expect(
            &["COPY {t}n {t}m REPLACE", "COPY {t}n {t}new"],
            &[
                ("copy_to", "{t}m"),
                ("overwritten", "{t}m"),
                ("type_changed", "{t}m"),
                ("copy_to", "{t}new"),
            ],
        );
        // Nothing is replaced whole by what changes a part.
        expect(
            &["LSET {t}n 0 y", "DEL {t}n"],
            &[("lset", "{t}n"), ("del", "{t}n")],
        );
    });
}

#[test]
fn memory_stats_add_up() {
    for_each_shard_count(|server| {
        let mut client = server.connect_resp3();
        client.run("MSET a 1 b 2");
        client.run("SELECT 3");
        client.run("SET c 3");
        let text = raw(&mut client, "MEMORY STATS");
        let number = |name: &str| -> f64 {
            let (_, rest) = text.split_once(&format!(" {name} ")).unwrap();
            let word = rest.split(' ').next().unwrap();
            word.trim_start_matches([':', ',']).parse().unwrap()
        };
        assert_eq!(number("keys.count"), 3.0);
        assert!(
            number("total.allocated") > 100_000.0
                && number("peak.allocated") >= number("total.allocated")
        );
        assert!(number("dataset.bytes") <= number("total.allocated"));
        assert!((1.0..=100.0).contains(&number("peak.percentage")));
        assert!((1.0..=100.0).contains(&number("dataset.percentage")));
        assert!(
            text.contains(" $4 db.0 %3 ")
                && text.contains(" $4 db.3 %3 ")
                && !text.contains("db.1")
        );
    });
}
