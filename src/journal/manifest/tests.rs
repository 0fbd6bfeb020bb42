//! The manifest: what Redis writes and refuses, its transitions, and what a crash leaves.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::super::storage::memory::MemoryStorage;
use super::*;

const NAME: &str = "appendonly.aof";

fn decode(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::decode(OsStr::new(NAME), text.as_bytes())
}

fn names(files: &[LogFile]) -> Vec<&str> {
    files
        .iter()
        .map(|file| file.name.to_str().unwrap())
        .collect()
}

#[test]
fn the_first_is_as_redis_writes_it() {
    let manifest = Manifest::first(OsStr::new(NAME), BaseFormat::Rdb);
    let expected = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    assert_eq!(String::from_utf8(manifest.encode()).unwrap(), expected);
    assert_eq!(decode(expected), Ok(manifest));
}

#[test]
fn a_rewrite_goes_from_one_base_to_the_next() {
    let first = Manifest {
        shards: Some(4),
        ..Manifest::first(OsStr::new(NAME), BaseFormat::Rdb)
    };
    let cut = first.with_new_incremental();
    assert_eq!(
        names(&cut.incrementals),
        ["appendonly.aof.1.incr.aof", "appendonly.aof.2.incr.aof"]
    );
    let done = cut.with_new_base(BaseFormat::Commands, 2);
    let expected = "#millrace shards 4\n\
        file appendonly.aof.2.base.aof seq 2 type b\n\
        file appendonly.aof.1.base.rdb seq 1 type h\n\
        file appendonly.aof.1.incr.aof seq 1 type h\n\
        file appendonly.aof.2.incr.aof seq 2 type i\n";
    assert_eq!(String::from_utf8(done.encode()).unwrap(), expected);
    assert_eq!(decode(expected).as_ref(), Ok(&done));
    let clean = done.without_history();
    assert_eq!(clean.history, []);
    assert_eq!(clean.next_base(BaseFormat::Rdb).sequence, 3);
    assert_eq!(clean.next_incremental().sequence, 3);
    let order: Vec<u64> = done.files().map(|file| file.sequence).collect();
    assert_eq!(order, [2, 2]);
}

#[test]
fn a_file_that_waits_to_be_deleted_keeps_its_name() {
    let found = decode("file appendonly.aof.7.incr.aof seq 7 type h\n").unwrap();
    assert_eq!(found.next_incremental().sequence, 8);
    assert_eq!(found.next_base(BaseFormat::Rdb).sequence, 8);
}

#[test]
fn what_redis_accepts_is_accepted() {
    let found = decode(
        "# made by hand\nFILE \"append\\x6fnly.aof.1.incr.aof\" SEQ 1 Type i\r\nfile b.rdb seq 9 type b extra word\n",
    )
    .unwrap();
    assert_eq!(names(&found.incrementals), ["appendonly.aof.1.incr.aof"]);
    assert_eq!(found.base.unwrap().name, "b.rdb");
    assert!(decode("# nothing\n").unwrap().files().next().is_none());
}

#[test]
fn what_redis_refuses_is_refused_with_its_line() {
    let good = "file a seq 1 type i\n";
    let long = format!("#{}\n", "x".repeat(1100));
    for (text, line, words) in [
        ("", 0, "empty"),
        ("file a seq 1 type i", 1, "without an end"),
        (&long, 1, "too long"),
        (&format!("{good}\n"), 2, "not 'file"),
        (&format!("{good}{good}"), 2, "non-monotonic"),
        (
            "file a seq 1 type b\nfile b seq 2 type b\n",
            2,
            "duplicate base",
        ),
        ("file a seq 0 type i\n", 1, "number"),
        ("file a seq -1 type i\n", 1, "number"),
        ("file a seq 9223372036854775807 type i\n", 1, "number"),
        ("file a seq 1 type x\n", 1, "type"),
        ("file a seq 1 type i more\n", 1, "not 'file"),
        ("file ../a seq 1 type i\n", 1, "path"),
        ("file .. seq 1 type i\n", 1, "not 'file"),
        ("file \"a seq 1 type i\n", 1, "quotes"),
        (" # x\n", 1, "not 'file"),
    ] {
        let error = decode(text).unwrap_err();
        assert_eq!(error.line, line, "{text}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn an_error_names_file_line_and_what_to_do() {
    let storage = MemoryStorage::new();
    storage.put(Path::new("d/appendonly.aof.manifest"), b"file\n");
    let error = Manifest::read(&storage, Path::new("d"), OsStr::new(NAME)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let text = error.to_string();
    assert!(
        text.starts_with("d/appendonly.aof.manifest, line 1: "),
        "{text}"
    );
    assert!(text.contains("backup"), "{text}");
    storage.put(Path::new("d/appendonly.aof.manifest"), b"");
    let error = Manifest::read(&storage, Path::new("d"), OsStr::new(NAME)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "d/appendonly.aof.manifest: Found an empty AOF manifest; take it from a backup"
    );
}

/// Crashes at every point that a call passes, and looks at what many power cuts leave.
fn at_every_point(
    start: &MemoryStorage,
    run: impl Fn(&MemoryStorage) -> io::Result<()>,
    look: impl Fn(&MemoryStorage),
) {
    let whole = start.kill();
    run(&whole).unwrap();
    for point in whole.reached() {
        let storage = start.kill();
        storage.stop_at(point, 1);
        run(&storage).unwrap_err();
        look(&storage.kill());
        for seed in 0..100 {
            look(&storage.crash(seed));
        }
    }
    for seed in 0..100 {
        look(&whole.crash(seed));
    }
}

#[test]
fn a_crash_leaves_the_old_manifest_or_the_new_one() {
    let directory = Path::new("d");
    let storage = MemoryStorage::new();
    storage.put(Path::new("d/x"), b"");
    let old = Manifest::first(OsStr::new(NAME), BaseFormat::Rdb);
    old.write(&storage, directory).unwrap();
    let new = old.with_new_incremental();
    at_every_point(
        &storage,
        |storage| new.write(storage, directory),
        |after| {
            let found = Manifest::read(after, directory, OsStr::new(NAME));
            let found = found.unwrap().unwrap();
            assert!(found == old || found == new);
        },
    );
    new.write(&storage, directory).unwrap();
    let after = storage.crash(1);
    let found = Manifest::read(&after, directory, OsStr::new(NAME)).unwrap();
    assert_eq!(found, Some(new));
}

#[test]
fn an_old_log_becomes_the_base_whenever_a_crash_comes() {
    let (directory, name) = (Path::new("d"), OsStr::new(NAME));
    let storage = MemoryStorage::new();
    storage.put(Path::new(NAME), b"log");
    at_every_point(
        &storage,
        |storage| upgrade(storage, directory, name).map(|_| ()),
        |after| {
            upgrade(after, directory, name).unwrap();
            let found = Manifest::read(after, directory, name).unwrap().unwrap();
            assert_eq!(found.base.unwrap().name, name);
            assert_eq!(after.bytes(&directory.join(name)).unwrap(), b"log");
        },
    );
}

#[test]
fn an_old_log_beside_a_new_one_is_left_alone() {
    let (directory, name) = (Path::new("d"), OsStr::new(NAME));
    let storage = MemoryStorage::new();
    assert_eq!(upgrade(&storage, directory, name).unwrap(), None);
    storage.put(Path::new(NAME), b"log");
    storage.put(Path::new("d/x"), b"");
    let manifest = Manifest::first(name, BaseFormat::Rdb);
    manifest.write(&storage, directory).unwrap();
    assert_eq!(upgrade(&storage, directory, name).unwrap(), None);
    assert_eq!(storage.bytes(Path::new(NAME)).unwrap(), b"log");
}
