//! What a snapshot costs, for people to read:
//! `cargo test --profile fast --lib snapshot_measure -- --ignored --nocapture --test-threads 1`.
#![allow(clippy::print_stdout, reason = "figures are what it is for")]

use rustix::time::{ClockId, clock_gettime};

use crate::command::testing::Bench;
use crate::keyspace::event::EventClass;
use crate::keyspace::snapshot::Progress;

const KEYS: u64 = 1_000_000;
const ELEMENTS: u64 = 1_000_000;

/// CPU time of this thread, ns.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What work takes, ns.
fn took(work: impl FnOnce()) -> u64 {
    let begin_ns = cpu_ns();
    work();
    cpu_ns() - begin_ns
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.keyspaces[0].policy.notify = EventClass(0);
    bench.keyspaces[0].effects.set_recording(false);
    bench
}

/// Walks to the end; the longest step, how many steps and the time of all, ns.
fn walk(bench: &mut Bench, budget: usize) -> (u64, u64, u64) {
    let (mut longest, mut steps, mut all) = (0, 0, 0);
    let mut given = Vec::new();
    loop {
        let mut progress = Progress::Going;
        let step_ns = took(|| progress = bench.keyspaces[0].step_snapshot(budget, &mut given));
        (longest, steps, all) = (longest.max(step_ns), steps + 1, all + step_ns);
        // Another thread frees what was encoded.
        given.clear();
        if progress == Progress::Done {
            return (longest, steps, all);
        }
    }
}

fn set_all(bench: &mut Bench, value: &str) -> u64 {
    let mut key = *b"key:00000000";
    took(|| {
        for number in 0..KEYS {
            // Not in the order of their coming.
            let number = number * 7_919 % KEYS;
            key[4..].copy_from_slice(format!("{number:08}").as_bytes());
            bench.run(&[b"SET".as_slice(), &key, value.as_bytes()]);
        }
    })
}

#[test]
#[ignore = "measures"]
fn what_a_walk_over_small_strings_takes() {
    for bytes in [10, 100, 1000] {
        let mut bench = bench();
        let value = "x".repeat(bytes);
        set_all(&mut bench, &value);
        let alone = set_all(&mut bench, &value) / KEYS;
        let begin = took(|| drop(bench.keyspaces[0].begin_snapshot()));
        let (longest, steps, all) = walk(&mut bench, 1000);
        bench.keyspaces[0].begin_snapshot();
        let unwritten = set_all(&mut bench, &value) / KEYS;
        let ahead = bench.keyspaces[0].snapshot_bytes() as u64 / KEYS;
        let written = set_all(&mut bench, &value) / KEYS;
        println!(
            "{bytes:4} bytes: begin {begin} ns, entry {} ns, longest of {steps} steps of 1000 {longest} ns; \
             SET {alone} ns, first in a walk {unwritten}, second {written}; {ahead} bytes kept for each",
            all / KEYS,
        );
    }
}

/// Commands that make a value of [`ELEMENTS`] elements.
fn fill(bench: &mut Bench, words: impl Fn(u64) -> Vec<String>) {
    for number in 0..ELEMENTS {
        bench.run(&words(number));
    }
}

#[test]
#[ignore = "measures"]
fn what_the_share_of_a_large_value_takes() {
    let kinds = [
        "list",
        "hash",
        "set",
        "sorted set",
        "stream",
        "pending",
        "hash ends",
        "consumers",
    ];
    for kind in kinds {
        for bytes in [10, 100] {
            let mut bench = bench();
            let text = "x".repeat(bytes - 8);
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            if kind == "pending" || kind == "consumers" {
                bench.line("XGROUP CREATE k g 0 MKSTREAM");
            }
            fill(&mut bench, |n| {
                let element = format!("{n:08}{text}");
                match kind {
                    "list" => owned(&["RPUSH", "k", &element]),
                    "set" => owned(&["SADD", "k", &element]),
                    "sorted set" => {
                        owned(&["ZADD", "k", &(n * 7_919 % 1_000_003).to_string(), &element])
                    }
                    "stream" | "pending" => owned(&["XADD", "k", "*", "f", &element]),
                    "consumers" if n > 10_000 => owned(&["PING"]),
                    "consumers" => owned(&["XGROUP", "CREATECONSUMER", "k", "g", &element]),
                    _ => owned(&["HSET", "k", &element, "1"]),
                }
            });
            if kind == "pending" {
                bench.line("XREADGROUP GROUP g c STREAMS k >");
            }
            if kind == "hash ends" {
                fill(&mut bench, |n| {
                    owned(&[
                        "HPEXPIRE",
                        "k",
                        "1000000",
                        "FIELDS",
                        "1",
                        &format!("{n:08}{text}"),
                    ])
                });
            }
            let mut words = vec!["SET".to_owned(), "other".to_owned()];
            words.push("y".repeat(64 << 20));
            bench.run(&words);
            bench.keyspaces[0].begin_snapshot();
            let mut given = Vec::new();
            let share = took(|| {
                bench.keyspaces[0].step_snapshot(2, &mut given);
            });
            let first = match kind {
                "list" => "RPUSH k 1",
                "set" => "SADD k 1",
                "sorted set" => "ZADD k 1 1",
                "stream" => "XADD k * f 1",
                "pending" => "XACK k g 1700000000000-500000",
                "consumers" => "XGROUP CREATECONSUMER k g 1",
                _ => "HSET k f 1",
            };
            let change = took(|| drop(bench.line(first)));
            let parts = given
                .iter()
                .map(|given| given.entry.value.part_count())
                .max();
            println!(
                "{kind:10} {bytes:3}: share {share} ns of {parts:?} parts, first change {change} ns"
            );
        }
    }
}
