//! The generator's commands on sets. What chance decides is left out by [`Generator::tamed`]: SPOP takes all or nothing.

use super::*;

impl Generator {
    fn member(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0..5 => self.random.range(-3, 12).to_string().into_bytes(),
            5 => self.random.pick(&["40000", "-70000", "5000000000"]).into(),
            _ => self.value(),
        }
    }

    fn sets(&mut self, words: &mut Words) {
        for _ in 0..=self.random.below(3) {
            words.push(self.key_of(SET_KEYS));
        }
    }

    fn several_sets(&mut self, key: Vec<u8>) -> Words {
        match self.random.below(6) {
            0 | 1 => {
                let name = self.random.pick(&["SINTER", "SUNION", "SDIFF"]);
                let mut words = words![name];
                self.sets(&mut words);
                words
            }
            2..5 => {
                let name = self
                    .random
                    .pick(&["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]);
                let mut words = words![name, key];
                self.sets(&mut words);
                words
            }
            _ => {
                let mut keys = words![];
                self.sets(&mut keys);
                let count = if self.random.percent(10) {
                    self.wild_number()
                } else {
                    keys.len().to_string().into_bytes()
                };
                let mut words = words!["SINTERCARD", count];
                words.extend(keys);
                if self.random.percent(40) {
                    words.extend(words!["LIMIT", self.small_number()]);
                }
                words
            }
        }
    }

    pub(super) fn set(&mut self) -> Words {
        let key = self.key_of(SET_KEYS);
        match self.random.below(24) {
            0..7 => {
                let mut words = words!["SADD", key];
                let most = if self.random.percent(6) { 200 } else { 5 };
                for _ in 0..=self.random.below(most) {
                    words.push(self.member());
                }
                words
            }
            7..9 => {
                let mut words = words!["SREM", key, self.member()];
                for _ in 0..self.random.below(4) {
                    words.push(self.member());
                }
                words
            }
            9 => words!["SCARD", key],
            10 => words!["SISMEMBER", key, self.member()],
            11 => words!["SMISMEMBER", key, self.member(), self.member()],
            12 => words!["SMEMBERS", key],
            13 | 14 => words!["SMOVE", key, self.key_of(SET_KEYS), self.member()],
            15..21 => self.several_sets(key),
            21 => {
                let mut words = words!["SSCAN", key, "0", "COUNT", "1000"];
                if self.random.percent(40) {
                    words.extend(words![
                        "MATCH",
                        self.random.pick(&["*", "[0-9]", "?", "a*"])
                    ]);
                }
                words
            }
            22 => words!["SPOP", key, self.random.pick(&["0", "1000", "-1", "x"])],
            _ => {
                let mut words = words!["SRANDMEMBER", key];
                if self.random.percent(70) {
                    words.push(self.small_number());
                }
                words
            }
        }
    }
}
