#![allow(clippy::unwrap_used, reason = "tests")]
//! Members that end: replies, events, effects, and that nobody sees them afterwards. What the family shares with hashes is
//! looked at there.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::command::testing::Bench;

const NOW_MS: u64 = 1_700_000_000_000;

#[track_caller]
fn check(bench: &mut Bench, lines: &[(&str, &str)]) {
    for (command, reply) in lines {
        assert_eq!(bench.line(command), *reply, "{command}");
    }
}

/// A set in each of the forms, which holds a, b, c and d, or 1 to 4.
fn forms() -> [(&'static str, [&'static str; 4]); 3] {
    let long = "a_text_that_is_longer_than_a_small_set_may_have_of_them_by_the_setting";
    [
        ("intset", ["1", "2", "3", "4"]),
        ("listpack", ["a", "b", "c", "d"]),
        ("hashtable", ["a", "b", "c", long]),
    ]
}

#[test]
fn members_end_when_they_are_told_to() {
    for (encoding, [a, b, c, d]) in forms() {
        let mut bench = Bench::new();
        let line = |text: &str| {
            let words = text.split(' ').map(|word| match word {
                "a" => a,
                "b" => b,
                "c" => c,
                "d" => d,
                word => word,
            });
            words.collect::<Vec<_>>().join(" ")
        };
        for (text, reply) in [
            ("SADD s a b c d", ":4"),
            ("SEXPIRE s 10 MEMBERS 3 a none b", "*3 :1 :-2 :1"),
            ("SPEXPIRE s 1500 MEMBERS 1 c", "*1 :1"),
            ("STTL s MEMBERS 5 a b c d none", "*5 :10 :10 :2 :-1 :-2"),
            ("SPTTL s MEMBERS 2 a c", "*2 :10000 :1500"),
            ("SEXPIRETIME s MEMBERS 2 a d", "*2 :1700000010 :-1"),
            ("SPEXPIRETIME s MEMBERS 1 c", "*1 :1700000001500"),
            ("SEXPIREAT s 1700000020 MEMBERS 1 b", "*1 :1"),
            ("SPEXPIREAT s 1700000020001 GT MEMBERS 1 c", "*1 :1"),
            ("SPERSIST s MEMBERS 4 a a d none", "*4 :1 :-1 :-1 :-2"),
            ("SADD s b", ":0"),
            ("STTL s MEMBERS 3 a b c", "*3 :-1 :20 :21"),
            ("COPY s t", ":1"),
            ("RENAME t u", "+OK"),
            ("STTL u MEMBERS 3 a b c", "*3 :-1 :20 :21"),
        ] {
            assert_eq!(bench.line(&line(text)), reply, "{encoding}: {text}");
        }
        let reply = bench.line("OBJECT ENCODING s");
        assert!(reply.ends_with(encoding), "{reply}");
        bench.now_ms = NOW_MS + 20_001;
        check(
            &mut bench,
            &[("SCARD s", ":3"), (&line("SISMEMBER s b"), ":0")],
        );
        bench.now_ms = NOW_MS + 20_002;
        check(
            &mut bench,
            &[
                (&line("SMISMEMBER s a b c d"), "*4 :1 :0 :0 :1"),
                (&line("SREM s b"), ":0"),
                (&line("SADD s c"), ":1"),
                (&line("STTL s MEMBERS 1 c"), "*1 :-1"),
                ("SEXPIRE none 10 MEMBERS 1 a", "*1 :-2"),
                ("STTL none MEMBERS 2 a b", "*2 :-2 :-2"),
                ("SPERSIST none MEMBERS 1 a", "*1 :-2"),
                (&line("SEXPIRE s 0 MEMBERS 3 a c d"), "*3 :2 :2 :2"),
                ("EXISTS s", ":0"),
                ("SCARD u", ":2"),
            ],
        );
    }
}

#[test]
fn members_are_added_and_ended_on_a_condition() {
    check(
        &mut Bench::new(),
        &[
            ("SADDEX s MXX MEMBERS 1 a", ":0"),
            ("EXISTS s", ":0"),
            ("SADDEX s MNX EX 60 MEMBERS 2 a b", ":1"),
            ("STTL s MEMBERS 2 a b", "*2 :60 :60"),
            ("SADDEX s MNX MEMBERS 2 a c", ":0"),
            ("SADDEX s MXX MEMBERS 2 a c", ":0"),
            ("SCARD s", ":2"),
            ("SADDEX s KEEPTTL MEMBERS 2 a c", ":1"),
            ("STTL s MEMBERS 3 a b c", "*3 :60 :60 :-1"),
            ("SADDEX s MEMBERS 1 a", ":1"),
            ("SADDEX s MEMBERS 1 c PX 1500", ":1"),
            ("SPTTL s MEMBERS 3 a b c", "*3 :-1 :60000 :1500"),
            ("SADDEX s EXAT 1 MEMBERS 3 a b c", ":1"),
            ("EXISTS s", ":0"),
        ],
    );
}

#[test]
fn wrong_arguments_are_refused() {
    let missing = "-ERR Mandatory argument MEMBERS is missing or not at the right position";
    let mismatch = "-ERR The `nummembers` parameter must match the number of arguments";
    let not_positive = "-ERR Parameter `numMembers` should be greater than 0";
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    check(
        &mut Bench::new(),
        &[
            ("SADD s a", ":1"),
            ("HSET h a 1", ":1"),
            ("SEXPIRE s 10 FIELDS 1 a", missing),
            ("SEXPIRE s 10 MEMBERS 2 a", mismatch),
            ("SPERSIST s MEMBERS 0 a", not_positive),
            (
                "SEXPIRE s -1 MEMBERS 1 a",
                "-ERR invalid expire time, must be >= 0",
            ),
            ("SPEXPIREAT s 9007199254740992 MEMBERS 1 a", "*1 :1"),
            (
                "SADDEX s PXAT 9007199254740993 MEMBERS 1 a",
                "-ERR invalid expire time in 'saddex' command",
            ),
            (
                "SPEXPIREAT s 9007199254740993 MEMBERS 1 a",
                "-ERR invalid expire time in 'spexpireat' command",
            ),
            ("SADDEX s MEMBERS 2 a", mismatch),
            ("SADDEX s MEMBERS x a", not_positive),
            (
                "SADDEX s EX 10 PX 10 MEMBERS 1 a",
                "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ),
            (
                "SADDEX s MNX MXX MEMBERS 1 a",
                "-ERR Only one of MXX or MNX arguments can be specified",
            ),
            (
                "SADDEX s EX 0 MEMBERS 1 a",
                "-ERR invalid expire time in 'saddex' command",
            ),
            ("SADDEX s EX 10 EX", missing),
            ("SADDEX h MEMBERS 1 a", wrong_type),
            ("SEXPIRE h 10 MEMBERS 1 a", wrong_type),
            ("SPERSIST h MEMBERS 1 a", wrong_type),
            ("STTL h MEMBERS 1 a", wrong_type),
            ("HTTL s FIELDS 1 a", wrong_type),
            ("HEXPIRE s 10 FIELDS 1 a", wrong_type),
        ],
    );
}

#[test]
fn ends_report_effects_and_events() {
    let mut bench = Bench::new();
    for (line, later_ms, events, effects) in [
        (
            "SADDEX s EX 1 MEMBERS 2 a b",
            0,
            "new s,sadd s,sexpire s",
            "SADD s a b,SPEXPIREAT s 1700000001000 MEMBERS 2 a b",
        ),
        ("SADDEX s KEEPTTL MEMBERS 2 a b", 0, "", ""),
        (
            "SADDEX s MEMBERS 3 a c a",
            0,
            "sadd s,spersist s",
            "SADD s a c a,SPERSIST s MEMBERS 1 a",
        ),
        (
            "SEXPIRE s 2 MEMBERS 2 a none",
            0,
            "sexpire s",
            "SPEXPIREAT s 1700000002000 MEMBERS 1 a",
        ),
        (
            "SPERSIST s MEMBERS 2 a c",
            0,
            "spersist s",
            "SPERSIST s MEMBERS 1 a",
        ),
        ("SPEXPIRE s 0 MEMBERS 1 c", 0, "srem s", "SREM s c"),
        ("SCARD s", 1001, "sexpired s", "SREM s b"),
        (
            "SADDEX s PXAT 1 MEMBERS 2 a d",
            0,
            "sadd s,srem s,del s",
            "SADD s a d,SREM s a d",
        ),
        (
            "SADDEX s PX 5 MEMBERS 1 a",
            0,
            "new s,sadd s,sexpire s",
            "SADD s a,SPEXPIREAT s 1700000001006 MEMBERS 1 a",
        ),
        (
            "SADD s b",
            20,
            "sexpired s,del s,new s,sadd s",
            "SREM s a,SADD s b",
        ),
    ] {
        bench.now_ms += later_ms;
        bench.line(line);
        assert_eq!(bench.events().join(","), events, "{line}");
        assert_eq!(bench.effects().join(","), effects, "{line}");
    }
}

#[test]
fn members_end_though_nobody_looks() {
    let mut bench = Bench::new();
    for number in 0..100 {
        bench.line(&format!(
            "SADDEX s PX {} MEMBERS 1 member:{number}",
            10 + number
        ));
    }
    bench.effects();
    bench.events();
    assert_eq!(bench.keyspaces[0].next_expiry_ms(), Some(NOW_MS + 10));
    assert_eq!(bench.keyspaces[0].expire_due(NOW_MS + 20, 1000), 10);
    assert_eq!(bench.effects().len(), 1);
    assert_eq!(bench.events(), ["sexpired s"]);
    assert_eq!(bench.keyspaces[0].expire_due(NOW_MS + 1000, 1000), 90);
    assert_eq!(bench.keyspaces[0].next_expiry_ms(), None);
}

#[test]
fn members_that_stay_behind_a_pop_end_as_before() {
    let mut bench = Bench::new();
    for number in 0..100 {
        bench.line(&format!("SADDEX s EX {} MEMBERS 1 {number}", 100 + number));
    }
    // Redis makes a set anew that loses most of its members.
    for left in [50, 3] {
        bench.line(&format!("SPOP s {}", if left == 50 { 50 } else { 47 }));
        assert_eq!(bench.line("SCARD s"), format!(":{left}"));
        let members = bench.line("SMEMBERS s");
        for member in members.split(' ').skip(2).step_by(2) {
            let ttl = 100 + member.parse::<u64>().unwrap();
            assert_eq!(
                bench.line(&format!("STTL s MEMBERS 1 {member}")),
                format!("*1 :{ttl}")
            );
        }
    }
}

const KEYS: [&str; 3] = ["r", "s", "t"];

/// A random command on sets whose members end, and how much later it comes, ms.
fn command() -> impl Strategy<Value = (String, u64)> {
    let key = || proptest::sample::select(&KEYS[..]);
    let member =
        || prop_oneof![3 => (0u8..6).prop_map(|n| n.to_string()), 1 => Just("text".to_owned())];
    let condition = proptest::sample::select(&["", "NX ", "XX ", "GT ", "LT "][..]);
    let presence = proptest::sample::select(&["", "MNX ", "MXX "][..]);
    let time = prop_oneof![
        Just(String::new()),
        Just("KEEPTTL ".to_owned()),
        (1u64..40).prop_map(|ms| format!("PX {ms} ")),
        Just("PXAT 5 ".to_owned()),
    ];
    let command = prop_oneof![
        4 => (key(), member(), member()).prop_map(|(key, a, b)| format!("SADD {key} {a} {b}")),
        2 => (key(), member()).prop_map(|(key, a)| format!("SREM {key} {a}")),
        1 => (key(), 1u8..4).prop_map(|(key, count)| format!("SPOP {key} {count}")),
        2 => (key(), key(), member()).prop_map(|(from, to, a)| format!("SMOVE {from} {to} {a}")),
        1 => (key(), key(), key()).prop_map(|(a, b, c)| format!("SUNIONSTORE {a} {b} {c}")),
        6 => (key(), presence, time, member(), member())
            .prop_map(|(key, presence, time, a, b)| format!("SADDEX {key} {presence}{time}MEMBERS 2 {a} {b}")),
        4 => (key(), 0u64..40, condition, member(), member())
            .prop_map(|(key, ms, condition, a, b)| format!("SPEXPIRE {key} {ms} {condition}MEMBERS 2 {a} {b}")),
        1 => (key(), member()).prop_map(|(key, a)| format!("SPERSIST {key} MEMBERS 1 {a}")),
        1 => (key(), key()).prop_map(|(from, to)| format!("COPY {from} {to} REPLACE")),
        1 => key().prop_map(|key| format!("DEL {key}")),
    ];
    (command, 0u64..12)
}

proptest! {
    #![proptest_config(crate::property::cases(300))]
    #[test]
    fn effects_replayed_and_rewrites_give_the_same_ends(
        commands in proptest::collection::vec(command(), 0..60),
        rounds in any::<bool>(),
    ) {
        let (mut first, mut second, mut third) = (Bench::new(), Bench::new(), Bench::new());
        for (command, later_ms) in &commands {
            first.now_ms += later_ms;
            first.line(command);
            if rounds {
                let now_ms = first.now_ms;
                first.keyspaces[0].expire_due(now_ms, 2);
            }
            for key in KEYS {
                first.line(&format!("SCARD {key}"));
            }
        }
        second.keyspaces[0].set_replaying(true);
        for effect in first.effect_words() {
            second.run(&effect);
        }
        prop_assert_eq!(first.digest(), second.digest());
        third.keyspaces[0].set_replaying(true);
        for command in first.rewritten() {
            third.run(&command);
        }
        prop_assert_eq!(first.digest(), third.digest());
    }

    #[test]
    fn members_end_as_in_a_map_of_times(commands in proptest::collection::vec(command(), 0..60)) {
        let mut bench = Bench::new();
        let mut model = BTreeMap::<String, Option<u64>>::new();
        for (command, later_ms) in &commands {
            bench.now_ms += later_ms;
            let now_ms = bench.now_ms;
            model.retain(|_, end| end.is_none_or(|end| end >= now_ms));
            let words: Vec<&str> = command.split(' ').collect();
            let at = words.iter().position(|word| *word == "MEMBERS");
            let members: Vec<&str> = match (words[0], at) {
                (_, Some(at)) => words[at + 2..].to_vec(),
                ("SADD" | "SREM", None) => words[2..].to_vec(),
                _ => continue,
            };
            let line = [&[words[0], "s"], &words[2..]].concat().join(" ");
            let reply = bench.line(&line);
            for (at, member) in members.iter().enumerate() {
                let present = model.get(*member).copied();
                match words[0] {
                    "SADD" => {
                        model.entry((*member).to_owned()).or_insert(None);
                    }
                    "SREM" => {
                        model.remove(*member);
                    }
                    "SPERSIST" => {
                        model.entry((*member).to_owned()).and_modify(|end| *end = None);
                    }
                    "SPEXPIRE" => {
                        let end = now_ms + words[2].parse::<u64>().unwrap();
                        let expected = match (present, words[3]) {
                            (None, _) => -2,
                            (Some(None), "XX" | "GT") | (Some(Some(_)), "NX") => 0,
                            (Some(Some(old)), "GT") if end <= old => 0,
                            (Some(Some(old)), "LT") if end >= old => 0,
                            _ if end <= now_ms => 2,
                            _ => 1,
                        };
                        prop_assert_eq!(reply.split(' ').nth(at + 1).unwrap(), format!(":{expected}"));
                        match expected {
                            1 => model.insert((*member).to_owned(), Some(end)),
                            2 => model.remove(*member),
                            _ => None,
                        };
                    }
                    _ if reply == ":1" => match (words.contains(&"PXAT"), words.iter().position(|word| *word == "PX")) {
                        (true, _) => {
                            model.remove(*member);
                        }
                        (_, Some(at)) => {
                            model.insert((*member).to_owned(), Some(now_ms + words[at + 1].parse::<u64>().unwrap()));
                        }
                        _ if words.contains(&"KEEPTTL") => {
                            model.entry((*member).to_owned()).or_insert(None);
                        }
                        _ => {
                            model.insert((*member).to_owned(), None);
                        }
                    },
                    _ => {}
                }
            }
            prop_assert_eq!(bench.line("SCARD s"), format!(":{}", model.len()));
            for (member, end) in &model {
                let end = end.map_or(-1, |end| end as i64);
                prop_assert_eq!(bench.line(&format!("SPEXPIRETIME s MEMBERS 1 {member}")), format!("*1 :{end}"));
            }
        }
    }
}
