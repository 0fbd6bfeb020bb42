//! The hash commands through a socket.

use std::time::{Duration, Instant};

use crate::connection::{check, raw};
use crate::support::{Server, for_each_shard_count};

#[test]
fn every_command_answers() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("HSET a f 1 g two", ":2"),
                ("HMSET a h 3", "+OK"),
                ("HSETNX a h 4", ":0"),
                ("HSETNX b h 4", ":1"),
                ("HGET a g", "$3 two"),
                ("HMGET a f none h", "*3 $1 1 $-1 $1 3"),
                ("HGETALL a", "*6 $1 f $1 1 $1 g $3 two $1 h $1 3"),
                ("HKEYS a", "*3 $1 f $1 g $1 h"),
                ("HVALS a", "*3 $1 1 $3 two $1 3"),
                ("HLEN a", ":3"),
                ("HEXISTS a g", ":1"),
                ("HSTRLEN a g", ":3"),
                ("HINCRBY a f 9", ":10"),
                ("HINCRBYFLOAT a f 0.5", "$4 10.5"),
                ("HRANDFIELD b", "$1 h"),
                ("HRANDFIELD b -2 WITHVALUES", "*4 $1 h $1 4 $1 h $1 4"),
                ("HSCAN a 0 MATCH g", "*2 $1 0 *2 $1 g $3 two"),
                ("HSCAN a 0 MATCH g NOVALUES", "*2 $1 0 *1 $1 g"),
                ("HDEL a f g none", ":2"),
                ("COPY a c", ":1"),
                ("RENAME c d", "+OK"),
                ("HGETALL d", "*2 $1 h $1 3"),
                ("TYPE d", "+hash"),
                ("OBJECT ENCODING d", "$8 listpack"),
                ("HDEL d h", ":1"),
                ("EXISTS d", ":0"),
            ],
        );
    });
}

#[test]
fn every_command_on_ends_answers() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("HSET a f 1 g 2 h 3", ":3"),
                ("HEXPIREAT a 4000000000 FIELDS 1 f", "*1 :1"),
                ("HPEXPIREAT a 4000000000001 GT FIELDS 2 f g", "*2 :1 :0"),
                ("HEXPIRETIME a FIELDS 2 f g", "*2 :4000000001 :-1"),
                ("HPEXPIRETIME a FIELDS 1 f", "*1 :4000000000001"),
                ("HEXPIRE a 100 FIELDS 2 g none", "*2 :1 :-2"),
                ("HTTL a FIELDS 2 g h", "*2 :100 :-1"),
                ("HPEXPIRE a 0 FIELDS 1 h", "*1 :2"),
                ("HPTTL a FIELDS 1 h", "*1 :-2"),
                ("HPERSIST a FIELDS 2 f h", "*2 :1 :-2"),
                ("HPTTL a FIELDS 1 f", "*1 :-1"),
                ("OBJECT ENCODING a", "$10 listpackex"),
            ],
        );
    });
}

#[test]
fn fields_end_though_nobody_looks() {
    for_each_shard_count(|server| {
        let (mut client, mut listener) = (server.connect(), server.connect());
        client.run("CONFIG SET notify-keyspace-events AKE");
        listener.run("PSUBSCRIBE __keyevent@0__:*ex*");
        for key in ["a", "b", "c", "d"] {
            client.run(&format!("HSET {key} f 1"));
            client.run(&format!("HPEXPIRE {key} 20 FIELDS 1 f"));
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while raw(&mut client, "DBSIZE") != ":0" {
            assert!(Instant::now() < deadline, "a field that has ended stays");
        }
        let events: Vec<String> = (0..8).map(|_| listener.reply().to_string()).collect();
        for name in ["hexpire\"", "hexpired\""] {
            let count = events.iter().filter(|event| event.contains(name)).count();
            assert_eq!(count, 4, "{name}: {events:?}");
        }
    });
}

#[test]
fn very_many_fields_that_have_ended_go_in_steps_before_a_command_looks() {
    for_each_shard_count(|server| {
        let (mut client, mut listener) = (server.connect(), server.connect());
        client.run("DEBUG SET-ACTIVE-EXPIRE 0");
        client.run("SELECT 1");
        let numbers: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
        for key in ["a", "b", "c", "d", "e"] {
            let pairs: Vec<String> = numbers.iter().map(|field| format!("{field} v")).collect();
            client.run(&format!("HSET {key} {} last v", pairs.join(" ")));
            let fields = numbers.join(" ");
            client.run(&format!("HPEXPIRE {key} 400 FIELDS 3000 {fields}"));
        }
        client.run("SADDEX s PX 400 MEMBERS 2 x y");
        client.run("SET latest x PX 401");
        client.run("WATCH d");
        let deadline = Instant::now() + Duration::from_secs(20);
        while raw(&mut client, "EXISTS latest") != ":0" {
            assert!(Instant::now() < deadline, "the time does not pass");
        }
        assert_eq!(raw(&mut client, "KEYS s*"), "*0");
        client.run("CONFIG SET notify-keyspace-events Kh");
        let tables: [&[(&str, &str)]; 3] = [
            &[("HGETALL a", "*2 $4 last $1 v"), ("HLEN a", ":1")],
            &[
                ("SELECT 0", "+OK"),
                ("MULTI", "+OK"),
                ("SELECT 1", "+QUEUED"),
                ("HLEN b", "+QUEUED"),
                ("HGET c 7", "+QUEUED"),
                ("EXEC", "*-1"),
            ],
            &[("HKEYS e", "*1 $4 last"), ("EXISTS s", ":0")],
        ];
        for (table, keys) in tables.into_iter().zip(["a", "bcd", "e"]) {
            for key in keys.chars() {
                listener.run(&format!("SUBSCRIBE __keyspace@1__:{key}"));
            }
            if keys == "e" {
                client.run("SELECT 1");
            }
            check(&mut client, table);
            // A removal at once would tell of itself once.
            for _ in 0..keys.len() * 3000 / 300 {
                assert!(listener.reply().to_string().contains("hexpired"));
            }
            listener.run("UNSUBSCRIBE");
            listener = server.connect();
        }
    });
}

#[test]
fn events_come_in_order() {
    for_each_shard_count(|server| {
        let (mut client, mut listener) = (server.connect(), server.connect());
        client.run("CONFIG SET notify-keyspace-events AKE");
        listener.run("PSUBSCRIBE __keyevent@0__:*");
        for (line, events) in [
            ("HSET a f 1", vec!["hset"]),
            ("HINCRBY a f 1", vec!["hincrby"]),
            ("HINCRBYFLOAT a f 1", vec!["hincrbyfloat"]),
            ("HSETNX a f 1", vec![]),
            ("HDEL a g", vec![]),
            ("HDEL a f", vec!["hdel", "del"]),
        ] {
            client.run(line);
            for event in events {
                let message = listener.reply().to_string();
                assert!(
                    message.contains(&format!("__:{event}")),
                    "{line}: {message}"
                );
            }
        }
        listener.expect_quiet(&mut client);
    });
}

#[test]
fn a_watched_hash_that_changed_refuses_exec() {
    for_each_shard_count(|server| {
        let (mut first, mut second) = (server.connect(), server.connect());
        for (change, refused) in [
            ("HSET a f 1", true),
            ("HSETNX a f 1", false),
            ("HINCRBY a f 1", true),
            ("HINCRBYFLOAT a f 1", true),
            ("HGETALL a", false),
            ("HDEL a g", false),
            ("HDEL a f", true),
        ] {
            first.run("WATCH a");
            second.run(change);
            first.run("MULTI");
            first.run("HLEN a");
            let reply = first.run("EXEC");
            assert_eq!(reply.is_null(), refused, "{change}: {reply}");
        }
    });
}

#[test]
fn all_of_a_large_hash_arrives_though_it_changes_meanwhile() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let count = 100_000;
        for first in (0..count).step_by(1000) {
            let pairs = (first..first + 1000).map(|n| format!("field:{n} value:{n}"));
            let pairs: Vec<String> = pairs.collect();
            client.run(&format!("HSET a {}", pairs.join(" ")));
        }
        // The second changes what the first is still sending.
        client.send_line("HGETALL a");
        client.send_line("HSET a field:99999 other");
        client.send_line("HDEL a field:0");
        client.send_line("HLEN a");
        let all = client.reply();
        let mut pairs: Vec<(String, String)> = all
            .items()
            .chunks(2)
            .map(|pair| (pair[0].text(), pair[1].text()))
            .collect();
        pairs.sort();
        pairs.dedup();
        assert_eq!(pairs.len(), count);
        for (field, value) in &pairs {
            assert_eq!(field.strip_prefix("field:"), value.strip_prefix("value:"));
        }
        for expected in [":0", ":1", ":99999"] {
            assert_eq!(client.reply().to_string(), expected);
        }
        assert_eq!(client.run("HKEYS a").items().len(), count - 1);
        assert_eq!(client.run("HRANDFIELD a -50000").items().len(), 50_000);
        assert_eq!(client.run("HRANDFIELD a 50000").items().len(), 50_000);
    });
}

#[test]
fn choices_without_end_hold_nobody_up() {
    for_each_shard_count(|server| {
        let (mut greedy, mut other) = (server.connect(), server.connect());
        greedy.run("HSET a f value");
        for _ in 0..3 {
            greedy.send_line("HRANDFIELD a -9223372036854775807");
        }
        for _ in 0..100 {
            assert_eq!(raw(&mut other, "HGET a f"), "$5 value");
        }
        drop(greedy);
        assert_eq!(raw(&mut other, "HLEN a"), ":1");
    });
}

/// OBJECT ENCODING against an oracle, where arguments are at the limits.
#[test]
fn encodings_are_the_oracles() {
    for_each_shard_count(|server| {
        let theirs = Server::oracle();
        let (mut ours, mut oracle) = (server.connect(), theirs.connect());
        for (entries, value) in [("4", "8"), ("0", "64"), ("128", "0"), ("1", "1")] {
            for client in [&mut ours, &mut oracle] {
                client.run(&format!("CONFIG SET hash-max-listpack-entries {entries}"));
                client.run(&format!("CONFIG SET hash-max-listpack-value {value}"));
            }
            for lines in [
                &["HSET a f v"][..],
                &["HSET a f 12345678", "HINCRBY a g 1", "HINCRBY a f 1"],
                &["HSET a f 12345678", "HSET a f 123456789"],
                &["HSET a f 99999999", "HINCRBY a f 1"],
                &["HSET a longer:than 1"],
                &["HSETNX a f longer:than"],
                &["HSET a f 1", "HSETNX a f longer:than"],
                &["HINCRBYFLOAT a f 0.123456789"],
                &["HSET a 1 1 2 2 3 3 4 4", "HINCRBY a 5 1"],
                &["HSET a 1 1 2 2 3 3 4 4", "HSET a 4 4 3 3 2 2 1 1"],
                &["HSET a 1 1 2 2 3 3 4 4 5 5", "HDEL a 1 2 3 4"],
                &["HSET a f v", "COPY a b REPLACE", "RENAME b a"],
            ] {
                for line in lines.iter().chain(&["OBJECT ENCODING a"]) {
                    assert_eq!(raw(&mut ours, line), raw(&mut oracle, line), "{lines:?}");
                }
                ours.run("DEL a b");
                oracle.run("DEL a b");
            }
        }
    });
}

#[test]
fn fields_are_read_set_and_ended_in_one_step() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("HSETEX a FNX EX 100 FIELDS 2 f 1 g 2", ":1"),
                ("HGETEX a PERSIST FIELDS 2 f none", "*2 $1 1 $-1"),
                ("HTTL a FIELDS 2 f g", "*2 :-1 :100"),
                ("HGETDEL a FIELDS 2 f g", "*2 $1 1 $1 2"),
                ("EXISTS a", ":0"),
            ],
        );
    });
}
