//! Fill that is lengthened in parts, while somebody writes.

use std::path::Path;

use super::super::format;
use super::super::scan::{Tail, verify};
use super::super::storage::memory::{Call, Fault, MemoryStorage};
use super::super::storage::{Opening, Storage};
use super::*;

const PATH: &str = "log";
const FILL_BYTES: u64 = 1024;

fn target(storage: &MemoryStorage) -> Target {
    let file = storage.open_write(Path::new(PATH), Opening::New).unwrap();
    storage.sync_dir(Path::new("")).unwrap();
    Target::begin(file, Points::default(), 0, 7, FILL_BYTES).unwrap()
}

fn write(target: &mut Target, value_bytes: usize) -> io::Result<()> {
    let mut bytes = Vec::new();
    let value = vec![b'v'; value_bytes];
    format::command([b"RPUSH".as_slice(), b"l", &value], &mut bytes);
    target.write(&mut bytes)
}

fn sync(target: &mut Target) {
    let syncing = target.begin_sync(0);
    syncing.run().unwrap();
    target.finish_sync(&syncing);
}

/// Commands that a start finds when the power fails now.
fn commands_after_a_crash(storage: &MemoryStorage, seed: u64) -> u64 {
    let after = storage.crash(seed);
    let verdict = verify(after.open_read(Path::new(PATH)).unwrap(), 0).unwrap();
    let is_damaged = matches!(verdict.tail, Tail::Damaged { .. });
    assert!(!is_damaged, "seed {seed}: {}", verdict.tail);
    verdict.commands
}

#[test]
fn between_two_parts_of_the_fill_others_write_and_the_power_may_fail() {
    let storage = MemoryStorage::new();
    let mut target = target(&storage);
    // One write needs more than is there: from then on more is wanted.
    write(&mut target, 2 * FILL_BYTES as usize).unwrap();
    let (mut written, mut synced, mut parts) = (1, 0, 0);
    for round in 0..300 {
        parts += usize::from(target.fill_in_time().unwrap());
        write(&mut target, 10 + 40 * (round % 4)).unwrap();
        written += 1;
        for seed in 0..8 {
            let found = commands_after_a_crash(&storage, 8 * round as u64 + seed);
            assert!((synced..=written).contains(&found), "{found} of {written}");
        }
        if round % 5 == 0 {
            sync(&mut target);
            synced = written;
        }
    }
    assert!(parts > 20, "{parts}");
    let wanted = limits::LOG_FILL_GROWTH * FILL_BYTES;
    while target.fill_in_time().unwrap() {}
    assert!(target.filled_to - target.offset >= wanted / 2);
}

#[test]
fn on_a_full_disk_nothing_is_filled_ahead_before_a_writer_needs_room() {
    let storage = MemoryStorage::new();
    let mut target = target(&storage);
    while !target.wants_fill() {
        write(&mut target, 100).unwrap();
    }
    storage.set_capacity(Some(target.filled_to + 64));
    target.fill_in_time().unwrap_err();
    assert!(!target.wants_fill());
    let writes = storage.calls(Call::Write);
    assert!(!target.fill_in_time().unwrap());
    assert_eq!(storage.calls(Call::Write), writes);
    storage.set_capacity(None);
    // When one has needed it and got it, fill is wanted again.
    while !target.wants_fill() {
        write(&mut target, 100).unwrap();
    }
}

#[test]
fn a_sync_that_began_before_the_file_was_finished_promises_no_more_than_is_there() {
    let storage = MemoryStorage::new();
    let mut target = target(&storage);
    write(&mut target, 10).unwrap();
    let syncing = target.begin_sync(0);
    target.finish().run().unwrap();
    syncing.run().unwrap();
    target.finish_sync(&syncing);
    assert!(target.is_synced());
    storage.plan(Call::SyncData, 1, Fault::Broken);
    // So what needs more than the end of the file needs a sync.
    write(&mut target, 100).unwrap_err();
}

#[test]
fn a_changed_byte_of_the_last_write_to_a_finished_file_is_damage_and_not_its_torn_end() {
    let storage = MemoryStorage::new();
    let mut target = target(&storage);
    write(&mut target, 100).unwrap();
    target.finish().run().unwrap();
    let bytes = storage.bytes(Path::new(PATH)).unwrap();
    for at in 20..bytes.len() - 40 {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        storage.put(Path::new(PATH), &changed);
        let verdict = verify(storage.open_read(Path::new(PATH)).unwrap(), 0).unwrap();
        let is_damaged = matches!(verdict.tail, Tail::Damaged { .. });
        assert!(is_damaged, "byte {at}: {}", verdict.tail);
    }
}

#[test]
fn a_finished_file_that_was_shortened_is_not_whole() {
    let storage = MemoryStorage::new();
    let mut target = target(&storage);
    write(&mut target, 10).unwrap();
    let middle = target.offset as usize;
    write(&mut target, 10).unwrap();
    target.finish().run().unwrap();
    let bytes = storage.bytes(Path::new(PATH)).unwrap();
    for (end, is_whole) in [
        (middle, false),
        (bytes.len() - 16, false),
        (bytes.len(), true),
    ] {
        storage.put(Path::new(PATH), &bytes[..end]);
        let verdict = verify(storage.open_read(Path::new(PATH)).unwrap(), 0).unwrap();
        assert_eq!(verdict.tail == Tail::Clean, is_whole);
        assert_eq!(verdict.before_others().tail == Tail::Clean, is_whole);
    }
}
