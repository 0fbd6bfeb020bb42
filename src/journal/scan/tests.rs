//! Logs cut anywhere, with any bit flipped, torn by a power cut: what is read is a prefix of what was written, with everything that is
//! known to be synced, or the file is refused. Never silently wrong.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;

use super::super::annotation::{self, RangeChecksum};
use super::super::storage::memory::MemoryStorage;
use super::super::storage::{Opening, Storage, StorageFile, write_all_at};
use super::super::{format, own};
use super::*;

const SALT: u32 = 0xC0FF_EE00;
const FILL_BYTES: u64 = 2048;
const PATH: &str = "log";

type Words = Vec<Vec<u8>>;

/// Something to write.
#[derive(Clone, Debug)]
enum Step {
    /// Commands in one write; those in a transaction are written with MULTI and EXEC around.
    Write(Vec<(bool, Words)>),
    /// MULTI with commands, a write of its own; EXEC comes with the next.
    Half(Words),
    Sync,
}

/// What was written, as a reader should find it.
#[derive(Clone, Debug, Default)]
struct Written {
    commands: Vec<Words>,
    /// Offsets at which a mark ends, and the commands before it, those of an open transaction not counted.
    marks: Vec<(u64, usize)>,
    /// For each mark the position that was synced when it was written.
    synced: Vec<u64>,
    /// Commands known to be synced at the end.
    synced_commands: usize,
}

/// A writer that keeps to the contract of the marks.
struct Writer {
    file: Box<dyn StorageFile>,
    end: u64,
    filled: u64,
    synced: u64,
    is_half: bool,
    written: Written,
}

impl Writer {
    fn new(storage: &MemoryStorage, start: u64) -> Self {
        let file = storage
            .open_write(Path::new(PATH), Opening::Existing)
            .unwrap();
        let mut writer = Self {
            file,
            end: start,
            filled: start,
            synced: 0,
            is_half: false,
            written: Written::default(),
        };
        let mut bytes = Vec::new();
        annotation::begin(SALT, start, &mut bytes);
        writer.end += bytes.len() as u64;
        writer.filled = writer.end + FILL_BYTES;
        annotation::fill(SALT, writer.end, writer.filled, &mut bytes);
        write_all_at(&*writer.file, start, &bytes).unwrap();
        writer.mark(0);
        writer.sync();
        writer
    }

    fn mark(&mut self, half: usize) {
        let count = self.written.commands.len() - half;
        self.written.marks.push((self.end, count));
        self.written.synced.push(self.synced);
    }

    fn sync(&mut self) {
        self.file.sync_data().unwrap();
        self.synced = self.end;
        self.written.synced_commands = self.written.marks.last().unwrap().1;
    }

    fn write(&mut self, mut bytes: Vec<u8>, half: usize) {
        let longest = self.end + bytes.len() as u64 + annotation::MARK_BYTES_MAX as u64;
        if longest + 16 > self.filled {
            let filled = (longest + FILL_BYTES).next_multiple_of(16);
            let mut fill = Vec::new();
            annotation::fill(SALT, self.filled - 16, filled, &mut fill);
            write_all_at(&*self.file, self.filled - 16, &fill).unwrap();
            self.sync();
            self.filled = filled;
        }
        let mut range = RangeChecksum::new(SALT);
        range.extend(&bytes);
        annotation::commit(
            range,
            self.end + bytes.len() as u64,
            self.synced,
            &mut bytes,
        );
        let end = self.end + bytes.len() as u64;
        write_all_at(&*self.file, self.end, &bytes).unwrap();
        self.end = end;
        self.mark(half);
    }

    fn command(&mut self, words: &Words, out: &mut Vec<u8>) {
        let words_given = words.iter().map(Vec::as_slice);
        if words[0].starts_with(b"X") {
            own::encode(words_given, out);
        } else {
            format::command(words_given, out);
        }
        self.written.commands.push(words.clone());
    }

    fn step(&mut self, step: &Step) {
        let mut bytes = Vec::new();
        let exec = vec![b"EXEC".to_vec()];
        let multi = vec![b"MULTI".to_vec()];
        if self.is_half && !matches!(step, Step::Sync) {
            self.command(&exec, &mut bytes);
            self.is_half = false;
        }
        match step {
            Step::Sync => self.sync(),
            Step::Write(commands) => {
                for (in_transaction, words) in commands {
                    if *in_transaction {
                        self.command(&multi, &mut bytes);
                        self.command(words, &mut bytes);
                        self.command(words, &mut bytes);
                        self.command(&exec, &mut bytes);
                    } else {
                        self.command(words, &mut bytes);
                    }
                }
                self.write(bytes, 0);
            }
            Step::Half(words) => {
                self.command(words, &mut bytes);
                self.command(&multi, &mut bytes);
                self.command(words, &mut bytes);
                self.is_half = true;
                self.write(bytes, 2);
            }
        }
    }
}

fn words() -> impl Strategy<Value = Words> {
    let name = prop_oneof!["SET", "XNACK", "multi", "A"].prop_map(String::into_bytes);
    let argument = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 0..1500),
        // What looks like the file's own lines.
        1 => Just([&annotation::FILL_LINE[..], b"*1\r\n$1\r\nA\r\n#cAAAAAAAAAAAA\r\n"].concat()),
    ];
    (name, prop::collection::vec(argument, 1..4))
        .prop_map(|(name, rest)| std::iter::once(name).chain(rest).collect())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = prop::collection::vec((prop::bool::weighted(0.3), words()), 1..4);
    let step = prop_oneof![
        5 => write.prop_map(Step::Write),
        1 => words().prop_map(Step::Half),
        2 => Just(Step::Sync),
    ];
    prop::collection::vec(step, 0..12)
}

/// Writes a log; `before`: commands of a Redis in front of it.
fn log(steps: &[Step], before: usize) -> (MemoryStorage, Written) {
    let mut bytes = Vec::new();
    let foreign: Words = vec![b"PING".to_vec()];
    for _ in 0..before {
        format::command(foreign.iter().map(Vec::as_slice), &mut bytes);
    }
    let storage = MemoryStorage::new();
    storage.put(Path::new(PATH), &bytes);
    let mut writer = Writer::new(&storage, bytes.len() as u64);
    for step in steps {
        writer.step(step);
    }
    let mut written = writer.written;
    written.commands.splice(0..0, vec![foreign; before]);
    written.synced_commands += before;
    written.marks.iter_mut().for_each(|mark| mark.1 += before);
    (storage, written)
}

fn check(bytes: &[u8]) -> Verdict {
    verify(Cursor::new(bytes), 0).unwrap()
}

fn replay(bytes: &[u8], verdict: &Verdict) -> Vec<Words> {
    let mut replay = Replay::new(bytes, 0, verdict.valid_bytes);
    let mut commands = Vec::new();
    while let Some(item) = replay.read().unwrap() {
        commands.push(item.arguments().iter().map(<[u8]>::to_vec).collect());
    }
    assert_eq!(commands.len() as u64, verdict.commands);
    commands
}

fn is_damaged(verdict: &Verdict) -> bool {
    matches!(verdict.tail, Tail::Damaged { .. })
}

/// What is read is what was written, up to some border; cut and sealed, it is whole and the same.
fn expect_prefix(bytes: &[u8], verdict: &Verdict, written: &Written) -> usize {
    let commands = replay(bytes, verdict);
    assert_eq!(commands, written.commands[..commands.len()]);
    let is = |words: &Words, name: &[u8]| words.len() == 1 && words[0] == name;
    let count = |name: &[u8]| commands.iter().filter(|words| is(words, name)).count();
    assert_eq!(count(b"MULTI"), count(b"EXEC"), "no transaction by half");
    let mut cut = bytes[..verdict.valid_bytes as usize].to_vec();
    cut.extend_from_slice(&verdict.seal);
    let after = check(&cut);
    assert_eq!(after.tail, Tail::Clean);
    assert_eq!(replay(&cut, &after), commands);
    commands.len()
}

proptest! {
    #![proptest_config(crate::property::cases(60))]

    #[test]
    fn what_was_written_is_read(steps in steps(), before in 0..3usize) {
        let (storage, written) = log(&steps, before);
        let bytes = storage.bytes(Path::new(PATH)).unwrap();
        let verdict = check(&bytes);
        let count = expect_prefix(&bytes, &verdict, &written);
        prop_assert!(!is_damaged(&verdict));
        prop_assert_eq!(count, written.marks.last().unwrap().1);
    }

    #[test]
    fn a_power_cut_leaves_a_prefix_with_all_that_is_synced(steps in steps(), before in 0..2usize, seed: u64) {
        let (storage, written) = log(&steps, before);
        for number in 0..40 {
            let after = storage.crash(seed.wrapping_add(number));
            let bytes = after.bytes(Path::new(PATH)).unwrap();
            let verdict = check(&bytes);
            prop_assert!(!is_damaged(&verdict), "{}", verdict.tail);
            // Fill or an end mark is behind the last commit at every moment.
            prop_assert!(verdict.tail == Tail::Clean || verdict.tail_bytes() > 0, "{}", verdict.tail);
            prop_assert!(expect_prefix(&bytes, &verdict, &written) >= written.synced_commands);
        }
    }

    #[test]
    fn a_changed_bit_is_cut_or_refused(
        steps in steps(), flips in prop::collection::vec(any::<usize>(), 60), appended: bool
    ) {
        let (storage, mut written) = log(&steps, 0);
        let mut bytes = storage.bytes(Path::new(PATH)).unwrap();
        let ours = bytes.len();
        if check(&bytes).tail != Tail::Clean {
            // A transaction is open: no Redis goes on behind it.
            return Ok(());
        }
        if appended {
            format::select(0, &mut bytes);
            written.commands.push(vec![b"SELECT".to_vec(), b"0".to_vec()]);
            prop_assert_eq!(check(&bytes).tail, Tail::Clean);
        }
        for flip in flips {
            let bit = flip % (8 * ours);
            let at = (bit / 8) as u64;
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let verdict = check(&changed);
            let count = expect_prefix(&changed, &verdict, &written);
            let before = written.marks.iter().rfind(|mark| mark.0 <= at);
            let (start, kept) = before.copied().unwrap_or_default();
            prop_assert!(count >= kept);
            // A commit behind the one of this range that says that it was synced.
            let range = written.marks.iter().position(|mark| mark.0 > at);
            let is_proven = range.is_some_and(|range| {
                written.synced[range + 1..].iter().any(|synced| *synced > start)
            });
            let may_be_whole = count == written.commands.len() && !is_damaged(&verdict);
            if (is_proven || appended) && !may_be_whole {
                prop_assert!(is_damaged(&verdict), "bit {}: {}", bit, verdict.tail);
            }
        }
    }

    #[test]
    fn any_bytes_are_judged_and_cut(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[*$#0-9a-c\r\n ]{0,60}") {
        for bytes in [&bytes, text.as_bytes()] {
            let verdict = check(bytes);
            let mut cut = bytes[..verdict.valid_bytes as usize].to_vec();
            cut.extend_from_slice(&verdict.seal);
            replay(bytes, &verdict);
            prop_assert_eq!(check(&cut).tail, Tail::Clean);
        }
    }
}

proptest! {
    #![proptest_config(crate::property::cases(12))]

    #[test]
    fn a_log_cut_anywhere_is_read_up_to_there(steps in steps(), before in 0..2usize) {
        let (storage, written) = log(&steps, before);
        let bytes = storage.bytes(Path::new(PATH)).unwrap();
        // In the fill there is nothing new behind the first lines.
        let last = written.marks.last().unwrap().0 as usize + 100;
        for len in 0..last.min(bytes.len()) {
            let cut = &bytes[..len];
            let verdict = check(cut);
            prop_assert!(!is_damaged(&verdict), "at {}: {}", len, verdict.tail);
            let count = expect_prefix(cut, &verdict, &written);
            let whole = written.marks.iter().filter(|mark| mark.0 <= len as u64).map(|mark| mark.1).max();
            prop_assert!(count >= whole.unwrap_or_default());
            if written.marks.iter().skip(1).any(|mark| mark.0 == len as u64) {
                prop_assert!(verdict.tail != Tail::Clean, "cut behind the commit at {}", len);
            }
        }
    }
}

#[test]
fn commands_of_a_redis_count_one_by_one() {
    let mut bytes = b"#TS:1700000000\r\n".to_vec();
    format::select(0, &mut bytes);
    format::command([b"SET".as_slice(), b"a", b"1"], &mut bytes);
    let border = bytes.len() as u64;
    assert_eq!(check(&bytes).tail, Tail::Clean);
    bytes.extend_from_slice(format::MULTI);
    format::command([b"SET".as_slice(), b"b", b"1"], &mut bytes);
    let verdict = check(&bytes);
    assert_eq!((verdict.valid_bytes, verdict.commands), (border, 2));
    assert!(
        matches!(verdict.tail, Tail::Torn { commands: 2, .. }),
        "{}",
        verdict.tail
    );
    bytes.extend_from_slice(b"*1\r\n$4\r\nEX");
    assert_eq!(check(&bytes).valid_bytes, border);
    let mut zeros = bytes[..border as usize].to_vec();
    zeros.resize(8192, 0);
    assert!(matches!(check(&zeros).tail, Tail::Torn { at, .. } if at == border));
    bytes.truncate(border as usize);
    bytes.extend_from_slice(b"garbage");
    let tail = check(&bytes).tail;
    assert!(
        matches!(tail, Tail::Damaged { at, .. } if at == border),
        "{tail}"
    );
    assert!(
        tail.to_string()
            .starts_with(&format!("damaged at offset {border}: "))
    );
}

#[test]
fn what_a_redis_appended_behind_the_fill_counts() {
    let first = Step::Write(vec![(false, vec![b"SET".to_vec()])]);
    let (storage, written) = log(&[first], 0);
    let mut bytes = storage.bytes(Path::new(PATH)).unwrap();
    assert_eq!(check(&bytes).valid_bytes, written.marks[1].0);
    format::select(0, &mut bytes);
    let verdict = check(&bytes);
    assert_eq!(verdict.valid_bytes, bytes.len() as u64);
    assert_eq!(
        (verdict.commands, verdict.salt, verdict.seal.len()),
        (2, None, 0)
    );
    // And ours behind that.
    storage.put(Path::new(PATH), &bytes);
    let mut writer = Writer::new(&storage, bytes.len() as u64);
    writer.step(&Step::Write(vec![(true, vec![b"XNACK".to_vec()])]));
    let verdict = check(&storage.bytes(Path::new(PATH)).unwrap());
    assert_eq!((verdict.commands, verdict.tail), (6, Tail::Clean));
}

#[test]
fn a_command_larger_than_a_piece_is_read_and_a_declared_length_reserves_nothing() {
    let large = vec![b'x'; 3 << 20];
    let step = Step::Write(vec![(false, vec![b"SET".to_vec(), large.clone()])]);
    let (storage, written) = log(&[step.clone(), step], 0);
    let bytes = storage.bytes(Path::new(PATH)).unwrap();
    expect_prefix(&bytes, &check(&bytes), &written);
    let declared = b"*2000000000\r\n$4000000000\r\nabc";
    assert!(matches!(check(declared).tail, Tail::Torn { at: 0, .. }));
}

#[test]
fn a_snapshot_is_told_by_its_first_bytes() {
    assert!(is_snapshot(b"REDIS0010") && is_snapshot(b"VALKEY080"));
    assert!(!is_snapshot(b"*2\r\n") && !is_snapshot(b"REDI"));
}
