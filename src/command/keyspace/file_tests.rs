#![allow(clippy::unwrap_used, reason = "tests")]
//! Whole files against live servers: what is written here is accepted by redis-check-rdb and loaded by redis-server with equal
//! values, and the other way round. With `MILLRACE_VALKEY`, the path of a valkey-server of 7.2, also files of version 11.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::dump::limits_of;
use super::value_digest;
use crate::command::testing::Bench;
use crate::rdb::read::{Item, Reader};
use crate::rdb::write::{Entry, Writer};
use crate::rdb::{Options, Version};

/// Commands that make keys of every type and form. `#` stands for all numbers from 1 to 300.
const LINES: &[&str] = &[
    "SET s1 text",
    "SET s2 -129",
    "SET s3 1234567890123",
    "SET s4 LONG",
    "SETRANGE s5 60000 x",
    "SET s6 x PXAT 4000000000000",
    "RPUSH l1 a b 1 -7 300 70000 12345678901",
    "RPUSH l2 LONG # LONG #",
    "RPUSH l3 HUGE a HUGE",
    "SADD t1 1 2 300 70000 12345678901",
    "SADD t2 a b 1",
    "SADD t3 # a",
    "SADD t4 a LONG",
    "HSET h1 a 1 b 2 300 x",
    "HSET h2 a LONG #",
    "ZADD z1 1 a 2.5 b -3 c inf d -inf e 1e30 f 0.1 1",
    "ZADD z2 1 LONG 2 b -0 c 0.1 d",
    "XADD x1 1-1 a b",
    "XADD x1 1-2 a c",
    "XADD x1 2-0 d e f g",
    "XDEL x1 1-2",
    "XGROUP CREATE x1 g 0",
    "XGROUP CREATE x1 h 1-1 ENTRIESREAD 1",
    "XGROUP CREATECONSUMER x1 h idle",
    "XREADGROUP GROUP g c COUNT 1 STREAMS x1 >",
    "XREADGROUP GROUP g d COUNT 1 STREAMS x1 >",
    "XADD x2 1-1 a b",
    "XDEL x2 1-1",
    "XGROUP CREATE x3 g $ MKSTREAM",
    "PFADD p1 a b c",
];

/// Lines that no Redis of 7.2 knows.
const OWN_LINES: &[&str] = &[
    "HPEXPIREAT h1 4000000000000 FIELDS 1 a",
    "SPEXPIREAT t1 4000000000000 MEMBERS 1 1",
    "XNACK x1 g FAIL IDS 1 1-1",
    "XCFGSET x2 IDMP-MAXSIZE 7",
];

fn words(line: &str) -> Vec<String> {
    line.split(' ')
        .flat_map(|word| match word {
            "#" => (1..=300).map(|number: u32| number.to_string()).collect(),
            "LONG" => vec!["x".repeat(100)],
            "HUGE" => vec!["0123456789".repeat(2000)],
            word => vec![word.to_owned()],
        })
        .collect()
}

/// A process, as long as it is needed.
struct Running(Child);

/// A server on a socket in a directory.
struct Server {
    _running: Running,
    connection: redis::Connection,
}

impl Server {
    fn start(program: &str, directory: &Path) -> Self {
        let path = |name: &str| directory.join(name).display().to_string();
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let running = Command::new(program)
            .args(["--port", "0", "--unixsocket", &path("socket")])
            .args(["--save", "", "--enable-debug-command", "yes"])
            .args(["--dir", &directory.display().to_string()])
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .map(Running)
            .unwrap_or_else(|error| panic!("no oracle: {program}: {error}"));
        let client = redis::Client::open(format!("redis+unix://{}", path("socket"))).unwrap();
        for _ in 0..4000 {
            if let Ok(mut connection) = client.get_connection()
                && redis::cmd("PING").query::<String>(&mut connection).is_ok()
            {
                return Self {
                    _running: running,
                    connection,
                };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!(
            "{program} did not start: {}",
            std::fs::read_to_string(directory.join("log")).unwrap()
        );
    }

    fn call(&mut self, words: &[String]) -> redis::Value {
        let mut command = redis::cmd(&words[0]);
        command.arg(&words[1..]);
        let reply = command.query(&mut self.connection);
        reply.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Keys with the digests of their values.
    fn digests(&mut self) -> BTreeMap<String, String> {
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg("*")
            .query(&mut self.connection)
            .unwrap();
        let mut command = redis::cmd("DEBUG");
        let digests: Vec<String> = command
            .arg("DIGEST-VALUE")
            .arg(&keys)
            .query(&mut self.connection)
            .unwrap();
        keys.into_iter().zip(digests).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bench(lines: &[&str]) -> Bench {
    let mut bench = Bench::new();
    bench.now_ms = 1_700_000_000_000;
    for line in lines {
        let words = words(line);
        let reply = bench.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_ne!(
            reply.first(),
            Some(&b'-'),
            "{line}: {}",
            String::from_utf8_lossy(&reply)
        );
    }
    bench
}

fn write(bench: &Bench, version: Version) -> Vec<u8> {
    let options = Options {
        version,
        compress: true,
        checksum: true,
    };
    let mut writer = Writer::new(options, Vec::new()).unwrap();
    writer.aux(b"redis-ver", b"7.2.0").unwrap();
    writer.aux(b"redis-bits", b"64").unwrap();
    writer.select(0).unwrap();
    let table = bench.keyspaces[0].database(0).table();
    writer.resize(table.len() as u64, 1).unwrap();
    for entry in table.iter() {
        let entry = Entry {
            key: &entry.key,
            value: &entry.value,
            expire_ms: entry.expiry(),
            idle_s: Some(7),
            frequency: None,
        };
        writer.entry(&entry, bench.now_ms).unwrap();
    }
    writer.finish().unwrap()
}

fn own_digests(bench: &Bench) -> BTreeMap<String, String> {
    let table = bench.keyspaces[0].database(0).table();
    let digest = |entry: &crate::keyspace::table::Entry| {
        let digest = hex(&value_digest(&entry.value, bench.now_ms));
        (String::from_utf8_lossy(&entry.key).into_owned(), digest)
    };
    table.iter().map(digest).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(bytes: &[u8], bench: &Bench) -> BTreeMap<String, String> {
    let limits = limits_of(&bench.settings, 0);
    let mut reader = Reader::new(bytes, true).unwrap();
    let mut digests = BTreeMap::new();
    while let Some(item) = reader.next_item().unwrap_or_else(|error| panic!("{error}")) {
        if let Item::Entry(raw) = item {
            let value = raw.decode(&limits, bench.now_ms);
            let value = value.unwrap_or_else(|error| panic!("{error}"));
            let key = String::from_utf8_lossy(raw.key).into_owned();
            digests.insert(key, hex(&value_digest(&value, bench.now_ms)));
        }
    }
    assert_eq!(reader.offset(), bytes.len() as u64);
    digests
}

/// A server with the keys of the lines, made by its own commands.
fn made(program: &str, directory: &Path) -> Server {
    let mut server = Server::start(program, directory);
    for line in LINES {
        server.call(&words(line));
    }
    server
}

/// What a server tells of the groups of a stream.
fn groups(server: &mut Server) -> String {
    let told = ["XINFO GROUPS x1", "XPENDING x1 g", "XINFO GROUPS x3"];
    let told = told.map(|line| server.call(&words(line)));
    format!("{told:?}")
}

/// Ours there, theirs here.
fn both_ways(program: &str, version: Version) {
    let directory = tempfile::tempdir().unwrap();
    let mut theirs = made(program, directory.path());
    let (digests, told) = (theirs.digests(), groups(&mut theirs));
    theirs.call(&words("SAVE"));
    let bytes = std::fs::read(directory.path().join("dump.rdb")).unwrap();
    let ours = bench(LINES);
    // Deliveries have times.
    let but_for_times = |mut digests: BTreeMap<String, String>| {
        digests.remove("x1").expect("the stream with groups");
        digests
    };
    assert_eq!(
        but_for_times(read(&bytes, &ours)),
        but_for_times(own_digests(&ours))
    );
    let with_own = bench(&[LINES, OWN_LINES].concat());
    for bench in [ours, with_own] {
        let bytes = write(&bench, version);
        assert_eq!(read(&bytes, &bench), own_digests(&bench));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("dump.rdb");
        std::fs::write(&file, &bytes).unwrap();
        if version == Version::V10 {
            let checked = Command::new("redis-check-rdb").arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&checked.stdout);
            assert!(said.contains("RDB looks OK!"), "{said}");
        }
        let mut loaded = Server::start(program, directory.path());
        assert_eq!(loaded.digests(), digests);
        assert_eq!(groups(&mut loaded), told);
        loaded.call(&words("SAVE"));
        let saved = std::fs::read(&file).unwrap();
        // What it does not know it has passed over.
        assert_eq!(
            but_for_times(read(&saved, &bench)),
            but_for_times(own_digests(&self::bench(LINES)))
        );
    }
}

#[test]
fn files_of_version_10_go_to_redis_7_0_and_back() {
    both_ways("redis-server", Version::V10);
}

#[test]
fn files_of_version_11_go_to_valkey_and_back() {
    if let Ok(program) = std::env::var("MILLRACE_VALKEY") {
        both_ways(&program, Version::V11);
    }
}
