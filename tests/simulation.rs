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

#[path = "simulation/behind.rs"]
mod behind;
#[path = "simulation/cases.rs"]
mod cases;
#[path = "simulation/checks.rs"]
mod checks;
#[path = "simulation/commands.rs"]
mod commands;
#[path = "simulation/disk.rs"]
mod disk;
#[path = "simulation/held.rs"]
mod held;
#[path = "simulation/lives.rs"]
mod lives;
#[path = "simulation/mail.rs"]
mod mail;
#[path = "simulation/model.rs"]
mod model;
#[path = "simulation/moves.rs"]
mod moves;
#[path = "simulation/order.rs"]
mod order;
#[path = "simulation/outputs.rs"]
mod outputs;
#[path = "simulation/scores.rs"]
mod scores;
#[path = "simulation/seeds.rs"]
mod seeds;
#[path = "simulation/start.rs"]
mod start;
#[path = "simulation/stepped.rs"]
mod stepped;
#[path = "simulation/stop.rs"]
mod stop;
#[path = "simulation/streams.rs"]
mod streams;
#[path = "simulation/units.rs"]
mod units;
#[path = "simulation/waits.rs"]
mod waits;

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
use millrace::shard::output::{Sent, Written};
use millrace::shard::{Event, Shard};

use checks::{check_against_model, check_program_order, check_received, is_subsequence, messages};
use commands::{bulk, request};
use mail::{Mail, SimulatedClock};
use model::Model;

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
    /// The test sends for it what it is to send.
    is_told: bool,
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
    /// Whether clients watch keys.
    watches: bool,
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
        // Where there is a log.
        let words = ["--save", "", "--appendfsync", "always"];
        let clock = Arc::new(SimulatedClock(AtomicU64::new(1_000_000)));
        let mut world = Self::without_shards(random, shard_count, &words, clock);
        let hasher = hashbrown::DefaultHashBuilder::default();
        let shards = (0..shard_count).map(|number| {
            let post: Arc<dyn Post> = Arc::clone(&world.mail) as Arc<dyn Post>;
            let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as Arc<dyn Clock>;
            let id = ShardId(number as u16);
            Shard::new(id, Arc::clone(&world.shared), post, clock, hasher.clone())
        });
        world.shards = shards.collect();
        world
    }

    /// A world whose shards come later.
    fn without_shards(
        random: Random,
        shard_count: usize,
        words: &[&str],
        clock: Arc<SimulatedClock>,
    ) -> Self {
        let count = shard_count.to_string();
        let words = [&["--shards", &count], words].concat();
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let configuration = Configuration::load(&words, &mut std::io::empty()).unwrap();
        let settings = configuration.settings();
        let shared = Arc::new(share(configuration, settings, clock.now_ms()));
        let notes = Arc::new(Mutex::new(Vec::new()));
        assert!(
            shared
                .witness
                .set(Box::new(Notes(Arc::clone(&notes))))
                .is_ok()
        );
        Self {
            random,
            clock,
            mail: Arc::new(Mail::new(shard_count)),
            shards: Vec::new(),
            shared,
            players: Vec::new(),
            notes,
            unique: 0,
            migrations: 0,
            leaving: vec![Vec::new(); shard_count],
            held: Vec::new(),
            watches: true,
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
        )
        .unwrap();
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
            is_told: false,
            in_flight: Vec::new(),
            focus: None,
        });
    }

    /// One step of the world.
    fn step(&mut self) {
        match self.random.below(100) {
            0..25 => {
                let player = self.random.below(self.players.len());
                if self.players[player].alive && !self.players[player].is_told {
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
                self.work(shard);
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
                if self.players[player].alive && !self.players[player].is_told {
                    let (id, shard) = (self.players[player].id, self.players[player].shard);
                    self.shards[shard].handle(Event::Lost(id));
                    self.note_gone(player);
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

    /// The connection of a player has ended.
    fn note_gone(&mut self, player: usize) {
        self.players[player].alive = false;
        self.notes.lock().unwrap().push(Seen {
            client: self.players[player].id.0,
            execution: Execution::Command,
            words: vec![GONE.into()],
            reply: Vec::new(),
        });
    }

    /// A shard does what it can; whether more is left.
    fn work(&mut self, shard: usize) -> bool {
        let more = self.shards[shard].work();
        self.mail.expect_all_awake();
        self.follow();
        more
    }

    /// Bytes reach the shard, which may not want them yet.
    fn feed(&mut self, player: usize, count: usize) {
        let Player {
            id, shard, alive, ..
        } = self.players[player];
        if alive && self.shards[shard].wants_input(id) && self.clients_of(shard).contains(&id) {
            let bytes: Vec<u8> = self.players[player].in_flight.drain(..count).collect();
            self.shards[shard].handle(Event::Input(id, &bytes));
            self.mail.expect_all_awake();
        }
    }

    /// Somebody takes keyspaces, if they are to be had.
    fn hold(&mut self) {
        let mut shards = ShardSet::EMPTY;
        for _ in 0..1 + self.random.below(3) {
            shards.insert(ShardId(self.random.below(self.shards.len()) as u16));
        }
        if let Some(taken) = self.mail.berths.take(shards, self.clock.nanoseconds()) {
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
            let now_ns = || self.clock.nanoseconds();
            let put = self
                .mail
                .berths
                .put(shard, keyspace, u64::MAX, false, now_ns);
            if let Some(thread) = put.offer {
                self.mail.push(thread, Message::Offer);
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
        let message = self.mail.boxes.lock().unwrap()[shard].pop_front();
        let Some(message) = message else { return false };
        self.shards[shard].handle(Event::Message(message));
        self.mail.expect_all_awake();
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
                    Some(Ok(Written::sent(bytes.len())))
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
        self.shards[shard].sockets_are_closed();
        // As the thread does it: first the socket's task ends, later the client leaves; anything may happen between.
        for (id, target) in std::mem::take(&mut self.leaving[shard]) {
            if self.shards[shard].depart(id, target, None) {
                self.migrations += 1;
            }
        }
        let departing = self.shards[shard].take_departing();
        self.leaving[shard].extend(departing);
        // What the thread does before it sleeps.
        self.shards[shard].ring_others();
        self.mail.expect_all_awake();
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
                moved |= self.work(shard) || !self.shards[shard].is_idle();
                self.flush(shard);
                moved |= !self.leaving[shard].is_empty();
            }
            let has_mail = self
                .mail
                .boxes
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
        assert!(
            world.mail.berths.are_at_rest(),
            "a keyspace is not in its berth"
        );
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

#[test]
fn shards_behave_as_one_sequential_server_whatever_the_delays() {
    let migrations = AtomicU64::new(0);
    let seeds = seeds::run_all(10_000, |seed| {
        migrations.fetch_add(run(seed) as u64, Ordering::Relaxed);
    });
    if seeds == 0 {
        return;
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
