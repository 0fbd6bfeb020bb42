//! The named points at which the server kills itself when `MILLRACE_CRASH_AT` says so.

use std::path::Path;
use std::time::{Duration, Instant};

use millrace::journal::storage::CrashPoint;

use super::plan::{Mode, Plan};
use super::rounds::Campaign;
use super::support::Random;

/// Points that only a server with a log comes by.
const OF_THE_LOG: [CrashPoint; 13] = [
    CrashPoint::BeforeManifestRename,
    CrashPoint::AfterManifestRename,
    CrashPoint::AfterManifestSync,
    CrashPoint::AfterIncrementalCreated,
    CrashPoint::AfterLogWrite,
    CrashPoint::BeforeLogSync,
    CrashPoint::AfterLogSync,
    CrashPoint::AfterLogFill,
    CrashPoint::BeforeBaseRename,
    CrashPoint::AfterBaseRename,
    CrashPoint::BeforeDeleteHistory,
    CrashPoint::DuringDeleteHistory,
    CrashPoint::AfterDeleteHistory,
];
/// Points of a start with a log that is torn, or of a Redis before 7.
const OF_ITS_START: [CrashPoint; 4] = [
    CrashPoint::BeforeUpgradeRename,
    CrashPoint::AfterUpgradeRename,
    CrashPoint::BeforeTailCut,
    CrashPoint::AfterTailCut,
];

/// Whether a server that writes so comes by a point at all.
fn is_on_the_way(point: CrashPoint, mode: Mode) -> bool {
    let syncs_in_log = [CrashPoint::BeforeLogSync, CrashPoint::AfterLogSync];
    match mode {
        Mode::Rdb => !OF_THE_LOG.contains(&point) && !OF_ITS_START.contains(&point),
        // A round is over before the second is.
        Mode::Everysec | Mode::No => !syncs_in_log.contains(&point),
        Mode::Always => true,
    }
}

/// The names to try, those of [`CrashPoint`], and whether they were given from outside: a file with one name a line,
/// `MILLRACE_CRASH_POINTS`.
pub(crate) fn points(mode: Mode) -> (Vec<String>, bool) {
    let given = std::env::var_os("MILLRACE_CRASH_POINTS");
    let text = given
        .as_ref()
        .map(|path| std::fs::read_to_string(path).unwrap());
    let names: Vec<&str> = match &text {
        Some(text) => text.lines().map(str::trim).collect(),
        None => {
            let points = CrashPoint::ALL.into_iter();
            let points = points.filter(|point| is_on_the_way(*point, mode));
            points.map(CrashPoint::name).collect()
        }
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

/// Makes the log one of a Redis before 7: a single file. The base has all of it, nothing came after it.
fn unite(directory: &Path) {
    let log = directory.join("appendonlydir");
    let mut names = std::fs::read_dir(&log).unwrap().map(Result::unwrap);
    let is_base = |name: &str| name.contains(".base.");
    let base = names.find(|entry| is_base(&entry.file_name().to_string_lossy()));
    std::fs::rename(base.unwrap().path(), directory.join("appendonly.aof")).unwrap();
    std::fs::remove_dir_all(log).unwrap();
}

/// Ways to come to a point: as it is, with a torn log, with a log of one file, the second time.
const WAYS: [&str; 4] = ["", "torn", "united", ":2"];
/// For how long each is tried again where a busy machine does not let the writers come so far.
const PATIENCE: Duration = Duration::from_secs(90);
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
        let deadline = Instant::now() + PATIENCE;
        for (tries, way) in WAYS.into_iter().cycle().enumerate() {
            if tries >= WAYS.len() && Instant::now() >= deadline {
                break;
            }
            let name = match way {
                ":2" => format!("{point}:2"),
                _ => point.clone(),
            };
            if way == "torn" {
                campaign.stop();
                tear(campaign.directory());
            }
            if way == "united" {
                if !campaign.rewrite_and_stop() {
                    continue;
                }
                unite(campaign.directory());
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
