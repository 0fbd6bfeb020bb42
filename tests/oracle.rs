//! Generated commands on one connection, and generated scripts, raw replies compared with a live oracle.
//!
//! Environment, besides that of `support`:
//! - `MILLRACE_SEED`: run this seed only.
//! - `MILLRACE_SEED_FIRST`: where the seeds begin (default 1).
//! - `MILLRACE_COMMANDS`: how many commands in total, over all shard counts (default 200,000).
//! - `MILLRACE_SCRIPTS`: how many scripts in total, over all shard counts (default 6,000).
//! - `MILLRACE_DIFFERENCES`: how many differences to collect before giving up (default 1).
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "oracle/generator.rs"]
mod generator;
#[path = "oracle/normalise.rs"]
mod normalise;
#[path = "oracle/order.rs"]
mod order;
#[path = "oracle/runner.rs"]
mod runner;
#[path = "oracle/scripts.rs"]
mod scripts;
mod support;

use std::collections::BTreeSet;
use std::io::Write;

use generator::{Generator, Kind, dialect_of};
use runner::{Pair, report};
use scripts::ScriptPair;
use support::random::number_from_environment;
use support::{Server, shard_counts};

/// Commands of one run, before the comparison of everything stored.
const COMMANDS_PER_SEED: usize = 400;

/// Runs seeds until `commands` have been sent; the reports of the differences found.
fn run_seeds(shards: usize, commands: u64) -> Vec<String> {
    let ours = Server::millrace(shards);
    let theirs = Server::oracle();
    let pair = Pair {
        ours: &ours,
        theirs: &theirs,
        dialect: dialect_of(&theirs),
        tamper: None,
    };
    let wanted = usize::try_from(number_from_environment("MILLRACE_DIFFERENCES", 1)).unwrap();
    let only = std::env::var("MILLRACE_SEED")
        .ok()
        .map(|_| number_from_environment("MILLRACE_SEED", 0));
    let first = only.unwrap_or_else(|| number_from_environment("MILLRACE_SEED_FIRST", 1));
    let runs = if only.is_some() {
        1
    } else {
        commands.div_ceil(COMMANDS_PER_SEED as u64)
    };
    let mut reports = Vec::new();
    let mut known = BTreeSet::new();
    for seed in first..first + runs {
        let steps = Generator::new(seed, pair.dialect).steps(COMMANDS_PER_SEED);
        let Some(difference) = pair.first_difference(&steps) else {
            continue;
        };
        let (fewest, last) = pair.shrink(&steps, &difference);
        // One report for each command and beginning of our answer.
        let kind: String = last.ours.chars().take(12).collect();
        if known.insert((last.words[0].to_ascii_uppercase(), kind)) {
            let text = report(seed, [&ours.name, &theirs.name], &fewest, &last);
            // At once: a run that is stopped must not keep what it found to itself.
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            reports.push(text);
        }
        if reports.len() >= wanted {
            break;
        }
    }
    reports
}

/// Compares with each shard count on a thread of its own.
fn compare(counts: Vec<usize>, run: impl Fn(usize) -> Vec<String> + Copy + Send + 'static) {
    let runs: Vec<_> = counts
        .into_iter()
        .map(|shards| std::thread::spawn(move || run(shards)))
        .collect();
    let reports: Vec<String> = runs
        .into_iter()
        .flat_map(|run| run.join().unwrap())
        .collect();
    assert!(
        reports.is_empty(),
        "{} differences:\n{}",
        reports.len(),
        reports.join("\n")
    );
}

#[test]
fn generated_commands_are_answered_as_the_oracle_answers_them() {
    let counts = shard_counts();
    let each = number_from_environment("MILLRACE_COMMANDS", 200_000) / counts.len() as u64;
    compare(counts, move |shards| run_seeds(shards, each));
}

/// Scripts of one seed.
const SCRIPTS_PER_SEED: u64 = 50;

/// Runs seeds until so many scripts have run; the reports of the differences found.
fn run_scripts(shards: usize, count: u64) -> Vec<String> {
    let ours = Server::millrace(shards);
    let theirs = Server::oracle();
    let pair = ScriptPair::new(&ours, &theirs);
    let wanted = usize::try_from(number_from_environment("MILLRACE_DIFFERENCES", 1)).unwrap();
    let only = std::env::var_os("MILLRACE_SEED").is_some();
    let first = number_from_environment("MILLRACE_SEED_FIRST", 1);
    let seeds = if only {
        let seed = number_from_environment("MILLRACE_SEED", 0);
        seed..seed + 1
    } else {
        first..first + count.div_ceil(SCRIPTS_PER_SEED)
    };
    seeds
        .filter_map(|seed| pair.first_difference(seed, SCRIPTS_PER_SEED as usize))
        .take(wanted)
        .collect()
}

#[test]
fn generated_scripts_are_answered_as_the_oracle_answers_them() {
    let counts = shard_counts();
    let each = number_from_environment("MILLRACE_SCRIPTS", 6_000) / counts.len() as u64;
    compare(counts, move |shards| run_scripts(shards, each));
}

#[test]
fn a_flipped_byte_in_the_reply_to_a_script_is_caught() {
    let [ours, theirs] = [Server::oracle(), Server::oracle()];
    let mut pair = ScriptPair::new(&ours, &theirs);
    assert_eq!(pair.first_difference(7, 20), None, "an oracle and itself");
    for number in [0, 7, 19] {
        pair.flipped = Some(number);
        let report = pair.first_difference(7, 20).expect("the flipped byte");
        assert!(report.contains(&format!("script {number}")), "{report}");
    }
}

#[test]
fn a_flipped_byte_in_any_reply_is_caught() {
    let ours = Server::oracle();
    let theirs = Server::oracle();
    let dialect = dialect_of(&theirs);
    let mut caught = 0;
    for seed in 1..=40 {
        let steps = Generator::new(seed, dialect).steps(60);
        // A reply of which every byte counts: normalisers may hide one in a clock reading.
        let exact: &[&[u8]] = &[
            b"LRANGE", b"LLEN", b"XLEN", b"GET", b"STRLEN", b"XACK", b"TYPE", b"XDEL", b"LPUSH",
        ];
        let target = steps
            .iter()
            .rposition(|step| step.kind == Kind::Command && exact.contains(&&step.words[0][..]));
        let Some(target) = target else { continue };
        let tamper = move |step: usize, reply: &mut Vec<u8>| {
            if step == target {
                // The last byte before CRLF: a digit, a letter of an error, the end of a value.
                let at = reply.len() - 3;
                reply[at] ^= 1;
            }
        };
        let pair = Pair {
            ours: &ours,
            theirs: &theirs,
            dialect,
            tamper: Some(Box::new(tamper)),
        };
        let found = pair
            .first_difference(&steps)
            .expect("the flipped byte must be noticed");
        assert_eq!(found.step, target, "and in its place, not {found:?}");
        caught += 1;
    }
    assert!(
        caught >= 20,
        "the self-test must meet replies to flip: {caught}"
    );
}

#[test]
fn every_accepted_difference_has_a_name_and_a_reason() {
    let mut names = BTreeSet::new();
    for normaliser in normalise::NORMALISERS
        .iter()
        .chain(order::ORDERS)
        .chain(normalise::VERSION_DIFFERENCES)
        .chain(normalise::SINCE_86)
        .chain(normalise::NEWER_THAN_ALL)
        .chain(normalise::ONLY_86)
    {
        assert!(
            names.insert(normaliser.name),
            "{} is listed twice",
            normaliser.name
        );
        assert!(
            normaliser.reason.len() > 10,
            "{} needs its reason",
            normaliser.name
        );
    }
}
