//! Reference policies and idempotent additions through a socket: XADD and XTRIM with KEEPREF, DELREF, ACKED; XDELEX, XACKDEL;
//! XADD with IDMP, IDMPAUTO; XCFGSET, XIDMPRECORD.

use std::time::{Duration, Instant};

use super::list::events_of;
use super::stream::{check, raw};
use crate::support::{Client, for_each_shard_count};

const NUMIDS_NOT_POSITIVE: &str = "-ERR Number of IDs must be a positive integer";
const NUMIDS_MISMATCH: &str = "-ERR The `numids` parameter must match the number of arguments";
const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument";
const SYNTAX: &str = "-ERR syntax error";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

/// A stream of ten entries; the groups `g` and `h` have been given the first six.
fn ten_entries(client: &mut Client, key: &str) {
    client.run(&format!("DEL {key}"));
    for n in 1..=10 {
        client.run(&format!("XADD {key} {n}-0 f v"));
    }
    for group in ["g", "h"] {
        client.run(&format!("XGROUP CREATE {key} {group} 0"));
        client.run(&format!(
            "XREADGROUP GROUP {group} c COUNT 6 STREAMS {key} >"
        ));
    }
}

/// The sequence-less IDs of a stream's entries.
fn entries(client: &mut Client, key: &str) -> String {
    let entries = client.run(&format!("XRANGE {key} - +"));
    let ids = entries.items().iter().map(|entry| entry.items()[0].text());
    ids.map(|id| id.replace("-0", ""))
        .collect::<Vec<_>>()
        .join(" ")
}

/// What a group has pending.
fn pending(client: &mut Client, key: &str, group: &str) -> String {
    let entries = client.run(&format!("XPENDING {key} {group} - + 100"));
    let ids = entries.items().iter().map(|entry| entry.items()[0].text());
    ids.map(|id| id.replace("-0", ""))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_trim_treats_references_as_its_policy_says() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        for (line, left, references) in [
            ("XTRIM a MAXLEN 7", "4 5 6 7 8 9 10", "1 2 3 4 5 6"),
            (
                "XTRIM a KEEPREF MAXLEN = 7",
                "4 5 6 7 8 9 10",
                "1 2 3 4 5 6",
            ),
            ("XTRIM a MAXLEN = 7 DELREF", "4 5 6 7 8 9 10", "4 5 6"),
            ("XTRIM a delref MINID 4", "4 5 6 7 8 9 10", "4 5 6"),
            ("XTRIM a MAXLEN 0 DELREF", "", ""),
            ("XTRIM a MAXLEN 0 ACKED", "2 5 6 7 8 9 10", "2 5 6"),
            ("XTRIM a ACKED MAXLEN = 8", "2 4 5 6 7 8 9 10", "2 5 6"),
            ("XTRIM a MINID 4-0 ACKED", "2 4 5 6 7 8 9 10", "2 5 6"),
            ("XTRIM a MAXLEN 10 ACKED", "1 2 3 4 5 6 7 8 9 10", "2 5 6"),
            (
                "XADD a ACKED MAXLEN 0 11-0 f v",
                "2 5 6 7 8 9 10 11",
                "2 5 6",
            ),
            ("XADD a MAXLEN 7 DELREF 11-0 f v", "5 6 7 8 9 10 11", "5 6"),
            (
                "XADD a MAXLEN 7 KEEPREF 11-0 f v",
                "5 6 7 8 9 10 11",
                "1 2 3 4 5 6",
            ),
            (
                "XADD a DELREF 11-0 f v",
                "1 2 3 4 5 6 7 8 9 10 11",
                "1 2 3 4 5 6",
            ),
        ] {
            ten_entries(&mut client, "a");
            if line.contains("ACKED") {
                client.run("XACK a g 1-0 2-0 3-0 4-0 5-0 6-0");
                client.run("XACK a h 1-0 3-0 4-0");
            }
            assert!(!client.run(line).is_error(), "{line}");
            assert_eq!(entries(&mut client, "a"), left, "{line}");
            assert_eq!(pending(&mut client, "a", "h"), references, "{line}");
        }
        check(
            &mut client,
            &[
                ("XTRIM a DELREF ACKED MAXLEN 1", SYNTAX),
                ("XTRIM a DELREF MAXLEN 1 DELREF", SYNTAX),
                ("XADD a KEEPREF ACKED * f v", INVALID_ID),
                ("XTRIM a ACKED MAXLEN", SYNTAX),
                (
                    "XTRIM a ACKED LIMIT 0",
                    "-ERR syntax error, XTRIM must be called with a trimming strategy",
                ),
            ],
        );
    });
}

#[test]
fn an_approximate_trim_with_a_policy_goes_into_blocks_up_to_its_limit() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        client.run("CONFIG SET stream-node-max-entries 3");
        // Blocks of three; one entry of the first and one of the third are needed. The limit counts whole blocks ahead.
        let prepare = |client: &mut Client| {
            client.run("DEL a");
            for n in 1..=14 {
                client.run(&format!("XADD a {n}-0 f v"));
            }
            client.run("XGROUP CREATE a g 0");
            client.run("XREADGROUP GROUP g c COUNT 12 STREAMS a >");
            client.run("XACK a g 1-0 3-0 4-0 5-0 6-0 8-0 9-0 10-0 11-0 12-0");
        };
        for (line, removed, left) in [
            ("XTRIM a MAXLEN ~ 0 ACKED", ":10", "2 7 13 14"),
            ("XTRIM a MAXLEN ~ 9 ACKED", ":5", "2 7 8 9 10 11 12 13 14"),
            (
                "XTRIM a ACKED MAXLEN ~ 12",
                ":2",
                "2 4 5 6 7 8 9 10 11 12 13 14",
            ),
            ("XTRIM a MINID ~ 11 ACKED", ":8", "2 7 11 12 13 14"),
            (
                "XTRIM a MAXLEN ~ 0 ACKED LIMIT 5",
                ":5",
                "2 7 8 9 10 11 12 13 14",
            ),
            ("XTRIM a MAXLEN ~ 0 LIMIT 0 ACKED", ":10", "2 7 13 14"),
            (
                "XTRIM a DELREF MAXLEN ~ 10",
                ":4",
                "5 6 7 8 9 10 11 12 13 14",
            ),
            (
                "XTRIM a DELREF MAXLEN ~ 0 LIMIT 4",
                ":3",
                "4 5 6 7 8 9 10 11 12 13 14",
            ),
            (
                "XTRIM a ACKED MAXLEN ~ 0 LIMIT 2",
                ":0",
                "1 2 3 4 5 6 7 8 9 10 11 12 13 14",
            ),
            (
                "XTRIM a ACKED MAXLEN ~ 0 LIMIT 4",
                ":2",
                "2 4 5 6 7 8 9 10 11 12 13 14",
            ),
            (
                "XTRIM a ACKED MINID ~ 20 LIMIT 7",
                ":5",
                "2 7 8 9 10 11 12 13 14",
            ),
        ] {
            prepare(&mut client);
            assert_eq!(raw(&mut client, line), removed, "{line}");
            assert_eq!(entries(&mut client, "a"), left, "{line}");
            let references = if line.contains("DELREF") { "7" } else { "2 7" };
            assert_eq!(pending(&mut client, "a", "g"), references, "{line}");
        }
        client.run("CONFIG SET stream-node-max-entries 100");
    });
}

#[test]
fn a_trim_by_delref_reaches_references_to_entries_deleted_before() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        ten_entries(&mut client, "a");
        check(
            &mut client,
            &[
                ("XDEL a 1-0 2-0 3-0 5-0", ":4"),
                // Within its length the stream is not cut: there is no border.
                ("XTRIM a MAXLEN 6 DELREF", ":0"),
            ],
        );
        assert_eq!(pending(&mut client, "a", "g"), "1 2 3 4 5 6");
        assert_eq!(raw(&mut client, "XTRIM a MINID 3 DELREF"), ":0");
        assert_eq!(pending(&mut client, "a", "g"), "3 4 5 6");
        assert_eq!(raw(&mut client, "XTRIM a MAXLEN 5 DELREF"), ":1");
        assert_eq!(pending(&mut client, "a", "g"), "6");
        assert_eq!(pending(&mut client, "a", "h"), "6");
        // A stream without groups has no references: no policy differs from another.
        client.run("XADD b 1-0 f v");
        client.run("XADD b 2-0 f v");
        check(
            &mut client,
            &[
                ("XTRIM b MAXLEN 1 ACKED", ":1"),
                ("XTRIM b DELREF MAXLEN 0", ":1"),
                ("XADD b ACKED MAXLEN 0 3-0 f v", "$3 3-0"),
                ("XLEN b", ":0"),
            ],
        );
    });
}

#[test]
fn xdelex_tells_what_became_of_each_entry() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        ten_entries(&mut client, "a");
        client.run("XACK a g 1-0 2-0 3-0");
        client.run("XACK a h 1-0");
        check(
            &mut client,
            &[
                // Acknowledged by both; by one; never given to them; never there.
                ("XDELEX a ACKED IDS 4 1-0 2-0 7-0 99-0", "*4 :1 :2 :2 :2"),
                ("XDELEX a IDS 3 2 2 3-0", "*3 :1 :-1 :1"),
                ("XDELEX a KEEPREF IDS 1 4-0", "*1 :1"),
                ("XDELEX a IDS 2 5-0 4-0 delref", "*2 :1 :-1"),
                ("XDELEX a ids 1 7-0", "*1 :1"),
                ("XDELEX missing ACKED IDS 2 1-0 2-0", "*2 :-1 :-1"),
                ("XDELEX a IDS 0 1-0", NUMIDS_NOT_POSITIVE),
                ("XDELEX a IDS -1 1-0", NUMIDS_NOT_POSITIVE),
                ("XDELEX a IDS x 1-0", NUMIDS_NOT_POSITIVE),
                ("XDELEX a IDS 9223372036854775808 1-0", NUMIDS_NOT_POSITIVE),
                ("XDELEX a IDS 2 8-0", NUMIDS_MISMATCH),
                ("XDELEX a IDS 9223372036854775807 8-0", NUMIDS_MISMATCH),
                ("XDELEX a IDS 1 8-0 9-0", SYNTAX),
                ("XDELEX a IDS 2 8-0 x", INVALID_ID),
                ("XDELEX a IDS 2 8-0 ACKED", INVALID_ID),
                ("XDELEX a ACKED DELREF IDS 1 8-0", SYNTAX),
                ("XDELEX a ACKED IDS 1 8-0 ACKED", SYNTAX),
                ("XDELEX a IDS 1 88-0 IDS 1 99-0", "*1 :-1"),
                ("XDELEX a FOO IDS 1 8-0", SYNTAX),
                ("XDELEX a 8-0 9-0 10-0", SYNTAX),
                ("XDELEX missing IDS 1 x", "*1 :-1"),
                (
                    "XDELEX a IDS 1",
                    "-ERR wrong number of arguments for 'xdelex' command",
                ),
                ("SET b v", "+OK"),
                ("XDELEX b IDS 2 1-0", WRONG_TYPE),
            ],
        );
        // Nothing was changed by what was refused.
        assert_eq!(entries(&mut client, "a"), "6 8 9 10");
        assert_eq!(pending(&mut client, "a", "g"), "6");
        assert_eq!(pending(&mut client, "a", "h"), "2 3 6");
        check(
            &mut client,
            &[
                ("XGROUP DESTROY a g", ":1"),
                ("XGROUP DESTROY a h", ":1"),
                ("XDELEX a ACKED IDS 1 10-0", "*1 :1"),
            ],
        );
    });
}

#[test]
fn xackdel_acknowledges_and_deletes_where_it_may() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        ten_entries(&mut client, "a");
        client.run("XACK a h 1-0 2-0");
        client.run("XDEL a 6-0");
        check(
            &mut client,
            &[
                ("XACKDEL a g ACKED IDS 3 1-0 3-0 9-0", "*3 :1 :2 :-1"),
                ("XACKDEL a g IDS 2 2-0 2-0", "*2 :1 :-1"),
                ("XACKDEL a g KEEPREF IDS 1 4-0", "*1 :1"),
                ("XACKDEL a g IDS 1 5-0 DELREF", "*1 :1"),
                // Its entry is gone already, but the other group still refers to it.
                ("XACKDEL a g ACKED IDS 1 6-0", "*1 :2"),
                ("XACKDEL a g DELREF IDS 1 3-0", "*1 :-1"),
                ("XACKDEL missing g IDS 2 1-0 2-0", "*2 :-1 :-1"),
                ("XACKDEL a nogroup ACKED IDS 2 1-0 2-0", "*2 :-1 :-1"),
                ("XACKDEL a g IDS 0 1-0", NUMIDS_NOT_POSITIVE),
                ("XACKDEL a g IDS 2 1-0", NUMIDS_MISMATCH),
                ("XACKDEL a g IDS 1 1-0 2-0", SYNTAX),
                ("XACKDEL a g IDS 1 x", INVALID_ID),
                ("XACKDEL a g DELREF DELREF IDS 1 3-0", SYNTAX),
                ("XACKDEL a g FOO IDS 1 3-0", SYNTAX),
                (
                    "XACKDEL a g IDS 1",
                    "-ERR wrong number of arguments for 'xackdel' command",
                ),
                ("SET b v", "+OK"),
                ("XACKDEL b g IDS 1 1-0", WRONG_TYPE),
            ],
        );
        assert_eq!(entries(&mut client, "a"), "3 7 8 9 10");
        assert_eq!(pending(&mut client, "a", "g"), "");
        assert_eq!(pending(&mut client, "a", "h"), "3 4 6");
    });
}

#[test]
fn thousands_of_ids_are_taken_at_once() {
    const COUNT: usize = 20_000;
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let lines: Vec<String> = (1..=COUNT).map(|n| format!("XADD a {n}-0 f v")).collect();
        client.pipeline(&lines);
        client.run("XGROUP CREATE a g 0");
        client.run(&format!("XREADGROUP GROUP g c COUNT {COUNT} STREAMS a >"));
        let ids: Vec<String> = (1..=COUNT).map(|n| format!("{n}-0")).collect();
        let line = |command: &str| format!("{command} IDS {COUNT} {}", ids.join(" "));
        for (command, fate) in [
            ("XDELEX a ACKED", 2),
            ("XACKDEL a g ACKED", 1),
            ("XDELEX a DELREF", -1),
        ] {
            let reply = client.run(&line(command));
            assert_eq!(reply.items().len(), COUNT, "{command}");
            assert!(
                reply.items().iter().all(|item| item.integer() == fate),
                "{command}"
            );
        }
    });
}

#[test]
fn events_and_watches_see_what_was_deleted() {
    for_each_shard_count(|server| {
        let lines = [
            "XADD a 1-0 f v",
            "XADD a 2-0 f v",
            "XADD a 3-0 f v",
            "XGROUP CREATE a g 0",
            "XREADGROUP GROUP g c COUNT 2 STREAMS a >",
            "XDELEX a ACKED IDS 2 1-0 3-0",
            "XTRIM a MAXLEN 0 ACKED",
            "XACKDEL a g IDS 1 1-0",
            "XDELEX a DELREF IDS 1 2-0",
            "XADD a DELREF MAXLEN 1 4-0 f v",
            "XTRIM a DELREF MAXLEN 0",
            "XADD a IDMP p m * f v",
            "XADD a IDMP p m MAXLEN 0 * f v",
            "XCFGSET a IDMP-MAXSIZE 7",
        ];
        let expected = [
            "xadd a",
            "xadd a",
            "xadd a",
            "xgroup-create a",
            "xgroup-createconsumer a",
            "xdel a",
            "xdel a",
            "xadd a",
            "xtrim a",
            "xtrim a",
            "xadd a",
        ];
        assert_eq!(events_of(server, &lines), expected, "{}", server.name);
        let (mut watcher, mut client) = (server.connect(), server.connect());
        for (line, aborts) in [
            ("XDELEX a ACKED IDS 1 99-0", false),
            ("XADD a IDMP p n * f v", true),
            ("XADD a IDMP p n * f v", false),
            ("XTRIM a MAXLEN 0 ACKED", false),
            ("XTRIM a MAXLEN 0 KEEPREF", true),
        ] {
            watcher.run("WATCH a");
            assert!(!client.run(line).is_error(), "{line}");
            watcher.run("MULTI");
            watcher.run("PING");
            assert_eq!(watcher.run("EXEC").is_null(), aborts, "{line}");
        }
    });
}

#[test]
fn a_message_is_added_once() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let mut add = |line: &str| client.run(line).text();
        let first = add("XADD a IDMP p m * f v");
        assert_eq!(add("XADD a IDMP p m * other fields MAXLEN x"), first);
        assert_eq!(add("XADD a MAXLEN 0 IDMP p m * f v"), first);
        assert_ne!(add("XADD a IDMP q m * f v"), first);
        assert_ne!(add("XADD a NOMKSTREAM IDMP p n * f v"), first);
        let content = add("XADD a IDMPAUTO p * f v g w");
        assert_eq!(add("XADD a idmpauto p ACKED MAXLEN ~ 5 * f v g w"), content);
        // The order of fields does not make another message.
        assert_eq!(add("XADD a IDMPAUTO p * g w f v"), content);
        for other in [
            "f v g ww",
            "fv g w x",
            "f vg w x",
            "f w g v",
            "f v f v g w",
            "f v",
        ] {
            assert_ne!(
                add(&format!("XADD a IDMPAUTO p * {other}")),
                content,
                "{other}"
            );
        }
        assert_ne!(add("XADD a IDMPAUTO q * f v g w"), content);
        // Also when its entry is gone.
        client.call(&["XDEL", "a", &first]);
        client.run("XTRIM a MAXLEN 0");
        let again = client.run("XADD a IDMP p m * f v").text();
        assert_eq!(again, first);
        client.run("MULTI");
        client.run("XADD a IDMP p m * f v");
        client.run("XADD b IDMP p m * f v");
        client.run("XADD b IDMP p m * f v");
        let replies = client.run("EXEC");
        let ids: Vec<String> = replies.items().iter().map(|reply| reply.text()).collect();
        assert_eq!(ids[0], first);
        assert_eq!(ids[1], ids[2]);
        // Binary and long.
        let long = vec![b'\0'; 70_000];
        let words: [&[u8]; 8] = [b"XADD", b"c", b"IDMP", &long, &long, b"*", b"f", b"v"];
        assert_eq!(client.call(&words).text(), client.call(&words).text());
        let info = client.run("XINFO STREAM a");
        let fields: Vec<String> = [
            "pids-tracked",
            "iids-tracked",
            "iids-added",
            "iids-duplicates",
        ]
        .iter()
        .map(|name| info.field(name).unwrap().to_string())
        .collect();
        assert_eq!(fields, [":2", ":11", ":11", ":6"]);
    });
}

#[test]
fn what_idempotency_refuses() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let with_id = "-ERR syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs";
        let twice = "-ERR syntax error, IDMP/IDMPAUTO specified multiple times";
        check(
            &mut client,
            &[
                ("XADD a IDMP p m 1-1 f v", with_id),
                ("XADD a IDMPAUTO p 1-* f v", with_id),
                ("XADD a IDMP p m x f v", INVALID_ID),
                ("XADD a IDMP p m IDMPAUTO p * f v", twice),
                ("XADD a IDMPAUTO p IDMPAUTO p * f v", twice),
                ("XADD a IDMP p m IDMP q n * f v", twice),
                ("XADD a NOMKSTREAM IDMP p m * f v", "$-1"),
                ("EXISTS a", ":0"),
                ("XTRIM a IDMP p m MAXLEN 1", SYNTAX),
                ("SET b v", "+OK"),
                ("XADD b IDMP p m * f v", WRONG_TYPE),
            ],
        );
        for (words, text) in [
            (
                ["IDMP", "", "m"],
                "-ERR syntax error, IDMP requires a non-empty producer ID",
            ),
            (
                ["IDMP", "p", ""],
                "-ERR syntax error, IDMP requires a non-empty idempotent ID",
            ),
            (
                ["IDMPAUTO", "", "MAXLEN"],
                "-ERR syntax error, IDMPAUTO requires a non-empty producer ID",
            ),
        ] {
            let mut line = vec!["XADD", "a"];
            line.extend(words);
            line.extend(["*", "f", "v"]);
            assert_eq!(client.call(&line).to_string(), text);
        }
        assert_eq!(raw(&mut client, "EXISTS a"), ":0");
    });
}

#[test]
fn xcfgset_sets_the_window_of_a_stream() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let duration = "-ERR IDMP-DURATION must be between 1 and 86400 seconds";
        let size = "-ERR IDMP-MAXSIZE must be between 1 and 10000 entries";
        check(
            &mut client,
            &[
                ("XCFGSET missing IDMP-MAXSIZE 5", "-ERR no such key"),
                ("XADD a 1-1 f v", "$3 1-1"),
                ("XCFGSET a", "-ERR At least one parameter must be specified"),
                ("XCFGSET a IDMP-MAXSIZE", SYNTAX),
                ("XCFGSET a FOO 5", SYNTAX),
                (
                    "XCFGSET a IDMP-MAXSIZE x",
                    "-ERR value is not an integer or out of range",
                ),
                ("XCFGSET a IDMP-DURATION 0", duration),
                ("XCFGSET a IDMP-DURATION 86401", duration),
                ("XCFGSET a IDMP-DURATION -1", duration),
                ("XCFGSET a IDMP-MAXSIZE 0", size),
                ("XCFGSET a IDMP-MAXSIZE 10001", size),
                ("XCFGSET a IDMP-DURATION 86400 idmp-maxsize 10000", "+OK"),
                ("SET b v", "+OK"),
                ("XCFGSET b IDMP-MAXSIZE 5", WRONG_TYPE),
            ],
        );
        let mut add = |line: &str| client.run(line).text();
        let first = add("XADD a IDMP p m * f v");
        assert_eq!(add("XCFGSET a IDMP-MAXSIZE 10000"), "OK");
        assert_eq!(
            add("XADD a IDMP p m * f v"),
            first,
            "the same window keeps what is known"
        );
        assert_eq!(add("XCFGSET a IDMP-MAXSIZE 2"), "OK");
        let second = add("XADD a IDMP p m * f v");
        assert_ne!(second, first);
        add("XADD a IDMP p n * f v");
        assert_eq!(add("XADD a IDMP p m * f v"), second);
        add("XADD a IDMP p o * f v");
        assert_ne!(add("XADD a IDMP p m * f v"), second, "only two are known");
        // New streams begin as the settings say.
        client.run("CONFIG SET stream-idmp-duration 1 stream-idmp-maxsize 9");
        let first = client.run("XADD c IDMP p m * f v").text();
        client.run("XGROUP CREATE d g $ MKSTREAM");
        for key in ["c", "d"] {
            let info = client.run(&format!("XINFO STREAM {key} FULL EXTENDED"));
            assert_eq!(info.field("idmp-duration").unwrap().integer(), 1, "{key}");
            assert_eq!(info.field("idmp-maxsize").unwrap().integer(), 9, "{key}");
        }
        client.run("CONFIG SET stream-idmp-duration 100 stream-idmp-maxsize 100");
        let deadline = Instant::now() + Duration::from_secs(20);
        while client.run("XADD c IDMP p m * f v").text() == first {
            assert!(Instant::now() < deadline, "a second never ends");
        }
        for (name, value) in [
            ("duration", "0"),
            ("duration", "86401"),
            ("maxsize", "0"),
            ("maxsize", "10001"),
        ] {
            let line = format!("CONFIG SET stream-idmp-{name} {value}");
            assert!(client.run(&line).is_error(), "{line}");
        }
    });
}

#[test]
fn xidmprecord_records_what_a_message_became() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let gone = "-ERR No such message in stream";
        check(
            &mut client,
            &[
                ("XIDMPRECORD a p m 1-1", "-ERR no such key"),
                ("XADD a 1-1 f v", "$3 1-1"),
                ("XADD a 2-2 f v", "$3 2-2"),
                ("XIDMPRECORD a p m 9-9", gone),
                ("XIDMPRECORD a p m x", INVALID_ID),
                ("XIDMPRECORD a p m 1-1", "+OK"),
                ("XIDMPRECORD a p m 1-1", "+OK"),
                (
                    "XIDMPRECORD a p m 2-2",
                    "-ERR IID already exists for this producer with a different stream ID",
                ),
                ("XADD a IDMP p m * f v", "$3 1-1"),
                ("XDEL a 1-1", ":1"),
                ("XIDMPRECORD a q m 1-1", gone),
                ("XIDMPRECORD a p m 1-1", gone),
                ("XADD a IDMP p m * f v", "$3 1-1"),
                ("SET b v", "+OK"),
                ("XIDMPRECORD b p m 1-1", WRONG_TYPE),
                (
                    "XIDMPRECORD a p m",
                    "-ERR wrong number of arguments for 'xidmprecord' command",
                ),
            ],
        );
        for (words, text) in [
            (["", "m"], "-ERR producer ID must be non-empty"),
            (["p", ""], "-ERR idempotent ID must be non-empty"),
        ] {
            let line = ["XIDMPRECORD", "a", words[0], words[1], "2-2"];
            assert_eq!(client.call(&line).to_string(), text);
        }
    });
}

#[test]
fn messages_stay_known_in_copies_and_over_a_reload() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let first = client.run("XADD a IDMP p m * f v").text();
        let second = client.run("XADD a IDMP p n * f v").text();
        client.run("XADD a IDMP q m * f v");
        client.run("XGROUP CREATE a g 0");
        client.call(&["XDEL", "a", &second]);
        client.run("COPY a b");
        client.run("RENAME a c");
        client.run("XCFGSET c IDMP-DURATION 50");
        client.run("XIDMPRECORD c p unknown 1-1");
        for key in ["b", "c"] {
            let mut add = |message: &str| {
                client
                    .run(&format!("XADD {key} IDMP p {message} * f v"))
                    .text()
            };
            assert_eq!(add("m") == first, key == "b", "{key}");
            assert_eq!(add("n") == second, key == "b", "{key}");
        }
        let digest = client.run("DEBUG DIGEST").to_string();
        for reload in ["DEBUG RELOAD", "DEBUG LOADAOF"] {
            assert_eq!(client.run(reload).to_string(), "+OK");
            assert_eq!(client.run("DEBUG DIGEST").to_string(), digest, "{reload}");
            for (message, id) in [("m", &first), ("n", &second)] {
                let known = client.run(&format!("XADD b IDMP p {message} * f v")).text();
                assert_eq!(known, *id, "{reload}");
            }
        }
        let info = client.run("XINFO STREAM c");
        assert_eq!(info.field("idmp-duration").unwrap().integer(), 50);
    });
}
