//! Servers that live on one disk, one after the other: each starts on what the one before has left there, and ends by a crash.
//!
//! ```text
//! start (perhaps several: the power fails within it, calls fail) ─► compare ─► clients, saver, faults ─► end ─► start …
//! end: the power fails at some call, at a named point, at some moment · the process is killed there · SHUTDOWN
//! ```
//! Checked at each start: it is not refused. The state is that of a sequential model after some prefix of the work of the life
//! before; a command, an EXEC, the service of one who waited are in it as a whole or not at all. The prefix has all that a client was
//! told of (`appendfsync always`; with another policy where only the process has ended), all that the log had synced, and all that
//! a SAVE, or the base of a log that was switched on, was to have. After a SHUTDOWN it is everything.
//! At the end of the last life, when nothing fails any more, all clients get their replies and a write is accepted.
//!
//! Not here: keys that end, another order of the writes to two files than that of the calls.

use std::sync::atomic::AtomicI64;

use millrace::journal::storage::CrashPoint;
use millrace::journal::storage::memory::MemoryStorage;
use millrace::server::stepped::{Saving, ask_to_end, end};

use super::checks::{Replay, without};
use super::commands::request;
use super::disk::{Others, Promise, put_others, take_others};
use super::start::{Setup, Started, Trouble, differences, read_all, start, sum_of};
use super::stepped::{Around, SteppedStorage};
use super::units::Units;
use super::*;

/// What one life leaves to be checked at the next start.
struct Past {
    /// The data before it.
    before: Model,
    seen: Vec<Seen>,
    /// The work up to this unit must be there, whoever has ended …
    needed: usize,
    /// … and up to that one where only the process has.
    needed_after_kill: usize,
}

/// One seed.
struct Lives {
    random: Random,
    clock: Arc<SimulatedClock>,
    disk: MemoryStorage,
    /// Whether there is a log, where that is settled.
    log: Option<bool>,
    unique: u64,
    /// Whether a power failure came since the last check.
    lost_power: bool,
    past: Past,
    /// Where the power is to fail.
    point: Option<(CrashPoint, u64)>,
    tally: Tally,
    /// What was done, for who must understand a failure.
    history: Vec<String>,
}

/// What has happened, to know that something was tried.
#[derive(Clone, Debug, Default)]
struct Tally {
    lives: usize,
    starts_given_up: usize,
    executions: usize,
    lost: usize,
    points: HashSet<CrashPoint>,
    is_point_met: bool,
}

/// A log as a Redis before 7 left it.
const OLD_LOG: &str = "RPUSH a v0-1 v0-2\nRPUSH b v0-3\nZADD z1 3 m1\nLPUSH a v0-4";

impl Lives {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let disk = MemoryStorage::new();
        let mut before = Model::default();
        let has_old_log = random.one_in(8);
        if has_old_log {
            let mut bytes = Vec::new();
            for line in OLD_LOG.lines() {
                let words: Vec<Vec<u8>> = line.split(' ').map(Into::into).collect();
                bytes.extend(request(&words));
                before.run(0, &words);
            }
            disk.put(std::path::Path::new("appendonly.aof"), &bytes);
        }
        Self {
            random,
            clock: Arc::new(SimulatedClock(AtomicU64::new(1_000_000))),
            disk,
            log: has_old_log.then_some(true),
            unique: 0,
            lost_power: false,
            past: Past {
                before: before.data(),
                seen: Vec::new(),
                needed: 0,
                needed_after_kill: 0,
            },
            point: None,
            tally: Tally::default(),
            history: Vec::new(),
        }
    }

    /// The disk as the next process finds it.
    fn end_of_process(&mut self, is_kill: bool) {
        self.tally.points.extend(self.disk.reached());
        self.lost_power |= !is_kill;
        let how = if is_kill { "killed" } else { "lost power" };
        let is_off = self.disk.is_off();
        self.note(format!(
            "{how}, was off: {is_off}, reached {:?}",
            self.disk.reached().last()
        ));
        self.disk = match is_kill {
            true => self.disk.kill(),
            false => self.disk.crash(self.random.next()),
        };
    }

    fn note(&mut self, what: String) {
        seeds::tell(|| what.clone());
        self.history.push(what);
    }

    fn fork(&mut self) -> Random {
        Random(self.random.next())
    }

    /// Starts until it succeeds.
    fn start(&mut self) -> (Setup, Started) {
        for attempt in 0.. {
            let setup = Setup::random(&mut self.random, self.log);
            let mut trouble = Trouble::None;
            if let Some((point, nth)) = self.point {
                self.disk.stop_at(point, nth);
            } else if attempt < 3 && self.random.one_in(2) {
                trouble = Trouble::random(&mut self.random);
            }
            if setup.has_log {
                self.log = Some(true);
            }
            self.note(format!(
                "start on {} shards: {}; {trouble:?}",
                setup.shard_count,
                setup.words.join(" ")
            ));
            let random = self.fork();
            let started = start(random, &setup, &self.clock, &self.disk, &trouble);
            let is_off = self.disk.is_off();
            self.tally.is_point_met |= is_off && self.point.is_some();
            if self.tally.is_point_met {
                self.point = None;
            }
            if let Err(text) = &started {
                self.note(format!("given up: {text}"));
            }
            match started {
                Ok(started) if !is_off => {
                    if matches!(trouble, Trouble::Calls(_) | Trouble::Point(_)) {
                        // It would have come later.
                        started.calls_left.store(i64::MAX, Ordering::Relaxed);
                        self.disk.stop_at(CrashPoint::AfterReplay, u64::MAX);
                    }
                    return (setup, started);
                }
                Err(refused) if !is_off && !matches!(trouble, Trouble::Fault(..)) => {
                    panic!(
                        "{}\nthe start is refused: {refused}",
                        self.history.join("\n")
                    );
                }
                Ok(_) | Err(_) => {
                    self.tally.starts_given_up += 1;
                    let is_kill = self.random.one_in(2);
                    self.end_of_process(is_kill);
                }
            }
        }
        unreachable!("some attempt has no trouble")
    }

    /// Compares the state with what the life before has left; gives the data for the next, `None` when they are not known exactly.
    fn compare(&mut self, others: &mut Others) -> Option<Model> {
        let values = read_all(others);
        let sum = sum_of(&values);
        let past = &self.past;
        let units = units_of(past, None);
        let needed = match self.lost_power {
            true => past.needed,
            false => past.needed_after_kill,
        };
        let fits = |unit: &usize| units.states[*unit].shown == sum;
        let fitting: Vec<usize> = (0..units.states.len()).filter(fits).collect();
        let Some(&unit) = fitting.last().filter(|unit| **unit >= needed) else {
            let kept = units_of(past, Some(needed)).kept();
            panic!(
                "{}\nthe state is that after {fitting:?} of {} units, {needed} are needed; it differs from that: {}",
                self.history.join("\n"),
                units.count(),
                differences(&values, &kept.unwrap())
            );
        };
        self.tally.lost += units.count() - unit;
        let fitting = fitting.iter().filter(|unit| **unit >= needed);
        let is_known = fitting
            .map(|unit| units.states[*unit].whole)
            .all(|whole| whole == units.states[unit].whole);
        let kept = units_of(past, Some(unit)).kept();
        kept.filter(|_| is_known)
    }

    /// Who connects, what fails, and how the life is to end. Gives whether calls fail, and whether it ends well.
    fn plan(&mut self, others: &mut Others, calls_left: &AtomicI64, is_last: bool) -> (bool, bool) {
        others.world.notes.lock().unwrap().clear();
        others.world.unique = self.unique;
        for _ in 0..2 + self.random.below(4) {
            others.world.connect(false);
        }
        if self.random.one_in(2) {
            others.fault_in = 1 + self.random.below(200);
        }
        others.switches = self.random.one_in(3);
        let has_faults = others.fault_in != usize::MAX;
        let ends_well = is_last || self.random.one_in(6);
        if !ends_well {
            match self.random.below(3) {
                0 => others.steps_left = 1 + self.random.below(900),
                _ => calls_left.store(1 + self.random.below(700) as i64, Ordering::Relaxed),
            }
        }
        if let Some((point, nth)) = self.point {
            self.disk.stop_at(point, nth);
            calls_left.store(i64::MAX, Ordering::Relaxed);
        }
        (has_faults, ends_well)
    }

    /// A life, from its start to its end. `is_last`: all is well at the end.
    fn live(&mut self, is_last: bool) -> bool {
        let (setup, mut started) = self.start();
        self.tally.lives += 1;
        let Some(before) = self.compare(&mut started.others) else {
            return false;
        };
        self.lost_power = false;
        let Started {
            mut others,
            mut saver,
            calls_left,
        } = started;
        let (has_faults, ends_well) = self.plan(&mut others, &calls_left, is_last);
        let turns = 10 + self.random.below(60);
        put_others(others);
        let mut has_ended = false;
        for _ in 0..turns {
            has_ended = saver.turn();
            if has_ended || self.disk.is_off() {
                break;
            }
        }
        let mut others = take_others();
        if has_ended || self.disk.is_off() {
            calls_left.store(i64::MAX, Ordering::Relaxed);
        } else if is_last {
            (others, saver) = self.calm_down(others, saver, &calls_left);
        } else if ends_well {
            others = self.shut_down(others, &mut saver);
            others.promise.has_ended_well &= !has_faults;
        }
        drop(saver);
        self.tally.is_point_met |= self.disk.is_off() && self.point.is_some();
        if self.tally.is_point_met {
            self.point = None;
        }
        self.past = past_of(before, &others, &setup);
        self.note_end(others);
        let is_kill = self.random.one_in(2);
        self.end_of_process(is_kill);
        true
    }

    /// What is left of a life for the history and the next.
    fn note_end(&mut self, mut others: Others) {
        self.unique = others.world.unique;
        if others.promise.has_old_log {
            self.log = Some(false);
        }
        self.history.append(&mut others.history);
        let Past {
            needed,
            needed_after_kill,
            ..
        } = self.past;
        self.note(format!(
            "needed {needed}, after a kill {needed_after_kill}; synced {}",
            others.synced
        ));
        self.tally.executions += self.past.seen.len();
    }

    /// Nothing fails any more: everybody gets what is due, and a write is accepted.
    fn calm_down(
        &mut self,
        mut others: Others,
        mut saver: Saving<Around>,
        calls_left: &AtomicI64,
    ) -> (Others, Saving<Around>) {
        calls_left.store(i64::MAX, Ordering::Relaxed);
        others.calm_down();
        for _ in 0..2000 {
            put_others(others);
            saver.turn();
            others = take_others();
            if others.rest() {
                others.promise.is_complete = true;
                return (others, saver);
            }
        }
        self.history.append(&mut others.history);
        panic!(
            "{}\nnothing can be written though nothing fails any more",
            self.history.join("\n")
        );
    }

    /// SHUTDOWN, or a signal.
    fn shut_down(&mut self, others: Others, saver: &mut Saving<Around>) -> Others {
        ask_to_end(&others.world.shared, false);
        put_others(others);
        // A dump that cannot be written keeps it alive.
        let ends = (0..3).any(|_| saver.turn());
        let mut others = take_others();
        if ends && !self.disk.is_off() {
            others.stop(saver);
            let storage = SteppedStorage::new(self.disk.clone(), i64::MAX);
            end(&storage, &others.log);
            others.promise.has_ended_well = true;
        }
        others
    }
}

impl Others {
    /// All shards end, while the log goes on and the saver turns away.
    pub(crate) fn stop(&mut self, saver: &Saving<Around>) {
        let mut running: Vec<usize> = (0..self.world.shards.len()).collect();
        for shard in &running {
            self.world.mail.push(ShardId(*shard as u16), Message::Stop);
        }
        for round in 0.. {
            if running.is_empty() {
                return;
            }
            assert!(round < 100_000, "shards {running:?} do not end");
            self.sync_step();
            saver.turn_away();
            self.world.clock.sleep(10);
            self.world.put_back();
            running.retain(|&shard| {
                let world = &mut self.world;
                world.deliver(shard);
                world.shards[shard].handle(Event::Tick);
                world.shards[shard].work();
                world.flush(shard);
                !world.drain(shard)
            });
            self.note_trouble();
        }
    }
}

/// The states of a life.
fn units_of(past: &Past, keep_at: Option<usize>) -> Units {
    replay(&past.before, &past.seen, keep_at).units.unwrap()
}

fn replay(before: &Model, seen: &[Seen], keep_at: Option<usize>) -> Replay {
    let mut replay = Replay::counting(before, keep_at);
    for (index, seen) in seen.iter().enumerate() {
        replay.see(index, seen);
    }
    replay
}

/// What a player was told, without what it was refused.
fn told(player: &Player, until: usize) -> Vec<u8> {
    let mut bytes = without(&player.received[..until], b"+QUEUED\r\n");
    for refusal in ["-MISCONF", "-EXECABORT"] {
        let text = bytes.clone();
        let mut rest = &text[..];
        bytes.clear();
        while let Some(at) = rest
            .windows(refusal.len())
            .position(|window| window == refusal.as_bytes())
        {
            bytes.extend_from_slice(&rest[..at]);
            let end = rest[at..].windows(2).position(|two| two == b"\r\n");
            rest = end.map_or(&[], |end| &rest[at + end + 2..]);
        }
        bytes.extend_from_slice(rest);
    }
    bytes
}

/// What is left to be checked of a life.
fn past_of(before: Model, others: &Others, setup: &Setup) -> Past {
    let world = &others.world;
    let all = world.notes.lock().unwrap().clone();
    let mut replay_of = Replay::counting(&before, None);
    // By execution, how many units there are with it.
    let mut units_with = vec![0];
    let mut seen = Vec::new();
    for one in all {
        if !others.operators.contains(&one.client) {
            replay_of.see(seen.len(), &one);
            seen.push(one);
        }
        units_with.push(replay_of.units.as_ref().map_or(0, Units::count));
    }
    let mut needed_after_kill = units_with[others.promise.executions_saved];
    let mut needed = needed_after_kill;
    if setup.has_log {
        for player in &world.players {
            if others.operators.contains(&player.id.0) {
                continue;
            }
            let unit = acknowledged(player, usize::MAX, &replay_of, &others.promise);
            seeds::tell(|| format!("client {} was told of unit {unit}", player.id.0));
            needed_after_kill = needed_after_kill.max(unit);
        }
        if setup.syncs_always {
            needed = needed_after_kill;
        }
        let mut positions = others.positions.iter().rev();
        let told = positions.find(|(position, _)| *position <= others.synced);
        for (id, until) in told.iter().flat_map(|(_, told)| told) {
            let mut players = world.players.iter();
            if let Some(player) = players.find(|player| player.id.0 == *id)
                && !others.operators.contains(id)
            {
                let unit = acknowledged(player, *until, &replay_of, &others.promise);
                seeds::tell(|| format!("client {id} was told of synced unit {unit}"));
                needed = needed.max(unit);
            }
        }
        needed_after_kill = needed_after_kill.max(needed);
    }
    let keeps_all = match setup.has_log {
        true => others.promise.log_is_on,
        false => setup.has_save_points,
    };
    if others.promise.has_ended_well && keeps_all {
        needed = *units_with.last().unwrap();
        needed_after_kill = needed;
    }
    Past {
        before,
        seen,
        needed,
        needed_after_kill,
    }
}

/// The last unit that a player was told of by the first so many bytes, while that means something; what it was told is what it
/// should be.
fn acknowledged(player: &Player, until: usize, replay: &Replay, promise: &Promise) -> usize {
    let answers = replay.answers.get(&player.id.0);
    let answers = answers.map_or(&[][..], Vec::as_slice);
    let all = told(player, player.received.len());
    let expected: Vec<u8> = answers
        .iter()
        .flat_map(|answer| answer.bytes.clone())
        .collect();
    assert!(
        expected.starts_with(&all),
        "client {} was told\n{}\nnot\n{}",
        player.id.0,
        String::from_utf8_lossy(&all),
        String::from_utf8_lossy(&expected)
    );
    if promise.is_complete && player.alive {
        assert_eq!(all.len(), expected.len(), "client {} waits", player.id.0);
    }
    let means_nothing: Vec<(usize, usize)> = promise
        .means_nothing
        .iter()
        .map(|ranges| {
            let range = ranges.get(&player.id.0).copied();
            let (from, to) = range.unwrap_or((0, usize::MAX));
            let len = |until: usize| told(player, until.min(player.received.len())).len();
            (len(from), if to == usize::MAX { to } else { len(to) })
        })
        .collect();
    let len = |until: usize| told(player, until.min(player.received.len())).len();
    let in_trouble = promise.in_trouble.get(&player.id.0);
    let in_trouble: Vec<(usize, usize)> = in_trouble
        .into_iter()
        .flatten()
        .map(|&(from, to)| (len(from), len(to)))
        .collect();
    let told_bytes = told(player, until.min(player.received.len())).len();
    let (mut at, mut unit) = (0, 0);
    for answer in answers {
        let end = at + answer.bytes.len();
        let is_told = at < told_bytes;
        let counts = |&(from, to): &(usize, usize)| at < from || at >= to;
        if is_told && means_nothing.iter().all(counts) {
            let is_read_only = in_trouble.iter().any(|&(from, to)| from < end && at < to);
            unit = unit.max(match is_read_only {
                true => answer.wrote,
                false => answer.tells_of,
            });
        }
        at = end;
    }
    unit
}

fn run_lives(seed: u64) -> Tally {
    let mut lives = Lives::new(seed);
    let count = 2 + lives.random.below(3);
    for number in 0..count {
        if !lives.live(number + 1 == count) {
            break;
        }
    }
    lives.start_once_more();
    lives.tally
}

impl Lives {
    /// The last check.
    fn start_once_more(&mut self) {
        let (_, mut started) = self.start();
        self.compare(&mut started.others);
        self.tally.points.extend(self.disk.reached());
    }
}

/// A search takes more of them: `MILLRACE_SEEDS=10000` is three minutes.
#[test]
fn what_was_acknowledged_is_there_after_a_crash_at_any_call() {
    let tally = Mutex::new(Tally::default());
    let seeds = seeds::run_all(600, |seed| {
        let own = run_lives(seed);
        let mut sum = tally.lock().unwrap();
        sum.lives += own.lives;
        sum.starts_given_up += own.starts_given_up;
        sum.executions += own.executions;
        sum.lost += own.lost;
        sum.points.extend(own.points);
    });
    let tally = tally.into_inner().unwrap();
    if seeds >= 500 {
        // Something was tried.
        assert!(tally.lives as u64 > 2 * seeds, "{tally:?}");
        assert!(tally.executions as u64 > 100 * seeds, "{tally:?}");
        assert!(tally.starts_given_up as u64 > seeds / 10, "{tally:?}");
        assert!(tally.points.len() + 2 >= CrashPoint::ALL.len(), "{tally:?}");
    }
    eprintln!(
        "{seeds} seeds, {} lives, {} executions ({} not kept), {} starts given up, {} of {} points",
        tally.lives,
        tally.executions,
        tally.lost,
        tally.starts_given_up,
        tally.points.len(),
        CrashPoint::ALL.len()
    );
}

#[test]
fn the_server_starts_after_a_crash_at_every_named_point() {
    for point in CrashPoint::ALL {
        let meets = |seed: &u64| {
            let mut lives = Lives::new(*seed);
            lives.point = Some((point, 1 + seed % 3));
            let count = 3;
            for number in 0..count {
                if !lives.live(number + 1 == count) {
                    break;
                }
            }
            lives.start_once_more();
            lives.tally.is_point_met
        };
        assert!((0..500).any(|seed| meets(&seed)), "{point:?} is not met");
    }
}
