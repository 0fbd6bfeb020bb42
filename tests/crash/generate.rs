//! What one writer sends: random operations on keys of its own, and some on keys that all writers share.
//!
//! Elements are unique over all rounds: each has its writer, its round and a number. Nothing here looks at the server's state;
//! only IDs that the server gave are kept, to delete, acknowledge and claim them.

use std::collections::{BTreeMap, VecDeque};

use super::history::Op;
use super::support::{Frame, Random};

/// How many shared lists there are.
pub(crate) const QUEUES: usize = 4;
/// How many accounts a round's bank has.
pub(crate) const ACCOUNTS: usize = 6;
/// Rounds after which a round's own keys are deleted.
pub(crate) const ROUNDS_KEPT: u64 = 3;
/// Numbers of a round.
const NUMBERS: u64 = 100_000_000;
/// IDs remembered of each stream.
const IDS_KEPT: usize = 60;
/// How far in the future a key ends that must not end during a run, ms.
const FAR_MS: i64 = 7 * 24 * 3_600_000;

/// The writer that uses two databases of its own.
pub(crate) const SCRATCH: &str = "scratch";

/// Makes the operations of one writer in one round.
pub(crate) struct Generator {
    name: String,
    random: Random,
    round: u64,
    number: u64,
    now_ms: i64,
    is_newest: bool,
    database: u32,
    ids: BTreeMap<String, VecDeque<String>>,
}

impl Generator {
    /// `is_newest`: the server knows idempotent producers, and its log keeps how many entries a group has read.
    pub(crate) fn new(name: &str, round: u64, seed: u64, is_newest: bool, now_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            random: Random::new(seed),
            round,
            number: round * NUMBERS,
            now_ms,
            is_newest,
            database: 0,
            ids: BTreeMap::new(),
        }
    }

    /// IDs that are pending for this writer on a shared stream from before.
    pub(crate) fn remember(&mut self, key: &str, ids: impl Iterator<Item = String>) {
        let kept = self.ids.entry(key.to_owned()).or_default();
        kept.extend(ids.take(IDS_KEPT));
    }

    /// What a round begins with.
    pub(crate) fn first(&mut self) -> Vec<Op> {
        let name = &self.name;
        if name == SCRATCH {
            self.database = 9;
            return vec![Op::one("SELECT 9")];
        }
        let mut ops = Vec::new();
        for key in ["s0", "s1"] {
            for group in ["g", "h"] {
                ops.extend(self.create_group(&format!("{name}:{key}"), group));
            }
        }
        let key = format!("shared:s{}", self.round);
        ops.push(Op::one(&self.group(&key, "g")));
        if self.is_newest {
            let key = format!("{name}:p");
            ops.push(Op::one(&format!("XADD {key} * f begin{}", self.round)));
            ops.push(Op::one(&format!(
                "XCFGSET {key} IDMP-DURATION 86400 IDMP-MAXSIZE 10000"
            )));
        }
        if let Some(old) = self.round.checked_sub(ROUNDS_KEPT) {
            ops.push(Op::one(&format!("DEL {name}:log{old}")));
        }
        ops
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Op {
        if self.name == SCRATCH {
            return self.scratch();
        }
        match self.random.below(100) {
            0..62 => Op::one(&self.own()),
            62..74 => {
                let count = 2 + self.random.below(3);
                Op::transaction((0..count).map(|_| self.own()).collect())
            }
            74..84 => Op::one(&self.queue()),
            84..93 => Op::one(&self.shared_stream()),
            93 => self.renew_group(),
            _ => self.transfer(),
        }
    }

    /// Keeps the IDs in a reply.
    pub(crate) fn note(&mut self, op: &Op, reply: &Frame) {
        let replies = match op.is_transaction {
            true => reply.items(),
            false => std::slice::from_ref(reply),
        };
        for (words, reply) in op.commands.iter().zip(replies) {
            match words[0].as_str() {
                "XADD" if matches!(reply, Frame::Bulk(_)) && !words[1].starts_with("shared:") => {
                    self.keep(&words[1], reply.text());
                }
                "XREADGROUP" if words[7].starts_with("shared:") => {
                    let entries = reply
                        .items()
                        .first()
                        .map(|of_key| of_key.items()[1].items());
                    for entry in entries.unwrap_or_default() {
                        self.keep(&words[7], entry.items()[0].text());
                    }
                }
                _ => {}
            }
        }
    }

    fn keep(&mut self, key: &str, id: String) {
        let ids = self.ids.entry(key.to_owned()).or_default();
        ids.push_back(id);
        if ids.len() > IDS_KEPT {
            ids.pop_front();
        }
    }

    fn some_id(&mut self, key: &str) -> String {
        let ids = self.ids.get(key).filter(|ids| !ids.is_empty());
        match ids {
            Some(ids) => ids[self.random.below(ids.len())].clone(),
            None => "1-1".to_owned(),
        }
    }

    fn unique(&mut self) -> String {
        self.number += 1;
        // Now and then one that does not fit a small encoding.
        let long = match self.random.below(40) {
            0 => "x".repeat(100 + self.random.below(3_000)),
            _ => String::new(),
        };
        format!("{}-{}{long}", self.name, self.number)
    }

    fn key(&mut self, kind: &str) -> String {
        format!("{}:{kind}{}", self.name, self.random.below(4))
    }

    fn side(&mut self) -> &'static str {
        self.random.pick(&["LEFT", "RIGHT"])
    }

    /// A command on keys of its own.
    fn own(&mut self) -> String {
        match self.random.below(100) {
            0..16 => self.string(),
            16..38 => self.list(),
            38..48 => self.hash(),
            48..56 => self.set(),
            56..66 => self.sorted(),
            66..92 => self.stream(),
            92..96 if self.is_newest => self.produce(),
            _ => {
                let (key, value) = (self.key("volatile"), self.unique());
                match self.random.below(2) {
                    0 => format!("SET {key} {value} PX {}", 1 + self.random.below(3_000)),
                    _ => {
                        let wait = self.random.range(1, 3_000);
                        format!("SET {key} {value} PXAT {}", self.now_ms + wait)
                    }
                }
            }
        }
    }

    fn string(&mut self) -> String {
        let (key, counter) = (self.key("t"), self.key("n"));
        let far = FAR_MS + self.random.range(0, FAR_MS);
        match self.random.below(12) {
            0 if self.random.percent(5) => {
                // More than one read or write moves at once.
                format!("SET {key} {}{}", self.unique(), "y".repeat(100_000))
            }
            0 | 1 => format!("SET {key} {}", self.unique()),
            2 => format!("SET {key} {} PX {far}", self.unique()),
            3 => format!("SET {key} {} KEEPTTL", self.unique()),
            4 | 5 => format!("APPEND {key} {}", self.random.below(1000)),
            6 => format!("PEXPIRE {key} {far}"),
            7 => format!("PEXPIREAT {key} {}", self.now_ms + far),
            8 => format!("PERSIST {key}"),
            9 => format!("GETDEL {key}"),
            _ => format!("INCRBY {counter} {}", self.random.range(-5, 9)),
        }
    }

    fn list(&mut self) -> String {
        let (key, other) = (self.key("l"), self.key("l"));
        match self.random.below(16) {
            0..3 => format!("LPUSH {key} {} {}", self.unique(), self.unique()),
            3..6 => format!("RPUSH {key} {}", self.unique()),
            6 => format!("LPOP {key}"),
            7 => format!("RPOP {key} {}", 1 + self.random.below(3)),
            8..11 => format!("LMOVE {key} {other} {} {}", self.side(), self.side()),
            11 => format!("BLMOVE {key} {other} {} {} 0.001", self.side(), self.side()),
            12 => format!("BLPOP {key} {other} 0.001"),
            13 => format!("BRPOP {key} 0.001"),
            14 => format!("LTRIM {key} 0 {}", 20 + self.random.below(40)),
            _ => format!("RPOP {key}"),
        }
    }

    fn hash(&mut self) -> String {
        let (key, field) = (self.key("h"), self.random.below(30));
        match self.random.below(6) {
            0 | 1 => format!("HSET {key} f{field} {}", self.unique()),
            2 => {
                let (one, other) = (self.unique(), self.unique());
                format!("HSET {key} f{field} {one} f{} {other}", field + 1)
            }
            3 | 4 => format!("HINCRBY {key} n{field} {}", self.random.range(-9, 9)),
            _ => format!("HDEL {key} f{field} n{field} f{}", self.random.below(30)),
        }
    }

    fn set(&mut self) -> String {
        let (key, member) = (self.key("m"), self.random.below(60));
        match self.random.below(6) {
            0..3 => format!("SADD {key} {member} m{}", self.random.below(60)),
            3 => format!("SMOVE {}:m0 {}:m1 {member}", self.name, self.name),
            _ => format!("SREM {key} {member} m{}", self.random.below(60)),
        }
    }

    fn sorted(&mut self) -> String {
        let (key, member) = (self.key("z"), self.random.below(60));
        let score = self.random.range(-50, 50);
        match self.random.below(8) {
            0..3 => format!("ZADD {key} {score} m{member}"),
            3..5 => format!("ZINCRBY {key} {score} m{member}"),
            5 => format!("ZREM {key} m{member}"),
            6 => format!("ZPOPMIN {key}"),
            _ => format!("BZPOPMIN {key} 0.001"),
        }
    }

    fn stream(&mut self) -> String {
        let kind = self.random.pick(&["s0", "s1"]);
        let key = format!("{}:{kind}", self.name);
        let (group, consumer) = (
            self.random.pick(&["g", "h"]),
            self.random.pick(&["a", "b", "c"]),
        );
        let (one, other) = (self.some_id(&key), self.some_id(&key));
        match self.random.below(30) {
            0..10 => {
                let value = self.unique();
                match kind {
                    // The IDs of one are its writer's, those of the other the server's.
                    "s0" => format!("XADD {key} {}-7 f {value}", self.number),
                    _ => format!("XADD {key} * f {value}"),
                }
            }
            10..18 => {
                let count = 1 + self.random.below(4);
                format!("XREADGROUP GROUP {group} {consumer} COUNT {count} STREAMS {key} >")
            }
            18..23 => format!("XACK {key} {group} {one} {other}"),
            23 | 24 => format!("XCLAIM {key} {group} {consumer} 0 {one} {other}"),
            25 => {
                let count = 1 + self.random.below(5);
                format!("XAUTOCLAIM {key} {group} {consumer} 0 {one} COUNT {count}")
            }
            // Of the first stream nothing is deleted, so that what its groups have read stays known.
            26 if kind == "s1" => format!("XDEL {key} {one} {other}"),
            27 => format!("XGROUP CREATECONSUMER {key} {group} {consumer}"),
            28 => self.group(&key, "h"),
            _ => format!("XTRIM {key} MAXLEN {}", 40 + self.random.below(40)),
        }
    }

    fn produce(&mut self) -> String {
        let name = self.name.clone();
        // Often the one before again.
        if !self.random.percent(30) {
            self.number += 1;
        }
        let number = self.number;
        format!("XADD {name}:p IDMP {name} i{number} * f v{number}")
    }

    fn queue(&mut self) -> String {
        let [one, other] = [(); 2].map(|()| format!("shared:q{}", self.random.below(QUEUES)));
        match self.random.below(12) {
            0..3 => format!("LPUSH {one} {}", self.unique()),
            3..5 => format!("RPUSH {one} {}", self.unique()),
            5..7 => format!("RPOP {one}"),
            7 => format!("LPOP {one}"),
            8 => format!("LMOVE {one} {other} {} {}", self.side(), self.side()),
            9 => format!("BLMOVE {one} {other} {} {} 0.005", self.side(), self.side()),
            _ => format!("BLPOP {one} {other} 0.005"),
        }
    }

    fn shared_stream(&mut self) -> String {
        let key = format!("shared:s{}", self.round);
        let before = format!("shared:s{}", self.round.saturating_sub(1));
        match self.random.below(10) {
            0..4 => format!("XADD {key} * f {}", self.unique()),
            4..7 => {
                let (name, count) = (self.name.clone(), 1 + self.random.below(3));
                format!("XREADGROUP GROUP g {name} COUNT {count} STREAMS {key} >")
            }
            7 => format!("XACK {before} g {}", self.some_id(&before)),
            _ => format!("XACK {key} g {}", self.some_id(&key)),
        }
    }

    /// Takes from one account what it gives to another, and writes it down, in one transaction.
    fn transfer(&mut self) -> Op {
        let from = self.random.below(ACCOUNTS);
        let to = (from + 1 + self.random.below(ACCOUNTS - 1)) % ACCOUNTS;
        let (amount, round) = (self.random.range(1, 100), self.round);
        let bank = format!("shared:bank{round}");
        self.number += 1;
        let line = format!("{from}/{to}/{amount}/{}", self.number);
        Op::transaction(vec![
            format!("HINCRBY {bank}:{from} balance -{amount}"),
            format!("HINCRBY {bank}:{to} balance {amount}"),
            format!("RPUSH {}:log{round} {line}", self.name),
        ])
    }

    /// In databases 9 and 10, which no other writer uses.
    fn scratch(&mut self) -> Op {
        let other = 19 - self.database;
        let kind = self.random.pick(&["t", "l"]);
        let (key, second) = (self.key(kind), self.key(kind));
        Op::one(&match self.random.below(40) {
            0..6 => {
                self.database = other;
                format!("SELECT {other}")
            }
            6..9 => "SWAPDB 9 10".to_owned(),
            9 => "FLUSHDB".to_owned(),
            10..15 => format!("RENAME {key} {second}"),
            15..18 => format!("MOVE {key} {other}"),
            18..21 => format!("COPY {key} {second} DB {other} REPLACE"),
            21..23 => format!("DEL {key} {second}"),
            _ if kind == "t" => format!("SET {key} {}", self.unique()),
            _ => format!("RPUSH {key} {}", self.unique()),
        })
    }

    fn group(&self, key: &str, group: &str) -> String {
        let read = if self.is_newest { " ENTRIESREAD 0" } else { "" };
        format!("XGROUP CREATE {key} {group} 0 MKSTREAM{read}")
    }

    /// A group with its consumers, in place of the one that was.
    fn renew_group(&mut self) -> Op {
        let key = format!("{}:{}", self.name, self.random.pick(&["s0", "s1"]));
        let mut lines = vec![format!("XGROUP DESTROY {key} h")];
        for op in self.create_group(&key, "h") {
            lines.push(op.commands[0].join(" "));
        }
        Op::transaction(lines)
    }

    fn create_group(&self, key: &str, group: &str) -> Vec<Op> {
        let mut ops = vec![Op::one(&self.group(key, group))];
        ops.extend(
            ["a", "b", "c"].map(|consumer| {
                Op::one(&format!("XGROUP CREATECONSUMER {key} {group} {consumer}"))
            }),
        );
        ops
    }
}
