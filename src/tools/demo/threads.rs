//! Producer, collector and reclaimer: threads of the demo, each with its own connection.
//!
//! Invariants: the producer never has more than [`WINDOW`] entries from the oldest unfinished one
//! to the newest, and `XADD … MAXLEN ~ WINDOW` keeps at least the newest WINDOW entries: so no
//! entry is trimmed that still has to be worked on, however long its worker has been dead. It
//! notes the IDs while it holds the ledger's lock from before the XADD, so a result cannot be
//! looked up before its entry was noted.
//!
//! When only few numbers are left and no worker was killed yet, the producer sends each of them when
//! the one before was taken: a server serves waiting readers in turn, so the worker that is to be
//! killed gets its share, however much faster the others are.
//!
//! An error of a thread is kept for the main thread and ends all of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use redis::Value;
use redis::streams::StreamReadReply;

use super::ledger::{Ledger, entry_id};
use super::{COLLECTOR, HELD_MIN, RESULT, SOURCE, WORKERS};
use crate::cli::{DemoArguments, ReclaimArguments, ServerAddress};
use crate::tools::connect;
use crate::tools::reclaim::Reclaimer;

/// Entries of the source stream that are kept; the back-pressure of the producer.
const WINDOW: u64 = 5_000;
/// Numbers sent in one round trip.
const BATCH_MAX: u64 = 200;
/// Numbers for each worker that are sent one by one while no worker was killed: several times what
/// the one that is to be killed has to hold.
const NUMBERS_KEPT_BACK: u64 = 4 * HELD_MIN as u64;
/// Numbers are below this, so a square fits 64 bits by far.
const NUMBER_LIMIT: u64 = 1_000_000;
/// A worker not heard of for this long is dead to the reclaimer; workers ask five times as often.
const MIN_IDLE: Duration = Duration::from_secs(2);
/// Time between two passes of the reclaimer.
const PASS_INTERVAL: Duration = Duration::from_millis(300);

/// What the threads share.
pub(super) struct Shared {
    client: redis::Client,
    ledger: Mutex<Ledger>,
    error: Mutex<Option<anyhow::Error>>,
    /// Entries handed to living workers.
    pub(super) reclaimed: AtomicU64,
    /// Set when a worker was killed.
    pub(super) has_killed: AtomicBool,
    /// Entries pending for the worker that is to be killed, as seen last.
    pub(super) held_by_victim: AtomicU64,
    /// Set when the threads shall end.
    pub(super) over: AtomicBool,
}

impl Shared {
    pub(super) fn new(client: redis::Client) -> Shared {
        Shared {
            client,
            ledger: Mutex::default(),
            error: Mutex::default(),
            reclaimed: AtomicU64::new(0),
            has_killed: AtomicBool::new(false),
            held_by_victim: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error that a thread ended with.
    pub(super) fn take_error(&self) -> Option<anyhow::Error> {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Runs a thread's work and keeps its error.
    pub(super) fn run(&self, name: &str, work: impl FnOnce() -> anyhow::Result<()>) {
        if let Err(error) = work() {
            let mut kept = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get_or_insert(error.context(format!("the {name} failed")));
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Sends random numbers at the rate asked for, never too far ahead of the results.
pub(super) fn produce(shared: &Shared, arguments: &DemoArguments) -> anyhow::Result<()> {
    let mut connection = connect::connect(&shared.client)?;
    let mut random = Random::new();
    let started = Instant::now();
    while !shared.is_over() {
        let mut ledger = shared.ledger();
        let sent = ledger.sent();
        if sent == arguments.messages {
            return Ok(());
        }
        let due = match arguments.rate {
            0 => arguments.messages,
            rate => {
                let due = u128::from(rate) * started.elapsed().as_millis() / 1_000;
                u64::try_from(due)
                    .unwrap_or(u64::MAX)
                    .min(arguments.messages)
            }
        };
        let mut batch = due
            .saturating_sub(sent)
            .min(WINDOW - ledger.span())
            .min(BATCH_MAX);
        if !shared.has_killed.load(Ordering::Relaxed) {
            let taken = ledger.processed() + shared.held_by_victim.load(Ordering::Relaxed);
            let few = NUMBERS_KEPT_BACK * arguments.workers;
            batch = match arguments.messages.saturating_sub(few).saturating_sub(sent) {
                0 if taken < sent => 0,
                0 => batch.min(1),
                unhurried => batch.min(unhurried),
            };
        }
        if batch > 0 {
            let numbers: Vec<u64> = (0..batch).map(|_| random.next() % NUMBER_LIMIT).collect();
            let mut pipeline = redis::pipe();
            for number in &numbers {
                let add = pipeline
                    .cmd("XADD")
                    .arg(SOURCE)
                    .arg("MAXLEN")
                    .arg("~")
                    .arg(WINDOW);
                add.arg("*").arg("number").arg(number);
            }
            let ids: Vec<String> = pipeline.query(&mut connection)?;
            for (id, number) in ids.iter().zip(&numbers) {
                ledger.note_sent(entry_id(id).context("XADD answered no ID")?, *number);
            }
        }
        drop(ledger);
        std::thread::sleep(Duration::from_millis(if batch == BATCH_MAX {
            0
        } else {
            5
        }));
    }
    Ok(())
}

/// Takes results and adds them up.
pub(super) fn collect(shared: &Shared) -> anyhow::Result<()> {
    let mut connection = connect::connect(&shared.client)?;
    while !shared.is_over() {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(COLLECTOR)
            .arg("collector-1")
            .arg("COUNT")
            .arg(500);
        read.arg("BLOCK")
            .arg(200)
            .arg("STREAMS")
            .arg(RESULT)
            .arg(">");
        let reply: Option<StreamReadReply> = read.query(&mut connection)?;
        let Some(stream) = reply.and_then(|reply| reply.keys.into_iter().next()) else {
            continue;
        };
        let mut ids: Vec<String> = Vec::with_capacity(stream.ids.len());
        let mut ledger = shared.ledger();
        for entry in stream.ids {
            let source = entry.get::<String>("source").as_deref().and_then(entry_id);
            let square = entry.get::<u64>("square");
            let (Some(source), Some(square)) = (source, square) else {
                bail!("{} of {RESULT} is no result", entry.id);
            };
            ledger.note_result(source, square);
            ids.push(entry.id);
        }
        drop(ledger);
        // Deleted as well: nothing bounds this stream, for its writers do not know how far we are.
        let mut pipeline = redis::pipe();
        pipeline
            .atomic()
            .cmd("XACK")
            .arg(RESULT)
            .arg(COLLECTOR)
            .arg(&ids);
        pipeline
            .cmd("XDEL")
            .arg(RESULT)
            .arg(&ids)
            .query::<Vec<Value>>(&mut connection)?;
    }
    Ok(())
}

/// Makes passes as `millrace reclaim --every` does.
pub(super) fn reclaim(shared: &Shared) -> anyhow::Result<()> {
    let mut connection = connect::connect(&shared.client)?;
    let mut reclaimer = Reclaimer::new(&ReclaimArguments {
        server: ServerAddress::default(),
        streams: vec![SOURCE.to_owned()],
        group: WORKERS.to_owned(),
        min_idle: MIN_IDLE,
        to: None,
        create: false,
        quiet: false,
        max_deliveries: None,
        dead_letter: None,
        delete: false,
        drop_idle_consumers: None,
        count: 100,
        every: None,
        dry_run: false,
        json: false,
    });
    while !shared.is_over() {
        let report = reclaimer.pass(&mut connection);
        shared
            .reclaimed
            .fetch_add(report.handed_on(), Ordering::Relaxed);
        if let Some(error) = report.errors().next() {
            bail!(error.to_owned());
        }
        std::thread::sleep(PASS_INTERVAL);
    }
    Ok(())
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): numbers
/// that differ from run to run, nothing more.
struct Random(u64);

impl Random {
    fn new() -> Random {
        use std::hash::{BuildHasher, RandomState};
        Random(RandomState::new().hash_one(std::process::id()))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
