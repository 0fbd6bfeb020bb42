//! Threads load what one thread loads: random logs and dumps, any number of shards, barriers near and far.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use proptest::prelude::*;

use super::super::clock::SystemClock;
use super::super::dumps::Source;
use super::super::hand::Hands;
use super::super::job::Job;
use super::super::mailbox::Post;
use super::super::mailboxes::Mailboxes;
use super::super::state::Shard;
use super::*;
use crate::command::keyspace::digest::{Digest, digest};
use crate::command::testing;
use crate::ids::ShardSet;
use crate::journal::dump::{Dump, Head};
use crate::journal::storage::Storage;
use crate::journal::storage::memory::MemoryStorage;
use crate::rdb;
use crate::resp::arguments::Request;

const NOW_MS: u64 = 1_700_000_000_000;
const DUMP: &str = "dump.rdb";

/// How long all keyspaces stay in hand: at first, and behind a barrier.
type Stays = (usize, usize);

/// Threads as early as can be, threads late, and what a server does.
const STAYS: [Stays; 3] = [
    (0, 0),
    (5, 3),
    (LOADED_BEFORE_THREADS, LOADED_BETWEEN_BARRIERS),
];

struct Bench {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
}

impl Bench {
    fn new(shard_count: usize) -> Self {
        let shared = testing::shared(&[], shard_count);
        let settings = Arc::clone(&shared.settings.read().unwrap());
        Self {
            shared: Arc::new(shared),
            settings,
        }
    }

    fn keyspaces(&self) -> Vec<Box<Keyspace>> {
        let hasher = DefaultHashBuilder::default();
        let shards = (0..self.shared.shard_count).map(|number| ShardId(number as u16));
        let keyspaces = shards.map(|id| Shard::keyspace(id, &self.shared, hasher.clone()));
        keyspaces.collect()
    }

    fn loader(&self, (first, behind_barrier): Stays) -> Loader<'static> {
        let keyspaces = self.keyspaces();
        let mut loader = Loader::with_threads(&self.shared, &self.settings, NOW_MS, keyspaces);
        (loader.stays, loader.stays_behind_barrier) = (first, behind_barrier);
        loader
    }

    fn load_dump(
        &self,
        storage: &dyn Storage,
        is_base: bool,
        loader: &mut Loader<'_>,
    ) -> Result<(), String> {
        let source = Source {
            path: Path::new(DUMP),
            is_base,
            settings: &self.settings,
            facts: &self.shared.observations.persistence,
        };
        let mut file = storage.open_read(Path::new(DUMP)).unwrap();
        let loaded = source.load_dump(loader, &mut *file);
        loaded.map(drop).map_err(|failure| failure.to_string())
    }
}

fn digest_of(keyspaces: &[Box<Keyspace>]) -> Digest {
    let count = keyspaces[0].database_count();
    let databases = keyspaces
        .iter()
        .flat_map(|keyspace| (0..count).map(move |db| (db, keyspace.database(db))));
    digest(databases, NOW_MS)
}

fn key_count(keyspaces: &[Box<Keyspace>]) -> usize {
    let databases = keyspaces.iter().flat_map(|keyspace| {
        (0..keyspace.database_count()).map(|db| keyspace.database(db).table().len())
    });
    databases.sum()
}

fn written(keyspaces: &[Box<Keyspace>]) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let head = Head {
        version: crate::REDIS_VERSION,
        time_s: NOW_MS / 1000,
        memory_bytes: 0,
        is_base: false,
        notes_time: false,
        counts: Vec::new(),
        libraries: Vec::new(),
    };
    let options = rdb::Options {
        version: rdb::Version::V11,
        compress: true,
        checksum: true,
    };
    let mut dump = Dump::create(&storage, Path::new(DUMP), Some(options), head).unwrap();
    for keyspace in keyspaces {
        dump.all(keyspace, NOW_MS).unwrap();
    }
    dump.finish(&storage).unwrap();
    storage
}

fn request(line: &str) -> Request {
    Request::from_arguments(line.split(' ').map(str::as_bytes))
}

/// A command of a log, often one that concerns several shards. Wrong types are part of it.
fn line() -> impl Strategy<Value = String> {
    (0..60, 0..6, 0..6, 0..3, 0..1000).prop_map(|(kind, a, b, db, value)| match kind {
        0 => "FLUSHALL".to_owned(),
        1 => "FLUSHDB".to_owned(),
        2 => format!("SWAPDB 0 {db}"),
        3 => format!("RENAME k{a} k{b}"),
        4 => format!("COPY k{a} k{b} DB {db} REPLACE"),
        5 => format!("MOVE k{a} {db}"),
        6 => format!("MSET k{a} {value} k{b} {value}"),
        7 => format!("DEL k{a} k{b}"),
        8 => format!("SUNIONSTORE t{a} t{b} t{a}"),
        9 => format!("LMOVE l{a} l{b} LEFT RIGHT"),
        10 => "MULTI".to_owned(),
        11 => "EXEC".to_owned(),
        12..=16 => format!("SELECT {db}"),
        17..=25 => format!("APPEND k{a} {value}"),
        26..=34 => format!("RPUSH l{a} {value}"),
        35..=40 => format!("LPOP l{a}"),
        41..=45 => format!("SADD t{a} {value}"),
        46..=50 => format!("XADD x{a} {}-1 f {value}", 1 + value),
        51..=54 => format!("HSET h{a} f{b} {value}"),
        55..=57 => format!("ZADD z{a} {value} m{b}"),
        _ => format!("PEXPIREAT k{a} {}", NOW_MS + 1000 * value as u64),
    })
}

proptest! {
    #![proptest_config(crate::property::cases(40))]

    #[test]
    fn a_log_gives_the_same_state_with_any_number_of_threads(
        lines in prop::collection::vec(line(), 0..300),
    ) {
        let alone = Bench::new(1);
        let mut keyspaces = alone.keyspaces();
        let (shared, settings) = (&alone.shared, &alone.settings);
        let mut loader = Loader::in_hand(shared, settings, NOW_MS, &mut keyspaces, false);
        for line in &lines {
            loader.command(&request(line).args()).unwrap();
        }
        loader.finish().unwrap();
        let expected = digest_of(&keyspaces);
        let dump = written(&keyspaces);
        for shard_count in [1, 2, 4, 7] {
            let bench = Bench::new(shard_count);
            for stays in STAYS {
                let mut loader = bench.loader(stays);
                for line in &lines {
                    loader.command(&request(line).args()).unwrap();
                }
                let keyspaces = loader.finish().unwrap();
                prop_assert_eq!(digest_of(&keyspaces), expected);
                let mut loader = bench.loader(stays);
                bench.load_dump(&dump, true, &mut loader).unwrap();
                let loaded = loader.finish().unwrap();
                prop_assert_eq!(digest_of(&loaded), expected);
                let keys = key_count(&keyspaces);
                let facts = &bench.shared.observations.persistence;
                let told = facts.loaded_keys.load(std::sync::atomic::Ordering::Relaxed);
                prop_assert_eq!(told, keys as u64);
            }
        }
    }
}

fn entry<'r>(key: &'r str, bytes: &'r [u8], offset: u64) -> Raw<'r> {
    Raw {
        key: key.as_bytes(),
        type_code: rdb::types::STRING,
        bytes,
        effects: &[],
        expire_ms: None,
        idle_s: None,
        frequency: None,
        offset,
    }
}

#[test]
fn of_several_entries_that_cannot_be_loaded_the_first_is_told() {
    let bench = Bench::new(4);
    for _ in 0..20 {
        let mut loader = bench.loader((0, 0));
        for number in 0..200_u64 {
            let key = format!("key:{number}");
            // The string is longer than what there is of it.
            let bytes: &[u8] = if number < 50 { b"\x01a" } else { b"\x7fa" };
            loader.entry(&entry(&key, bytes, 10 * number)).unwrap();
        }
        let error = loader.settle().unwrap_err().to_string();
        let expected = "at byte 500, key \"key:50\" of type 0: it ends too early";
        assert_eq!(error, expected);
    }
}

#[test]
fn a_key_that_is_there_twice_ends_the_load_with_its_place() {
    let bench = Bench::new(4);
    for stays in STAYS {
        let mut loader = bench.loader(stays);
        loader.entry(&entry("a", b"\x01a", 10)).unwrap();
        let second = loader.entry(&entry("a", b"\x01b", 20));
        let error = second.and_then(|()| loader.settle()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "at byte 20: the key \"a\" is there twice"
        );
    }
}

#[test]
fn a_load_ends_early_when_threads_have_found_what_is_wrong() {
    let bench = Bench::new(2);
    let mut loader = bench.loader((0, 0));
    loader.entry(&entry("bad", b"\x7fa", 7)).unwrap();
    let mut value = vec![0x80, 0, 0, 0x10, 0];
    value.resize(5 + 4096, b'x');
    let mut keys = 0;
    let error = loop {
        keys += 1;
        let key = format!("key:{keys}");
        // As many as a file has.
        if let Err(error) = loader.entry(&entry(&key, &value, 10 + keys)) {
            break error;
        }
    };
    assert_eq!(
        error.to_string(),
        "at byte 7, key \"bad\" of type 0: it ends too early"
    );
}

#[test]
fn commands_that_no_server_writes_to_a_log_are_refused() {
    let bench = Bench::new(2);
    let mut loader = bench.loader((0, 0));
    for (line, told) in [
        (
            "NOSUCH a b",
            "Unknown command 'NOSUCH' reading the append only file",
        ),
        (
            "SET a",
            "Unknown command 'SET' reading the append only file",
        ),
        (
            "DISCARD",
            "DISCARD in an append only file cannot be followed",
        ),
        (
            "SELECT 99",
            "database 99 is above 'databases': start with as many databases as the server had that wrote the file",
        ),
    ] {
        let error = loader.command(&request(line).args()).unwrap_err();
        assert_eq!(error.to_string(), told);
    }
}

#[test]
fn a_dump_leaves_out_what_has_ended_and_a_base_keeps_it_for_the_log() {
    let bench = Bench::new(2);
    let mut loader = bench.loader((0, 0));
    for line in ["SET a 1", "SET b 2", "PEXPIREAT a 1600000000000"] {
        loader.command(&request(line).args()).unwrap();
    }
    let dump = written(&loader.finish().unwrap());
    let count = |is_base| {
        let mut loader = bench.loader((0, 0));
        bench.load_dump(&dump, is_base, &mut loader).unwrap();
        loader.command(&request("APPEND a 2").args()).unwrap();
        loader.command(&request("PERSIST a").args()).unwrap();
        let keyspaces = loader.finish().unwrap();
        let entries = keyspaces
            .iter()
            .flat_map(|keyspace| keyspace.database(0).table().iter());
        let values = entries.map(|entry| match &entry.value {
            crate::keyspace::value::Value::String(text) => text.bytes(&mut [0; 20]).to_vec(),
            other => panic!("{other:?}"),
        });
        let mut values: Vec<Vec<u8>> = values.collect();
        values.sort();
        values
    };
    assert_eq!(count(true), [b"12".to_vec(), b"2".to_vec()]);
    assert_eq!(count(false), [b"2".to_vec(), b"2".to_vec()]);
}

#[test]
fn what_waits_for_a_thread_is_bounded_in_bytes() {
    use crate::limits::{LOAD_BATCH_BYTES, LOAD_QUEUE_BYTES_MAX};
    let queue = Arc::new(queue::Queue::default());
    let full = || {
        let mut batch = batch::Batch::default();
        let value = vec![b'x'; LOAD_BATCH_BYTES];
        batch.entry(0, &entry("", &value, 0));
        queue::Work::Run(batch)
    };
    let fitting = LOAD_QUEUE_BYTES_MAX / LOAD_BATCH_BYTES;
    (0..fitting).for_each(|_| queue.push(full()));
    let (done, waits) = std::sync::mpsc::channel();
    let (pushing, work) = (Arc::clone(&queue), full());
    let thread = std::thread::spawn(move || {
        pushing.push(work);
        done.send(()).unwrap();
    });
    let Some(queue::Work::Run(first)) = queue.take() else {
        panic!("a batch was pushed");
    };
    // Taken is not yet done: its bytes are still there.
    assert!(waits.try_recv().is_err());
    queue.done(first);
    waits.recv().unwrap();
    thread.join().unwrap();
}

#[test]
fn a_thread_whose_keyspace_is_being_loaded_sleeps_between_its_looks() {
    let bench = Bench::new(1);
    let post = Arc::new(Mailboxes::new(1).unwrap());
    let clock = Arc::new(SystemClock::start());
    let as_post: Arc<dyn Post> = Arc::clone(&post) as Arc<dyn Post>;
    let mut hands = Hands::without_keyspace(ShardId(0), 1, as_post, clock);
    let all = ShardSet::all(1);
    hands.wait_in_line(all, Job::Housekeeping);
    assert!(hands.lines().any_called());
    assert!(hands.reach_in_line(all, 5, |_| {}).is_none());
    assert!(!hands.lines().any_called(), "there is nothing to be done");
    for keyspace in bench.keyspaces() {
        post.berths().put(ShardId(0), keyspace, 0, true, || 0);
    }
    hands.fetch_only();
    let job = hands.reach_in_line(all, 10, |_| {});
    assert!(matches!(job, Some(Job::Housekeeping)));
    hands.put_back(|_, _| {});
}
