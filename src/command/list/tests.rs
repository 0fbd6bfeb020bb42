#![allow(clippy::unwrap_used, reason = "tests")]
//! The list handlers on a bare keyspace: replies, events, effects, and effects replayed.

use proptest::prelude::*;

use super::*;
use crate::command::context::{Outcome, WaitFor};
use crate::command::testing::Bench;
use crate::keyspace::wait::WaitKind;
use crate::limits::PUSH_EFFECT_ELEMENTS_MAX;
use crate::resp::request::{RequestLimits, RequestParser};

/// A bench whose lists have this `list-max-listpack-size`.
fn bench(chunk_limit: i32) -> Bench {
    let mut bench = Bench::new();
    let settings = (*bench.settings).clone();
    bench.settings = std::sync::Arc::new(crate::config::Settings {
        list_max_listpack_size: chunk_limit,
        ..settings
    });
    bench
}

/// What the last command waits for.
fn wait(bench: &mut Bench) -> Box<WaitFor> {
    match bench.outcome.take() {
        Some(Outcome::Wait(wait)) => wait,
        other => panic!("it does not wait: {other:?}"),
    }
}

/// Effects since the last call, as words.
fn effects(bench: &mut Bench) -> Vec<Vec<Vec<u8>>> {
    let limits = RequestLimits {
        bulk_bytes_max: 1 << 29,
        argument_count_max: 1 << 20,
        unparsed_bytes_max: usize::MAX,
        line_bytes_max: 1 << 16,
        unauthenticated: None,
    };
    let mut effects = Vec::new();
    bench.keyspaces[0].effects.drain(|_, command| {
        let mut parser = RequestParser::new();
        assert_eq!(parser.parse(command, &limits), Ok(Some(command.len())));
        effects.push(
            parser
                .arguments(command)
                .iter()
                .map(<[u8]>::to_vec)
                .collect(),
        );
    });
    effects
}

/// Key, encoding and elements of each key there is.
fn state(bench: &mut Bench) -> Vec<(&'static [u8], &'static str, Vec<u8>)> {
    let mut state = Vec::new();
    for key in KEYS {
        let now_ms = bench.now_ms;
        if let Some(encoding) = bench.keyspaces[0]
            .peek(0, key, now_ms)
            .map(|entry| entry.value.encoding())
        {
            state.push((key, encoding, bench.run(&[b"lrange", key, b"0", b"-1"])));
        }
    }
    state
}

#[track_caller]
fn check(bench: &mut Bench, table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(bench.line(line), *expected, "{line}");
    }
}

#[test]
fn pushes_and_pops_work_at_both_ends() {
    let mut bench = bench(-2);
    check(
        &mut bench,
        &[
            ("LPUSHX l a", ":0"),
            ("RPUSHX l a", ":0"),
            ("RPUSH l a b c", ":3"),
            ("LPUSH l 1 2", ":5"),
            ("LPUSHX l x", ":6"),
            ("RPUSHX l y", ":7"),
            ("LRANGE l 0 -1", "*7 $1 x $1 2 $1 1 $1 a $1 b $1 c $1 y"),
            ("LLEN l", ":7"),
            ("LPOP l", "$1 x"),
            ("RPOP l", "$1 y"),
            ("LPOP l 2", "*2 $1 2 $1 1"),
            ("RPOP l 2", "*2 $1 c $1 b"),
            ("LPOP l 0", "*0"),
            ("RPOP l 9", "*1 $1 a"),
            ("LPOP l", "$-1"),
            ("LPOP l 0", "*-1"),
            ("LLEN l", ":0"),
            ("LRANGE l 0 -1", "*0"),
            ("LPOP l -1", "-ERR value is out of range, must be positive"),
            (
                "LPOP l 1 2",
                "-ERR wrong number of arguments for 'lpop' command",
            ),
        ],
    );
}

#[test]
fn elements_are_found_changed_and_removed() {
    let mut bench = bench(-2);
    check(
        &mut bench,
        &[
            ("RPUSH l a b c 1 b 2 b", ":7"),
            ("LINDEX l 0", "$1 a"),
            ("LINDEX l -1", "$1 b"),
            ("LINDEX l 7", "$-1"),
            ("LINDEX l -8", "$-1"),
            ("LINDEX n x", "$-1"),
            ("LINDEX l x", "-ERR value is not an integer or out of range"),
            ("LPOS l b", ":1"),
            ("LPOS l b RANK 2", ":4"),
            ("LPOS l b RANK -1", ":6"),
            ("LPOS l b COUNT 0", "*3 :1 :4 :6"),
            ("LPOS l b COUNT 2 RANK -1", "*2 :6 :4"),
            ("LPOS l b COUNT 0 MAXLEN 4", "*1 :1"),
            ("LPOS l z", "$-1"),
            ("LPOS l z COUNT 1", "*0"),
            ("LPOS n z COUNT 1", "*0"),
            ("LPOS n z", "$-1"),
            (
                "LPOS l b RANK -9223372036854775808",
                core::str::from_utf8(&[b"-", error::NOT_SYMMETRIC.bytes()].concat()).unwrap(),
            ),
            (
                "LPOS l b RANK 0",
                core::str::from_utf8(&[b"-", error::LPOS_RANK_ZERO.bytes()].concat()).unwrap(),
            ),
            ("LPOS l b COUNT", "-ERR syntax error"),
            ("LINSERT l BEFORE a z", ":8"),
            ("LINSERT l after b y", ":9"),
            ("LINSERT l after q y", ":-1"),
            ("LINSERT n after q y", ":0"),
            ("LINSERT l beside q y", "-ERR syntax error"),
            ("LRANGE l 0 3", "*4 $1 z $1 a $1 b $1 y"),
            ("LSET l 0 w", "+OK"),
            ("LSET l -1 v", "+OK"),
            ("LSET l 9 v", "-ERR index out of range"),
            ("LSET n 0 v", "-ERR no such key"),
            ("LREM l 1 b", ":1"),
            ("LREM l -1 b", ":1"),
            ("LREM l 0 q", ":0"),
            ("LREM l -9223372036854775808 q", ":0"),
            ("LRANGE l 0 -1", "*7 $1 w $1 a $1 y $1 c $1 1 $1 2 $1 v"),
            ("LTRIM l 1 -2", "+OK"),
            ("LRANGE l -100 100", "*5 $1 a $1 y $1 c $1 1 $1 2"),
            ("LTRIM l 5 9", "+OK"),
            ("LLEN l", ":0"),
            ("LTRIM l 0 0", "+OK"),
        ],
    );
}

#[test]
fn elements_move_between_lists() {
    let mut bench = bench(-2);
    check(
        &mut bench,
        &[
            ("RPUSH a 1 2 3", ":3"),
            ("LMOVE a b LEFT RIGHT", "$1 1"),
            ("RPOPLPUSH a b", "$1 3"),
            ("LMOVE b b RIGHT LEFT", "$1 1"),
            ("LRANGE b 0 -1", "*2 $1 1 $1 3"),
            ("BLMOVE a a LEFT LEFT 0", "$1 2"),
            ("BRPOPLPUSH a b 0", "$1 2"),
            ("LLEN a", ":0"),
            ("LMOVE a b UP LEFT", "-ERR syntax error"),
            ("LMOVE a b LEFT LEFT", "$-1"),
            ("RPOPLPUSH a b", "$-1"),
            (
                "BLMOVE a b LEFT LEFT x",
                "-ERR timeout is not a float or out of range",
            ),
            ("BLMOVE a b LEFT LEFT -1", "-ERR timeout is negative"),
            ("BLMOVE a b LEFT LEFT 0", "*-1"),
        ],
    );
    let wait = wait(&mut bench);
    assert_eq!(
        (wait.keys, wait.destinations, wait.deadline_ms),
        (vec![b"a"[..].into()], vec![b"b"[..].into()], None)
    );
}

#[test]
fn several_elements_move_as_a_block_or_one_by_one() {
    let mut bench = bench(-2);
    for (ends, order, moved, left) in [
        ("LEFT RIGHT", "OBO", "1 2 3", "x 1 2 3"),
        ("LEFT RIGHT", "BULK", "1 2 3", "x 1 2 3"),
        ("LEFT LEFT", "OBO", "3 2 1", "3 2 1 x"),
        ("LEFT LEFT", "BULK", "1 2 3", "1 2 3 x"),
        ("RIGHT LEFT", "OBO", "2 3 4", "2 3 4 x"),
        ("RIGHT LEFT", "BULK", "2 3 4", "2 3 4 x"),
        ("RIGHT RIGHT", "OBO", "4 3 2", "x 4 3 2"),
        ("RIGHT RIGHT", "BULK", "2 3 4", "x 2 3 4"),
    ] {
        let array = |words: &str| {
            let elements = words.split(' ').map(|word| format!(" $1 {word}"));
            format!(
                "*{}{}",
                words.split(' ').count(),
                elements.collect::<String>()
            )
        };
        for how_many in ["COUNT", "EXACTLY"] {
            bench.line("DEL a b");
            bench.line("RPUSH a 1 2 3 4");
            bench.line("RPUSH b x");
            let line = format!("LMOVEM a b {ends} {how_many} 3 {order}");
            assert_eq!(bench.line(&line), array(moved), "{line}");
            assert_eq!(bench.line("LRANGE b 0 -1"), array(left), "{line}");
            assert_eq!(bench.line("LLEN a"), ":1", "{line}");
        }
    }
}

#[test]
fn several_elements_of_one_list_turn_or_rotate_in_place_and_it_keeps_its_expiry() {
    let mut bench = bench(-2);
    for (line, after, effects) in [
        ("LEFT LEFT EXACTLY 2 OBO", "b a c", "LPOP a 2,LPUSH a a b"),
        ("LEFT LEFT COUNT 2 BULK", "a b c", "LPOP a 2,LPUSH a b a"),
        ("RIGHT RIGHT COUNT 2 OBO", "a c b", "RPOP a 2,RPUSH a c b"),
        ("LEFT LEFT COUNT 9 OBO", "c b a", "RPUSH a c b a,LPOP a 3"),
        (
            "RIGHT RIGHT EXACTLY 3 OBO",
            "c b a",
            "LPUSH a a b c,RPOP a 3",
        ),
        ("LEFT RIGHT COUNT 2 OBO", "c a b", "RPUSH a a b,LPOP a 2"),
        ("RIGHT LEFT COUNT 2 BULK", "b c a", "LPUSH a c b,RPOP a 2"),
        ("LEFT RIGHT COUNT 3 BULK", "a b c", "RPUSH a a b c,LPOP a 3"),
        ("LEFT RIGHT", "b c a", "LMOVE a a LEFT RIGHT"),
    ] {
        bench.line("DEL a");
        bench.line("RPUSH a a b c");
        bench.line("EXPIRE a 100");
        bench.effects();
        bench.events();
        bench.line(&format!("LMOVEM a a {line}"));
        assert_eq!(bench.effects().join(","), effects, "{line}");
        let (from, to) = (
            line.starts_with("LEFT"),
            line.contains("LEFT LEFT") || line.starts_with("RIGHT LEFT"),
        );
        let name = |left: bool, event: &str| format!("{}{event} a", if left { "l" } else { "r" });
        assert_eq!(
            bench.events(),
            [name(to, "push"), name(from, "pop")],
            "{line}"
        );
        let elements: String = after.split(' ').map(|word| format!(" $1 {word}")).collect();
        assert_eq!(
            bench.line("LRANGE a 0 -1"),
            format!("*3{elements}"),
            "{line}"
        );
        assert_eq!(bench.line("TTL a"), ":100", "{line}");
    }
}

#[test]
fn a_move_of_several_elements_says_what_is_wrong() {
    let mut bench = bench(-2);
    check(
        &mut bench,
        &[
            ("LMOVEM a b LEFT LEFT", "*0"),
            ("LMOVEM a b LEFT LEFT COUNT 2 OBO", "*0"),
            ("LMOVEM a b LEFT LEFT EXACTLY 1 OBO", "*-1"),
            ("RPUSH a 1 2", ":2"),
            ("LMOVEM a b LEFT LEFT EXACTLY 3 BULK", "*-1"),
            ("LMOVEM a b LEFT RIGHT", "*1 $1 1"),
            ("LMOVEM a b left right exactly 1 bulk", "*1 $1 2"),
            ("EXISTS a", ":0"),
            ("LRANGE b 0 -1", "*2 $1 1 $1 2"),
            ("LMOVEM b a UP LEFT", "-ERR syntax error"),
            ("LMOVEM b a LEFT LEFT COUNT", "-ERR syntax error"),
            ("LMOVEM b a LEFT LEFT COUNT 1", "-ERR syntax error"),
            ("LMOVEM b a LEFT LEFT COUNT 1 ALL", "-ERR syntax error"),
            ("LMOVEM b a LEFT LEFT OBO", "-ERR syntax error"),
            ("LMOVEM b a LEFT LEFT COUNT 1 OBO BULK", "-ERR syntax error"),
            (
                "LMOVEM b a LEFT LEFT COUNT 0 OBO",
                "-ERR value is out of range, must be positive",
            ),
            (
                "LMOVEM b a LEFT LEFT EXACTLY -1 OBO",
                "-ERR value is out of range, must be positive",
            ),
            (
                "LMOVEM b a LEFT LEFT COUNT x OBO",
                "-ERR value is out of range, must be positive",
            ),
            (
                "BLMOVEM b a LEFT LEFT x COUNT 1 OBO",
                "-ERR timeout is not a float or out of range",
            ),
            ("BLMOVEM b a LEFT LEFT -1", "-ERR timeout is negative"),
            ("LLEN b", ":2"),
            ("BLMOVEM b a LEFT LEFT 0 EXACTLY 3 OBO", "*-1"),
        ],
    );
    let wait = wait(&mut bench);
    assert_eq!(wait.kind, WaitKind::ListOf(3));
    assert_eq!(
        (&*wait.keys[0], &*wait.destinations[0]),
        (&b"b"[..], &b"a"[..])
    );
    assert_eq!(wait.deadline_ms, None);
}

#[test]
fn a_move_of_a_long_list_leaves_effects_that_a_client_may_send() {
    let mut bench = bench(-2);
    let count = PUSH_EFFECT_ELEMENTS_MAX + 3;
    bench.run(&[vec!["RPUSH", "a"], vec!["x"; count]].concat());
    effects(&mut bench);
    let reply = bench.line("LMOVEM a b RIGHT LEFT COUNT 999999 OBO");
    assert!(reply.starts_with(&format!("*{count} $1 x")));
    let lengths: Vec<usize> = effects(&mut bench).iter().map(Vec::len).collect();
    assert_eq!(lengths, [PUSH_EFFECT_ELEMENTS_MAX + 2, 3 + 2, 3]);
}

#[test]
fn the_first_list_that_has_an_element_gives_it() {
    let mut bench = bench(-2);
    check(
        &mut bench,
        &[
            ("RPUSH b 1 2 3 4", ":4"),
            ("BLPOP a b 0", "*2 $1 b $1 1"),
            ("BRPOP a b 0", "*2 $1 b $1 4"),
            ("LMPOP 2 a b RIGHT", "*2 $1 b *1 $1 3"),
            ("RPUSH b 3", ":2"),
            ("BLMPOP 0 2 a b LEFT COUNT 9", "*2 $1 b *2 $1 2 $1 3"),
            ("LMPOP 2 a b RIGHT COUNT 1", "*-1"),
            ("LMPOP 0 a LEFT", "-ERR numkeys should be greater than 0"),
            ("LMPOP 9223372036854775807 a LEFT", "-ERR syntax error"),
            (
                "LMPOP 1 a LEFT COUNT 0",
                "-ERR count should be greater than 0",
            ),
            ("LMPOP 1 a LEFT COUNT 1 COUNT 1", "-ERR syntax error"),
            ("LMPOP 1 a LEFT COUNT", "-ERR syntax error"),
            ("LMPOP 1 a UP", "-ERR syntax error"),
            ("LMPOP 2 a LEFT", "-ERR syntax error"),
            (
                "BLMPOP x 1 a LEFT",
                "-ERR timeout is not a float or out of range",
            ),
            ("BLPOP a b 1.5", "*-1"),
        ],
    );
    let wait = wait(&mut bench);
    assert_eq!(
        (wait.keys.len(), wait.deadline_ms),
        (2, Some(bench.now_ms + 1500))
    );
}

#[test]
fn events_and_effects_are_those_of_redis() {
    let mut bench = bench(-2);
    for (line, events, effects) in [
        ("RPUSH a 1 2 3 4", "new a,rpush a", "RPUSH a 1 2 3 4"),
        ("LPUSH a 0", "lpush a", "LPUSH a 0"),
        ("LPOP a", "lpop a", "LPOP a"),
        ("LPOP a 0", "", ""),
        ("LSET a 0 x", "lset a", "LSET a 0 x"),
        ("LINSERT a BEFORE x y", "linsert a", "LINSERT a BEFORE x y"),
        ("LINSERT a BEFORE q y", "", ""),
        ("LTRIM a 0 -1", "ltrim a", ""),
        ("LTRIM a 1 -1", "ltrim a", "LTRIM a 1 -1"),
        ("LREM a 0 q", "", ""),
        ("LREM a 0 2", "lrem a", "LREM a 0 2"),
        (
            "LMOVE a b LEFT RIGHT",
            "new b,rpush b,lpop a",
            "LMOVE a b LEFT RIGHT",
        ),
        (
            "BLMOVE b a LEFT LEFT 0",
            "lpush a,lpop b,del b",
            "LMOVE b a LEFT LEFT",
        ),
        ("BRPOPLPUSH a a 0", "lpush a,rpop a", "RPOPLPUSH a a"),
        ("BLPOP a 0", "lpop a", "LPOP a"),
        ("LPUSH a 9", "lpush a", "LPUSH a 9"),
        (
            "LMOVEM a c RIGHT RIGHT COUNT 2 OBO",
            "new c,rpush c,rpop a",
            "RPUSH c 3 x,RPOP a 2",
        ),
        (
            "LMOVEM c a LEFT RIGHT COUNT 5 BULK",
            "rpush a,lpop c,del c",
            "RPUSH a 3 x,LPOP c 2",
        ),
        ("BLMPOP 0 1 a RIGHT COUNT 5", "rpop a,del a", "RPOP a 3"),
        ("RPUSH a 1", "new a,rpush a", "RPUSH a 1"),
        ("RPOP a", "rpop a,del a", "RPOP a"),
        ("RPUSH a 1", "new a,rpush a", "RPUSH a 1"),
        ("LREM a 0 1", "lrem a,del a", "LREM a 0 1"),
        ("RPUSH a 1", "new a,rpush a", "RPUSH a 1"),
        ("LTRIM a 1 0", "ltrim a,del a", "LTRIM a 1 0"),
        ("RPUSHX a 1", "", ""),
        ("LPOP a", "", ""),
        ("RPUSH a 1", "new a,rpush a", "RPUSH a 1"),
        ("RPOPLPUSH a a", "lpush a,rpop a", "RPOPLPUSH a a"),
    ] {
        bench.line(line);
        assert_eq!(bench.events().join(","), events, "{line}");
        assert_eq!(bench.effects().join(","), effects, "{line}");
    }
}

#[test]
fn other_types_are_refused() {
    let mut bench = bench(-2);
    let mut handle = bench.keyspaces[0].write(0, b"s", 0);
    handle.insert(Value::String(crate::keyspace::value::StringValue::Integer(
        1,
    )));
    handle.covered();
    drop(handle);
    bench.line("RPUSH l a");
    for line in [
        "LPUSH s a",
        "RPUSHX s a",
        "LPOP s",
        "LPOP s 1",
        "LLEN s",
        "LINDEX s x",
        "LRANGE s 0 1",
        "LPOS s a",
        "LSET s 0 a",
        "LTRIM s 0 1",
        "LREM s 0 a",
        "LINSERT s BEFORE a b",
        "LMOVE s l LEFT LEFT",
        "LMOVE l s LEFT LEFT",
        "RPOPLPUSH l s",
        "BLPOP s l 0",
        "BLMPOP 0 2 s l LEFT",
        "LMPOP 2 s l LEFT",
        "BLMOVE s l LEFT LEFT 0",
        "LMOVEM s l LEFT LEFT",
        "LMOVEM l s LEFT LEFT",
        "LMOVEM s l LEFT LEFT EXACTLY 9 OBO",
        "BLMOVEM l s LEFT LEFT 0 COUNT 2 OBO",
        "BRPOPLPUSH l s 0",
    ] {
        assert_eq!(
            bench.line(line),
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
            "{line}"
        );
    }
    assert_eq!(bench.line("LRANGE l 0 -1"), "*1 $1 a");
}

const KEYS: [&[u8]; 3] = [b"a", b"b", b"c"];

fn word() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        5 => (0u8..6).prop_map(|n| n.to_string().into_bytes()),
        2 => (0usize..60).prop_map(|n| vec![b'x'; n]),
        1 => (1000usize..3000).prop_map(|n| vec![b'y'; n]),
        1 => prop_oneof![4080usize..4100, 8180usize..8200].prop_map(|n| vec![b'z'; n]),
    ]
}

fn number() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => -9i64..9, 1 => -100i64..100].prop_map(|n| n.to_string().into_bytes())
}

/// A random list command.
fn command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let key = || proptest::sample::select(&KEYS[..]).prop_map(<[u8]>::to_vec);
    let named = |names: &'static [&'static str]| {
        proptest::sample::select(names).prop_map(|name| name.as_bytes().to_vec())
    };
    let ends = || named(&["LEFT", "RIGHT"]);
    prop_oneof![
        6 => (named(&["LPUSH", "RPUSH", "LPUSHX", "RPUSHX"]), key(), proptest::collection::vec(word(), 1..7))
            .prop_map(|(name, key, words)| [vec![name, key], words].concat()),
        2 => (named(&["LPOP", "RPOP"]), key()).prop_map(|(name, key)| vec![name, key]),
        2 => (named(&["LPOP", "RPOP", "LINDEX"]), key(), number()).prop_map(|(name, key, count)| vec![name, key, count]),
        2 => (named(&["LINSERT"]), key(), named(&["BEFORE", "AFTER"]), word(), word()).prop_map(|(name, key, side, pivot, word)| vec![name, key, side, pivot, word]),
        3 => (named(&["LSET", "LREM"]), key(), number(), word()).prop_map(|(name, key, index, word)| vec![name, key, index, word]),
        2 => (named(&["LTRIM", "LRANGE"]), key(), number(), number()).prop_map(|(name, key, start, stop)| vec![name, key, start, stop]),
        2 => (named(&["LMOVE"]), key(), key(), ends(), ends()).prop_map(|(name, from, to, a, b)| vec![name, from, to, a, b]),
        2 => (key(), key(), ends(), ends(), named(&["COUNT", "EXACTLY"]), number(), named(&["OBO", "BULK"]))
            .prop_map(|(from, to, a, b, how_many, number, order)| vec![b"LMOVEM".to_vec(), from, to, a, b, how_many, number, order]),
        1 => (named(&["LPOS"]), key(), word(), named(&["RANK", "COUNT", "MAXLEN"]), number(), named(&["COUNT", "MAXLEN"]), number())
            .prop_map(|(name, key, word, a, x, b, y)| vec![name, key, word, a, x, b, y]),
        1 => (named(&["LMPOP"]), key(), key(), ends(), number()).prop_map(|(name, a, b, end, count)| vec![name, b"2".to_vec(), a, b, end, b"COUNT".to_vec(), count]),
    ]
}

proptest! {
    #![proptest_config(crate::property::cases(200))]
    #[test]
    fn effects_replayed_give_the_same_lists(commands in proptest::collection::vec(command(), 0..60), chunk_limit in proptest::sample::select(&[-2, -1, 3, 5][..])) {
        let (mut first, mut second) = (bench(chunk_limit), bench(chunk_limit));
        for command in &commands {
            first.run(command);
        }
        for effect in effects(&mut first) {
            second.run(&effect);
        }
        prop_assert_eq!(state(&mut first), state(&mut second));
    }
}
