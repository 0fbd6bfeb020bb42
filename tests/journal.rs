//! Files of the journal in the hands of a real Redis: it starts on them, its own check accepts them, it appends, and what it wrote is
//! read here. `MILLRACE_ORACLE` names another server; its `…-check-aof` is looked for beside it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use millrace::journal::annotation::{self, RangeChecksum};
use millrace::journal::manifest::{BaseFormat, Manifest};
use millrace::journal::scan::{Replay, Tail, Verdict, verify};
use millrace::journal::storage::disk::DiskStorage;
use millrace::journal::storage::{Opening, Storage, write_all_at};
use millrace::journal::{format, own};
use support::Server;
use support::server::oracle_path;
use tempfile::TempDir;

const LOG: &str = "appendonlydir/my log.aof.1.incr.aof";
const FILL_BYTES: u64 = 8 << 20;

fn commit(out: &mut Vec<u8>, start: usize, synced: usize) {
    let mut range = RangeChecksum::new(7);
    range.extend(&out[start..]);
    annotation::commit(range, out.len() as u64, synced as u64, out);
}

/// A log with everything that we may write: marks, own lines, also long ones and within a transaction, and fill.
fn ours() -> Vec<u8> {
    let mut out = Vec::new();
    annotation::begin(7, 0, &mut out);
    let mut start = out.len();
    format::select(3, &mut out);
    format::command([b"SET".as_slice(), b"a", b"1\r\n#cAAAA\r\n"], &mut out);
    commit(&mut out, start, start);
    start = out.len();
    out.extend_from_slice(format::MULTI);
    format::command([b"RPUSH".as_slice(), b"jobs", b"x", b"y"], &mut out);
    let long = vec![b'\n'; 5000];
    own::encode([b"XNACK".as_slice(), b"jobs", &long], &mut out);
    commit(&mut out, start, start);
    start = out.len();
    format::command([b"RPUSH".as_slice(), b"jobs", b"z"], &mut out);
    own::encode([b"XCFGSET".as_slice(), b"\0\xff"], &mut out);
    out.extend_from_slice(format::EXEC);
    commit(&mut out, start, start);
    let end = out.len() as u64;
    annotation::fill(7, end, end + FILL_BYTES, &mut out);
    out
}

/// A server's directory with a log as its only file.
fn directory(log: &[u8]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let storage = DiskStorage::new(directory.path()).unwrap();
    let inner = Path::new("appendonlydir");
    storage.create_dir(inner).unwrap();
    let mut file = storage.open_write(Path::new(LOG), Opening::New).unwrap();
    write_all_at(file.as_mut(), 0, log).unwrap();
    let manifest = Manifest {
        shards: Some(4),
        ..Manifest::new(OsStr::new("my log.aof")).with_new_incremental()
    };
    manifest.write(&storage, inner).unwrap();
    directory
}

fn started_on(directory: &TempDir) -> Server {
    let path = directory.path().display().to_string();
    Server::oracle_with(&[
        "--dir",
        &path,
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--appendfilename",
        "my log.aof",
    ])
}

fn judge(path: &Path) -> Verdict {
    verify(File::open(path).unwrap(), 0).unwrap()
}

/// The check of the oracle's own distribution.
fn check_aof() -> PathBuf {
    let server = oracle_path();
    let name = server.file_name().unwrap().to_str().unwrap();
    server.with_file_name(name.replace("-server", "-check-aof"))
}

#[test]
fn a_redis_starts_on_our_log_and_appends_to_it() {
    let directory = directory(&ours());
    let path = directory.path().join(LOG);
    let before = judge(&path);
    assert_eq!((before.tail, before.commands), (Tail::Clean, 8));
    let server = started_on(&directory);
    let mut client = server.connect();
    client.run("SELECT 3");
    assert_eq!(client.run("LLEN jobs").integer(), 3);
    assert_eq!(client.run("LINDEX jobs -1").text(), "z");
    assert_eq!(client.run("GET a").text(), "1\r\n#cAAAA\r\n");
    client.run("SET b 2");
    drop(server);
    let after = judge(&path);
    assert_eq!(after.tail, Tail::Clean);
    let mut replay = Replay::new(File::open(&path).unwrap(), 0, after.valid_bytes);
    let mut last = Vec::new();
    while let Some(item) = replay.read().unwrap() {
        last = item.arguments().iter().map(<[u8]>::to_vec).collect();
    }
    assert_eq!(last, [b"SET".to_vec(), b"b".to_vec(), b"2".to_vec()]);
    assert_eq!(after.commands, before.commands + 2, "SELECT and SET");
    // And it starts again on what both wrote.
    let server = started_on(&directory);
    let mut client = server.connect();
    client.run("SELECT 3");
    assert_eq!(client.run("GET b").text(), "2");
}

#[test]
fn a_redis_starts_on_a_log_that_was_cut_and_what_it_appends_counts() {
    let mut log = ours();
    // Within the second range, in the transaction.
    log.truncate(300);
    let directory = directory(&log);
    let path = directory.path().join(LOG);
    let verdict = judge(&path);
    assert!(matches!(verdict.tail, Tail::Torn { .. }));
    let storage = DiskStorage::new(directory.path()).unwrap();
    millrace::journal::cut::cut(&storage, Path::new(LOG), &verdict).unwrap();
    let server = started_on(&directory);
    server.connect().run("SET b 2");
    drop(server);
    let after = judge(&path);
    assert_eq!(
        (after.tail, after.commands),
        (Tail::Clean, verdict.commands + 2)
    );
}

#[test]
fn redis_check_aof_accepts_our_files() {
    let directory = directory(&ours());
    let manifest = directory.path().join("appendonlydir/my log.aof.manifest");
    let output = Command::new(check_aof()).arg(manifest).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("All AOF files and manifest are valid"),
        "{text}"
    );
}

#[test]
fn a_manifest_of_redis_is_read_and_written_back_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let server = started_on(&directory);
    server.connect().run("SET a 1");
    drop(server);
    let storage = DiskStorage::new(directory.path()).unwrap();
    let name = OsStr::new("my log.aof");
    let found = Manifest::read(&storage, Path::new("appendonlydir"), name).unwrap();
    assert_eq!(found, Some(Manifest::first(name, BaseFormat::Rdb)));
    let path = directory.path().join("appendonlydir/my log.aof.manifest");
    assert_eq!(found.unwrap().encode(), std::fs::read(path).unwrap());
    assert_eq!(judge(&directory.path().join(LOG)).commands, 2);
}
