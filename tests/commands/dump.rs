//! DUMP and RESTORE through a socket, and both ways against the oracle.

use crate::connection::check;
use crate::support::{Client, Frame, Server, for_each_shard_count};

/// DUMP of the string `icu` in a version that has no blanks in it.
const DUG: &str = "\x00\x03icu\x08\x00mWel;VR[";

#[test]
fn a_value_is_made_of_a_payload_unless_the_key_is_there() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let restore = |rest: &str| format!("RESTORE k {}", rest.replace("PAYLOAD", DUG));
        let table = [
            ("0 PAYLOAD", "+OK"),
            ("0 PAYLOAD", "-BUSYKEY Target key name already exists."),
            ("x x", "-BUSYKEY Target key name already exists."),
            ("0 PAYLOAD FOO", "-ERR syntax error"),
            ("0 PAYLOAD IDLETIME", "-ERR syntax error"),
            ("0 PAYLOAD IDLETIME 1 FREQ 1", "-ERR syntax error"),
            ("0 PAYLOAD FREQ 1 IDLETIME 1", "-ERR syntax error"),
            (
                "0 PAYLOAD IDLETIME x",
                "-ERR value is not an integer or out of range",
            ),
            (
                "0 PAYLOAD IDLETIME -1",
                "-ERR Invalid IDLETIME value, must be >= 0",
            ),
            (
                "0 PAYLOAD FREQ 256",
                "-ERR Invalid FREQ value, must be >= 0 and <= 255",
            ),
            (
                "x PAYLOAD REPLACE",
                "-ERR value is not an integer or out of range",
            ),
            ("-1 PAYLOAD REPLACE", "-ERR Invalid TTL value, must be >= 0"),
            (
                "0 xPAYLOAD REPLACE",
                "-ERR DUMP payload version or checksum are wrong",
            ),
            (
                "0 x REPLACE",
                "-ERR DUMP payload version or checksum are wrong",
            ),
            ("100000 PAYLOAD REPLACE IDLETIME 1000", "+OK"),
        ];
        for (rest, expected) in table {
            check(&mut client, &[(&restore(rest), expected)]);
        }
        check(
            &mut client,
            &[
                ("OBJECT IDLETIME k", ":1000"),
                ("GET k", "$3 icu"),
                ("TTL k", ":100"),
                (&restore("4000000000000 PAYLOAD REPLACE ABSTTL"), "+OK"),
                ("PEXPIRETIME k", ":4000000000000"),
                (&restore("1 PAYLOAD ABSTTL REPLACE"), "+OK"),
                ("EXISTS k", ":0"),
                (&restore("1 PAYLOAD ABSTTL"), "+OK"),
                ("EXISTS k", ":0"),
                ("DUMP k", "$-1"),
                (
                    &restore("0 PAYLOAD").replace("RESTORE", "RESTORE-ASKING"),
                    "+OK",
                ),
                ("GET k", "$3 icu"),
            ],
        );
    });
}

#[test]
fn an_element_that_was_restored_wakes_who_waits_for_it() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        client.run("RPUSH l a");
        let payload = client.run("DUMP l").bytes().to_vec();
        client.run("DEL l");
        let mut waiter = server.connect();
        waiter.send_line("BLPOP l 0");
        let id = waiter.local_address();
        while !client
            .run("CLIENT LIST")
            .text()
            .lines()
            .any(|line| line.contains(&id.to_string()) && line.contains("flags=b"))
        {}
        assert_eq!(
            client
                .call(&[b"RESTORE".as_slice(), b"l", b"0", &payload])
                .to_string(),
            "+OK"
        );
        assert_eq!(waiter.reply().items()[1].text(), "a");
        assert_eq!(client.run("EXISTS l").integer(), 0);
    });
}

/// What a server tells of a key; times since something happened go on.
fn told(client: &mut Client, lines: &[&str]) -> Vec<String> {
    let is_of_producers = client.run("XINFO STREAM k").to_string().contains("idmp");
    let tell = |line: &&str| {
        if line.starts_with("XADD") && !is_of_producers {
            return String::new();
        }
        let text = client.run(line).to_string();
        if line.starts_with("XADD") {
            return text;
        }
        let mut text = text.replace(|letter: char| letter.is_ascii_digit(), "0");
        while text.contains("00") {
            text = text.replace("00", "0");
        }
        text
    };
    lines.iter().map(tell).collect()
}

/// Commands that make a key `k` of every type and form. `#` stands for all numbers from 1 to 200.
const VALUES: &[&str] = &[
    "SET k text",
    "SET k 12",
    "SET k -129",
    "SET k 70000",
    "SET k 1234567890123",
    "SET k 99999999999",
    "APPEND k 12",
    "SETRANGE k 300 x",
    "SETRANGE k 30000 x",
    "SET k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "SET k abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
    "RPUSH k a b 1 -7 300 70000 12345678901",
    "RPUSH k #",
    "RPUSH k LONG # LONG #",
    "RPUSH k HUGE a HUGE",
    "SADD k 1 2 300",
    "SADD k 1 2 300 70000",
    "SADD k 5 12345678901",
    "SADD k #",
    "SADD k #;SREM k #;SADD k 7 -1",
    "HSET k a 1 b 2 300 x",
    "HSET k a LONG",
    "ZADD k 1 a 2.5 b -3 c inf d -inf e 1e30 f 0.5 1",
    "ZADD k 1 LONG 2 b -0 c 0.1 d",
    "XADD k 1-1 a b;XADD k 1-2 a c;XADD k 2-0 d e f g;XDEL k 1-2",
    "XADD k 1-1 a b;XDEL k 1-1",
    "XADD k 5-1 a b;XADD k 5-2 a b;XGROUP CREATE k g 0;XGROUP CREATE k h $ ENTRIESREAD 2;XGROUP CREATECONSUMER k g c",
    "XGROUP CREATE k g $ MKSTREAM",
    "PFADD k a b c",
];

fn commands(value: &str) -> Vec<Vec<String>> {
    let numbers: Vec<String> = (1..=200).map(|number| number.to_string()).collect();
    let words = |line: &str| {
        line.split(' ')
            .flat_map(|word| match word {
                "#" => numbers.clone(),
                "LONG" => vec!["x".repeat(100)],
                "HUGE" => vec!["0123456789".repeat(2000)],
                word => vec![word.to_owned()],
            })
            .collect()
    };
    value.split(';').map(words).collect()
}

fn restore(client: &mut Client, payload: &[u8]) -> Frame {
    client.call(&[b"RESTORE".as_slice(), b"r", b"0", payload, b"REPLACE"])
}

fn digest(client: &mut Client, key: &str) -> String {
    client.run(&format!("DEBUG DIGEST-VALUE {key}")).to_string()
}

#[test]
fn payloads_are_those_of_the_oracle_and_each_takes_the_others() {
    let theirs = Server::oracle();
    for_each_shard_count(|server| {
        let (mut us, mut them) = (server.connect(), theirs.connect());
        us.run("CONFIG SET rdb-version-compat 7.0");
        for value in VALUES {
            for client in [&mut us, &mut them] {
                client.run("FLUSHALL");
                for command in commands(value) {
                    let reply = client.call(&command);
                    assert!(!reply.is_error(), "{value}: {reply}");
                }
            }
            let [ours, other] = [&mut us, &mut them].map(|client| client.run("DUMP k"));
            // Only 7.2 has small sets with texts, and both large ones have an order of their own.
            let encoding = us.run("OBJECT ENCODING k").text();
            // A consumer has a time, and 7.0 lets no element be a chunk by itself.
            let differs = ["CREATECONSUMER", "HUGE"]
                .iter()
                .any(|word| value.contains(word));
            if encoding != "hashtable" && !differs {
                assert_eq!(ours, other, "{value}");
            }
            for client in [&mut us, &mut them] {
                for payload in [&ours, &other] {
                    let reply = restore(client, payload.bytes());
                    assert_eq!(reply.to_string(), "+OK", "{value}");
                    assert_eq!(digest(client, "r"), digest(client, "k"), "{value}");
                    let encodings =
                        ["r", "k"].map(|key| client.run(&format!("OBJECT ENCODING {key}")));
                    // A string that was changed in place is a new one when it is restored.
                    if client.run("TYPE k").to_string() != "+string"
                        && !value.starts_with("SADD k #;")
                    {
                        assert_eq!(encodings[0], encodings[1], "{value}");
                    }
                }
            }
        }
    });
}

#[test]
fn what_no_redis_knows_of_a_value_survives_in_a_payload() {
    let values = [
        "HSET k a 1 b 2;HPEXPIREAT k 4000000000000 FIELDS 1 a",
        "HSET k a LONG b 2;HPEXPIREAT k 4000000000000 FIELDS 1 a",
        "SADD k a b;SPEXPIREAT k 4000000000000 MEMBERS 1 a",
        "XADD k 1-1 a b;XADD k 2-1 a b;XGROUP CREATE k g 0;XREADGROUP GROUP g c COUNT 2 STREAMS k >;XNACK k g FAIL IDS 1 2-1;XDEL k 2-1",
        "XADD k 1-1 a b;XGROUP CREATE k g 0;XREADGROUP GROUP g c STREAMS k >;XNACK k g FAIL IDS 1 1-1;XGROUP DELCONSUMER k g c",
        "XADD k IDMP p m * a b",
    ];
    let facts = [
        "HPEXPIRETIME k FIELDS 2 a b",
        "DEBUG DIGEST-VALUE k",
        "SPEXPIRETIME k MEMBERS 2 a b",
        "XINFO STREAM k FULL",
        "XINFO CONSUMERS k g",
        "XPENDING k g - + 10",
        "XADD k IDMP p m * a b",
        "OBJECT ENCODING k",
    ];
    for_each_shard_count(|server| {
        let mut client = server.connect();
        for value in values {
            client.run("FLUSHALL");
            for command in commands(value) {
                let reply = client.call(&command);
                assert!(!reply.is_error(), "{value}: {reply}");
            }
            let payload = client.run("DUMP k").bytes().to_vec();
            let before = told(&mut client, &facts);
            let reply = client.call(&[b"RESTORE".as_slice(), b"k", b"0", &payload, b"REPLACE"]);
            assert_eq!(reply.to_string(), "+OK", "{value}");
            assert_eq!(told(&mut client, &facts), before, "{value}");
        }
    });
}
