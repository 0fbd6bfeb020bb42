//! Tables beside the keys: what is queued, watched, waited for, subscribed to, tracked. They take no more than redis-server's,
//! and what was in them is given back when it goes.

use super::driver::{all, each, info, none_fails, until, until_blocked, with_names};
use super::field::{Attack, Case, Room};
use super::support::Client;

/// Room that grows with the size of the case.
fn room(short: (u64, u64), full: (u64, u64)) -> Room {
    // What was freed in small pieces the C library keeps, for each thread its own: how much depends on who ran when.
    let kept_mb = 20;
    Room {
        short: (short.0 + kept_mb, short.1 + kept_mb),
        full,
    }
}

/// All of them. redis-server looks through all that a client watches for each WATCH: it is not asked to watch very many.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("MULTI, very much queued", room((10, 10), (40, 20)), queued),
        Case::new(
            "WATCH of very many keys",
            // What was freed in small pieces the C library keeps, for each thread its own.
            room((30, 30), (400, 400)),
            |attack| {
                let count = attack.size(50_000, 1_000_000);
                rounds(attack, 4, |client| {
                    all(client, count, |number| format!("WATCH key:{number}"), "+OK");
                })
            },
        )
        .ours_only(),
        Case::new(
            "WATCH of one key again and again",
            room((5, 5), (5, 5)),
            |attack| {
                let mut client = attack.connect();
                let count = attack.size(20_000, 100_000);
                all(&mut client, count, |_| "WATCH key".to_owned(), "+OK");
                String::new()
            },
        ),
        Case::new(
            "WATCH of other keys each time",
            room((25, 25), (25, 25)),
            watched_in_turns,
        )
        .ours_only(),
        Case::new(
            "SUBSCRIBE to very many channels",
            room((15, 15), (50, 40)),
            |attack| {
                let count = attack.size(50_000, 1_000_000);
                rounds(attack, attack.size(2, 4), |client| {
                    let line = |number| format!("SUBSCRIBE channel:{number}");
                    none_fails(client, count, line);
                })
            },
        ),
        Case::new(
            "PSUBSCRIBE to very many patterns",
            room((20, 20), (60, 60)),
            |attack| {
                let count = attack.size(10_000, 100_000);
                rounds(attack, 2, |client| {
                    let line = |number| format!("PSUBSCRIBE pattern:{number}:*");
                    none_fails(client, count, line);
                })
            },
        ),
        Case::new(
            "BLPOP of other keys each time",
            room((15, 15), (15, 15)),
            blocked_in_turns,
        ),
        Case::new(
            "BLPOP of very many keys by many",
            room((20, 20), (60, 40)),
            |attack| {
                let line = with_names("BLPOP", "queue:", attack.size(3_000, 50_000), "0");
                blocked(attack, &line)
            },
        ),
        Case::new(
            "XREAD BLOCK of very many streams by many",
            room((20, 20), (60, 40)),
            |attack| {
                let count = attack.size(3_000, 20_000);
                let line = with_names("XREAD BLOCK 0 STREAMS", "stream:", count, "");
                blocked(attack, &format!("{line}{}", " $".repeat(count)))
            },
        ),
        Case::new(
            "BLPOP of very many keys, then data",
            room((20, 20), (60, 60)),
            blocked_then_data,
        )
        .forgetful(),
        Case::new(
            "SUBSCRIBE, WATCH and BLPOP of very many names",
            room((20, 20), (20, 20)),
            all_three,
        ),
        Case::new(
            "CLIENT TRACKING of very many keys",
            room((20, 20), (40, 40)),
            |attack| {
                let count = attack.size(20_000, 200_000);
                rounds(attack, attack.size(2, 8), |client| {
                    client.run("HELLO 3");
                    client.run("CLIENT TRACKING ON");
                    none_fails(client, count, |number| format!("GET tracked:{number}"));
                })
            },
        ),
        Case::new(
            "CLIENT TRACKING of very many prefixes",
            room((10, 10), (20, 20)),
            prefixes,
        ),
    ]
}

/// A client comes, does something and leaves, again and again.
fn rounds(attack: &Attack<'_>, count: usize, run: impl Fn(&mut Client)) -> String {
    let mut told = Vec::new();
    let mut control = attack.connect();
    for _ in 0..count {
        let mut client = attack.connect();
        run(&mut client);
        let during = attack.resident_mb();
        let before = info(&mut control, "connected_clients");
        drop(client);
        until("it has left", || {
            info(&mut control, "connected_clients") < before
        });
        told.push(format!("{during} to {}", attack.resident_mb()));
    }
    format!("rounds, MB: {}", told.join(", "))
}

fn queued(attack: &Attack<'_>) -> String {
    let count = attack.size(20, 600);
    let mut client = attack.connect();
    client.run("MULTI");
    let value = "x".repeat(1 << 20);
    for _ in 0..count {
        assert_eq!(client.call(&["SET", "key", &value]).to_string(), "+QUEUED");
    }
    let during = attack.resident_mb();
    assert_eq!(client.run("DISCARD").to_string(), "+OK");
    format!("{during} MB while queued")
}

fn watched_in_turns(attack: &Attack<'_>) -> String {
    let mut client = attack.connect();
    let mut peak = 0;
    for round in 0..attack.size(12, 1200) {
        let line = with_names("WATCH", &format!("key:{round}:"), 5_000, "");
        assert_eq!(client.run(&line).to_string(), "+OK");
        match round % 3 {
            0 => client = attack.connect(),
            1 => drop(client.run("UNWATCH")),
            _ => drop(client.pipeline(&["MULTI", "EXEC"])),
        }
        peak = peak.max(attack.resident_mb());
    }
    format!("{peak} MB at most")
}

fn blocked_in_turns(attack: &Attack<'_>) -> String {
    let mut control = attack.connect();
    for round in 0..attack.size(12, 400) {
        let mut client = attack.connect();
        client.send_line(&with_names("BLPOP", &format!("key:{round}:"), 5_000, "0"));
        until_blocked(&mut control, 1);
        drop(client);
        until_blocked(&mut control, 0);
    }
    String::new()
}

/// Clients that wait for the same names, all of them; they leave.
fn blocked(attack: &Attack<'_>, line: &str) -> String {
    let mut control = attack.connect();
    let mut clients = attack.connections(20);
    clients.iter_mut().for_each(|client| client.send_line(line));
    until_blocked(&mut control, clients.len());
    let during = attack.resident_mb();
    drop(clients);
    until_blocked(&mut control, 0);
    format!("{during} MB while they wait")
}

fn blocked_then_data(attack: &Attack<'_>) -> String {
    let count = attack.size(2_000, 20_000);
    let mut told = Vec::new();
    for round in 0..attack.size(2, 4) {
        let line = with_names("BLPOP", &format!("queue:{round}:"), count, "0");
        told.push(blocked(attack, &line));
    }
    let mut control = attack.connect();
    let value = "x".repeat(1000);
    let line = |number: usize| format!("RPUSH list:{} {value}", number % 100);
    none_fails(&mut control, attack.size(20_000, 200_000), line);
    let during = attack.resident_mb();
    assert_eq!(control.run("FLUSHALL").to_string(), "+OK");
    format!("{}; {during} MB with data", told.join(", "))
}

fn all_three(attack: &Attack<'_>) -> String {
    let count = attack.size(4_000, 20_000);
    let mut control = attack.connect();
    let mut clients = attack.connections(10);
    let words = ["SUBSCRIBE", "WATCH"].map(|word| with_names(word, "name:", count, ""));
    for client in &mut clients {
        // In RESP3 a subscriber may go on.
        client.run("HELLO 3");
        client.send_line(&words[0]);
        (0..count).for_each(|_| drop(client.raw_reply()));
        assert_eq!(client.run(&words[1]).to_string(), "+OK");
        client.send_line(&with_names("BLPOP", "name:", count, "0"));
    }
    until_blocked(&mut control, clients.len());
    let during = attack.resident_mb();
    drop(clients);
    until_blocked(&mut control, 0);
    format!("{during} MB while they wait")
}

fn prefixes(attack: &Attack<'_>) -> String {
    let count = attack.size(1_000, 20_000);
    let mut client = attack.connect();
    client.run("HELLO 3");
    let mut line = "CLIENT TRACKING ON BCAST".to_owned();
    (0..count).for_each(|number| line.push_str(&format!(" PREFIX p{number:05}")));
    assert_eq!(client.run(&line).to_string(), "+OK");
    let mut writer = attack.connect();
    each(
        &mut writer,
        100,
        |number| format!("SET p{number:05} v"),
        |_, reply| {
            assert_eq!(reply, b"+OK\r\n");
        },
    );
    String::new()
}
