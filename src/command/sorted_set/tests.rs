#![allow(clippy::unwrap_used, reason = "tests")]
//! The sorted set handlers on a bare keyspace: replies, events, effects, chance.

use std::collections::BTreeMap;

use crate::command::context::Outcome;
use crate::command::testing::Bench;
use crate::data::listpack::PackLimits;
use crate::keyspace::wait::WaitKind;

/// A bench whose sorted sets are small up to so many members.
pub(super) fn bench(entry_count_max: usize) -> Bench {
    let mut bench = Bench::new();
    let settings = (*bench.settings).clone();
    bench.settings = std::sync::Arc::new(crate::config::Settings {
        zset_limits: PackLimits {
            entry_count_max,
            text_bytes_max: 64,
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

/// The same for both forms.
#[track_caller]
pub(super) fn check_both(table: &[(&str, &str)]) {
    for entry_count_max in [0, 128] {
        check(&mut bench(entry_count_max), table);
    }
}

#[test]
fn members_are_added_and_scores_changed() {
    check_both(&[
        ("ZADD z 2 b 1 a 3 c", ":3"),
        ("ZADD z 5 a 4 d", ":1"),
        ("ZADD z CH 6 a 5 e", ":2"),
        ("ZADD z NX 9 a 9 f", ":1"),
        ("ZADD z XX 7 a 9 g", ":0"),
        ("ZADD z XX CH GT 6 a 9 b", ":1"),
        ("ZADD z CH LT 6 a 10 b", ":1"),
        ("ZADD z INCR 0.5 a", "$3 6.5"),
        ("ZADD z NX INCR 0.5 a", "$-1"),
        ("ZADD z XX INCR 1 q", "$-1"),
        ("ZADD z GT INCR -1 a", "$-1"),
        ("ZINCRBY z 1e3 a", "$6 1006.5"),
        ("ZINCRBY z inf a", "$3 inf"),
        (
            "ZINCRBY z -inf a",
            "-ERR resulting score is not a number (NaN)",
        ),
        ("ZSCORE z a", "$3 inf"),
        ("ZADD none XX 1 a", ":0"),
        ("EXISTS none", ":0"),
        ("ZADD z 1 a 2", "-ERR syntax error"),
        (
            "ZADD z NX XX 1 a",
            "-ERR XX and NX options at the same time are not compatible",
        ),
        (
            "ZADD z NX GT 1 a",
            "-ERR GT, LT, and/or NX options at the same time are not compatible",
        ),
        (
            "ZADD z LT GT 1 a",
            "-ERR GT, LT, and/or NX options at the same time are not compatible",
        ),
        (
            "ZADD z INCR 1 a 2 b",
            "-ERR INCR option supports a single increment-element pair",
        ),
        ("ZADD z 1 new x other", "-ERR value is not a valid float"),
        ("ZADD z nan a", "-ERR value is not a valid float"),
        ("ZMSCORE z b new d", "*3 $1 9 $-1 $1 4"),
        ("ZCARD z", ":6"),
        ("SET s x", "+OK"),
        (
            "ZADD s 1 a",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ("ZADD s x a", "-ERR value is not a valid float"),
    ]);
}

#[test]
fn ranges_are_of_ranks_scores_or_members() {
    check_both(&[
        ("ZADD z 1 a 2 b 2 c 3 d", ":4"),
        ("ZRANGE z 0 -1", "*4 $1 a $1 b $1 c $1 d"),
        ("ZRANGE z -2 9 WITHSCORES", "*4 $1 c $1 2 $1 d $1 3"),
        ("ZRANGE z 0 1 REV", "*2 $1 d $1 c"),
        ("ZREVRANGE z 2 3 WITHSCORES", "*4 $1 b $1 2 $1 a $1 1"),
        ("ZRANGE z 5 1", "*0"),
        ("ZRANGE z (1 2 BYSCORE", "*2 $1 b $1 c"),
        ("ZRANGE z 2 (1 BYSCORE REV LIMIT 1 5", "*1 $1 b"),
        (
            "ZRANGEBYSCORE z -inf +inf LIMIT 1 2 WITHSCORES",
            "*4 $1 b $1 2 $1 c $1 2",
        ),
        ("ZRANGEBYSCORE z -inf +inf LIMIT 3 -1", "*1 $1 d"),
        ("ZRANGEBYSCORE z -inf +inf LIMIT -1 5", "*0"),
        ("ZREVRANGEBYSCORE z +inf (2 LIMIT 0 5", "*1 $1 d"),
        ("ZRANGEBYSCORE z (2 2", "*0"),
        ("ZCOUNT z 2 3", ":3"),
        ("ZCOUNT z (2 (3", ":0"),
        ("ZRANK z c", ":2"),
        ("ZREVRANK z c", ":1"),
        ("ZRANK z c WITHSCORE", "*2 :2 $1 2"),
        ("ZRANK z q", "$-1"),
        ("ZRANK z q WITHSCORE", "*-1"),
        ("ZRANK z c WITHSCORES", "-ERR syntax error"),
        (
            "ZRANK z c WITHSCORE x",
            "-ERR wrong number of arguments for 'zrank' command",
        ),
        ("ZADD l 0 a 0 aa 0 b 0 c", ":4"),
        ("ZRANGEBYLEX l [aa (c", "*2 $2 aa $1 b"),
        ("ZREVRANGEBYLEX l + [aa LIMIT 1 2", "*2 $1 b $2 aa"),
        ("ZRANGE l - (b BYLEX", "*2 $1 a $2 aa"),
        ("ZRANGE l + - BYLEX", "*0"),
        ("ZLEXCOUNT l - +", ":4"),
        ("ZLEXCOUNT l (a [b", ":2"),
        (
            "ZRANGEBYLEX l a b",
            "-ERR min or max not valid string range item",
        ),
        ("ZRANGEBYSCORE z a b", "-ERR min or max is not a float"),
        ("ZRANGE z 0 1 BYSCORE BYLEX", "-ERR syntax error"),
        (
            "ZRANGE z 0 1 LIMIT 0 1",
            "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ),
        ("ZRANGE z 0 0 LIMIT 5 -1", "*1 $1 a"),
        (
            "ZRANGE z [a [b BYLEX WITHSCORES",
            "-ERR syntax error, WITHSCORES not supported in combination with BYLEX",
        ),
        ("ZRANGESTORE d z 2 +inf BYSCORE", ":3"),
        (
            "ZRANGE d 0 -1 WITHSCORES",
            "*6 $1 b $1 2 $1 c $1 2 $1 d $1 3",
        ),
        ("ZRANGESTORE d z 9 9", ":0"),
        ("EXISTS d", ":0"),
        ("ZRANGESTORE d z 0 1 WITHSCORES", "-ERR syntax error"),
    ]);
}

#[test]
fn a_range_of_members_of_a_small_set_goes_by_members_whatever_the_scores() {
    // As Redis does, which looks from the one end for the first that fits and stops at the first that does not.
    check(
        &mut bench(128),
        &[
            ("ZADD z 1 b 2 d 3 a 4 c 5 e", ":5"),
            ("ZRANGEBYLEX z [b [d", "*4 $1 b $1 d $1 a $1 c"),
            ("ZREVRANGEBYLEX z [d [b", "*1 $1 c"),
            ("ZRANGEBYLEX z [c +", "*4 $1 d $1 a $1 c $1 e"),
            ("ZLEXCOUNT z [b [d", ":4"),
            ("ZREMRANGEBYLEX z [d [d", ":3"),
        ],
    );
}

#[test]
fn members_are_removed_and_the_last_takes_the_key_along() {
    check_both(&[
        ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", ":6"),
        ("ZREM z a q a", ":1"),
        ("ZREMRANGEBYRANK z -1 -1", ":1"),
        ("ZREMRANGEBYRANK z 9 10", ":0"),
        ("ZREMRANGEBYSCORE z (2 3", ":1"),
        ("ZRANGE z 0 -1", "*3 $1 b $1 d $1 e"),
        ("ZREMRANGEBYSCORE z -inf inf", ":3"),
        ("EXISTS z", ":0"),
        ("ZREM z a", ":0"),
        ("ZADD l 0 a 0 b", ":2"),
        ("ZREMRANGEBYLEX l - (b", ":1"),
        ("ZREM l b", ":1"),
        ("EXISTS l", ":0"),
    ]);
}

#[test]
fn members_are_popped_from_both_ends() {
    check_both(&[
        ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", ":6"),
        ("ZPOPMIN z", "*2 $1 a $1 1"),
        ("ZPOPMAX z 2", "*4 $1 f $1 6 $1 e $1 5"),
        ("ZPOPMIN z 0", "*0"),
        (
            "ZPOPMIN z -1",
            "-ERR value is out of range, must be positive",
        ),
        ("ZPOPMIN z 1 2", "-ERR syntax error"),
        ("ZMPOP 2 none z MAX", "*2 $1 z *1 *2 $1 d $1 4"),
        (
            "BZMPOP 0 1 z MIN COUNT 9",
            "*2 $1 z *2 *2 $1 b $1 2 *2 $1 c $1 3",
        ),
        ("EXISTS z", ":0"),
        ("ZMPOP 2 none z MAX", "*-1"),
        ("ZPOPMIN z", "*0"),
        ("ZMPOP 0 z MIN", "-ERR numkeys should be greater than 0"),
        ("ZMPOP 1 z MID", "-ERR syntax error"),
        (
            "ZMPOP 1 z MIN COUNT 0",
            "-ERR count should be greater than 0",
        ),
        ("ZADD z 1 a", ":1"),
        ("BZPOPMAX none z 0", "*3 $1 z $1 a $1 1"),
    ]);
}

#[test]
fn what_finds_nothing_waits_for_a_sorted_set() {
    let mut bench = bench(128);
    for line in ["BZPOPMIN a b 0", "BZPOPMAX a b 0", "BZMPOP 0 2 a b MIN"] {
        bench.line(line);
        match bench.outcome.take() {
            Some(Outcome::Wait(wait)) => {
                assert_eq!(wait.kind, WaitKind::SortedSet);
                assert_eq!(wait.keys.len(), 2);
            }
            other => panic!("it does not wait: {other:?}"),
        }
    }
}

#[test]
fn the_newer_protocol_has_doubles_and_pairs() {
    let mut bench = bench(128);
    bench.resp3();
    check(
        &mut bench,
        &[
            ("ZADD z 1 a 2.5 b 3 c", ":3"),
            ("ZSCORE z b", ",2.5"),
            ("ZINCRBY z 1 a", ",2"),
            ("ZRANGE z 0 1 WITHSCORES", "*2 *2 $1 a ,2 *2 $1 b ,2.5"),
            (
                "ZUNION 1 z WITHSCORES",
                "*3 *2 $1 a ,2 *2 $1 b ,2.5 *2 $1 c ,3",
            ),
            ("ZRANK z a WITHSCORE", "*2 :0 ,2"),
            ("ZSCAN z 0", "*2 $1 0 *6 $1 a $1 2 $1 b $3 2.5 $1 c $1 3"),
            ("ZPOPMIN z", "*2 $1 a ,2"),
            ("ZPOPMIN z 1", "*1 *2 $1 b ,2.5"),
            ("BZPOPMIN z 0", "*3 $1 z $1 c ,3"),
            ("ZSCORE z c", "_"),
        ],
    );
}

#[test]
fn sorted_sets_and_sets_are_combined() {
    check_both(&[
        ("ZADD a 1 x 2 y 3 z", ":3"),
        ("ZADD b 10 y 20 z 30 w", ":3"),
        ("SADD s x w 7", ":3"),
        (
            "ZUNION 2 a b WITHSCORES",
            "*8 $1 x $1 1 $1 y $2 12 $1 z $2 23 $1 w $2 30",
        ),
        (
            "ZINTER 2 a b WITHSCORES AGGREGATE MIN",
            "*4 $1 y $1 2 $1 z $1 3",
        ),
        (
            "ZINTER 2 a b WITHSCORES WEIGHTS 2 0.5",
            "*4 $1 y $1 9 $1 z $2 16",
        ),
        (
            "ZUNION 2 a s WITHSCORES",
            "*10 $1 7 $1 1 $1 w $1 1 $1 x $1 2 $1 y $1 2 $1 z $1 3",
        ),
        ("ZINTER 3 a a s AGGREGATE MAX", "*1 $1 x"),
        ("ZDIFF 2 a s", "*2 $1 y $1 z"),
        ("ZDIFF 2 a a", "*0"),
        ("ZDIFF 2 none a", "*0"),
        ("ZINTERCARD 2 a b", ":2"),
        ("ZINTERCARD 2 a b LIMIT 1", ":1"),
        ("ZINTERCARD 2 a b LIMIT -1", "-ERR LIMIT can't be negative"),
        ("SET d x EX 100", "+OK"),
        ("ZUNIONSTORE d 2 a b AGGREGATE MAX", ":4"),
        ("TTL d", ":-1"),
        (
            "ZRANGE d 0 -1 WITHSCORES",
            "*8 $1 x $1 1 $1 y $2 10 $1 z $2 20 $1 w $2 30",
        ),
        ("ZINTERSTORE d 2 d a", ":3"),
        ("ZDIFFSTORE d 2 a a", ":0"),
        ("EXISTS d", ":0"),
        (
            "ZUNION 0 a",
            "-ERR at least 1 input key is needed for 'zunion' command",
        ),
        (
            "ZUNIONSTORE d x a",
            "-ERR value is not an integer or out of range",
        ),
        ("ZUNION 3 a b", "-ERR syntax error"),
        ("ZUNION 1 a WEIGHTS x", "-ERR weight value is not a float"),
        ("ZUNION 2 a b WEIGHTS 1", "-ERR syntax error"),
        ("ZDIFF 1 a WEIGHTS 1", "-ERR syntax error"),
        ("ZUNIONSTORE d 1 a WITHSCORES", "-ERR syntax error"),
        ("SET t x", "+OK"),
        (
            "ZUNION 2 a t NOSUCH",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ("ZADD i inf x", ":1"),
        ("ZADD j -inf x", ":1"),
        ("ZUNION 2 i j WITHSCORES", "*2 $1 x $1 0"),
        ("ZUNION 1 i WEIGHTS 0 WITHSCORES", "*2 $1 x $1 0"),
    ]);
}

#[test]
fn a_set_is_small_up_to_its_limits() {
    let long = "x".repeat(65);
    check(
        &mut bench(3),
        &[
            ("ZADD z 1 a 2 b 3 c", ":3"),
            ("OBJECT ENCODING z", "$8 listpack"),
            ("ZADD z 4 d", ":1"),
            ("OBJECT ENCODING z", "$8 skiplist"),
            ("ZREM z c d", ":2"),
            ("OBJECT ENCODING z", "$8 skiplist"),
            ("ZUNIONSTORE u 1 z", ":2"),
            ("OBJECT ENCODING u", "$8 listpack"),
            ("ZADD many 1 a 1 a 1 a 1 a", ":1"),
            ("OBJECT ENCODING many", "$8 skiplist"),
            ("ZADD u XX 1 e 1 f 1 g 1 h", ":0"),
            ("OBJECT ENCODING u", "$8 skiplist"),
            (&format!("ZADD l 1 {long}"), ":1"),
            ("OBJECT ENCODING l", "$8 skiplist"),
            ("ZRANGESTORE r l 0 -1", ":1"),
            ("OBJECT ENCODING r", "$8 skiplist"),
        ],
    );
}

#[test]
fn events_and_effects_are_those_of_redis() {
    let mut bench = bench(128);
    for (line, events, effects) in [
        (
            "ZADD z 1 a 2 b 3 c 4 d",
            "new z, zadd z",
            "ZADD z 1 a 2 b 3 c 4 d",
        ),
        ("ZADD z 1 a", "", ""),
        ("ZINCRBY z 1 a", "zincr z", "ZINCRBY z 1 a"),
        ("ZREM z q", "", ""),
        ("ZREM z b", "zrem z", "ZREM z b"),
        ("ZMPOP 1 z MAX COUNT 1", "zpopmax z", "ZPOPMAX z 1"),
        (
            "ZRANGESTORE r z 0 -1",
            "new r, zrangestore r",
            "ZRANGESTORE r z 0 -1",
        ),
        ("BZPOPMIN z 0", "zpopmin z", "ZPOPMIN z"),
        (
            "ZREMRANGEBYRANK z 0 -1",
            "zremrangebyrank z, del z",
            "ZREMRANGEBYRANK z 0 -1",
        ),
        (
            "ZUNIONSTORE u 1 r",
            "new u, zunionstore u",
            "ZUNIONSTORE u 1 r",
        ),
        (
            "ZINTERSTORE u 2 u z",
            "keymiss z, del u",
            "ZINTERSTORE u 2 u z",
        ),
        ("ZDIFFSTORE u 2 u z", "keymiss u, keymiss z", ""),
        ("ZPOPMIN r 9", "zpopmin r, del r", "ZPOPMIN r 9"),
    ] {
        bench.line(line);
        assert_eq!(bench.events().join(", "), events, "{line}");
        assert_eq!(bench.effects().join(", "), effects, "{line}");
    }
}

#[test]
fn every_member_is_as_likely_as_any_other() {
    for entry_count_max in [0, 128] {
        let mut bench = bench(entry_count_max);
        let names: Vec<String> = (0..20).map(|number| format!("m{number:02}")).collect();
        for name in &names {
            bench.line(&format!("ZADD z 1 {name}"));
        }
        for command in [
            "ZRANDMEMBER z",
            "ZRANDMEMBER z -1",
            "ZRANDMEMBER z 1",
            "ZRANDMEMBER z 10",
        ] {
            let mut counts: BTreeMap<String, f64> = BTreeMap::new();
            let mut total = 0.0;
            while total < 4000.0 {
                let reply = bench.line(command);
                for name in reply.split(' ').filter(|word| word.starts_with('m')) {
                    *counts.entry(name.to_owned()).or_default() += 1.0;
                    total += 1.0;
                }
            }
            let expected = total / 20.0;
            let squares = names.iter().map(|name| {
                let count = counts.get(name).copied().unwrap_or(0.0);
                (count - expected) * (count - expected) / expected
            });
            let chi_square: f64 = squares.sum();
            // 19 degrees of freedom: beyond 60 once in a million.
            assert!(chi_square < 60.0, "{command}: {chi_square} {counts:?}");
        }
    }
}

#[test]
fn members_by_chance_are_as_many_as_were_asked_for() {
    check_both(&[
        ("ZADD z 1 a", ":1"),
        ("ZRANDMEMBER z", "$1 a"),
        ("ZRANDMEMBER z 5", "*1 $1 a"),
        ("ZRANDMEMBER z -3", "*3 $1 a $1 a $1 a"),
        ("ZRANDMEMBER z -2 WITHSCORES", "*4 $1 a $1 1 $1 a $1 1"),
        ("ZRANDMEMBER z 0", "*0"),
        ("ZRANDMEMBER none", "$-1"),
        ("ZRANDMEMBER none 5", "*0"),
        (
            "ZRANDMEMBER z x",
            "-ERR value is not an integer or out of range",
        ),
        ("ZRANDMEMBER z 1 SCORES", "-ERR syntax error"),
        (
            "ZRANDMEMBER z -9223372036854775808",
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ),
        (
            "ZRANDMEMBER z -9223372036854775807 WITHSCORES",
            "-ERR value is out of range",
        ),
    ]);
}

#[test]
fn a_scan_gives_every_member() {
    let mut bench = bench(128);
    check(
        &mut bench,
        &[
            ("ZADD z 1 a 2 b 3 c", ":3"),
            (
                "ZSCAN z 0 MATCH [bc] COUNT 1",
                "*2 $1 0 *4 $1 b $1 2 $1 c $1 3",
            ),
            ("ZSCAN none 0", "*2 $1 0 *0"),
            ("ZSCAN z x", "-ERR invalid cursor"),
            ("ZSCAN z 0 COUNT 0", "-ERR syntax error"),
        ],
    );
    for number in 0..3000 {
        bench.line(&format!("ZADD l {number} m{number}"));
    }
    let (mut cursor, mut seen, mut calls) = ("0".to_owned(), BTreeMap::new(), 0);
    loop {
        let reply = bench.line(&format!("ZSCAN l {cursor} COUNT 50"));
        let words: Vec<&str> = reply.split(' ').collect();
        cursor = words[2].to_owned();
        for pair in words[4..].chunks(4) {
            seen.insert(pair[1].to_owned(), pair[3].to_owned());
        }
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 3000);
    assert!(seen.iter().all(|(member, score)| member[1..] == *score));
    assert!((30..=80).contains(&calls), "{calls}");
}

#[test]
fn a_removal_of_all_members_leaves_them_to_be_freed_elsewhere() {
    let mut bench = bench(128);
    for number in 0..20_000 {
        bench.line(&format!("ZADD z {number} member{number}"));
    }
    bench.keyspaces[0].take_discards();
    bench.line("ZREMRANGEBYRANK z 0 -1");
    assert_eq!(bench.keyspaces[0].take_discards().len(), 1);
}

/// Which members of mixed scores lie between two is not for the log to find out again.
#[test]
fn ranges_of_members_with_mixed_scores_are_logged_by_name() {
    let mut bench = bench(128);
    for (line, effects) in [
        ("ZADD z 1 a 2 b 3 c", "ZADD z 1 a 2 b 3 c"),
        ("ZRANGESTORE d z [a [b BYLEX", "DEL d, ZADD d 1 a 2 b"),
        ("ZREMRANGEBYLEX z [a [b", "ZREM z a b"),
        ("ZRANGESTORE d z - + BYLEX", "ZRANGESTORE d z - + BYLEX"),
        ("ZREMRANGEBYLEX z - +", "ZREMRANGEBYLEX z - +"),
    ] {
        bench.line(line);
        assert_eq!(bench.effects().join(", "), effects, "{line}");
    }
}
