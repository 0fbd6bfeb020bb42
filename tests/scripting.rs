//! Scripts and functions against recorded answers: what a 7.2 answered, byte for byte, with 1 and 4 shards.
//!
//! The cases are in `scripting/cases/*.txt`, recorded in place by `scripts/record-script-cases.py`. A case is a paragraph; it
//! starts on an empty server with connections of its own. Its lines:
//! - `# …`: a remark.
//! - `eval SCRIPT`: EVAL with no keys. Lines behind it that begin with `|` go on with the script.
//! - `> WORDS`: a command on connection 1, `2> WORDS` on connection 2. Words are bare or in double quotes with `\r \n \t \" \\ \xHH`;
//!   the word `<<` stands for the lines with `|` behind it.
//! - `2! WORDS`: a command whose reply is not looked at. `2- WORDS`: a command whose reply comes later. `2+`: the next reply.
//! - `info FIELDS`: those fields of INFO (without times; `field?`: whether it is above 0). `slowlog`: the words of its entries, the
//!   newest first. `until FIELD VALUE`: waits until INFO says so.
//! - `= REPLY`: what 7.2 answered, raw, as one line: `\n` stands for CR LF, and the last CR LF is left out.
//! - `7.0 REPLY`: what 7.0 answered where that differs. It is not compared, unless `scripting/intended.rs` says so.
//!
//! Environment, besides that of `support`: `MILLRACE_CASES`: only files whose name contains this.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "scripting/cases.rs"]
mod cases;
#[path = "scripting/intended.rs"]
mod intended;
#[path = "scripting/play.rs"]
mod play;
mod support;

use std::collections::BTreeSet;

use cases::{Case, all_cases};
use intended::{Answer, INTENDED};
use support::server::info_field;
use support::{Server, shard_counts};

/// Plays the cases with one shard count; a report for each step that was answered otherwise.
fn reports_of(cases: &[Case], shards: usize) -> Vec<String> {
    let mut server = Server::millrace(shards);
    let mut reports = Vec::new();
    for case in cases {
        let played = play::play(&server, case, shards);
        reports.extend(
            played
                .reports
                .iter()
                .map(|report| format!("{}: {report}", server.name)),
        );
        if played.has_ended {
            server = Server::millrace(shards);
        }
    }
    reports
}

#[test]
fn scripts_are_answered_as_recorded() {
    let cases = all_cases();
    assert!(!cases.is_empty(), "no cases were found");
    let reports: Vec<String> = std::thread::scope(|scope| {
        let cases = &cases;
        let runs: Vec<_> = shard_counts()
            .into_iter()
            .map(|shards| scope.spawn(move || reports_of(cases, shards)))
            .collect();
        runs.into_iter()
            .flat_map(|run| run.join().unwrap())
            .collect()
    });
    assert!(
        reports.is_empty(),
        "{} steps were answered otherwise:\n{}",
        reports.len(),
        reports.join("\n")
    );
}

#[test]
fn every_intended_difference_is_of_a_case_and_has_a_reason() {
    if std::env::var_os("MILLRACE_CASES").is_some() {
        return;
    }
    let cases = all_cases();
    let mut seen = BTreeSet::new();
    for difference in INTENDED {
        assert!(
            seen.insert(difference.step),
            "{} is listed twice",
            difference.step
        );
        assert!(
            difference.reason.len() > 10,
            "{} needs its reason",
            difference.step
        );
        let step = cases
            .iter()
            .flat_map(|case| &case.steps)
            .find(|step| step.text == difference.step)
            .unwrap_or_else(|| panic!("no case has the step {}", difference.step));
        match difference.answer {
            Answer::As70 => assert!(
                step.older.is_some(),
                "7.0 answers {} as 7.2 does",
                step.text
            ),
            Answer::Text(text) => assert_ne!(
                Some(text),
                step.expected.as_deref(),
                "{} is answered as recorded",
                step.text
            ),
        }
    }
}

/// Scripts of one queue, with its keys as KEYS: how many ran with some of the shards, and how many with all.
fn counts_of_scripts(options: &[&str]) -> [String; 2] {
    let server = Server::millrace_with(4, options);
    let mut client = server.connect();
    let names = [
        "wait", "active", "id", "meta", "events", "delayed", "failed", "paused",
    ];
    let keys: Vec<String> = names
        .iter()
        .map(|name| format!("bull:mail:{name}"))
        .collect();
    let script = "for i = 2, #KEYS do redis.call('SET', KEYS[i], i) end return redis.call('RPUSH', KEYS[1], ARGV[1])";
    for round in 1..=3 {
        let mut command = vec!["EVAL", script, "8"];
        command.extend(keys.iter().map(String::as_str));
        command.push("job");
        assert_eq!(client.call(&command).integer(), round, "{options:?}");
    }
    // Plain commands find what the scripts have written.
    assert_eq!(client.run("LLEN bull:mail:wait").integer(), 3);
    for (key, value) in keys.iter().zip(1..).skip(1) {
        assert_eq!(client.call(&["GET", key]).text(), value.to_string());
    }
    assert_eq!(client.run("DBSIZE").integer(), 8);
    let info = client.run("INFO stats").text();
    ["some", "all"].map(|kind| {
        let name = format!("millrace_scripts_with_{kind}_shards");
        info_field(&info, &name).unwrap()
    })
}

#[test]
fn the_keys_of_one_queue_are_on_one_shard_where_colocate_says_so() {
    assert_eq!(counts_of_scripts(&[]), ["0", "3"]);
    for patterns in ["bull:*:", "queues:* bull:*:"] {
        assert_eq!(counts_of_scripts(&["--colocate", patterns]), ["3", "0"]);
    }
    // It does not concern them.
    assert_eq!(counts_of_scripts(&["--colocate", "queues:*"]), ["0", "3"]);
}
