#![allow(clippy::unwrap_used, reason = "tests")]
//! The hash handlers on a bare keyspace: replies, events, effects, effects replayed, choices by chance.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::command::testing::Bench;
use crate::config::Settings;
use crate::data::listpack::PackLimits;

/// A bench whose hashes become large above these limits.
pub(super) fn bench(entry_count_max: usize, text_bytes_max: usize) -> Bench {
    let mut bench = Bench::new();
    let settings = (*bench.settings).clone();
    bench.settings = Arc::new(Settings {
        hash_limits: PackLimits {
            entry_count_max,
            text_bytes_max,
        },
        ..settings
    });
    bench
}

#[track_caller]
pub(super) fn check(bench: &mut Bench, table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(bench.line(line), *expected, "{line}");
    }
}

#[test]
fn fields_are_set_read_and_removed() {
    check(
        &mut bench(128, 64),
        &[
            ("HSET h a 1 b 2 a 3", ":2"),
            ("HSET h a 4 c 5", ":1"),
            ("HGET h a", "$1 4"),
            ("HGET h none", "$-1"),
            ("HGET none a", "$-1"),
            ("HMGET h a none c", "*3 $1 4 $-1 $1 5"),
            ("HMGET none a b", "*2 $-1 $-1"),
            ("HGETALL h", "*6 $1 a $1 4 $1 b $1 2 $1 c $1 5"),
            ("HKEYS h", "*3 $1 a $1 b $1 c"),
            ("HVALS h", "*3 $1 4 $1 2 $1 5"),
            ("HGETALL none", "*0"),
            ("HKEYS none", "*0"),
            ("HLEN h", ":3"),
            ("HLEN none", ":0"),
            ("HEXISTS h a", ":1"),
            ("HEXISTS h d", ":0"),
            ("HSTRLEN h a", ":1"),
            ("HSTRLEN h d", ":0"),
            ("HSTRLEN none d", ":0"),
            ("HMSET h d text", "+OK"),
            ("HSTRLEN h d", ":4"),
            ("HSETNX h d other", ":0"),
            ("HSETNX h e other", ":1"),
            ("HGET h d", "$4 text"),
            ("HDEL h a none a c", ":2"),
            ("HDEL h none", ":0"),
            ("HDEL none a", ":0"),
            ("HDEL h b d e", ":3"),
            ("EXISTS h", ":0"),
            (
                "HSET h a",
                "-ERR wrong number of arguments for 'hset' command",
            ),
            (
                "HSET h a 1 b",
                "-ERR wrong number of arguments for 'hset' command",
            ),
            (
                "HMSET h a 1 b",
                "-ERR wrong number of arguments for 'hmset' command",
            ),
            ("HSETNX h a 1", ":1"),
            ("TYPE h", "+hash"),
        ],
    );
}

#[test]
fn resp3_has_a_map_and_nested_pairs() {
    let mut bench = bench(128, 64);
    bench.line("HSET h a 1 b 2");
    bench.resp3();
    check(
        &mut bench,
        &[
            ("HGETALL h", "%2 $1 a $1 1 $1 b $1 2"),
            ("HGETALL none", "%0"),
            ("HKEYS none", "*0"),
            ("HGET h none", "_"),
            ("HRANDFIELD none", "_"),
            ("HRANDFIELD none 5", "*0"),
            ("HRANDFIELD h 2 WITHVALUES", "*2 *2 $1 a $1 1 *2 $1 b $1 2"),
            ("HSCAN h 0", "*2 $1 0 *4 $1 a $1 1 $1 b $1 2"),
        ],
    );
}

#[test]
fn fields_count() {
    check(
        &mut bench(128, 64),
        &[
            ("HINCRBY h n 5", ":5"),
            ("HINCRBY h n -7", ":-2"),
            ("HGET h n", "$2 -2"),
            (
                "HINCRBY h n x",
                "-ERR value is not an integer or out of range",
            ),
            (
                "HSET h s text max 9223372036854775807 low -9223372036854775808 z 007",
                ":4",
            ),
            ("HINCRBY h s 1", "-ERR hash value is not an integer"),
            ("HINCRBY h z 1", "-ERR hash value is not an integer"),
            (
                "HINCRBY h max 1",
                "-ERR increment or decrement would overflow",
            ),
            (
                "HINCRBY h low -1",
                "-ERR increment or decrement would overflow",
            ),
            ("HINCRBY h max -1", ":9223372036854775806"),
            ("HINCRBYFLOAT h f 0.1", "$3 0.1"),
            ("HINCRBYFLOAT h f 0.2", "$3 0.3"),
            ("HINCRBYFLOAT h f 5.0e3", "$22 5000.29999999999999982"),
            ("HINCRBYFLOAT h n 2.5", "$3 0.5"),
            ("HINCRBYFLOAT h n -0.5", "$1 0"),
            ("HINCRBYFLOAT h f x", "-ERR value is not a valid float"),
            ("HINCRBYFLOAT h f inf", "-ERR value is NaN or Infinity"),
            ("HINCRBYFLOAT h f -inf", "-ERR value is NaN or Infinity"),
            ("HINCRBYFLOAT h s 1", "-ERR hash value is not a float"),
            ("HSET h i inf", ":1"),
            (
                "HINCRBYFLOAT h i 1",
                "-ERR increment would produce NaN or Infinity",
            ),
            ("HINCRBYFLOAT new f 1", "$1 1"),
        ],
    );
}

#[test]
fn encodings_are_those_of_redis() {
    let long = "x".repeat(65);
    let fits = "x".repeat(64);
    for (lines, encoding) in [
        (vec![format!("HSET h f {fits}")], "listpack"),
        (vec![format!("HSET h f {long}")], "hashtable"),
        (vec![format!("HSET h {long} v")], "hashtable"),
        (vec![format!("HSETNX h f {long}")], "hashtable"),
        (
            vec!["HSET h f v".into(), format!("HSETNX h f {long}")],
            "listpack",
        ),
        (vec![format!("HINCRBY h {long} 1")], "hashtable"),
        (
            vec![format!("HSET h f {long}"), "HSET h f v".into()],
            "hashtable",
        ),
        (vec!["HSET h a 1 b 2 c 3 d 4".into()], "listpack"),
        (vec!["HSET h a 1 b 2 c 3 d 4 e 5".into()], "hashtable"),
        // Half of the arguments count as fields, before it is seen that they are one.
        (vec!["HSET h a 1 a 2 a 3 a 4 a 5".into()], "hashtable"),
        (
            vec!["HSET h a 1 b 2 c 3".into(), "HSET h b 2 c 3 d 4".into()],
            "listpack",
        ),
        (
            vec!["HSET h a 1 b 2 c 3".into(), "HSET h d 4 e 5".into()],
            "hashtable",
        ),
        (
            vec!["HSET h a 1 b 2 c 3 d 4".into(), "HINCRBY h e 1".into()],
            "hashtable",
        ),
        (
            vec!["HSET h a 1 b 2 c 3 d 4 e 5".into(), "HDEL h a b c".into()],
            "hashtable",
        ),
    ] {
        let mut bench = bench(4, 64);
        for line in &lines {
            bench.line(line);
        }
        let reply = bench.line("OBJECT ENCODING h");
        assert!(reply.ends_with(encoding), "{lines:?}: {reply}");
    }
}

#[test]
fn changes_report_effects_and_events_as_redis_does() {
    let mut bench = bench(128, 64);
    for (line, events, effects) in [
        ("HSET h a 1 b 2", "new h,hset h", "HSET h a 1 b 2"),
        ("HSET h a 1", "hset h", "HSET h a 1"),
        ("HMSET h c 3", "hset h", "HSET h c 3"),
        ("HSETNX h c 4", "", ""),
        ("HSETNX h d 4", "hset h", "HSET h d 4"),
        ("HINCRBY h d 4", "hincrby h", "HINCRBY h d 4"),
        ("HINCRBY h d x", "", ""),
        ("HINCRBYFLOAT h d 0.5", "hincrbyfloat h", "HSET h d 8.5"),
        ("HDEL h none", "", ""),
        ("HDEL h a none", "hdel h", "HDEL h a none"),
        ("HDEL h b c d", "hdel h,del h", "HDEL h b c d"),
        ("HDEL h b", "", ""),
        ("HINCRBY h n 1", "new h,hincrby h", "HINCRBY h n 1"),
        ("HGETALL none", "keymiss none", ""),
    ] {
        bench.line(line);
        assert_eq!(bench.events().join(","), events, "{line}");
        assert_eq!(bench.effects().join(","), effects, "{line}");
    }
}

#[test]
fn other_types_are_refused() {
    let mut bench = bench(128, 64);
    bench.line("SET s 1");
    for line in [
        "HSET s a 1",
        "HMSET s a 1",
        "HSETNX s a 1",
        "HGET s a",
        "HMGET s a",
        "HGETALL s",
        "HKEYS s",
        "HVALS s",
        "HLEN s",
        "HEXISTS s a",
        "HDEL s a",
        "HSTRLEN s a",
        "HINCRBY s a 1",
        "HINCRBYFLOAT s a 1",
        "HRANDFIELD s",
        "HRANDFIELD s 0",
        "HSCAN s 0",
    ] {
        assert_eq!(
            bench.line(line),
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
            "{line}"
        );
    }
    assert_eq!(bench.line("GET s"), "$1 1");
}

#[test]
fn a_walk_gives_what_is_there_throughout() {
    let mut bench = bench(4, 64);
    for number in 0..3000 {
        bench.line(&format!("HSET h field:{number} {number}"));
    }
    let (mut cursor, mut seen, mut calls) = ("0".to_owned(), BTreeMap::new(), 0);
    loop {
        let reply = bench.line(&format!("HSCAN h {cursor} COUNT 30"));
        let mut words = reply
            .split(' ')
            .filter(|word| !word.starts_with(['*', '$']));
        cursor = words.next().unwrap().to_owned();
        let words: Vec<&str> = words.collect();
        for pair in words.chunks(2) {
            seen.insert(pair[0].to_owned(), pair[1].to_owned());
        }
        // What comes and goes meanwhile makes nothing be left out.
        bench.line(&format!("HSET h more:{calls} x also:{calls} y"));
        bench.line(&format!("HDEL h more:{}", calls / 2));
        calls += 1;
        if cursor == "0" {
            break;
        }
        assert!(calls < 1000);
    }
    for number in 0..3000 {
        assert_eq!(
            seen.get(&format!("field:{number}")),
            Some(&number.to_string())
        );
    }
}

#[test]
fn a_walk_takes_its_options() {
    let mut bench = bench(128, 64);
    bench.line("HSET h a 1 ab 2 b 3 7 4");
    check(
        &mut bench,
        &[
            ("HSCAN h 0 MATCH a*", "*2 $1 0 *4 $1 a $1 1 $2 ab $1 2"),
            ("HSCAN h 0 MATCH ? NOVALUES", "*2 $1 0 *3 $1 a $1 b $1 7"),
            ("HSCAN h 0 NOVALUES MATCH [0-9] COUNT 1", "*2 $1 0 *1 $1 7"),
            (
                "HSCAN h 77 COUNT 1 MATCH *",
                "*2 $1 0 *8 $1 a $1 1 $2 ab $1 2 $1 b $1 3 $1 7 $1 4",
            ),
            ("HSCAN none 0", "*2 $1 0 *0"),
            ("HSCAN none 0 COUNT x", "*2 $1 0 *0"),
            ("HSCAN none x", "-ERR invalid cursor"),
            ("HSCAN h 0 COUNT 0", "-ERR syntax error"),
            ("HSCAN h 0 COUNT", "-ERR syntax error"),
            (
                "HSCAN h 0 COUNT x",
                "-ERR value is not an integer or out of range",
            ),
            ("HSCAN h 0 TYPE hash", "-ERR syntax error"),
            ("HSCAN h 0 MATCH", "-ERR syntax error"),
        ],
    );
}

#[test]
fn choices_have_the_number_asked_for() {
    for entry_count_max in [128, 4] {
        let mut bench = bench(entry_count_max, 64);
        for number in 0..100 {
            bench.line(&format!("HSET h field:{number} {number}"));
        }
        for (line, count, different) in [
            ("HRANDFIELD h 1", 1, 1),
            ("HRANDFIELD h 10", 10, 10),
            ("HRANDFIELD h 60", 60, 60),
            ("HRANDFIELD h 99", 99, 99),
            ("HRANDFIELD h 100", 100, 100),
            ("HRANDFIELD h 1000", 100, 100),
            ("HRANDFIELD h -1", 1, 1),
            ("HRANDFIELD h -2000", 2000, 100),
        ] {
            for with_values in [false, true] {
                let suffix = if with_values { " WITHVALUES" } else { "" };
                let reply = bench.line(&format!("{line}{suffix}"));
                let words: Vec<&str> = reply.split(' ').collect();
                let per_field = if with_values { 2 } else { 1 };
                assert_eq!(words[0], format!("*{}", count * per_field), "{line}");
                let mut texts = words[2..].iter().step_by(2);
                let mut fields = std::collections::BTreeSet::new();
                while let Some(field) = texts.next() {
                    fields.insert(*field);
                    if with_values {
                        assert_eq!(field.strip_prefix("field:"), texts.next().copied());
                    }
                }
                assert_eq!(fields.len(), different, "{line}");
            }
        }
    }
}

#[test]
fn choices_refuse_what_is_no_count() {
    let mut bench = bench(128, 64);
    bench.line("HSET h a 1");
    let range = "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
    check(
        &mut bench,
        &[
            ("HRANDFIELD h", "$1 a"),
            ("HRANDFIELD h 0", "*0"),
            (
                "HRANDFIELD h x",
                "-ERR value is not an integer or out of range",
            ),
            ("HRANDFIELD h -9223372036854775808", range),
            ("HRANDFIELD h -9223372036854775808 x", range),
            ("HRANDFIELD h 1 x", "-ERR syntax error"),
            ("HRANDFIELD h 1 WITHVALUES x", "-ERR syntax error"),
            (
                "HRANDFIELD h 9223372036854775807 WITHVALUES",
                "-ERR value is out of range",
            ),
            (
                "HRANDFIELD none 4611686018427387904 WITHVALUES",
                "-ERR value is out of range",
            ),
            ("HRANDFIELD none 4611686018427387903 WITHVALUES", "*0"),
            ("HRANDFIELD none", "$-1"),
        ],
    );
}

/// The chi-square of choices by a command, for each way to choose, is near its degrees of freedom.
#[test]
fn choices_are_uniform() {
    for (entry_count_max, line, per_call) in [
        (128, "HRANDFIELD h -30", 30),
        (4, "HRANDFIELD h -30", 30),
        (128, "HRANDFIELD h 10", 10),
        (4, "HRANDFIELD h 10", 10),
        (4, "HRANDFIELD h 30", 30),
    ] {
        let mut bench = bench(entry_count_max, 64);
        for number in 0..60 {
            bench.line(&format!("HSET h field:{number} v"));
        }
        let mut drawn = BTreeMap::<String, f64>::new();
        let calls = 6000 / per_call;
        for _ in 0..calls {
            let reply = bench.line(line);
            for field in reply.split(' ').filter(|word| word.starts_with("field")) {
                *drawn.entry(field.to_owned()).or_default() += 1.0;
            }
        }
        let expected = f64::from(calls * per_call) / 60.0;
        let square: f64 = (0..60)
            .map(|number| {
                drawn
                    .get(&format!("field:{number}"))
                    .copied()
                    .unwrap_or(0.0)
            })
            .map(|count| (count - expected).powi(2) / expected)
            .sum();
        // 59 degrees of freedom: above 130 less than once in a million.
        assert!(square < 130.0, "{line}: {square}");
    }
}

#[test]
fn choices_without_end_leave_in_slices() {
    let mut bench = bench(128, 64);
    bench.line("HSET h a 1");
    for line in [
        "HRANDFIELD h -9223372036854775807",
        "HRANDFIELD h -4611686018427387903 WITHVALUES",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let _kept = bench.run_sliced(&words);
    }
}

const KEYS: [&[u8]; 2] = [b"g", b"h"];

fn word() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (-5i8..6).prop_map(|n| n.to_string().into_bytes()),
        2 => (0usize..12).prop_map(|n| vec![b'x'; n]),
        1 => (0usize..80).prop_map(|n| vec![b'y'; n]),
        1 => Just(b"1.5".to_vec()),
    ]
}

/// A random command that may change a hash.
fn command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let key = || proptest::sample::select(&KEYS[..]).prop_map(<[u8]>::to_vec);
    let named = |names: &'static [&'static str]| {
        proptest::sample::select(names).prop_map(|name| name.as_bytes().to_vec())
    };
    let words = |count: std::ops::Range<usize>| proptest::collection::vec(word(), count);
    prop_oneof![
        5 => (named(&["HSET", "HMSET"]), key(), words(2..13)).prop_map(|(name, key, mut words)| {
            words.truncate(words.len() & !1);
            [vec![name, key], words].concat()
        }),
        2 => (named(&["HSETNX", "HINCRBY", "HINCRBYFLOAT"]), key(), word(), word())
            .prop_map(|(name, key, field, value)| vec![name, key, field, value]),
        3 => (named(&["HDEL"]), key(), words(1..8)).prop_map(|(name, key, words)| [vec![name, key], words].concat()),
        1 => (named(&["COPY", "RENAME"]), key(), key()).prop_map(|(name, from, to)| vec![name, from, to]),
    ]
}

proptest! {
    #![proptest_config(crate::property::cases(200))]
    #[test]
    fn effects_replayed_and_rewrites_give_the_same_hashes(
        commands in proptest::collection::vec(command(), 0..60),
        entry_count_max in proptest::sample::select(&[0, 4, 128][..]),
    ) {
        let (mut first, mut second) = (bench(entry_count_max, 64), bench(4, 8));
        for command in &commands {
            first.run(command);
        }
        for effect in first.effect_words() {
            second.run(&effect);
        }
        prop_assert_eq!(first.digest(), second.digest());
        let mut third = bench(4, 8);
        for command in first.rewritten() {
            third.run(&command);
        }
        prop_assert_eq!(first.digest(), third.digest());
    }
}

#[test]
fn long_values_are_shared_with_replies_and_survive_splits() {
    let mut bench = bench(0, 0);
    let long = "v".repeat(5000);
    for number in 0..2000 {
        bench.line(&format!("HSET h f{number} {number}{long}"));
    }
    for number in 0..2000 {
        let reply = bench.line(&format!("HGET h f{number}"));
        assert!(reply.ends_with(&format!(" {number}{long}")), "{number}");
    }
    for number in 0..1990 {
        assert_eq!(bench.line(&format!("HDEL h f{number}")), ":1");
    }
    let reply = bench.line("HMGET h f1 f1999");
    assert!(reply.starts_with("*2 $-1 $5004 1999"));
}

#[test]
fn chosen_fields_differ_however_many_they_are() {
    let mut bench = bench(0, 64);
    for number in 0..9000 {
        bench.line(&format!("HSET h f{number} {number}"));
    }
    for count in [1, 100, 2999, 3001, 9000, 20_000] {
        let reply = bench.line(&format!("HRANDFIELD h {count}"));
        let fields: std::collections::BTreeSet<&str> = reply
            .split(' ')
            .filter(|word| word.starts_with('f'))
            .collect();
        assert_eq!(fields.len(), count.min(9000), "{count}");
    }
}
