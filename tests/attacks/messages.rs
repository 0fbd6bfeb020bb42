//! Messages and walks: readers that stall, patterns that are slow to match, replies that nobody reads, logs without end.

use std::time::{Duration, Instant};

use super::driver::{all, each, info, none_fails, until, until_blocked};
use super::field::{Attack, Case, Room};
use super::support::client::encode;
use super::support::{Client, Outcome, Random};

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "patterns that are slow to match, PUBLISH",
            Room::of(10, 10),
            slow_patterns,
        ),
        Case::new(
            "patterns that are slow to match, KEYS and SCAN",
            Room::of(10, 10),
            slow_walks,
        ),
        Case::new("KEYS without end by many", Room::of(20, 20), keys_spam),
        Case::new("KEYS, replies unread", Room::of(40, 40), keys_unread),
        Case::new("SCAN with a huge COUNT", Room::of(20, 20), huge_scan),
        Case::new(
            "LRANGE of 5 MB, replies unread",
            Room::of(20, 20),
            ranges_unread,
        ),
        Case::new("MONITOR, readers stalled", Room::of(60, 60), monitors),
        Case::new("PUBLISH, readers stalled", Room::of(20, 20), subscribers),
        Case::new(
            "PUBLISH, readers stalled for a while",
            Room::of(20, 20),
            late_subscribers,
        ),
        Case::new(
            "tracking by prefix, readers stalled",
            Room::of(40, 40),
            trackers,
        ),
        Case::new(
            "SLOWLOG without limit",
            Room {
                short: (20, 20),
                full: (100, 100),
            },
            slow_log,
        )
        .with(&[
            "--slowlog-log-slower-than",
            "0",
            "--slowlog-max-len",
            "1000000",
        ]),
        Case::new(
            "CLIENT UNBLOCK against LPUSH",
            Room::of(10, 10),
            unblock_races,
        ),
        Case::new("CLIENT PAUSE", Room::of(5, 5), paused).alone(),
    ]
}

fn slow_patterns(attack: &Attack<'_>) -> String {
    let mut listener = attack.connect();
    listener.call(&["PSUBSCRIBE", &format!("{}b", "a*".repeat(20))]);
    let mut client = attack.connect();
    let start = Instant::now();
    for length in [100, 1_000, attack.size(10_000, 60_000)] {
        let channel = "a".repeat(length);
        assert_eq!(client.call(&["PUBLISH", &channel, "x"]).integer(), 0);
    }
    format!("{:.0?}", start.elapsed())
}

fn slow_walks(attack: &Attack<'_>) -> String {
    let mut client = attack.connect();
    let tail = "a".repeat(1_000);
    all(
        &mut client,
        1_000,
        |number| format!("SET a{number}:{tail} v"),
        "+OK",
    );
    let start = Instant::now();
    for pattern in [
        "a*a*a*a*b",
        "*a*a*a*a*b",
        "?*?*?*?*?*b",
        "[a-z]*[a-z]*[a-z]*b",
    ] {
        assert_eq!(client.call(&["KEYS", pattern]).items().len(), 0);
        let found = client.call(&["SCAN", "0", "MATCH", pattern, "COUNT", "100000"]);
        assert_eq!(found.items()[1].items().len(), 0);
    }
    format!("{:.0?}", start.elapsed())
}

fn fill(client: &mut Client, count: usize) {
    all(client, count, |number| format!("SET key:{number} v"), "+OK");
}

fn keys_spam(attack: &Attack<'_>) -> String {
    let mut control = attack.connect();
    fill(&mut control, attack.size(20_000, 500_000));
    let mut clients = attack.connections(40);
    let (start, mut done) = (Instant::now(), 0);
    clients
        .iter_mut()
        .for_each(|client| client.send_line("KEYS none*"));
    while start.elapsed() < attack.duration() {
        for client in &mut clients {
            assert_eq!(client.raw_reply(), b"*0\r\n");
            client.send_line("KEYS none*");
            done += 1;
        }
    }
    clients
        .iter_mut()
        .for_each(|client| drop(client.raw_reply()));
    format!("{done} walks")
}

fn keys_unread(attack: &Attack<'_>) -> String {
    let count = attack.size(20_000, 500_000);
    let mut control = attack.connect();
    fill(&mut control, count);
    let mut clients = attack.connections(30);
    clients
        .iter_mut()
        .for_each(|client| client.send_line("KEYS *"));
    let start = Instant::now();
    all(
        &mut control,
        2_000,
        |number| format!("SET key:{number} w"),
        "+OK",
    );
    let took = start.elapsed();
    let during = attack.resident_mb();
    // Whoever reads after all gets all of it.
    assert!(clients[0].reply().items().len() >= count);
    format!("{during} MB while unread, 2000 SET meanwhile {took:.0?}")
}

fn huge_scan(attack: &Attack<'_>) -> String {
    let count = attack.size(20_000, 500_000);
    let mut client = attack.connect();
    fill(&mut client, count);
    let found = client.run("SCAN 0 COUNT 100000000");
    // A part of the key space, or all of it.
    assert!(!found.items()[1].items().is_empty());
    String::new()
}

fn ranges_unread(attack: &Attack<'_>) -> String {
    let count = attack.size(10, 200);
    let mut control = attack.connect();
    let element = "x".repeat(500);
    none_fails(&mut control, 10_000, |_| format!("RPUSH list {element}"));
    let mut clients = attack.connections(count);
    clients
        .iter_mut()
        .for_each(|client| client.send_line("LRANGE list 0 -1"));
    let before = info(&mut control, "total_net_output_bytes");
    // Until all have begun to be answered.
    until("replies are on their way", || {
        info(&mut control, "total_net_output_bytes") > before + 100_000
    });
    let during = attack.resident_mb();
    assert_eq!(control.run("DEL list").integer(), 1);
    // Whoever reads after all gets all of it, though it is deleted.
    assert_eq!(clients[0].reply().items().len(), 10_000);
    format!("{count} clients, {during} MB while unread")
}

fn monitors(attack: &Attack<'_>) -> String {
    let count = attack.size(500, 20_000);
    let mut readers = attack.connections(20);
    for reader in &mut readers {
        assert_eq!(reader.run("MONITOR").to_string(), "+OK");
    }
    let mut client = attack.connect();
    let value = "x".repeat(2_000);
    all(
        &mut client,
        count,
        |number| format!("SET key:{} {value}", number % 10),
        "+OK",
    );
    let during = attack.resident_mb();
    format!("{count} commands of 2 KB, {during} MB while stalled")
}

fn subscribers(attack: &Attack<'_>) -> String {
    let count = attack.size(500, 20_000);
    let mut readers = attack.connections(50);
    readers
        .iter_mut()
        .for_each(|reader| drop(reader.run("SUBSCRIBE channel")));
    let mut client = attack.connect();
    let payload = "x".repeat(10_000);
    none_fails(&mut client, count, |_| format!("PUBLISH channel {payload}"));
    let during = attack.resident_mb();
    let left = client.run("PUBLISH channel end").integer();
    format!("{count} messages of 10 KB, {during} MB while stalled, {left} readers left")
}

/// They stall, but not for ever: what was published is there, in order.
fn late_subscribers(attack: &Attack<'_>) -> String {
    let count = attack.size(1_000, 5_000);
    let mut readers = attack.connections(5);
    readers
        .iter_mut()
        .for_each(|reader| drop(reader.run("SUBSCRIBE channel")));
    let mut client = attack.connect();
    let tail = "x".repeat(1_000);
    all(
        &mut client,
        count,
        |number| format!("PUBLISH channel {number}:{tail}"),
        ":5",
    );
    for reader in &mut readers {
        for number in 0..count {
            let message = reader.reply();
            let expected = format!("{number}:{tail}");
            assert_eq!(message.items()[2].text(), expected);
        }
    }
    format!("{count} messages")
}

fn trackers(attack: &Attack<'_>) -> String {
    let count = attack.size(3_000, 100_000);
    let mut readers = attack.connections(50);
    for reader in &mut readers {
        reader.run("HELLO 3");
        assert_eq!(reader.run("CLIENT TRACKING ON BCAST").to_string(), "+OK");
    }
    let mut client = attack.connect();
    all(
        &mut client,
        count,
        |number| format!("SET key:{number} v"),
        "+OK",
    );
    let during = attack.resident_mb();
    format!("{count} writes, {during} MB while stalled")
}

fn slow_log(attack: &Attack<'_>) -> String {
    let count = attack.size(3_000, 200_000);
    let mut client = attack.connect();
    let tail = "argument ".repeat(62);
    let line = |number: usize| format!("RPUSH list {number} {}", tail.trim_end());
    none_fails(&mut client, count, line);
    let during = attack.resident_mb();
    assert!(client.run("SLOWLOG LEN").integer() >= count as i64);
    assert_eq!(client.run("SLOWLOG RESET").to_string(), "+OK");
    client.run("CONFIG SET slowlog-log-slower-than -1");
    client.run("DEL list");
    format!("{count} entries, {during} MB")
}

/// What has come to clients that wait for an element, and they wait again: elements, and ends without one.
fn collect(clients: &mut [Client]) -> (usize, i64) {
    let (mut elements, mut nulls) = (0, 0);
    for client in clients {
        if let Outcome::Reply(reply) = client.poll(Duration::ZERO) {
            elements += usize::from(reply.starts_with(b"*2"));
            nulls += i64::from(reply.starts_with(b"*-1"));
            client.send_line("BLPOP queue 0");
        }
    }
    (elements, nulls)
}

/// Each element is delivered once or still there, whoever is unblocked when.
fn unblock_races(attack: &Attack<'_>) -> String {
    let rounds = attack.size(300, 10_000);
    let mut clients = attack.connections(20);
    let ids: Vec<i64> = clients.iter_mut().map(Client::id).collect();
    let (mut control, mut random) = (attack.connect(), Random::new(3));
    let (mut pushed, mut delivered, mut unblocked, mut ended) = (0, 0, 0, 0);
    clients
        .iter_mut()
        .for_each(|client| client.send_line("BLPOP queue 0"));
    for _ in 0..rounds {
        let mut bytes = Vec::new();
        let elements = random.below(5);
        (0..elements).for_each(|_| encode(&["LPUSH", "queue", "element"], &mut bytes));
        let targets: Vec<usize> = (0..5).map(|_| random.below(ids.len())).collect();
        for at in &targets {
            encode(&["CLIENT", "UNBLOCK", &ids[*at].to_string()], &mut bytes);
        }
        control.send_raw(&bytes);
        pushed += elements;
        (0..elements).for_each(|_| drop(control.raw_reply()));
        unblocked += (0..targets.len())
            .map(|_| control.reply().integer())
            .sum::<i64>();
        let (elements, nulls) = collect(&mut clients);
        delivered += elements;
        ended += nulls;
    }
    // What is left goes to those that wait; then all wait in vain and are let go.
    until("nothing is left", || {
        let (elements, nulls) = collect(&mut clients);
        delivered += elements;
        ended += nulls;
        delivered == pushed && ended == unblocked
    });
    until_blocked(&mut control, clients.len());
    assert_eq!(control.run("LLEN queue").integer(), 0);
    format!("{pushed} pushed and delivered, {unblocked} unblocked")
}

fn paused(attack: &Attack<'_>) -> String {
    let (mut control, mut reader, mut writer) =
        (attack.connect(), attack.connect(), attack.connect());
    assert_eq!(control.run("CLIENT PAUSE 600000 WRITE").to_string(), "+OK");
    writer.send_line("SET key value");
    for _ in 0..100 {
        assert_eq!(reader.run("GET key").to_string(), "nil");
    }
    until("the write is held", || {
        info(&mut control, "blocked_clients") == 1
    });
    assert_eq!(control.run("CLIENT UNPAUSE").to_string(), "+OK");
    assert_eq!(writer.reply().to_string(), "+OK");
    each(
        &mut reader,
        1,
        |_| "GET key".to_owned(),
        |_, reply| {
            assert_eq!(reply, b"$5\r\nvalue\r\n");
        },
    );
    String::new()
}
