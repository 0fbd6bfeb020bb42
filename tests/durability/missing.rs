//! What was there and is gone: an end, a file, a manifest. It is said by a check and by a start, and what others leave is not taken for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::home::Home;
use super::repairs::check;
use super::{LOG, files};

const CUT_OFF: &str = "the file ends right behind a commit";

/// A log with some commands, and its last file.
fn log(home: &Home) -> PathBuf {
    let life = home.millrace(LOG);
    let mut client = life.connect();
    for number in 0..10 {
        client.run(&format!("SET key:{number} value"));
    }
    life.kill();
    home.path().join("appendonlydir/appendonly.aof.1.incr.aof")
}

/// Where the fill begins, right behind the last commit.
fn end_of_commits(file: &Path) -> usize {
    let bytes = std::fs::read(file).unwrap();
    let fill = bytes
        .windows(16)
        .position(|line| line == b"##############\r\n");
    fill.unwrap()
}

fn shorten(file: &Path, len: usize) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..len]).unwrap();
}

#[test]
fn a_file_that_was_cut_short_is_not_whole_and_a_start_says_so_once() {
    for (is_emptied, words) in [(false, CUT_OFF), (true, "the file is empty, but")] {
        let home = Home::new();
        let file = log(&home);
        let directory = file.parent().unwrap();
        assert_eq!(check(&[], home.path()).0, Some(0));
        let end = end_of_commits(&file);
        shorten(&file, if is_emptied { 0 } else { end });
        let strict = [LOG, &["--aof-load-truncated", "no"]].concat();
        for path in [home.path(), directory] {
            let (code, said) = check(&[], path);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains(words) && said.contains("backup"), "{said}");
        }
        let said = home.fails_to_start(&strict);
        assert!(
            said.contains(words) && said.contains("aof-load-truncated yes"),
            "{said}"
        );
        let broken = std::fs::read(&file).unwrap();
        let (code, said) = check(&["--fix"], directory);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(check(&[], home.path()).0, Some(0));
        home.millrace(&strict).kill();
        // A start does as much, and it is over then.
        std::fs::write(&file, broken).unwrap();
        let before = home.log().matches(words).count();
        for _ in 0..2 {
            let life = home.millrace(LOG);
            let left = if is_emptied { ":0" } else { ":10" };
            assert_eq!(life.connect().run("DBSIZE").to_string(), left);
            life.kill();
            assert_eq!(home.log().matches(words).count(), before + 1);
        }
        assert_eq!(check(&[], home.path()).0, Some(0));
        let is_kept = |name: &String| name.contains(".cut-");
        assert!(!files(directory).iter().any(is_kept), "nothing was cut off");
    }
}

#[test]
fn what_a_redis_leaves_of_our_log_is_whole() {
    let home = Home::new();
    let options = [LOG, &["--rdb-version-compat", "7.0"]].concat();
    home.millrace(&options).kill();
    let file = log(&home);
    // It appends behind our end, and begins a file that is empty.
    let life = home.redis(LOG);
    life.connect().run("SET theirs 1");
    life.kill();
    assert_eq!(check(&[], home.path()).0, Some(0));
    let life = home.redis(LOG);
    life.connect().run("BGREWRITEAOF");
    life.wait_for("INFO persistence", |info| {
        info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
    });
    life.wait_for("PING", |_| !file.exists());
    life.kill();
    let last = file.with_file_name("appendonly.aof.2.incr.aof");
    assert_eq!(std::fs::metadata(&last).unwrap().len(), 0);
    let (code, said) = check(&[], home.path());
    assert_eq!(code, Some(0), "{said}");
    let strict = [LOG, &["--aof-load-truncated", "no"]].concat();
    for _ in 0..2 {
        let life = home.millrace(&strict);
        assert_eq!(life.connect().run("DBSIZE").to_string(), ":11");
        life.kill();
    }
    assert!(!home.log().contains("is missing"), "{}", home.log());
}

#[test]
fn after_redis_check_aof_has_cut_it_a_log_starts_with_all_that_it_left() {
    let home = Home::new();
    // A base that this tool can read.
    let options = [LOG, &["--rdb-version-compat", "7.0"]].concat();
    home.millrace(&options).kill();
    let file = log(&home);
    let end = end_of_commits(&file);
    shorten(&file, end - 3);
    let manifest = file.with_file_name("appendonly.aof.manifest");
    let fixed = Command::new("sh")
        .args(["-c", "yes y | redis-check-aof --fix \"$0\""])
        .arg(&manifest)
        .output()
        .unwrap();
    assert!(fixed.status.success(), "{fixed:?}");
    let life = home.millrace(LOG);
    let left = life.connect().run("EXISTS key:0 key:8").to_string();
    assert_eq!(left, ":2", "{}", home.log());
    life.kill();
    assert_eq!(check(&[], home.path()).0, Some(0));
}

#[test]
fn a_log_without_its_manifest_is_not_whole_and_the_manifest_that_is_offered_is_right() {
    let home = Home::new();
    let file = log(&home);
    let manifest = file.with_file_name("appendonly.aof.manifest");
    std::fs::remove_file(&manifest).unwrap();
    let (code, said) = check(&[], home.path());
    assert_eq!(code, Some(1), "{said}");
    let lines = said.lines().filter_map(|line| line.strip_prefix("    "));
    let offered: String = lines.flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&manifest, offered).unwrap();
    assert_eq!(check(&[], home.path()).0, Some(0));
    let life = home.millrace(LOG);
    assert_eq!(life.connect().run("DBSIZE").to_string(), ":10");
}

#[test]
fn a_start_says_which_file_is_missing_or_damaged_and_what_to_do() {
    let home = Home::new();
    let file = log(&home);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = home.fails_to_start(LOG);
    let expected = format!(
        "{} is missing: No such file or directory. The manifest names it: take it from a backup",
        file.display()
    );
    assert!(said.contains(&expected), "{said}");
    std::fs::write(&file, bytes).unwrap();
    let manifest = file.with_file_name("appendonly.aof.manifest");
    std::fs::write(&manifest, "").unwrap();
    let said = home.fails_to_start(LOG);
    assert!(
        said.contains(
            "appendonly.aof.manifest: Found an empty AOF manifest; take it from a backup"
        ),
        "{said}"
    );
    let (code, said) = check(&[], home.path());
    assert_eq!(code, Some(1));
    let expected = format!("{}: Found an empty AOF manifest", manifest.display());
    assert!(said.starts_with(&expected), "{said}");
    std::fs::remove_file(&manifest).unwrap();
    std::fs::write(home.path().join("dump.rdb"), b"REDIS0011\xfe\0\0\x01a").unwrap();
    let said = home.fails_to_start(&[]);
    assert!(
        said.contains("The file is damaged there: take it from a backup")
            && !said.contains("says whether"),
        "{said}"
    );
}
