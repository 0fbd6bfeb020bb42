//! Eight connections in one total order, compared with a live oracle: blocking commands, WATCH and MULTI, publish/subscribe,
//! SELECT, CLIENT UNBLOCK and KILL, closing sockets, and every keyspace notification in its order.
//!
//! Environment, besides that of `support`:
//! - `MILLRACE_SEED`: run this seed only; `MILLRACE_SEED_FIRST`: where the seeds begin (default 1).
//! - `MILLRACE_STEPS`: how many steps in total, over all shard counts (default 60,000).
//! - `MILLRACE_DIFFERENCES`: how many differences to collect before giving up (default 1).
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "multi/generator.rs"]
mod generator;
#[path = "multi/runner.rs"]
mod runner;
mod support;

/// What the generated commands on one connection and these share.
mod oracle {
    #![allow(
        dead_code,
        reason = "only the words, the dialect and the normalisers are used here"
    )]
    #[path = "../oracle/generator.rs"]
    pub(crate) mod generator;
    #[path = "../oracle/normalise.rs"]
    pub(crate) mod normalise;
    #[path = "../oracle/order.rs"]
    pub(crate) mod order;
}

use std::io::Write;

use generator::Generator;
use oracle::generator::dialect_of;
use runner::{first_difference, readable_step, shrink};
use support::random::number_from_environment;
use support::{Server, shard_counts};

/// Steps of one run.
const STEPS_PER_SEED: usize = 300;

fn run_seeds(shards: usize, steps_wanted: u64) -> Vec<String> {
    let ours = Server::millrace(shards);
    let theirs = Server::oracle();
    let dialect = dialect_of(&theirs);
    let wanted = usize::try_from(number_from_environment("MILLRACE_DIFFERENCES", 1)).unwrap();
    let only = std::env::var("MILLRACE_SEED")
        .ok()
        .map(|_| number_from_environment("MILLRACE_SEED", 0));
    let mut seed = only.unwrap_or_else(|| number_from_environment("MILLRACE_SEED_FIRST", 1));
    let mut reports = Vec::new();
    let mut steps_made = 0;
    while steps_made < steps_wanted && reports.len() < wanted {
        let steps = Generator::new(seed, dialect).steps(STEPS_PER_SEED);
        let (difference, made) = first_difference(&ours, &theirs, &steps, dialect);
        steps_made += made as u64;
        if let Some(difference) = difference {
            let (fewest, last) = shrink(&ours, &theirs, &steps, &difference, dialect);
            let lines: Vec<String> = fewest
                .iter()
                .map(|step| format!("  {}", readable_step(step)))
                .collect();
            let text = format!(
                "{} and {} differ; replay with MILLRACE_SEED={seed}\n{}\n{}\n",
                ours.name,
                theirs.name,
                lines.join("\n"),
                last.text
            );
            // At once: a run that is stopped must not keep what it found to itself.
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            reports.push(text);
        }
        if only.is_some() {
            break;
        }
        seed += 1;
    }
    reports
}

#[test]
fn eight_connections_receive_what_they_receive_from_the_oracle() {
    let counts = shard_counts();
    let each = number_from_environment("MILLRACE_STEPS", 60_000) / counts.len() as u64;
    let runs: Vec<_> = counts
        .into_iter()
        .map(|shards| std::thread::spawn(move || run_seeds(shards, each)))
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
