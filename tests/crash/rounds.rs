//! Rounds on one directory: write, be killed, start again, compare.
//!
//! ```text
//! start ──► writers, disturber ──► SIGKILL / SIGTERM / both / SHUTDOWN and SIGKILL
//!   ▲                                   │
//!   └── compare everything ◄── start ◄──┴─ (killed while it loads, now and then)
//! ```
//! What a round has left is what the next one begins with; each start may have another number of shards.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::disturb::Disturber;
use super::generate::{ACCOUNTS, Generator, ROUNDS_KEPT, SCRATCH};
use super::groups::Groups;
use super::history::{History, Op, Sent};
use super::model::{Keys, Model, SHARED, Value};
use super::observe::{Observed, everything};
use super::plan::{Kind, Mode, Plan};
use super::process::{Process, Start, copy};
use super::queues::Queues;
use super::support::{Client, Outcome, Random};
use super::transfers;
use super::writer::{Field, now_ms, write};

/// Writers in database 0; one more has two databases of its own.
const WRITERS: usize = 6;
/// Operations after which a round is ended at most, where it is ended by a count.
const OPERATIONS_MAX: usize = 12_000;
/// Operations of a round that is not ended by a kill.
const CALM_OPERATIONS: u64 = 4_000;
/// Shard counts in turn.
const SHARDS: [usize; 5] = [2, 1, 4, 3, 7];

/// How a round's server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// SIGKILL at a random moment.
    Kill,
    /// SIGKILL right after a rewrite or a snapshot was begun.
    KillInRewrite,
    /// SIGTERM, and nothing else.
    Terminate,
    /// SIGTERM, and SIGKILL while it stops.
    KillInTerminate,
    /// SHUTDOWN, and SIGKILL while it stops.
    KillInShutdown,
    /// The writers end first, so that all is acknowledged; then SIGKILL.
    Quiet,
    /// The writers end, the server does not.
    None,
}

/// What rounds have done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Operations acknowledged.
    pub(crate) acknowledged: u64,
    /// Operations without a reply.
    pub(crate) unanswered: u64,
    /// Rounds in which everything acknowledged had to be there.
    pub(crate) whole: u64,
    /// The longest start.
    pub(crate) longest_start: Duration,
}

/// Rounds on one directory.
pub(crate) struct Campaign {
    plan: Plan,
    directory: tempfile::TempDir,
    process: Option<Process>,
    names: Vec<String>,
    models: Vec<Model>,
    /// What each writer sends again, because it does not know what came of it.
    again: Vec<Vec<Op>>,
    queues: Queues,
    groups: Groups,
    round: u64,
    shards: usize,
    random: Random,
    last_start: Duration,
    /// What was done so far.
    pub(crate) totals: Totals,
}

/// What a round sent.
struct Written {
    all: Vec<Vec<Sent>>,
    field: Field,
}

impl Campaign {
    /// On an empty directory.
    pub(crate) fn new(plan: Plan) -> Self {
        let names: Vec<String> = (0..WRITERS)
            .map(|writer| format!("w{writer}"))
            .chain([SCRATCH.to_owned()])
            .collect();
        let directory = tempfile::Builder::new()
            .prefix("millrace-crash-")
            .tempdir()
            .unwrap();
        Self {
            models: vec![Model::default(); names.len()],
            again: vec![Vec::new(); names.len()],
            directory,
            process: None,
            names,
            queues: Queues::default(),
            groups: Groups::new(plan.kind == Kind::Millrace),
            round: 0,
            shards: plan.shards.unwrap_or(SHARDS[0]),
            random: Random::new(plan.seed),
            last_start: Duration::from_millis(50),
            totals: Totals::default(),
            plan,
        }
    }

    /// Where the server writes.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The directory, not to be deleted.
    pub(crate) fn keep(self) -> PathBuf {
        drop(self.process);
        self.directory.keep()
    }

    fn start(&self) -> Start<'_> {
        Start {
            plan: &self.plan,
            shards: self.shards,
            point: None,
        }
    }

    /// Kills the server if it is running.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Has the log rewritten while nobody writes, and ends the server: its base has all. False where there is no log.
    pub(crate) fn rewrite_and_stop(&mut self) -> bool {
        if self.plan.mode == Mode::Rdb || self.plan.kind != Kind::Millrace {
            return false;
        }
        if let Some(process) = self.ready(None).unwrap() {
            self.process = Some(process);
        }
        let mut process = self.process.take().unwrap();
        let mut client = Client::connect(process.address()).unwrap();
        for line in ["BGREWRITEAOF", "INFO persistence"] {
            loop {
                client.send_line(line);
                let Outcome::Reply(reply) = client.poll(Duration::from_secs(60)) else {
                    panic!("no reply to {line}");
                };
                let text = String::from_utf8_lossy(&reply).into_owned();
                let busy = [
                    "rewrite_in_progress:1",
                    "rewrite_scheduled:1",
                    "in progress",
                ];
                if !busy.iter().any(|busy| text.contains(busy)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        process.terminate_and_wait().unwrap();
        true
    }

    /// A round that ends somehow.
    ///
    /// # Errors
    /// What is wrong, a line each.
    pub(crate) fn round(&mut self) -> Result<(), Vec<String>> {
        let ending = match self.random.below(20) {
            0..9 => Ending::Kill,
            9..14 => Ending::KillInRewrite,
            14..16 => Ending::Terminate,
            16..18 => Ending::KillInTerminate,
            _ => Ending::KillInShutdown,
        };
        self.round_with(ending, |_| ())
    }

    /// A round that ends so; `damage` is done to the directory before the server starts again.
    ///
    /// # Errors
    /// What is wrong, a line each.
    pub(crate) fn round_with(
        &mut self,
        ending: Ending,
        damage: impl FnOnce(&Path),
    ) -> Result<(), Vec<String>> {
        let started = self.ready(None).map_err(|error| vec![error])?;
        let mut process = match self.process.take() {
            Some(process) => process,
            None => started.expect("it was started"),
        };
        self.forget_old(&process);
        let written = self.write(&mut process, ending, None);
        let written = written.map_err(|error| vec![format!("{ending:?}: {error}")])?;
        if ending == Ending::None {
            self.process = Some(process);
        } else {
            drop(process);
            damage(self.directory.path());
        }
        self.compare(&written, &format!("{ending:?}"))
    }

    /// A round in which the server kills itself at a named point. Returns whether it came there.
    ///
    /// # Errors
    /// What is wrong, a line each.
    pub(crate) fn round_to(&mut self, point: &str) -> Result<bool, Vec<String>> {
        self.process = None;
        let start = self.ready(Some(point));
        let reached;
        let written = match start {
            Ok(process) => {
                let mut process = process.expect("it was started");
                self.forget_old(&process);
                let written = self.write(&mut process, Ending::Kill, Some(point));
                reached = process.ended().is_some_and(super::process::was_killed);
                written.map_err(|error| vec![format!("{point}: {error}")])?
            }
            // It ended before it was ready.
            Err(error) => {
                reached = error.contains("signal: 9");
                if !reached {
                    return Err(vec![format!("{point}: {error}")]);
                }
                let field = Field::new(self.names.len(), self.plan.mode == Mode::Rdb);
                let all = vec![Vec::new(); self.names.len()];
                Written { all, field }
            }
        };
        self.compare(&written, point).map(|()| reached)
    }

    /// Starts the server unless it is running.
    fn ready(&mut self, point: Option<&str>) -> Result<Option<Process>, String> {
        if self.process.is_some() {
            return Ok(None);
        }
        if self.plan.shards.is_none() {
            let turn = usize::try_from(self.round).unwrap() / 2;
            self.shards = SHARDS[turn % SHARDS.len()];
        }
        let start = Start {
            point,
            ..self.start()
        };
        let process = start.until_ready(self.directory.path())?;
        self.last_start = process.age();
        self.totals.longest_start = self.totals.longest_start.max(self.last_start);
        Ok(Some(process))
    }

    /// Deletes what writers shared some rounds ago.
    fn forget_old(&mut self, process: &Process) {
        let Some(old) = self.round.checked_sub(ROUNDS_KEPT) else {
            return;
        };
        let Ok(mut client) = Client::connect(process.address()) else {
            return;
        };
        let mut line = format!("DEL shared:s{old}");
        for account in 0..ACCOUNTS {
            line.push_str(&format!(" shared:bank{old}:{account}"));
        }
        client.send_line(&line);
        // Or the server is gone: it may kill itself at any point.
        let _ = client.poll(Duration::from_secs(60));
        self.groups.forget(&format!("shared:s{old}"));
    }

    fn generator(&mut self, writer: usize) -> Generator {
        let name = self.names[writer].clone();
        let is_newest = self.plan.kind == Kind::Millrace;
        let seed = self.random.next();
        let mut generator = Generator::new(&name, self.round, seed, is_newest, now_ms());
        let key = format!("shared:s{}", self.round.saturating_sub(1));
        generator.remember(&key, self.groups.pending(&key, &name).into_iter());
        generator
    }

    /// Lets the writers write until the server has ended; with a point, it ends itself or is stopped when all was tried.
    fn write(
        &mut self,
        process: &mut Process,
        ending: Ending,
        point: Option<&str>,
    ) -> Result<Written, String> {
        let field = Field::new(self.names.len(), self.plan.mode == Mode::Rdb);
        let address = process.address();
        let mut generators: Vec<Generator> = (0..self.names.len())
            .map(|writer| self.generator(writer))
            .collect();
        let seeds: Vec<u64> = self.names.iter().map(|_| self.random.next()).collect();
        let again = std::mem::replace(&mut self.again, vec![Vec::new(); self.names.len()]);
        let (mode, is_calm, seed) = (self.plan.mode, self.plan.is_calm, self.random.next());
        let (all, end) = std::thread::scope(|scope| {
            let field = &field;
            let writers = generators.iter_mut().zip(again).zip(&seeds).enumerate();
            let writers: Vec<_> = writers
                .map(|(writer, ((generator, again), seed))| {
                    let first = [again, generator.first()].concat();
                    scope.spawn(move || write(address, writer, field, generator, first, *seed))
                })
                .collect();
            let disturber = scope.spawn(move || {
                let disturber = Disturber::new(address, field, mode, seed);
                let Some(disturber) = disturber.filter(|_| !is_calm) else {
                    return;
                };
                match point {
                    Some(_) => drop(disturber.run_through()),
                    None => disturber.run(),
                }
            });
            let end = match point {
                Some(_) => {
                    disturber.join().unwrap();
                    self.end_after_all(process);
                    Ok(())
                }
                None => self.end(process, field, ending),
            };
            if end.is_err() {
                process.kill();
            }
            field.is_over.store(true, Ordering::SeqCst);
            let all: Vec<_> = writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .collect();
            if ending == Ending::Quiet {
                process.kill();
            }
            (all, end)
        });
        end?;
        Ok(Written { all, field })
    }

    /// The disturber has tried everything: if the server lives it gets SIGTERM, and if that does not end it, SIGKILL.
    fn end_after_all(&self, process: &mut Process) {
        let patience = Duration::from_secs(30);
        if process.wait(Duration::from_millis(200)).is_none() {
            process.terminate();
            if process.wait(patience).is_none() {
                process.kill();
            }
        }
    }

    /// Waits for a random moment and ends the server.
    fn end(&mut self, process: &mut Process, field: &Field, ending: Ending) -> Result<(), String> {
        if matches!(ending, Ending::Quiet | Ending::None) {
            field.wait_for(CALM_OPERATIONS, Duration::from_secs(60));
            return Ok(());
        }
        let longest = usize::try_from(self.plan.time.as_micros()).unwrap();
        let time = Duration::from_micros(self.random.below(longest) as u64);
        match self.random.below(2) {
            0 => field.wait_for(u64::MAX, time),
            _ => field.wait_for(self.random.below(OPERATIONS_MAX) as u64, self.plan.time),
        };
        let moment = Duration::from_micros(self.random.below(20_000) as u64);
        let mut client = Client::connect(process.address()).ok();
        let mut send = |line: &str| {
            if let Some(client) = &mut client {
                client.send_line(line);
            }
        };
        match ending {
            Ending::Quiet | Ending::None | Ending::Kill => {}
            Ending::KillInRewrite => {
                let rewrite = self.plan.mode != Mode::Rdb && self.random.percent(70);
                send(if rewrite { "BGREWRITEAOF" } else { "BGSAVE" });
                field.wait_for(u64::MAX, moment);
            }
            Ending::Terminate => {
                process.terminate_and_wait()?;
                if self.plan.mode == Mode::Rdb {
                    field.set_floors(field.counts());
                }
                return Ok(());
            }
            Ending::KillInTerminate => {
                process.terminate();
                field.wait_for(u64::MAX, moment);
            }
            Ending::KillInShutdown => {
                send(
                    self.random
                        .pick(&["SHUTDOWN", "SHUTDOWN SAVE", "SHUTDOWN NOSAVE"]),
                );
                field.wait_for(u64::MAX, moment);
            }
        }
        process.kill();
        Ok(())
    }

    /// Starts the server again; beside it a copy of the directory that it has started from, where redis-server is to load one.
    fn restarted(&mut self) -> Result<(Process, Option<tempfile::TempDir>), String> {
        // Twice in a row, too.
        for _ in 0..self.random.pick(&[0, 0, 0, 0, 0, 1, 2]) {
            let longest = usize::try_from(self.last_start.as_micros()).unwrap();
            let after = Duration::from_micros(self.random.below(longest + 1) as u64);
            self.start().and_kill(self.directory.path(), after);
        }
        let copied =
            (self.plan.loads_in_redis && self.round.is_multiple_of(5)).then(|| self.copied());
        let process = self.ready(None)?.expect("it was not running");
        Ok((process, copied))
    }

    /// Starts the server again unless it is running, and compares everything.
    fn compare(&mut self, written: &Written, what: &str) -> Result<(), Vec<String>> {
        self.round += 1;
        let stays = self.process.is_some();
        let (process, copied) = match self.process.take() {
            Some(process) => (process, None),
            None => self.restarted().map_err(|error| vec![error])?,
        };
        let observed = everything(&mut Client::connect(process.address()).unwrap());
        let mut complaints = self.check(written, &observed);
        if self.plan.kind == Kind::Millrace {
            complaints.extend(process.leftovers());
        }
        if let Some(copied) = copied {
            complaints.extend(self.differs_in_redis(copied.path(), &observed));
        }
        let tasks = written.all.iter().flatten();
        let acknowledged = tasks.clone().filter(|sent| sent.answer.is_some()).count() as u64;
        self.totals.acknowledged += acknowledged;
        self.totals.unanswered += tasks.count() as u64 - acknowledged;
        let start = format!(
            "round {}, {what}, {} shards, {acknowledged} operations:",
            self.round - 1,
            self.shards
        );
        // Another number of shards needs another start.
        if stays || self.plan.shards.is_some() || self.random.percent(50) {
            self.process = Some(process);
        }
        if complaints.is_empty() {
            return Ok(());
        }
        complaints.insert(0, start);
        Err(complaints)
    }

    fn check(&mut self, written: &Written, observed: &Observed) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut is_whole = true;
        let now_ms = now_ms();
        for (writer, name) in self.names.iter().enumerate() {
            let sent = &written.all[writer];
            let acknowledged = sent.iter().take_while(|sent| sent.answer.is_some()).count();
            let floor = match self.plan.may_lose_acknowledged() {
                true => 0,
                false => written.field.floor(writer, acknowledged),
            };
            is_whole &= floor == acknowledged;
            let history = History {
                name,
                base: &self.models[writer],
                sent,
                floor,
                now_ms,
            };
            match history.check(observed) {
                Ok(model) => self.models[writer] = model,
                Err(more) => complaints.extend(more),
            }
            let is_idempotent = |op: &Op| {
                !op.is_transaction && op.commands[0].get(2).is_some_and(|word| word == "IDMP")
            };
            let unknown = sent.iter().filter(|sent| sent.answer.is_none());
            let unknown = unknown.map(|sent| sent.op.clone()).filter(is_idempotent);
            self.again[writer].extend(unknown);
        }
        self.totals.whole += u64::from(is_whole);
        let all = || written.all.iter().flatten();
        complaints.extend(self.queues.check(all(), observed, is_whole));
        complaints.extend(self.groups.check(all(), observed, is_whole));
        for round in self.round.saturating_sub(ROUNDS_KEPT)..self.round {
            complaints.extend(transfers::check(round, observed));
        }
        complaints.extend(self.strangers(observed));
        complaints
    }

    /// Keys that belong to nobody.
    fn strangers(&self, observed: &Observed) -> Vec<String> {
        let owners: Vec<String> = self.names.iter().map(|name| format!("{name}:")).collect();
        let is_known = |key: &&String| {
            key.starts_with(SHARED) || owners.iter().any(|owner| key.starts_with(owner))
        };
        let keys = observed.values().flat_map(Keys::keys);
        let strangers = keys.filter(|key| !is_known(key)).take(5);
        strangers
            .map(|key| format!("{key} is there and belongs to nobody"))
            .collect()
    }

    fn copied(&self) -> tempfile::TempDir {
        let target = tempfile::tempdir().unwrap();
        copy(self.directory.path(), target.path());
        target
    }

    /// What redis-server makes of a copy of the directory, compared with what was made of it here.
    fn differs_in_redis(&self, directory: &Path, observed: &Observed) -> Vec<String> {
        let plan = Plan {
            kind: Kind::Redis,
            ..self.plan.clone()
        };
        let start = Start {
            plan: &plan,
            shards: 0,
            point: None,
        };
        let process = match start.until_ready(directory) {
            Ok(process) => process,
            Err(error) => return vec![format!("redis-server does not load a copy: {error}")],
        };
        let theirs = everything(&mut Client::connect(process.address()).unwrap());
        let theirs = without_counts(&theirs);
        let mut complaints = Vec::new();
        for (database, keys) in &without_counts(observed) {
            let there = &theirs[database];
            for key in keys.keys().chain(there.keys()) {
                if !key.contains("volatile") && keys.get(key) != there.get(key) {
                    complaints.push(format!(
                        "{key} is {:?} here and {:?} in redis-server",
                        keys.get(key),
                        there.get(key)
                    ));
                }
            }
        }
        complaints.truncate(5);
        complaints
    }
}

/// Without what a log of redis-server does not have: how many entries a group has read.
fn without_counts(observed: &Observed) -> Observed {
    let mut observed = observed.clone();
    for item in observed.values_mut().flat_map(Keys::values_mut) {
        if let Value::Stream(stream) = &mut item.value {
            stream
                .groups
                .values_mut()
                .for_each(|group| group.read = None);
        }
    }
    observed
}
