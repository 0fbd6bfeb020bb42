//! What is between the shards of the simulation: mailboxes, berths, one clock.

use super::*;

/// Mailboxes as lists: one FIFO for each shard, delivered when the seed says so.
pub(crate) struct Mail {
    pub(crate) boxes: Mutex<Vec<VecDeque<Message>>>,
    pub(crate) berths: Berths<Box<Keyspace>>,
    /// Who was sent something by a shard and not woken since: each of them sleeps, for all the sender knows.
    asleep: Mutex<ShardSet>,
    /// How often a shard has asked whether others have something to read first, and how far they are.
    asked: AtomicU64,
    /// A thread to which somebody sends without end, and how many rounds it has begun: instead of chance.
    pub(crate) flooded: Mutex<Option<(ShardId, u64)>>,
}

impl Mail {
    pub(crate) fn new(shard_count: usize) -> Self {
        Self {
            boxes: Mutex::new((0..shard_count).map(|_| VecDeque::new()).collect()),
            berths: Berths::new(shard_count),
            asleep: Mutex::new(ShardSet::EMPTY),
            asked: AtomicU64::new(0),
            flooded: Mutex::new(None),
        }
    }

    /// Puts a message of nobody's into a mailbox.
    pub(crate) fn push(&self, to: ShardId, message: Message) {
        self.boxes.lock().unwrap()[to.index()].push_back(message);
    }

    /// A shard has ended its turn: whom it has sent something it has woken.
    pub(crate) fn expect_all_awake(&self) {
        let asleep = *self.asleep.lock().unwrap();
        assert!(asleep.is_empty(), "nobody has woken {asleep:?}");
    }
}

impl Post for Mail {
    fn send(&self, to: ShardId, message: Message) -> bool {
        self.push(to, message);
        self.asleep.lock().unwrap().insert(to);
        true
    }

    fn send_ordered(&self, messages: Vec<(ShardId, Message)>) -> ShardSet {
        let mut sleeping = ShardSet::EMPTY;
        for (to, message) in messages {
            self.send(to, message);
            sleeping.insert(to);
        }
        sleeping
    }

    fn wake(&self, threads: ShardSet) {
        let mut asleep = self.asleep.lock().unwrap();
        threads.iter().for_each(|thread| asleep.remove(thread));
    }

    fn receive_all(&self, at: ShardId) -> VecDeque<Message> {
        std::mem::take(&mut self.boxes.lock().unwrap()[at.index()])
    }

    fn has_mail(&self, at: ShardId) -> bool {
        !self.boxes.lock().unwrap()[at.index()].is_empty()
    }

    /// Now and then the others: they have read it when this one looks again.
    fn outstanding(&self, at: ShardId) -> ShardSet {
        if let Some((thread, _)) = *self.flooded.lock().unwrap() {
            return ShardSet::one(thread);
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 != 0 {
            return ShardSet::EMPTY;
        }
        let mut others = ShardSet::all(self.boxes.lock().unwrap().len());
        others.remove(at);
        others
    }

    fn ask_to_tell(&self, at: ShardId, threads: ShardSet) {
        if self.flooded.lock().unwrap().is_some() {
            return;
        }
        for _ in threads.iter().filter(|thread| *thread != at) {
            self.push(at, Message::CaughtUp);
        }
    }

    fn rounds(&self, _at: ShardId) -> u64 {
        if let Some((_, rounds)) = *self.flooded.lock().unwrap() {
            return rounds;
        }
        self.asked.fetch_add(1, Ordering::Relaxed)
    }

    fn berths(&self) -> &Berths<Box<Keyspace>> {
        &self.berths
    }
}

/// Time that passes when the seed says so.
pub(crate) struct SimulatedClock(pub(crate) AtomicU64);

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
