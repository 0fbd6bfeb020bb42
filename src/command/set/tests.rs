#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use crate::command::testing::Bench;

fn replies(bench: &mut Bench, lines: &[(&str, &str)]) {
    for (command, reply) in lines {
        assert_eq!(bench.line(command), *reply, "{command}");
    }
}

/// The members in a reply of bulks, each behind its length.
fn members(reply: &str) -> BTreeSet<String> {
    let words = reply.split(' ').skip(1);
    let members = words.filter(|word| !word.starts_with('$'));
    members.map(str::to_owned).collect()
}

#[test]
fn members_come_and_go() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("SADD s 3 1 2 1", ":3"),
            ("SADD s 1", ":0"),
            ("SMEMBERS s", "*3 $1 1 $1 2 $1 3"),
            ("OBJECT ENCODING s", "$6 intset"),
            ("SADD s a", ":1"),
            ("OBJECT ENCODING s", "$8 listpack"),
            ("SISMEMBER s a", ":1"),
            ("SISMEMBER s 01", ":0"),
            ("SMISMEMBER s 1 b a", "*3 :1 :0 :1"),
            ("SMISMEMBER none 1 b", "*2 :0 :0"),
            ("SCARD s", ":4"),
            ("SREM s b 1 a 7", ":2"),
            ("SREM s 2 3", ":2"),
            ("EXISTS s", ":0"),
            ("SREM s 2", ":0"),
            ("SMEMBERS s", "*0"),
            ("SET t x", "+OK"),
            (
                "SADD t 1",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                "SINTER s t",
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ],
    );
}

#[test]
fn sets_are_combined_and_stored() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("SADD a 1 2 3 x", ":4"),
            ("SADD b 2 3 4", ":3"),
            ("SINTER a b", "*2 $1 2 $1 3"),
            ("SINTER a none", "*0"),
            ("SUNION b b", "*3 $1 2 $1 3 $1 4"),
            ("SDIFF a b", "*2 $1 1 $1 x"),
            ("SDIFF a a", "*0"),
            ("SDIFF none a", "*0"),
            ("SINTERCARD 2 a b", ":2"),
            ("SINTERCARD 2 a b LIMIT 1", ":1"),
            ("SINTERCARD 0 a", "-ERR numkeys should be greater than 0"),
            (
                "SINTERCARD 3 a b",
                "-ERR Number of keys can't be greater than number of args",
            ),
            ("SINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative"),
            ("SINTERCARD 1 a LIMIT", "-ERR syntax error"),
            ("SET d x EX 100", "+OK"),
            ("SINTERSTORE d a b", ":2"),
            ("TTL d", ":-1"),
            ("OBJECT ENCODING d", "$6 intset"),
            ("SDIFFSTORE d b b", ":0"),
            ("EXISTS d", ":0"),
            ("SUNIONSTORE d a b", ":5"),
            ("SMOVE a b x", ":1"),
            ("SMOVE a b x", ":0"),
            ("SMOVE none b x", ":0"),
            ("SMOVE b b x", ":1"),
            ("SCARD b", ":4"),
        ],
    );
}

#[test]
fn chance_gives_members_and_the_effects_name_them() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("SADD s a b c d e f g h i j", ":10"),
            ("SPOP s 0", "*0"),
            ("SPOP s -1", "-ERR value is out of range, must be positive"),
            ("SPOP s 1 2", "-ERR syntax error"),
            ("SPOP none", "$-1"),
            ("SPOP none 3", "*0"),
            ("SRANDMEMBER none", "$-1"),
            ("SRANDMEMBER none 3", "*0"),
            ("SRANDMEMBER s 0", "*0"),
            (
                "SRANDMEMBER s x",
                "-ERR value is not an integer or out of range",
            ),
        ],
    );
    let all = members(&bench.line("SMEMBERS s"));
    for count in 1..10 {
        let some = members(&bench.line(&format!("SRANDMEMBER s {count}")));
        assert_eq!(some.len(), count);
        assert!(some.is_subset(&all));
    }
    assert_eq!(members(&bench.line("SRANDMEMBER s 100")), all);
    let repeated = bench.line("SRANDMEMBER s -30");
    assert!(repeated.starts_with("*30 "), "{repeated}");
    let mut taken = members(&bench.line("SPOP s 3"));
    assert_eq!(taken.len(), 3);
    taken.extend(members(&bench.line("SPOP s 6")));
    assert_eq!(bench.line("SCARD s"), ":1");
    taken.extend(members(&bench.line("SPOP s 2")));
    assert_eq!(taken, all);
    assert_eq!(bench.line("EXISTS s"), ":0");
}

#[test]
fn a_scan_gives_every_member() {
    let mut bench = Bench::new();
    replies(
        &mut bench,
        &[
            ("SSCAN none 0", "*2 $1 0 *0"),
            ("SSCAN none x", "-ERR invalid cursor"),
            ("SADD s 1 2 3", ":3"),
            ("SSCAN s 0 COUNT 1", "*2 $1 0 *3 $1 1 $1 2 $1 3"),
            ("SSCAN s 0 MATCH [12]", "*2 $1 0 *2 $1 1 $1 2"),
            ("SSCAN s 0 COUNT 0", "-ERR syntax error"),
            ("SSCAN s 0 NOVALUES", "-ERR syntax error"),
        ],
    );
    for number in 0..2000 {
        bench.line(&format!("SADD t member-{number}"));
    }
    assert_eq!(bench.line("OBJECT ENCODING t"), "$9 hashtable");
    let (mut cursor, mut seen, mut calls) = ("0".to_owned(), BTreeSet::new(), 0);
    loop {
        let reply = bench.line(&format!("SSCAN t {cursor} COUNT 100"));
        cursor = reply.split(' ').nth(2).unwrap().to_owned();
        seen.extend(
            members(&reply)
                .into_iter()
                .filter(|word| word.starts_with("member")),
        );
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 2000);
    assert!((10..=30).contains(&calls), "{calls}");
}

#[test]
fn members_of_unions_and_differences_are_counted() {
    let mut bench = Bench::new();
    for (line, expected) in [
        ("SADD a 1 2 3", ":3"),
        ("SADD b 3 x", ":2"),
        ("SADD c y", ":1"),
        ("SUNIONCARD 3 a b c", ":5"),
        ("SUNIONCARD 3 a b c LIMIT 2", ":2"),
        ("SUNIONCARD 2 a none LIMIT 0", ":3"),
        ("SUNIONCARD 3 a b c APPROX", ":5"),
        ("SUNIONCARD 3 a b c LIMIT 4 APPROX", ":4"),
        ("SUNIONCARD 2 a a", ":3"),
        ("SDIFFCARD 2 a b", ":2"),
        ("SDIFFCARD 2 a b LIMIT 1", ":1"),
        ("SDIFFCARD 2 none b", ":0"),
        ("SDIFFCARD 2 a a", ":0"),
        ("SDIFFCARD 1 a", ":3"),
        ("SDIFFCARD 1 a APPROX", "-ERR syntax error"),
        ("SDIFFCARD 0 a", "-ERR numkeys should be greater than 0"),
        (
            "SUNIONCARD 2 a",
            "-ERR Number of keys can't be greater than number of args",
        ),
        ("SUNIONCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative"),
    ] {
        assert_eq!(bench.line(line), expected, "{line}");
    }
}
