//! The generator's commands on hashes.
//!
//! What it avoids: cursors of walks that are under way, since each server has its own.

use super::*;

const FIELDS: &[&[u8]] = &[
    b"f1",
    b"f2",
    b"f3",
    b"f4",
    b"f5",
    b"n",
    b"n",
    b"x",
    b"7",
    b"-3",
    b"",
    b"007",
    b"a\x00\r\n\xff",
];

impl Generator {
    fn field(&mut self) -> Vec<u8> {
        match self.random.below(30) {
            0 => self.value(),
            1 => vec![b'f'; 65],
            2 => vec![b'f'; 64],
            _ => self.random.pick(FIELDS).to_vec(),
        }
    }

    fn pairs(&mut self, words: &mut Words) {
        let most = if self.random.percent(10) { 12 } else { 3 };
        for _ in 0..=self.random.below(most) {
            words.push(self.field());
            words.push(self.value());
        }
    }

    fn fields(&mut self, name: &str) -> Words {
        let mut words = words![name, self.key_of(HASH_KEYS)];
        for _ in 0..=self.random.below(4) {
            words.push(self.field());
        }
        words
    }

    pub(super) fn hash(&mut self) -> Words {
        let key = self.key_of(HASH_KEYS);
        match self.random.below(24) {
            0..6 => {
                let mut words = words![self.random.pick(&["HSET", "HSET", "HMSET"]), key];
                self.pairs(&mut words);
                words
            }
            6 => words!["HSETNX", key, self.field(), self.value()],
            7 => words![
                self.random.pick(&["HGET", "HEXISTS", "HSTRLEN"]),
                key,
                self.field()
            ],
            8 => self.fields("HMGET"),
            9..12 => self.fields("HDEL"),
            12 => words![self.random.pick(&["HGETALL", "HKEYS", "HVALS"]), key],
            13 => words!["HLEN", key],
            14 | 15 => {
                let by = if self.random.percent(30) {
                    self.wild_number()
                } else {
                    self.small_number()
                };
                words!["HINCRBY", key, self.field(), by]
            }
            16 | 17 => {
                let by = [
                    "1", "0.1", "-2.25", "1.5", "3.0e3", "1e-5", "abc", "", "inf", "nan", "1e400",
                    " 1", "0", "5e-1", "-inf", "1e4931",
                ];
                words!["HINCRBYFLOAT", key, self.field(), self.random.pick(&by)]
            }
            18 | 19 => {
                let mut words = words!["HRANDFIELD", key];
                if self.random.percent(80) {
                    words.push(self.choice_count());
                    if self.random.percent(50) {
                        words.extend(words![self.random.pick(&[
                            "WITHVALUES",
                            "withvalues",
                            "VALUES"
                        ])]);
                    }
                }
                words
            }
            20 | 21 => {
                let mut options = vec![words!["COUNT", self.random.pick(&["1000", "100000"])]];
                if self.random.percent(40) {
                    let pattern = self.random.pick(&["*", "f*", "?", "[0-9]*", "", "none"]);
                    options.push(words!["MATCH", pattern]);
                }
                if self.random.percent(10) {
                    options.push(words![
                        "COUNT",
                        self.random.pick(&["0", "-1", "abc", "1000"])
                    ]);
                }
                if self.random.percent(5) {
                    options.push(words![self.random.pick(&["TYPE", "MATCH", "COUNT"])]);
                }
                let cursor = self.random.pick(&["0", "0", "0", "0", "abc", "-"]);
                self.with_options(words!["HSCAN", key, cursor], options)
            }
            _ => words!["OBJECT", "ENCODING", key],
        }
    }

    /// How many choices: never so many that a reply of them would not end.
    fn choice_count(&mut self) -> Vec<u8> {
        let wild = [
            "9223372036854775807",
            "4611686018427387904",
            "-9223372036854775808",
            "9223372036854775808",
            "abc",
            "",
            "1.5",
            "01",
        ];
        if self.random.percent(10) {
            self.random.pick(&wild).as_bytes().to_vec()
        } else {
            self.random.range(-12, 20).to_string().into_bytes()
        }
    }
}
