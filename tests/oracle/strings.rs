//! The generator's commands on strings, and on keys whatever their type.

use super::*;

impl Generator {
    /// An expiry in the unit and form of an option: far away, never used twice.
    pub(super) fn expiry(&mut self, option: &str) -> Vec<u8> {
        if self.random.percent(6) {
            let wild = [
                "0",
                "-1",
                "abc",
                "9223372036854775807",
                "-9223372036854775808",
                "",
                "9223372036854775",
            ];
            return self.random.pick(&wild).as_bytes().to_vec();
        }
        self.expiry_seconds += self.random.range(50, 90);
        let relative = self.expiry_seconds;
        // Beyond every relative time, in shuffled order.
        let absolute = 4_000_000_000 + (self.expiry_seconds * 7919) % 90_000_000;
        let number = match option {
            "EX" | "EXPIRE" => relative,
            "PX" | "PEXPIRE" => relative * 1000,
            "EXAT" | "EXPIREAT" => absolute,
            _ => absolute * 1000,
        };
        number.to_string().into_bytes()
    }

    pub(super) fn expiry_option(&mut self, options: &mut Vec<Words>) {
        let option = self.random.pick(&["EX", "PX", "EXAT", "PXAT"]);
        let time = self.expiry(option);
        options.push(words![option, time]);
    }

    pub(super) fn string(&mut self) -> Words {
        let key = self.key_of(STRING_KEYS);
        match self.random.below(22) {
            0..4 => {
                let value = self.value();
                let mut options = Vec::new();
                if self.random.percent(25) {
                    self.expiry_option(&mut options);
                }
                for (option, percent) in [("NX", 15), ("XX", 15), ("GET", 25), ("KEEPTTL", 12)] {
                    if self.random.percent(percent) {
                        options.push(words![option]);
                    }
                }
                if self.random.percent(2) {
                    self.expiry_option(&mut options);
                }
                self.with_options(words!["SET", key, value], options)
            }
            4..6 => words!["GET", key],
            6 => words!["GETDEL", key],
            7 => {
                let mut options = Vec::new();
                if self.random.percent(60) {
                    self.expiry_option(&mut options);
                }
                if self.random.percent(25) {
                    options.push(words!["PERSIST"]);
                }
                self.with_options(words!["GETEX", key], options)
            }
            8 => self.many_keys("MGET"),
            9 | 10 => {
                let name = self.random.pick(&["MSET", "MSETNX"]);
                let mut words = words![name];
                for _ in 0..=self.random.below(3) {
                    words.push(self.key_of(STRING_KEYS));
                    words.push(self.value());
                }
                words
            }
            11 => words![self.random.pick(&["INCR", "DECR"]), self.key_of(&[b"n1"])],
            12 => {
                let by = if self.random.percent(30) {
                    self.wild_number()
                } else {
                    self.small_number()
                };
                words![
                    self.random.pick(&["INCRBY", "DECRBY"]),
                    self.key_of(&[b"n1"]),
                    by
                ]
            }
            13 => {
                let by = [
                    "1", "0.1", "-2.25", "1.5", "3.0e3", "1e-5", "abc", "", "inf", "nan", "1e400",
                    " 1", "0", "5e-1",
                ];
                words!["INCRBYFLOAT", self.key_of(&[b"n1"]), self.random.pick(&by)]
            }
            14 => words!["APPEND", key, self.value()],
            15 => words!["STRLEN", key],
            16 => words![
                self.random.pick(&["GETRANGE", "SUBSTR"]),
                key,
                self.small_number(),
                self.small_number()
            ],
            17 => {
                let offset = [
                    "0",
                    "1",
                    "5",
                    "20",
                    "100",
                    "-1",
                    "536870911",
                    "536870912",
                    "9223372036854775807",
                    "abc",
                ];
                let mut value = self.value();
                let offset = self.random.pick(&offset);
                if offset == "536870911" && value.len() < 2 {
                    // One byte there would be legal and take half a gigabyte.
                    value = b"two".to_vec();
                }
                words!["SETRANGE", key, offset, value]
            }
            18 => words![self.random.pick(&["SETNX", "GETSET"]), key, self.value()],
            19 => words!["SETEX", key, self.expiry("EX"), self.value()],
            20 => words!["PSETEX", key, self.expiry("PX"), self.value()],
            _ => {
                let mut options = Vec::new();
                for (option, percent) in [("LEN", 25), ("IDX", 40), ("WITHMATCHLEN", 30)] {
                    if self.random.percent(percent) {
                        options.push(words![option]);
                    }
                }
                if self.random.percent(20) {
                    options.push(words!["MINMATCHLEN", self.small_number()]);
                }
                let other = self.key_of(STRING_KEYS);
                self.with_options(words!["LCS", key, other], options)
            }
        }
    }

    pub(super) fn scan_options(&mut self) -> Words {
        let mut options = Vec::new();
        if self.random.percent(40) {
            options.push(words![
                "MATCH",
                self.random
                    .pick(&["*", "s*", "[lx]?", "{h}*", "*1", "nothing"])
            ]);
        }
        if self.random.percent(50) {
            options.push(words!["COUNT", self.random.pick(&["1", "2", "10", "1000"])]);
        }
        if self.random.percent(30) {
            options.push(words![
                "TYPE",
                self.random
                    .pick(&["string", "list", "stream", "hash", "LIST"])
            ]);
        }
        self.with_options(words![], options)
    }

    pub(super) fn key(&mut self) -> Words {
        let key = self.key_of_any_type();
        let other = self.key_of_any_type();
        match self.random.below(30) {
            0 | 1 => self.many_keys("DEL"),
            2 => self.many_keys("UNLINK"),
            3 | 4 => self.many_keys("EXISTS"),
            5 => self.many_keys("TOUCH"),
            6 => words!["TYPE", key],
            7 => words!["RENAME", key, other],
            8 => words!["RENAMENX", key, other],
            9 | 10 => {
                let mut options = Vec::new();
                if self.random.percent(40) {
                    options.push(words![
                        "DB",
                        self.random.pick(&["0", "1", "2", "16", "-1", "abc"])
                    ]);
                }
                if self.random.percent(40) {
                    options.push(words!["REPLACE"]);
                }
                self.with_options(words!["COPY", key, other], options)
            }
            11 => words![
                "MOVE",
                key,
                self.random.pick(&["0", "1", "2", "1", "16", "-1", "abc"])
            ],
            12 => words![
                "KEYS",
                self.random.pick(&[
                    "*", "s*", "?1", "[a-l]*", "[^s]1", "{h}*", "\\s1", "none", "*\r\n*"
                ])
            ],
            13 => words!["DBSIZE"],
            14 => match self.random.below(30) {
                0 => words![self.random.pick(&["FLUSHALL", "FLUSHDB"])],
                1 => {
                    let mode = self.random.pick(&["ASYNC", "SYNC", "NOW"]);
                    words![self.random.pick(&["FLUSHALL", "FLUSHDB"]), mode]
                }
                _ => words!["DBSIZE"],
            },
            15 => {
                let wild = self.random.pick(&["0", "1", "1", "2", "16", "abc"]);
                words!["SWAPDB", self.random.pick(&["0", "1", "2", "-1"]), wild]
            }
            16..21 => {
                let name = self
                    .random
                    .pick(&["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"]);
                let mut words = words![name, key, self.expiry(name)];
                if self.random.percent(45) {
                    words.extend(words![
                        self.random.pick(&["NX", "XX", "GT", "LT", "gt", "CH"])
                    ]);
                }
                if self.random.percent(6) {
                    words.extend(words![self.random.pick(&["NX", "XX", "GT", "LT"])]);
                }
                words
            }
            21..24 => words![
                self.random
                    .pick(&["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]),
                key
            ],
            24 => words!["PERSIST", key],
            25 | 26 => words!["OBJECT", "ENCODING", key],
            27 => words![
                "OBJECT",
                self.random
                    .pick(&["REFCOUNT", "IDLETIME", "FREQ", "encoding", "NOSUCH"]),
                key
            ],
            // Not -1 nor nothing: strtoul takes them, later parsers refuse them.
            28 => words!["SCAN", self.random.pick(&["abc", "1.5", "x1"])],
            _ => words![
                "SELECT",
                self.random
                    .pick(&["0", "0", "0", "1", "2", "16", "-1", "abc"])
            ],
        }
    }
}
