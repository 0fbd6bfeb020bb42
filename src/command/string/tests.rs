#![allow(clippy::unwrap_used, reason = "tests")]

use crate::command::testing::Bench;

fn replies(bench: &mut Bench, lines: &[(&str, &str)]) {
    for (command, reply) in lines {
        assert_eq!(bench.line(command), *reply, "{command}");
    }
}

#[test]
fn set_takes_every_option() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("SET k a", "+OK"),
            ("SET k b NX", "$-1"),
            ("SET k b XX GET", "$1 a"),
            ("SET k c EX 10 KEEPTTL", "-ERR syntax error"),
            ("SET k c KEEPTTL EX 10", "-ERR syntax error"),
            ("SET k c EX 10 PX 10", "-ERR syntax error"),
            ("SET k c NX XX", "-ERR syntax error"),
            ("SET k c EX", "-ERR syntax error"),
            ("SET k c EX 10 EX 20", "+OK"),
            ("TTL k", ":20"),
            ("SET k c KEEPTTL", "+OK"),
            ("TTL k", ":20"),
            ("SET k c", "+OK"),
            ("TTL k", ":-1"),
            ("SET k c EX 0", "-ERR invalid expire time in 'set' command"),
            (
                "SET k c EX 9223372036854775",
                "-ERR invalid expire time in 'set' command",
            ),
            (
                "SET k c EX x",
                "-ERR value is not an integer or out of range",
            ),
            ("SET k c PXAT 1700000000500", "+OK"),
            ("PTTL k", ":500"),
            ("SET k c EXAT 1 GET", "$1 c"),
            ("EXISTS k", ":0"),
            ("SET n x NX GET", "$-1"),
            ("SET n y NX GET", "$1 x"),
            ("SET m y XX", "$-1"),
            ("SETNX n z", ":0"),
            ("SETNX o z", ":1"),
            (
                "SETEX o -1 z",
                "-ERR invalid expire time in 'setex' command",
            ),
            ("PSETEX o 1500 z", "+OK"),
            ("PTTL o", ":1500"),
            ("GETSET o 1", "$1 z"),
            ("PTTL o", ":-1"),
            ("OBJECT ENCODING o", "$3 int"),
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
    t(
        &mut bench,
        "SET k a EX 10",
        &["SET k a PXAT 1700000010000"],
        &["new k", "set k", "expire k"],
    );
    t(
        &mut bench,
        "SET k b KEEPTTL",
        &["SET k b KEEPTTL"],
        &["set k"],
    );
    t(&mut bench, "GETEX k", &[], &[]);
    t(
        &mut bench,
        "GETEX k PX 5",
        &["PEXPIREAT k 1700000000005"],
        &["expire k"],
    );
    t(
        &mut bench,
        "GETEX k PERSIST",
        &["PERSIST k"],
        &["persist k"],
    );
    t(&mut bench, "GETEX k PERSIST", &[], &[]);
    t(&mut bench, "GETEX k EXAT 1", &["DEL k"], &["del k"]);
    t(&mut bench, "GETEX k", &[], &["keymiss k"]);
    t(
        &mut bench,
        "MSET a 1 b 2",
        &["SET a 1", "SET b 2"],
        &["new a", "set a", "new b", "set b"],
    );
    t(&mut bench, "MSETNX c 1 b 2", &[], &[]);
    t(&mut bench, "INCR a", &["INCR a"], &["incrby a"]);
    t(
        &mut bench,
        "INCRBYFLOAT a 0.5",
        &["SET a 2.5 KEEPTTL"],
        &["incrbyfloat a"],
    );
    t(&mut bench, "APPEND a x", &["APPEND a x"], &["append a"]);
    t(
        &mut bench,
        "SETRANGE a 9 x",
        &["SETRANGE a 9 x"],
        &["setrange a"],
    );
    t(&mut bench, "SETRANGE z 9 ", &[], &[]);
    t(&mut bench, "GETDEL a", &["DEL a"], &["del a"]);
    t(
        &mut bench,
        "SET b x PXAT 5",
        &["SET b x PXAT 5"],
        &["set b", "expire b"],
    );
    bench.line("SET e x PX 5");
    bench.effects();
    bench.events();
    bench.now_ms += 6;
    t(
        &mut bench,
        "SETNX e y",
        &["DEL e", "SET e y"],
        &["expired e", "new e", "set e"],
    );
}

#[test]
fn numbers_count_within_64_bits() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("INCR n", ":1"),
            ("DECRBY n 5", ":-4"),
            ("INCRBY n 9223372036854775807", ":9223372036854775803"),
            ("INCRBY n 5", "-ERR increment or decrement would overflow"),
            (
                "DECRBY n -9223372036854775808",
                "-ERR decrement would overflow",
            ),
            ("SET t 007", "+OK"),
            ("INCR t", "-ERR value is not an integer or out of range"),
            ("RPUSH l x", ":1"),
            (
                "INCR l",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("INCRBYFLOAT f 3.0", "$1 3"),
            ("INCRBYFLOAT f 1.1", "$3 4.1"),
            ("OBJECT ENCODING f", "$6 embstr"),
            ("INCRBYFLOAT f x", "-ERR value is not a valid float"),
            (
                "INCRBYFLOAT f -inf",
                "-ERR increment would produce NaN or Infinity",
            ),
            ("SET i 10", "+OK"),
            ("APPEND i 1", ":3"),
            ("OBJECT ENCODING i", "$3 raw"),
            ("INCR i", ":102"),
            ("OBJECT ENCODING i", "$3 int"),
            ("OBJECT REFCOUNT i", ":2147483647"),
        ],
    );
}

#[test]
fn parts_of_strings() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("SET s Hello", "+OK"),
            ("GETRANGE s 0 -1", "$5 Hello"),
            ("GETRANGE s -3 -2", "$2 ll"),
            ("GETRANGE s -1 -100", "$0"),
            ("GETRANGE s 3 100", "$2 lo"),
            ("GETRANGE s 5 100", "$0"),
            ("SUBSTR s -9223372036854775808 0", "$1 H"),
            ("SETRANGE s 6 x", ":7"),
            ("GET s", "$7 Hello\0x"),
            ("SETRANGE s -1 x", "-ERR offset is out of range"),
            (
                "SETRANGE s 536870912 x",
                "-ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            ),
            ("STRLEN s", ":7"),
            ("SET n 12345", "+OK"),
            ("STRLEN n", ":5"),
            ("GETRANGE n 1 2", "$2 23"),
            ("MGET s none n", "*3 $7 Hello\0x $-1 $5 12345"),
        ],
    );
}

#[test]
fn lcs_gives_the_runs_from_the_end() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("MSET a ohmytext b mynewtext", "+OK"),
            ("LCS a b", "$6 mytext"),
            ("LCS a b LEN", ":6"),
            (
                "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
                "*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6",
            ),
            (
                "LCS a b IDX",
                "*4 $7 matches *2 *2 *2 :4 :7 *2 :5 :8 *2 *2 :2 :3 *2 :0 :1 $3 len :6",
            ),
            ("LCS a none", "$0"),
            (
                "LCS a b IDX LEN",
                "-ERR If you want both the length and indexes, please just use IDX.",
            ),
            ("LCS a b MINMATCHLEN", "-ERR syntax error"),
        ],
    );
}

#[test]
fn a_key_is_set_or_removed_if_its_string_is_the_one_named() {
    let mut bench = Bench::new();
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let no_digest = "-ERR must be exactly 16 hexadecimal characters";
    replies(
        &mut bench,
        &[
            ("SET k a IFEQ b", "$-1"),
            ("SET k a IFDEQ 0123456789abcdef", "$-1"),
            ("EXISTS k", ":0"),
            ("SET k a IFNE b", "+OK"),
            ("SET k b IFEQ a GET", "$1 a"),
            ("SET k c IFEQ a GET", "$1 b"),
            ("SET k c IFNE b", "$-1"),
            ("GET k", "$1 b"),
            ("SET k Helloworld", "+OK"),
            ("DIGEST k", "$16 b51e061832b46dcf"),
            ("DIGEST none", "$-1"),
            ("SET k x IFDEQ 0000000000000000", "$-1"),
            ("SET k x IFDNE 0000000000000000 EX 10", "+OK"),
            ("TTL k", ":10"),
            ("SET k y IFDEQ 123", no_digest),
            ("SET k y IFDEQ 0123456789abcdeg", no_digest),
            ("SET k y IFEQ", "-ERR syntax error"),
            ("SET k y IFEQ x NX", "-ERR syntax error"),
            ("SET k y IFEQ x IFNE y", "-ERR syntax error"),
            ("RPUSH l x", ":1"),
            ("SET l y IFEQ x", wrong_type),
            ("DIGEST l", wrong_type),
            ("DELEX l IFNE x", wrong_type),
            ("DELEX l", ":1"),
            ("DELEX l", ":0"),
            (
                "DELEX k IFEQ",
                "-ERR wrong number of arguments for 'delex' command",
            ),
            ("DELEX k IFXX x", "-ERR syntax error"),
            ("DELEX k IFEQ y", ":0"),
            ("DELEX k IFDNE 0123", no_digest),
            ("DELEX none IFNE y", ":0"),
            ("DELEX k IFEQ x", ":1"),
            ("EXISTS k", ":0"),
        ],
    );
}

#[test]
fn several_keys_are_set_for_one_time_on_one_condition() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("MSETEX 2 a 1 b 2 EX 10 NX", ":1"),
            ("TTL a", ":10"),
            ("MSETEX 2 b 3 c 3 NX", ":0"),
            ("MSETEX 2 b 3 c 3 XX", ":0"),
            ("MSETEX 1 b 3 XX KEEPTTL", ":1"),
            ("TTL b", ":10"),
            ("MSETEX 1 b 4", ":1"),
            ("TTL b", ":-1"),
            ("MGET a b c", "*3 $1 1 $1 4 $-1"),
            ("MSETEX 0 a 1", "-ERR invalid numkeys value"),
            ("MSETEX x a 1", "-ERR invalid numkeys value"),
            ("MSETEX 2 a 1 b", "-ERR wrong number of key-value pairs"),
            ("MSETEX 1 a 1 b 2", "-ERR syntax error"),
            ("MSETEX 1 a 1 GET", "-ERR syntax error"),
            ("MSETEX 1 a 1 IFEQ 1", "-ERR syntax error"),
            ("MSETEX 1 a 1 NX XX", "-ERR syntax error"),
            (
                "MSETEX 1 a 1 EX 0",
                "-ERR invalid expire time in 'msetex' command",
            ),
        ],
    );
}
