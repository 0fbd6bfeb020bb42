//! The shard protocol, stepped from a seed: N shards, without threads and sockets, against one sequential model of Redis.
//!
//! ```text
//! seed ─► clients send commands · messages are delivered late · shards work · clients die · time passes · clients migrate
//!            │
//!            └─► a witness notes every execution in the order of its effect ─► the model runs them in that order
//! ```
//! Checked: every reply is the model's; each client's commands took effect in the order it sent them; an EXEC is
//! contiguous; blocked clients are served exactly when, and in the order in which, the model serves them; what a client
//! receives is the replies in order; all subscribers agree on one order of messages; every keyspace is in its berth, nothing is left
//! waiting or unsent.
//!
//! A failing seed is printed. `MILLRACE_SEED=<n>` runs one seed, `MILLRACE_SEEDS=<n>` that many.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[path = "simulation/order.rs"]
mod order;
#[path = "simulation/stop.rs"]
mod stop;
#[path = "simulation/streams.rs"]
mod streams;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use millrace::client::registry::ClientOrigin;
use millrace::command::context::{Execution, Shared, Witness};
use millrace::config::Configuration;
use millrace::ids::{ClientId, ShardId, ShardSet};
use millrace::keyspace::Keyspace;
use millrace::resp::arguments::Args;
use millrace::server::shards::share;
use millrace::shard::clock::Clock;
use millrace::shard::hand::berths::{Berths, Taken};
use millrace::shard::mailbox::{Message, Post};
use millrace::shard::output::Sent;
use millrace::shard::{Event, Shard};

/// A small generator of numbers: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Mailboxes as lists: one FIFO for each shard, delivered when the seed says so.
struct Mail(Mutex<Vec<VecDeque<Message>>>, Berths<Box<Keyspace>>);

impl Post for Mail {
    fn send(&self, to: ShardId, message: Message) -> bool {
        self.0.lock().unwrap()[to.index()].push_back(message);
        false
    }

    fn send_ordered(&self, messages: Vec<(ShardId, Message)>) -> ShardSet {
        for (to, message) in messages {
            self.send(to, message);
        }
        ShardSet::EMPTY
    }

    fn wake(&self, _threads: ShardSet) {}

    fn receive_all(&self, at: ShardId) -> VecDeque<Message> {
        std::mem::take(&mut self.0.lock().unwrap()[at.index()])
    }

    fn has_mail(&self, at: ShardId) -> bool {
        !self.0.lock().unwrap()[at.index()].is_empty()
    }

    fn berths(&self) -> &Berths<Box<Keyspace>> {
        &self.1
    }
}

/// Time that passes when the seed says so.
struct SimulatedClock(AtomicU64);

impl Clock for SimulatedClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn nanoseconds(&self) -> u64 {
        self.now_ms() * 1_000_000
    }

    fn sleep(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

/// One execution as the witness saw it.
#[derive(Clone, Debug)]
struct Seen {
    client: u64,
    execution: Execution,
    words: Vec<Vec<u8>>,
    reply: Vec<u8>,
}

struct Notes(Arc<Mutex<Vec<Seen>>>);

impl Witness for Notes {
    fn saw(&self, client: ClientId, execution: Execution, args: &Args<'_>, reply: &[u8]) {
        let words = args.iter().map(<[u8]>::to_vec).collect();
        self.0.lock().unwrap().push(Seen {
            client: client.0,
            execution,
            words,
            reply: reply.to_vec(),
        });
    }
}

fn request(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A client as the test plays it.
struct Player {
    id: ClientId,
    shard: usize,
    /// Commands written to its connection.
    sent: Vec<Vec<Vec<u8>>>,
    received: Vec<u8>,
    alive: bool,
    in_multi: bool,
    subscriber: bool,
    /// Bytes that the shard has not been given yet: requests arrive in pieces.
    in_flight: Vec<u8>,
    /// A key it stays with for so many commands: what makes a connection move.
    focus: Option<(Vec<u8>, usize)>,
}

struct World {
    random: Random,
    clock: Arc<SimulatedClock>,
    mail: Arc<Mail>,
    shards: Vec<Shard>,
    shared: Arc<Shared>,
    players: Vec<Player>,
    notes: Arc<Mutex<Vec<Seen>>>,
    unique: u64,
    migrations: usize,
    /// Clients on their way out, by shard: no event of theirs reaches it any more.
    leaving: Vec<Vec<(ClientId, ShardId)>>,
    /// Keyspaces that somebody works with for a while, so that shards find them out.
    held: Vec<(ShardSet, Taken<Box<Keyspace>>)>,
}

/// What the test itself notes when it closes a connection.
const GONE: &str = "(gone)";

/// Keys that lie on different shards whatever their number; some share a slot.
const KEYS: [&str; 10] = [
    "a", "b", "c", "d", "e", "{x}1", "{x}2", "{y}1", "{y}2", "queue",
];

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let shard_count = [1, 2, 3, 4, 8][random.below(5)];
        let mut world = Self::empty(random, shard_count);
        for number in 0..3 + world.random.below(5) {
            world.connect(number == 0);
        }
        world
    }

    /// Nobody is connected yet.
    fn empty(random: Random, shard_count: usize) -> Self {
        let words = [
            "--shards".to_owned(),
            shard_count.to_string(),
            "--save".to_owned(),
            String::new(),
        ];
        let configuration = Configuration::load(&words, &mut std::io::empty()).unwrap();
        let settings = configuration.settings();
        let clock = Arc::new(SimulatedClock(AtomicU64::new(1_000_000)));
        let shared = Arc::new(share(configuration, settings, clock.now_ms()));
        let notes = Arc::new(Mutex::new(Vec::new()));
        assert!(
            shared
                .witness
                .set(Box::new(Notes(Arc::clone(&notes))))
                .is_ok()
        );
        let mail = Arc::new(Mail(
            Mutex::new((0..shard_count).map(|_| VecDeque::new()).collect()),
            Berths::new(shard_count),
        ));
        let hasher = hashbrown::DefaultHashBuilder::default();
        let shards = (0..shard_count)
            .map(|number| {
                let post: Arc<dyn Post> = Arc::clone(&mail) as Arc<dyn Post>;
                let clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
                Shard::new(
                    ShardId(number as u16),
                    Arc::clone(&shared),
                    post,
                    clock,
                    hasher.clone(),
                )
            })
            .collect();
        Self {
            random,
            clock,
            mail,
            shards,
            shared,
            players: Vec::new(),
            notes,
            unique: 0,
            migrations: 0,
            leaving: vec![Vec::new(); shard_count],
            held: Vec::new(),
        }
    }

    fn connect(&mut self, subscriber: bool) {
        let shard = self.random.below(self.shards.len());
        self.connect_to(shard, subscriber);
    }

    fn connect_to(&mut self, shard: usize, subscriber: bool) {
        let now_ms = self.clock.now_ms();
        let client = Shard::accept(
            &self.shared,
            ClientOrigin::default(),
            ShardId(shard as u16),
            now_ms,
            None,
            true,
        );
        let id = client.id();
        self.shards[shard].handle(Event::Message(Message::Adopt(client)));
        self.players.push(Player {
            id,
            shard,
            sent: Vec::new(),
            received: Vec::new(),
            alive: true,
            in_multi: false,
            subscriber,
            in_flight: Vec::new(),
            focus: None,
        });
    }

    fn key(&mut self) -> Vec<u8> {
        KEYS[self.random.below(KEYS.len())].into()
    }

    fn value(&mut self) -> Vec<u8> {
        self.unique += 1;
        format!("v{}", self.unique).into_bytes()
    }

    fn words(&mut self, player: usize) -> Vec<Vec<u8>> {
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
        if self.random.one_in(3) {
            let timeout = self.timeout();
            return streams::words(&mut self.random, &mut self.unique, &timeout);
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
            15 | 16 if !in_multi => vec!["WATCH".into(), self.key(), self.key()],
            17 => vec!["LLEN".into(), self.key()],
            18 => {
                let channel = format!("ch{}", self.random.below(3)).into_bytes();
                vec!["PUBLISH".into(), channel, self.value()]
            }
            _ => vec!["LLEN".into(), self.key()],
        }
    }

    /// LMOVEM or BLMOVEM between two different keys.
    fn move_of_several(&mut self) -> Vec<Vec<u8>> {
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

    fn timeout(&mut self) -> Vec<u8> {
        if self.random.one_in(2) {
            b"0".to_vec()
        } else {
            format!("0.{}", 1 + self.random.below(9)).into_bytes()
        }
    }

    /// One step of the world.
    fn step(&mut self) {
        match self.random.below(100) {
            0..25 => {
                let player = self.random.below(self.players.len());
                if self.players[player].alive {
                    let focused = self.players[player].focus.is_some();
                    for _ in 0..1 + if focused { 0 } else { self.random.below(6) } {
                        let words = self.words(player);
                        let bytes = request(&words);
                        self.players[player].sent.push(words);
                        self.players[player].in_flight.extend_from_slice(&bytes);
                    }
                }
            }
            25..50 => {
                let player = self.random.below(self.players.len());
                let available = self.players[player].in_flight.len();
                if available > 0 {
                    let count = if self.random.one_in(4) {
                        1 + self.random.below(available)
                    } else {
                        available
                    };
                    self.feed(player, count);
                }
            }
            50..75 => {
                let shard = self.random.below(self.shards.len());
                self.deliver(shard);
            }
            75..92 => {
                let shard = self.random.below(self.shards.len());
                self.shards[shard].work();
                self.follow();
                self.flush(shard);
            }
            92..95 => {
                if self.shards.len() > 1 && self.random.one_in(2) {
                    self.hold();
                } else {
                    self.put_back();
                }
            }
            95..97 => {
                self.clock.sleep(self.random.below(120) as u64);
                for shard in &mut self.shards {
                    shard.handle(Event::Tick);
                }
            }
            97 if self.random.one_in(3) => {
                let player = self.random.below(self.players.len());
                if self.players[player].alive {
                    self.players[player].alive = false;
                    let (id, shard) = (self.players[player].id, self.players[player].shard);
                    self.shards[shard].handle(Event::Lost(id));
                    self.notes.lock().unwrap().push(Seen {
                        client: id.0,
                        execution: Execution::Command,
                        words: vec![GONE.into()],
                        reply: Vec::new(),
                    });
                    self.connect(self.players[player].subscriber);
                }
            }
            _ => {
                for shard in 0..self.shards.len() {
                    self.flush(shard);
                }
            }
        }
    }

    /// Bytes reach the shard, which may not want them yet.
    fn feed(&mut self, player: usize, count: usize) {
        let Player {
            id, shard, alive, ..
        } = self.players[player];
        if alive && self.shards[shard].wants_input(id) && self.clients_of(shard).contains(&id) {
            let bytes: Vec<u8> = self.players[player].in_flight.drain(..count).collect();
            self.shards[shard].handle(Event::Input(id, &bytes));
        }
    }

    /// Somebody takes keyspaces, if they are to be had.
    fn hold(&mut self) {
        let mut shards = ShardSet::EMPTY;
        for _ in 0..1 + self.random.below(3) {
            shards.insert(ShardId(self.random.below(self.shards.len()) as u16));
        }
        if let Some(taken) = self.mail.1.take(shards, self.clock.nanoseconds()) {
            self.held.push((shards, taken));
        }
    }

    /// The oldest of those who have some puts them back.
    fn put_back(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let (shards, taken) = self.held.remove(0);
        for (shard, keyspace) in shards.iter().zip(taken) {
            let now_ns = self.clock.nanoseconds();
            let put = self.mail.1.put(shard, keyspace, u64::MAX, false, now_ns);
            if let Some(thread) = put.offer {
                self.mail.send(thread, Message::Offer);
            }
        }
    }

    /// Notes where the players are: they move when their shard takes them in.
    fn follow(&mut self) {
        for player in self.players.iter_mut().filter(|player| player.alive) {
            if let Some(handle) = self.shared.clients.get(player.id) {
                player.shard = handle.shard().index();
            }
        }
    }

    fn clients_of(&self, shard: usize) -> HashSet<ClientId> {
        let all = self.shared.clients.all();
        all.iter()
            .filter(|handle| handle.shard().index() == shard)
            .map(|handle| handle.id)
            .collect()
    }

    fn deliver(&mut self, shard: usize) -> bool {
        let message = self.mail.0.lock().unwrap()[shard].pop_front();
        let Some(message) = message else { return false };
        self.shards[shard].handle(Event::Message(message));
        self.follow();
        true
    }

    /// Reads what clients were sent, and lets those who want to move go.
    fn flush(&mut self, shard: usize) {
        let dirty = self.shards[shard].take_dirty();
        for id in dirty {
            loop {
                let mut bytes = Vec::new();
                let sent = self.shards[shard].send(id, |output| {
                    bytes.extend_from_slice(output.front());
                    Some(Ok(bytes.len()))
                });
                if matches!(sent, Sent::Nothing) {
                    break;
                }
                if let Some(player) = self.players.iter_mut().find(|player| player.id == id) {
                    player.received.extend_from_slice(&bytes);
                }
            }
        }
        self.shards[shard].take_closed();
        // As the thread does it: first the socket's task ends, later the client leaves; anything may happen between.
        for (id, target) in std::mem::take(&mut self.leaving[shard]) {
            if self.shards[shard].depart(id, target, None) {
                self.migrations += 1;
            }
        }
        let departing = self.shards[shard].take_departing();
        self.leaving[shard].extend(departing);
    }

    /// Lets everything that is under way come to rest; blocked clients stay blocked.
    fn settle(&mut self) {
        while !self.held.is_empty() {
            self.put_back();
        }
        for _ in 0..100_000 {
            let mut moved = false;
            for player in 0..self.players.len() {
                let available = self.players[player].in_flight.len();
                if available > 0 {
                    self.feed(player, available);
                    moved |= self.players[player].in_flight.is_empty();
                }
            }
            for shard in 0..self.shards.len() {
                while self.deliver(shard) {
                    moved = true;
                }
                moved |= self.shards[shard].work() || !self.shards[shard].is_idle();
                self.follow();
                self.flush(shard);
                moved |= !self.leaving[shard].is_empty();
            }
            let has_mail = self
                .mail
                .0
                .lock()
                .unwrap()
                .iter()
                .any(|box_| !box_.is_empty());
            if !moved && !has_mail && !self.is_anybody_to_be_read() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    fn is_anybody_to_be_read(&self) -> bool {
        self.players.iter().any(|player| {
            player.alive
                && !player.in_flight.is_empty()
                && self.shards[player.shard].wants_input(player.id)
        })
    }
}

/// A wait of the model.
#[derive(Clone, Debug)]
struct Waiting {
    client: u64,
    words: Vec<Vec<u8>>,
}

/// One sequential Redis: lists, streams, waiters, watchers, nothing else.
#[derive(Default)]
struct Model {
    streams: streams::Streams,
    lists: BTreeMap<Vec<u8>, VecDeque<Vec<u8>>>,
    /// In the order in which they began to wait.
    waiting: Vec<Waiting>,
    watched: HashMap<u64, HashSet<Vec<u8>>>,
    dirty: HashSet<u64>,
    ready: VecDeque<Vec<u8>>,
    subscribed: HashMap<u64, HashSet<Vec<u8>>>,
    published: Vec<(Vec<u8>, HashSet<u64>)>,
}

/// How many elements LMOVEM and BLMOVEM move, and how.
struct Moves {
    least: usize,
    most: usize,
    in_bulk: bool,
}

/// What the options of LMOVEM and BLMOVEM ask for; `None` for another command.
fn several(words: &[Vec<u8>]) -> Option<Moves> {
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

fn left(word: &[u8]) -> bool {
    word == b"LEFT"
}

impl Model {
    fn touch(&mut self, key: &[u8]) {
        for (client, keys) in &self.watched {
            if keys.contains(key) {
                self.dirty.insert(*client);
            }
        }
    }

    /// Whether a key has what a waiter waits for.
    fn has_enough(&self, key: &[u8], waiting: &Waiting) -> bool {
        let len = self.lists.get(key).map_or(0, VecDeque::len);
        len >= several(&waiting.words).map_or(1, |moves| moves.least)
    }

    fn push(&mut self, key: &[u8], value: &[u8], at_left: bool) {
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
    fn move_several(&mut self, words: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
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

    fn pop(&mut self, key: &[u8], at_left: bool) -> Option<Vec<u8>> {
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
    fn run(&mut self, client: u64, words: &[Vec<u8>]) -> Option<Vec<u8>> {
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
            b"MULTI" => b"+OK\r\n".to_vec(),
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
            other => panic!("the model does not know {}", String::from_utf8_lossy(other)),
        })
    }

    /// What a command in MULTI is told that would wait. (A wait that nobody serves ends in `*-1` whatever the command.)
    fn null_in_multi(words: &[Vec<u8>]) -> Vec<u8> {
        if words[0] == b"BLMOVE" {
            b"$-1\r\n".to_vec()
        } else {
            b"*-1\r\n".to_vec()
        }
    }

    fn unwatch(&mut self, client: u64) {
        self.watched.remove(&client);
        self.dirty.remove(&client);
    }

    fn keys_of(waiting: &Waiting) -> &[Vec<u8>] {
        if waiting.words[0] == b"XREADGROUP" {
            streams::keys_of(&waiting.words)
        } else if [&b"BLMOVE"[..], b"BLMOVEM"].contains(&&*waiting.words[0]) {
            &waiting.words[1..2]
        } else {
            &waiting.words[1..waiting.words.len() - 1]
        }
    }

    /// Those who wait for a stream, in order: each takes what it can get.
    fn serve_readers(&mut self, key: &[u8], served: &mut Vec<(u64, Vec<u8>)>) {
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
                    served.push((waiting.client, reply));
                }
                None => at += 1,
            }
        }
    }

    /// Who is served now, in order, to a fixpoint.
    fn serve(&mut self) -> Vec<(u64, Vec<u8>)> {
        let mut served = Vec::new();
        while let Some(key) = self.ready.pop_front() {
            self.serve_readers(&key, &mut served);
            while self.lists.contains_key(&key) {
                let Some(at) = self.waiting.iter().position(|waiting| {
                    Self::keys_of(waiting).contains(&key) && self.has_enough(&key, waiting)
                }) else {
                    break;
                };
                let waiting = self.waiting.remove(at);
                let reply = self
                    .run(waiting.client, &waiting.words)
                    .expect("the key has an element");
                served.push((waiting.client, reply));
            }
        }
        served
    }
}

fn show(seen: &Seen) -> String {
    let words: Vec<_> = seen
        .words
        .iter()
        .map(|word| String::from_utf8_lossy(word))
        .collect();
    format!(
        "client {} {:?} {words:?} -> {:?}",
        seen.client,
        seen.execution,
        String::from_utf8_lossy(&seen.reply)
    )
}

/// Runs the model over what the witness saw; gives the replies each client must have received, in order.
fn check_against_model(seen: &[Seen]) -> (Model, HashMap<u64, Vec<Vec<u8>>>) {
    let mut model = Model::default();
    let mut replies: HashMap<u64, Vec<Vec<u8>>> = HashMap::new();
    let mut exec: Option<(u64, Vec<u8>, usize)> = None;
    let mut due: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
    let mut gone = HashSet::new();
    for (index, seen) in seen.iter().enumerate() {
        let at = || format!("execution {index}: {}", show(seen));
        if let Some((client, _, _)) = &exec {
            assert_eq!(
                *client,
                seen.client,
                "something ran inside an EXEC: {}",
                at()
            );
        }
        // Who serves may meet one on the way whose connection is gone.
        let passed_over = seen.execution == Execution::Cancelled && gone.contains(&seen.client);
        if seen.execution != Execution::Served && !passed_over {
            assert!(
                due.is_empty(),
                "not served though due: {due:?} before {}",
                at()
            );
        }
        let mut serve = false;
        match seen.execution {
            Execution::Command if seen.words[0] == GONE.as_bytes() => {
                model.subscribed.remove(&seen.client);
                // Nobody is served whose connection is gone, even if its command is still under way.
                model
                    .waiting
                    .retain(|waiting| waiting.client != seen.client);
                gone.insert(seen.client);
            }
            Execution::Command if matches!(&seen.words[0][..], b"SUBSCRIBE" | b"UNSUBSCRIBE") => {
                let names = model.subscribed.entry(seen.client).or_default();
                if seen.words[0] == b"SUBSCRIBE" {
                    names.insert(seen.words[1].clone());
                } else {
                    names.remove(&seen.words[1]);
                }
                replies
                    .entry(seen.client)
                    .or_default()
                    .push(seen.reply.clone());
            }
            Execution::Command => {
                let reply = model
                    .run(seen.client, &seen.words)
                    .unwrap_or_else(|| panic!("the model waits: {}", at()));
                assert_eq!(
                    String::from_utf8_lossy(&reply),
                    String::from_utf8_lossy(&seen.reply),
                    "{}",
                    at()
                );
                replies.entry(seen.client).or_default().push(reply);
                serve = true;
            }
            Execution::Waits => {
                assert_eq!(
                    model.run(seen.client, &seen.words),
                    None,
                    "the model does not wait: {}",
                    at()
                );
                if gone.contains(&seen.client) {
                    continue;
                }
                model.waiting.push(Waiting {
                    client: seen.client,
                    words: seen.words.clone(),
                });
                serve = true;
            }
            Execution::Served => {
                let (client, reply) = due
                    .pop_front()
                    .unwrap_or_else(|| panic!("served though not due: {}", at()));
                assert_eq!(client, seen.client, "served out of order: {}", at());
                assert_eq!(
                    String::from_utf8_lossy(&reply),
                    String::from_utf8_lossy(&seen.reply),
                    "{}",
                    at()
                );
                replies.entry(client).or_default().push(reply);
            }
            Execution::Cancelled if gone.contains(&seen.client) => {}
            Execution::Cancelled => {
                let position = model
                    .waiting
                    .iter()
                    .position(|waiting| waiting.client == seen.client);
                model.waiting.remove(
                    position.unwrap_or_else(|| panic!("cancelled but not waiting: {}", at())),
                );
                replies
                    .entry(seen.client)
                    .or_default()
                    .push(b"*-1\r\n".to_vec());
            }
            Execution::ExecBegins => {
                assert!(
                    !model.dirty.contains(&seen.client),
                    "a watched key had changed: {}",
                    at()
                );
                model.unwatch(seen.client);
                exec = Some((seen.client, Vec::new(), 0));
            }
            Execution::InExec => {
                let reply = model
                    .run(seen.client, &seen.words)
                    .unwrap_or_else(|| Model::null_in_multi(&seen.words));
                assert_eq!(
                    String::from_utf8_lossy(&reply),
                    String::from_utf8_lossy(&seen.reply),
                    "{}",
                    at()
                );
                let (_, bytes, count) = exec.as_mut().expect("begun");
                bytes.extend(reply);
                *count += 1;
            }
            Execution::ExecEnds => {
                let (client, bytes, count) = exec.take().expect("begun");
                replies
                    .entry(client)
                    .or_default()
                    .push([format!("*{count}\r\n").into_bytes(), bytes].concat());
                serve = true;
            }
            Execution::ExecRefused => {
                assert!(
                    model.dirty.contains(&seen.client),
                    "no watched key had changed: {}",
                    at()
                );
                model.unwatch(seen.client);
                replies
                    .entry(seen.client)
                    .or_default()
                    .push(b"*-1\r\n".to_vec());
            }
        }
        if serve {
            due.extend(model.serve());
        }
    }
    assert!(due.is_empty(), "not served at the end: {due:?}");
    (model, replies)
}

/// The commands of a client took effect in the order it sent them.
fn check_program_order(player: &Player, all: &[Seen]) {
    let seen = all;
    let mut queue: VecDeque<&Vec<Vec<u8>>> = VecDeque::new();
    let mut sent = player.sent.iter();
    let mut next = |queue: &mut VecDeque<_>| queue.pop_front().or_else(|| sent.next());
    let mut ran = seen.iter().filter(|seen| {
        seen.client == player.id.0
            && !matches!(
                seen.execution,
                Execution::Served | Execution::Cancelled | Execution::ExecEnds
            )
            && seen
                .words
                .first()
                .is_none_or(|word| word != GONE.as_bytes())
    });
    let mut in_multi = false;
    let mut queued = Vec::new();
    while let Some(words) = next(&mut queue) {
        if in_multi && !matches!(&words[0][..], b"EXEC" | b"DISCARD" | b"MULTI" | b"WATCH") {
            queued.push(words);
            continue;
        }
        let Some(seen) = ran.next() else { return };
        match &words[0][..] {
            b"EXEC" => {
                in_multi = false;
                if seen.execution == Execution::ExecRefused {
                    queued.clear();
                    continue;
                }
                assert_eq!(
                    seen.execution,
                    Execution::ExecBegins,
                    "client {} {}",
                    player.id.0,
                    show(seen)
                );
                for words in queued.drain(..) {
                    let seen = ran.next().expect("an EXEC is whole");
                    assert_eq!(
                        (&seen.words, seen.execution),
                        (words, Execution::InExec),
                        "client {}",
                        player.id.0
                    );
                }
            }
            name => {
                assert_eq!(
                    &seen.words,
                    words,
                    "client {} out of order: {}",
                    player.id.0,
                    history(player, all)
                );
                match name {
                    b"MULTI" => in_multi = true,
                    b"DISCARD" => {
                        in_multi = false;
                        queued.clear();
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(
        ran.next().is_none(),
        "client {} ran what it did not send",
        player.id.0
    );
}

fn history(player: &Player, all: &[Seen]) -> String {
    let words = |words: &Vec<Vec<u8>>| {
        words
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned() + " ")
            .collect::<String>()
    };
    let sent: String = player.sent.iter().map(|sent| words(sent) + "\n").collect();
    let ran: String = all
        .iter()
        .filter(|seen| seen.client == player.id.0)
        .map(|seen| show(seen) + "\n")
        .collect();
    format!("\nsent:\n{sent}\nran:\n{ran}")
}

/// What a client received is its replies, in order, with its +QUEUED between them.
fn check_received(player: &Player, replies: &[Vec<u8>]) {
    let received: Vec<u8> = without(&player.received, b"+QUEUED\r\n");
    let expected: Vec<u8> = replies.concat();
    if player.alive {
        assert_eq!(
            String::from_utf8_lossy(&received),
            String::from_utf8_lossy(&expected),
            "client {}",
            player.id.0
        );
    } else {
        assert!(
            expected.starts_with(&received),
            "client {} (gone)",
            player.id.0
        );
    }
}

fn without(bytes: &[u8], what: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(what) {
            at += what.len();
        } else {
            rest.push(bytes[at]);
            at += 1;
        }
    }
    rest
}

/// The messages a subscriber received, in order.
fn messages(received: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(received);
    let mut found = Vec::new();
    let mut rest = &*text;
    while let Some(at) = rest.find("$7\r\nmessage\r\n") {
        rest = &rest[at + 13..];
        // $3 chN $n payload
        let mut lines = rest.split("\r\n");
        let payload = lines.nth(3).unwrap_or_default();
        found.push(payload.as_bytes().to_vec());
    }
    found
}

fn run(seed: u64) -> usize {
    let mut world = World::new(seed);
    for _ in 0..400 + world.random.below(1200) {
        world.step();
    }
    world.settle();
    let seen = world.notes.lock().unwrap().clone();
    let (model, replies) = check_against_model(&seen);
    for player in &world.players {
        check_program_order(player, &seen);
        let own = replies.get(&player.id.0).cloned().unwrap_or_default();
        if player.subscriber {
            let got = messages(&player.received);
            let due: Vec<_> = model
                .published
                .iter()
                .filter(|(_, to)| to.contains(&player.id.0))
                .map(|(m, _)| m.clone())
                .collect();
            if player.alive {
                // A subscription that ended may have been overtaken by a message on its way: nothing else may differ.
                assert!(
                    is_subsequence(&got, &due),
                    "messages of client {}: {got:?} of {due:?}",
                    player.id.0
                );
            }
        } else {
            check_received(player, &own);
        }
    }
    for shard in &world.shards {
        assert!(shard.is_idle(), "shard {} is not at rest", shard.id().0);
    }
    if world.shards.len() > 1 {
        assert!(world.mail.1.are_at_rest(), "a keyspace is not in its berth");
    }
    let blocked: HashSet<u64> = model.waiting.iter().map(|waiting| waiting.client).collect();
    for player in world.players.iter().filter(|player| player.alive) {
        let handle = world.shared.clients.get(player.id).expect("registered");
        if !handle.is_blocked() {
            let left = handle.query_bytes.load(Ordering::Relaxed);
            assert_eq!(left, 0, "client {} was forgotten with input", player.id.0);
        }
        assert_eq!(
            handle.is_blocked(),
            blocked.contains(&player.id.0),
            "client {}",
            player.id.0
        );
    }
    EXECUTIONS.fetch_add(seen.len() as u64, Ordering::Relaxed);
    world.migrations
}

/// Executions of all seeds, to know that something was checked.
static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

fn is_subsequence(part: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|item| whole.any(|other| other == item))
}

#[test]
fn shards_behave_as_one_sequential_server_whatever_the_delays() {
    if let Ok(seed) = std::env::var("MILLRACE_SEED") {
        run(seed.parse().unwrap());
        return;
    }
    let seeds: u64 = std::env::var("MILLRACE_SEEDS").map_or(10_000, |seeds| seeds.parse().unwrap());
    let failed = Mutex::new(None);
    let migrations = AtomicU64::new(0);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while failed.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    match std::panic::catch_unwind(|| run(seed)) {
                        Ok(moved) => {
                            migrations.fetch_add(moved as u64, Ordering::Relaxed);
                        }
                        Err(_) => *failed.lock().unwrap() = Some(seed),
                    }
                }
            });
        }
    });
    if let Some(seed) = *failed.lock().unwrap() {
        panic!("seed {seed} failed; replay it with MILLRACE_SEED={seed}");
    }
    let executions = EXECUTIONS.load(Ordering::Relaxed);
    eprintln!(
        "{seeds} seeds, {executions} executions, {} migrations",
        migrations.load(Ordering::Relaxed)
    );
    assert!(
        executions > 100 * seeds,
        "too little happened: {executions}"
    );
    if seeds >= 1000 {
        assert!(
            migrations.load(Ordering::Relaxed) > seeds / 10,
            "connections hardly ever moved: {migrations:?}"
        );
    }
}
