//! The start on files: any number of shards loads what any other wrote, a dump is not lost when the log is switched on, nothing
//! expires while a log is replayed, and what cannot be loaded is told with its place.
//!
//! Environment, besides that of `support`: `MILLRACE_SEED` (default 1).
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "shared with other tests")]

#[path = "effects/state.rs"]
mod state;
mod support;
#[path = "effects/writer.rs"]
mod writer;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use state::{canonical, first_difference, until_expired};
use support::Server;
use support::random::number_from_environment;
use tempfile::TempDir;

const DATABASES: usize = 4;
const LOG: &[&str] = &["--appendonly", "yes"];
/// 2001.
const PAST_MS: u64 = 1_000_000_000_000;

fn start_in(directory: &Path, shards: usize, options: &[&str]) -> Server {
    let path = directory.display().to_string();
    Server::millrace_with(shards, &[&["--dir", &path], options].concat())
}

/// Everything of a server, once what ends soon has ended.
fn contents(server: &Server) -> state::Canonical {
    let mut client = server.connect();
    until_expired(&mut client, DATABASES);
    let mut contents = canonical(&mut client, DATABASES);
    for facts in contents.values_mut() {
        // As in Redis: what was changed in place is a string like any other when it was in a dump.
        let encodings = facts.iter_mut().filter(|fact| fact.starts_with("encoding"));
        encodings.for_each(|fact| *fact = fact.replace("raw", "embstr"));
        facts.iter_mut().for_each(forget_counts);
    }
    contents
}

/// How many messages of producers were ever added is in no dump.
fn forget_counts(fact: &mut String) {
    let mark = "\"iids-added\", :";
    if let Some((before, after)) = fact.split_once(mark) {
        let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
        *fact = format!("{before}{mark}{after}");
    }
}

fn copy(from: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let into = copy.path().join("data");
    let status = Command::new("cp").arg("-r").arg(from).arg(&into).status();
    assert!(status.unwrap().success());
    copy
}

/// Writes all there is to write: in between long stretches in which every command has one key.
fn write(server: &Server, seed: u64) {
    for round in 0..3 {
        writer::write(server.connect(), server.port(), seed + round, 1000);
        let mut client = server.connect();
        let lines: Vec<String> = (0..3000)
            .map(|number| match number % 4 {
                0 => format!("RPUSH queue:{} {round}-{number}", number % 97),
                1 => format!("SET text:{} {round}-{number}", number % 211),
                2 => format!("XADD stream:{} * field {number}", number % 13),
                _ => format!("HSET hash:{} field:{} {round}", number % 31, number % 17),
            })
            .collect();
        lines.chunks(500).for_each(|some| {
            client.pipeline(some);
        });
    }
}

#[test]
fn a_directory_written_with_any_number_of_shards_starts_with_any_other() {
    let seed = number_from_environment("MILLRACE_SEED", 1);
    for shards in [1, 4] {
        let directory = tempfile::tempdir().unwrap();
        let server = start_in(directory.path(), shards, LOG);
        write(&server, seed);
        let written = contents(&server);
        server.connect().run("SAVE");
        // It is killed.
        drop(server);
        for others in [1, 2, 4, 7] {
            for options in [LOG, &[]] {
                let copy = copy(directory.path());
                let server = start_in(&copy.path().join("data"), others, options);
                let told = format!("{shards} shards loaded with {others}, {options:?}");
                let difference = first_difference(&contents(&server), &written);
                assert_eq!(difference, None, "{told}");
            }
        }
    }
}

#[test]
fn a_dump_becomes_the_base_of_a_log_that_is_switched_on() {
    let directory = tempfile::tempdir().unwrap();
    let server = start_in(directory.path(), 2, &[]);
    let mut client = server.connect();
    client.run("SET a 1");
    client.run("RPUSH jobs x y");
    client.run("SAVE");
    drop(server);
    let server = start_in(directory.path(), 2, LOG);
    let told = server.log();
    let expected = "The dump becomes the base of the append only file";
    assert!(told.contains(expected), "{told}");
    let mut client = server.connect();
    assert_eq!(client.run("GET a").text(), "1");
    client.run("RPUSH jobs z");
    drop(server);
    // From here on the log has all of it.
    std::fs::remove_file(directory.path().join("dump.rdb")).unwrap();
    let server = start_in(directory.path(), 1, LOG);
    let mut client = server.connect();
    assert_eq!(client.run("GET a").text(), "1");
    let jobs = client.run("LRANGE jobs 0 -1");
    let jobs: Vec<String> = jobs.items().iter().map(support::Frame::text).collect();
    assert_eq!(jobs, ["x", "y", "z"]);
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    support::client::encode(words, &mut bytes);
    bytes
}

/// A dump with a key `a` that has ended.
fn ended_key() -> Vec<u8> {
    let end = PAST_MS.to_le_bytes();
    [
        b"REDIS0010\xfe\x00\xfc",
        &end[..],
        b"\x00\x01a\x011\xff",
        &[0; 8],
    ]
    .concat()
}

/// A log of Redis with this base and these commands.
fn log_directory(base: &[u8], commands: &[Vec<u8>]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("appendonlydir");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("appendonly.aof.1.base.rdb"), base).unwrap();
    std::fs::write(inner.join("appendonly.aof.1.incr.aof"), commands.concat()).unwrap();
    let manifest = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    std::fs::write(inner.join("appendonly.aof.manifest"), manifest).unwrap();
    directory
}

#[test]
fn what_a_base_has_of_keys_that_have_ended_is_kept_until_the_log_is_through() {
    let past = PAST_MS.to_string();
    let directory = log_directory(
        &ended_key(),
        &[
            command(&["SELECT", "0"]),
            command(&["APPEND", "a", "2"]),
            command(&["PERSIST", "a"]),
            command(&["SET", "b", "1"]),
            command(&["PEXPIREAT", "b", &past]),
            command(&["APPEND", "b", "2"]),
            command(&["PERSIST", "b"]),
            command(&["SET", "c", "1"]),
            command(&["PEXPIREAT", "c", &past]),
        ],
    );
    for shards in [1, 3] {
        let copy = copy(directory.path());
        let server = start_in(&copy.path().join("data"), shards, LOG);
        let mut client = server.connect();
        assert_eq!(client.run("GET a").text(), "12");
        assert_eq!(client.run("GET b").text(), "12");
        assert!(client.run("GET c").is_null());
    }
}

#[test]
fn a_dump_is_loaded_without_the_keys_that_have_ended() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("dump.rdb"), ended_key()).unwrap();
    let server = start_in(directory.path(), 2, &[]);
    let mut client = server.connect();
    assert_eq!(client.run("DBSIZE").integer(), 0);
    let told = server.log();
    assert!(told.contains("keys loaded: 0, keys expired: 1."), "{told}");
}

/// The last words of a server that cannot start.
fn last_words(directory: &Path, options: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(["--port", "0", "--shards", "2", "--unixsocket"])
        .arg(directory.join("socket"))
        .arg("--dir")
        .arg(directory)
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    [output.stdout, output.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat()
}

#[test]
fn what_cannot_be_loaded_is_told_with_its_file_and_place() {
    let directory = tempfile::tempdir().unwrap();
    // A list with a chunk of a kind that there is not.
    let dump = b"REDIS0010\xfe\x00\x12\x04jobs\x01\x03\x01a\xff\0\0\0\0\0\0\0\0";
    std::fs::write(directory.path().join("dump.rdb"), dump).unwrap();
    let told = last_words(directory.path(), &[]);
    let expected = format!(
        "{}: at byte 17, key \"jobs\" of type 18",
        directory.path().join("dump.rdb").display()
    );
    assert!(told.contains(&expected), "{told}");

    let commands = [command(&["SET", "a", "1"]), command(&["NOSUCH", "a"])];
    let directory = log_directory(&ended_key(), &commands);
    let told = last_words(directory.path(), LOG);
    let place = PathBuf::from("appendonlydir/appendonly.aof.1.incr.aof");
    let expected = format!("{}: at byte 27: Unknown command 'NOSUCH'", place.display());
    assert!(told.contains(&expected), "{told}");
}
