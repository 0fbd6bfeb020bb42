//! One sequential Redis for the simulation: lists, streams, sorted sets, waiters, watchers, subscribers.

use super::*;

/// A wait of the model.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) client: u64,
    pub(crate) words: Vec<Vec<u8>>,
}

/// One sequential Redis: lists, streams, sorted sets, waiters, watchers, nothing else.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) streams: streams::Streams,
    pub(crate) sorted_sets: scores::SortedSets,
    pub(crate) lists: BTreeMap<Vec<u8>, VecDeque<Vec<u8>>>,
    /// In the order in which they began to wait.
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) watched: HashMap<u64, HashSet<Vec<u8>>>,
    pub(crate) dirty: HashSet<u64>,
    pub(crate) ready: VecDeque<Vec<u8>>,
    pub(crate) subscribed: HashMap<u64, HashSet<Vec<u8>>>,
    pub(crate) published: Vec<(Vec<u8>, HashSet<u64>)>,
}

/// How many elements LMOVEM and BLMOVEM move, and how.
pub(crate) struct Moves {
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) in_bulk: bool,
}

/// What the options of LMOVEM and BLMOVEM ask for; `None` for another command.
pub(crate) fn several(words: &[Vec<u8>]) -> Option<Moves> {
    let at = match &words[0][..] {
        b"LMOVEM" => 5,
        b"BLMOVEM" => 6,
        _ => return None,
    };
    let count = String::from_utf8_lossy(&words[at + 1]).parse().unwrap();
    Some(Moves {
        least: if words[at] == b"EXACTLY" { count } else { 1 },
        most: count,
        in_bulk: words[at + 2] == b"BULK",
    })
}

pub(crate) fn left(word: &[u8]) -> bool {
    word == b"LEFT"
}

impl Model {
    /// One with the same data, and nobody connected.
    pub(crate) fn data(&self) -> Self {
        Self {
            streams: self.streams.clone(),
            sorted_sets: self.sorted_sets.clone(),
            lists: self.lists.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn touch(&mut self, key: &[u8]) {
        for (client, keys) in &self.watched {
            if keys.contains(key) {
                self.dirty.insert(*client);
            }
        }
    }

    /// Whether a key has what a waiter waits for.
    pub(crate) fn has_enough(&self, key: &[u8], waiting: &Waiting) -> bool {
        if self.sorted_sets.contains(key) {
            return true;
        }
        let len = self.lists.get(key).map_or(0, VecDeque::len);
        len >= several(&waiting.words).map_or(1, |moves| moves.least)
    }

    pub(crate) fn push(&mut self, key: &[u8], value: &[u8], at_left: bool) {
        let is_new = !self.lists.contains_key(key);
        let list = self.lists.entry(key.to_vec()).or_default();
        if at_left {
            list.push_front(value.to_vec())
        } else {
            list.push_back(value.to_vec())
        }
        self.touch(key);
        // A list that grows concerns only who waits for several elements.
        let concerns = |waiting: &Waiting| {
            waiting.words[0] == b"BLMOVEM"
                && waiting.words[1] == key
                && several(&waiting.words).is_some_and(|moves| moves.least > 1)
                && self.has_enough(key, waiting)
        };
        let is_ready = is_new || self.waiting.iter().any(concerns);
        if is_ready && !self.ready.iter().any(|ready| ready == key) {
            self.ready.push_back(key.to_vec());
        }
    }

    /// LMOVEM and BLMOVEM between two lists: the elements as they lie in the second; `None` when there are too few.
    pub(crate) fn move_several(&mut self, words: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let moves = several(words)?;
        let (from, to) = (left(&words[3]), left(&words[4]));
        let len = self.lists.get(&words[1]).map_or(0, VecDeque::len);
        if len < moves.least {
            return None;
        }
        let taken = (0..moves.most.min(len)).filter_map(|_| self.pop(&words[1], from));
        let mut block: Vec<Vec<u8>> = taken.collect();
        // One by one, the last that came lies outermost; a block keeps its order.
        if from == to && moves.in_bulk {
            block.reverse();
        }
        for value in &block {
            self.push(&words[2], value, to);
        }
        if to {
            block.reverse();
        }
        Some(block)
    }

    pub(crate) fn pop(&mut self, key: &[u8], at_left: bool) -> Option<Vec<u8>> {
        let list = self.lists.get_mut(key)?;
        let value = if at_left {
            list.pop_front()
        } else {
            list.pop_back()
        };
        if list.is_empty() {
            self.lists.remove(key);
        }
        self.touch(key);
        value
    }

    /// The reply of a command; `None`: it finds nothing and would wait.
    pub(crate) fn run(&mut self, client: u64, words: &[Vec<u8>]) -> Option<Vec<u8>> {
        let integer = |value: usize| format!(":{value}\r\n").into_bytes();
        let key = words.get(1).cloned().unwrap_or_default();
        Some(match &words[0][..] {
            b"RPUSH" | b"LPUSH" => {
                for value in &words[2..] {
                    self.push(&key, value, words[0] == b"LPUSH");
                }
                integer(self.lists[&key].len())
            }
            b"LPOP" | b"RPOP" => match self.pop(&key, words[0] == b"LPOP") {
                Some(value) => bulk(&value),
                None => b"$-1\r\n".to_vec(),
            },
            b"LLEN" => integer(self.lists.get(&key).map_or(0, VecDeque::len)),
            b"LRANGE" => {
                let list = self.lists.get(&key).cloned().unwrap_or_default();
                let mut reply = format!("*{}\r\n", list.len()).into_bytes();
                list.iter().for_each(|value| reply.extend(bulk(value)));
                reply
            }
            b"DEL" => {
                let existed = self.lists.remove(&key).is_some();
                if existed {
                    self.touch(&key);
                }
                integer(usize::from(existed))
            }
            b"LMOVE" | b"BLMOVE" => match self.pop(&key, left(&words[3])) {
                Some(value) => {
                    self.push(&words[2], &value, left(&words[4]));
                    bulk(&value)
                }
                None if words[0] == b"LMOVE" => b"$-1\r\n".to_vec(),
                None => return None,
            },
            b"LMOVEM" | b"BLMOVEM" => match self.move_several(words) {
                Some(block) => {
                    let mut reply = format!("*{}\r\n", block.len()).into_bytes();
                    block.iter().for_each(|value| reply.extend(bulk(value)));
                    reply
                }
                None if words[0] == b"BLMOVEM" => return None,
                None if words[5] == b"EXACTLY" => b"*-1\r\n".to_vec(),
                None => b"*0\r\n".to_vec(),
            },
            b"BLPOP" | b"BRPOP" => {
                let keys = &words[1..words.len() - 1];
                let key = keys
                    .iter()
                    .find(|key| self.lists.contains_key(*key))?
                    .clone();
                let value = self.pop(&key, words[0] == b"BLPOP")?;
                [b"*2\r\n".to_vec(), bulk(&key), bulk(&value)].concat()
            }
            b"WATCH" => {
                self.watched
                    .entry(client)
                    .or_default()
                    .extend(words[1..].iter().cloned());
                b"+OK\r\n".to_vec()
            }
            b"MULTI" | b"CLIENT" | b"CONFIG" => b"+OK\r\n".to_vec(),
            b"DISCARD" => {
                self.unwatch(client);
                b"+OK\r\n".to_vec()
            }
            b"PUBLISH" => {
                let receivers: HashSet<u64> = self
                    .subscribed
                    .iter()
                    .filter(|(_, names)| names.contains(&key))
                    .map(|(client, _)| *client)
                    .collect();
                let count = receivers.len();
                self.published.push((words[2].clone(), receivers));
                integer(count)
            }
            other if other[0] == b'X' => {
                let ran = self.streams.run(words);
                if ran.ready {
                    self.ready
                        .push_back(words[if other == b"XGROUP" { 2 } else { 1 }].clone());
                }
                return ran.reply;
            }
            other if other.starts_with(b"Z") || other.starts_with(b"BZ") => {
                let ran = self.sorted_sets.run(words);
                self.ready.extend(ran.ready);
                return ran.reply;
            }
            other => panic!("the model does not know {}", String::from_utf8_lossy(other)),
        })
    }

    /// What a command in MULTI is told that would wait. (A wait that nobody serves ends in `*-1` whatever the command.)
    pub(crate) fn null_in_multi(words: &[Vec<u8>]) -> Vec<u8> {
        if words[0] == b"BLMOVE" {
            b"$-1\r\n".to_vec()
        } else {
            b"*-1\r\n".to_vec()
        }
    }

    pub(crate) fn unwatch(&mut self, client: u64) {
        self.watched.remove(&client);
        self.dirty.remove(&client);
    }

    pub(crate) fn keys_of(waiting: &Waiting) -> &[Vec<u8>] {
        if waiting.words[0] == b"XREADGROUP" {
            streams::keys_of(&waiting.words)
        } else if let Some(keys) = scores::keys_of(&waiting.words) {
            keys
        } else if [&b"BLMOVE"[..], b"BLMOVEM"].contains(&&*waiting.words[0]) {
            &waiting.words[1..2]
        } else {
            &waiting.words[1..waiting.words.len() - 1]
        }
    }

    /// Those who wait for a stream, in order: each takes what it can get.
    fn serve_readers(
        &mut self,
        key: &[u8],
        served: &mut Vec<(u64, Vec<u8>)>,
        note: &mut dyn FnMut(&Self, &[Vec<u8>]),
    ) {
        let mut at = 0;
        while let Some(waiting) = self.waiting.get(at).cloned() {
            let concerned = waiting.words[0] == b"XREADGROUP"
                && Self::keys_of(&waiting).iter().any(|other| other == key);
            let reply = concerned
                .then(|| self.run(waiting.client, &waiting.words))
                .flatten();
            match reply {
                Some(reply) => {
                    self.waiting.remove(at);
                    note(self, &waiting.words);
                    served.push((waiting.client, reply));
                }
                None => at += 1,
            }
        }
    }

    /// Who is served now, in order, to a fixpoint. `note` sees the state after each of them, and the words that it waited with.
    pub(crate) fn serve(&mut self, note: &mut dyn FnMut(&Self, &[Vec<u8>])) -> Vec<(u64, Vec<u8>)> {
        let mut served = Vec::new();
        while let Some(key) = self.ready.pop_front() {
            self.serve_readers(&key, &mut served, note);
            while self.lists.contains_key(&key) || self.sorted_sets.contains(&key) {
                let Some(at) = self.waiting.iter().position(|waiting| {
                    Self::keys_of(waiting).contains(&key) && self.has_enough(&key, waiting)
                }) else {
                    break;
                };
                let waiting = self.waiting.remove(at);
                let reply = self
                    .run(waiting.client, &waiting.words)
                    .expect("the key has an element");
                note(self, &waiting.words);
                served.push((waiting.client, reply));
            }
        }
        served
    }
}
