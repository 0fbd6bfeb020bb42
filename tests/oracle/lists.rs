//! The generator's commands on lists, those that block too.

use super::*;

impl Generator {
    pub(super) fn side(&mut self) -> &'static str {
        self.random
            .pick(&["LEFT", "RIGHT", "LEFT", "RIGHT", "left", "UP"])
    }

    pub(super) fn list(&mut self) -> Words {
        let key = self.key_of(LIST_KEYS);
        match self.random.below(26) {
            0..6 => {
                let name = self
                    .random
                    .pick(&["LPUSH", "RPUSH", "RPUSH", "LPUSHX", "RPUSHX"]);
                let mut words = words![name, key];
                let most = if self.random.percent(10) { 40 } else { 4 };
                for _ in 0..=self.random.below(most) {
                    words.push(self.value());
                }
                if self.random.percent(2) {
                    // An element larger than a chunk of the list.
                    // Longer than a chunk; up to 7.2 lists limited by entries have their own view of such elements.
                    let long = if self.dialect >= Dialect::Later {
                        9000
                    } else {
                        4000
                    };
                    words.push(vec![b'y'; long]);
                }
                words
            }
            6..8 => {
                let mut words = words![self.random.pick(&["LPOP", "RPOP"]), key];
                if self.random.percent(50) {
                    words.push(self.small_number());
                }
                words
            }
            8 => words!["LLEN", key],
            9 => words!["LINDEX", key, self.small_number()],
            10 => words!["LSET", key, self.small_number(), self.value()],
            11 | 12 => {
                let place = self.random.pick(&["BEFORE", "AFTER", "after", "NEAR"]);
                words!["LINSERT", key, place, self.value(), self.value()]
            }
            13 => words!["LREM", key, self.small_number(), self.value()],
            14 | 15 => words!["LRANGE", key, self.small_number(), self.small_number()],
            16 => words!["LTRIM", key, self.small_number(), self.small_number()],
            17 | 18 => {
                let mut options = Vec::new();
                for (option, percent) in [("RANK", 40), ("COUNT", 40), ("MAXLEN", 25)] {
                    if self.random.percent(percent) {
                        options.push(words![option, self.small_number()]);
                    }
                }
                let value = self.value();
                self.with_options(words!["LPOS", key, value], options)
            }
            19 | 20 => words![
                "LMOVE",
                key,
                self.key_of(LIST_KEYS),
                self.side(),
                self.side()
            ],
            21 => words!["RPOPLPUSH", key, self.key_of(LIST_KEYS)],
            22 | 23 => {
                let mut words = words!["LMPOP"];
                self.multi_pop(&mut words);
                words
            }
            24 => words!["LRANGE", key, "0", "-1"],
            _ => {
                if self.transaction_left.is_some() {
                    self.blocking()
                } else {
                    words!["LLEN", key]
                }
            }
        }
    }

    pub(super) fn multi_pop(&mut self, words: &mut Words) {
        let count = 1 + self.random.below(3);
        let said = if self.random.percent(6) {
            self.wild_number()
        } else {
            count.to_string().into_bytes()
        };
        words.push(said);
        for _ in 0..count {
            words.push(self.key_of(LIST_KEYS));
        }
        words.extend(words![self.side()]);
        if self.random.percent(40) {
            words.extend(words!["COUNT", self.count()]);
        }
    }

    /// A blocking command that waits a few milliseconds at most.
    pub(super) fn blocking(&mut self) -> Words {
        let timeout = self
            .random
            .pick(&["0.01", "0.005", "0.01", "-1", "abc", "1e400", "nan"]);
        let (first, second) = (self.key_of(LIST_KEYS), self.key_of(LIST_KEYS));
        match self.random.below(9) {
            7 | 8 => self.blocking_scored(),
            0 | 1 => words![
                self.random.pick(&["BLPOP", "BRPOP"]),
                first,
                second,
                timeout
            ],
            2 => words!["BLMOVE", first, second, self.side(), self.side(), timeout],
            3 => words!["BRPOPLPUSH", first, second, timeout],
            4 => {
                let mut words = words!["BLMPOP", timeout];
                self.multi_pop(&mut words);
                words
            }
            5 => words![
                "XREAD",
                "BLOCK",
                "5",
                "STREAMS",
                self.key_of(STREAM_KEYS),
                "$"
            ],
            _ => {
                let key = self.key_of(STREAM_KEYS);
                words![
                    "XREADGROUP",
                    "GROUP",
                    "g1",
                    "c1",
                    "BLOCK",
                    "5",
                    "STREAMS",
                    key,
                    ">"
                ]
            }
        }
    }
}
