//! The generator's commands on streams and their consumer groups.

use super::*;

impl Generator {
    /// Any stream ID, mostly one that may exist.
    pub(super) fn stream_id(&mut self) -> Vec<u8> {
        match self.random.below(30) {
            0 => b"0".to_vec(),
            1 => b"0-0".to_vec(),
            2 => b"18446744073709551615-18446744073709551615".to_vec(),
            3 => b"abc".to_vec(),
            4 => b"5-".to_vec(),
            5 => b"1-2-3".to_vec(),
            6..10 => self
                .random
                .range(0, self.stream_clock + 1)
                .to_string()
                .into_bytes(),
            _ => self.recent_id().into_bytes(),
        }
    }

    pub(super) fn recent_id(&mut self) -> String {
        let low = (self.stream_clock - 25).max(0);
        let sequence = self.random.pick(&[0, 0, 0, 0, 1, 2]);
        format!("{}-{sequence}", self.random.range(low, self.stream_clock))
    }

    pub(super) fn range_bound(&mut self) -> Vec<u8> {
        match self.random.below(8) {
            0 | 1 => b"-".to_vec(),
            2 | 3 => b"+".to_vec(),
            4 => [b"(".to_vec(), self.stream_id()].concat(),
            _ => self.stream_id(),
        }
    }

    pub(super) fn ids(&mut self, words: &mut Words) {
        for _ in 0..=self.random.below(4) {
            let id = if self.random.percent(95) {
                self.recent_id().into_bytes()
            } else {
                self.stream_id()
            };
            words.push(id);
        }
    }

    pub(super) fn trim(&mut self) -> Words {
        let mut words = words![self.random.pick(&["MAXLEN", "MAXLEN", "MINID"])];
        let by_id = words[0] == b"MINID";
        match self.random.below(4) {
            0 => words.extend(words!["="]),
            1 | 2 => words.extend(words!["~"]),
            _ => {}
        }
        words.push(if by_id {
            self.stream_id()
        } else if self.random.percent(10) {
            self.wild_number()
        } else {
            self.random.range(0, 25).to_string().into_bytes()
        });
        if self.random.percent(20) {
            words.extend(words!["LIMIT", self.small_number()]);
        }
        self.with_policy(&mut words);
        words
    }

    pub(super) fn add(&mut self) -> Words {
        if self.random.percent(12) {
            let value = self.random.below(100).to_string();
            return words!["XADD", AUTO_STREAM_KEY, "*", "f", value];
        }
        let mut options = Vec::new();
        if self.random.percent(10) {
            options.push(words!["NOMKSTREAM"]);
        }
        if self.random.percent(15) {
            options.push(self.trim());
        }
        if self.random.percent(2) {
            options.push(self.trim());
        }
        let key = self.key_of(STREAM_KEYS);
        let mut words = self.with_options(words!["XADD", key], options);
        let id = match self.random.below(20) {
            0 => self.stream_id(),
            1 => format!("{}-*", self.stream_clock).into_bytes(),
            2 => format!("{}-5", self.stream_clock).into_bytes(),
            _ => {
                self.stream_clock += self.random.range(0, 2);
                format!("{}-{}", self.stream_clock, self.random.below(3)).into_bytes()
            }
        };
        words.push(id);
        // Mostly the same field names, so that entries of one node share them.
        for _ in 0..=self.random.below(3) {
            let name = if self.random.percent(70) {
                b"f".to_vec()
            } else {
                self.value()
            };
            words.push(name);
            words.push(self.value());
        }
        words
    }

    /// Up to what was added: since 8.2 more than that is cut down to it.
    pub(super) fn entries_read(&mut self) -> Vec<u8> {
        if self.has_newest() {
            self.small_number()
        } else {
            self.random
                .pick(&["-1", "0", "-2", "abc"])
                .as_bytes()
                .to_vec()
        }
    }

    pub(super) fn group(&mut self) -> &'static str {
        self.random.pick(GROUPS)
    }

    pub(super) fn consumer(&mut self) -> &'static str {
        self.random.pick(CONSUMERS)
    }

    pub(super) fn stream(&mut self) -> Words {
        let key = if self.random.percent(8) {
            AUTO_STREAM_KEY.to_vec()
        } else {
            self.key_of(STREAM_KEYS)
        };
        if self.has_newest() && self.random.percent(25) {
            return self.newest_stream();
        }
        match self.random.below(40) {
            0..8 => self.add(),
            8 => words!["XLEN", key],
            9..12 => {
                let name = self.random.pick(&["XRANGE", "XREVRANGE"]);
                let mut words = words![name, key, self.range_bound(), self.range_bound()];
                if self.random.percent(40) {
                    words.extend(words!["COUNT", self.small_number()]);
                }
                words
            }
            12 | 13 => {
                let mut words = words!["XDEL", key];
                self.ids(&mut words);
                words
            }
            14 | 15 => {
                let key = self.key_of(STREAM_KEYS);
                let trim = self.trim();
                let mut words = words!["XTRIM", key];
                words.extend(trim);
                words
            }
            16 | 17 => self.read(),
            18..23 => self.read_group(),
            23..26 => self.group_admin(&key),
            26 | 27 => {
                let mut words = words!["XACK", key, self.group()];
                self.ids(&mut words);
                words
            }
            28..30 => self.pending(&key),
            30..33 => self.claim(&key),
            33..35 => {
                let (group, consumer, idle, start) = (
                    self.group(),
                    self.consumer(),
                    self.min_idle(),
                    self.range_bound(),
                );
                let mut options = Vec::new();
                if self.random.percent(50) {
                    options.push(words!["COUNT", self.count()]);
                }
                if self.random.percent(30) {
                    options.push(words!["JUSTID"]);
                }
                self.with_options(
                    words!["XAUTOCLAIM", key, group, consumer, idle, start],
                    options,
                )
            }
            35..39 => self.inspect(&key),
            _ => {
                let mut options = Vec::new();
                if self.random.percent(40) {
                    options.push(words!["ENTRIESADDED", self.small_number()]);
                }
                if self.random.percent(40) {
                    options.push(words!["MAXDELETEDID", self.stream_id()]);
                }
                // 7.0 lets an ID below the highest deleted one pass, which 7.2 refuses.
                let id = if self.dialect == Dialect::Redis70 {
                    self.stream_clock += 1;
                    format!("{}-9", self.stream_clock - 1).into_bytes()
                } else {
                    self.stream_id()
                };
                self.with_options(words!["XSETID", key, id], options)
            }
        }
    }

    pub(super) fn stream_list(&mut self, words: &mut Words, special: &'static str) {
        let count = 1 + self.random.below(3);
        words.extend(words!["STREAMS"]);
        for _ in 0..count {
            let key = if self.random.percent(10) {
                AUTO_STREAM_KEY.to_vec()
            } else {
                self.key_of(STREAM_KEYS)
            };
            words.push(key);
        }
        for _ in 0..count {
            let id = if self.random.percent(60) {
                special.as_bytes().to_vec()
            } else {
                self.stream_id()
            };
            words.push(id);
        }
    }

    pub(super) fn read(&mut self) -> Words {
        let mut options = Vec::new();
        if self.random.percent(50) {
            options.push(words!["COUNT", self.small_number()]);
        }
        if self.transaction_left.is_some() && self.random.percent(30) {
            options.push(words!["BLOCK", "0"]);
        }
        let mut words = self.with_options(words!["XREAD"], options);
        let last = if self.dialect >= Dialect::Redis86 {
            "+"
        } else {
            "$"
        };
        let special = self.random.pick(&["0", "0", "$", last, ">"]);
        self.stream_list(&mut words, special);
        words
    }

    pub(super) fn read_group(&mut self) -> Words {
        let mut options: Vec<Words> = self.claim_option().into_iter().collect();
        if options.is_empty() && self.random.percent(50) {
            options.push(words!["COUNT", self.count()]);
        }
        if self.random.percent(10) {
            options.push(words!["NOACK"]);
        }
        if self.random.percent(98) {
            options.push(words!["GROUP", self.group(), self.consumer()]);
        }
        let claiming = options.iter().any(|option| option[0] == b"CLAIM");
        let mut words = self.with_options(words!["XREADGROUP"], options);
        let special = self.random.pick(&[">", ">", ">", "0", "$"]);
        self.stream_list(&mut words, special);
        if claiming {
            // 8.6 forgets the claim behind a stream of which it reads the history.
            let streams = words.iter().position(|word| word == b"STREAMS");
            let keys_at = streams.unwrap_or_default() + 1;
            let ids_at = usize::midpoint(keys_at, words.len());
            for id in words.iter_mut().skip(ids_at) {
                *id = special.as_bytes().to_vec();
            }
        }
        words
    }

    pub(super) fn group_admin(&mut self, key: &[u8]) -> Words {
        let group = self.group();
        match self.random.below(10) {
            0..4 => {
                let id = if self.random.percent(40) {
                    b"$".to_vec()
                } else {
                    self.stream_id()
                };
                let mut options = Vec::new();
                if self.random.percent(50) {
                    options.push(words!["MKSTREAM"]);
                }
                if self.random.percent(30) {
                    options.push(words!["ENTRIESREAD", self.entries_read()]);
                }
                self.with_options(words!["XGROUP", "CREATE", key, group, id], options)
            }
            4..6 => {
                let id = if self.random.percent(40) {
                    b"$".to_vec()
                } else {
                    self.stream_id()
                };
                let mut words = words!["XGROUP", "SETID", key, group, id];
                if self.random.percent(40) {
                    words.extend(words!["ENTRIESREAD", self.entries_read()]);
                }
                words
            }
            6 => words![
                "XGROUP",
                "DESTROY",
                key,
                self.random.pick(&["g2", "g2", "nogroup"])
            ],
            7 | 8 => words!["XGROUP", "CREATECONSUMER", key, group, self.consumer()],
            _ => words![
                "XGROUP",
                self.random.pick(&["DELCONSUMER", "delconsumer", "NOSUCH"]),
                key,
                group,
                self.consumer()
            ],
        }
    }

    pub(super) fn pending(&mut self, key: &[u8]) -> Words {
        let group = self.group();
        let mut words = words!["XPENDING", key, group];
        if self.random.percent(65) {
            if self.random.percent(30) {
                words.extend(words!["IDLE", self.min_idle()]);
            }
            words.extend(words![self.range_bound(), self.range_bound(), self.count()]);
            if self.random.percent(40) {
                words.extend(words![self.consumer()]);
            }
        }
        words
    }

    /// Idle times are either 0, far below or far above any idle time that occurs.
    pub(super) fn min_idle(&mut self) -> &'static str {
        self.random.pick(&["0", "0", "0", "50000000", "-1", "abc"])
    }

    pub(super) fn claim(&mut self, key: &[u8]) -> Words {
        let mut words = words![
            "XCLAIM",
            key,
            self.group(),
            self.consumer(),
            self.min_idle()
        ];
        self.ids(&mut words);
        let mut options = Vec::new();
        for (option, percent) in [("FORCE", 40), ("JUSTID", 30)] {
            if self.random.percent(percent) {
                options.push(words![option]);
            }
        }
        if self.random.percent(20) {
            options.push(words![
                "IDLE",
                self.random
                    .pick(&["0", "1000000", "100000000", "-1", "abc"])
            ]);
        }
        if self.random.percent(15) {
            options.push(words![
                "TIME",
                self.random
                    .pick(&["1", "1000000", "4102444800000", "-1", "abc"])
            ]);
        }
        if self.random.percent(20) {
            options.push(words!["RETRYCOUNT", self.small_number()]);
        }
        if self.random.percent(15) {
            options.push(words!["LASTID", self.stream_id()]);
        }
        self.with_options(words, options)
    }

    pub(super) fn inspect(&mut self, key: &[u8]) -> Words {
        match self.random.below(6) {
            0 => words!["XINFO", "STREAM", key],
            1 | 2 => {
                let mut words = words!["XINFO", "STREAM", key, "FULL"];
                if self.random.percent(50) {
                    words.extend(words!["COUNT", self.small_number()]);
                }
                words
            }
            3 => words!["XINFO", "GROUPS", key],
            4 => words!["XINFO", "CONSUMERS", key, self.group()],
            _ => words![
                "XINFO",
                self.random.pick(&["stream", "NOSUCH", "GROUPS"]),
                key
            ],
        }
    }
}
