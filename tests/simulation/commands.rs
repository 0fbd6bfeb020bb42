//! What the players of the simulation send.

use super::*;

impl World {
    pub(crate) fn key(&mut self) -> Vec<u8> {
        KEYS[self.random.below(KEYS.len())].into()
    }

    pub(crate) fn value(&mut self) -> Vec<u8> {
        self.unique += 1;
        format!("v{}", self.unique).into_bytes()
    }

    pub(crate) fn words(&mut self, player: usize) -> Vec<Vec<u8>> {
        let side = |random: &mut Random| {
            if random.one_in(2) {
                b"LEFT".to_vec()
            } else {
                b"RIGHT".to_vec()
            }
        };
        if self.players[player].subscriber {
            let channel = format!("ch{}", self.random.below(3)).into_bytes();
            let verb = if self.random.one_in(3) {
                "UNSUBSCRIBE"
            } else {
                "SUBSCRIBE"
            };
            return vec![verb.into(), channel];
        }
        let in_multi = self.players[player].in_multi;
        if let Some((key, left)) = self.players[player].focus.take() {
            if left > 0 {
                self.players[player].focus = Some((key.clone(), left - 1));
            }
            return if self.random.one_in(4) {
                vec!["RPUSH".into(), key, self.value()]
            } else {
                vec!["LLEN".into(), key]
            };
        }
        if self.random.one_in(25) {
            self.players[player].focus = Some((self.key(), 20 + self.random.below(60)));
        }
        if let Some(words) = self.on_another_type() {
            return words;
        }
        match self.random.below(22) {
            0 | 1 => vec!["RPUSH".into(), self.key(), self.value()],
            2 => vec!["LPUSH".into(), self.key(), self.value(), self.value()],
            3 => vec!["LPOP".into(), self.key()],
            4 => vec!["RPOP".into(), self.key()],
            5 => vec!["LRANGE".into(), self.key(), "0".into(), "-1".into()],
            6 => vec!["LLEN".into(), self.key()],
            7 | 8 => {
                let (from, to) = (side(&mut self.random), side(&mut self.random));
                vec!["LMOVE".into(), self.key(), self.key(), from, to]
            }
            9 if self.random.one_in(2) => self.move_of_several(),
            9 | 10 => {
                let (from, to) = (side(&mut self.random), side(&mut self.random));
                let timeout = self.timeout();
                vec!["BLMOVE".into(), self.key(), self.key(), from, to, timeout]
            }
            11 | 12 => {
                let mut words = vec![if self.random.one_in(2) {
                    b"BLPOP".to_vec()
                } else {
                    b"BRPOP".to_vec()
                }];
                for _ in 0..1 + self.random.below(3) {
                    words.push(self.key());
                }
                words.push(self.timeout());
                words
            }
            13 => vec!["DEL".into(), self.key()],
            14 if !in_multi => {
                self.players[player].in_multi = true;
                vec!["MULTI".into()]
            }
            14..=17 if in_multi => {
                self.players[player].in_multi = false;
                vec![if self.random.one_in(6) {
                    b"DISCARD".to_vec()
                } else {
                    b"EXEC".to_vec()
                }]
            }
            15 | 16 if !in_multi && self.watches => vec!["WATCH".into(), self.key(), self.key()],
            18 => {
                let channel = format!("ch{}", self.random.below(3)).into_bytes();
                vec!["PUBLISH".into(), channel, self.value()]
            }
            19 if !in_multi && self.random.one_in(2) => self.setting(),
            _ => vec!["LLEN".into(), self.key()],
        }
    }

    /// Now and then a command on streams or sorted sets.
    fn on_another_type(&mut self) -> Option<Vec<Vec<u8>>> {
        let part = self.random.below(15);
        let timeout = self.timeout();
        match part {
            0..5 => Some(streams::words(&mut self.random, &mut self.unique, &timeout)),
            5..8 => Some(scores::words(&mut self.random, &timeout)),
            _ => None,
        }
    }

    /// Tracking, and how many keys of it there may be: every shard is to do something before that is answered.
    fn setting(&mut self) -> Vec<Vec<u8>> {
        let count = self.random.below(4).to_string();
        let words: &[&str] = if self.random.one_in(2) {
            &["CLIENT", "TRACKING", "ON"]
        } else {
            &["CONFIG", "SET", "tracking-table-max-keys", &count]
        };
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    /// LMOVEM or BLMOVEM between two different keys.
    pub(crate) fn move_of_several(&mut self) -> Vec<Vec<u8>> {
        let side = |random: &mut Random| -> Vec<u8> {
            if random.one_in(2) { "LEFT" } else { "RIGHT" }.into()
        };
        let (source, mut destination) = (self.key(), self.key());
        while destination == source {
            destination = self.key();
        }
        let (from, to) = (side(&mut self.random), side(&mut self.random));
        let mut words = vec![b"LMOVEM".to_vec(), source, destination, from, to];
        if self.random.one_in(2) {
            words[0] = b"BLMOVEM".to_vec();
            words.push(self.timeout());
        }
        let exact = self.random.one_in(2);
        words.push(if exact { "EXACTLY" } else { "COUNT" }.into());
        words.push((1 + self.random.below(4)).to_string().into());
        let bulk = self.random.one_in(2);
        words.push(if bulk { "BULK" } else { "OBO" }.into());
        words
    }

    pub(crate) fn timeout(&mut self) -> Vec<u8> {
        if self.random.one_in(2) {
            b"0".to_vec()
        } else {
            format!("0.{}", 1 + self.random.below(9)).into_bytes()
        }
    }
}

/// A command as it goes over the wire.
pub(crate) fn request(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A bulk string of a reply.
pub(crate) fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
