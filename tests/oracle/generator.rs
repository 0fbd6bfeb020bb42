//! Seeded generator of commands on one connection.
//!
//! A run is a list of steps that does not depend on any reply, so it can be shrunk by leaving steps out and replayed.
//! The key space is small (so that keys meet), spread over several slots, with binary names; about one key in eight is of
//! the wrong type and about one command in twelve is damaged (an argument lost, doubled, swapped, replaced).
//!
//! What the generator avoids, because no two servers can agree on it: expiry that ends during the run by itself (a short
//! expiry is always followed by a pause and an access of the key), comparisons of two relative times (each TTL is
//! used once), idle times near a limit, stream IDs from the clock other than on the keys for them.

mod bits;
mod geo;
mod hashes;
mod lists;
mod newest;
mod sets;
mod sorted_sets;
mod sorting;
mod streams;
mod strings;
mod tame;

use crate::support::{Random, Server};

/// A command's words.
pub(crate) type Words = Vec<Vec<u8>>;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sends the words, compares the reply.
    Command,
    /// Walks `SCAN` from 0 to 0 with the words behind the cursor, compares the set of keys.
    ScanWalk,
    /// `RANDOMKEY`: null on both, or a key that exists.
    RandomKey,
    /// Compares everything stored.
    State,
}

/// One step of a run.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What to do with the words.
    pub(crate) kind: Kind,
    /// The command.
    pub(crate) words: Words,
    /// Whether the replies so far are read before the next step is sent.
    pub(crate) flush: bool,
}

/// What the oracle is, as far as the generator must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dialect {
    /// Redis 7.0: lacks some commands and options of 7.2.
    Redis70,
    /// 7.2, whose behaviour we promise where it is no newer.
    Redis72,
    /// What follows it: XREAD takes `+`, with an error where there is no entry.
    Later,
    /// Redis 8.6: reference policies, CLAIM while reading, idempotent XADD.
    Redis86,
}

/// The dialect of an oracle: what it says it is, and what it can do.
pub(crate) fn dialect_of(oracle: &Server) -> Dialect {
    if oracle.version().starts_with("7.0.") {
        return Dialect::Redis70;
    }
    if oracle.connect().run("XREAD STREAMS none +").is_error() {
        Dialect::Redis72
    } else if oracle.connect().run("COMMAND INFO XCFGSET").items()[0].is_null() {
        Dialect::Later
    } else {
        Dialect::Redis86
    }
}

macro_rules! words {
    ($($word:expr),* $(,)?) => {{
        let words: Words = vec![$(AsRef::<[u8]>::as_ref(&$word).to_vec()),*];
        words
    }};
}
pub(crate) use words;

const STRING_KEYS: &[&[u8]] = &[b"s1", b"s2", b"{h}s", b"n1", b"\x00s\r\n\xff"];
const LIST_KEYS: &[&[u8]] = &[b"l1", b"l2", b"l3", b"{h}l"];
const SET_KEYS: &[&[u8]] = &[b"t1", b"t2", b"t3", b"{h}t"];
const HASH_KEYS: &[&[u8]] = &[b"h1", b"h2", b"{h}h"];
const SORTED_SET_KEYS: &[&[u8]] = &[b"z1", b"z2", b"z3", b"{h}z"];
/// A sorted set of which all scores are the same.
const LEX_KEY: &[u8] = b"zl";
/// Sorted sets of places.
const GEO_KEYS: &[&[u8]] = &[b"e1", b"e2", b"{h}e"];
const STREAM_KEYS: &[&[u8]] = &[b"x1", b"x2", b"{h}x"];
const SKETCH_KEYS: &[&[u8]] = &[b"p1", b"p2", b"{h}p"];
const AUTO_STREAM_KEY: &[u8] = b"xa";
const MISSING_KEYS: &[&[u8]] = &[b"none", b"{h}none", b""];
const GROUPS: &[&str] = &["g1", "g1", "g1", "g2", "nogroup"];
const CONSUMERS: &[&str] = &["c1", "c1", "c2", "c3"];

/// Far-apart numbers that meet every special case, none of which makes a server take much memory.
const WILD_NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "-2",
    "5",
    "-5",
    "10",
    "100",
    "1000",
    "-1000",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "abc",
    "",
    "1.5",
    "+1",
    " 1",
    "1 ",
    "01",
    "-0",
    "0x10",
    "1e3",
];

const VALUES: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"a",
    b"b",
    b"hello",
    b"hello world",
    b"",
    b"1",
    b"2",
    b"10",
    b"-5",
    b"9223372036854775807",
    b"3.5",
    b"-0",
    b"1e3",
    b" 1",
    b"12345678901234567890",
    b"\x00",
    b"\xff\xfe\x00\r\n",
    b"ohmytext",
    b"mynewtext",
];

/// The generator's state.
pub(crate) struct Generator {
    random: Random,
    dialect: Dialect,
    /// Each relative or absolute expiry is used once.
    expiry_seconds: i64,
    /// The time part of the next explicit stream ID.
    stream_clock: i64,
    /// Words still to come before EXEC or DISCARD; `None` outside MULTI.
    transaction_left: Option<usize>,
}

impl Generator {
    /// A generator whose steps depend on the seed and the dialect only.
    pub(crate) fn new(seed: u64, dialect: Dialect) -> Self {
        Self {
            random: Random::new(seed),
            dialect,
            expiry_seconds: 10_000,
            stream_clock: 1,
            transaction_left: None,
        }
    }

    /// A whole run: the protocol, settings, some groups to begin with, `count` commands, and the comparison of everything stored.
    pub(crate) fn steps(&mut self, count: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let command = |words| Step {
            kind: Kind::Command,
            words,
            flush: false,
        };
        if self.random.percent(50) {
            steps.push(command(words!["HELLO", "3"]));
        }
        let listpack = self.random.pick(&["-2", "-2", "-1", "3", "16"]);
        steps.push(command(words![
            "CONFIG",
            "SET",
            "list-max-listpack-size",
            listpack
        ]));
        let entries = self.random.pick(&["100", "100", "4", "10"]);
        steps.push(command(words![
            "CONFIG",
            "SET",
            "stream-node-max-entries",
            entries
        ]));
        for (name, values) in [
            ("hash-max-listpack-entries", ["128", "128", "4", "0"]),
            ("hash-max-listpack-value", ["64", "64", "5", "0"]),
            ("zset-max-listpack-entries", ["128", "128", "128", "4"]),
            ("zset-max-listpack-value", ["64", "64", "64", "3"]),
        ] {
            let value = self.random.pick(&values);
            steps.push(command(words!["CONFIG", "SET", name, value]));
        }
        let sparse_bytes = self.random.pick(&["3000", "3000", "200", "30", "0"]);
        steps.push(command(words![
            "CONFIG",
            "SET",
            "hll-sparse-max-bytes",
            sparse_bytes
        ]));
        for key in STREAM_KEYS {
            steps.push(command(words![
                "XGROUP", "CREATE", key, "g1", "0", "MKSTREAM"
            ]));
        }
        let depth = self.random.pick(&[1, 4, 16, 64]);
        while steps.len() < count {
            self.one_or_more(&mut steps);
            if self.random.below(depth) == 0 {
                steps.last_mut().expect("steps").flush = true;
            }
        }
        steps.push(command(words!["DISCARD"]));
        steps.push(Step {
            kind: Kind::State,
            words: words![],
            flush: true,
        });
        steps
    }

    /// Mostly one step, a few that belong together.
    fn one_or_more(&mut self, steps: &mut Vec<Step>) {
        let command = |words| Step {
            kind: Kind::Command,
            words,
            flush: false,
        };
        if let Some(left) = self.transaction_left {
            if left == 0 {
                self.transaction_left = None;
                let end = if self.random.percent(85) {
                    "EXEC"
                } else {
                    "DISCARD"
                };
                steps.push(command(words![end]));
                return;
            }
            self.transaction_left = Some(left - 1);
            let words = self.command();
            steps.push(command(words));
            return;
        }
        match self.random.below(400) {
            0..20 => {
                if self.random.percent(30) {
                    let words = self.many_keys("WATCH");
                    steps.push(command(words));
                }
                self.transaction_left = Some(self.random.below(8));
                steps.push(command(words!["MULTI"]));
            }
            20 => steps.push(command(words![
                self.random.pick(&["EXEC", "DISCARD", "UNWATCH"])
            ])),
            21..25 => steps.push(Step {
                kind: Kind::RandomKey,
                words: words![],
                flush: true,
            }),
            25..30 => {
                let words = self.scan_options();
                steps.push(Step {
                    kind: Kind::ScanWalk,
                    words,
                    flush: true,
                });
            }
            30 => {
                let key = self.key_of_any_type();
                let expire = match self.random.below(3) {
                    0 => words!["PEXPIRE", key, "1"],
                    1 => words!["SET", key, "short", "PX", "1"],
                    _ => words!["GETEX", key, "PX", "1"],
                };
                steps.push(command(expire));
                steps.push(command(words!["DEBUG", "SLEEP", "0.004"]));
                steps.push(command(words!["EXISTS", key]));
            }
            31 => {
                let words = self.blocking();
                steps.push(command(words));
            }
            _ => {
                let words = self.command();
                steps.push(command(words));
            }
        }
    }

    fn command(&mut self) -> Words {
        let words = match self.random.below(100) {
            0..14 => self.string(),
            14..19 => self.bitmap(),
            19..23 => self.sketch(),
            23..27 => self.places(),
            27..36 => self.key(),
            36..48 => self.list(),
            48..57 => self.set(),
            57..59 => self.sorting(),
            59..68 => self.hash(),
            68..80 => self.sorted_set(),
            80..95 => self.stream(),
            _ => self.connection(),
        };
        let words = if self.random.below(12) == 0 {
            self.damage(words)
        } else {
            words
        };
        self.tamed(words)
    }

    /// One argument lost, doubled, swapped, replaced, added, or the letters' case changed; the command's name stays.
    fn damage(&mut self, mut words: Words) -> Words {
        let name = words[0].to_ascii_uppercase();
        if matches!(
            name.as_slice(),
            // WAIT for replicas that do not exist would wait for ever.
            // A walk stands where its own server says.
            b"DEBUG"
                | b"CONFIG"
                | b"HELLO"
                | b"CLIENT"
                | b"SCAN"
                | b"HSCAN"
                | b"SSCAN"
                | b"ZSCAN"
                | b"WAIT"
        ) {
            return words;
        }
        if self.dialect == Dialect::Redis70 && name == b"XSETID" {
            return words;
        }
        let at = self.random.below(words.len());
        match self.random.below(7) {
            0 => {
                words.pop();
                if words.is_empty() {
                    return vec![name];
                }
            }
            1 if at > 0 => {
                words.remove(at);
            }
            2 if at > 0 => words.insert(at, words[at].clone()),
            3 if at > 0 => words[at] = self.wild_number(),
            4 if at > 0 => {
                let other = 1 + self.random.below(words.len() - 1);
                words.swap(at, other);
            }
            5 => words.push(self.value()),
            _ => {
                words[0] = words[0]
                    .iter()
                    .map(|byte| byte ^ if byte.is_ascii_alphabetic() { 0x20 } else { 0 })
                    .collect()
            }
        }
        // A damaged SETRANGE or BLOCK must not take memory or time.
        words
    }

    fn wild_number(&mut self) -> Vec<u8> {
        self.random.pick(WILD_NUMBERS).as_bytes().to_vec()
    }

    fn small_number(&mut self) -> Vec<u8> {
        if self.random.percent(4) {
            self.wild_number()
        } else {
            self.random.range(-6, 8).to_string().into_bytes()
        }
    }

    fn count(&mut self) -> Vec<u8> {
        if self.random.percent(5) {
            self.wild_number()
        } else {
            self.random.range(1, 6).to_string().into_bytes()
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(40) {
            0 => vec![b'v'; 100],
            1 => vec![b'w'; 3000],
            2 => vec![b'x'; 600],
            3..8 => self.random.range(-300, 70_000).to_string().into_bytes(),
            8 => (0..self.random.below(20))
                .map(|_| self.random.below(256).to_le_bytes()[0])
                .collect(),
            _ => self.random.pick(VALUES).to_vec(),
        }
    }

    fn key_of_any_type(&mut self) -> Vec<u8> {
        let keys = match self.random.below(16) {
            0..2 => STRING_KEYS,
            2..5 => LIST_KEYS,
            5..7 => SET_KEYS,
            7..9 => HASH_KEYS,
            9..10 => SORTED_SET_KEYS,
            10..11 => GEO_KEYS,
            11..12 => SKETCH_KEYS,
            12..15 => STREAM_KEYS,
            _ => MISSING_KEYS,
        };
        self.random.pick(keys).to_vec()
    }

    fn key_of(&mut self, keys: &[&[u8]]) -> Vec<u8> {
        match self.random.below(100) {
            0..9 => self.key_of_any_type(),
            9..12 => self.random.pick(MISSING_KEYS).to_vec(),
            _ => self.random.pick(keys).to_vec(),
        }
    }

    fn many_keys(&mut self, name: &str) -> Words {
        let mut words = words![name];
        for _ in 0..=self.random.below(4) {
            words.push(self.key_of_any_type());
        }
        words
    }

    /// The words and then the options in random order.
    fn with_options(&mut self, mut words: Words, mut options: Vec<Words>) -> Words {
        self.random.shuffle(&mut options);
        for option in options {
            words.extend(option);
        }
        words
    }

    fn connection(&mut self) -> Words {
        let value = self.value();
        match self.random.below(22) {
            0 => words!["PING"],
            1 => words!["PING", value],
            2 => words!["ECHO", value],
            3 => words![
                "CLIENT",
                "SETNAME",
                self.random.pick(&["me", "", "with blank", "new\nline"])
            ],
            4 => words!["CLIENT", "GETNAME"],
            5 => words!["CLIENT", "ID"],
            6 => words![
                "CLIENT",
                "NO-EVICT",
                self.random.pick(&["ON", "OFF", "maybe"])
            ],
            7 if self.dialect != Dialect::Redis70 => {
                words![
                    "CLIENT",
                    "NO-TOUCH",
                    self.random.pick(&["ON", "OFF", "maybe"])
                ]
            }
            8 if self.dialect != Dialect::Redis70 => {
                let attribute = self.random.pick(&["LIB-NAME", "lib-ver", "LIB-COLOR"]);
                words![
                    "CLIENT",
                    "SETINFO",
                    attribute,
                    self.random.pick(&["redis-py", "5.0", "a b", ""])
                ]
            }
            9 => words![
                self.random.pick(&["NOSUCH", "nosuch", "GETT", "XADDD"]),
                value,
                self.value(),
                self.value()
            ],
            10 => words![
                self.random
                    .pick(&["XGROUP", "OBJECT", "XINFO", "PUBSUB", "CLIENT", "MEMORY"])
            ],
            11 => words!["PUBLISH", "channel", value],
            12 => words!["SPUBLISH", "channel", value],
            13 => words![
                "PUBSUB",
                self.random.pick(&[
                    "CHANNELS",
                    "NUMPAT",
                    "NUMSUB",
                    "SHARDCHANNELS",
                    "SHARDNUMSUB"
                ])
            ],
            14 => words!["PUBSUB", "NUMSUB", "a", "b"],
            15 => words!["TIME"],
            16 => words!["LASTSAVE"],
            17 => words!["WAIT", "0", "10"],
            18 => words!["MEMORY", "USAGE", self.key_of_any_type()],
            19 => words!["CLIENT", "UNBLOCK", self.random.pick(&["99999999", "abc"])],
            20 if self.transaction_left.is_none() => {
                words!["HELLO", self.random.pick(&["2", "3", "4", "abc", "1"])]
            }
            21 if self.transaction_left.is_none() => words!["RESET"],
            _ => words!["DBSIZE"],
        }
    }
}
