//! Many pending entries and many blocked readers: what commands cost does not grow with what they do not answer, and each
//! entry wakes those it is for.
//!
//! ```text
//! 10^4 and 10^6 pending:  DEBUG STREAM-STEPS ── command ── DEBUG STREAM-STEPS     at most three times the steps
//! 1,000 blocked clients:  a producer ──► server ──► each entry once, INFO's wake-ups within what was needed
//! ```
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::server::info_field;
use support::{Client, Frame, Server};

const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
/// Commands sent at once, IDs of one command.
const BATCH: usize = 10_000;

/// A stream `s` with `count` entries 1-0 …, all delivered to `c` of group `g`.
fn fill(client: &mut Client, count: usize) {
    client.run("FLUSHALL");
    client.run("XGROUP CREATE s g 0 MKSTREAM");
    for start in (1..=count).step_by(BATCH) {
        let lines: Vec<String> = (start..start + BATCH)
            .map(|n| format!("XADD s {n}-0 f v"))
            .collect();
        assert!(!client.pipeline(&lines)[BATCH - 1].is_error());
        client.raw_call(&words(&format!(
            "XREADGROUP GROUP g c COUNT {BATCH} STREAMS s >"
        )));
    }
    assert_eq!(pending_count(client), count as i64);
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

fn pending_count(client: &mut Client) -> i64 {
    client.run("XPENDING s g").items()[0].integer()
}

fn release_all(client: &mut Client, count: usize) {
    for start in (1..=count).step_by(BATCH) {
        let ids: Vec<String> = (start..start + BATCH).map(|n| format!("{n}-0")).collect();
        let line = format!("XNACK s g FAIL IDS {BATCH} {}", ids.join(" "));
        assert_eq!(client.run(&line).integer(), BATCH as i64);
    }
}

/// A situation, a command in it, and its steps.
type Costs = Vec<(&'static str, String, i64)>;

struct Meter<'c> {
    client: &'c mut Client,
    situation: &'static str,
    costs: Costs,
}

impl Meter<'_> {
    /// Runs a command, notes its steps, and gives its reply.
    fn run(&mut self, line: &str) -> Frame {
        self.client.run("DEBUG STREAM-STEPS s RESET");
        let reply = self.client.run(line);
        assert!(!reply.is_error(), "{line}: {reply}");
        let steps = self.client.run("DEBUG STREAM-STEPS s").integer();
        self.costs.push((self.situation, line.to_owned(), steps));
        reply
    }

    /// What reads or takes over pending entries after `idle` ms, for at most ten.
    fn run_all(&mut self, idle: u64) {
        self.run(&format!("XPENDING s g IDLE {idle} - + 10"));
        self.run(&format!("XPENDING s g IDLE {idle} - + 10 c"));
        self.run(&format!("XAUTOCLAIM s g d {idle} 0 COUNT 10"));
        self.run(&format!(
            "XREADGROUP GROUP g e COUNT 10 CLAIM {idle} STREAMS s >"
        ));
        self.run("XNACK s g FAIL IDS 3 9000-0 9001-0 5-0 FORCE");
        self.run("XACK s g 9000-0 9001-0 77-0");
    }
}

/// The steps of each command in each situation, with so many pending entries.
fn costs(client: &mut Client, count: usize) -> Costs {
    const LONG: u64 = 100_000_000;
    fill(client, count);
    let mut meter = Meter {
        client,
        situation: "all fresh but one",
        costs: Vec::new(),
    };
    let old = |at: usize| format!("XCLAIM s g c 0 {at}-0 IDLE {} JUSTID", 2 * LONG);
    meter.client.run(&old(count - 7));
    let found = meter.run(&format!("XPENDING s g IDLE {LONG} - + 10"));
    assert_eq!(found.items().len(), 1);
    let found = meter.run(&format!("XPENDING s g IDLE {LONG} - + 10 c"));
    assert_eq!(found.items().len(), 1);
    let taken = meter.run(&format!(
        "XREADGROUP GROUP g e COUNT 10 CLAIM {LONG} STREAMS s >"
    ));
    assert_eq!(taken.items()[0].items()[1].items().len(), 1);
    meter.client.run(&old(42));
    let taken = meter.run(&format!("XAUTOCLAIM s g d {LONG} 0 COUNT 10"));
    assert_eq!(taken.items()[1].items().len(), 1);
    assert_eq!(
        taken.items()[0].text(),
        "101-0",
        "the cursor moves by ten times COUNT"
    );
    assert!(
        meter
            .run(&format!(
                "XREADGROUP GROUP g e COUNT 10 CLAIM {LONG} STREAMS s >"
            ))
            .is_null()
    );
    meter.run_all(LONG);

    // Deliveries took longer than a millisecond.
    meter.situation = "all idle";
    meter.run_all(1);
    meter.situation = "all but one trimmed";
    meter.client.run("XTRIM s MAXLEN 1");
    meter.run_all(1);
    let left = meter.run("XREADGROUP GROUP g e COUNT 10 CLAIM 0 STREAMS s >");
    assert_eq!(left.items()[0].items()[1].items().len(), 1);

    fill(meter.client, count);
    release_all(meter.client, count);
    meter.situation = "all released";
    meter.run_all(LONG);
    meter.situation = "all released, all but one trimmed";
    meter.client.run("XTRIM s MAXLEN 1");
    meter.run_all(LONG);
    meter.costs
}

#[test]
fn the_cost_of_a_command_does_not_grow_with_what_is_pending() {
    let server = Server::millrace(1);
    let mut client = server.connect();
    client.timeout = Duration::from_secs(60);
    let (few, many) = (costs(&mut client, FEW), costs(&mut client, MANY));
    assert!(
        few.iter().map(|(.., steps)| steps).sum::<i64>() > 0,
        "steps are counted"
    );
    for ((situation, line, before), (_, _, after)) in few.iter().zip(&many) {
        eprintln!("{situation:34} {line:60} {before:6} → {after:6} steps");
        // Below a hundred it is the levels of the tree that count.
        let most = 3 * *before.max(&30);
        assert!(*after <= most, "{situation}, {line}: {before} → {after}");
        assert!(*after <= 3_000, "{situation}, {line}: {after}");
    }
}

const CONSUMERS: usize = 1_000;
const ENTRIES: usize = 100_000;
/// A test that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until so many clients are blocked.
fn wait_for_blocked(control: &mut Client, count: usize) {
    let wanted = format!("blocked_clients:{count}\r\n");
    let deadline = Instant::now() + PATIENCE;
    while !control.run("INFO clients").text().contains(&wanted) {
        assert!(Instant::now() < deadline, "never {count} blocked clients");
    }
}

fn counter(control: &mut Client, name: &str) -> u64 {
    let stats = control.run("INFO stats").text();
    info_field(&stats, name).unwrap().parse().unwrap()
}

/// What a thousand clients do, and one that gives them work.
struct Scene {
    name: &'static str,
    /// What consumer n sends again and again.
    ask: fn(usize) -> String,
    /// What a reply gives it.
    got: fn(&Frame) -> Vec<String>,
    /// What adds entry n.
    add: fn(usize) -> String,
    /// What ends every wait: with an error, or with the entry `stop` for each.
    stop: fn() -> Vec<String>,
}

const SCENES: &[Scene] = &[
    Scene {
        name: "XREADGROUP",
        ask: |n| format!("XREADGROUP GROUP g c{n} COUNT 10 BLOCK 0 STREAMS s >"),
        got: |reply| {
            let entries = reply.items()[0].items()[1].items().iter();
            entries.map(|entry| entry.items()[0].text()).collect()
        },
        add: |n| format!("XADD s {}-1 f v", n + 1),
        stop: || vec!["XGROUP DESTROY s g".to_owned()],
    },
    Scene {
        name: "BLPOP",
        ask: |_| "BLPOP l 0".to_owned(),
        got: |reply| vec![reply.items()[1].text()],
        add: |n| format!("RPUSH l {n}"),
        stop: || vec!["RPUSH l stop".to_owned(); CONSUMERS],
    },
];

/// Plays a scene; gives how many replies brought the entries.
fn play(server: &Server, scene: &Scene) -> u64 {
    let mut control = server.connect();
    let (results, received) = mpsc::channel::<Vec<String>>();
    std::thread::scope(|scope| {
        for n in 0..CONSUMERS {
            let (mut client, results) = (server.connect(), results.clone());
            client.timeout = PATIENCE;
            let run = move || {
                loop {
                    let reply = client.run(&(scene.ask)(n));
                    if reply.is_error() {
                        return;
                    }
                    let got = (scene.got)(&reply);
                    if got == ["stop"] {
                        return;
                    }
                    results.send(got).unwrap();
                }
            };
            let thread = std::thread::Builder::new().stack_size(256 * 1024);
            thread.spawn_scoped(scope, run).unwrap();
        }
        wait_for_blocked(&mut control, CONSUMERS);
        control.run("CONFIG RESETSTAT");
        let mut producer = server.connect();
        for start in (0..ENTRIES).step_by(100) {
            let lines: Vec<String> = (start..start + 100).map(scene.add).collect();
            assert!(
                producer
                    .pipeline(&lines)
                    .iter()
                    .all(|reply| !reply.is_error())
            );
        }
        let (mut seen, mut replies, mut count) = (BTreeSet::new(), 0, 0);
        while count < ENTRIES {
            let batch = received.recv_timeout(PATIENCE).expect("an entry was lost");
            replies += 1;
            count += batch.len();
            seen.extend(batch);
        }
        assert_eq!((seen.len(), count), (ENTRIES, ENTRIES), "each exactly once");
        wait_for_blocked(&mut control, CONSUMERS);
        let woken = counter(&mut control, "millrace_wakeups");
        let in_vain = counter(&mut control, "millrace_attempts_in_vain");
        eprintln!(
            "{}: {replies} replies, {woken} woken, {in_vain} attempts in vain",
            scene.name
        );
        assert!(
            woken > 0 && woken <= replies,
            "{woken} woken for {replies} replies"
        );
        // After each entry one more is tried, and finds nothing: no matter how many are behind it.
        assert!(in_vain <= ENTRIES as u64, "{in_vain} attempts in vain");
        for reply in control.pipeline(&(scene.stop)()) {
            assert!(!reply.is_error(), "{reply}");
        }
        replies
    })
}

#[test]
fn a_thousand_blocked_clients_get_each_entry_once_and_are_woken_no_more_than_needed() {
    for shards in [1, 2] {
        let server = Server::millrace(shards);
        server.connect().run("XGROUP CREATE s g $ MKSTREAM");
        for scene in SCENES {
            let start = Instant::now();
            play(&server, scene);
            let elapsed = start.elapsed();
            eprintln!("{} on {shards} shards: {elapsed:?}", scene.name);
            assert!(elapsed < PATIENCE, "{} took {elapsed:?}", scene.name);
        }
    }
}

/// The entries or elements that each of the clients got, of those that have a reply.
fn replies_of(clients: &mut [Client], got: fn(&Frame) -> Vec<String>) -> Vec<Vec<String>> {
    clients
        .iter_mut()
        .map(|client| got(&client.reply()))
        .collect()
}

#[test]
fn new_entries_wake_as_many_as_needed_the_longest_waiting_first() {
    for shards in [1, 2] {
        let server = Server::millrace(shards);
        let mut control = server.connect();
        control.run("XGROUP CREATE s g $ MKSTREAM");
        for scene in SCENES {
            let mut clients: Vec<Client> = Vec::new();
            for n in 0..9 {
                let mut client = server.connect();
                client.send_line(&(scene.ask)(n).replace("COUNT 10", "COUNT 3"));
                wait_for_blocked(&mut control, n + 1);
                clients.push(client);
            }
            control.run("CONFIG RESETSTAT");
            // The one that waits longest is gone when there is something for it.
            drop(clients.remove(0));
            wait_for_blocked(&mut control, 8);
            let lines = (0..7).map(scene.add);
            let lines = ["MULTI".to_owned()].into_iter().chain(lines);
            control.pipeline(&lines.chain(["EXEC".to_owned()]).collect::<Vec<_>>());
            let of = |numbers: std::ops::Range<usize>| -> Vec<String> {
                let name = |n: usize| {
                    if scene.name == "BLPOP" {
                        n.to_string()
                    } else {
                        format!("{}-1", n + 1)
                    }
                };
                numbers.map(name).collect()
            };
            let expected: Vec<Vec<String>> = if scene.name == "BLPOP" {
                (0..7).map(|n| of(n..n + 1)).collect()
            } else {
                vec![of(0..3), of(3..6), of(6..7)]
            };
            let woken = expected.len();
            assert_eq!(
                replies_of(&mut clients[..woken], scene.got),
                expected,
                "{}",
                scene.name
            );
            assert_eq!(counter(&mut control, "millrace_wakeups"), woken as u64);
            wait_for_blocked(&mut control, 8 - woken);
            for client in &mut clients[woken..] {
                client.expect_quiet(&mut control);
            }
            drop(clients);
            wait_for_blocked(&mut control, 0);
        }
    }
}

#[test]
fn a_trim_by_which_no_reference_counts_costs_the_same_with_many_groups() {
    let server = Server::millrace(1);
    let mut client = server.connect();
    let mut steps = Vec::new();
    for count in [10, 20_000] {
        client.run("FLUSHALL");
        let groups: Vec<String> = (0..count)
            .map(|n| format!("XGROUP CREATE s g{n} 0 MKSTREAM"))
            .collect();
        client.pipeline(&groups);
        client.run("DEBUG STREAM-STEPS s RESET");
        for _ in 0..20 {
            client.run("XADD s MAXLEN 10 * f v");
        }
        assert_eq!(client.run("XTRIM s MAXLEN 3").integer(), 7);
        steps.push(client.run("DEBUG STREAM-STEPS s").integer());
    }
    assert_eq!(steps[0], steps[1]);
}

/// Streams on different shards.
const STREAMS: [&str; 2] = ["a", "b"];
const TASKS: usize = 4_000;

#[test]
fn every_task_is_done_in_the_end_though_nothing_but_time_and_releases_wakes_the_workers() {
    for shards in [1, 2, 4] {
        let server = Server::millrace(shards);
        let mut control = server.connect();
        for stream in STREAMS {
            control.run(&format!("XGROUP CREATE {stream} g $ MKSTREAM"));
        }
        let (results, received) = mpsc::channel::<(i64, i64)>();
        std::thread::scope(|scope| {
            for n in 0..20 {
                let (client, results) = (server.connect(), results.clone());
                scope.spawn(move || work(client, n, &results));
            }
            let lines: Vec<String> = (0..TASKS)
                .map(|n| format!("XADD {} * f v", STREAMS[n % 2]))
                .collect();
            control.pipeline(&lines);
            let (mut done, mut deliveries) = (0, 0);
            while done < TASKS as i64 {
                let (acknowledged, delivered) = received
                    .recv_timeout(PATIENCE)
                    .expect("a task was forgotten");
                done += acknowledged;
                deliveries += delivered;
            }
            assert_eq!(done, TASKS as i64, "each is done once");
            assert!(deliveries > done, "some failed at first");
            let in_vain = counter(&mut control, "millrace_attempts_in_vain");
            eprintln!("{shards} shards: {deliveries} deliveries, {in_vain} attempts in vain");
            for stream in STREAMS {
                assert_eq!(
                    control.run(&format!("XPENDING {stream} g")).items()[0].integer(),
                    0
                );
                control.run(&format!("XGROUP DESTROY {stream} g"));
            }
        });
    }
}

/// Takes tasks and does most of them; some it gives back, some it forgets. Tells how many it has done and got.
fn work(mut client: Client, n: u64, results: &mpsc::Sender<(i64, i64)>) {
    client.timeout = PATIENCE;
    let mut random = support::Random::new(n);
    let (first, second) = (STREAMS[(n % 2) as usize], STREAMS[((n + 1) % 2) as usize]);
    let read = format!(
        "XREADGROUP GROUP g c{n} COUNT 5 MAXCOUNT 7 BLOCK 0 CLAIM 15 STREAMS {first} {second} > >"
    );
    loop {
        let reply = client.run(&read);
        if reply.is_error() {
            return;
        }
        let mut lines = Vec::new();
        for stream in reply.items() {
            let key = stream.items()[0].text();
            for entry in stream.items()[1].items() {
                let id = entry.items()[0].text();
                lines.push(match random.below(10) {
                    0 => format!("XNACK {key} g FAIL IDS 1 {id}"),
                    1 => "PING".to_owned(),
                    _ => format!("XACK {key} g {id}"),
                });
            }
        }
        let replies = client.pipeline(&lines);
        let done = lines
            .iter()
            .zip(&replies)
            .filter(|(line, _)| line.starts_with("XACK"));
        let done = done.map(|(_, reply)| reply.integer()).sum();
        results.send((done, lines.len() as i64)).unwrap();
    }
}

/// The two keys are of different shards where there are two.
#[test]
fn a_reader_that_one_shard_wakes_in_vain_misses_nothing_of_another() {
    let server = Server::millrace(2);
    let mut control = server.connect();
    for key in ["{k2}0", "k0"] {
        control.run(&format!("XGROUP CREATE {key} g 0 MKSTREAM"));
    }
    let until = Instant::now() + Duration::from_secs(4);
    let mut noise = server.connect();
    let noise = std::thread::spawn(move || {
        while Instant::now() < until {
            noise.run("XADD {k2}0 MAXLEN 0 * f v");
        }
    });
    let mut reader = server.connect();
    let (mut producer, mut count) = (server.connect(), 0);
    while Instant::now() < until {
        reader.send_line("XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS {k2}0 k0 > >");
        count += 1;
        let id = format!("{count}-0");
        producer.run(&format!("XADD k0 {id} f v"));
        // What was added may still lie in the first stream for a moment: it comes too, and k0's entry with it or next.
        while !reader.reply().to_string().contains(&id) {
            reader.send_line("XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS {k2}0 k0 > >");
        }
    }
    noise.join().unwrap();
    assert!(count > 50, "{count}");
}
