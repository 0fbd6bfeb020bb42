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

use millrace::journal::log::Log;
use millrace::journal::storage::memory::{Call, Fault, MemoryStorage};
use millrace::journal::target::Syncing;

use super::commands::request;
use super::start::Setup;
use super::stepped::SteppedStorage;
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
pub(crate) fn let_others_work(most: usize) {
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
    /// While the log was in trouble, when only one's own writes are held back: by player, from where to where of what was received.
    pub(crate) in_trouble: HashMap<u64, Vec<(usize, usize)>>,
    /// A log was written that was off: as in Redis, who switches it on at the next start gets what it had then.
    pub(crate) has_old_log: bool,
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
    trouble: Trouble,
}

/// What is needed to see when the log is in trouble.
struct Trouble {
    /// Calls that have failed so far.
    failures: Arc<AtomicU64>,
    failures_before: u64,
    was_there: bool,
    /// By player, what it had received.
    received_before: HashMap<u64, usize>,
}

impl Others {
    pub(crate) fn new(
        mut world: World,
        log: Arc<Log>,
        disk: &SteppedStorage,
        setup: &Setup,
    ) -> Self {
        let operator = world.players.len();
        world.connect(false);
        world.players[operator].is_told = true;
        world.watches = false;
        let operators = HashSet::from([world.players[operator].id.0]);
        if world.random.one_in(2) {
            // A quick disk: shards sync by themselves.
            (0..2000).for_each(|_| log.note_sync_took(0));
        }
        Self {
            world,
            log,
            disk: disk.disk.clone(),
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
            trouble: Trouble {
                failures: Arc::clone(&disk.failures),
                failures_before: 0,
                was_there: false,
                received_before: HashMap::new(),
            },
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
        self.note_trouble();
        self.note_position();
        self.hear_operator();
        self.note_closed();
        if self.fault_in != usize::MAX {
            self.disturb();
        }
    }

    /// What was received since the last call, when the log was in trouble meanwhile.
    pub(crate) fn note_trouble(&mut self) {
        let trouble = &mut self.trouble;
        let failures = trouble.failures.load(Ordering::Relaxed);
        let is_there = self.log.is_in_trouble();
        let was_there = trouble.was_there || failures != trouble.failures_before;
        trouble.failures_before = failures;
        trouble.was_there = is_there;
        for player in &self.world.players {
            let received = player.received.len();
            let before = trouble.received_before.insert(player.id.0, received);
            if (is_there || was_there) && before != Some(received) {
                let ranges = self.promise.in_trouble.entry(player.id.0).or_default();
                ranges.push((before.unwrap_or(0), received));
            }
        }
    }

    /// The machine is off: so that the saver does not try for ever.
    fn see_that_it_ends(&mut self) {
        // It may have been asked before, and could not.
        if !self.is_ending || self.world.random.one_in(500) {
            self.is_ending = true;
            millrace::server::stepped::ask_to_end(&self.world.shared, true);
        }
    }

    /// A third of what the thread that syncs does.
    pub(crate) fn sync_step(&mut self) {
        match self.syncing.take() {
            None => {
                // It wakes when it is asked to, and at the end of each period.
                if !self.log.take_wanted() && !self.world.random.one_in(8) {
                    return;
                }
                self.log.write();
                if !self.log.rests() || self.world.random.one_in(8) {
                    self.syncing = self.log.begin_sync().ok().map(|syncing| (syncing, None));
                }
            }
            Some((syncing, None)) => {
                let result = syncing.run();
                self.syncing = Some((syncing, Some(result)));
            }
            Some((syncing, Some(result))) => {
                // Now and then it took long: whoever writes does not sync then.
                let took_ns = if self.world.random.one_in(20) {
                    u64::MAX
                } else {
                    0
                };
                self.log.note_sync_took(took_ns);
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
            3 if !self.has_log => {
                self.promise.has_old_log = true;
                Ask::Rewrite
            }
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
            self.note(format!("capacity {capacity:?}"));
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
        self.note(format!("{fault:?} at {call:?} {nth}"));
        self.disk.plan(call, nth, fault);
    }

    fn note(&mut self, what: String) {
        let executions = self.executions();
        let what = format!("{executions}: {what}");
        seeds::tell(|| format!("{what}, {:?}", self.log));
        self.history.push(what);
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
            self.note_trouble();
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
            // The last write may have met a fault that was planned before.
            None => return !self.log.is_in_trouble(),
            Some(_) => {}
        }
        false
    }
}
