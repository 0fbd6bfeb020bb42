//! Values: long, wide, many, and commands whose work grows with them.

use std::time::{Duration, Instant};

use super::driver::{all, each, info, none_fails, until, until_blocked};
use super::field::{Attack, Case, Room};
use super::support::Client;

/// Room that grows with the size of the case.
fn room(short: (u64, u64), full: (u64, u64)) -> Room {
    Room { short, full }
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("SETRANGE far behind the end", Room::of(20, 20), far_range),
        Case::new("LCS of long strings", Room::of(20, 20), common_subsequence),
        Case::new("XADD with very many fields", Room::of(20, 20), wide_entries),
        Case::new(
            "a stream with very many pending entries",
            Room::of(50, 40),
            many_pending,
        ),
        Case::new(
            "a stream with very many groups",
            room((20, 20), (70, 60)),
            many_groups,
        ),
        Case::new(
            "trimming beside very many groups",
            room((20, 20), (60, 60)),
            trimmed,
        ),
        Case::new("a very long list", Room::of(20, 20), long_list),
        Case::new("a very large hash", room((20, 20), (150, 60)), large_hash),
        Case::new(
            "a very large sorted set",
            room((20, 20), (150, 60)),
            large_sorted_set,
        ),
        Case::new(
            "choices without end",
            room((20, 20), (60, 60)),
            choices_without_end,
        )
        .ours_only(),
        Case::new(
            "very many fields that end together",
            room((30, 30), (400, 100)),
            ending_fields,
        )
        .ours_only(),
        Case::new("a chain of BLMOVE", Room::of(10, 10), chain),
        Case::new("a ring of BLMOVE", Room::of(10, 10), ring),
        Case::new(
            "very many keys, then FLUSHALL",
            room((15, 15), (60, 60)),
            flushed,
        )
        .forgetful(),
        Case::new(
            "very many keys that expire together",
            room((20, 20), (60, 60)),
            expiring,
        ),
        Case::new(
            "XADD IDMP, very many producers",
            room((25, 25), (250, 70)),
            producers,
        )
        .ours_only(),
        Case::new(
            "XADD IDMP, very many messages",
            room((20, 20), (30, 30)),
            messages,
        )
        .ours_only(),
    ]
}

fn far_range(attack: &Attack<'_>) -> String {
    let last = attack.size(64 << 20, 512 << 20) - 1;
    let mut client = attack.connect();
    let reply = client.run(&format!("SETRANGE key {last} x")).integer();
    assert_eq!(reply as usize, last + 1);
    for line in ["SETRANGE key 536870912 x", "SETRANGE key 4294967296 x"] {
        let reply = client.run(line).to_string();
        assert!(reply.starts_with("-ERR string exceeds maximum"), "{reply}");
    }
    assert_eq!(client.run("STRLEN key").integer() as usize, last + 1);
    assert_eq!(client.run("GETRANGE key 0 0").bytes(), [0]);
    assert_eq!(client.run("DEL key").integer(), 1);
    String::new()
}

fn common_subsequence(attack: &Attack<'_>) -> String {
    let length = attack.size(1_000, 11_000);
    let mut client = attack.connect();
    let [one, other] = ["ab", "abb"].map(|part| part.repeat(length / part.len()));
    client.call(&["MSET", "one", &one, "other", &other]);
    let common = client.run("LCS one other LEN").integer();
    let text = client.run("LCS one other").bytes().len();
    assert_eq!(text as i64, common);
    assert_eq!(client.run("DEL one other").integer(), 2);
    format!("{common} in common")
}

fn wide_entries(attack: &Attack<'_>) -> String {
    let mut client = attack.connect();
    let counts = [10_000, attack.size(20_000, 500_000)];
    for count in counts {
        let mut words = vec!["XADD".to_owned(), "stream".to_owned(), "*".to_owned()];
        (0..count).for_each(|field| words.extend([format!("field{field}"), "v".to_owned()]));
        assert!(client.call(&words).to_string().contains('-'));
    }
    let entries = client.run("XRANGE stream - +");
    let fields = |at: usize| entries.items()[at].items()[1].items().len() / 2;
    assert_eq!([fields(0), fields(1)], counts);
    assert_eq!(client.run("DEL stream").integer(), 1);
    String::new()
}

fn many_pending(attack: &Attack<'_>) -> String {
    let count = attack.size(20_000, 1_000_000);
    let mut client = attack.connect();
    client.run("XGROUP CREATE stream group 0 MKSTREAM");
    none_fails(&mut client, count, |number| {
        format!("XADD stream {}-1 f v", number + 1)
    });
    let read = client.run(&format!(
        "XREADGROUP GROUP group one COUNT {count} STREAMS stream >"
    ));
    assert_eq!(read.items()[0].items()[1].items().len(), count);
    let pending = client.run(&format!("XPENDING stream group - + {count}"));
    assert_eq!(pending.items().len(), count);
    let claimed = client.run(&format!(
        "XAUTOCLAIM stream group two 0 - COUNT {} JUSTID",
        count / 2
    ));
    assert_eq!(claimed.items()[1].items().len(), count / 2);
    let during = attack.resident_mb();
    each(
        &mut client,
        count,
        |number| format!("XACK stream group {}-1", number + 1),
        |_, reply| {
            assert_eq!(reply, b":1\r\n");
        },
    );
    assert_eq!(client.run("DEL stream").integer(), 1);
    format!("{count} entries, {during} MB while pending")
}

fn make_groups(client: &mut Client, from: usize, to: usize) {
    let line = |number: usize| format!("XGROUP CREATE stream group{} 0 MKSTREAM", from + number);
    all(client, to - from, line, "+OK");
}

fn many_groups(attack: &Attack<'_>) -> String {
    let count = attack.size(3_000, 100_000);
    let mut client = attack.connect();
    make_groups(&mut client, 0, count);
    let line = |number: usize| format!("XGROUP CREATECONSUMER stream group0 c{number}");
    all(&mut client, count, line, ":1");
    assert_eq!(client.run("XINFO GROUPS stream").items().len(), count);
    assert_eq!(
        client.run("XINFO CONSUMERS stream group0").items().len(),
        count
    );
    none_fails(&mut client, 100, |_| "XADD stream * f v".to_owned());
    let during = attack.resident_mb();
    assert_eq!(client.run("DEL stream").integer(), 1);
    format!("{count} groups and consumers, {during} MB while they are there")
}

/// What an entry more and one less costs, by the number of groups: told, and judged elsewhere.
fn trimmed(attack: &Attack<'_>) -> String {
    const ROUNDS: usize = 200;
    let mut client = attack.connect();
    let (mut told, mut there) = (Vec::new(), 0);
    for count in [10, attack.size(500, 10_000), attack.size(2_000, 100_000)] {
        make_groups(&mut client, there, count);
        there = count;
        none_fails(&mut client, 20, |_| "XADD stream * f v".to_owned());
        let start = Instant::now();
        none_fails(&mut client, ROUNDS, |_| {
            "XADD stream MAXLEN 10 * f v".to_owned()
        });
        let us = start.elapsed().as_micros() / ROUNDS as u128;
        told.push(format!("{count} groups: {us} µs"));
        assert_eq!(client.run("XLEN stream").integer(), 10);
    }
    assert_eq!(client.run("DEL stream").integer(), 1);
    told.join(", ")
}

fn long_list(attack: &Attack<'_>) -> String {
    let pushes = attack.size(1_000, 50_000);
    let mut client = attack.connect();
    let count = pushes * 100;
    let push = |number: usize| {
        let elements: Vec<String> = (0..100)
            .map(|at| format!("e{}", number * 100 + at))
            .collect();
        format!("RPUSH list {}", elements.join(" "))
    };
    none_fails(&mut client, pushes, push);
    let last = count - 1;
    let asked = [
        ("LPOS list none".to_owned(), "nil".to_owned()),
        (format!("LPOS list e{last}"), format!(":{last}")),
        (
            format!("LPOS list e{} RANK -1", count / 2),
            format!(":{}", count / 2),
        ),
        (
            format!("LINSERT list BEFORE e{} new", count / 2),
            format!(":{}", count + 1),
        ),
        ("LREM list 1 new".to_owned(), ":1".to_owned()),
        ("LTRIM list 10 -10".to_owned(), "+OK".to_owned()),
        ("LLEN list".to_owned(), format!(":{}", count - 19)),
    ];
    for (line, expected) in asked {
        assert_eq!(client.run(&line).to_string(), expected, "{line}");
    }
    let during = attack.resident_mb();
    assert_eq!(client.run("DEL list").integer(), 1);
    format!("{count} elements, {during} MB")
}

/// Sets so many fields, a hundred by each command.
fn set_fields(client: &mut Client, key: &str, count: usize) {
    none_fails(client, count / 100, |number| {
        let fields = (100 * number..100 * number + 100).map(|at| format!("field:{at} value:{at}"));
        let fields: Vec<String> = fields.collect();
        format!("HSET {key} {}", fields.join(" "))
    });
}

fn large_hash(attack: &Attack<'_>) -> String {
    let count = attack.size(50_000, 1_000_000);
    let mut client = attack.connect();
    set_fields(&mut client, "hash", count);
    assert_eq!(client.run("HLEN hash").integer() as usize, count);
    assert_eq!(client.run("HGETALL hash").items().len(), 2 * count);
    assert_eq!(client.run("HKEYS hash").items().len(), count);
    let chosen = client.run(&format!("HRANDFIELD hash {}", count / 2));
    assert_eq!(chosen.items().len(), count / 2);
    let during = attack.resident_mb();
    none_fails(&mut client, count / 2, |at| format!("HDEL hash field:{at}"));
    assert_eq!(
        client.run("HLEN hash").integer() as usize,
        count - count / 2
    );
    assert_eq!(client.run("DEL hash").integer(), 1);
    format!("{count} fields, {during} MB")
}

fn large_sorted_set(attack: &Attack<'_>) -> String {
    let count = attack.size(50_000, 1_000_000);
    let mut client = attack.connect();
    none_fails(&mut client, count / 100, |number| {
        let pairs = (100 * number..100 * number + 100).map(|at| format!("{at} member:{at:09}"));
        let pairs: Vec<String> = pairs.collect();
        format!("ZADD scores {}", pairs.join(" "))
    });
    assert_eq!(client.run("ZCARD scores").integer() as usize, count);
    let all = client.run("ZRANGE scores 0 -1 WITHSCORES");
    assert_eq!(all.items().len(), 2 * count);
    let stored = client.run("ZUNIONSTORE both 2 scores scores").integer();
    assert_eq!(stored as usize, count);
    let during = attack.resident_mb();
    none_fails(&mut client, count / 2, |_| "ZPOPMIN both".to_owned());
    let removed = client.run("ZREMRANGEBYSCORE scores -inf (10").integer();
    assert_eq!(removed, 10);
    assert_eq!(client.run("DEL scores both").integer(), 2);
    format!("{count} members, {during} MB")
}

/// Clients ask for more choices than there are bytes in the world, read a little and leave.
fn choices_without_end(attack: &Attack<'_>) -> String {
    let mut control = attack.connect();
    set_fields(&mut control, "hash", 1000);
    let mut greedy = attack.connections(attack.size(5, 50));
    for client in &mut greedy {
        client.send_line("HRANDFIELD hash -9223372036854775807");
        client.send_line("HRANDFIELD hash -4611686018427387903 WITHVALUES");
    }
    control.run("ZADD scores 1 a 2 b");
    for client in &mut attack.connections(attack.size(5, 50)) {
        client.send_line("ZRANDMEMBER scores -9223372036854775807");
        client.send_line("ZRANDMEMBER scores -4611686018427387903 WITHSCORES");
    }
    none_fails(&mut control, 10_000, |at| format!("HGET hash field:{at}"));
    String::new()
}

fn ending_fields(attack: &Attack<'_>) -> String {
    let count = attack.size(20_000, 1_000_000);
    let mut client = attack.connect();
    set_fields(&mut client, "hash", count);
    let time = client.run("TIME").items()[0].text().parse::<u64>().unwrap();
    let at = time + attack.size(1, 15) as u64;
    none_fails(&mut client, count, |number| {
        format!("HEXPIREAT hash {at} FIELDS 1 field:{number}")
    });
    let during = attack.resident_mb();
    until("they have ended", || client.run("DBSIZE").integer() <= 8);
    format!("{count} fields, {during} MB")
}

fn chain(attack: &Attack<'_>) -> String {
    let count = attack.size(200, 3_000);
    let mut control = attack.connect();
    let mut links = attack.connections(count);
    for (at, link) in links.iter_mut().enumerate() {
        link.send_line(&format!("BLMOVE link{at} link{} LEFT RIGHT 0", at + 1));
    }
    until_blocked(&mut control, count);
    assert_eq!(control.run("RPUSH link0 element").integer(), 1);
    let end = control.run(&format!("BLPOP link{count} 30"));
    assert_eq!(end.items()[1].text(), "element");
    for link in &mut links {
        assert_eq!(link.reply().text(), "element");
    }
    format!("{count} links")
}

fn ring(attack: &Attack<'_>) -> String {
    let count = attack.size(50, 500);
    let mut control = attack.connect();
    let mut links = attack.connections(count);
    for (at, link) in links.iter_mut().enumerate() {
        link.send_line(&format!(
            "BLMOVE link{at} link{} LEFT RIGHT 0",
            (at + 1) % count
        ));
    }
    until_blocked(&mut control, count);
    // One for each link: none stays blocked, none is lost.
    control.call(&["RPUSH", "link0", "a", "b", "c"]);
    links.iter_mut().for_each(|link| drop(link.raw_reply()));
    let lengths = (0..count).map(|at| control.run(&format!("LLEN link{at}")).integer());
    assert_eq!(lengths.sum::<i64>(), 3);
    format!("{count} links")
}

fn flushed(attack: &Attack<'_>) -> String {
    let count = attack.size(100_000, 2_000_000);
    let mut client = attack.connect();
    all(
        &mut client,
        count,
        |number| format!("SET key:{number} value:{number}"),
        "+OK",
    );
    let during = attack.resident_mb();
    let start = Instant::now();
    assert_eq!(client.run("FLUSHALL").to_string(), "+OK");
    let took = start.elapsed();
    // Perhaps the innocent client has set its own again.
    assert!(client.run("DBSIZE").integer() <= 8);
    format!("{during} MB, FLUSHALL {took:.0?}")
}

fn expiring(attack: &Attack<'_>) -> String {
    let count = attack.size(30_000, 1_000_000);
    let mut client = attack.connect();
    let time = client.run("TIME").items()[0].text().parse::<u64>().unwrap();
    let at = time + attack.size(1, 15) as u64;
    all(
        &mut client,
        count,
        |number| format!("SET key:{number} value EXAT {at}"),
        "+OK",
    );
    let during = attack.resident_mb();
    let mut control = attack.connect();
    // Those of the innocent client stay.
    until("they have expired", || control.run("DBSIZE").integer() <= 8);
    format!("{count} keys, {during} MB")
}

/// How many producers a stream knows.
fn tracked(client: &mut Client) -> i64 {
    let info = client.run("XINFO STREAM stream");
    let fields = info.items().chunks(2);
    let field = fields.filter(|field| field[0].text() == "pids-tracked");
    field.map(|field| field[1].integer()).sum()
}

/// Each message by another producer: they leave by time, or there is an error that says how many there may be.
fn producers(attack: &Attack<'_>) -> String {
    let count = attack.size(20_000, 2_000_000);
    let mut client = attack.connect();
    client.run("XADD stream * f v");
    assert_eq!(
        client.run("XCFGSET stream IDMP-DURATION 1").to_string(),
        "+OK"
    );
    let mut refused = 0;
    let line = |number: usize| format!("XADD stream IDMP producer{number} m MAXLEN 10 * f v");
    each(&mut client, count, line, |number, reply| {
        let reply = String::from_utf8_lossy(reply);
        refused += usize::from(reply.starts_with('-'));
        assert!(!reply.starts_with("-ERR syntax"), "{number}: {reply}");
    });
    let during = attack.resident_mb();
    let deadline = Instant::now() + Duration::from_secs(10);
    while tracked(&mut client) > 0 {
        assert!(Instant::now() < deadline, "the producers do not leave");
        std::thread::sleep(Duration::from_millis(50));
    }
    format!("{count} producers, {refused} refused, {during} MB")
}

fn messages(attack: &Attack<'_>) -> String {
    let count = attack.size(30_000, 2_000_000);
    let mut client = attack.connect();
    let line = |number: usize| format!("XADD stream IDMP producer m{number} MAXLEN 10 * f v");
    none_fails(&mut client, count, line);
    let used = info(&mut client, "used_memory") >> 20;
    format!("{count} messages, {used} MB used")
}
