//! Seeded generator of steps on several connections in one total order.
//!
//! Commands whose replies depend on the clock or on a table's order are left out: what eight connections receive must
//! be equal byte for byte. Client ids are written as `<id:3>` and addresses as `<address:3>`, filled in per server.

use crate::oracle::generator::{Dialect, Words, words};
use crate::support::Random;

/// How many connections a run drives.
pub(crate) const CONNECTIONS: usize = 8;

/// What happens on one connection.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Sends a command; left out when the connection is blocked.
    Send(Words),
    /// Sends a command whether or not the connection is blocked: it then runs when the block ends.
    SendAnyhow(Words),
    /// A blocking command with a short timeout: the step ends when it is answered.
    Timed(Words),
    /// Closes the socket without a word.
    Close,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Which connection.
    pub(crate) connection: usize,
    /// What it does.
    pub(crate) action: Action,
}

const LISTS: &[&str] = &["l1", "l2", "{h}l", "l1"];
const SORTED_SETS: &[&str] = &["z1", "z2", "{h}z", "z1"];
const STREAMS: &[&str] = &["x1", "x2", "{h}x"];
const STRINGS: &[&str] = &["s1", "s2", "{h}s"];
const ANY: &[&str] = &[
    "l1", "l2", "{h}l", "z1", "z2", "{h}z", "x1", "x2", "{h}x", "s1", "s2", "{h}s",
];
const CHANNELS: &[&str] = &["c1", "c2", "{h}c"];
const PATTERNS: &[&str] = &["c*", "c?", "*"];
const SIDES: &[&str] = &["LEFT", "RIGHT"];

/// The generator's state.
pub(crate) struct Generator {
    random: Random,
    dialect: Dialect,
    stream_clock: u64,
    value: u64,
}

impl Generator {
    /// A generator whose steps depend on the seed and the dialect only.
    pub(crate) fn new(seed: u64, dialect: Dialect) -> Self {
        Self {
            random: Random::new(seed ^ 0x5eed),
            dialect,
            stream_clock: 1,
            value: 0,
        }
    }

    /// `count` steps.
    pub(crate) fn steps(&mut self, count: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        for key in STREAMS {
            let words = words!["XGROUP", "CREATE", key, "g1", "0", "MKSTREAM"];
            steps.push(Step {
                connection: 0,
                action: Action::Send(words),
            });
        }
        for connection in 0..CONNECTIONS {
            if self.random.percent(50) {
                steps.push(Step {
                    connection,
                    action: Action::Send(words!["HELLO", "3"]),
                });
            }
        }
        while steps.len() < count {
            let connection = self.random.below(CONNECTIONS);
            let action = match self.random.below(100) {
                0 | 1 => Action::Close,
                2 => Action::Timed(self.timed()),
                3 => {
                    self.value += 1;
                    Action::SendAnyhow(words!["ECHO", format!("behind{}", self.value)])
                }
                4..20 => Action::Send(self.blocking()),
                20..24 => Action::Send(self.blocking_scored()),
                24..34 => Action::Send(self.pubsub()),
                34..44 => Action::Send(self.transaction()),
                44..51 => Action::Send(self.other_clients()),
                51..67 => Action::Send(self.list()),
                67..75 => Action::Send(self.sorted_set()),
                75..87 => Action::Send(self.stream()),
                _ => Action::Send(self.key()),
            };
            steps.push(Step { connection, action });
        }
        steps
    }

    fn value(&mut self) -> String {
        self.value += 1;
        format!("v{}", self.value)
    }

    fn list_key(&mut self) -> &'static str {
        self.random.pick(if self.random.clone().percent(6) {
            ANY
        } else {
            LISTS
        })
    }

    fn stream_key(&mut self) -> &'static str {
        self.random.pick(if self.random.clone().percent(4) {
            ANY
        } else {
            STREAMS
        })
    }

    /// One key: where 7.0 and 7.2 disagree which of several ready keys serves a waiter, a second would tell them apart.
    fn blocked_lists(&mut self) -> Vec<&'static str> {
        let count = if self.dialect == Dialect::Redis70 {
            1
        } else {
            1 + self.random.below(3)
        };
        (0..count).map(|_| self.list_key()).collect()
    }

    fn blocking(&mut self) -> Words {
        // Now and then a deadline that does not come during the run.
        let timeout = self.random.pick(&["0", "0", "1000"]);
        let (side, other_side) = (self.random.pick(SIDES), self.random.pick(SIDES));
        match self.random.below(10) {
            0..3 => {
                let mut words = words![self.random.pick(&["BLPOP", "BRPOP"])];
                words.extend(
                    self.blocked_lists()
                        .iter()
                        .map(|key| key.as_bytes().to_vec()),
                );
                words.extend(words![timeout]);
                words
            }
            3 | 4 => words![
                "BLMOVE",
                self.list_key(),
                self.list_key(),
                side,
                other_side,
                timeout
            ],
            5 => words!["BRPOPLPUSH", self.list_key(), self.list_key(), timeout],
            6 => {
                let keys = self.blocked_lists();
                let mut words = words!["BLMPOP", timeout, keys.len().to_string()];
                words.extend(keys.iter().map(|key| key.as_bytes().to_vec()));
                words.extend(words![side]);
                if self.random.percent(50) {
                    words.extend(words!["COUNT", self.random.range(1, 3).to_string()]);
                }
                words
            }
            7 | 8 => {
                let id = self.random.pick(&["$", "$", "0", "3-0"]);
                if self.dialect != Dialect::Redis70 && self.random.percent(30) {
                    words![
                        "XREAD",
                        "BLOCK",
                        "0",
                        "STREAMS",
                        self.stream_key(),
                        self.stream_key(),
                        "$",
                        id
                    ]
                } else {
                    words![
                        "XREAD",
                        "COUNT",
                        "2",
                        "BLOCK",
                        "0",
                        "STREAMS",
                        self.stream_key(),
                        id
                    ]
                }
            }
            _ => {
                let consumer = self.random.pick(&["a", "b"]);
                let mut words = words!["XREADGROUP", "GROUP", "g1", consumer, "BLOCK", "0"];
                if self.random.percent(30) {
                    words.extend(words!["NOACK"]);
                }
                words.extend(words!["STREAMS", self.stream_key(), ">"]);
                words
            }
        }
    }

    fn scored_key(&mut self) -> &'static str {
        let keys = if self.random.percent(6) {
            ANY
        } else {
            SORTED_SETS
        };
        self.random.pick(keys)
    }

    fn blocking_scored(&mut self) -> Words {
        let timeout = self.random.pick(&["0", "0", "1000"]);
        let count = if self.dialect == Dialect::Redis70 {
            1
        } else {
            1 + self.random.below(3)
        };
        let keys: Words = (0..count).map(|_| self.scored_key().into()).collect();
        if self.random.percent(60) {
            let mut words = words![self.random.pick(&["BZPOPMIN", "BZPOPMAX"])];
            words.extend(keys);
            words.extend(words![timeout]);
            return words;
        }
        let mut words = words!["BZMPOP", timeout, count.to_string()];
        words.extend(keys);
        words.extend(words![self.random.pick(&["MIN", "MAX"])]);
        if self.random.percent(50) {
            words.extend(words!["COUNT", self.random.range(1, 3).to_string()]);
        }
        words
    }

    fn sorted_set(&mut self) -> Words {
        let (key, other) = (self.scored_key(), self.scored_key());
        match self.random.below(14) {
            0..6 => {
                let mut words = words!["ZADD", key];
                for _ in 0..=self.random.below(3) {
                    words.extend(words![self.random.range(0, 9).to_string(), self.value()]);
                }
                words
            }
            6 => words!["ZINCRBY", key, "2", "v1"],
            7 => words![self.random.pick(&["ZPOPMIN", "ZPOPMAX"]), key],
            8 => words!["ZMPOP", "2", key, other, "MIN", "COUNT", "2"],
            9 => words!["ZUNIONSTORE", key, "2", other, self.scored_key()],
            10 => words!["ZRANGESTORE", key, other, "0", "1"],
            11 => words!["ZREMRANGEBYRANK", key, "0", "1"],
            12 => words!["ZADD", key, "XX", "3", "v1"],
            _ => words!["ZRANGE", key, "0", "-1", "WITHSCORES"],
        }
    }

    fn timed(&mut self) -> Words {
        match self.random.below(4) {
            3 => words!["BZPOPMIN", self.scored_key(), self.scored_key(), "0.01"],
            0 => words!["BLPOP", self.list_key(), self.list_key(), "0.01"],
            1 => words![
                "BLMOVE",
                self.list_key(),
                self.list_key(),
                "LEFT",
                "RIGHT",
                "0.01"
            ],
            _ => words!["XREAD", "BLOCK", "10", "STREAMS", self.stream_key(), "$"],
        }
    }

    fn pubsub(&mut self) -> Words {
        let (channel, other, pattern) = (
            self.random.pick(CHANNELS),
            self.random.pick(CHANNELS),
            self.random.pick(PATTERNS),
        );
        match self.random.below(20) {
            0..3 => words!["SUBSCRIBE", channel, other],
            3 => words!["PSUBSCRIBE", pattern],
            4 => words!["SSUBSCRIBE", channel],
            5 | 6 => words!["UNSUBSCRIBE"],
            7 => words!["UNSUBSCRIBE", channel],
            8 => words!["PUNSUBSCRIBE"],
            9 => words!["PUNSUBSCRIBE", pattern],
            10 => words!["SUNSUBSCRIBE"],
            11 => words!["SPUBLISH", channel, self.value()],
            12 => words!["PUBSUB", "NUMSUB", "c1", "c2"],
            13 => words!["PUBSUB", "SHARDNUMSUB", "c1", "c2"],
            14 => words!["PUBSUB", "NUMPAT"],
            _ => words!["PUBLISH", channel, self.value()],
        }
    }

    fn transaction(&mut self) -> Words {
        match self.random.below(10) {
            0..3 => words!["MULTI"],
            3..7 => words!["EXEC"],
            7 => words!["DISCARD"],
            8 => words!["WATCH", self.random.pick(ANY), self.random.pick(ANY)],
            _ => words!["UNWATCH"],
        }
    }

    fn other_clients(&mut self) -> Words {
        let other = self.random.below(CONNECTIONS);
        match self.random.below(16) {
            0..8 => words!["CLIENT", "UNBLOCK", format!("<id:{other}>")],
            8..10 => words![
                "CLIENT",
                "UNBLOCK",
                format!("<id:{other}>"),
                self.random.pick(&["TIMEOUT", "ERROR", "BOTH"])
            ],
            10 => words!["CLIENT", "KILL", "ID", format!("<id:{other}>")],
            11 => words![
                "CLIENT",
                "KILL",
                "ID",
                format!("<id:{other}>"),
                "SKIPME",
                "no"
            ],
            12 => words!["CLIENT", "KILL", format!("<address:{other}>")],
            13 => words!["RESET"],
            14 => words!["HELLO", self.random.pick(&["2", "3"])],
            _ => words!["QUIT"],
        }
    }

    fn list(&mut self) -> Words {
        let (key, other) = (self.list_key(), self.list_key());
        match self.random.below(16) {
            0..7 => {
                let mut words = words![self.random.pick(&["LPUSH", "RPUSH"]), key];
                for _ in 0..=self.random.below(3) {
                    words.extend(words![self.value()]);
                }
                words
            }
            7 => words!["RPUSHX", key, self.value()],
            8 => words![self.random.pick(&["LPOP", "RPOP"]), key],
            9..11 => words![
                "LMOVE",
                key,
                other,
                self.random.pick(SIDES),
                self.random.pick(SIDES)
            ],
            11 => words!["RPOPLPUSH", key, other],
            12 => words!["LRANGE", key, "0", "-1"],
            13 => words!["LTRIM", key, "1", "-1"],
            14 => words!["LMPOP", "2", key, other, "LEFT", "COUNT", "2"],
            _ => words!["LINSERT", key, "BEFORE", "v1", self.value()],
        }
    }

    fn stream(&mut self) -> Words {
        let key = self.stream_key();
        match self.random.below(16) {
            0..6 => {
                self.stream_clock += 1;
                let id = format!("{}-0", self.stream_clock);
                if self.random.percent(15) {
                    words!["XADD", key, "MAXLEN", "2", id, "f", self.value()]
                } else {
                    words!["XADD", key, id, "f", self.value()]
                }
            }
            6..8 => words![
                "XREADGROUP",
                "GROUP",
                "g1",
                "a",
                "COUNT",
                "1",
                "STREAMS",
                key,
                self.random.pick(&[">", "0"])
            ],
            8 => words!["XACK", key, "g1", format!("{}-0", self.stream_clock)],
            9 => words!["XDEL", key, format!("{}-0", self.stream_clock)],
            10 | 11 => words![
                "XGROUP",
                "CREATE",
                key,
                "g1",
                self.random.pick(&["0", "$"]),
                "MKSTREAM"
            ],
            12 => words!["XGROUP", "DESTROY", key, "g1"],
            13 => words!["XGROUP", "SETID", key, "g1", self.random.pick(&["0", "$"])],
            14 => words!["XTRIM", key, "MAXLEN", "1"],
            _ => words!["XRANGE", key, "-", "+"],
        }
    }

    fn key(&mut self) -> Words {
        let (key, other, text) = (
            self.random.pick(ANY),
            self.random.pick(ANY),
            self.random.pick(STRINGS),
        );
        match self.random.below(32) {
            0..4 => words!["SELECT", self.random.pick(&["0", "0", "0", "1"])],
            4 => words!["SWAPDB", "0", "1"],
            5 => words![
                self.random
                    .pick(&["FLUSHDB", "FLUSHALL", "DBSIZE", "DBSIZE", "DBSIZE"])
            ],
            // Redis 7.0 lets a sorted set that replaces a stream serve who waits for one, if anybody waits for a stream; 7.2 does not.
            6..9 => words!["DEL", key, other],
            9..13 if key.contains('x') && other.contains('z') => words!["TYPE", other],
            9 | 10 => words!["RENAME", key, other],
            11 | 12 => words!["COPY", key, other, "REPLACE"],
            13 | 14 => words!["MOVE", key, "1"],
            15 => words!["EXPIRE", key, "10000"],
            16 => words!["EXPIRE", key, "-1"],
            17 => words!["PERSIST", key],
            18 => words!["TYPE", key],
            19 => words!["SET", key, self.value()],
            20 | 21 => words!["SET", text, self.value(), "EX", "10000"],
            22 => words!["GET", text],
            23 => words!["INCR", text],
            24 => words!["APPEND", text, "+"],
            25 => words!["GETDEL", text],
            26 => words![
                "MSET",
                text,
                self.value(),
                self.random.pick(STRINGS),
                self.value()
            ],
            27 => words!["EXISTS", key, other],
            28 => words!["GETEX", text, "PERSIST"],
            29 => words!["UNLINK", key],
            30 => words!["SETRANGE", text, "2", "zz"],
            _ => words!["PING"],
        }
    }
}
