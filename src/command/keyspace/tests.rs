#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use crate::command::testing::Bench;
use crate::ids::{ShardId, ShardSet};
use crate::keyspace::event::EventClass;
use crate::resp::arguments::Request;

use super::{digest, rewrite, shards_for_cursor};

fn reported(bench: &mut Bench, command: &str, effects: &[&str], events: &[&str]) {
    bench.line(command);
    assert_eq!(bench.effects(), effects, "{command}");
    assert_eq!(bench.events(), events, "{command}");
}

#[test]
fn changes_report_effects_and_events_as_redis_does() {
    let mut bench = Bench::new();
    bench.line("SET a 1 EX 10");
    bench.line("SET b 2");
    bench.effects();
    bench.events();
    reported(
        &mut bench,
        "RENAME a b",
        &["RENAME a b"],
        &["new b", "rename_from a", "rename_to b"],
    );
    reported(&mut bench, "RENAMENX b b", &[], &[]);
    reported(
        &mut bench,
        "COPY b c DB 1",
        &["COPY b c DB 1"],
        &["new c", "copy_to c"],
    );
    reported(
        &mut bench,
        "MOVE b 2",
        &["MOVE b 2"],
        &["new b", "move_from b", "move_to b"],
    );
    reported(&mut bench, "SWAPDB 0 2", &["SWAPDB 0 2"], &[]);
    reported(
        &mut bench,
        "EXPIRE b 5",
        &["PEXPIREAT b 1700000005000"],
        &["expire b"],
    );
    reported(&mut bench, "PERSIST b", &["PERSIST b"], &["persist b"]);
    reported(&mut bench, "EXPIRE b -5", &["DEL b"], &["del b"]);
    reported(&mut bench, "EXPIRE b 5", &[], &[]);
    bench.line("MSET x 1 y 2");
    bench.effects();
    bench.events();
    reported(
        &mut bench,
        "DEL x none y x",
        &["DEL x", "DEL y"],
        &["del x", "del y"],
    );
    bench.session.select(1);
    reported(&mut bench, "UNLINK c", &["1: UNLINK c"], &["del c"]);
    reported(&mut bench, "FLUSHDB", &["1: FLUSHDB"], &[]);
    reported(&mut bench, "TYPE c", &[], &["keymiss c"]);
}

#[test]
fn expire_options_compare_with_the_present_expiry() {
    let mut bench = Bench::new();
    for (command, reply) in [
        ("SET k v", "+OK"),
        ("EXPIRE k 10 XX", ":0"),
        ("EXPIRE k 10 GT", ":0"),
        ("EXPIRE k 10 LT", ":1"),
        ("EXPIRE k 20 NX", ":0"),
        ("EXPIRE k 20 GT XX", ":1"),
        ("EXPIRE k 20 LT", ":0"),
        ("PEXPIRE k 19999 LT", ":1"),
        ("TTL k", ":20"),
        ("PTTL k", ":19999"),
        ("EXPIRETIME k", ":1700000020"),
        ("PEXPIRETIME k", ":1700000019999"),
        (
            "EXPIRE k 10 NX GT",
            "-ERR NX and XX, GT or LT options at the same time are not compatible",
        ),
        (
            "EXPIRE k 10 GT LT",
            "-ERR GT and LT options at the same time are not compatible",
        ),
        ("EXPIRE k 10 foo", "-ERR Unsupported option foo"),
        (
            "EXPIRE k 9223372036854775",
            "-ERR invalid expire time in 'expire' command",
        ),
        ("PEXPIREAT k -9223372036854775808", ":1"),
        ("TTL k", ":-2"),
        ("RENAME k l", "-ERR no such key"),
    ] {
        assert_eq!(bench.line(command), reply, "{command}");
    }
}

#[test]
fn keys_move_between_shards() {
    let mut bench = Bench::with_shards(4);
    for n in 0..40 {
        bench.line(&format!("SET k{n} v{n} EX 100"));
    }
    for n in 0..40 {
        assert_eq!(bench.line(&format!("RENAME k{n} r{n}")), "+OK");
        assert_eq!(bench.line(&format!("COPY r{n} c{n}")), ":1");
        assert_eq!(bench.line(&format!("TTL c{n}")), ":100");
    }
    assert_eq!(bench.line("DBSIZE"), ":80");
    assert_eq!(bench.line("KEYS r?").split(' ').next(), Some("*10"));
    assert!(bench.line("RANDOMKEY").starts_with('$'));
    assert_eq!(bench.line("FLUSHALL ASYNC"), "+OK");
    assert_eq!(bench.line("RANDOMKEY"), "$-1");
}

fn scan_all(bench: &mut Bench, options: &str) -> (Vec<String>, usize) {
    let (mut keys, mut calls, mut cursor) = (Vec::new(), 0, "0".to_owned());
    loop {
        let reply = bench.line(&format!("SCAN {cursor}{options}"));
        let words: Vec<&str> = reply.split(' ').collect();
        cursor = words[2].to_owned();
        assert!(cursor.parse::<u64>().unwrap() < 1 << 53);
        keys.extend(
            words[4..]
                .iter()
                .skip(1)
                .step_by(2)
                .map(|word| (*word).to_owned()),
        );
        calls += 1;
        if cursor == "0" {
            return (keys, calls);
        }
    }
}

#[test]
fn scan_meets_every_key_once_on_any_number_of_shards() {
    for shard_count in [1, 3] {
        let mut bench = Bench::with_shards(shard_count);
        let mut all = BTreeSet::new();
        for n in 0..5000 {
            bench.line(&format!("SET k{n} v"));
            all.insert(format!("k{n}"));
        }
        let (keys, calls) = scan_all(&mut bench, " COUNT 100");
        assert_eq!(keys.len(), 5000);
        assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), all);
        assert!((50..=50 + shard_count).contains(&calls), "{calls}");
        assert_eq!(scan_all(&mut bench, " MATCH k12 COUNT 900").0, ["k12"]);
        assert!(scan_all(&mut bench, " TYPE list COUNT 900").0.is_empty());
        assert_eq!(scan_all(&mut bench, " TYPE STRING COUNT 900").0.len(), 5000);
        bench.line("PEXPIRE k7 1");
        bench.now_ms += 2;
        bench.effects();
        assert_eq!(scan_all(&mut bench, " COUNT 6000").0.len(), 4999);
        assert_eq!(bench.effects(), ["DEL k7"]);
    }
}

#[test]
fn scan_refuses_what_redis_refuses() {
    let mut bench = Bench::new();
    for (command, reply) in [
        ("SCAN x", "-ERR invalid cursor"),
        ("SCAN -", "-ERR invalid cursor"),
        ("SCAN -18446744073709551616", "-ERR invalid cursor"),
        ("SCAN -1", "*2 $1 0 *0"),
        ("SCAN 99999999999999999999", "-ERR invalid cursor"),
        ("SCAN 0 COUNT 0", "-ERR syntax error"),
        ("SCAN 0 COUNT", "-ERR syntax error"),
        (
            "SCAN 0 COUNT x",
            "-ERR value is not an integer or out of range",
        ),
        ("SCAN 0 TYPE foo", "*2 $1 0 *0"),
        ("SCAN 0 FOO bar", "-ERR syntax error"),
        ("SCAN 18446744073709551615", "*2 $1 0 *0"),
        ("SCAN +007", "*2 $1 0 *0"),
    ] {
        assert_eq!(bench.line(command), reply, "{command}");
    }
}

#[test]
fn the_shards_for_a_cursor_hold_enough_keys() {
    let bench = Bench::with_shards(4);
    for (shard, keys) in [5, 0, 6, 100].into_iter().enumerate() {
        bench.shared.observations.shards[shard].keyspace.databases[0]
            .keys
            .set(keys);
    }
    let shards = |words: &[&str]| {
        let request = Request::from_arguments(words.iter().map(|word| word.as_bytes()));
        shards_for_cursor(&request.args(), &bench.shared, 0)
    };
    let mut three = ShardSet::all(3);
    assert_eq!(shards(&["SCAN", "0"]), three);
    assert_eq!(
        shards(&["SCAN", "0", "COUNT", "5"]),
        ShardSet::one(ShardId(0))
    );
    assert_eq!(shards(&["SCAN", "0", "COUNT", "1000"]), ShardSet::all(4));
    let cursor = ((3u64 << 46) + 9).to_string();
    assert_eq!(shards(&["SCAN", &cursor]), ShardSet::one(ShardId(3)));
    assert_eq!(shards(&["SCAN", "x"]), ShardSet::one(ShardId(0)));
    three.insert(ShardId(3));
    assert_eq!(shards(&["SCAN", "0", "COUNT", "12"]), three);
}

/// The digest of everything, and of everything made again from its rewrite.
fn digests(bench: &mut Bench) -> [super::digest::Digest; 2] {
    let mut again = Bench::with_shards(bench.keyspaces.len());
    again.now_ms = bench.now_ms;
    for keyspace in &mut again.keyspaces {
        keyspace.replaying = true;
        keyspace.policy.notify = EventClass::default();
    }
    for keyspace in &bench.keyspaces {
        for db in 0..keyspace.database_count() {
            again.session.select(db);
            for entry in keyspace.database(db).table().iter() {
                rewrite(entry, bench.now_ms, &mut |effect| {
                    let mut bytes = Vec::new();
                    effect.encode(&mut bytes);
                    let words = bulks(&bytes);
                    let reply = again.run(&words);
                    assert!(!reply.starts_with(b"-"), "{words:?}: {reply:?}");
                });
            }
        }
    }
    let now_ms = bench.now_ms;
    [bench, &mut again].map(|bench| {
        let databases = bench.keyspaces.iter().flat_map(|keyspace| {
            (0..keyspace.database_count()).map(|db| (db, keyspace.database(db)))
        });
        digest(databases, now_ms)
    })
}

/// The bulk strings of a command in RESP.
fn bulks(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let line = |bytes: &mut &[u8]| {
        let end = bytes.iter().position(|byte| *byte == b'\r').unwrap();
        let number: usize = std::str::from_utf8(&bytes[1..end])
            .unwrap()
            .parse()
            .unwrap();
        *bytes = &bytes[end + 2..];
        number
    };
    for _ in 0..line(&mut bytes) {
        let len = line(&mut bytes);
        words.push(bytes[..len].to_vec());
        bytes = &bytes[len + 2..];
    }
    words
}

#[test]
fn a_rewrite_makes_the_same_keys() {
    let mut bench = Bench::with_shards(2);
    bench.line("SET s text EX 100");
    bench.line("SET i 42");
    bench.line("SET big x");
    bench.line("APPEND big yyy");
    for n in 0..200 {
        bench.line(&format!("RPUSH l element{n}"));
    }
    bench.session.select(3);
    bench.line("RPUSH l 1 2 3");
    bench.session.select(0);
    for n in 1..=20 {
        bench.line(&format!("XADD x {n}-1 name{} {n} other v", n % 3));
    }
    bench.line("XGROUP CREATE x g 0");
    bench.line("XGROUP CREATE x h 7-1 ENTRIESREAD 7");
    bench.line("XGROUP CREATECONSUMER x g idle");
    bench.line("XREADGROUP GROUP g one COUNT 12 STREAMS x >");
    bench.now_ms += 5;
    bench.line("XREADGROUP GROUP h two COUNT 3 STREAMS x >");
    bench.line("XCLAIM x g two 0 5-1 RETRYCOUNT 9");
    for command in ["XDEL x 9-1 8-1", "XTRIM x MAXLEN = 15", "XACK x g 1-1"] {
        bench.line(command);
        let [before, after] = digests(&mut bench);
        assert_eq!(before, after, "{command}");
    }
    bench.line("XADD e MAXLEN 0 * f v");
    for message in ["a", "b", "c"] {
        bench.line(&format!("XADD m IDMP p {message} * f v"));
        bench.line(&format!("XADD m IDMPAUTO q * f {message}"));
    }
    bench.line("XADD m MAXLEN 3 IDMP p d * f v");
    bench.line("XGROUP CREATE m g 0");
    bench.line("XREADGROUP GROUP g c COUNT 1 STREAMS m >");
    bench.line("XTRIM m ACKED MAXLEN 0");
    bench.line("XCFGSET e IDMP-DURATION 7");
    bench.line("XGROUP CREATE empty g $ MKSTREAM");
    bench.line("XADD gone 5-5 f v");
    bench.line("XGROUP CREATE gone g 0");
    bench.line("XREADGROUP GROUP g c STREAMS gone >");
    bench.line("XTRIM gone MAXLEN 0");
    let [before, after] = digests(&mut bench);
    assert_eq!(before, after);
    bench.line("XACK gone g 5-5");
    assert_ne!(
        digests(&mut bench)[0],
        before,
        "a digest tells what is pending"
    );
}

#[test]
fn no_key_has_the_digest_of_zeros() {
    let mut bench = Bench::with_shards(2);
    assert_eq!(digests(&mut bench), [[0; 20]; 2]);
    bench.line("SET k v PX 5");
    assert_ne!(digests(&mut bench)[0], [0; 20]);
    bench.now_ms += 6;
    assert_eq!(digests(&mut bench)[0], [0; 20]);
}

#[test]
fn a_scan_by_type_removes_what_has_expired_of_any_type() {
    let mut bench = Bench::new();
    for (line, reply) in [
        ("SET text x PX 1", "+OK"),
        ("SET kept x", "+OK"),
        ("RPUSH list x", ":1"),
    ] {
        assert_eq!(bench.line(line), reply);
    }
    bench.now_ms += 2;
    assert_eq!(bench.line("SCAN 0 TYPE list MATCH kept"), "*2 $1 0 *0");
    assert_eq!(bench.line("DBSIZE"), ":3");
    assert_eq!(bench.line("SCAN 0 TYPE list"), "*2 $1 0 *1 $4 list");
    assert_eq!(bench.line("DBSIZE"), ":2");
}
