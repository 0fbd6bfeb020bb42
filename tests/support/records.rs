//! What a server has in its records of the commands it answered, as facts to compare with another server's: commandstats,
//! errorstats, which commands the latency histogram names, the slow log.
//!
//! Times are left out, and the order of the slow log: of several connections nobody promises it.

use std::collections::BTreeMap;

use super::client::Client;
use super::frame::{Frame, printable_command};

/// Facts by name.
pub(crate) type Records = BTreeMap<String, String>;

/// Commands that wait. Redis 7.0 counts them when they begin to wait, 7.2 when they are answered.
const WAITING: &[&str] = &[
    "blpop",
    "brpop",
    "blmove",
    "brpoplpush",
    "blmpop",
    "bzmpop",
    "bzpopmax",
    "bzpopmin",
    "xread",
    "xreadgroup",
    "wait",
];

/// Makes a server log every command, and forget what it has in its records.
pub(crate) fn begin(client: &mut Client) {
    client.run("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 100000");
    client.run("CONFIG RESETSTAT");
    client.run("SLOWLOG RESET");
}

/// What is in the records since `begin`.
pub(crate) fn of(client: &mut Client) -> Records {
    let mut records = Records::new();
    let stats = client.run("INFO commandstats").text() + &client.run("INFO errorstats").text();
    for line in stats.lines() {
        let Some((name, facts)) = line.split_once(':') else {
            continue;
        };
        let counts = facts.split(',').filter(|fact| !fact.starts_with("usec"));
        let counts: Vec<&str> = counts.collect();
        records.insert(name.to_owned(), counts.join(" "));
    }
    let histograms = client.run("LATENCY HISTOGRAM");
    for name in histograms.items().iter().step_by(2) {
        records.insert(format!("histogram {}", name.text()), "there".to_owned());
    }
    for entry in client.run("SLOWLOG GET -1").items() {
        let words: Vec<&[u8]> = entry.items()[3].items().iter().map(Frame::bytes).collect();
        let line = format!("slow {}", printable_command(&words));
        let count = records.entry(line).or_insert_with(|| "0".to_owned());
        *count = (count.parse::<u64>().unwrap() + 1).to_string();
    }
    records
}

/// Where two servers' records differ, a line for each fact. `counts_waits_late`: both count a command that waits when it is
/// answered, as 7.2 does.
pub(crate) fn differences(
    ours: &Records,
    theirs: &Records,
    counts_waits_late: bool,
) -> Vec<String> {
    let names = ours.keys().chain(theirs.keys());
    let mut differences: Vec<String> = names
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .filter(|name| counts_waits_late || !is_of_waiting(name))
        .map(|name| {
            format!(
                "{name}: {:?}, oracle {:?}",
                ours.get(name),
                theirs.get(name)
            )
        })
        .collect();
    differences.sort();
    differences.dedup();
    differences
}

fn is_of_waiting(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let subject = name.trim_start_matches("cmdstat_");
    let subject = subject.trim_start_matches("histogram ");
    let subject = subject.trim_start_matches("slow ");
    let command = subject.split(' ').next().unwrap_or_default();
    // 7.0 logs a wait that CLIENT UNBLOCK ended without its words, and calls a client unblocked whose stream is gone.
    let code = subject.trim_start_matches("errorstat_");
    command.is_empty()
        || WAITING.contains(&command)
        || ["unblocked", "nogroup", "wrongtype"].contains(&code)
}
