#![allow(clippy::unwrap_used, reason = "tests")]

use crate::command::testing::Bench;

fn replies(bench: &mut Bench, lines: &[(&str, &str)]) {
    for (command, reply) in lines {
        assert_eq!(bench.line(command), *reply, "{command}");
    }
}

#[test]
fn one_bit_is_set_and_read() {
    let mut bench = Bench::new();
    let offset = "-ERR bit offset is not an integer or out of range";
    let value = "-ERR bit is not an integer or out of range";
    replies(
        &mut bench,
        &[
            ("SETBIT k 7 1", ":0"),
            ("SETBIT k 7 1", ":1"),
            ("GET k", "$1 \u{1}"),
            ("OBJECT ENCODING k", "$3 raw"),
            ("SETBIT k 1 1", ":0"),
            ("GET k", "$1 A"),
            ("SETBIT k 25 0", ":0"),
            ("STRLEN k", ":4"),
            ("GETBIT k 1", ":1"),
            ("GETBIT k 2", ":0"),
            ("GETBIT k 4294967295", ":0"),
            ("GETBIT none 5", ":0"),
            ("SETBIT k 4294967296 1", offset),
            ("SETBIT k -1 1", offset),
            ("SETBIT k #1 2", offset),
            ("SETBIT k x 2", offset),
            ("SETBIT k 0 2", value),
            ("SETBIT k 0 -1", value),
            ("SETBIT k 0 x", value),
            ("GETBIT k 4294967296", offset),
            ("SET n 12", "+OK"),
            ("GETBIT n 3", ":1"),
            ("SETBIT n 3 1", ":1"),
            ("OBJECT ENCODING n", "$3 raw"),
            ("SETBIT n 6 1", ":0"),
            ("GET n", "$2 32"),
            ("RPUSH l x", ":1"),
            (
                "SETBIT l 0 1",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("SETBIT l 0 2", value),
        ],
    );
}

#[test]
fn a_far_bit_lets_the_string_grow_to_it() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("SET k abc", "+OK"),
            ("SETBIT k 80000000 1", ":0"),
            ("STRLEN k", ":10000001"),
            ("GETRANGE k 0 2", "$3 abc"),
            ("BITCOUNT k", ":11"),
            ("BITPOS k 1 3", ":80000000"),
            ("SETBIT k 80000001 1", ":0"),
            ("SETBIT k 240000000 1", ":0"),
            ("BITCOUNT k", ":13"),
            ("BITPOS k 0", ":0"),
        ],
    );
}

#[test]
fn bits_are_counted_and_found_in_ranges() {
    let mut bench = Bench::new();
    let syntax = "-ERR syntax error";
    let integer = "-ERR value is not an integer or out of range";
    replies(
        &mut bench,
        &[
            ("SET k foobar", "+OK"),
            ("BITCOUNT k", ":26"),
            ("BITCOUNT k 0 0", ":4"),
            ("BITCOUNT k 1 1 BYTE", ":6"),
            ("BITCOUNT k 5 30 BIT", ":17"),
            ("BITCOUNT k -5 -1 bit", ":2"),
            ("BITCOUNT k 3 1", ":0"),
            ("BITCOUNT k -1 -3 NOUNIT", ":0"),
            ("BITCOUNT k 0 -1 NOUNIT", syntax),
            ("BITCOUNT k 0", syntax),
            ("BITCOUNT k 0 x", integer),
            ("BITCOUNT none 0 x y z", ":0"),
            ("BITPOS k 1", ":1"),
            ("BITPOS k 0 1", ":8"),
            ("BITPOS k 1 3 4 BYTE", ":25"),
            ("BITPOS k 1 7 15 BIT", ":9"),
            ("BITPOS k 0 7 15 BIT", ":7"),
            ("BITPOS k 1 3 1", ":-1"),
            ("BITPOS k 2", "-ERR The bit argument must be 1 or 0."),
            ("BITPOS k x", integer),
            ("BITPOS k 1 x y z", integer),
            ("BITPOS k 1 0 y NOUNIT", syntax),
            ("BITPOS k 1 0 y BIT", integer),
            ("BITPOS k 1 0 1 BIT more", syntax),
            ("BITPOS none 1 0 1 BIT more", ":-1"),
            ("BITPOS none 0 x", ":0"),
            ("SETBIT ones 0 1", ":0"),
            ("BITFIELD ones SET i64 0 -1", "*1 :-9223372036854775808"),
            ("BITPOS ones 0", ":64"),
            ("BITPOS ones 0 2", ":64"),
            ("BITPOS ones 0 2 -1", ":-1"),
            ("BITPOS ones 0 8", ":-1"),
            ("BITPOS ones 0 3 5 BIT", ":-1"),
        ],
    );
}

#[test]
fn strings_are_combined() {
    let mut bench = Bench::with_shards(4);
    replies(
        &mut bench,
        &[
            ("MSET a abcd b 12 c 7", "+OK"),
            ("BITOP AND d a b", ":4"),
            ("GET d", "$4 !\"\0\0"),
            ("BITOP or d a b", ":4"),
            ("GET d", "$4 qrcd"),
            ("BITOP XOR d a b none", ":4"),
            ("GET d", "$4 PPcd"),
            ("BITOP XOR d d d", ":4"),
            ("GET d", "$4 \0\0\0\0"),
            ("BITOP NOT d c", ":1"),
            ("BITOP NOT d d", ":1"),
            ("GET d", "$1 7"),
            ("OBJECT ENCODING d", "$3 raw"),
            ("BITOP AND d none other", ":0"),
            ("EXISTS d", ":0"),
            ("BITOP NAND d a", "-ERR syntax error"),
            (
                "BITOP NOT d a b",
                "-ERR BITOP NOT must be called with a single source key.",
            ),
            ("RPUSH l x", ":1"),
            (
                "BITOP AND d a l",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("BITOP AND l a b", ":4"),
            ("TYPE l", "+string"),
        ],
    );
}

#[test]
fn numbers_overflow_as_asked_for() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            (
                "BITFIELD k SET u8 0 255 INCRBY u8 0 10 GET u8 0 GET i8 0",
                "*4 :0 :9 :9 :9",
            ),
            (
                "BITFIELD k OVERFLOW SAT INCRBY u8 0 1000 INCRBY i8 #1 -1000 OVERFLOW FAIL INCRBY u8 0 1",
                "*3 :255 :-128 $-1",
            ),
            ("BITFIELD k SET u8 0 -1", "*1 :255"),
            ("BITFIELD k OVERFLOW SAT SET u4 0 -1", "*1 :15"),
            ("BITFIELD k SET i5 3 77 GET i5 3", "*2 :-1 :13"),
            (
                "BITFIELD m SET i64 1 9223372036854775807 INCRBY i64 1 1 OVERFLOW SAT INCRBY i64 1 -1",
                "*3 :0 :-9223372036854775808 :-9223372036854775808",
            ),
            (
                "BITFIELD m OVERFLOW SAT INCRBY u63 0 9223372036854775807",
                "*1 :9223372036854775807",
            ),
            // Redis: far below saturates to the highest number, less far to the lowest.
            (
                "BITFIELD f OVERFLOW SAT SET i8 0 -9223372036854775681 GET i8 0 SET i8 0 -9223372036854775680 GET i8 0",
                "*4 :0 :127 :127 :-128",
            ),
            ("BITFIELD m GET u1 100000", "*1 :0"),
            ("BITFIELD m", "*0"),
            ("BITFIELD_RO m GET u8 0 GET i4 #3", "*2 :255 :-1"),
            ("STRLEN m", ":9"),
        ],
    );
    bench.resp3();
    assert_eq!(bench.line("BITFIELD k OVERFLOW FAIL SET u8 0 256"), "*1 _");
}

#[test]
fn wrong_fields_are_refused_before_anything_is_written() {
    let mut bench = Bench::new();
    let encoding = "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
    let offset = "-ERR bit offset is not an integer or out of range";
    let syntax = "-ERR syntax error";
    replies(
        &mut bench,
        &[
            ("BITFIELD k SET u8 0 1 GET u64 0", encoding),
            ("BITFIELD k SET u8 0 1 GET i65 0", encoding),
            ("BITFIELD k SET u8 0 1 GET u0 0", encoding),
            ("BITFIELD k SET u8 0 1 GET 8 0", encoding),
            ("BITFIELD k SET u8 0 1 GET  0", encoding),
            ("BITFIELD k SET u8 0 1 GET u8 -1", offset),
            ("BITFIELD k SET u8 0 1 GET u8 ##1", offset),
            ("BITFIELD k SET u8 4294967296 1", offset),
            ("BITFIELD k SET u8 #536870912 1", offset),
            ("BITFIELD k SET u8 #9223372036854775807 1", offset),
            ("BITFIELD k SET u8 0 1 GET u8", syntax),
            ("BITFIELD k SET u8 0 1 OVERFLOW", syntax),
            (
                "BITFIELD k SET u8 0 1 OVERFLOW x",
                "-ERR Invalid OVERFLOW type specified",
            ),
            (
                "BITFIELD k SET u8 0 x",
                "-ERR value is not an integer or out of range",
            ),
            (
                "BITFIELD_RO k GET u8 0 SET u8 0 1",
                "-ERR BITFIELD_RO only supports the GET subcommand",
            ),
            ("BITFIELD_RO k OVERFLOW FAIL", "*0"),
            ("EXISTS k", ":0"),
            ("RPUSH l x", ":1"),
            (
                "BITFIELD l",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ],
    );
}

#[test]
fn only_what_changes_is_reported() {
    let mut bench = Bench::new();
    let t = |bench: &mut Bench, command: &str, effects: &[&str], events: &[&str]| {
        bench.line(command);
        assert_eq!(bench.effects(), effects, "{command}");
        assert_eq!(bench.events(), events, "{command}");
    };
    t(
        &mut bench,
        "SETBIT k 9 0",
        &["SETBIT k 9 0"],
        &["new k", "setbit k"],
    );
    t(&mut bench, "SETBIT k 9 0", &[], &[]);
    t(&mut bench, "SETBIT k 9 1", &["SETBIT k 9 1"], &["setbit k"]);
    t(
        &mut bench,
        "BITFIELD k SET u2 0 0 SET u2 8 2",
        &["BITFIELD k SET u2 0 0 SET u2 8 2"],
        &["setbit k"],
    );
    t(&mut bench, "BITFIELD k SET u2 0 0", &[], &[]);
    t(
        &mut bench,
        "BITFIELD k OVERFLOW FAIL SET u2 30 9",
        &["BITFIELD k OVERFLOW FAIL SET u2 30 9"],
        &[],
    );
    t(&mut bench, "BITFIELD none GET u2 0", &[], &["keymiss none"]);
    t(
        &mut bench,
        "BITOP NOT d k",
        &["BITOP NOT d k"],
        &["new d", "set d"],
    );
    t(
        &mut bench,
        "BITOP OR d none",
        &["BITOP OR d none"],
        &["keymiss none", "del d"],
    );
    t(&mut bench, "BITOP OR d none", &[], &["keymiss none"]);
    t(&mut bench, "SET n 12", &["SET n 12"], &["new n", "set n"]);
    // Its form changes, and a replay must know.
    t(&mut bench, "SETBIT n 3 1", &["APPEND n "], &[]);
    t(&mut bench, "SETBIT n 3 1", &[], &[]);
}

#[test]
fn what_changes_count_is_what_redis_counts() {
    let mut bench = Bench::new();
    let dirty = |bench: &Bench| bench.keyspaces[0].counters().dirty.get();
    bench.line("BITFIELD k SET u8 0 1 SET u8 8 0 INCRBY u8 0 1 GET u8 0");
    assert_eq!(dirty(&bench), 3);
    bench.line("BITFIELD k SET u8 8 0 INCRBY u8 0 1");
    assert_eq!(dirty(&bench), 4);
    bench.line("BITFIELD k OVERFLOW FAIL SET u8 800 256");
    bench.line("SETBIT k 0 0");
    assert_eq!(dirty(&bench), 4);
}

#[test]
fn bits_of_the_first_string_and_of_the_others_are_told_apart() {
    let mut bench = Bench::new();
    let few = "-ERR BITOP DIFF must be called with at least two source keys.";
    replies(
        &mut bench,
        &[
            // 01110001, 01110010, 01100001: q, r, a.
            ("MSET x q y r z a", "+OK"),
            ("BITOP DIFF d x y z", ":1"),
            ("BITFIELD_RO d GET u8 0", "*1 :0"),
            ("BITOP DIFF d x y", ":1"),
            ("BITFIELD_RO d GET u8 0", "*1 :1"),
            ("BITOP DIFF1 d x y z", ":1"),
            ("BITFIELD_RO d GET u8 0", "*1 :2"),
            ("BITOP ANDOR d x y z", ":1"),
            ("GET d", "$1 q"),
            ("BITOP ONE d x y z", ":1"),
            ("BITFIELD_RO d GET u8 0", "*1 :2"),
            ("BITOP one d x", ":1"),
            ("GET d", "$1 q"),
            ("SET long qq", "+OK"),
            ("BITOP DIFF d x long", ":2"),
            ("BITOP DIFF1 d x long", ":2"),
            ("BITFIELD_RO d GET u16 0", "*1 :113"),
            ("BITOP ANDOR d x long none", ":2"),
            ("BITFIELD_RO d GET u16 0", "*1 :28928"),
            ("BITOP diff d x", few),
        ],
    );
}

#[test]
fn a_replay_repeats_what_was_allowed_when_it_was_recorded() {
    let mut bench = Bench::new();
    let settings = (*bench.settings).clone();
    bench.settings = std::sync::Arc::new(crate::config::Settings {
        proto_max_bulk_bytes: 1 << 20,
        ..settings
    });
    assert!(
        bench
            .line("SETBIT k 80000000 1")
            .starts_with("-ERR bit offset")
    );
    bench.keyspaces[0].replaying = true;
    assert_eq!(bench.line("SETBIT k 80000000 1"), ":0");
    assert_eq!(bench.line("SETRANGE s 2000000 x"), ":2000001");
}
