//! The generator's commands on sorted sets.
//!
//! Ranges of members are asked for on keys whose scores are all the same, since no two servers agree on others; now and then on
//! any key, where the reply is an error or of a small set. What chance decides is compared by its shape.

use super::*;

impl Generator {
    fn score(&mut self) -> Vec<u8> {
        match self.random.below(40) {
            0 => self.wild_number(),
            1 => self
                .random
                .pick(&[
                    "nan", "1e400", "1e-400", "", "0x10", "1e3", "+5", ".5", "5.", "--1", " 1",
                    "-nan", "1e",
                ])
                .into(),
            2 => self
                .random
                .pick(&["inf", "-inf", "+inf", "Infinity"])
                .into(),
            3 => self.random.pick(&["-0", "0", "-0.0"]).into(),
            4..10 => self
                .random
                .pick(&[
                    "1.5",
                    "0.1",
                    "-2.25",
                    "3.3",
                    "1e-7",
                    "0.000001",
                    "1e17",
                    "1e20",
                    "5e18",
                    "123456789.125",
                    "1.2345e-5",
                ])
                .into(),
            _ => self.random.range(-4, 9).to_string().into_bytes(),
        }
    }

    fn end_of_scores(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0 | 1 => self
                .random
                .pick(&["-inf", "+inf", "(-inf", "(inf", "inf"])
                .into(),
            2..5 => [b"(".to_vec(), self.score()].concat(),
            _ => self.score(),
        }
    }

    fn end_of_members(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0 | 1 => self.random.pick(&["-", "+"]).into(),
            2 => self.random.pick(&["a", "", "(", "[", "-a", "+a"]).into(),
            3..6 => [b"(".to_vec(), self.scored_member()].concat(),
            _ => [b"[".to_vec(), self.scored_member()].concat(),
        }
    }

    fn scored_member(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0..6 => self
                .random
                .pick(&["a", "b", "c", "d", "e", "aa", "ab", "B"])
                .into(),
            6..10 => self.random.range(-3, 14).to_string().into_bytes(),
            _ => self.value(),
        }
    }

    fn scored_key(&mut self) -> Vec<u8> {
        self.key_of(SORTED_SET_KEYS)
    }

    /// The key with one score, seldom one that is no sorted set.
    fn lex_key(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => self.random.pick(STRING_KEYS).to_vec(),
            1 => self.random.pick(MISSING_KEYS).to_vec(),
            _ => LEX_KEY.to_vec(),
        }
    }

    fn add_options(&mut self) -> Vec<Words> {
        let mut options = Vec::new();
        for (option, percent) in [
            ("NX", 10),
            ("XX", 10),
            ("GT", 10),
            ("LT", 10),
            ("CH", 25),
            ("INCR", 12),
        ] {
            if self.random.percent(percent) {
                options.push(words![option]);
            }
        }
        self.random.shuffle(&mut options);
        options
    }

    fn zadd(&mut self) -> Words {
        if self.random.percent(25) {
            let mut words = words!["ZADD", self.lex_key()];
            let most = if self.random.percent(8) { 150 } else { 6 };
            for _ in 0..=self.random.below(most) {
                words.extend(words!["0", self.scored_member()]);
            }
            return words;
        }
        let mut words = words!["ZADD", self.scored_key()];
        for option in self.add_options() {
            words.extend(option);
        }
        let most = match self.random.below(20) {
            0 => 200,
            1..6 => 1,
            _ => 5,
        };
        for _ in 0..=self.random.below(most) {
            words.extend(words![self.score(), self.scored_member()]);
        }
        words
    }

    fn limit(&mut self, options: &mut Vec<Words>, percent: usize) {
        if self.random.percent(percent) {
            options.push(words!["LIMIT", self.small_number(), self.small_number()]);
        }
    }

    fn range(&mut self) -> Words {
        let stores = self.random.percent(20);
        let mut options = Vec::new();
        if !stores && self.random.percent(35) {
            options.push(words!["WITHSCORES"]);
        }
        if self.random.percent(40) {
            options.push(words!["REV"]);
        }
        let (key, ends) = match self.random.below(3) {
            0 => {
                self.limit(&mut options, 4);
                (
                    self.scored_key(),
                    [self.small_number(), self.small_number()],
                )
            }
            1 => {
                self.limit(&mut options, 40);
                options.push(words!["BYSCORE"]);
                (
                    self.scored_key(),
                    [self.end_of_scores(), self.end_of_scores()],
                )
            }
            _ => {
                self.limit(&mut options, 40);
                options.push(words!["BYLEX"]);
                (
                    self.lex_key(),
                    [self.end_of_members(), self.end_of_members()],
                )
            }
        };
        let [first, second] = ends;
        let words = if stores {
            words!["ZRANGESTORE", self.destination(), key, first, second]
        } else {
            words!["ZRANGE", key, first, second]
        };
        self.with_options(words, options)
    }

    /// Not the key with one score.
    fn destination(&mut self) -> Vec<u8> {
        self.random.pick(SORTED_SET_KEYS).to_vec()
    }

    fn old_range(&mut self) -> Words {
        let mut options = Vec::new();
        self.limit(&mut options, 30);
        let words = match self.random.below(6) {
            0 => {
                options.clear();
                words![
                    "ZREVRANGE",
                    self.scored_key(),
                    self.small_number(),
                    self.small_number()
                ]
            }
            1..4 => {
                let name = self.random.pick(&["ZRANGEBYSCORE", "ZREVRANGEBYSCORE"]);
                words![
                    name,
                    self.scored_key(),
                    self.end_of_scores(),
                    self.end_of_scores()
                ]
            }
            _ => {
                let name = self.random.pick(&["ZRANGEBYLEX", "ZREVRANGEBYLEX"]);
                let words = words![
                    name,
                    self.lex_key(),
                    self.end_of_members(),
                    self.end_of_members()
                ];
                return self.with_options(words, options);
            }
        };
        if self.random.percent(40) {
            options.push(words!["WITHSCORES"]);
        }
        self.with_options(words, options)
    }

    fn sources(&mut self, words: &mut Words) -> usize {
        let count = 1 + self.random.below(3);
        let said = if self.random.percent(6) {
            self.small_number()
        } else {
            count.to_string().into_bytes()
        };
        words.push(said);
        for _ in 0..count {
            let keys = if self.random.percent(25) {
                SET_KEYS
            } else {
                SORTED_SET_KEYS
            };
            words.push(self.key_of(keys));
        }
        count
    }

    fn combined(&mut self) -> Words {
        let name = self.random.pick(&[
            "ZUNION",
            "ZINTER",
            "ZDIFF",
            "ZUNIONSTORE",
            "ZINTERSTORE",
            "ZDIFFSTORE",
            "ZINTERCARD",
        ]);
        let mut words = words![name];
        if name.ends_with("STORE") {
            words.push(self.destination());
        }
        let count = self.sources(&mut words);
        let mut options = Vec::new();
        if self.random.percent(25) {
            let mut weights = words!["WEIGHTS"];
            for _ in 0..count {
                weights.push(self.score());
            }
            options.push(weights);
        }
        if self.random.percent(30) {
            options.push(words![
                "AGGREGATE",
                self.random.pick(&["SUM", "MIN", "MAX", "min", "AVG"])
            ]);
        }
        if self.random.percent(40) {
            options.push(words!["WITHSCORES"]);
        }
        if name == "ZINTERCARD" {
            options.clear();
            if self.random.percent(40) {
                options.push(words!["LIMIT", self.small_number()]);
            }
        } else if name.starts_with("ZDIFF") && self.random.percent(90) {
            options.retain(|option| option[0] == b"WITHSCORES");
        }
        if name.ends_with("STORE") && self.random.percent(95) {
            options.retain(|option| option[0] != b"WITHSCORES");
        }
        self.with_options(words, options)
    }

    pub(super) fn multi_pop_scored(&mut self, words: &mut Words) {
        let count = 1 + self.random.below(3);
        words.push(count.to_string().into_bytes());
        for _ in 0..count {
            words.push(self.scored_key());
        }
        words.extend(words![self.random.pick(&["MIN", "MAX", "min", "MID"])]);
        if self.random.percent(40) {
            words.extend(words!["COUNT", self.count()]);
        }
    }

    /// One that waits a few milliseconds at most.
    pub(super) fn blocking_scored(&mut self) -> Words {
        let timeout = self.random.pick(&["0.01", "0.005", "0.01", "-1", "abc"]);
        if self.random.percent(50) {
            let name = self.random.pick(&["BZPOPMIN", "BZPOPMAX"]);
            return words![name, self.scored_key(), self.scored_key(), timeout];
        }
        let mut words = words!["BZMPOP", timeout];
        self.multi_pop_scored(&mut words);
        words
    }

    fn removed_or_combined(&mut self) -> Words {
        match self.random.below(10) {
            0 => words![
                "ZREMRANGEBYRANK",
                self.scored_key(),
                self.small_number(),
                self.small_number()
            ],
            1 => words![
                "ZREMRANGEBYSCORE",
                self.scored_key(),
                self.end_of_scores(),
                self.end_of_scores()
            ],
            2 => words![
                "ZREMRANGEBYLEX",
                self.lex_key(),
                self.end_of_members(),
                self.end_of_members()
            ],
            3 => {
                let mut words =
                    words![self.random.pick(&["ZPOPMIN", "ZPOPMAX"]), self.scored_key()];
                if self.random.percent(60) {
                    words.push(self.small_number());
                }
                words
            }
            4 => {
                let mut words = words!["ZMPOP"];
                self.multi_pop_scored(&mut words);
                words
            }
            5..8 => self.combined(),
            8 => words!["ZSCAN", self.scored_key(), "0", "COUNT", "1000"],
            _ => {
                let mut words = words!["ZRANDMEMBER", self.scored_key()];
                if self.random.percent(70) {
                    words.push(self.small_number());
                    if self.random.percent(40) {
                        words.extend(words!["WITHSCORES"]);
                    }
                }
                words
            }
        }
    }

    pub(super) fn sorted_set(&mut self) -> Words {
        match self.random.below(40) {
            0..12 => self.zadd(),
            12..14 => words![
                "ZINCRBY",
                self.scored_key(),
                self.score(),
                self.scored_member()
            ],
            14 | 15 => {
                let mut words = words!["ZREM", self.scored_key(), self.scored_member()];
                for _ in 0..self.random.below(4) {
                    words.push(self.scored_member());
                }
                words
            }
            16 => words!["ZCARD", self.scored_key()],
            17 => words!["ZSCORE", self.scored_key(), self.scored_member()],
            18 => words![
                "ZMSCORE",
                self.scored_key(),
                self.scored_member(),
                self.scored_member()
            ],
            19 => words![
                "ZCOUNT",
                self.scored_key(),
                self.end_of_scores(),
                self.end_of_scores()
            ],
            20 => words![
                "ZLEXCOUNT",
                self.lex_key(),
                self.end_of_members(),
                self.end_of_members()
            ],
            21 | 22 => {
                let mut words = words![
                    self.random.pick(&["ZRANK", "ZREVRANK"]),
                    self.scored_key(),
                    self.scored_member()
                ];
                // Since 7.2.
                if self.dialect != Dialect::Redis70 && self.random.percent(40) {
                    words.extend(words![self.random.pick(&[
                        "WITHSCORE",
                        "withscore",
                        "WITHSCORES"
                    ])]);
                }
                words
            }
            23..27 => self.range(),
            27 | 28 => self.old_range(),
            29..39 => self.removed_or_combined(),
            _ if self.transaction_left.is_some() => self.blocking_scored(),
            _ => words!["ZRANGE", self.scored_key(), "0", "-1", "WITHSCORES"],
        }
    }
}
