#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use crate::command::testing::Bench;
use crate::config::Settings;

const NOT_SKETCH: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
const CORRUPTED: &str = "-INVALIDOBJ Corrupted HLL object detected";

fn replies(bench: &mut Bench, lines: &[(&str, &str)]) {
    for (command, reply) in lines {
        assert_eq!(bench.line(command), *reply, "{command}");
    }
}

/// From here on sketches are sparse up to so many bytes.
fn limit(bench: &mut Bench, sparse_bytes_max: usize) {
    bench.settings = Arc::new(Settings {
        hll_sparse_bytes_max: sparse_bytes_max,
        ..Settings::clone(&bench.settings)
    });
}

/// The bytes of a sparse sketch with these runs.
fn sparse(runs: &[u8]) -> Vec<u8> {
    [b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80", runs].concat()
}

fn set(bench: &mut Bench, key: &str, bytes: &[u8]) {
    assert_eq!(bench.run(&[b"SET", key.as_bytes(), bytes]), b"+OK\r\n");
}

fn get(bench: &mut Bench, key: &str) -> Vec<u8> {
    let reply = bench.run(&["GET", key]);
    let head = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    reply[head..reply.len() - 2].to_vec()
}

#[test]
fn elements_are_counted_once() {
    let mut bench = Bench::with_shards(4);
    replies(
        &mut bench,
        &[
            ("PFADD a", ":1"),
            ("PFADD a", ":0"),
            ("PFCOUNT a", ":0"),
            ("PFADD a foo bar zap", ":1"),
            ("PFADD a zap zap zap", ":0"),
            ("PFADD a foo bar", ":0"),
            ("PFCOUNT a", ":3"),
            ("PFADD b 1 2 3 foo", ":1"),
            ("PFCOUNT b", ":4"),
            ("PFCOUNT a b none", ":6"),
            ("PFCOUNT none", ":0"),
            ("PFCOUNT none none", ":0"),
            ("PFMERGE c a b none", "+OK"),
            ("PFCOUNT c", ":6"),
            ("PFMERGE a b", "+OK"),
            ("PFCOUNT a", ":6"),
            ("PFMERGE d", "+OK"),
            ("PFCOUNT d", ":0"),
            ("OBJECT ENCODING d", "$3 raw"),
        ],
    );
    assert_eq!(get(&mut bench, "a")[..8], get(&mut bench, "c")[..8]);
    assert_eq!(get(&mut bench, "a")[16..], get(&mut bench, "c")[16..]);
}

#[test]
fn an_estimate_is_about_right() {
    let mut bench = Bench::new();
    for element in 0..20_000 {
        bench.line(&format!("PFADD k {element}"));
    }
    let count: i64 = bench.line("PFCOUNT k")[1..].parse().unwrap();
    assert!((count - 20_000).abs() < 20_000 / 25, "{count}");
}

#[test]
fn the_limit_says_what_is_sparse() {
    let mut bench = Bench::new();
    limit(&mut bench, 20);
    replies(
        &mut bench,
        &[
            ("PFADD k", ":1"),
            ("STRLEN k", ":18"),
            ("PFDEBUG ENCODING k", "+sparse"),
            ("PFADD k a", ":1"),
            ("PFDEBUG ENCODING k", "+dense"),
            ("STRLEN k", ":12304"),
            ("PFCOUNT k", ":1"),
            ("PFDEBUG DECODE k", "-ERR HLL encoding is not sparse"),
            ("PFDEBUG TODENSE k", ":0"),
        ],
    );
    limit(&mut bench, 21);
    replies(
        &mut bench,
        &[
            ("PFADD l a", ":1"),
            ("PFDEBUG ENCODING l", "+sparse"),
            ("PFADD l b", ":1"),
            ("PFDEBUG ENCODING l", "+dense"),
            ("PFCOUNT k l", ":2"),
        ],
    );
}

#[test]
fn registers_are_shown() {
    let mut bench = Bench::new();
    set(&mut bench, "k", &sparse(&[0x3f, 0x88, 0x7f, 0xbe]));
    replies(
        &mut bench,
        &[
            ("PFDEBUG DECODE k", "$18 z:64 v:3,1 Z:16319"),
            (
                "PFDEBUG NOSUCH k",
                "-ERR Unknown PFDEBUG subcommand 'NOSUCH'",
            ),
            (
                "PFDEBUG NOSUCH none",
                "-ERR The specified key does not exist",
            ),
            ("PFDEBUG TODENSE k", ":1"),
            ("PFDEBUG ENCODING k", "+dense"),
        ],
    );
    let registers = bench.line("PFDEBUG GETREG k");
    let registers: Vec<&str> = registers.split(' ').collect();
    assert_eq!(registers.len(), 16385);
    assert_eq!(registers[63..67], [":0", ":0", ":3", ":0"]);
}

#[test]
fn elements_leave_in_their_registers_what_they_leave_in_redis() {
    let mut bench = Bench::new();
    bench.line("PFADD k a b c");
    bench.line("PFADD l  foo 0123456789abcdef 1234567");
    // Shown by valkey 7.2.7: elements of no byte, of a few, of less than a word and of two.
    replies(
        &mut bench,
        &[
            (
                "PFDEBUG DECODE k",
                "$44 Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603",
            ),
            (
                "PFDEBUG DECODE l",
                "$56 Z:5938 v:2,1 z:10 v:1,1 Z:1398 v:5,1 Z:2978 v:3,1 Z:6056",
            ),
        ],
    );
}

#[test]
fn what_is_no_sketch_is_refused() {
    let mut bench = Bench::new();
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    replies(
        &mut bench,
        &[
            ("SET s HYLL", "+OK"),
            ("SET n 1234567890123456", "+OK"),
            ("RPUSH l x", ":1"),
        ],
    );
    for (key, reply) in [("s", NOT_SKETCH), ("n", NOT_SKETCH), ("l", wrong)] {
        for command in [
            "PFADD K a",
            "PFCOUNT K",
            "PFCOUNT none K",
            "PFMERGE d K",
            "PFMERGE K",
        ] {
            assert_eq!(bench.line(&command.replace('K', key)), reply, "{command}");
        }
        assert_eq!(bench.line(&format!("PFDEBUG NOSUCH {key}")), reply);
    }
    assert_eq!(bench.line("EXISTS d"), ":0");
}

#[test]
fn registers_that_do_not_add_up_are_found() {
    let mut bench = Bench::new();
    for runs in [&[][..], &[0x7f], &[0x7f, 0xff, 0x00]] {
        set(&mut bench, "k", &sparse(runs));
        for command in [
            "PFCOUNT k",
            "PFCOUNT k none",
            "PFMERGE d k",
            "PFDEBUG TODENSE k",
            "PFDEBUG GETREG k",
        ] {
            assert_eq!(bench.line(command), CORRUPTED, "{command} {runs:?}");
        }
    }
    // Numbers behind the last register: only a count of one key minds.
    set(&mut bench, "k", &sparse(&[0x7f, 0xff, 0x80]));
    replies(
        &mut bench,
        &[
            ("PFCOUNT k", CORRUPTED),
            ("PFCOUNT k none", ":0"),
            ("PFMERGE d k", "+OK"),
            ("PFADD k a", ":1"),
        ],
    );
    set(&mut bench, "k", &sparse(&[0x00]));
    assert_eq!(bench.line("PFADD k a b c d"), CORRUPTED);
    assert_eq!(get(&mut bench, "k"), sparse(&[0x00]));
}

#[test]
fn a_count_is_cached_in_the_value() {
    let mut bench = Bench::new();
    bench.line("PFADD k a b c");
    assert_eq!(get(&mut bench, "k")[8..16], [0, 0, 0, 0, 0, 0, 0, 0x80]);
    assert_eq!(bench.line("PFCOUNT k"), ":3");
    assert_eq!(get(&mut bench, "k")[8..16], [3, 0, 0, 0, 0, 0, 0, 0]);
    // A cache is believed.
    let mut bytes = get(&mut bench, "k");
    bytes[9] = 1;
    set(&mut bench, "k", &bytes);
    replies(
        &mut bench,
        &[
            ("OBJECT ENCODING k", "$6 embstr"),
            ("PFCOUNT k", ":259"),
            ("OBJECT ENCODING k", "$3 raw"),
            ("PFADD k a", ":0"),
            ("PFCOUNT k", ":259"),
            ("PFADD k d", ":1"),
            ("PFCOUNT k", ":4"),
        ],
    );
}

#[test]
fn changes_report_effects_and_events_as_redis_does() {
    let mut bench = Bench::new();
    let t = |bench: &mut Bench, command: &str, effects: &[&str], events: &[&str]| {
        bench.line(command);
        assert_eq!(bench.effects(), effects, "{command}");
        assert_eq!(bench.events(), events, "{command}");
    };
    let dirty = |bench: &Bench| bench.keyspaces[0].counters().dirty.get();
    t(&mut bench, "PFADD k", &["PFADD k"], &["new k", "pfadd k"]);
    t(&mut bench, "PFADD k", &[], &[]);
    assert_eq!(dirty(&bench), 1);
    t(
        &mut bench,
        "PFADD k a b a",
        &["PFADD k a b a"],
        &["pfadd k"],
    );
    assert_eq!(dirty(&bench), 3);
    t(&mut bench, "PFCOUNT k", &["PFCOUNT k"], &[]);
    t(&mut bench, "PFCOUNT k", &[], &[]);
    t(&mut bench, "PFCOUNT none", &[], &["keymiss none"]);
    assert_eq!(dirty(&bench), 4);
    t(&mut bench, "PFDEBUG GETREG k", &["PFDEBUG TODENSE k"], &[]);
    t(&mut bench, "PFDEBUG GETREG k", &[], &[]);
    assert_eq!(dirty(&bench), 5);
    t(&mut bench, "PFADD k c", &["PFADD k c"], &["pfadd k"]);
    t(&mut bench, "PFADD k c", &[], &[]);
    limit(&mut bench, 0);
    t(
        &mut bench,
        "PFADD l a",
        &["PFADD l", "PFDEBUG TODENSE l", "PFADD l a"],
        &["new l", "pfadd l"],
    );
    assert_eq!(dirty(&bench), 8);
    t(
        &mut bench,
        "PFMERGE m",
        &["PFMERGE m"],
        &["keymiss m", "new m", "pfadd m"],
    );
    assert_eq!(dirty(&bench), 9);
    t(
        &mut bench,
        "PFMERGE m l",
        &["PFDEBUG TODENSE m", "PFMERGE m l"],
        &["pfadd m"],
    );
    t(
        &mut bench,
        "PFMERGE n l",
        &["PFADD n", "PFDEBUG TODENSE n", "PFMERGE n l"],
        &["keymiss n", "new n", "pfadd n"],
    );
}

#[test]
fn a_replay_of_a_log_of_redis_makes_dense_what_is_too_long() {
    // Redis logs the commands alone.
    let mut bench = Bench::new();
    bench.keyspaces[0].replaying = true;
    limit(&mut bench, 0);
    replies(
        &mut bench,
        &[("PFADD k a b c", ":1"), ("PFDEBUG ENCODING k", "+dense")],
    );
}

#[test]
fn the_self_test_passes() {
    assert_eq!(Bench::new().line("PFSELFTEST"), "+OK");
}
