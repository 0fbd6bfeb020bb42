#![allow(clippy::unwrap_used, reason = "tests")]
//! Fields that end: replies, events, effects, and that nobody sees them afterwards.

use proptest::prelude::*;

use super::tests::{bench, check};
use crate::command::testing::Bench;
use crate::keyspace::value::Value;

const NOW_MS: u64 = 1_700_000_000_000;

#[test]
fn fields_end_when_they_are_told_to() {
    for entry_count_max in [128, 2] {
        let mut bench = bench(entry_count_max, 64);
        check(
            &mut bench,
            &[
                ("HSET h a 1 b 2 c 3 d 4", ":4"),
                ("HEXPIRE h 10 FIELDS 3 a none b", "*3 :1 :-2 :1"),
                ("HPEXPIRE h 1500 FIELDS 1 c", "*1 :1"),
                ("HTTL h FIELDS 5 a b c d none", "*5 :10 :10 :2 :-1 :-2"),
                ("HPTTL h FIELDS 2 a c", "*2 :10000 :1500"),
                ("HEXPIRETIME h FIELDS 2 a d", "*2 :1700000010 :-1"),
                ("HPEXPIRETIME h FIELDS 1 c", "*1 :1700000001500"),
                ("HEXPIREAT h 1700000020 FIELDS 1 b", "*1 :1"),
                ("HPEXPIREAT h 1700000020001 FIELDS 1 c", "*1 :1"),
                ("HPTTL h FIELDS 2 b c", "*2 :20000 :20001"),
                ("HPERSIST h FIELDS 4 a a d none", "*4 :1 :-1 :-1 :-2"),
                ("HTTL h FIELDS 1 a", "*1 :-1"),
            ],
        );
        bench.now_ms = NOW_MS + 20_000;
        check(&mut bench, &[("HLEN h", ":4")]);
        bench.now_ms = NOW_MS + 20_001;
        check(
            &mut bench,
            &[("HLEN h", ":3"), ("HGET h b", "$-1"), ("HGET h c", "$1 3")],
        );
        bench.now_ms = NOW_MS + 20_002;
        check(
            &mut bench,
            &[
                ("HMGET h a b c d", "*4 $1 1 $-1 $-1 $1 4"),
                ("HEXPIRE h 5 FIELDS 1 c", "*1 :-2"),
                ("HEXPIRE h 5 FIELDS 2 a d", "*2 :1 :1"),
            ],
        );
        bench.now_ms = NOW_MS + 60_000;
        check(
            &mut bench,
            &[
                ("HEXISTS h a", ":0"),
                ("EXISTS h", ":0"),
                ("HTTL h FIELDS 2 a b", "*2 :-2 :-2"),
                ("HEXPIRE h 1 FIELDS 1 a", "*1 :-2"),
                ("HPERSIST h FIELDS 1 a", "*1 :-2"),
            ],
        );
    }
}

#[test]
fn conditions_compare_with_the_present_end() {
    check(
        &mut bench(128, 64),
        &[
            ("HSET h a 1", ":1"),
            ("HEXPIRE h 10 XX FIELDS 1 a", "*1 :0"),
            ("HEXPIRE h 10 GT FIELDS 1 a", "*1 :0"),
            ("HEXPIRE h 10 LT FIELDS 1 a", "*1 :1"),
            ("HEXPIRE h 20 NX FIELDS 1 a", "*1 :0"),
            ("HEXPIRE h 20 LT FIELDS 1 a", "*1 :0"),
            ("HEXPIRE h 10 GT FIELDS 1 a", "*1 :0"),
            ("HEXPIRE h 20 gt FIELDS 1 a", "*1 :1"),
            ("HEXPIRE h 30 XX fields 1 a", "*1 :1"),
            ("HEXPIRE h 0 GT FIELDS 1 a", "*1 :0"),
            ("HEXPIRE h 0 LT FIELDS 1 a", "*1 :2"),
            ("EXISTS h", ":0"),
        ],
    );
}

#[test]
fn what_sets_a_value_lifts_its_end_and_what_changes_it_does_not() {
    for entry_count_max in [128, 0] {
        check(
            &mut bench(entry_count_max, 64),
            &[
                ("HSET h a 1 b 2", ":2"),
                ("HEXPIRE h 10 FIELDS 2 a b", "*2 :1 :1"),
                ("HINCRBY h a 5", ":6"),
                ("HINCRBYFLOAT h b 0.5", "$3 2.5"),
                ("HSETNX h a 5", ":0"),
                ("HTTL h FIELDS 2 a b", "*2 :10 :10"),
                ("COPY h i", ":1"),
                ("RENAME h j", "+OK"),
                ("HTTL i FIELDS 2 a b", "*2 :10 :10"),
                ("HTTL j FIELDS 2 a b", "*2 :10 :10"),
                ("HSET i a 6", ":0"),
                ("HTTL i FIELDS 2 a b", "*2 :-1 :10"),
                ("HDEL i b", ":1"),
                ("HSET i b 2", ":1"),
                ("HTTL i FIELDS 1 b", "*1 :-1"),
            ],
        );
    }
}

#[test]
fn encodings_tell_of_ends() {
    for (lines, encoding) in [
        (
            &["HSET h a 1", "HEXPIRE h 10 FIELDS 1 none"][..],
            "listpack",
        ),
        (&["HSET h a 1", "HEXPIRE h 10 FIELDS 1 a"], "listpackex"),
        (
            &[
                "HSET h a 1",
                "HEXPIRE h 10 FIELDS 1 a",
                "HPERSIST h FIELDS 1 a",
            ],
            "listpackex",
        ),
        (
            &["HSET h a 1", "HEXPIRE h 10 FIELDS 1 a", "HSET h b 1 c 1"],
            "hashtable",
        ),
        (
            &["HSET h a 1 b 2 c 3", "HEXPIRE h 10 FIELDS 1 a"],
            "hashtable",
        ),
    ] {
        let mut bench = bench(2, 64);
        for line in lines {
            bench.line(line);
        }
        let reply = bench.line("OBJECT ENCODING h");
        assert!(
            reply.ends_with(&format!(" {encoding}")),
            "{lines:?}: {reply}"
        );
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let mut bench = bench(128, 64);
    bench.line("HSET h a 1");
    bench.line("SET s 1");
    let missing = "-ERR Mandatory argument FIELDS is missing or not at the right position";
    let mismatch = "-ERR The `numfields` parameter must match the number of arguments";
    let not_positive = "-ERR Parameter `numFields` should be greater than 0";
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    check(
        &mut bench,
        &[
            ("HEXPIRE h 10 FIELD 1 a", missing),
            ("HEXPIRE h 10 NX NX FIELDS 1 a", missing),
            ("HTTL h NX FIELDS 1 a", missing),
            ("HEXPIRE h 10 FIELDS 2 a", mismatch),
            ("HEXPIRE h 10 FIELDS 1 a b", mismatch),
            ("HEXPIRE h 10 FIELDS 9223372036854775807 a", mismatch),
            ("HPERSIST h FIELDS 3 a b", mismatch),
            ("HEXPIRE h 10 FIELDS 0 a", not_positive),
            ("HEXPIRE h 10 FIELDS -1 a", not_positive),
            ("HEXPIRE h 10 FIELDS x a", not_positive),
            ("HTTL h FIELDS 0 a", not_positive),
            (
                "HEXPIRE h x FIELDS 1 a",
                "-ERR value is not an integer or out of range",
            ),
            (
                "HEXPIRE h -1 FIELDS 1 a",
                "-ERR invalid expire time, must be >= 0",
            ),
            (
                "HEXPIRE h 9223372036854775807 FIELDS 1 a",
                "-ERR invalid expire time in 'hexpire' command",
            ),
            (
                "HPEXPIRE h 9223372036854775807 FIELDS 1 a",
                "-ERR invalid expire time in 'hpexpire' command",
            ),
            (
                "HEXPIRE h 10 FIELDS 1",
                "-ERR wrong number of arguments for 'hexpire' command",
            ),
            ("HEXPIRE s 10 FIELDS 1 a", wrong_type),
            ("HPEXPIRE s 10 FIELDS 1 a", wrong_type),
            ("HEXPIREAT s 10 FIELDS 1 a", wrong_type),
            ("HPEXPIREAT s 10 FIELDS 1 a", wrong_type),
            ("HPERSIST s FIELDS 1 a", wrong_type),
            ("HTTL s FIELDS 1 a", wrong_type),
            ("HPTTL s FIELDS 1 a", wrong_type),
            ("HEXPIRETIME s FIELDS 1 a", wrong_type),
            ("HPEXPIRETIME s FIELDS 1 a", wrong_type),
        ],
    );
}

#[test]
fn ends_report_effects_and_events() {
    let mut bench = bench(128, 64);
    for (line, later_ms, events, effects) in [
        (
            "HSET h a 1 b 2 c 3 d 4",
            0,
            "new h,hset h",
            "HSET h a 1 b 2 c 3 d 4",
        ),
        (
            "HEXPIRE h 1 FIELDS 3 a none b",
            0,
            "hexpire h",
            "HPEXPIREAT h 1700000001000 FIELDS 2 a b",
        ),
        ("HEXPIRE h 1 NX FIELDS 1 a", 0, "", ""),
        (
            "HPERSIST h FIELDS 2 a c",
            0,
            "hpersist h",
            "HPERSIST h FIELDS 1 a",
        ),
        ("HPERSIST h FIELDS 2 a c", 0, "", ""),
        (
            "HINCRBYFLOAT h b 1",
            0,
            "hincrbyfloat h",
            "HSET h b 3,HPEXPIREAT h 1700000001000 FIELDS 1 b",
        ),
        ("HPEXPIRE h 0 FIELDS 1 c", 0, "hdel h", "HDEL h c"),
        ("HGET h b", 1001, "hexpired h", "HDEL h b"),
        (
            "HPEXPIRE h 10 FIELDS 2 a d",
            0,
            "hexpire h",
            "HPEXPIREAT h 1700000001011 FIELDS 2 a d",
        ),
        (
            "HSET h new 1",
            20,
            "hexpired h,del h,new h,hset h",
            "HDEL h a d,HSET h new 1",
        ),
        (
            "HEXPIREAT h 1 FIELDS 1 new",
            0,
            "hdel h,del h",
            "HDEL h new",
        ),
        ("HEXPIREAT h 1 FIELDS 1 new", 0, "", ""),
    ] {
        bench.now_ms += later_ms;
        bench.line(line);
        assert_eq!(bench.events().join(","), events, "{line}");
        assert_eq!(bench.effects().join(","), effects, "{line}");
    }
}

#[test]
fn fields_end_though_nobody_looks() {
    let mut bench = bench(4, 64);
    for number in 0..100 {
        bench.line(&format!("HSET h field:{number} v"));
        bench.line(&format!(
            "HPEXPIRE h {} FIELDS 1 field:{number}",
            10 + number
        ));
        bench.line(&format!("HSET i:{number} f v g v"));
        bench.line(&format!("HPEXPIRE i:{number} 50 FIELDS 1 f"));
    }
    bench.effects();
    bench.events();
    assert_eq!(bench.keyspaces[0].next_expiry_ms(), Some(NOW_MS + 10));
    assert_eq!(bench.keyspaces[0].expire_due(NOW_MS + 10, 1000), 0);
    // Ten of the first hash, then as many as a round may.
    assert_eq!(bench.keyspaces[0].expire_due(NOW_MS + 20, 1000), 10);
    assert_eq!(bench.effects().len(), 1);
    assert_eq!(bench.events(), ["hexpired h"]);
    assert_eq!(bench.keyspaces[0].expire_due(NOW_MS + 60, 25), 25);
    assert_eq!(bench.keyspaces[0].expire_due(NOW_MS + 60, 1000), 115);
    assert_eq!(bench.keyspaces[0].next_expiry_ms(), Some(NOW_MS + 60));
    assert_eq!(bench.keyspaces[0].expire_due(NOW_MS + 1000, 1000), 50);
    assert_eq!(bench.keyspaces[0].next_expiry_ms(), None);
    bench.now_ms += 1000;
    check(
        &mut bench,
        &[("EXISTS h", ":0"), ("HGETALL i:7", "*2 $1 g $1 v")],
    );
}

#[test]
fn ends_go_with_their_hash() {
    let mut bench = bench(128, 64);
    let count = |bench: &Bench| bench.keyspaces[0].database(0).ending_value_count();
    for (line, expected) in [
        ("HSET h a 1 b 2", 0),
        ("HEXPIRE h 10 FIELDS 1 a", 1),
        ("RENAME h i", 1),
        ("COPY i j", 2),
        ("SET i x", 1),
        ("HEXPIRE j 5 FIELDS 1 a", 1),
        ("DEL j", 0),
        ("HSET h a 1", 0),
        ("HEXPIRE h 10 FIELDS 1 a", 1),
        ("HPERSIST h FIELDS 1 a", 0),
        ("HEXPIRE h 10 FIELDS 1 a", 1),
        ("FLUSHALL", 0),
    ] {
        bench.line(line);
        assert_eq!(count(&bench), expected, "{line}");
    }
    assert_eq!(bench.keyspaces[0].next_expiry_ms(), None);
}

const KEYS: [&[u8]; 3] = [b"g", b"h", b"i"];

/// A random command that may change a hash or its ends, and how much later it comes, ms.
fn command() -> impl Strategy<Value = (Vec<Vec<u8>>, u64)> {
    let key = || proptest::sample::select(&KEYS[..]).prop_map(<[u8]>::to_vec);
    let field = || (0u8..6).prop_map(|n| n.to_string().into_bytes());
    let named = |names: &'static [&'static str]| {
        proptest::sample::select(names).prop_map(|name| name.as_bytes().to_vec())
    };
    let ms = (0u16..40).prop_map(|ms| ms.to_string().into_bytes());
    let command = prop_oneof![
        4 => (key(), field(), field()).prop_map(|(key, a, b)| vec![b"HSET".to_vec(), key, a, b"1".to_vec(), b, b"2".to_vec()]),
        2 => (named(&["HINCRBY", "HINCRBYFLOAT", "HSETNX"]), key(), field()).prop_map(|(name, key, field)| vec![name, key, field, b"3".to_vec()]),
        2 => (named(&["HDEL", "HGET"]), key(), field()).prop_map(|(name, key, field)| vec![name, key, field]),
        6 => (key(), ms, named(&["NX", "XX", "GT", "LT", ""]), field(), field()).prop_map(|(key, ms, condition, a, b)| {
            let mut words = vec![b"HPEXPIRE".to_vec(), key, ms, condition, b"FIELDS".to_vec(), b"2".to_vec(), a, b];
            words.retain(|word| !word.is_empty());
            words
        }),
        1 => (key(), field()).prop_map(|(key, field)| vec![b"HPERSIST".to_vec(), key, b"FIELDS".to_vec(), b"1".to_vec(), field]),
        1 => (named(&["COPY", "RENAME"]), key(), key()).prop_map(|(name, from, to)| vec![name, from, to]),
        1 => key().prop_map(|key| vec![b"DEL".to_vec(), key]),
    ];
    (command, 0u64..12)
}

/// Of the hashes there are, those with fields that end.
fn ending_hashes(bench: &Bench) -> usize {
    let entries = bench.keyspaces[0].database(0).table().iter();
    let ends = |value: &Value| matches!(value, Value::Hash(hash) if hash.next_end_ms().is_some());
    entries.filter(|entry| ends(&entry.value)).count()
}

proptest! {
    #![proptest_config(crate::property::cases(300))]
    #[test]
    fn effects_replayed_and_rewrites_give_the_same_ends(
        commands in proptest::collection::vec(command(), 0..60),
        entry_count_max in proptest::sample::select(&[0, 3, 128][..]),
        rounds in any::<bool>(),
    ) {
        let (mut first, mut second) = (bench(entry_count_max, 64), bench(2, 64));
        for (command, later_ms) in &commands {
            first.now_ms += later_ms;
            first.run(command);
            if rounds {
                let now_ms = first.now_ms;
                first.keyspaces[0].expire_due(now_ms, 2);
            }
            for key in KEYS {
                first.run(&[b"HLEN".as_slice(), key]);
            }
            // Now that all was looked at, every end is known that is to come, and none is that was.
            let known = first.keyspaces[0].database(0).ending_value_count();
            prop_assert!(known >= ending_hashes(&first));
            let next = first.keyspaces[0].next_expiry_ms();
            let real = first.keyspaces[0].database(0).table().iter();
            let real = real.filter_map(|entry| match &entry.value {
                Value::Hash(hash) => hash.next_end_ms(),
                _ => None,
            });
            if let Some(real) = real.min() {
                prop_assert!(next.is_some_and(|next| next <= real) && real >= first.now_ms);
            }
        }
        second.keyspaces[0].set_replaying(true);
        for effect in first.effect_words() {
            second.run(&effect);
        }
        prop_assert_eq!(first.digest(), second.digest());
        let mut third = bench(2, 64);
        third.keyspaces[0].set_replaying(true);
        for command in first.rewritten() {
            third.run(&command);
        }
        prop_assert_eq!(first.digest(), third.digest());
        third.keyspaces[0].set_replaying(false);
        prop_assert_eq!(ending_hashes(&third), third.keyspaces[0].database(0).ending_value_count());
    }
}
