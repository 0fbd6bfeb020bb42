//! Bases that are empty, of foreign bytes, torn or missing: a start that went on without them would lose what was in them.

use std::fs;
use std::path::PathBuf;

use super::LOG;
use super::home::Home;

/// The manifest of a Redis, of a log with a base.
const OF_REDIS: &str =
    "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";

/// A home with a log that has these files.
fn home(manifest: &str, files: &[(&str, &[u8])]) -> (Home, PathBuf) {
    let home = Home::new();
    let directory = home.path().join("appendonlydir");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("appendonly.aof.manifest"), manifest).unwrap();
    for (name, bytes) in files {
        fs::write(directory.join(name), bytes).unwrap();
    }
    (home, directory)
}

#[test]
fn a_base_of_ours_that_is_empty_or_foreign_is_refused_and_left_as_it_is() {
    let contents: [(&[u8], &str); 6] = [
        (b"", "damaged at offset 0: it is empty"),
        (b"RED", "damaged at offset 0"),
        (b"hello\n", "damaged at offset 0"),
        (&[0; 4096], "torn at offset 0"),
        (b"REDIS00", "at byte 0: the file ends too early"),
        (b"*3\r\n$3\r\nSET", "torn at offset 0"),
    ];
    for has_more in [true, false] {
        for (bytes, said) in contents {
            let home = Home::new();
            let life = home.millrace(LOG);
            life.connect().run("SET kept 1");
            life.connect().run("BGREWRITEAOF");
            life.wait_for("INFO persistence", |info| {
                info.contains("aof_rewrites:1\r\n")
            });
            life.kill();
            let directory = home.path().join("appendonlydir");
            if !has_more {
                fs::write(directory.join("appendonly.aof.2.incr.aof"), b"").unwrap();
            }
            let base = directory.join("appendonly.aof.2.base.rdb");
            fs::write(&base, bytes).unwrap();
            let last = home.fails_to_start(LOG);
            let last = last.lines().last().unwrap_or_default();
            let place = format!("{}: {said}", base.display());
            assert!(last.contains(&place), "{place}: {last}");
            assert!(last.contains("ake it from a backup"), "{last}");
            assert!(!last.contains("--fix"), "{last}");
            assert_eq!(fs::read(&base).unwrap(), bytes);
        }
    }
}

#[test]
fn a_base_alone_of_which_nothing_makes_sense_is_no_torn_end() {
    let manifest = "file appendonly.aof.1.base.rdb seq 1 type b\n";
    for bytes in [[0; 64].as_slice(), b"##############\r\n\0\0\0", b"RED"] {
        let files = [("appendonly.aof.1.base.rdb", bytes)];
        let (home, directory) = home(manifest, &files);
        let said = home.fails_to_start(LOG);
        assert!(said.contains("Take it from a backup"), "{bytes:?}: {said}");
        let base = directory.join("appendonly.aof.1.base.rdb");
        assert_eq!(fs::read(base).unwrap(), bytes);
    }
}

#[test]
fn what_redis_loads_as_a_base_is_loaded_and_an_empty_snapshot_is_told_of() {
    for (bytes, wanted) in [(b"".as_slice(), "[nil, \"1\"]"), (SET_B, "[\"2\", \"1\"]")] {
        let files = [
            ("appendonly.aof.1.base.rdb", bytes),
            ("appendonly.aof.1.incr.aof", SET),
        ];
        let (home, _) = home(OF_REDIS, &files);
        let mut redis = home.redis(LOG);
        assert_eq!(redis.connect().run("MGET b a").to_string(), wanted);
        redis.connect().send_line("SHUTDOWN");
        redis.exit_code();
        let life = home.millrace(LOG);
        assert_eq!(life.connect().run("MGET b a").to_string(), wanted);
        let is_told = home
            .log()
            .contains("appendonly.aof.1.base.rdb: damaged at offset 0: it is empty");
        assert_eq!(is_told, bytes.is_empty(), "{}", home.log());
    }
}

const SET_B: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n";

#[test]
fn a_listed_file_that_is_missing_is_refused_and_no_new_one_is_made() {
    let names = ["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"];
    for missing in names {
        let there = names.iter().filter(|name| **name != missing);
        let files: Vec<(&str, &[u8])> = there.map(|name| (*name, SET)).collect();
        let (home, directory) = home(OF_REDIS, &files);
        let said = home.fails_to_start(LOG);
        let path = directory.join(missing);
        let text = format!(
            "{} is missing: No such file or directory. The manifest names it: take it from a backup",
            path.display()
        );
        assert!(said.contains(&text), "{said}");
        assert!(!path.exists());
    }
}

#[test]
fn files_of_a_log_that_has_lost_its_manifest_are_not_written_over() {
    let home = Home::new();
    let life = home.millrace(LOG);
    let mut client = life.connect();
    client.run("SET precious 1");
    life.kill();
    let log = home.path().join("appendonlydir");
    std::fs::remove_file(log.join("appendonly.aof.manifest")).unwrap();
    let before = std::fs::read(log.join("appendonly.aof.1.incr.aof")).unwrap();
    let life = home.millrace(LOG);
    let mut client = life.connect();
    assert_eq!(client.run("GET precious").to_string(), "nil");
    client.run("SET other 1");
    client.run("BGREWRITEAOF");
    life.wait_for("INFO persistence", |info| {
        info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
    });
    life.kill();
    assert!(home.log().contains("there is no manifest that lists it"));
    let after = std::fs::read(log.join("appendonly.aof.1.incr.aof")).unwrap();
    assert_eq!(after, before);
    let life = home.millrace(LOG);
    assert_eq!(life.connect().run("GET other").text(), "1");
}
