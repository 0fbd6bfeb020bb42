//! Whatever commands do while a snapshot is walked, it gives the keys as they were at its cut: no command has a way to a value
//! that the snapshot does not know of.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::command::testing::Bench;
use crate::keyspace::snapshot::{Progress, SnapshotEntry};
use crate::keyspace::table::Entry;
use crate::keyspace::value::Value;

use super::digest::{Digest, entry_digest};

const DATABASES: usize = 3;
const SHARDS: usize = 2;

/// Digest of a key with all that it has, and of what digests leave out.
type Contents = BTreeMap<(usize, Vec<u8>), (Digest, String)>;

/// What each argument of a command stands for: `K` a key, `V` a text, short or long, `N` a small number, `E` an element,
/// `T` a time to come, `D` a database, `I` an ID of a stream.
const COMMANDS: &[&str] = &[
    "SET K V",
    "SET K V",
    "SET K V PX T",
    "SET K V KEEPTTL",
    "SET K N",
    "GETSET K V",
    "SETNX K V",
    "MSET K V K V",
    "MSETNX K V K V",
    "APPEND K V",
    "SETRANGE K N V",
    "INCRBY K N",
    "INCRBYFLOAT K N",
    "GETDEL K",
    "GETEX K PX T",
    "GETEX K PERSIST",
    "GET K",
    "SETBIT K N 1",
    "BITOP OR K K K",
    "BITFIELD K SET u8 0 N",
    "PFADD K V",
    "PFMERGE K K",
    "RPUSH K V V V",
    "RPUSH K V E",
    "LPUSH K V",
    "LPUSHX K V",
    "RPOP K",
    "LPOP K N",
    "LSET K N V",
    "LINSERT K BEFORE V E",
    "LREM K N V",
    "LTRIM K N -2",
    "LMOVE K K LEFT RIGHT",
    "RPOPLPUSH K K",
    "LMPOP 2 K K LEFT",
    "SORT K ALPHA STORE K",
    "HSET K E V",
    "HSET K E V E V",
    "HSETNX K E V",
    "HINCRBY K E N",
    "HDEL K E E",
    "HPEXPIRE K T FIELDS 1 E",
    "HPERSIST K FIELDS 1 E",
    "HGETDEL K FIELDS 1 E",
    "HGETEX K PX T FIELDS 1 E",
    "HGETALL K",
    "SADD K E",
    "SADD K V V",
    "SADD K N",
    "SREM K E",
    "SPOP K",
    "SMOVE K K E",
    "SUNIONSTORE K K K",
    "SDIFFSTORE K K K",
    "SPEXPIRE K T MEMBERS 1 E",
    "SPERSIST K MEMBERS 1 E",
    "SMEMBERS K",
    "ZADD K N E",
    "ZADD K N V",
    "ZADD K N E N V",
    "ZINCRBY K N E",
    "ZREM K E",
    "ZPOPMIN K",
    "ZMPOP 1 K MAX",
    "ZUNIONSTORE K 2 K K",
    "ZRANGESTORE K K 0 N",
    "ZREMRANGEBYRANK K 0 0",
    "GEOADD K N N E",
    "XADD K * f V",
    "XADD K * f V",
    "XADD K * f V f V",
    "XADD K IDMP E E * f V",
    "XADD K MAXLEN N * f V",
    "XDEL K I",
    "XDELEX K DELREF IDS 1 I",
    "XTRIM K MAXLEN N",
    "XSETID K 1900000000000-0",
    "XGROUP CREATE K g 0 MKSTREAM",
    "XGROUP CREATE K g 0",
    "XGROUP CREATECONSUMER K g E",
    "XGROUP DELCONSUMER K g E",
    "XGROUP SETID K g 0",
    "XGROUP DESTROY K g",
    "XREADGROUP GROUP g E COUNT N STREAMS K >",
    "XREADGROUP GROUP g E STREAMS K >",
    "XREADGROUP GROUP g E STREAMS K 0",
    "XACK K g I",
    "XACKDEL K g DELREF IDS 1 I",
    "XCLAIM K g E 0 I",
    "XAUTOCLAIM K g E 0 0",
    "XNACK K g FAIL IDS 1 I",
    "XCFGSET K IDMP-MAXSIZE 2",
    "DEL K",
    "UNLINK K K",
    "DEL K",
    "RENAME K K",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K REPLACE",
    "COPY K K DB D",
    "COPY K K DB D REPLACE",
    "MOVE K D",
    "PEXPIRE K T",
    "PEXPIRE K T",
    "PEXPIRE K 0",
    "PERSIST K",
    "TOUCH K",
    "SWAPDB D D",
    "SWAPDB D D",
    "SELECT D",
    "SELECT D",
    "SELECT D",
    "FLUSHDB",
    "FLUSHALL",
    // What no command does.
    "-due",
    "-due",
    "-producers",
    "-wait",
    "-clear",
    "-begin",
    "-abort",
    "-step",
    "-step",
    "-step",
    "-step",
    "-step",
];

#[derive(Clone, Debug)]
struct Step {
    command: usize,
    seed: u64,
}

fn step() -> impl Strategy<Value = Step> {
    (0..COMMANDS.len(), any::<u64>()).prop_map(|(command, seed)| Step { command, seed })
}

impl Step {
    fn words(&self, now_ms: u64) -> Vec<String> {
        let mut seed = self.seed;
        let mut roll = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let words = COMMANDS[self.command].split(' ');
        let word = |word: &str| match word {
            "K" => format!("k{}", roll(12)),
            "V" if roll(3) == 0 => format!("long{}{}", "x".repeat(3000), roll(3)),
            "V" => format!("v{}", roll(4)),
            "N" => roll(9).to_string(),
            "E" => format!("e{}", roll(5)),
            "T" => (1 + roll(60)).to_string(),
            "D" => roll(DATABASES as u64).to_string(),
            "I" => format!("{}-0", now_ms - roll(20)),
            other => other.to_owned(),
        };
        words.map(word).collect()
    }
}

/// What no replay can know either.
fn unseen(entry: &Entry) -> String {
    let Value::Stream(stream) = &entry.value else {
        return entry.value.encoding().to_owned();
    };
    let groups = stream.groups().map(|(name, group)| {
        let consumers = group.consumers();
        let times = consumers.map(|(_, consumer)| (consumer.seen_ms, consumer.active_ms));
        format!("{name:?} {:?}", times.collect::<Vec<_>>())
    });
    groups.collect()
}

fn facts(db: usize, entry: &Entry) -> ((usize, Vec<u8>), (Digest, String)) {
    let key = (db, entry.key.to_vec());
    (key, (entry_digest(db, entry, 0), unseen(entry)))
}

/// The bench with what the snapshot of each keyspace has given, and is to give.
struct Twin {
    bench: Bench,
    wanted: Option<Contents>,
    given: Vec<SnapshotEntry>,
}

impl Twin {
    fn begin(&mut self) {
        let mut wanted = Contents::new();
        for keyspace in &mut self.bench.keyspaces {
            let counts = keyspace.begin_snapshot();
            for (db, counts) in counts.iter().enumerate() {
                let entries = keyspace.database(db).table().iter();
                let before = wanted.len();
                wanted.extend(entries.map(|entry| facts(db, entry)));
                assert_eq!(wanted.len() - before, counts.keys);
            }
        }
        self.wanted = Some(wanted);
        self.given.clear();
    }

    /// Whether there is more to come.
    fn walk(&mut self, budget: usize) -> bool {
        let mut is_over = true;
        for keyspace in &mut self.bench.keyspaces {
            is_over &= keyspace.step_snapshot(budget, &mut self.given) == Progress::Done;
        }
        if is_over && let Some(wanted) = self.wanted.take() {
            let mut given = Contents::new();
            for SnapshotEntry { db, entry, .. } in self.given.drain(..) {
                let (key, facts) = facts(db, &entry);
                assert!(given.insert(key, facts).is_none(), "{:?} twice", entry.key);
            }
            let keys = given.keys().chain(wanted.keys());
            let mut wrong = keys.filter(|key| given.get(key) != wanted.get(key));
            if let Some(key) = wrong.next() {
                panic!("{key:?}: {:?} for {:?}", given.get(key), wanted.get(key));
            }
        }
        !is_over
    }

    fn take(&mut self, step: &Step) {
        let bench = &mut self.bench;
        bench.now_ms += step.seed % 3;
        let now_ms = bench.now_ms;
        let words = step.words(now_ms);
        let each = bench.keyspaces.iter_mut();
        match words[0].as_str() {
            "-due" => each.for_each(|keyspace| {
                keyspace.expire_due(now_ms, 100);
            }),
            "-producers" => {
                bench.now_ms += 100_000;
                each.for_each(|keyspace| keyspace.end_producers(now_ms + 100_000));
            }
            "-wait" => bench.now_ms += 30,
            "-clear" => each.for_each(|keyspace| keyspace.clear()),
            "-begin" => self.begin(),
            "-abort" => {
                each.for_each(|keyspace| keyspace.abort_snapshot());
                self.wanted = None;
                self.given.clear();
            }
            "-step" => {
                self.walk(1 + step.seed as usize % 8);
            }
            _ => drop(bench.run(&words)),
        }
        for keyspace in &mut self.bench.keyspaces {
            keyspace.take_events();
            keyspace.take_discards();
            keyspace.effects.drain(|_, _| {});
            while keyspace.next_ready().is_some() {}
        }
    }
}

/// How many of these commands are refused whatever the keys: a mistyped one tests nothing.
#[test]
fn all_commands_of_the_test_are_known_and_complete() {
    for command in (0..COMMANDS.len()).filter(|at| !COMMANDS[*at].starts_with('-')) {
        let mut bench = Bench::new();
        let words = Step { command, seed: 1 }.words(bench.now_ms);
        let reply = String::from_utf8_lossy(&bench.run(&words)).into_owned();
        let is_refused = reply.starts_with("-ERR")
            && !reply.contains("no such key")
            && !reply.contains("requires the key");
        assert!(!is_refused, "{words:?}: {reply}");
    }
}

proptest! {
    #![proptest_config(crate::property::cases(1500))]
    #[test]
    fn a_snapshot_gives_what_was_there_whatever_commands_do(
        before in prop::collection::vec(step(), 0..120),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut twin = Twin {
            bench: Bench::with_shards(SHARDS),
            wanted: None,
            given: Vec::new(),
        };
        before.iter().for_each(|step| twin.take(step));
        twin.begin();
        steps.iter().for_each(|step| twin.take(step));
        while twin.walk(3) {}
        prop_assert!(twin.wanted.is_none());
    }
}
