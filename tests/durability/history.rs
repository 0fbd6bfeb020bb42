//! `aof-disable-auto-gc`: files that a rewrite has covered stay, until it is switched off.

use super::home::{Home, Life};
use super::{LOG, digest, files, write};

/// What the manifest lists of a type.
fn listed(home: &Home, kind: char) -> Vec<String> {
    let manifest = home.path().join("appendonlydir/appendonly.aof.manifest");
    let text = std::fs::read_to_string(manifest).unwrap();
    let ending = format!(" type {kind}");
    let lines = text.lines().filter(|line| line.ends_with(&ending));
    let names = lines.map(|line| line.split(' ').nth(1).unwrap().to_owned());
    names.collect()
}

fn rewrite(home: &Home, life: &Life, count: u32) {
    life.connect().run("BGREWRITEAOF");
    let base = format!("appendonly.aof.{count}.base.rdb");
    life.wait_for("INFO persistence", |info| {
        info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
    });
    assert_eq!(listed(home, 'b'), [base]);
}

#[test]
fn old_files_of_the_log_stay_listed_as_history_until_they_may_go() {
    let options = [LOG, &["--aof-disable-auto-gc", "yes"]].concat();
    let mut seen = Vec::new();
    for is_ours in [false, true] {
        let home = Home::new();
        let start = |options: &[&str]| {
            if is_ours {
                home.millrace(options)
            } else {
                home.redis(options)
            }
        };
        let life = start(&options);
        write(&mut life.connect());
        rewrite(&home, &life, 2);
        rewrite(&home, &life, 3);
        let before = digest(&life);
        let mut states = Vec::new();
        let mut note = || {
            let mut history = listed(&home, 'h');
            history.sort();
            states.push((history, listed(&home, 'b'), listed(&home, 'i')));
            let names = files(&home.path().join("appendonlydir"));
            let (history, bases, later) = states.last().unwrap();
            assert_eq!(names.len(), 1 + history.len() + bases.len() + later.len());
        };
        note();
        life.kill();
        // A start keeps them too.
        let life = start(&options);
        assert_eq!(digest(&life), before);
        note();
        life.connect().run("CONFIG SET aof-disable-auto-gc no");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !listed(&home, 'h').is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(10));
            assert!(std::time::Instant::now() < deadline, "{}", home.log());
        }
        life.kill();
        let life = start(LOG);
        assert_eq!(digest(&life), before);
        note();
        seen.push(states);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0][0].0.len(), 4);
}

#[test]
fn a_log_is_rewritten_although_no_run_of_its_server_doubles_it() {
    let home = Home::new();
    let options = [LOG, &["--auto-aof-rewrite-min-size", "100kb"]].concat();
    let value = "x".repeat(1000);
    let first = listed_at_start(&home, &options);
    // Less than the smallest size in each run; the base, from which it has grown, is what the last rewrite has left.
    for _ in 0..3 {
        let life = home.millrace(&options);
        for _ in 0..60 {
            life.connect().run(&format!("SET key {value}"));
        }
        life.kill();
    }
    let life = home.millrace(&options);
    life.wait_for("PING", |_| listed(&home, 'b') != first);
}

fn listed_at_start(home: &Home, options: &[&str]) -> Vec<String> {
    home.millrace(options).kill();
    listed(home, 'b')
}
