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

/// Takes from a command on members, or on times, what no two servers would do alike.
pub(super) fn tame_members(name: &[u8], words: &mut Words, dialect: Dialect) {
    if matches!(name, b"SORT" | b"SORT_RO")
        && !words.iter().any(|word| word.eq_ignore_ascii_case(b"alpha"))
    {
        words.push(b"ALPHA".to_vec());
    }
    // WITHSCORE is of 7.2.
    if dialect == Dialect::Redis70 && matches!(name, b"ZRANK" | b"ZREVRANK") {
        words.truncate(3);
    }
    // What chance decides: all members or none are taken, and no more are asked for than there is room for.
    match name {
        b"SPOP" if words.len() == 2 => words.push(b"1000".to_vec()),
        b"SPOP" if number(&words[2]).is_some_and(|count| (1..1000).contains(&count)) => {
            words[2] = b"1000".to_vec();
        }
        b"SRANDMEMBER" | b"ZRANDMEMBER"
            if words
                .get(2)
                .and_then(|word| number(word))
                .is_some_and(|count| (-i64::MAX..-1000).contains(&count)) =>
        {
            words[2] = b"-3".to_vec();
        }
        _ => {}
    }
    // Ranges of members mean something only where all scores are the same.
    if words.get(1).is_some_and(|key| *key == LEX_KEY) {
        match name {
            b"ZADD" => words[2..]
                .iter_mut()
                .step_by(2)
                .for_each(|score| *score = b"0".to_vec()),
            b"ZINCRBY" | b"ZRANGESTORE" | b"ZUNIONSTORE" | b"ZINTERSTORE" | b"ZDIFFSTORE" => {
                words[1] = SORTED_SET_KEYS[0].to_vec();
            }
            _ => {}
        }
    }
    // The highest time overflows in EXPIRETIME up to 7.2.
    if matches!(name, b"PEXPIREAT" | b"EXPIREAT")
        && let Some(word) = words.get_mut(2)
        && number(word).is_some_and(|time| time > 1 << 45)
    {
        *word = b"4000000000000".to_vec();
    }
}
