//! A whole server on a disk in memory: its saver has the thread, and whatever the saver waits for, all others work inside of that.
//!
//! ```text
//! saver's turn ──► waits for pieces, sleeps ──┐
//!              ──► a call of the storage ─────┴──► the others: shards, clients, the thread that syncs, time, faults
//! any call of the storage ──► perhaps the last one: the machine is off
//! ```
//! So the saver's steps lie between those of the others in every order that its calls allow. What holds a lock of the log lets
//! nobody work: the write of a buffer is one step.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use millrace::journal::log::Log;
use millrace::journal::storage::memory::{Call, Fault, MemoryStorage};
use millrace::journal::storage::{
    CrashPoint, DirectoryLock, Entry, Opening, ReadSeek, Storage, StorageFile,
};
use millrace::journal::target::Syncing;
use millrace::server::stepped::Surroundings;

use super::commands::request;
use super::start::Setup;
use super::*;

thread_local! {
    /// The others, while the saver has the thread.
    static OTHERS: RefCell<Option<Others>> = const { RefCell::new(None) };
}

/// Lets the others have the thread until the saver is at rest for good.
pub(crate) fn put_others(others: Others) {
    OTHERS.with(|place| place.replace(Some(others)));
}

/// Ends that.
pub(crate) fn take_others() -> Others {
    let others = OTHERS.with(|place| place.take());
    others.expect("they were put there")
}

/// The others work a few steps, unless they are at it.
fn let_others_work(most: usize) {
    OTHERS.with(|place| {
        if let Ok(mut place) = place.try_borrow_mut()
            && let Some(others) = place.as_mut()
        {
            for _ in 0..others.world.random.below(most + 1) {
                others.step();
            }
        }
    });
}

/// A disk that stops at some call, and lets the others work between calls of the saver.
#[derive(Clone)]
pub(crate) struct SteppedStorage {
    pub(crate) disk: MemoryStorage,
    /// Calls that are still answered.
    pub(crate) calls_left: Arc<AtomicI64>,
}

impl SteppedStorage {
    pub(crate) fn new(disk: MemoryStorage, calls_left: i64) -> Self {
        let calls_left = Arc::new(AtomicI64::new(calls_left));
        Self { disk, calls_left }
    }

    /// A call, which may be the last: by its number it is done or not.
    fn call<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let left = self.calls_left.fetch_sub(1, Ordering::Relaxed);
        if left == 1 {
            self.disk.switch_off();
        }
        let result = call();
        if left == 0 {
            self.disk.switch_off();
        }
        result
    }

    fn turn<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let_others_work(3);
        self.call(call)
    }
}

impl Storage for SteppedStorage {
    fn open_write(&self, path: &Path, how: Opening) -> io::Result<Box<dyn StorageFile>> {
        let file = self.turn(|| self.disk.open_write(path, how))?;
        let storage = self.clone();
        Ok(Box::new(SteppedFile { storage, file }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>> {
        self.turn(|| self.disk.open_read(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.turn(|| self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.turn(|| self.disk.remove(path))
    }

    fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        self.turn(|| self.disk.size(path))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        self.turn(|| self.disk.list(directory))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.turn(|| self.disk.create_dir(path))
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.turn(|| self.disk.sync_dir(directory))
    }

    fn lock_dir(&self, directory: &Path) -> io::Result<Box<dyn DirectoryLock>> {
        self.turn(|| self.disk.lock_dir(directory))
    }

    fn reach(&self, point: CrashPoint) -> io::Result<()> {
        // There a lock of the log is held.
        if !matches!(point, CrashPoint::AfterLogWrite | CrashPoint::AfterLogFill) {
            let_others_work(3);
        }
        self.disk.reach(point)
    }

    fn minds_points(&self) -> bool {
        true
    }
}

struct SteppedFile {
    storage: SteppedStorage,
    file: Box<dyn StorageFile>,
}

impl StorageFile for SteppedFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.storage.call(|| self.file.write_at(offset, bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.storage.call(|| self.file.sync_data())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.storage.call(|| self.file.set_len(bytes))
    }

    fn len(&self) -> io::Result<u64> {
        self.storage.call(|| self.file.len())
    }
}

/// The saver's surroundings: one disk, the clock of the simulation, the others.
pub(crate) struct Around {
    pub(crate) storage: SteppedStorage,
    pub(crate) clock: Arc<SimulatedClock>,
}

impl Surroundings for Around {
    fn storage(&self, _: &Path) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.storage.clone()))
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn patience(&self) -> Duration {
        let_others_work(20);
        Duration::ZERO
    }
}

/// Lines of INFO when the log stands, with its base.
const SETTLED: [&str; 4] = [
    "aof_enabled:1",
    "aof_rewrite_in_progress:0",
    "aof_rewrite_scheduled:0",
    "aof_last_bgrewrite_status:ok",
];

/// What the operator asks of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Save,
    SaveInBackground,
    Cancel,
    Rewrite,
    LogOff,
    LogOn,
    Look,
    Probe,
}

impl Ask {
    fn words(self) -> &'static str {
        match self {
            Ask::Save => "SAVE",
            Ask::SaveInBackground => "BGSAVE SCHEDULE",
            Ask::Cancel => "BGSAVE CANCEL",
            Ask::Rewrite => "BGREWRITEAOF",
            Ask::LogOff => "CONFIG SET appendonly no",
            Ask::LogOn => "CONFIG SET appendonly yes",
            Ask::Look => "INFO persistence",
            Ask::Probe => "SET probe 1",
        }
    }
}

/// What is promised about the work of clients, as far as operators have changed that.
#[derive(Debug, Default)]
pub(crate) struct Promise {
    /// Whether what is acknowledged is in the log.
    pub(crate) log_is_on: bool,
    /// The log was switched on, and is promised from when its base stands; how many executions there were.
    switched_on: Option<usize>,
    /// Executions that a dump has, or a base made when the log was switched on.
    pub(crate) executions_saved: usize,
    /// While the log was off: by player, from where to where what was received means nothing.
    pub(crate) means_nothing: Vec<HashMap<u64, (usize, usize)>>,
    /// The server has ended as it was asked to, and nothing has failed.
    pub(crate) has_ended_well: bool,
    /// Everybody alive must have all replies.
    pub(crate) is_complete: bool,
}

/// Everybody but the saver.
pub(crate) struct Others {
    pub(crate) world: World,
    pub(crate) log: Arc<Log>,
    pub(crate) disk: MemoryStorage,
    syncing: Option<(Syncing, Option<io::Result<()>>)>,
    /// The player who is the operator.
    pub(crate) operator: usize,
    /// Those who are or were it.
    pub(crate) operators: HashSet<u64>,
    /// What it has asked, and how many executions there were then.
    asked: Option<(Ask, usize)>,
    pub(crate) promise: Promise,
    /// Positions of the log, and how many bytes each client had received then: what they tell of lies before the position.
    pub(crate) positions: Vec<(u64, Vec<(u64, usize)>)>,
    /// What was done to the server, for who must understand a failure.
    pub(crate) history: Vec<String>,
    /// A fault in so many steps, if any.
    pub(crate) fault_in: usize,
    is_full: bool,
    /// Steps until the power fails.
    pub(crate) steps_left: usize,
    has_log: bool,
    syncs_always: bool,
    /// Whether the operator switches the log off and on.
    pub(crate) switches: bool,
    /// Position up to which the log says it is on disk, while it is on.
    pub(crate) synced: u64,
    /// Nobody begins anything new.
    is_calm: bool,
    /// Whether a write was accepted then.
    is_probed: bool,
    /// Writes are refused until a dump is written, as in Redis: somebody has to ask for one.
    wants_dump: bool,
    /// Whether the log stands.
    is_settled: bool,
    /// Whether the server was asked to end because the machine is off.
    is_ending: bool,
}

impl Others {
    pub(crate) fn new(mut world: World, log: Arc<Log>, disk: MemoryStorage, setup: &Setup) -> Self {
        let operator = world.players.len();
        world.connect(false);
        world.players[operator].is_told = true;
        world.watches = false;
        let operators = HashSet::from([world.players[operator].id.0]);
        Self {
            world,
            log,
            disk,
            syncing: None,
            operator,
            operators,
            asked: None,
            promise: Promise {
                log_is_on: setup.has_log,
                ..Promise::default()
            },
            positions: Vec::new(),
            history: Vec::new(),
            fault_in: usize::MAX,
            is_full: false,
            steps_left: usize::MAX,
            has_log: setup.has_log,
            syncs_always: setup.syncs_always,
            switches: false,
            synced: 0,
            is_calm: false,
            is_probed: false,
            wants_dump: false,
            is_settled: false,
            is_ending: false,
        }
    }

    pub(crate) fn executions(&self) -> usize {
        self.world.notes.lock().unwrap().len()
    }

    /// One of the others does something.
    pub(crate) fn step(&mut self) {
        if self.disk.is_off() {
            self.see_that_it_ends();
        }
        self.steps_left = self.steps_left.saturating_sub(1);
        if self.steps_left == 0 {
            self.disk.switch_off();
        }
        match self.world.random.below(40) {
            0..4 => self.sync_step(),
            4 => self.log.write(),
            5 if self.world.random.one_in(2) => self.operate(),
            6 if self.world.random.one_in(4) => self.pass_time(),
            _ => self.world.step(),
        }
        self.note_position();
        self.hear_operator();
        self.note_closed();
        if self.fault_in != usize::MAX {
            self.disturb();
        }
    }

    /// The machine is off: so that the saver does not try for ever.
    fn see_that_it_ends(&mut self) {
        // It may have been asked before, and could not.
        if !self.is_ending || self.world.random.one_in(500) {
            self.is_ending = true;
            millrace::server::stepped::ask_to_end(&self.world.shared);
        }
    }

    /// A third of what the thread that syncs does.
    pub(crate) fn sync_step(&mut self) {
        match self.syncing.take() {
            None => {
                self.log.write();
                if !self.log.rests() {
                    self.syncing = self.log.begin_sync().ok().map(|syncing| (syncing, None));
                }
            }
            Some((syncing, None)) => {
                let result = syncing.run();
                self.syncing = Some((syncing, Some(result)));
            }
            Some((syncing, Some(result))) => {
                self.log.finish_sync(&syncing, result);
            }
        }
    }

    fn pass_time(&mut self) {
        let ms = self.world.random.below(3000) as u64;
        self.world.clock.sleep(ms);
    }

    /// Now and then: what clients have been told by a position of the log.
    fn note_position(&mut self) {
        if self.promise.log_is_on && self.world.random.one_in(12) {
            let players = self.world.players.iter();
            let told = players.map(|player| (player.id.0, player.received.len()));
            self.positions.push((self.log.end(), told.collect()));
        }
        if self.promise.log_is_on && !self.disk.is_off() {
            self.synced = self.log.durable();
        }
    }

    /// Sends a command of the operator, who waits for the answer before the next.
    fn operate(&mut self) {
        if self.asked.is_some() || self.is_ending || self.is_calm {
            return;
        }
        if self.promise.switched_on.is_some() && self.world.random.one_in(2) {
            self.ask(Ask::Look);
            return;
        }
        let may_switch = self.switches && self.has_log && self.promise.switched_on.is_none();
        let ask = match self.world.random.below(12) {
            0 => Ask::Save,
            1 => Ask::SaveInBackground,
            2 => Ask::Cancel,
            3 if !self.has_log => Ask::Rewrite,
            3..8 if self.has_log => Ask::Rewrite,
            8 | 9 if may_switch && self.promise.log_is_on => Ask::LogOff,
            8..12 if may_switch && !self.promise.log_is_on => Ask::LogOn,
            _ => return,
        };
        self.ask(ask);
    }

    fn ask(&mut self, ask: Ask) {
        let player = self.operator;
        self.asked = Some((ask, self.executions()));
        self.note(format!("{ask:?}"));
        if ask == Ask::LogOff {
            self.promise.log_is_on = false;
            self.promise.switched_on = None;
            let players = self.world.players.iter();
            let from = players.map(|player| (player.id.0, (player.received.len(), usize::MAX)));
            self.promise.means_nothing.push(from.collect());
        }
        let words: Vec<Vec<u8>> = ask.words().split(' ').map(Into::into).collect();
        self.world.players[player].in_flight.extend(request(&words));
        let count = self.world.players[player].in_flight.len();
        self.world.feed(player, count);
    }

    fn hear_operator(&mut self) {
        let received = &mut self.world.players[self.operator].received;
        // What nobody has asked for here is a single case's.
        if received.is_empty() || self.asked.is_none() {
            return;
        }
        let reply = std::mem::take(received);
        let Some((ask, executions)) = self.asked.take() else {
            return;
        };
        let text = String::from_utf8_lossy(&reply);
        let told = match ask {
            Ask::Look => text
                .lines()
                .filter(|line| line.starts_with("aof_l"))
                .collect(),
            _ => text.trim_end().to_owned(),
        };
        self.note(format!("{ask:?} -> {told}"));
        if reply.starts_with(b"-MISCONF Redis is configured to save") {
            self.wants_dump = true;
        }
        if self.disk.is_off() || reply.starts_with(b"-") {
            return;
        }
        match ask {
            Ask::Probe => self.is_probed = true,
            Ask::Save if !self.has_log => self.promise.executions_saved = executions,
            Ask::LogOn if self.syncs_always => self.switched_on(executions),
            Ask::LogOn => self.promise.switched_on = Some(executions),
            Ask::Look => {
                let rests = SETTLED.iter().all(|line| text.contains(line));
                self.is_settled = rests;
                if let Some(executions) = self.promise.switched_on.filter(|_| rests) {
                    self.switched_on(executions);
                }
            }
            _ => {}
        }
    }

    /// The log that was switched on after so many executions stands.
    fn switched_on(&mut self, executions: usize) {
        let promise = &mut self.promise;
        promise.log_is_on = true;
        promise.switched_on = None;
        promise.executions_saved = executions;
        if let Some(open) = promise.means_nothing.last_mut() {
            for player in &self.world.players {
                open.entry(player.id.0).or_default().1 = player.received.len();
            }
        }
    }

    /// Players whose connection the server has closed.
    fn note_closed(&mut self) {
        for player in 0..self.world.players.len() {
            let Player { id, alive, .. } = self.world.players[player];
            if alive && self.world.shared.clients.get(id).is_none() {
                self.world.note_gone(player);
                self.world.connect(false);
                if player == self.operator {
                    self.operator = self.world.players.len() - 1;
                    self.world.players[self.operator].is_told = true;
                    self.operators
                        .insert(self.world.players[self.operator].id.0);
                    self.asked = None;
                }
            }
        }
    }

    /// Makes calls fail, the disk full, or empty again.
    fn disturb(&mut self) {
        self.fault_in = self.fault_in.saturating_sub(1);
        if self.fault_in > 0 {
            return;
        }
        let random = &mut self.world.random;
        self.fault_in = 1 + random.below(80);
        if self.is_full || random.one_in(6) {
            self.is_full = !self.is_full;
            let capacity = self.is_full.then(|| random.below(20_000) as u64);
            self.history.push(format!("capacity {capacity:?}"));
            self.disk.set_capacity(capacity);
            return;
        }
        let call = Call::ALL[random.below(Call::ALL.len())];
        let fault = match random.below(5) {
            0 => Fault::NoSpace,
            1 | 2 => Fault::Broken,
            3 => Fault::Interrupted,
            _ => Fault::Short(random.below(40)),
        };
        let nth = 1 + random.below(4) as u64;
        self.history.push(format!("{fault:?} at {call:?} {nth}"));
        self.disk.plan(call, nth, fault);
    }

    fn note(&mut self, what: String) {
        let executions = self.executions();
        self.history.push(format!("{executions}: {what}"));
    }

    /// Nobody begins anything new.
    pub(crate) fn be_calm(&mut self) {
        self.is_calm = true;
    }

    /// Nothing fails any more, and nobody begins anything new.
    pub(crate) fn calm_down(&mut self) {
        self.fault_in = usize::MAX;
        self.steps_left = usize::MAX;
        self.disk.set_capacity(None);
        self.is_calm = true;
        for player in &mut self.world.players {
            player.is_told = true;
        }
    }

    /// Time passes, and everything comes to rest; whether a write was accepted and all is answered.
    pub(crate) fn rest(&mut self) -> bool {
        self.world.clock.sleep(2000);
        for shard in &mut self.world.shards {
            shard.handle(Event::Tick);
        }
        self.note_closed();
        for _ in 0..6 {
            self.sync_step();
            self.world.settle();
            self.note_position();
            self.hear_operator();
        }
        let wants_log =
            self.has_log && (self.promise.log_is_on || self.promise.switched_on.is_some());
        match self.asked {
            // Redis: when a dump could not be written, no write is accepted before one is.
            None if self.wants_dump => {
                self.wants_dump = false;
                self.ask(Ask::Save);
            }
            None if !self.is_probed => self.ask(Ask::Probe),
            None if wants_log && !self.is_settled && self.world.random.one_in(2) => {
                self.ask(Ask::Rewrite);
            }
            None if wants_log && !self.is_settled => self.ask(Ask::Look),
            None => return true,
            Some(_) => {}
        }
        false
    }
}
