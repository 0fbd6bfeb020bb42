//! What groups can do with pending entries since Redis 8, through a socket: XREADGROUP CLAIM, XNACK; MAXCOUNT and MAXSIZE
//! of XREAD and XREADGROUP; what XINFO tells of a group beyond Redis.

use std::time::{Duration, Instant};

use crate::stream::{check, raw, spaced, wait_for_blocked};
use crate::support::{Client, Frame, for_each_shard_count};

/// Longer than a test takes, ms.
const LONG: i64 = 1_000_000;

/// What XREADGROUP with CLAIM gave of one stream: ID, idle ms, deliveries.
fn claimed(reply: &Frame) -> Vec<(String, i64, i64)> {
    let [stream] = reply.items() else {
        panic!("one stream: {reply}");
    };
    let entries = stream.items()[1].items().iter();
    entries
        .map(|entry| {
            let [id, fields, idle, deliveries] = entry.items() else {
                panic!("four parts: {entry}");
            };
            assert_eq!(fields.items().len(), 2);
            (id.text(), idle.integer(), deliveries.integer())
        })
        .collect()
}

fn ids(reply: &Frame) -> Vec<String> {
    let entries = reply.items()[0].items()[1].items().iter();
    entries.map(|entry| entry.items()[0].text()).collect()
}

/// Entries 1-0 … in the stream `key`, all pending with `c1` of group `g` but for the last `new`.
fn prepare(client: &mut Client, key: &str, count: usize, new: usize) {
    client.run(&format!("XGROUP CREATE {key} g 0 MKSTREAM"));
    for n in 1..=count {
        client.run(&format!("XADD {key} {n}-0 f v"));
    }
    let pending = count - new;
    if pending > 0 {
        let line = format!("XREADGROUP GROUP g c1 COUNT {pending} STREAMS {key} >");
        assert_eq!(ids(&client.run(&line)).len(), pending);
    }
}

/// ID, consumer, idle ms, deliveries of what is pending.
fn pending(client: &mut Client, key: &str) -> Vec<(String, String, i64, i64)> {
    let reply = client.run(&format!("XPENDING {key} g - + 100"));
    let entries = reply.items().iter().map(|entry| {
        let [id, consumer, idle, deliveries] = entry.items() else {
            panic!("four parts: {entry}");
        };
        (
            id.text(),
            consumer.text(),
            idle.integer(),
            deliveries.integer(),
        )
    });
    entries.collect()
}

#[test]
fn claim_gives_released_entries_then_the_longest_idle_then_new_ones() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        prepare(&mut client, "a", 9, 2);
        for (id, idle) in [(2, 3 * LONG), (3, 5 * LONG), (4, 5 * LONG), (5, 2 * LONG)] {
            client.run(&format!(
                "XCLAIM a g c2 0 {id}-0 IDLE {idle} RETRYCOUNT {id}"
            ));
        }
        assert_eq!(client.run("XNACK a g FAIL IDS 2 7-0 6-0").integer(), 2);
        let reply = client.run(&format!(
            "XREADGROUP GROUP g c3 COUNT 7 CLAIM {} STREAMS a >",
            2 * LONG
        ));
        let claimed = claimed(&reply);
        let order: Vec<&str> = claimed.iter().map(|(id, ..)| id.as_str()).collect();
        assert_eq!(order, ["7-0", "6-0", "3-0", "4-0", "2-0", "5-0", "8-0"]);
        let idle: Vec<i64> = claimed.iter().map(|(_, idle, _)| *idle / LONG).collect();
        assert_eq!(idle, [0, 0, 5, 5, 3, 2, 0]);
        assert_eq!((claimed[0].1, claimed[6].1), (-1, 0));
        let deliveries: Vec<i64> = claimed.iter().map(|(.., count)| *count).collect();
        assert_eq!(deliveries, [1, 1, 3, 4, 2, 5, 0]);
        let after = pending(&mut client, "a");
        assert_eq!(after[0].1, "c1");
        assert!(
            after[1..]
                .iter()
                .all(|(_, owner, idle, _)| owner == "c3" && *idle < LONG)
        );
        let counts: Vec<i64> = after.iter().map(|(.., count)| *count).collect();
        assert_eq!(counts, [1, 3, 4, 5, 6, 2, 2, 1]);
        // What is left: a new one; the first is fresh.
        let reply = client.run(&format!("XREADGROUP GROUP g c3 CLAIM {LONG} STREAMS a >"));
        assert_eq!(spaced_ids(&reply), "9-0");
        assert!(
            client
                .run(&format!("XREADGROUP GROUP g c3 CLAIM {LONG} STREAMS a >"))
                .is_null()
        );
        // An explicit ID reads the history as ever.
        let reply = client.run(&format!("XREADGROUP GROUP g c1 CLAIM {LONG} STREAMS a 0"));
        assert_eq!(reply.items()[0].items()[1].items()[0].items().len(), 2);
    });
}

fn spaced_ids(reply: &Frame) -> String {
    ids(reply).join(" ")
}

#[test]
fn claim_passes_over_what_has_left_the_stream_and_leaves_it_pending() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        prepare(&mut client, "a", 6, 0);
        client.run("XNACK a g SILENT IDS 2 4-0 6-0");
        client.run("XTRIM a MINID 3-0");
        client.run("XDEL a 4-0 5-0");
        let reply = client.run("XREADGROUP GROUP g c2 CLAIM 0 STREAMS a >");
        assert_eq!(claimed(&reply)[0], ("6-0".to_owned(), -1, 0));
        assert_eq!(spaced_ids(&reply), "6-0 3-0");
        assert_eq!(pending(&mut client, "a").len(), 6);
        let reply = client.run("XAUTOCLAIM a g c2 0 -");
        let gone = r#"["1-0", "2-0", "4-0", "5-0"]"#;
        assert_eq!(reply.items()[2].to_string(), gone);
        assert_eq!(pending(&mut client, "a").len(), 2);
    });
}

#[test]
fn claim_can_be_combined_and_its_errors_are_told() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        prepare(&mut client, "a", 2, 1);
        // NOACK is for new entries alone; the last CLAIM counts; the consumer is created.
        let reply = client.run(&format!(
            "XREADGROUP GROUP g new NOACK CLAIM {LONG} CLAIM 0 STREAMS a >"
        ));
        assert_eq!(spaced_ids(&reply), "1-0 2-0");
        let owners: Vec<String> = pending(&mut client, "a").into_iter().map(|e| e.1).collect();
        assert_eq!(owners, ["new"]);
        check(
            &mut client,
            &[
                (
                    "XREADGROUP GROUP g c CLAIM x STREAMS a >",
                    "-ERR min-idle-time is not an integer or out of range",
                ),
                (
                    "XREADGROUP GROUP g c CLAIM -1 STREAMS a >",
                    "-ERR min-idle-time must be a positive integer",
                ),
                (
                    "XREADGROUP GROUP g c CLAIM STREAMS a >",
                    "-ERR min-idle-time is not an integer or out of range",
                ),
                (
                    "XREADGROUP GROUP g c STREAMS a > CLAIM",
                    "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.",
                ),
                (
                    "XREAD CLAIM 0 STREAMS a 0",
                    "-ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.",
                ),
                ("MULTI", "+OK"),
                (
                    "XREADGROUP GROUP g c BLOCK 0 CLAIM 100000 STREAMS a >",
                    "+QUEUED",
                ),
                ("EXEC", "*1 *-1"),
            ],
        );
        let reply = raw(
            &mut server.connect_resp3(),
            "XREADGROUP GROUP g c CLAIM 0 STREAMS a >",
        );
        assert!(
            reply.starts_with("%1 $1 a *1 *4 $3 1-0 *2 $1 f $1 v :"),
            "{reply}"
        );
    });
}

#[test]
fn poisoned_entries_stay_so_when_they_are_delivered_again() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        prepare(&mut client, "a", 1, 0);
        client.run("XNACK a g FATAL IDS 1 1-0");
        let reply = client.run("XREADGROUP GROUP g c CLAIM 0 STREAMS a >");
        assert_eq!(claimed(&reply)[0].2, i64::MAX);
        client.run("XREADGROUP GROUP g c STREAMS a 0");
        client.run("XCLAIM a g d 0 1-0");
        client.run("XAUTOCLAIM a g d 0 -");
        assert_eq!(pending(&mut client, "a")[0].3, i64::MAX);
    });
}

#[test]
fn a_blocked_reader_takes_over_what_has_been_pending_for_long_enough() {
    for_each_shard_count(|server| {
        let (mut control, mut reader) = (server.connect(), server.connect());
        prepare(&mut control, "a", 1, 0);
        prepare(&mut control, "b", 1, 0);
        control.run("XCLAIM b g c1 0 1-0 JUSTID");
        let start = Instant::now();
        control.run("XCLAIM a g c1 0 1-0 IDLE 29800 JUSTID");
        reader.send_line("XREADGROUP GROUP g late BLOCK 0 CLAIM 30000 STREAMS b a > >");
        let first = reader.reply();
        let waited = start.elapsed();
        // That of `b` is due half a minute later.
        assert_eq!(first.items()[0].items()[0].text(), "a");
        // The clock of the server has whole milliseconds.
        assert!(waited >= Duration::from_millis(199), "{waited:?}");
        assert_eq!(pending(&mut control, "a")[0].1, "late");
    });
}

#[test]
fn a_blocked_reader_hears_of_entries_that_become_pending_or_older() {
    for_each_shard_count(|server| {
        let (mut control, mut reader) = (server.connect(), server.connect());
        prepare(&mut control, "a", 0, 0);
        prepare(&mut control, "b", 0, 0);
        // The first entry of the group, delivered to another.
        let blocked = |reader: &mut Client, control: &mut Client, idle: i64| {
            reader.send_line(&format!(
                "XREADGROUP GROUP g late BLOCK 0 CLAIM {idle} STREAMS a b > >"
            ));
            wait_for_blocked(control, 1);
        };
        control.run("XADD b 1-0 f v");
        reader.send_line(&format!("XREADGROUP GROUP g late CLAIM {LONG} STREAMS b >"));
        reader.reply();
        blocked(&mut reader, &mut control, 60);
        control.run("XCLAIM b g other 0 1-0 IDLE 30");
        assert_eq!(claimed(&reader.reply())[0].0, "1-0");
        // By XCLAIM, far older than asked for; TIME as well.
        blocked(&mut reader, &mut control, LONG);
        control.run("XCLAIM b g other 0 1-0");
        reader.expect_quiet(&mut control);
        control.run(&format!("XCLAIM b g other 0 1-0 IDLE {}", 2 * LONG));
        assert!(claimed(&reader.reply())[0].1 >= 2 * LONG);
        blocked(&mut reader, &mut control, LONG);
        control.run("XCLAIM b g other 0 1-0 TIME 1000");
        assert_eq!(claimed(&reader.reply())[0].0, "1-0");
        // Released: at once, whatever idle time was asked for.
        blocked(&mut reader, &mut control, i64::MAX);
        control.run("XNACK b g SILENT IDS 1 1-0");
        assert_eq!(claimed(&reader.reply())[0].1, -1);
        // New entries too.
        blocked(&mut reader, &mut control, i64::MAX);
        control.run("XADD a 5-0 f v");
        assert_eq!(claimed(&reader.reply())[0], ("5-0".to_owned(), 0, 0));
        // Delivered to another while this one waits.
        control.run("XACK a g 5-0");
        control.run("XACK b g 1-0");
        blocked(&mut reader, &mut control, 40);
        control.run("XGROUP SETID b g 0");
        control.run("XREADGROUP GROUP g other STREAMS b >");
        assert_eq!(claimed(&reader.reply())[0].0, "1-0");
    });
}

#[test]
fn a_blocked_claim_ends_with_its_time_or_its_group_and_is_not_for_others() {
    for_each_shard_count(|server| {
        let (mut control, mut reader, mut plain) =
            (server.connect(), server.connect(), server.connect());
        prepare(&mut control, "a", 1, 0);
        reader.send_line(&format!(
            "XREADGROUP GROUP g late BLOCK 30 CLAIM {LONG} STREAMS a >"
        ));
        assert_eq!(spaced(&reader.raw_reply()), "*-1");
        plain.send_line("XREADGROUP GROUP g plain BLOCK 0 STREAMS a >");
        wait_for_blocked(&mut control, 1);
        reader.send_line(&format!(
            "XREADGROUP GROUP g late BLOCK 0 CLAIM {LONG} STREAMS a >"
        ));
        wait_for_blocked(&mut control, 2);
        control.run("XNACK a g FAIL IDS 1 1-0");
        assert_eq!(claimed(&reader.reply())[0].0, "1-0");
        plain.expect_quiet(&mut control);
        reader.send_line(&format!(
            "XREADGROUP GROUP g late BLOCK 0 CLAIM {LONG} STREAMS a >"
        ));
        wait_for_blocked(&mut control, 2);
        control.run("XGROUP DESTROY a g");
        let gone = "-NOGROUP No such key 'a' or consumer group 'g' in XREADGROUP with GROUP option";
        assert_eq!(spaced(&reader.raw_reply()), gone);
        assert_eq!(spaced(&plain.raw_reply()), gone);
    });
}

#[test]
fn a_blocked_claim_holds_still_while_writes_are_paused() {
    for_each_shard_count(|server| {
        let (mut control, mut reader) = (server.connect(), server.connect());
        prepare(&mut control, "a", 1, 0);
        reader.send_line("XREADGROUP GROUP g late BLOCK 0 CLAIM 150 STREAMS a >");
        wait_for_blocked(&mut control, 1);
        let start = Instant::now();
        control.run("CLIENT PAUSE 500 WRITE");
        assert_eq!(claimed(&reader.reply())[0].0, "1-0");
        let waited = start.elapsed();
        assert!(waited > Duration::from_millis(480), "{waited:?}");
    });
}

#[test]
fn waiting_for_idle_entries_polls_nothing() {
    for_each_shard_count(|server| {
        let (mut control, mut reader) = (server.connect(), server.connect());
        let start = Instant::now();
        prepare(&mut control, "a", 3, 0);
        control.run("CONFIG RESETSTAT");
        reader.send_line("XREADGROUP GROUP g late COUNT 1 BLOCK 0 CLAIM 300 STREAMS a >");
        reader.reply();
        assert!(start.elapsed() > Duration::from_millis(200));
        let stats = control.run("INFO stats").text();
        let field = |name: &str| crate::support::server::info_field(&stats, name).unwrap();
        assert_eq!(field("millrace_wakeups"), "1");
        let in_vain: u64 = field("millrace_attempts_in_vain").parse().unwrap();
        assert!(in_vain <= 1, "{in_vain} attempts in vain");
    });
}

#[test]
fn released_entries_are_nobodys_until_they_are_claimed() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        prepare(&mut client, "a", 4, 0);
        client.run("XCLAIM a g c1 0 1-0 2-0 3-0 RETRYCOUNT 5 JUSTID");
        check(
            &mut client,
            &[
                ("XNACK a g silent IDS 1 1-0", ":1"),
                ("XNACK a g FAIL IDS 2 2-0 9-9", ":1"),
                ("XNACK a g FATAL IDS 1 3-0", ":1"),
                ("XPENDING a g", "*4 :4 $3 1-0 $3 4-0 *1 *2 $2 c1 $1 1"),
                (
                    "XPENDING a g - + 3",
                    "*3 *4 $3 1-0 $0  :-1 :4 *4 $3 2-0 $0  :-1 :5 *4 $3 3-0 $0  :-1 :9223372036854775807",
                ),
                ("XPENDING a g IDLE 100000 - + 9 c1", "*0"),
                ("XREADGROUP GROUP g c1 STREAMS a >", "*-1"),
                (
                    "XREADGROUP GROUP g c1 STREAMS a 0",
                    "*1 *2 $1 a *1 *2 $3 4-0 *2 $1 f $1 v",
                ),
                ("XGROUP DELCONSUMER a g c1", ":1"),
                // Twice: counted twice, and each time with its mode.
                ("XNACK a g SILENT IDS 2 2-0 2-0", ":2"),
                ("XNACK a g SILENT RETRYCOUNT 0 IDS 1 1-0", ":1"),
                ("XNACK a g SILENT IDS 1 1-0", ":1"),
                ("XNACK a g FAIL IDS 1 3-0 RETRYCOUNT 7", ":1"),
                (
                    "XPENDING a g - + 9",
                    "*3 *4 $3 1-0 $0  :-1 :0 *4 $3 2-0 $0  :-1 :3 *4 $3 3-0 $0  :-1 :7",
                ),
                (
                    "XPENDING a g IDLE 100000 - + 9",
                    "*3 *4 $3 1-0 $0  :-1 :0 *4 $3 2-0 $0  :-1 :3 *4 $3 3-0 $0  :-1 :7",
                ),
                ("XCLAIM a g c2 100000 3-0 JUSTID", "*1 $3 3-0"),
                (
                    "XAUTOCLAIM a g c2 100000 - COUNT 1 JUSTID",
                    "*3 $3 2-0 *1 $3 1-0 *0",
                ),
                ("XACK a g 2-0 3-0", ":2"),
                // FORCE makes them pending, when they exist.
                ("XNACK a g FAIL IDS 3 4-0 9-9 2-0", ":0"),
                ("XNACK a g FAIL FORCE IDS 2 4-0 9-9", ":1"),
                ("XNACK a g FATAL IDS 1 2-0 FORCE", ":1"),
                ("XNACK a g SILENT FORCE IDS 1 3-0 RETRYCOUNT 2", ":1"),
                (
                    "XPENDING a g 2-0 + 9",
                    "*3 *4 $3 2-0 $0  :-1 :9223372036854775807 *4 $3 3-0 $0  :-1 :2 *4 $3 4-0 $0  :-1 :0",
                ),
            ],
        );
        let full = client.run("XINFO STREAM a FULL");
        let group = &full.field("groups").unwrap().items()[0];
        let number = |name: &str| group.field(name).unwrap().integer();
        assert_eq!((number("pel-count"), number("nacked-count")), (4, 3));
        let of_group = group.field("pending").unwrap();
        assert_eq!(
            of_group.items()[1].to_string(),
            "[\"2-0\", \"\", :0, :9223372036854775807]"
        );
        // In the order in which they came back.
        let reply = client.run(&format!(
            "XREADGROUP GROUP g c3 CLAIM {} STREAMS a >",
            i64::MAX
        ));
        assert_eq!(spaced_ids(&reply), "4-0 2-0 3-0");
        let full = client.run("XINFO STREAM a FULL EXTENDED");
        let group = &full.field("groups").unwrap().items()[0];
        assert_eq!(group.field("nacked-count").unwrap().integer(), 0);
    });
}

#[test]
fn what_xnack_cannot_read_changes_nothing() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        prepare(&mut client, "a", 2, 0);
        client.run("SET s x");
        check(
            &mut client,
            &[
                (
                    "XNACK a g FAIL IDS 1",
                    "-ERR wrong number of arguments for 'xnack' command",
                ),
                (
                    "XNACK a g MAYBE IDS 1 1-0",
                    "-ERR mode must be SILENT, FAIL, or FATAL",
                ),
                (
                    "XNACK a g FAIL 1 1-0 2-0",
                    "-ERR syntax error, expected IDS keyword",
                ),
                (
                    "XNACK a g FAIL FORCE RETRYCOUNT 1",
                    "-ERR syntax error, expected IDS keyword",
                ),
                (
                    "XNACK a g FAIL IDS 0 1-0",
                    "-ERR numids must be a positive integer",
                ),
                (
                    "XNACK a g FAIL IDS x 1-0",
                    "-ERR numids must be a positive integer",
                ),
                (
                    "XNACK a g FAIL IDS 2 1-0",
                    "-ERR number of IDs doesn't match numids",
                ),
                (
                    "XNACK a g FAIL IDS 9223372036854775807 1-0",
                    "-ERR number of IDs doesn't match numids",
                ),
                (
                    "XNACK a g FAIL IDS 1 1-0 2-0",
                    "-ERR Unrecognized XNACK option '2-0'",
                ),
                (
                    "XNACK a g FAIL IDS 1 1-0 RETRYCOUNT",
                    "-ERR Unrecognized XNACK option 'RETRYCOUNT'",
                ),
                (
                    "XNACK a g FAIL IDS 1 1-0 RETRYCOUNT -1",
                    "-ERR Invalid RETRYCOUNT value, must be >= 0",
                ),
                (
                    "XNACK a g FAIL IDS 1 1-0 RETRYCOUNT x",
                    "-ERR value is not an integer or out of range",
                ),
                (
                    "XNACK a g FAIL IDS 2 1-0 x",
                    "-ERR Invalid stream ID specified as stream command argument",
                ),
                (
                    "XNACK a h FAIL IDS 1 1-0",
                    "-NOGROUP No such key 'a' or consumer group 'h'",
                ),
                (
                    "XNACK b g FAIL IDS 1 1-0",
                    "-NOGROUP No such key 'b' or consumer group 'g'",
                ),
                (
                    "XNACK s g FAIL IDS 1 1-0",
                    "-WRONGTYPE Operation against a key holding the wrong kind of value",
                ),
                ("XPENDING a g", "*4 :2 $3 1-0 $3 2-0 *1 *2 $2 c1 $1 2"),
            ],
        );
    });
}

#[test]
fn maxcount_limits_all_streams_together() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        for key in ["a", "b", "c"] {
            prepare(&mut client, key, 3, 3);
        }
        let entry = |id: u8| format!("*2 $3 {id}-0 *2 $1 f $1 v");
        let (one, two) = (entry(1), entry(2));
        let expected = format!("*2 *2 $1 a *2 {one} {two} *2 $1 b *1 {one}");
        for line in [
            "XREAD COUNT 2 MAXCOUNT 3 STREAMS a b c 0 0 0",
            "XREAD MAXCOUNT 3 COUNT 2 STREAMS a b c 0 0 0",
            "XREADGROUP GROUP g c1 COUNT 2 MAXCOUNT 3 STREAMS a b c > > >",
        ] {
            assert_eq!(raw(&mut client, line), expected, "{line}");
        }
        // What was held back is not pending; history is limited too, and COUNT is not needed.
        let left = "XREADGROUP GROUP g c1 MAXCOUNT 4 STREAMS a c b > 0 >";
        let three = entry(3);
        assert_eq!(
            raw(&mut client, left),
            format!("*3 *2 $1 a *1 {three} *2 $1 c *0 *2 $1 b *2 {two} {three}")
        );
        assert_eq!(
            raw(
                &mut client,
                "XREADGROUP GROUP g c1 MAXCOUNT 4 STREAMS a b c 0 0 >"
            ),
            format!("*2 *2 $1 a *3 {one} {two} {three} *2 $1 b *1 {one}")
        );
        assert_eq!(client.run("XPENDING c g").items()[0].integer(), 0);
        check(
            &mut client,
            &[
                ("XREAD MAXCOUNT 0 STREAMS a 0", "-ERR MAXCOUNT must be > 0"),
                ("XREAD MAXCOUNT -3 STREAMS a 0", "-ERR MAXCOUNT must be > 0"),
                (
                    "XREAD MAXCOUNT x STREAMS a 0",
                    "-ERR value is not an integer or out of range",
                ),
                (
                    "XREAD MAXCOUNT 2 COUNT 3 STREAMS a 0",
                    "-ERR MAXCOUNT must be greater than or equal to COUNT",
                ),
                (
                    "XREADGROUP GROUP g c COUNT 3 MAXCOUNT 2 STREAMS a >",
                    "-ERR MAXCOUNT must be greater than or equal to COUNT",
                ),
                ("XREAD MAXSIZE 0 STREAMS a 0", "-ERR MAXSIZE must be > 0"),
                (
                    "XREAD MAXSIZE x STREAMS a 0",
                    "-ERR value is not an integer or out of range",
                ),
            ],
        );
    });
}

#[test]
fn maxsize_limits_the_reply_but_for_its_first_entry() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        prepare(&mut client, "a", 20, 20);
        prepare(&mut client, "b", 20, 20);
        let mut read = |line: &str| -> (usize, usize, usize) {
            let reply = client.raw_call(&line.split(' ').collect::<Vec<_>>());
            let entries = Frame::parse(&reply);
            let counts: Vec<usize> = entries
                .items()
                .iter()
                .map(|s| s.items()[1].items().len())
                .collect();
            (reply.len(), counts[0], counts.get(1).copied().unwrap_or(0))
        };
        assert_eq!(read("XREAD MAXSIZE 1 STREAMS a b 0 0").1, 1);
        let (bytes, first, second) = read("XREAD MAXSIZE 400 STREAMS a b 0 0");
        assert!(
            (300..=400).contains(&bytes) && first > 5 && second == 0,
            "{bytes} {first}"
        );
        let (bytes, first, second) = read("XREAD MAXSIZE 1000 STREAMS a b 0 0");
        assert!(
            (900..=1000).contains(&bytes) && first == 20 && second > 1,
            "{bytes} {second}"
        );
        let (_, first, _) = read("XREADGROUP GROUP g c MAXSIZE 200 STREAMS a >");
        let (_, claimed, _) = read("XREADGROUP GROUP g d MAXSIZE 100 CLAIM 0 STREAMS a >");
        let (_, own, _) = read("XREADGROUP GROUP g d MAXSIZE 10 STREAMS a 0");
        assert!(first > 2 && claimed >= 1 && claimed < first && own == 1);
        assert_eq!(
            client.run("XPENDING a g").items()[0].integer(),
            first as i64
        );
    });
}

#[test]
fn a_blocked_reader_keeps_to_its_limits_when_it_is_served() {
    for_each_shard_count(|server| {
        let (mut control, mut reader) = (server.connect(), server.connect());
        prepare(&mut control, "a", 0, 0);
        for (options, count) in [
            ("MAXCOUNT 2", 2),
            ("MAXSIZE 1", 1),
            ("COUNT 1 MAXCOUNT 3", 1),
        ] {
            for command in ["XREAD", "XREADGROUP GROUP g c"] {
                let id = if command == "XREAD" { "$" } else { ">" };
                reader.send_line(&format!("{command} BLOCK 0 {options} STREAMS a {id}"));
                wait_for_blocked(&mut control, 1);
                control.run("MULTI");
                for _ in 0..3 {
                    control.run("XADD a * f v");
                }
                control.run("EXEC");
                assert_eq!(ids(&reader.reply()).len(), count, "{command} {options}");
                control.run("XGROUP SETID a g $");
            }
        }
    });
}

#[test]
fn the_exact_lag_is_known_where_redis_knows_none() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let mut group = |line: &str| {
            for line in line.split(';').filter(|line| !line.is_empty()) {
                let reply = client.run(line);
                assert!(!reply.is_error(), "{line}: {reply}");
            }
            let groups = client.run("XINFO GROUPS a EXTENDED");
            let full = client.run("XINFO STREAM a FULL EXTENDED");
            let of_full = full.field("groups").unwrap().items()[0].clone();
            for name in ["lag", "lag-exact"] {
                let (short, long) = (groups.items()[0].field(name), of_full.field(name));
                assert_eq!(short.unwrap().to_string(), long.unwrap().to_string());
            }
            groups.items()[0].clone()
        };
        let shown = |group: &Frame, name: &str| group.field(name).unwrap().to_string();
        let now = group("XGROUP CREATE a g 0 MKSTREAM");
        assert_eq!(shown(&now, "lag-exact"), ":0");
        assert_eq!(shown(&now, "oldest-pending-ms"), "nil");
        assert_eq!(shown(&now, "oldest-undelivered-ms"), "nil");
        let now = group(
            "XADD a 1-0 f v;XADD a 2-0 f v;XADD a 3-0 f v;XADD a 4-0 f v;XADD a 5-0 f v;XDEL a 3-0",
        );
        assert_eq!(
            (shown(&now, "lag"), shown(&now, "lag-exact")),
            ("nil".into(), ":4".into())
        );
        let age = now.field("oldest-undelivered-ms").unwrap().integer();
        let now = group("XREADGROUP GROUP g c COUNT 2 STREAMS a >");
        assert_eq!(shown(&now, "lag-exact"), ":2");
        // The next one is of the fourth millisecond, not of the deleted third.
        let later = now.field("oldest-undelivered-ms").unwrap().integer();
        assert!(later - age > -4 && later - age < LONG, "{age} {later}");
        assert!(now.field("oldest-pending-ms").unwrap().integer() < LONG);
        let now = group(&format!("XCLAIM a g c 0 2-0 IDLE {LONG}"));
        let pending = now.field("oldest-pending-ms").unwrap().integer();
        assert!((LONG..LONG + 60_000).contains(&pending), "{pending}");
        // A released entry waits for nobody's answer.
        let now = group("XNACK a g FAIL IDS 2 1-0 2-0");
        assert_eq!(shown(&now, "oldest-pending-ms"), "nil");
        let now = group("XREADGROUP GROUP g c STREAMS a >;XACK a g 1-0 2-0 4-0 5-0");
        assert_eq!(shown(&now, "lag-exact"), ":0");
        assert_eq!(shown(&now, "oldest-undelivered-ms"), "nil");
        assert_eq!(shown(&group("XGROUP SETID a g 0"), "lag-exact"), ":4");
        assert_eq!(shown(&group("XTRIM a MAXLEN 1"), "lag-exact"), ":1");
    });
}
