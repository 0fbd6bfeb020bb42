//! Files that are whole, torn and damaged: what is said, what is cut, what the exit code is.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use super::*;
use crate::journal::annotation::{self, RangeChecksum};
use crate::journal::format;
use crate::journal::manifest::BaseFormat;

/// A log of ours with so many commits of one command each; all but the last synced.
fn log(commits: usize) -> (Vec<u8>, Vec<u64>) {
    let mut bytes = Vec::new();
    annotation::begin(7, 0, &mut bytes);
    let mut ends = vec![bytes.len() as u64];
    for _ in 0..commits {
        let mut range = Vec::new();
        format::command([b"RPUSH".as_slice(), b"jobs", b"x"], &mut range);
        let mut checksum = RangeChecksum::new(7);
        checksum.extend(&range);
        bytes.extend_from_slice(&range);
        let synced = ends.last().copied().unwrap();
        annotation::commit(checksum, bytes.len() as u64, synced, &mut bytes);
        ends.push(bytes.len() as u64);
    }
    let end = bytes.len() as u64;
    annotation::fill(7, end, end + 160, &mut bytes);
    (bytes, ends)
}

fn checked(path: &Path, fix: bool) -> (State, String) {
    let mut out = Vec::new();
    let state = check(path, fix, &mut out).unwrap();
    (state, String::from_utf8(out).unwrap())
}

fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

#[test]
fn a_whole_log_is_described() {
    let (bytes, ends) = log(3);
    let directory = directory(&[("a.aof", &bytes)]);
    let (state, text) = checked(&directory.path().join("a.aof"), false);
    assert_eq!(state, State::Whole);
    let expected = format!(
        "log, {} bytes, 3 commands in the first {}: whole\n",
        bytes.len(),
        ends[3]
    );
    assert!(text.ends_with(&expected), "{text}");
}

#[test]
fn a_torn_log_is_cut_only_when_told_to_and_the_rest_is_kept() {
    let (mut bytes, ends) = log(3);
    let at = ends[2] as usize + 20;
    bytes.truncate(at);
    let directory = directory(&[("a.aof", &bytes)]);
    let path = directory.path().join("a.aof");
    let (state, text) = checked(&path, false);
    assert_eq!(state, State::Broken);
    assert!(
        text.contains("torn at offset") && text.contains("check --fix cuts 20 bytes"),
        "{text}"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let (state, text) = checked(&path, true);
    assert_eq!(state, State::Whole);
    let kept = directory.path().join(format!("a.aof.cut-{}", ends[2]));
    assert!(text.contains(&kept.display().to_string()), "{text}");
    assert_eq!(fs::read(kept).unwrap(), bytes[ends[2] as usize..]);
    assert_eq!(checked(&path, false).0, State::Whole);
}

#[test]
fn damage_in_the_middle_is_told_from_a_torn_end_and_what_is_lost_is_said() {
    let (mut bytes, ends) = log(5);
    bytes[ends[1] as usize + 20] ^= 1;
    let directory = directory(&[("a.aof", &bytes)]);
    let path = directory.path().join("a.aof");
    let (state, text) = checked(&path, false);
    assert_eq!(state, State::Broken);
    assert!(
        text.contains("1 commands in the first") && text.contains("damaged at offset"),
        "{text}"
    );
    // Also that of the damaged range, whose text makes sense.
    assert!(
        text.contains("in which 4 whole commands can be read"),
        "{text}"
    );
    assert_eq!(checked(&path, true).0, State::Whole);
    assert!(checked(&path, false).1.contains("1 commands"));
}

#[test]
fn a_directory_is_checked_by_its_manifest() {
    let name = OsStr::new("a.aof");
    let manifest = Manifest::first(name, BaseFormat::Commands).with_new_incremental();
    let mut base = Vec::new();
    format::select(0, &mut base);
    let (whole, _) = log(2);
    let mut damaged = whole.clone();
    damaged[30] ^= 1;
    let directory = directory(&[
        ("a.aof.manifest", &manifest.encode()),
        ("a.aof.1.base.aof", &base),
        ("a.aof.1.incr.aof", &whole),
        ("a.aof.2.incr.aof", &whole),
        ("a.aof.9.incr.aof", b""),
    ]);
    let (state, text) = checked(directory.path(), false);
    assert_eq!(state, State::Whole);
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(
        text.contains("a.aof.9.incr.aof: 0 bytes, not in the manifest"),
        "{text}"
    );
    assert_eq!(
        checked(&directory.path().join("a.aof.manifest"), false),
        (state, text)
    );
    // Without the middle the rest is another history: it is kept, but not listed.
    fs::write(directory.path().join("a.aof.1.incr.aof"), &damaged).unwrap();
    let (state, text) = checked(directory.path(), false);
    assert_eq!(state, State::Broken);
    assert!(
        text.contains("would be lost with it: a.aof.2.incr.aof"),
        "{text}"
    );
    let (state, text) = checked(directory.path(), true);
    assert_eq!(state, State::Whole);
    assert!(
        text.contains("no longer listed, but kept, with .kept behind the name: a.aof.2.incr.aof"),
        "{text}"
    );
    assert_eq!(
        fs::read(directory.path().join("a.aof.2.incr.aof.kept")).unwrap(),
        whole
    );
    let (state, text) = checked(directory.path(), false);
    assert_eq!(state, State::Whole);
    assert!(
        text.contains("a.aof.2.incr.aof.kept") && text.contains("not in the manifest"),
        "{text}"
    );
    fs::remove_file(directory.path().join("a.aof.1.base.aof")).unwrap();
    let (state, text) = checked(directory.path(), true);
    assert_eq!(state, State::Broken);
    assert!(
        text.contains("a.aof.1.base.aof: missing") && text.contains("backup"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let directory = directory(&[]);
    let mut out = Vec::new();
    for path in [
        directory.path(),
        &directory.path().join("a"),
        &directory.path().join("a.manifest"),
    ] {
        assert!(check(path, false, &mut out).is_err(), "{}", path.display());
    }
    fs::write(directory.path().join("a.manifest"), "file x\n").unwrap();
    let (state, text) = checked(&directory.path().join("a.manifest"), false);
    assert_eq!(state, State::Broken);
    assert!(text.contains("line 1"), "{text}");
}

/// A snapshot without a checksum, with so many keys.
fn snapshot(keys: u8) -> Vec<u8> {
    let mut bytes = b"REDIS0011\xfe\x00".to_vec();
    for key in 0..keys {
        bytes.extend_from_slice(&[0, 1, key, 1, b'v']);
    }
    bytes.push(255);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// What is said of a path that is refused.
fn refused(path: &Path, fix: bool) -> String {
    let mut out = Vec::new();
    let error = check(path, fix, &mut out).unwrap_err();
    assert!(out.is_empty(), "{}", String::from_utf8_lossy(&out));
    described(&error)
}

#[test]
fn a_dump_is_whole_only_up_to_its_end_and_never_a_log() {
    let whole = snapshot(50);
    let mut half = whole.clone();
    half[whole.len() / 2..].fill(0);
    let directory = directory(&[("dump.rdb", &whole)]);
    let path = directory.path().join("dump.rdb");
    let (state, text) = checked(&path, false);
    assert_eq!(state, State::Whole);
    assert!(text.contains("checksum none: whole"), "{text}");
    fs::write(&path, &half).unwrap();
    for (path, fix) in [(&path, false), (&path, true)] {
        let (state, text) = checked(path, fix);
        assert_eq!(state, State::Broken);
        assert!(
            text.contains("damaged or not whole at byte") && text.contains("ends too early"),
            "{text}"
        );
        assert!(text.contains("take it from a backup"), "{text}");
    }
    assert_eq!(fs::read(&path).unwrap(), half);
    fs::write(&path, b"").unwrap();
    let (state, text) = checked(directory.path(), false);
    assert_eq!(state, State::Broken);
    assert!(text.contains("dump.rdb: 0 bytes: "), "{text}");
}

#[test]
fn a_file_that_is_neither_a_log_nor_a_snapshot_is_left_alone() {
    let mut no_snapshot = snapshot(3);
    no_snapshot[0] ^= 1;
    let (mut no_log, _) = log(3);
    no_log[0] ^= 1;
    let files: &[(&str, &[u8])] = &[
        ("dump.rdb", b"RED"),
        ("damaged.rdb", &no_snapshot),
        ("commands.rdb", b"*1\r\n$4\r\nPING\r\n"),
        ("log.rdb", &log(2).0),
        ("damaged.aof", &no_log),
        ("notes.txt", b"my shopping list\nmilk\n"),
        ("notes.md", b"# my shopping list\nmilk\n"),
        ("zeros", &[0; 64]),
    ];
    let directory = directory(files);
    for (name, bytes) in files {
        for fix in [false, true] {
            let path = directory.path().join(name);
            let text = refused(&path, fix);
            assert!(
                text.contains(name) && text.contains("neither as a log nor as a snapshot"),
                "{text}"
            );
            assert_eq!(fs::read(&path).unwrap(), *bytes, "{name}");
        }
    }
    assert_eq!(checked(directory.path(), true).0, State::Broken);
    for (name, bytes) in files {
        assert_eq!(fs::read(directory.path().join(name)).unwrap(), *bytes);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), files.len());
}

#[test]
fn a_snapshot_of_valkey_is_one() {
    let mut bytes = snapshot(3);
    bytes.splice(..9, *b"VALKEY080");
    let directory = directory(&[("dump.rdb", &bytes)]);
    for fix in [false, true] {
        let (state, text) = checked(&directory.path().join("dump.rdb"), fix);
        assert_eq!(state, State::Whole);
        assert!(text.contains("version 80"), "{text}");
    }
    assert_eq!(fs::read(directory.path().join("dump.rdb")).unwrap(), bytes);
}

#[test]
fn a_log_of_one_file_goes_on_behind_its_snapshot() {
    let end = snapshot(3).len();
    let mut bytes = snapshot(3);
    format::select(0, &mut bytes);
    format::command([b"SET".as_slice(), b"a", b"1"], &mut bytes);
    let whole = bytes.len();
    bytes.extend_from_slice(b"*3\r\n$3\r\nSET");
    let directory = directory(&[("appendonly.aof", &bytes[..whole])]);
    let path = directory.path().join("appendonly.aof");
    let (state, text) = checked(directory.path(), false);
    assert_eq!(state, State::Whole);
    let expected = format!(
        "log, {whole} bytes, a snapshot of {end} bytes, 2 commands in the first {whole}: whole\n"
    );
    assert!(text.ends_with(&expected), "{text}");
    assert_eq!(checked(&path, false), (state, text));
    fs::write(&path, &bytes).unwrap();
    assert_eq!(checked(&path, false).0, State::Broken);
    assert_eq!(checked(directory.path(), true).0, State::Whole);
    assert_eq!(fs::read(&path).unwrap(), bytes[..whole]);
    fs::write(&path, &bytes[..end]).unwrap();
    assert_eq!(checked(&path, false).0, State::Whole);
    fs::write(&path, &bytes[..end - 9]).unwrap();
    assert_eq!(checked(&path, true).0, State::Broken);
    assert_eq!(fs::read(&path).unwrap(), bytes[..end - 9]);
}

#[test]
fn what_a_save_left_that_did_not_end_is_no_damage() {
    let torn = &snapshot(3)[..12];
    let directory = directory(&[("temp-123.rdb", torn), ("dump.rdb", &snapshot(3))]);
    let (state, text) = checked(directory.path(), true);
    assert_eq!(state, State::Whole);
    assert!(
        text.contains("temp-123.rdb: 12 bytes, left over from a save that did not end"),
        "{text}"
    );
    assert_eq!(
        fs::read(directory.path().join("temp-123.rdb")).unwrap(),
        torn
    );
    // It alone is no data.
    fs::remove_file(directory.path().join("dump.rdb")).unwrap();
    let mut out = Vec::new();
    assert!(check(directory.path(), false, &mut out).is_err());
}

#[test]
fn what_is_lost_is_counted_behind_the_damage_also_where_nothing_is_proven() {
    let mut bytes = Vec::new();
    for _ in 0..50 {
        format::command(
            [b"RPUSH".as_slice(), b"jobs", b"text\n* more\n"],
            &mut bytes,
        );
    }
    let len = bytes.len() / 50;
    bytes[len] = b'?';
    let directory = directory(&[("a.aof", &bytes)]);
    let path = directory.path().join("a.aof");
    let text = checked(&path, false).1;
    let expected = format!(
        "cuts {} bytes from offset {len} on, in which 48 whole commands can be read",
        49 * len
    );
    assert!(text.contains(&expected), "{text}");
    bytes[len] = b'*';
    bytes.extend_from_slice(b"*2\r\n$3");
    fs::write(&path, &bytes).unwrap();
    let text = checked(&path, false).1;
    assert!(
        text.contains("in which no whole command can be read"),
        "{text}"
    );
}

#[test]
fn a_file_that_others_follow_is_not_cut_by_itself() {
    let name = OsStr::new("a.aof");
    let manifest = Manifest::first(name, BaseFormat::Commands).with_new_incremental();
    let mut base = Vec::new();
    format::select(0, &mut base);
    base.extend_from_slice(b"*3\r\n$3\r\nSET");
    let (whole, _) = log(3);
    let torn = &whole[..whole.len() - 180];
    let directory = directory(&[
        ("a.aof.manifest", &manifest.encode()),
        ("a.aof.1.base.aof", &base),
        ("a.aof.1.incr.aof", torn),
        ("a.aof.2.incr.aof", &whole),
    ]);
    let path = |name: &str| directory.path().join(name);
    let manifest = format!("check --fix {}'", path("a.aof.manifest").display());
    for (name, way_out) in [
        ("a.aof.1.base.aof", "take it from a backup"),
        ("a.aof.1.incr.aof", &manifest),
    ] {
        let before = fs::read(path(name)).unwrap();
        for fix in [false, true] {
            let (state, text) = checked(&path(name), fix);
            assert_eq!(state, State::Broken);
            assert!(text.contains("a.aof.2.incr.aof come after it"), "{text}");
            assert!(text.contains(way_out), "{text}");
            assert_eq!(fs::read(path(name)).unwrap(), before);
        }
    }
    // The last one is, and so is one behind which nothing is yet.
    fs::write(path("a.aof.2.incr.aof"), torn).unwrap();
    assert_eq!(checked(&path("a.aof.2.incr.aof"), true).0, State::Whole);
    fs::write(path("a.aof.2.incr.aof"), b"").unwrap();
    assert_eq!(checked(&path("a.aof.1.incr.aof"), true).0, State::Whole);
    // A manifest that cannot be read may list anything.
    fs::write(path("a.aof.manifest"), "file x\n").unwrap();
    fs::write(path("a.aof.1.incr.aof"), torn).unwrap();
    let mut out = Vec::new();
    assert!(check(&path("a.aof.1.incr.aof"), true, &mut out).is_err());
    assert_eq!(fs::read(path("a.aof.1.incr.aof")).unwrap(), torn);
}

#[test]
fn the_log_of_an_old_redis_that_has_become_a_base_is_cut() {
    let mut bytes = Vec::new();
    format::select(0, &mut bytes);
    let whole = bytes.len();
    bytes.extend_from_slice(b"*3\r\n$3\r\nSET");
    let directory = directory(&[
        ("a.aof.manifest", b"file a.aof seq 1 type b\n"),
        ("a.aof", &bytes),
    ]);
    let path = directory.path().join("a.aof");
    assert_eq!(checked(directory.path(), false).0, State::Broken);
    assert_eq!(checked(directory.path(), true).0, State::Whole);
    assert_eq!(fs::read(&path).unwrap(), bytes[..whole]);
    assert_eq!(checked(directory.path(), true).0, State::Whole);
    // Of which nothing makes sense.
    fs::write(&path, [0; 64]).unwrap();
    let (state, text) = checked(directory.path(), true);
    assert_eq!(state, State::Broken);
    assert!(text.contains("backup"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), [0; 64]);
}

#[test]
fn files_of_a_log_without_its_manifest_are_no_whole_log() {
    let name = OsStr::new("a.aof");
    let manifest = Manifest::first(name, BaseFormat::Rdb).with_new_incremental();
    let directory = directory(&[("dump.rdb", &snapshot(3))]);
    let log_directory = directory.path().join("appendonlydir");
    fs::create_dir(&log_directory).unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(log_directory.join(name), bytes).unwrap();
    put("a.aof.1.incr.aof", &log(0).0);
    // Of a process that ended before it had written the first one.
    assert_eq!(checked(directory.path(), false).0, State::Whole);
    put("a.aof.1.incr.aof", &log(3).0);
    let (state, text) = checked(&log_directory, true);
    assert_eq!(state, State::Broken);
    assert!(text.contains("their base is missing"), "{text}");
    put("a.aof.1.base.rdb", &snapshot(3));
    put("a.aof.2.incr.aof", &log(2).0);
    for path in [directory.path(), &log_directory] {
        let (state, text) = checked(path, false);
        assert_eq!(state, State::Broken);
        for words in [
            "a.aof.1.base.rdb: snapshot",
            "a.aof.1.incr.aof: log, 320 bytes, 3 commands",
            "a.aof.2.incr.aof: log",
            "a.aof.manifest: missing, so a start reads none of the files",
            "from a backup",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
        let lines: String = lines.flat_map(|line| [line, "\n"]).collect();
        assert_eq!(lines.as_bytes(), manifest.encode());
    }
    // Which counts, or what was between them, nobody knows.
    put("a.aof.4.incr.aof", &log(2).0);
    let text = checked(directory.path(), false).1;
    assert!(text.contains("numbers are missing"), "{text}");
    put("a.aof.2.base.rdb", &snapshot(3));
    let text = checked(directory.path(), false).1;
    assert!(
        text.contains("which of these bases counts: a.aof.1.base.rdb, a.aof.2.base.rdb"),
        "{text}"
    );
    put("a.aof.manifest", &manifest.encode());
    assert_eq!(checked(directory.path(), false).0, State::Whole);
}
