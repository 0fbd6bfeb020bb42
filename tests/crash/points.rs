//! The named points at which the server kills itself when `MILLRACE_CRASH_AT` says so.

use std::path::Path;

use super::plan::Plan;
use super::rounds::Campaign;
use super::support::Random;

/// The names. They must be those of `CrashPoint` in src/journal/storage.rs.
///
/// A file with one name a line may be given in their place: `MILLRACE_CRASH_POINTS`.
pub(crate) const POINTS: &[&str] = &[
    "log-write",
    "log-sync",
    "rewrite-cut",
    "rewrite-new-log",
    "rewrite-manifest",
    "rewrite-walk",
    "rewrite-base-rename",
    "rewrite-delete",
    "snapshot-cut",
    "snapshot-walk",
    "snapshot-rename",
    "recovery-begin",
    "recovery-truncate",
    "recovery-end",
    "shutdown-begin",
    "shutdown-end",
];

/// The names to try, and whether they were given from outside.
pub(crate) fn points() -> (Vec<String>, bool) {
    let given = std::env::var_os("MILLRACE_CRASH_POINTS");
    let text = given
        .as_ref()
        .map(|path| std::fs::read_to_string(path).unwrap());
    let names = match &text {
        Some(text) => text.lines().map(str::trim).collect(),
        None => POINTS.to_vec(),
    };
    let names = names.into_iter().filter(|name| !name.is_empty());
    (names.map(str::to_owned).collect(), given.is_some())
}

/// Ends the newest log in the middle of a command, as a kill during a write does.
fn tear(directory: &Path) {
    if let Some(path) = super::damage::newest_log(directory) {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"*3\r\n$3\r\nSET\r\n$12\r\nw0:unfin");
        std::fs::write(&path, bytes).unwrap();
    }
}

/// Ways to come to a point: as it is, with a torn log, the second time.
const WAYS: [&str; 3] = ["", "torn", ":2"];
/// A later time, at most.
const TIMES_MAX: usize = 300;

/// Brings the server to each point once, and then `more` times to try a later time at it; what is wrong, a line each.
pub(crate) fn run(plan: Plan, points: &[String], more: u64) -> Vec<String> {
    let mut random = Random::new(plan.seed);
    let mut campaign = Campaign::new(plan);
    let found = campaign
        .round()
        .and_then(|()| each_once(&mut campaign, points));
    if let Err(complaints) = found {
        return complaints;
    }
    for point in (0..more).flat_map(|_| points) {
        // It may not come by so often.
        let name = format!("{point}:{}", 2 + random.below(TIMES_MAX));
        if let Err(complaints) = campaign.round_to(&name) {
            return complaints;
        }
    }
    Vec::new()
}

fn each_once(campaign: &mut Campaign, points: &[String]) -> Result<(), Vec<String>> {
    let mut missed = Vec::new();
    for point in points {
        let mut is_reached = false;
        for way in WAYS {
            let name = match way {
                ":2" => format!("{point}:2"),
                _ => point.clone(),
            };
            if way == "torn" {
                campaign.stop();
                tear(campaign.directory());
            }
            is_reached = campaign.round_to(&name)?;
            if is_reached {
                break;
            }
        }
        if !is_reached {
            missed.push(format!("{point} was never reached"));
        }
    }
    match missed.is_empty() {
        true => Ok(()),
        false => Err(missed),
    }
}
