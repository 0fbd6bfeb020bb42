//! Proof by crash: writers of every kind, SIGKILL at random moments and at named points, and after each start a comparison of
//! everything that is there with everything that was acknowledged. Nothing is lost, nothing is there twice, no transaction by half.
//!
//! - `crash/plan.rs`: what is run, and the environment. `crash/rounds.rs`: a round. `crash/points.rs`: the named points.
//! - `crash/process.rs`: the server. `crash/writer.rs`, `generate.rs`: the writers. `crash/disturb.rs`: rewrites and snapshots.
//! - `crash/history.rs`: a writer's own keys against the twin in `model.rs`, `lists.rs`, `records.rs`, `streams.rs`.
//! - `crash/queues.rs`, `groups.rs`, `transfers.rs`: the laws of keys that writers share. `crash/observe.rs` reads everything.
//! - `crash/cases.rs`: single cases that rounds come to seldom.
//! - `crash/damage.rs`: what is done to files to see that it is noticed.
//!
//! Here it is short; scripts/crash.sh runs as many rounds as one likes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "crash/cases.rs"]
mod cases;
#[path = "crash/damage.rs"]
mod damage;
#[path = "crash/disturb.rs"]
mod disturb;
#[path = "crash/generate.rs"]
mod generate;
#[path = "crash/groups.rs"]
mod groups;
#[path = "crash/history.rs"]
mod history;
#[path = "crash/lists.rs"]
mod lists;
#[path = "crash/model.rs"]
mod model;
#[path = "crash/observe.rs"]
mod observe;
#[path = "crash/plan.rs"]
mod plan;
#[path = "crash/points.rs"]
mod points;
#[path = "crash/process.rs"]
mod process;
#[path = "crash/queues.rs"]
mod queues;
#[path = "crash/records.rs"]
mod records;
#[path = "crash/rounds.rs"]
mod rounds;
#[path = "crash/streams.rs"]
mod streams;
mod support;
#[path = "crash/transfers.rs"]
mod transfers;
#[path = "crash/writer.rs"]
mod writer;

use std::path::Path;

use cases::Case;
use plan::{Kind, Mode, Plan};
use rounds::{Campaign, Ending};
use support::expect_reply;

/// Runs rounds; on a failure the directory is kept where `MILLRACE_CRASH_KEEP` says, or not at all.
fn campaign(plan: Plan) {
    let (rounds, seed, mode) = (plan.rounds, plan.seed, plan.mode);
    let mut campaign = Campaign::new(plan);
    for _ in 0..rounds {
        if let Err(complaints) = campaign.round() {
            let kept = std::env::var_os("MILLRACE_CRASH_KEEP").map(|_| campaign.keep());
            let text = complaints.join("\n");
            panic!("seed {seed}, {mode:?}: {text}\nfiles: {kept:?}");
        }
    }
    println!("{mode:?}: {rounds} rounds, {:?}", campaign.totals);
}

#[test]
fn nothing_acknowledged_is_lost_with_a_log_synced_before_each_reply() {
    campaign(Plan::short(Mode::Always, 12));
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill_with_a_log_synced_every_second() {
    campaign(Plan::short(Mode::Everysec, 12));
}

#[test]
fn a_kill_leaves_a_past_state_no_older_than_the_last_snapshot() {
    campaign(Plan::short(Mode::Rdb, 6));
}

#[test]
fn every_named_point_can_be_died_at() {
    let plan = Plan::short(plan::mode(), 0);
    let (points, are_given) = points::points(plan.mode);
    // Only ours knows any, unless another is made to.
    if plan.kind == Kind::Millrace || are_given {
        let complaints = points::run(plan, &points, plan::visits() - 1);
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}

#[test]
fn as_many_rounds_as_asked_for() {
    campaign(Plan::from_environment());
}

#[test]
fn the_twin_is_right_where_nothing_crashes() {
    let mut campaign = Campaign::new(Plan::short(Mode::Always, 0));
    for _ in 0..2 {
        let complaints = campaign.round_with(Ending::None, |_| ());
        assert_eq!(complaints, Ok(()), "{complaints:#?}");
    }
}

#[test]
fn what_is_written_after_the_log_was_switched_off_is_there_once_when_a_base_has_it() {
    let mut case = Case::new(Mode::Always);
    let (process, mut client) = case.start();
    client.run("RPUSH l 1");
    expect_reply!(client, "CONFIG SET appendonly no", "+OK");
    client.run("RPUSH l 2");
    client.run("BGREWRITEAOF");
    cases::settle(&mut client);
    client.run("RPUSH l lost");
    let (process, mut client) = case.kill_and_start(process);
    expect_reply!(client, "LRANGE l 0 -1", r#"["1", "2"]"#);
    // On again: the reply says that it stands on disk.
    expect_reply!(client, "CONFIG SET appendonly no", "+OK");
    client.run("RPUSH l 3");
    expect_reply!(client, "CONFIG SET appendonly yes", "+OK");
    let (process, mut client) = case.kill_and_start(process);
    expect_reply!(client, "LRANGE l 0 -1", r#"["1", "2", "3"]"#);
    // A rewrite asked for at once finds the log off, and leaves no gap.
    let lines = [
        "CONFIG SET appendonly no",
        "RPUSH l 4",
        "CONFIG SET appendonly yes",
        "BGREWRITEAOF",
        "RPUSH l 5",
    ];
    client.pipeline(&lines);
    let (_process, mut client) = case.kill_and_start(process);
    expect_reply!(client, "LRANGE l 0 -1", r#"["1", "2", "3", "4", "5"]"#);
}

#[test]
fn a_rewrite_that_fails_half_way_loses_nothing_and_is_done_again() {
    let mut case = Case::new(Mode::Everysec);
    let (process, mut client) = case.start();
    client.run("RPUSH l 1");
    // The base cannot be written where a directory has its name; the log has been cut by then.
    let name = format!("appendonlydir/temp-rewriteaof-{}.aof", process.number());
    let obstacle = case.directory().join(name);
    std::fs::create_dir(&obstacle).unwrap();
    client.run("BGREWRITEAOF");
    client.run("RPUSH l 2");
    cases::settle(&mut client);
    let info = client.run("INFO persistence").text();
    assert!(info.contains("aof_last_bgrewrite_status:err"), "{info}");
    client.run("RPUSH l 3");
    let (process, mut client) = case.kill_and_start(process);
    expect_reply!(client, "LRANGE l 0 -1", r#"["1", "2", "3"]"#);
    std::fs::remove_dir(&obstacle).unwrap();
    client.run("BGREWRITEAOF");
    cases::settle(&mut client);
    client.run("RPUSH l 4");
    client.send_line("SHUTDOWN NOSAVE");
    client.expect_closed();
    let (_process, mut client) = case.kill_and_start(process);
    expect_reply!(client, "LRANGE l 0 -1", r#"["1", "2", "3", "4"]"#);
}

#[test]
fn unfinished_files_of_killed_processes_are_removed_at_the_start() {
    let mut case = Case::new(Mode::Always);
    let (mut process, _) = case.start();
    process.kill();
    // No process has such a number; this test's own is running.
    let (dead, alive) = (
        "temp-999999999.rdb".to_owned(),
        format!("temp-{}.rdb", std::process::id()),
    );
    let all = [
        &dead,
        &alive,
        "appendonlydir/temp-rewriteaof-1.aof",
        "appendonlydir/temp-appendonly.aof.manifest",
    ];
    for name in all {
        std::fs::write(case.directory().join(name), "half").unwrap();
    }
    let _started = case.start();
    let left = all.map(|name| case.directory().join(name).exists());
    assert_eq!(left, [false, true, false, false]);
}

#[test]
fn streams_are_after_a_kill_what_they_were() {
    for mode in [Mode::Always, Mode::Rdb] {
        let mut case = Case::new(mode);
        let (process, mut client) = case.start();
        cases::make_streams(&mut client);
        let before = cases::streams(&mut client);
        if mode == Mode::Rdb {
            expect_reply!(client, "SAVE", "+OK");
        }
        let (process, mut client) = case.kill_and_start(process);
        let after = cases::streams(&mut client);
        if mode == Mode::Always {
            // As in Redis: commands of a log are seen when they are loaded.
            assert_eq!(cases::without_times(&after), cases::without_times(&before));
            client.run("BGREWRITEAOF");
            cases::settle(&mut client);
        } else {
            assert_eq!(after, before);
        }
        let (_process, mut client) = case.kill_and_start(process);
        assert_eq!(cases::streams(&mut client), after, "{mode:?}, from a file");
        cases::check_streams(&mut client);
    }
}

/// What the harness says after damage to the files of a redis-server of which everything is acknowledged.
fn complaints_after(mode: Mode, damage: impl FnOnce(&Path)) -> String {
    let mut campaign = Campaign::new(Plan {
        kind: Kind::Redis,
        loads_in_redis: false,
        is_calm: true,
        ..Plan::short(mode, 0)
    });
    campaign.round_with(Ending::Quiet, |_| ()).unwrap();
    let complaints = campaign.round_with(Ending::Quiet, damage);
    complaints.err().unwrap_or_default().join("\n")
}

#[test]
fn the_harness_notices_that_acknowledged_operations_are_lost() {
    let complaints = complaints_after(Mode::No, |directory| damage::cut(directory, 100));
    assert!(complaints.contains("lost"), "{complaints}");
}

#[test]
fn the_harness_notices_that_a_push_is_there_twice() {
    let complaints = complaints_after(Mode::Always, damage::repeat_a_push);
    assert!(complaints.contains("twice"), "{complaints}");
}

#[test]
fn the_harness_notices_that_an_acknowledgement_is_lost() {
    let complaints = complaints_after(Mode::Always, damage::forget_an_acknowledgement);
    let said = "is pending, its XACK was acknowledged";
    assert!(complaints.contains(said), "{complaints}");
}

#[test]
fn the_harness_notices_half_a_transaction() {
    let complaints = complaints_after(Mode::Always, damage::halve_a_transfer);
    assert!(complaints.contains("by half"), "{complaints}");
}

#[test]
fn the_harness_notices_nothing_where_nothing_is_wrong() {
    let complaints = complaints_after(Mode::Always, |_| ());
    assert_eq!(complaints, "");
}
