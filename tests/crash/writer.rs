//! The writers: threads with a connection each that send pipelines of random depth and note what was answered, until the server
//! is gone or they are told to stop.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::generate::Generator;
use super::history::{Op, Sent};
use super::support::client::encode;
use super::support::{Client, Frame, Outcome, Random};

/// Operations that are sent before their replies are read, at most.
const DEPTH_MAX: usize = 16;
/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// What the threads of a round tell one another.
pub(crate) struct Field {
    /// Whether the writers are to end.
    pub(crate) is_over: AtomicBool,
    /// Whether what is acknowledged is not yet on its way to the disk: the floors hold instead.
    pub(crate) is_loose: AtomicBool,
    /// How many operations of each writer have surely survived while that is so.
    floors: Mutex<Vec<u64>>,
    /// How many each has had acknowledged.
    acknowledged: Vec<AtomicU64>,
    /// How many all of them have.
    total: Mutex<u64>,
    more: Condvar,
}

impl Field {
    /// For so many writers.
    pub(crate) fn new(writers: usize, is_loose: bool) -> Self {
        Self {
            is_over: AtomicBool::new(false),
            is_loose: AtomicBool::new(is_loose),
            floors: Mutex::new(vec![0; writers]),
            acknowledged: (0..writers).map(|_| AtomicU64::new(0)).collect(),
            total: Mutex::new(0),
            more: Condvar::new(),
        }
    }

    /// How many operations of each writer are acknowledged now.
    pub(crate) fn counts(&self) -> Vec<u64> {
        let count = |count: &AtomicU64| count.load(Ordering::SeqCst);
        self.acknowledged.iter().map(count).collect()
    }

    /// These have survived whatever comes.
    pub(crate) fn set_floors(&self, floors: Vec<u64>) {
        *self.floors.lock().unwrap() = floors;
    }

    /// From now on only what is acknowledged so far is sure.
    pub(crate) fn loosen(&self) {
        self.set_floors(self.counts());
        self.is_loose.store(true, Ordering::SeqCst);
    }

    /// How many operations of a writer must have survived, of so many acknowledged.
    pub(crate) fn floor(&self, writer: usize, acknowledged: usize) -> usize {
        match self.is_loose.load(Ordering::SeqCst) {
            true => usize::try_from(self.floors.lock().unwrap()[writer]).unwrap(),
            false => acknowledged,
        }
    }

    fn note(&self, writer: usize) {
        self.acknowledged[writer].fetch_add(1, Ordering::SeqCst);
        *self.total.lock().unwrap() += 1;
        self.more.notify_all();
    }

    /// Waits until so many operations are acknowledged, or so long; how many are.
    pub(crate) fn wait_for(&self, count: u64, time: Duration) -> u64 {
        let total = self.total.lock().unwrap();
        let enough = |total: &mut u64| *total < count;
        *self.more.wait_timeout_while(total, time, enough).unwrap().0
    }
}

fn put(op: &Op, bytes: &mut Vec<u8>) {
    if op.is_transaction {
        encode(&["MULTI"], bytes);
    }
    op.commands.iter().for_each(|words| encode(words, bytes));
    if op.is_transaction {
        encode(&["EXEC"], bytes);
    }
}

/// The reply that says whether an operation had its effect; `None` when the connection has ended before.
fn take(client: &mut Client, op: &Op) -> Option<Frame> {
    let before = if op.is_transaction {
        1 + op.commands.len()
    } else {
        0
    };
    let mut last = None;
    for _ in 0..=before {
        match client.poll(PATIENCE) {
            Outcome::Reply(raw) => last = Some(Frame::parse(&raw)),
            Outcome::Closed => return None,
            Outcome::Quiet => panic!("no reply to {} within {PATIENCE:?}", op.shown()),
        }
    }
    last
}

/// Writes until the server is gone or the round over, and returns everything sent. Starts with `first`.
pub(crate) fn write(
    address: SocketAddr,
    writer: usize,
    field: &Field,
    generator: &mut Generator,
    first: Vec<Op>,
    seed: u64,
) -> Vec<Sent> {
    let mut random = Random::new(seed);
    let mut all: Vec<Sent> = Vec::new();
    let Ok(mut client) = Client::connect(address) else {
        return all;
    };
    let mut next = first;
    while !field.is_over.load(Ordering::SeqCst) || !next.is_empty() {
        let mut bytes = Vec::new();
        let start = all.len();
        for op in std::mem::take(&mut next) {
            put(&op, &mut bytes);
            all.push(Sent {
                op,
                sent_ms: now_ms(),
                answer: None,
            });
        }
        client.send_raw(&bytes);
        for sent in &mut all[start..] {
            let Some(reply) = take(&mut client, &sent.op) else {
                return all;
            };
            generator.note(&sent.op, &reply);
            sent.answer = Some((now_ms(), reply));
            field.note(writer);
        }
        if !field.is_over.load(Ordering::SeqCst) {
            let depth = 1 + random.below(DEPTH_MAX);
            next = (0..depth).map(|_| generator.next()).collect();
        }
    }
    all
}
