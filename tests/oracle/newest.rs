//! Commands and options of streams that came after 7.2, for oracles that have them: reference policies (8.2), claims while reading
//! (8.4), idempotent XADD (8.6).
//!
//! What the generator avoids here: a COUNT beside CLAIM, because which entries are idle longest depends on the millisecond in
//! which each server delivered them; windows of idempotency that end during a run.

use super::{AUTO_STREAM_KEY, Dialect, Generator, STREAM_KEYS, Words, words};

const POLICIES: &[&str] = &["KEEPREF", "DELREF", "DELREF", "ACKED", "ACKED", "acked"];
const PRODUCERS: &[&str] = &["p1", "p1", "p2", ""];

impl Generator {
    /// Whether the oracle knows what this module makes.
    pub(super) fn has_newest(&self) -> bool {
        self.dialect == Dialect::Redis86
    }

    /// A reference policy among the options of a trim, now and then.
    pub(super) fn with_policy(&mut self, words: &mut Words) {
        if self.has_newest() && self.random.percent(40) {
            words.push(self.random.pick(POLICIES).as_bytes().to_vec());
        }
    }

    /// The options of an XADD that a producer may repeat.
    fn producer(&mut self) -> Words {
        let producer = self.random.pick(PRODUCERS);
        if self.random.percent(50) {
            return words!["IDMPAUTO", producer];
        }
        let iid = self.random.pick(&["i1", "i2", "i3", "i4", "i5", ""]);
        words!["IDMP", producer, iid]
    }

    /// XADD with idempotency, mostly on the stream with IDs from the clock.
    fn idempotent_add(&mut self) -> Words {
        let mut options = vec![self.producer()];
        if self.random.percent(5) {
            options.push(self.producer());
        }
        if self.random.percent(20) {
            let trim = self.trim();
            options.push(trim);
        }
        if self.random.percent(10) {
            options.push(words!["NOMKSTREAM"]);
        }
        let key = if self.random.percent(90) {
            AUTO_STREAM_KEY.to_vec()
        } else {
            self.key_of_any_type()
        };
        let mut words = self.with_options(words!["XADD", key], options);
        words.extend(words![
            self.random.pick(&["*", "*", "*", "*", "*", "1-1", "1-*"])
        ]);
        for _ in 0..=self.random.below(2) {
            let value = self.random.below(4).to_string();
            words.extend(words!["f", value]);
        }
        words
    }

    /// A block `IDS count id …`, and sometimes a policy before or behind it.
    fn ids_block(&mut self, mut words: Words) -> Words {
        let policy = self.random.percent(70).then(|| self.random.pick(POLICIES));
        let first = self.random.percent(50);
        if let Some(policy) = policy.filter(|_| first) {
            words.extend(words![policy]);
        }
        let mut ids = words![];
        self.ids(&mut ids);
        let count = if self.random.percent(5) {
            self.wild_number()
        } else {
            ids.len().to_string().into_bytes()
        };
        words.extend(words!["IDS", count]);
        words.extend(ids);
        if let Some(policy) = policy.filter(|_| !first) {
            words.extend(words![policy]);
        }
        words
    }

    /// One of the commands that 7.2 does not have.
    pub(super) fn newest_stream(&mut self) -> Words {
        let key = self.key_of(STREAM_KEYS);
        match self.random.below(10) {
            0..3 => self.ids_block(words!["XDELEX", key]),
            3..5 => {
                let group = self.group();
                self.ids_block(words!["XACKDEL", key, group])
            }
            5..8 => self.idempotent_add(),
            8 => {
                let key = if self.random.percent(70) {
                    AUTO_STREAM_KEY.to_vec()
                } else {
                    key
                };
                let mut options = Vec::new();
                if self.random.percent(70) {
                    let seconds = self
                        .random
                        .pick(&["100", "200", "86400", "0", "86401", "abc"]);
                    options.push(words!["IDMP-DURATION", seconds]);
                }
                if self.random.percent(70) {
                    let most = self
                        .random
                        .pick(&["1", "2", "3", "100", "0", "10001", "-1", "x"]);
                    options.push(words!["IDMP-MAXSIZE", most]);
                }
                self.with_options(words!["XCFGSET", key], options)
            }
            _ => {
                let iid = self.random.pick(&["i1", "i2", "i9", ""]);
                words![
                    "XIDMPRECORD",
                    key,
                    self.random.pick(PRODUCERS),
                    iid,
                    self.stream_id()
                ]
            }
        }
    }

    /// `CLAIM min-idle` for a group read.
    pub(super) fn claim_option(&mut self) -> Option<Words> {
        if !self.has_newest() || !self.random.percent(25) {
            return None;
        }
        Some(words!["CLAIM", self.min_idle()])
    }
}
