#![allow(clippy::unwrap_used, reason = "tests")]
//! HGETEX, HSETEX, HGETDEL: replies, errors, events, effects.

use super::tests::{bench, check};

#[test]
fn fields_are_read_and_ended_or_removed() {
    for entry_count_max in [128, 2] {
        check(
            &mut bench(entry_count_max, 64),
            &[
                ("HSET h a 1 b 2 c 3 d 4", ":4"),
                ("HGETEX h FIELDS 2 a none", "*2 $1 1 $-1"),
                ("HGETEX h EX 10 FIELDS 3 a none b", "*3 $1 1 $-1 $1 2"),
                ("HTTL h FIELDS 3 a b c", "*3 :10 :10 :-1"),
                ("HGETEX h PERSIST FIELDS 2 a c", "*2 $1 1 $1 3"),
                ("HTTL h FIELDS 2 a b", "*2 :-1 :10"),
                ("HGETEX h PXAT 1 FIELDS 1 c", "*1 $1 3"),
                ("HGETDEL h FIELDS 3 d none c", "*3 $1 4 $-1 $-1"),
                ("HLEN h", ":2"),
                ("HGETDEL h FIELDS 2 a b", "*2 $1 1 $1 2"),
                ("EXISTS h", ":0"),
                ("HGETDEL h FIELDS 2 a b", "*2 $-1 $-1"),
                ("HGETEX h EX 10 FIELDS 1 a", "*1 $-1"),
                ("EXISTS h", ":0"),
            ],
        );
    }
}

#[test]
fn fields_are_set_and_ended_on_a_condition() {
    for entry_count_max in [128, 2] {
        check(
            &mut bench(entry_count_max, 64),
            &[
                ("HSETEX h FXX FIELDS 1 a 1", ":0"),
                ("EXISTS h", ":0"),
                ("HSETEX h FNX EX 60 FIELDS 2 a 1 b 2", ":1"),
                ("HTTL h FIELDS 2 a b", "*2 :60 :60"),
                ("HSETEX h FNX FIELDS 2 a 5 c 5", ":0"),
                ("HSETEX h FXX FIELDS 2 a 5 c 5", ":0"),
                ("HSETEX h FXX KEEPTTL FIELDS 1 a 3", ":1"),
                ("HSETEX h FIELDS 1 b 4", ":1"),
                ("HTTL h FIELDS 2 a b", "*2 :60 :-1"),
                ("HSETEX h FIELDS 1 c 5 PX 1500", ":1"),
                ("HPTTL h FIELDS 1 c", "*1 :1500"),
                ("HMGET h a b c", "*3 $1 3 $1 4 $1 5"),
                ("HSETEX h EXAT 1 FIELDS 3 a 1 b 1 c 1", ":1"),
                ("EXISTS h", ":0"),
            ],
        );
    }
}

#[test]
fn wrong_arguments_are_refused() {
    const MISSING: &str = "-ERR Mandatory argument FIELDS is missing or not at the right position";
    const MISMATCH: &str = "-ERR The `numfields` parameter must match the number of arguments";
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    check(
        &mut bench(128, 64),
        &[
            ("SET s 1", "+OK"),
            ("HGETDEL s FIELDS 1 a", wrong_type),
            ("HGETEX s FIELDS 1 a", wrong_type),
            ("HSETEX s FIELDS 1 a 1", wrong_type),
            ("HGETDEL h FIELD 1 a", MISSING),
            ("HGETDEL h FIELDS 2 a", MISMATCH),
            ("HGETDEL h FIELDS 1 a b", MISMATCH),
            (
                "HGETDEL h FIELDS 0 a",
                "-ERR Parameter `numFields` should be greater than 0",
            ),
            ("HGETDEL h EX 1 FIELDS 1 a", MISSING),
            ("HSETEX h FIELDS 1 a b c", MISMATCH),
            ("HSETEX h FIELDS 2 a b c", MISMATCH),
            (
                "HSETEX h FNX FXX FIELDS 1 a 1",
                "-ERR Only one of FXX or FNX arguments can be specified",
            ),
            (
                "HSETEX h EX 1 KEEPTTL FIELDS 1 a 1",
                "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ),
            (
                "HGETEX h EX 1 PX 1 FIELDS 1 a",
                "-ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified",
            ),
            (
                "HGETEX h EX 0 FIELDS 1 a",
                "-ERR invalid expire time in 'hgetex' command",
            ),
            (
                "HSETEX h PXAT 9007199254740993 FIELDS 1 a 1",
                "-ERR invalid expire time in 'hsetex' command",
            ),
            ("HSETEX h PXAT 9007199254740992 FIELDS 1 a 1", ":1"),
            (
                "HGETEX h PXAT 9007199254740993 FIELDS 1 a",
                "-ERR invalid expire time in 'hgetex' command",
            ),
            ("HPEXPIRETIME h FIELDS 1 a", "*1 :9007199254740992"),
            (
                "HSETEX h EX x FIELDS 1 a 1",
                "-ERR value is not an integer or out of range",
            ),
        ],
    );
}

#[test]
fn events_and_effects_are_those_of_the_parts() {
    let mut bench = bench(128, 64);
    for (line, events, effects) in [
        (
            "HSETEX h PXAT 1700000010000 FIELDS 2 a 1 b 2",
            "new h, hset h, hexpire h",
            "HSET h a 1 b 2, HPEXPIREAT h 1700000010000 FIELDS 2 a b",
        ),
        (
            "HSETEX h KEEPTTL FIELDS 2 a 3 c 3",
            "hset h",
            "HSET h a 3 c 3, HPEXPIREAT h 1700000010000 FIELDS 1 a",
        ),
        ("HSETEX h FNX FIELDS 1 a 3", "", ""),
        ("HGETEX h FIELDS 1 a", "", ""),
        (
            "HGETEX h PERSIST FIELDS 2 a c",
            "hpersist h",
            "HPERSIST h FIELDS 1 a",
        ),
        (
            "HGETEX h PX 5 FIELDS 2 a none",
            "hexpire h",
            "HPEXPIREAT h 1700000000005 FIELDS 1 a",
        ),
        ("HGETEX h PXAT 5 FIELDS 1 a", "hdel h", "HDEL h a"),
        ("HGETDEL h FIELDS 2 none c", "hdel h", "HDEL h c"),
        ("HGETDEL h FIELDS 1 b", "hdel h, del h", "HDEL h b"),
    ] {
        bench.line(line);
        assert_eq!(bench.events().join(", "), events, "{line}");
        assert_eq!(bench.effects().join(", "), effects, "{line}");
    }
}
