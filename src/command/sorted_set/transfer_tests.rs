#![allow(clippy::unwrap_used, reason = "tests")]
//! ZMOVE, BZMOVE, ZMOVEMEMBER on a bare keyspace: replies, events, effects, and all of it against plain maps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::command::context::Outcome;
use crate::command::testing::Bench;
use crate::keyspace::wait::WaitKind;
use crate::limits::PUSH_EFFECT_ELEMENTS_MAX;

use super::tests::{bench, check, check_both};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const COUNT: &str = "-ERR count should be greater than 0";

/// Whether the last command waits, and for which key and with which destination.
fn wait(bench: &mut Bench) -> Option<(String, String)> {
    let Some(Outcome::Wait(wait)) = bench.outcome.take() else {
        return None;
    };
    assert_eq!(wait.kind, WaitKind::SortedSet);
    assert_eq!((wait.keys.len(), wait.destinations.len()), (1, 1));
    let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
    Some((text(&wait.keys[0]), text(&wait.destinations[0])))
}

#[test]
fn members_move_from_an_end_or_a_range() {
    check_both(&[
        ("ZADD a 1 p 2 q 3 r 4 s 5 t 6 u 7 v", ":7"),
        ("ZADD b 9 q 8 keep", ":2"),
        ("ZMOVE a b MIN", "*1 *2 $1 p $1 1"),
        ("ZMOVE a b max count 2", "*2 *2 $1 v $1 7 *2 $1 u $1 6"),
        ("ZMOVE a b BYSCORE (1 (3", "*1 *2 $1 q $1 2"),
        ("ZSCORE b q", "$1 2"),
        ("ZMOVE a b BYSCORE 3 +inf COUNT 1", "*1 *2 $1 r $1 3"),
        ("ZMOVE a b BYSCORE 6 9", "*-1"),
        ("ZMOVE a b BYSCORE 5 4", "*-1"),
        ("ZRANGE b 0 -1", "*6 $1 p $1 q $1 r $1 u $1 v $4 keep"),
        ("ZMOVE a b BYSCORE -inf inf", "*2 *2 $1 s $1 4 *2 $1 t $1 5"),
        ("EXISTS a", ":0"),
        ("ZMOVE a b MIN", "*-1"),
        ("ZMOVE b b MIN COUNT 3", "*-1"),
        (
            "ZMOVE b c MAX COUNT 9223372036854775807",
            "*8 *2 $4 keep $1 8 *2 $1 v $1 7 *2 $1 u $1 6 *2 $1 t $1 5 *2 $1 s $1 4 *2 $1 r $1 3 *2 $1 q $1 2 *2 $1 p $1 1",
        ),
        ("EXISTS b c", ":1"),
    ]);
}

#[test]
fn members_move_by_name() {
    check_both(&[
        ("ZADD a 1 p 2 q 3 r 4 s 5 t", ":5"),
        ("ZADD b 9 q 8 r", ":2"),
        (
            "ZMOVEMEMBER a b MEMBERS 4 t none p t",
            "*2 *2 $1 t $1 5 *2 $1 p $1 1",
        ),
        ("ZMOVEMEMBER a b NX MEMBERS 1 q", "*-1"),
        ("ZMOVEMEMBER a b NX MEMBERS 2 q s", "*1 *2 $1 s $1 4"),
        ("ZMOVEMEMBER a b XX MEMBERS 2 t r", "*1 *2 $1 r $1 3"),
        ("ZMOVEMEMBER a c XX MEMBERS 1 q", "*-1"),
        ("ZMOVEMEMBER a a MEMBERS 1 q", "*-1"),
        ("ZMOVEMEMBER none b MEMBERS 1 q", "*-1"),
        (
            "ZRANGE b 0 -1 WITHSCORES",
            "*10 $1 p $1 1 $1 r $1 3 $1 s $1 4 $1 t $1 5 $1 q $1 9",
        ),
        ("ZMOVEMEMBER a b xx members 2 q q", "*1 *2 $1 q $1 2"),
        ("EXISTS a", ":0"),
        ("ZSCORE b q", "$1 2"),
    ]);
}

#[test]
fn keys_keep_their_expiry_and_a_new_one_has_none() {
    check_both(&[
        ("ZADD a 1 p 2 q 3 r", ":3"),
        ("EXPIRE a 100", ":1"),
        ("ZMOVE a b MIN", "*1 *2 $1 p $1 1"),
        ("TTL a", ":100"),
        ("TTL b", ":-1"),
        ("EXPIRE b 50", ":1"),
        (
            "ZMOVEMEMBER a b MEMBERS 2 q r",
            "*2 *2 $1 q $1 2 *2 $1 r $1 3",
        ),
        ("TTL a", ":-2"),
        ("TTL b", ":50"),
    ]);
}

#[test]
fn a_move_says_what_is_wrong_before_anything_moves() {
    check_both(&[
        ("ZADD a 1 p 2 q", ":2"),
        ("SET s x", "+OK"),
        ("ZMOVE a s MIN", WRONG_TYPE),
        ("ZMOVE s a MIN", WRONG_TYPE),
        ("ZMOVE s s MIN", WRONG_TYPE),
        ("ZMOVE a s BYSCORE 8 9", WRONG_TYPE),
        ("ZMOVE none s MIN", "*-1"),
        ("BZMOVE a s MIN 0", WRONG_TYPE),
        ("BZMOVE s a MIN 0", WRONG_TYPE),
        ("ZMOVEMEMBER a s MEMBERS 1 none", WRONG_TYPE),
        ("ZMOVEMEMBER s a MEMBERS 1 none", WRONG_TYPE),
        ("ZMOVEMEMBER none s MEMBERS 1 p", "*-1"),
        ("ZMOVE a b MID", "-ERR syntax error"),
        ("ZMOVE a b MIN COUNT", "-ERR syntax error"),
        ("ZMOVE a b MIN 1", "-ERR syntax error"),
        ("ZMOVE a b MIN COUNT 1 COUNT 1", "-ERR syntax error"),
        ("ZMOVE a b MIN COUNT 0", COUNT),
        ("ZMOVE a b MAX COUNT -1", COUNT),
        ("ZMOVE a b BYSCORE 1 2 COUNT x", COUNT),
        ("ZMOVE a b BYSCORE", "-ERR syntax error"),
        ("ZMOVE a b BYSCORE 1", "-ERR syntax error"),
        ("ZMOVE a b BYSCORE 1 x", "-ERR min or max is not a float"),
        ("ZMOVE a b BYSCORE nan 1", "-ERR min or max is not a float"),
        ("BZMOVE a b BYSCORE 0 1 0", "-ERR syntax error"),
        (
            "BZMOVE a b MIN x",
            "-ERR timeout is not a float or out of range",
        ),
        ("BZMOVE a b MIN -1", "-ERR timeout is negative"),
        ("BZMOVE a b MIN 0 COUNT 0", COUNT),
        ("BZMOVE a b MIN 0 1", "-ERR syntax error"),
        ("ZMOVEMEMBER a b NX XX MEMBERS 1 p", "-ERR syntax error"),
        ("ZMOVEMEMBER a b FIELDS 1 p", "-ERR syntax error"),
        ("ZMOVEMEMBER a b NX MEMBERS 1", MISMATCH),
        ("ZMOVEMEMBER a b MEMBERS 1 p q", MISMATCH),
        ("ZMOVEMEMBER a b MEMBERS 3 p q", MISMATCH),
        ("ZMOVEMEMBER a b MEMBERS 0 p", NOT_POSITIVE),
        ("ZMOVEMEMBER a b MEMBERS x p", NOT_POSITIVE),
        ("ZCARD a", ":2"),
        ("EXISTS b", ":0"),
    ]);
}

const MISMATCH: &str = "-ERR The `num-members` parameter must match the number of arguments";
const NOT_POSITIVE: &str = "-ERR Parameter `num-members` should be greater than 0";

#[test]
fn what_finds_no_source_waits_for_it_unless_it_is_the_destination() {
    let mut bench = bench(128);
    check(&mut bench, &[("SET s x", "+OK"), ("ZADD z 1 a 2 b", ":2")]);
    for (line, reply, waits) in [
        ("BZMOVE a b MIN 0", "*-1", true),
        // Its type is looked at when there is something to move.
        ("BZMOVE a s MAX 1.5 COUNT 2", "*-1", true),
        ("BZMOVE a a MIN 0", "*-1", false),
        ("BZMOVE z z MIN 0", "*-1", false),
        (
            "BZMOVE z y MAX 0 COUNT 3",
            "*2 *2 $1 b $1 2 *2 $1 a $1 1",
            false,
        ),
    ] {
        assert_eq!(bench.line(line), reply, "{line}");
        let words: Vec<&str> = line.split(' ').collect();
        let expected = waits.then(|| (words[1].to_owned(), words[2].to_owned()));
        assert_eq!(wait(&mut bench), expected, "{line}");
    }
}

#[test]
fn the_newer_protocol_has_doubles_and_a_null() {
    let mut bench = bench(128);
    bench.resp3();
    check(
        &mut bench,
        &[
            ("ZADD a 1 p 2.5 q inf r", ":3"),
            ("ZMOVE a b MAX COUNT 2", "*2 *2 $1 r ,inf *2 $1 q ,2.5"),
            ("ZMOVEMEMBER a b MEMBERS 1 none", "_"),
            ("ZMOVEMEMBER a b MEMBERS 1 p", "*1 *2 $1 p ,1"),
            ("ZMOVE a b MIN", "_"),
            ("BZMOVE a b MIN 0", "_"),
        ],
    );
}

#[test]
fn a_move_is_told_and_logged_as_an_addition_and_a_removal() {
    let mut bench = bench(128);
    for (line, events, effects) in [
        (
            "ZADD a 1 p 2 q 3 r 4 s 5 t",
            "new a, zadd a",
            "ZADD a 1 p 2 q 3 r 4 s 5 t",
        ),
        (
            "ZMOVE a b MIN",
            "new b, zadd b, zpopmin a",
            "ZADD b 1 p, ZREM a p",
        ),
        (
            "ZMOVE a b MAX COUNT 2",
            "zadd b, zpopmax a",
            "ZADD b 5 t 4 s, ZREM a t s",
        ),
        (
            "BZMOVE a b MIN 0",
            "zadd b, zpopmin a",
            "ZADD b 2 q, ZREM a q",
        ),
        ("ZMOVE a b BYSCORE 7 9", "", ""),
        ("ZMOVE b b MIN", "", ""),
        (
            "ZMOVE b a BYSCORE 1 2",
            "zadd a, zrem b",
            "ZADD a 1 p 2 q, ZREM b p q",
        ),
        ("ZADD a 4.5 s", "zadd a", "ZADD a 4.5 s"),
        (
            "ZMOVEMEMBER a b XX MEMBERS 3 s p s",
            "zadd b, zrem a",
            "ZADD b 4.5 s, ZREM a s",
        ),
        ("ZADD a 5 t", "zadd a", "ZADD a 5 t"),
        // The destination has it with the same score already.
        ("ZMOVE a b MAX", "zpopmax a", "ZREM a t"),
        (
            "ZMOVEMEMBER b c MEMBERS 2 t s",
            "new c, zadd c, zrem b, del b",
            "ZADD c 5 t 4.5 s, ZREM b t s",
        ),
        ("ZMOVEMEMBER a c NX MEMBERS 1 none", "", ""),
        (
            "ZMOVE a c MIN COUNT 9",
            "zadd c, zpopmin a, del a",
            "ZADD c 1 p 2 q 3 r, ZREM a p q r",
        ),
    ] {
        bench.line(line);
        assert_eq!(bench.events().join(", "), events, "{line}");
        assert_eq!(bench.effects().join(", "), effects, "{line}");
    }
}

#[test]
fn a_move_of_a_large_set_leaves_effects_that_a_client_may_send() {
    let mut bench = bench(128);
    let count = PUSH_EFFECT_ELEMENTS_MAX + 3;
    for from in (0..count).step_by(10_000) {
        let pairs = (from..count.min(from + 10_000))
            .flat_map(|number| [number.to_string(), format!("m{number}")]);
        let words: Vec<String> = ["ZADD", "a"]
            .map(str::to_owned)
            .into_iter()
            .chain(pairs)
            .collect();
        bench.run(&words);
    }
    bench.effects();
    bench.keyspaces[0].take_discards();
    let (reply, slices, _) = bench
        .run_sliced(&["ZMOVE", "a", "b", "BYSCORE", "-inf", "inf"])
        .finish();
    assert!(
        reply.starts_with(format!("*{count}\r\n*2\r\n$2\r\nm0\r\n$1\r\n0\r\n*2\r\n").as_bytes())
    );
    assert!(slices > 1, "it leaves in slices");
    // The set that is gone is freed elsewhere.
    assert_eq!(bench.keyspaces[0].take_discards().len(), 1);
    let lengths = bench
        .effects()
        .into_iter()
        .map(|effect| effect.split(' ').count());
    let half = PUSH_EFFECT_ELEMENTS_MAX / 2;
    assert_eq!(
        lengths.collect::<Vec<_>>(),
        [
            2 * half + 2,
            2 * half + 2,
            2 * 3 + 2,
            PUSH_EFFECT_ELEMENTS_MAX + 2,
            3 + 2
        ]
    );
    check(
        &mut bench,
        &[("EXISTS a", ":0"), ("ZCARD b", &format!(":{count}"))],
    );
}

const KEYS: [&str; 3] = ["a", "b", "c"];

/// Sorted sets as the pages describe them: members by name.
#[derive(Debug, Default)]
struct Model(BTreeMap<&'static str, BTreeMap<u8, i8>>);

#[derive(Clone, Debug)]
enum Step {
    Add {
        key: usize,
        member: u8,
        score: i8,
    },
    End {
        keys: [usize; 2],
        max: bool,
        count: Option<usize>,
    },
    Range {
        keys: [usize; 2],
        min: i8,
        max: i8,
        open: bool,
        count: Option<usize>,
    },
    Members {
        keys: [usize; 2],
        condition: usize,
        members: Vec<u8>,
    },
}

impl Step {
    fn line(&self) -> String {
        let count =
            |count: &Option<usize>| count.map_or(String::new(), |count| format!(" COUNT {count}"));
        match self {
            Self::Add { key, member, score } => format!("ZADD {} {score} m{member}", KEYS[*key]),
            Self::End {
                keys: [from, to],
                max,
                count: most,
            } => format!(
                "ZMOVE {} {} {}{}",
                KEYS[*from],
                KEYS[*to],
                if *max { "MAX" } else { "MIN" },
                count(most)
            ),
            Self::Range {
                keys: [from, to],
                min,
                max,
                open,
                count: most,
            } => format!(
                "ZMOVE {} {} BYSCORE {}{min} {max}{}",
                KEYS[*from],
                KEYS[*to],
                if *open { "(" } else { "" },
                count(most)
            ),
            Self::Members {
                keys: [from, to],
                condition,
                members,
            } => {
                let names: String = members.iter().map(|member| format!(" m{member}")).collect();
                format!(
                    "ZMOVEMEMBER {} {}{} MEMBERS {}{names}",
                    KEYS[*from],
                    KEYS[*to],
                    ["", " NX", " XX"][*condition],
                    members.len()
                )
            }
        }
    }
}

fn pairs(pairs: &[(u8, i8)]) -> String {
    let texts = pairs.iter().map(|(member, score)| {
        let score = score.to_string();
        format!(
            " *2 ${} m{member} ${} {score}",
            1 + member.to_string().len(),
            score.len()
        )
    });
    format!("*{}{}", pairs.len(), texts.collect::<String>())
}

impl Model {
    /// The members of a key in order.
    fn order(&self, key: usize) -> Vec<(u8, i8)> {
        let set = self.0.get(KEYS[key]).into_iter().flatten();
        let mut order: Vec<(u8, i8)> = set.map(|(member, score)| (*member, *score)).collect();
        order.sort_by_key(|(member, score)| (*score, *member));
        order
    }

    /// Does a step; gives the reply.
    fn run(&mut self, step: &Step) -> String {
        let (keys, moved) = match step {
            Step::Add { key, member, score } => {
                let old = self
                    .0
                    .entry(KEYS[*key])
                    .or_default()
                    .insert(*member, *score);
                return format!(":{}", usize::from(old.is_none()));
            }
            Step::End { keys, max, count } => {
                let mut order = self.order(keys[0]);
                if *max {
                    order.reverse();
                }
                order.truncate(count.unwrap_or(1));
                (keys, order)
            }
            Step::Range {
                keys,
                min,
                max,
                open,
                count,
            } => {
                let mut order = self.order(keys[0]);
                order.retain(|(_, score)| score <= max && (score > min || !open && score == min));
                order.truncate(count.unwrap_or(usize::MAX));
                (keys, order)
            }
            Step::Members {
                keys,
                condition,
                members,
            } => {
                let (source, target) = (self.order(keys[0]), self.order(keys[1]));
                let mut moved: Vec<(u8, i8)> = Vec::new();
                for member in members {
                    let is_there = target.iter().any(|(other, _)| other == member);
                    let fits = *condition == 0 || is_there == (*condition == 2);
                    let found = source.iter().find(|(other, _)| other == member);
                    moved.extend(found.filter(|pair| fits && !moved.contains(pair)));
                }
                (keys, moved)
            }
        };
        if moved.is_empty() || keys[0] == keys[1] {
            return "*-1".to_owned();
        }
        for (member, score) in &moved {
            self.0.entry(KEYS[keys[0]]).or_default().remove(member);
            self.0
                .entry(KEYS[keys[1]])
                .or_default()
                .insert(*member, *score);
        }
        pairs(&moved)
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS.len();
    let count = || proptest::option::of(1usize..5);
    prop_oneof![
        5 => (key(), 0u8..10, -5i8..5).prop_map(|(key, member, score)| Step::Add { key, member, score }),
        2 => ([key(), key()], any::<bool>(), count()).prop_map(|(keys, max, count)| Step::End { keys, max, count }),
        2 => ([key(), key()], -6i8..6, -6i8..6, any::<bool>(), count())
            .prop_map(|(keys, min, max, open, count)| Step::Range { keys, min, max, open, count }),
        2 => ([key(), key()], 0usize..3, proptest::collection::vec(0u8..10, 1..6))
            .prop_map(|(keys, condition, members)| Step::Members { keys, condition, members }),
    ]
}

/// What is stored, as replies.
fn state(bench: &mut Bench) -> Vec<String> {
    let ranges = KEYS.map(|key| bench.line(&format!("ZRANGE {key} 0 -1 WITHSCORES")));
    let forms = KEYS.map(|key| bench.line(&format!("OBJECT ENCODING {key}")));
    ranges.into_iter().chain(forms).collect()
}

proptest! {
    #![proptest_config(crate::property::cases(300))]
    #[test]
    fn moves_do_what_plain_maps_do_and_so_do_their_effects(steps in proptest::collection::vec(step(), 0..60), entry_count_max in proptest::sample::select(&[0, 3, 128][..])) {
        let (mut model, mut first, mut second) = (Model::default(), bench(entry_count_max), bench(entry_count_max));
        for step in &steps {
            let line = step.line();
            prop_assert_eq!(first.line(&line), model.run(step), "{}", line);
        }
        for effect in first.effects() {
            second.line(&effect);
        }
        for (at, key) in KEYS.iter().enumerate() {
            let order = model.order(at);
            prop_assert_eq!(first.line(&format!("ZCARD {key}")), format!(":{}", order.len()));
            prop_assert_eq!(first.line(&format!("EXISTS {key}")), format!(":{}", usize::from(!order.is_empty())));
        }
        prop_assert_eq!(state(&mut first), state(&mut second));
    }
}
