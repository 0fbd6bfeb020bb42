//! Single cases of a server on a disk in memory: what the lives from seeds have found once.

use millrace::journal::storage::CrashPoint;
use millrace::journal::storage::memory::{Call, Fault, MemoryStorage};
use millrace::server::stepped::Saving;

use super::commands::request;
use super::disk::{Others, put_others, take_others};
use super::start::{Setup, Started, Trouble, start};
use super::stepped::Around;
use super::*;

/// A server without clients but the operator.
struct Case {
    others: Option<Others>,
    saver: Saving<Around>,
    disk: MemoryStorage,
}

fn setup(words: &[&str]) -> Setup {
    let always = [
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
    ];
    Setup {
        shard_count: 1,
        has_log: true,
        words: [&always, words]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        has_save_points: false,
        syncs_always: true,
    }
}

fn started(disk: &MemoryStorage, words: &[&str], trouble: &Trouble) -> Result<Case, String> {
    let clock = Arc::new(SimulatedClock(AtomicU64::new(1_000_000)));
    let Started { others, saver, .. } = start(Random(1), &setup(words), &clock, disk, trouble)?;
    Ok(Case {
        others: Some(others),
        saver,
        disk: disk.clone(),
    })
}

impl Case {
    fn on(disk: &MemoryStorage) -> Self {
        started(disk, &[], &Trouble::None).unwrap()
    }

    /// Sends commands; gives what comes at once.
    fn send(&mut self, lines: &[&str]) -> String {
        let others = self.others.as_mut().unwrap();
        let words = |line: &&str| -> Vec<Vec<u8>> { line.split(' ').map(Into::into).collect() };
        let bytes = lines.iter().flat_map(|line| request(&words(line)));
        let operator = others.operator;
        others.world.players[operator].in_flight.extend(bytes);
        self.received()
    }

    fn received(&mut self) -> String {
        let others = self.others.as_mut().unwrap();
        others.world.settle();
        let received = std::mem::take(&mut others.world.players[others.operator].received);
        String::from_utf8(received).unwrap()
    }

    fn sync(&mut self) {
        (0..3).for_each(|_| self.others.as_mut().unwrap().sync_step());
    }

    /// Time passes, and the saver does what is due; gives what was received.
    fn pass(&mut self) -> String {
        let mut received = String::new();
        for _ in 0..300 {
            let mut others = self.others.take().unwrap();
            others.be_calm();
            others.world.clock.sleep(100);
            put_others(others);
            self.saver.turn();
            self.others = Some(take_others());
            self.sync();
            received.push_str(&self.received());
        }
        received
    }
}

#[test]
fn a_failed_sync_is_not_forgotten_when_another_follows() {
    let mut case = Case::on(&MemoryStorage::new());
    let others = case.others.as_ref().unwrap();
    let log = Arc::clone(&others.log);
    assert_eq!(case.send(&["RPUSH a v1"]), "");
    case.disk.plan(Call::SyncData, 1, Fault::Broken);
    let first = log.begin_sync().unwrap();
    let second = log.begin_sync().unwrap();
    let result = first.run();
    assert!(result.is_err());
    // Linux would say that all is well now.
    let again = second.run();
    assert!(again.is_err());
    log.finish_sync(&second, again);
    log.finish_sync(&first, result);
    assert_eq!(case.received(), "");
}

#[test]
fn a_base_of_commands_may_have_lines_of_ours() {
    let disk = MemoryStorage::new();
    let words = ["--aof-use-rdb-preamble", "no"];
    let mut case = started(&disk, &words, &Trouble::None).unwrap();
    case.send(&[
        "XADD x1 1-0 f v1",
        "XGROUP CREATE x1 g 0",
        "XREADGROUP GROUP g c STREAMS x1 >",
        "XNACK x1 g FAIL IDS 1 1-0",
    ]);
    case.sync();
    case.received();
    case.send(&["BGREWRITEAOF"]);
    case.pass();
    drop(case);
    let mut next = started(&disk.kill(), &words, &Trouble::None).unwrap();
    let pending = next.send(&["XPENDING x1 g - + 10"]);
    assert!(pending.contains("1-0"), "{pending}");
}

#[test]
fn when_the_log_is_off_its_trouble_is_over() {
    let disk = MemoryStorage::new();
    let mut case = Case::on(&disk);
    case.send(&["RPUSH a v1"]);
    disk.plan(Call::SyncData, 1, Fault::Broken);
    case.sync();
    case.send(&["CONFIG SET appendonly no"]);
    assert!(case.pass().contains("+OK"));
    assert_eq!(case.send(&["RPUSH a v2"]), ":2\r\n");
}

#[test]
fn an_old_file_that_cannot_be_deleted_holds_no_reply_back() {
    let disk = MemoryStorage::new();
    let mut case = Case::on(&disk);
    assert_eq!(case.send(&["RPUSH a v1"]), "");
    disk.plan(Call::SyncData, 1, Fault::Broken);
    disk.plan(Call::Remove, 1, Fault::Broken);
    case.sync();
    assert_eq!(case.pass(), ":1\r\n");
}

#[test]
fn what_a_start_found_is_there_after_the_power_failed() {
    for seed in 0..100 {
        let disk = MemoryStorage::new();
        let begun = started(&disk, &[], &Trouble::Point(CrashPoint::AfterManifestRename));
        assert!(begun.is_err());
        let disk = disk.kill();
        let mut case = Case::on(&disk);
        case.send(&["RPUSH a v1"]);
        case.sync();
        assert_eq!(case.received(), ":1\r\n");
        drop(case);
        let mut next = Case::on(&disk.crash(seed));
        assert_eq!(next.send(&["LLEN a"]), ":1\r\n", "seed {seed}");
    }
}

#[test]
fn a_start_puts_on_disk_what_a_failed_sync_had_left_in_memory() {
    for seed in 0..40 {
        let disk = MemoryStorage::new();
        let mut case = Case::on(&disk);
        for number in 0..20 {
            case.send(&[&format!(
                "RPUSH a value-{number}-of-some-length-so-that-sectors-fill"
            )]);
        }
        disk.plan(Call::SyncData, 1, Fault::Broken);
        case.others.as_mut().unwrap().sync_step();
        case.others.as_mut().unwrap().sync_step();
        drop(case);
        // The next process can read all of it, though the disk has perhaps none of it.
        let disk = disk.kill();
        let mut case = Case::on(&disk);
        case.send(&["RPUSH a last"]);
        case.sync();
        let told = case.received();
        assert!(told.starts_with(':'), "{told}");
        drop(case);
        let mut next = Case::on(&disk.crash(seed));
        assert_eq!(next.send(&["LLEN a"]), told, "seed {seed}");
    }
}

#[test]
fn writes_are_refused_from_a_failed_sync_until_the_base_stands_whoever_met_it() {
    // The thread that syncs, and the end of a file.
    for rewrites in [false, true] {
        let disk = MemoryStorage::new();
        let mut case = Case::on(&disk);
        case.send(&["RPUSH a v1"]);
        case.sync();
        case.received();
        case.send(&["RPUSH a v2"]);
        disk.plan(Call::SyncData, 1, Fault::Broken);
        if rewrites {
            case.send(&["BGREWRITEAOF"]);
        } else {
            case.sync();
        }
        // Bases cannot be made.
        for nth in 1..400 {
            disk.plan(Call::Rename, nth, Fault::Broken);
        }
        let told = case.pass();
        assert!(!told.contains(":2"), "{told}");
        let refused = case.send(&["RPUSH a v3"]);
        assert!(refused.starts_with("-MISCONF"), "{rewrites}: {refused}");
    }
}
