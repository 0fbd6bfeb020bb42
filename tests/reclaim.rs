//! `millrace reclaim`, as cron starts it, and what its promises are worth.
//!
//! Times: an entry or consumer is idle once it has been left alone for MIN_IDLE, which the server
//! measures; tests wait until the server says so. A living consumer is one that the test makes ask
//! for something right before the pass.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "reclaim/dead_letters.rs"]
mod dead_letters;
mod peer;

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dead_letters::{field, one_delivered_three_times, range_last};
use peer::{Ended, Proxy, Server, call, millrace, run, try_call, until, with_each_server};
use redis::{Connection, Value};

/// What counts as idle here; long enough for a process to start on a busy machine.
const MIN_IDLE_MS: i64 = 1_000;

/// Above every ID in use: reading one's own pending entries behind it returns nothing and changes
/// no count, but shows a consumer living, in every version.
const NEAR_END: &str = "18446744073709551615-18446744073709551614";

/// The command line of a pass over stream `s`, group `g`, and `more`.
fn pass_command(url: &str, more: &str) -> std::process::Command {
    let line = format!("reclaim --url {url} --stream s --group g {more}");
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if !more.contains("--min-idle") {
        words.extend(["--min-idle", "1s"]);
    }
    millrace(&words)
}

/// One pass over `s`/`g` with JSON; panics unless it exits with 0.
fn pass(server: &Server, more: &str) -> serde_json::Value {
    let ended = run(pass_command(&server.url(), &format!("--json {more}")));
    assert_eq!(ended.code, 0, "{ended:?}");
    report(&ended)
}

/// What a pass reports about its only stream.
fn report(ended: &Ended) -> serde_json::Value {
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    report["streams"][0].clone()
}

/// Group `g` on `s` with `count` entries, all read by consumer `dead`.
fn given(connection: &mut Connection, count: usize) -> Vec<String> {
    call(connection, "XGROUP CREATE s g 0 MKSTREAM");
    let mut pipeline = redis::pipe();
    for n in 0..count {
        pipeline.cmd("XADD").arg("s").arg("*").arg("n").arg(n);
    }
    let ids: Vec<String> = pipeline.query(connection).unwrap();
    call(
        connection,
        &format!("XREADGROUP GROUP g dead COUNT {count} STREAMS s >"),
    );
    ids
}

fn alive(connection: &mut Connection, consumer: &str) {
    call(
        connection,
        &format!("XREADGROUP GROUP g {consumer} COUNT 1 STREAMS s {NEAR_END}"),
    );
}

/// id → (owner, deliveries), idle for any time.
fn pending(connection: &mut Connection) -> HashMap<String, (String, u64)> {
    pending_with_idle(connection)
        .into_iter()
        .map(|(id, owner, _, n)| (id, (owner, n)))
        .collect()
}

fn pending_with_idle(connection: &mut Connection) -> Vec<(String, String, i64, u64)> {
    let mut command = redis::cmd("XPENDING");
    command
        .arg("s")
        .arg("g")
        .arg("-")
        .arg("+")
        .arg(100_000)
        .query(connection)
        .unwrap()
}

fn owners(connection: &mut Connection) -> HashMap<String, usize> {
    let mut owners = HashMap::new();
    for (owner, _) in pending(connection).into_values() {
        *owners.entry(owner).or_default() += 1;
    }
    owners
}

/// Deliveries of all pending entries.
fn deliveries(connection: &mut Connection) -> HashSet<u64> {
    pending(connection)
        .into_values()
        .map(|(_, deliveries)| deliveries)
        .collect()
}

/// name → (pending, idle).
fn consumers(connection: &mut Connection) -> HashMap<String, (i64, i64)> {
    let all: Vec<HashMap<String, Value>> = redis::cmd("XINFO")
        .arg("CONSUMERS")
        .arg("s")
        .arg("g")
        .query(connection)
        .unwrap();
    let number = |value: &Value| redis::from_redis_value_ref::<i64>(value).unwrap();
    all.iter()
        .map(|fields| {
            let name = redis::from_redis_value_ref::<String>(&fields["name"]).unwrap();
            (name, (number(&fields["pending"]), number(&fields["idle"])))
        })
        .collect()
}

/// Waits until all pending entries and the consumers named are idle.
fn until_idle(connection: &mut Connection, names: &[&str]) {
    until("they are idle", || {
        let consumers = consumers(connection);
        pending_with_idle(connection)
            .iter()
            .all(|(_, _, idle, _)| *idle >= MIN_IDLE_MS)
            && names.iter().all(|&name| consumers[name].1 >= MIN_IDLE_MS)
    });
}

fn range(connection: &mut Connection, key: &str) -> Vec<(String, Vec<String>)> {
    redis::cmd("XRANGE")
        .arg(key)
        .arg("-")
        .arg("+")
        .query(connection)
        .unwrap()
}

fn count(reply: Value) -> i64 {
    redis::from_redis_value(reply).unwrap()
}

#[test]
fn entries_of_the_dead_go_to_the_least_loaded_living() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 10);
        until_idle(&mut connection, &["dead"]);
        // w2 holds two fresh entries already, which nobody may touch.
        call(&mut connection, "XADD s * n a");
        call(&mut connection, "XADD s * n b");
        call(&mut connection, "XREADGROUP GROUP g w2 STREAMS s >");
        alive(&mut connection, "w1");
        let report = pass(server, "");
        assert_eq!(report["looked_at"], 10);
        assert_eq!(report["handed_on"], 10);
        assert_eq!(report["living_consumers"], 2);
        let expected = HashMap::from([("w1".to_owned(), 6), ("w2".to_owned(), 6)]);
        assert_eq!(owners(&mut connection), expected);
        assert_eq!(
            deliveries(&mut connection),
            HashSet::from([1]),
            "JUSTID is no delivery"
        );
        // A worker that reads its own pending entries finds them, and that is a delivery.
        call(&mut connection, "XREADGROUP GROUP g w1 STREAMS s 0");
        assert_eq!(deliveries(&mut connection), HashSet::from([1, 2]));
    });
}

#[test]
fn a_pass_goes_through_all_pages() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 1_003);
        until_idle(&mut connection, &["dead"]);
        alive(&mut connection, "w1");
        let report = pass(server, "--count 10");
        assert_eq!(report["handed_on"], 1_003);
        assert_eq!(
            owners(&mut connection),
            HashMap::from([("w1".to_owned(), 1_003)])
        );
        // What is fresh again is not looked at again.
        alive(&mut connection, "w2");
        assert_eq!(pass(server, "--min-idle 1h")["looked_at"], 0);
    });
}

#[test]
fn a_consumer_named_by_to_gets_everything_alive_or_not() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 4);
        alive(&mut connection, "idle");
        until_idle(&mut connection, &["dead", "idle"]);
        alive(&mut connection, "w1");
        let dry = pass(server, "--to idle --dry-run");
        assert_eq!((&dry["handed_on"], &dry["stayed"]), (&4.into(), &0.into()));
        assert_eq!(pass(server, "--to idle")["handed_on"], 4);
        let expected = HashMap::from([("idle".to_owned(), 4)]);
        assert_eq!(owners(&mut connection), expected);
        // What it has already stays, and nobody is declared dead.
        until_idle(&mut connection, &["idle"]);
        alive(&mut connection, "w1");
        let ended = run(pass_command(&server.url(), "--to idle"));
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended
                .stdout
                .ends_with("s: 4 entries stay with idle, who has them already\n"),
            "{ended:?}"
        );
        assert_eq!(owners(&mut connection), expected);
    });
}

#[test]
fn a_consumer_named_by_to_must_exist_unless_it_may_be_made() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 2);
        until_idle(&mut connection, &["dead"]);
        for more in ["--to new", "--to new --dry-run", "--to new --quiet"] {
            let ended = run(pass_command(&server.url(), more));
            assert_eq!(ended.code, 1, "{ended:?}");
            let sentence = "millrace: cannot give entries to consumer 'new': group 'g' of stream 's' has no such \
                            consumer; give --create to make it\n";
            assert_eq!(ended.stderr, sentence);
            assert_eq!(
                owners(&mut connection),
                HashMap::from([("dead".to_owned(), 2)])
            );
            assert!(!consumers(&mut connection).contains_key("new"));
        }
        assert_eq!(pass(server, "--to new --create --dry-run")["handed_on"], 2);
        assert!(!consumers(&mut connection).contains_key("new"));
        assert_eq!(pass(server, "--to new --create")["handed_on"], 2);
        assert_eq!(
            owners(&mut connection),
            HashMap::from([("new".to_owned(), 2)])
        );
    });
}

#[test]
fn quiet_says_only_what_was_done_or_failed() {
    with_each_server(|server| {
        let mut connection = server.connect();
        let quiet = |more: &str| {
            let ended = run(pass_command(&server.url(), &format!("--quiet {more}")));
            (ended.code, ended.stdout, ended.stderr)
        };
        let silence = (0, String::new(), String::new());
        // No stream yet: no failure, also without --quiet, where it is said.
        assert_eq!(quiet(""), silence);
        assert_eq!(quiet("--json"), silence);
        let loud = run(pass_command(&server.url(), ""));
        assert_eq!((loud.code, loud.stderr.as_str()), (0, ""));
        assert!(
            loud.stdout.ends_with("s: does not exist (yet)\n"),
            "{loud:?}"
        );
        assert_eq!(pass(server, "")["exists"], false);
        // Entries that stay are nothing done.
        given(&mut connection, 2);
        until_idle(&mut connection, &["dead"]);
        assert_eq!(quiet(""), silence);
        alive(&mut connection, "w1");
        let (code, stdout, _) = quiet("");
        assert_eq!(code, 0);
        assert!(stdout.contains("s: dead -> w1: 2\n"), "{stdout}");
        // A failure is said: there is no such group.
        let mut command = millrace(&["reclaim", "--url", &server.url(), "--stream", "s"]);
        command.args(["--group", "none", "--min-idle", "1s", "--quiet"]);
        let ended = run(command);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert_eq!(
            ended.stderr,
            "millrace: cannot list the consumers of group 'none' of stream 's': the group does not exist\n"
        );
    });
}

#[test]
fn with_nobody_alive_entries_stay_and_the_exit_code_is_0() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 3);
        until_idle(&mut connection, &["dead"]);
        let before = pending(&mut connection);
        let ended = run(pass_command(&server.url(), ""));
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended
                .stdout
                .contains("s: no consumer is alive, 3 entries stay"),
            "{ended:?}"
        );
        assert!(ended.stdout.starts_with("STREAM"), "{ended:?}");
        assert_eq!(pending(&mut connection), before);
        assert_eq!(consumers(&mut connection).len(), 1);
    });
}

#[test]
fn an_owner_that_is_alive_keeps_what_nobody_else_can_take() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 2);
        until_idle(&mut connection, &["dead"]);
        alive(&mut connection, "dead");
        let report = pass(server, "");
        assert_eq!(
            (&report["stayed"], &report["living_consumers"]),
            (&2.into(), &1.into())
        );
        let idle = pending_with_idle(&mut connection);
        assert!(
            idle.iter().all(|(_, _, idle, _)| *idle >= MIN_IDLE_MS),
            "not refreshed in vain"
        );
    });
}

#[test]
fn ten_passes_with_only_a_non_reading_consumer_alive_leave_delivery_counts_unchanged() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 5);
        for _pass in 0..10 {
            until("all are idle", || {
                pending_with_idle(&mut connection)
                    .iter()
                    .all(|(_, _, idle, _)| *idle >= 400)
            });
            alive(&mut connection, "lazy");
            pass(
                server,
                "--min-idle 400ms --max-deliveries 2 --dead-letter d",
            );
            assert_eq!(deliveries(&mut connection), HashSet::from([1]));
            assert_eq!(pending(&mut connection).len(), 5);
        }
        assert_eq!(
            owners(&mut connection),
            HashMap::from([("lazy".to_owned(), 5)])
        );
        assert_eq!(count(call(&mut connection, "XLEN d")), 0);
    });
}

/// What workers and dead letters add up to, in the test below.
#[derive(Default)]
struct Tally {
    /// Entries whose XACK by a worker returned 1.
    acknowledged: Mutex<Vec<String>>,
    /// Workers so far: one that died comes back under a new name.
    workers: AtomicU64,
    over: AtomicBool,
}

/// A worker that reads `0` and `>`, acknowledges most entries and now and then dies with some.
fn mortal_worker(server: &Server, tally: &Tally, seed: u64) {
    let mut connection = server.connect();
    let mut random = seed;
    let mut next = move |limit: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % limit
    };
    let mut name = String::new();
    while !tally.over.load(Ordering::Relaxed) {
        if name.is_empty() || next(20) == 0 {
            name = format!("w{}", tally.workers.fetch_add(1, Ordering::Relaxed));
        }
        for id in ["0", ">"] {
            let read = format!("XREADGROUP GROUP g {name} COUNT 10 STREAMS s {id}");
            let reply: Option<redis::streams::StreamReadReply> =
                redis::from_redis_value(call(&mut connection, &read)).unwrap();
            let stream = reply.and_then(|reply| reply.keys.into_iter().next());
            for entry in stream.map(|stream| stream.ids).unwrap_or_default() {
                if next(3) == 0 {
                    continue; // too hard for today
                }
                if count(call(&mut connection, &format!("XACK s g {}", entry.id))) == 1 {
                    tally.acknowledged.lock().unwrap().push(entry.id);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(next(20)));
    }
}

#[test]
fn passes_while_workers_acknowledge_lose_and_double_nothing() {
    const ENTRIES: usize = 3_000;
    with_each_server(|server| {
        let mut connection = server.connect();
        call(&mut connection, "XGROUP CREATE s g 0 MKSTREAM");
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for seed in 1..=4 {
                let tally = &tally;
                scope.spawn(move || mortal_worker(server, tally, seed));
            }
            // Two reclaimers at once, as two crontabs may have it.
            let line = "--min-idle 60ms --max-deliveries 3 --dead-letter d --count 7 --every 20ms \
                        --drop-idle-consumers 1h";
            let mut reclaimers: Vec<_> = (0..2)
                .map(|_| {
                    pass_command(&server.url(), line)
                        .stdout(Stdio::null())
                        .spawn()
                        .unwrap()
                })
                .collect();
            for n in 0..ENTRIES {
                call(&mut connection, &format!("XADD s * n {n}"));
            }
            until("nothing is pending or unread", || {
                let group: Vec<HashMap<String, Value>> =
                    redis::from_redis_value(call(&mut connection, "XINFO GROUPS s")).unwrap();
                let last = range_last(&mut connection);
                let delivered: String =
                    redis::from_redis_value_ref(&group[0]["last-delivered-id"]).unwrap();
                delivered == last && group[0]["pending"] == Value::Int(0)
            });
            tally.over.store(true, Ordering::Relaxed);
            for reclaimer in &mut reclaimers {
                assert_eq!(
                    reclaimer.try_wait().unwrap(),
                    None,
                    "it runs until it is killed"
                );
                reclaimer.kill().unwrap();
                reclaimer.wait().unwrap();
            }
        });
        let all: HashSet<String> = range(&mut connection, "s")
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(all.len(), ENTRIES);
        let acknowledged = tally.acknowledged.into_inner().unwrap();
        let dead: Vec<String> = range(&mut connection, "d")
            .into_iter()
            .map(|(_, fields)| field(&fields, "id"))
            .collect();
        assert!(!dead.is_empty() && !acknowledged.is_empty());
        assert_eq!(acknowledged.len() + dead.len(), ENTRIES, "each ended once");
        let ended: HashSet<String> = acknowledged.into_iter().chain(dead).collect();
        assert_eq!(ended, all, "and none is missing");
    });
}

#[test]
fn a_pending_id_whose_entry_is_gone_is_acknowledged() {
    with_each_server(|server| {
        let mut connection = server.connect();
        let ids = given(&mut connection, 4);
        call(&mut connection, &format!("XDEL s {} {}", ids[1], ids[2]));
        until_idle(&mut connection, &["dead"]);
        // Also with nobody alive, and not into the dead letters.
        let report = pass(server, "--max-deliveries 1 --dead-letter d --dry-run");
        assert_eq!(
            (&report["gone"], &report["dead_lettered"]),
            (&2.into(), &2.into())
        );
        let report = pass(server, "");
        assert_eq!((&report["gone"], &report["stayed"]), (&2.into(), &2.into()));
        let left: HashSet<String> = pending(&mut connection).into_keys().collect();
        assert_eq!(left, HashSet::from([ids[0].clone(), ids[3].clone()]));
    });
}

#[test]
fn a_dry_run_says_what_a_pass_does_and_changes_nothing() {
    with_each_server(|server| {
        let mut connection = server.connect();
        let ids = one_delivered_three_times(&mut connection);
        call(&mut connection, &format!("XDEL s {}", ids[2]));
        alive(&mut connection, "w1");
        let line = "--max-deliveries 3 --dead-letter d --drop-idle-consumers 500ms";
        let state = |connection: &mut Connection| {
            let names: HashSet<String> = consumers(connection).into_keys().collect();
            (
                pending(connection),
                range(connection, "s"),
                range(connection, "d"),
                names,
            )
        };
        let before = state(&mut connection);
        let dry = pass(server, &format!("{line} --dry-run"));
        assert_eq!(state(&mut connection), before);
        assert!(
            pending_with_idle(&mut connection)
                .iter()
                .all(|(_, _, idle, _)| *idle >= MIN_IDLE_MS)
        );
        alive(&mut connection, "w1");
        let wet = pass(server, line);
        for column in [
            "looked_at",
            "handed_on",
            "dead_lettered",
            "gone",
            "stayed",
            "hand_overs",
        ] {
            assert_eq!(dry[column], wet[column], "{column}");
        }
        assert_eq!((&wet["handed_on"], &wet["gone"]), (&1.into(), &1.into()));
        let table = run(pass_command(&server.url(), "--dry-run"));
        assert!(
            table.stdout.ends_with("dry run: nothing was changed\n"),
            "{table:?}"
        );
    });
}

#[test]
fn idle_consumers_with_nothing_pending_are_dropped() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 2);
        call(&mut connection, "XGROUP CREATECONSUMER s g empty");
        until_idle(&mut connection, &["dead", "empty"]);
        alive(&mut connection, "w1");
        assert_eq!(
            pass(server, "--drop-idle-consumers 1h")["dropped_consumers"],
            serde_json::json!([])
        );
        // The first pass emptied `dead`.
        let dropped = pass(server, "--drop-idle-consumers 1s")["dropped_consumers"].clone();
        let dropped: HashSet<&str> = dropped
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(dropped, HashSet::from(["dead", "empty"]));
        assert_eq!(
            owners(&mut connection),
            HashMap::from([("w1".to_owned(), 2)])
        );
    });
}

#[test]
fn an_idle_consumer_with_entries_is_not_dropped() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 2);
        until_idle(&mut connection, &["dead"]);
        let report = pass(server, "--drop-idle-consumers 10ms");
        assert_eq!(report["dropped_consumers"], serde_json::json!([]));
        assert_eq!(pending(&mut connection).len(), 2);
    });
}

#[test]
fn a_consumer_that_gets_entries_while_it_is_dropped_is_named_and_loses_nothing() {
    with_each_server(|server| {
        let mut connection = server.connect();
        let ids = given(&mut connection, 2);
        call(&mut connection, "XGROUP CREATECONSUMER s g empty");
        until_idle(&mut connection, &["dead", "empty"]);
        let (id, mut other) = (ids[0].clone(), server.connect());
        let proxy = Proxy::start(server, move |request| {
            if request.contains("DELCONSUMER") {
                call(
                    &mut other,
                    &format!("XCLAIM s g empty 0 {id} RETRYCOUNT 7 JUSTID"),
                );
            }
        });
        let ended = run(pass_command(
            &proxy.url(),
            "--drop-idle-consumers 1s --json",
        ));
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains("consumer 'empty'"), "{ended:?}");
        assert!(ended.stderr.contains(&ids[0]), "{ended:?}");
        assert_eq!(
            pending(&mut connection)[&ids[0]],
            ("empty".to_owned(), 7),
            "put back"
        );
        assert_eq!(pending(&mut connection).len(), 2);
    });
}

#[test]
fn exit_code_1_when_a_command_fails_and_other_streams_are_still_done() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 1);
        call(&mut connection, "SET text x");
        until_idle(&mut connection, &["dead"]);
        alive(&mut connection, "w1");
        let url = server.url();
        let line = [
            "reclaim", "--url", &url, "--stream", "text", "s", "--group", "g",
        ];
        let mut command = millrace(&line);
        command.args(["--min-idle", "1s", "--json"]);
        let ended = run(command);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("cannot list the consumers of group 'g' of stream 'text': the server answered 'WRONGTYPE"),
            "{ended:?}"
        );
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(report["ok"], false);
        assert_eq!(report["streams"][1]["handed_on"], 1);
    });
}

#[test]
fn exit_code_1_when_the_server_cannot_be_reached() {
    for more in ["", "--every 1s", "--json"] {
        let ended = run(pass_command("redis://127.0.0.1:1", more));
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(
            ended.stderr.contains("cannot connect to 127.0.0.1:1"),
            "{ended:?}"
        );
        assert_eq!(ended.stdout, "");
    }
    let ended = run(pass_command("nonsense", ""));
    assert_eq!(ended.code, 1, "{ended:?}");
}

#[test]
fn exit_code_2_for_a_command_line_that_makes_no_sense() {
    let base = "reclaim --stream s --group g";
    for wrong in [
        "",
        "--min-idle 5",
        "--min-idle 0ms",
        "--min-idle 5m --max-deliveries 3",
        "--min-idle 5m --dead-letter d",
        "--min-idle 5m --max-deliveries 3 --dead-letter d --delete",
        "--min-idle 5m --max-deliveries 3 --dead-letter s",
        "--min-idle 5m --count 0",
        "--min-idle 5m --bogus",
    ] {
        let line = format!("{base} {wrong}");
        let ended = run(millrace(&line.split_whitespace().collect::<Vec<_>>()));
        assert_eq!(ended.code, 2, "{wrong}: {ended:?}");
        assert_eq!(ended.stdout, "", "{wrong}");
    }
    let help = run(millrace(&["reclaim", "--help"]));
    assert_eq!(help.code, 0);
    assert!(
        help.stdout.contains("STREAMS <stream> 0"),
        "workers must read their own pending"
    );
}

#[test]
fn with_every_passes_repeat_and_hand_overs_do_not_make_the_dead_look_alive() {
    with_each_server(|server| {
        let mut connection = server.connect();
        given(&mut connection, 1);
        until_idle(&mut connection, &["dead"]);
        alive(&mut connection, "w1");
        let mut child = pass_command(&server.url(), "--every 50ms --json")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        until("the entry went to w1", || {
            owners(&mut connection) == HashMap::from([("w1".to_owned(), 1)])
        });
        // w1 dies. Another entry idles with `dead`; w1's age is from before the hand-over.
        let reads = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut living = std::io::BufRead::lines(reads).map(|line| {
            let report: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            report["streams"][0]["living_consumers"].as_u64().unwrap()
        });
        assert!(living.any(|count| count == 0), "nobody is alive in the end");
        let (_, idle) = consumers(&mut connection)["w1"];
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            idle < 10 * MIN_IDLE_MS,
            "and that was found out by passes, not by giving up"
        );
    });
}

#[test]
fn the_password_may_come_from_the_environment_and_is_never_shown() {
    for kind in peer::kinds() {
        let server = Server::start(&kind, &["--requirepass", "sesame"]);
        let url = format!("redis://:sesame@127.0.0.1:{}", server.port);
        let mut connection = redis::Client::open(url.as_str())
            .unwrap()
            .get_connection()
            .unwrap();
        call(&mut connection, "XGROUP CREATE s g 0 MKSTREAM");
        assert_eq!(run(pass_command(&url, "")).code, 0);
        let mut command = pass_command(&server.url(), "");
        command.env("MILLRACE_PASSWORD", "sesame");
        assert_eq!(run(command).code, 0);
        let ended = run(pass_command(&server.url(), ""));
        assert_eq!(ended.code, 1);
        assert!(ended.stderr.contains("cannot log in to"), "{ended:?}");
        let wrong = format!("redis://:secret@127.0.0.1:{}", server.port);
        let ended = run(pass_command(&wrong, ""));
        assert_eq!(ended.code, 1);
        assert!(!ended.stderr.contains("secret"), "{ended:?}");
    }
}

#[test]
fn names_that_are_not_text_are_handed_on_all_the_same() {
    with_each_server(|server| {
        let mut connection = server.connect();
        call(&mut connection, "XGROUP CREATE s g 0 MKSTREAM");
        call(&mut connection, "XADD s * n 1");
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP")
            .arg("g")
            .arg(b"\xff\x00dead")
            .arg("STREAMS")
            .arg("s")
            .arg(">");
        read.exec(&mut connection).unwrap();
        until("it is idle", || {
            let reply = try_call(&mut connection, "XPENDING s g IDLE 1000 - + 10").unwrap();
            reply.as_sequence().unwrap().len() == 1
        });
        alive(&mut connection, "w1");
        assert_eq!(pass(server, "")["handed_on"], 1);
    });
}
