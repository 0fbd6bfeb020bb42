//! What the simulated directory promises: the tests of everything else stand on it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use super::super::write_all_at;
use super::*;

const A: &str = "d/a";
const B: &str = "d/b";

fn path(name: &str) -> &Path {
    Path::new(name)
}

/// A directory `d` that survives, empty.
fn storage() -> MemoryStorage {
    let storage = MemoryStorage::new();
    storage.create_dir(path("d")).unwrap();
    storage.sync_dir(path("")).unwrap();
    storage
}

fn write(storage: &MemoryStorage, name: &str, bytes: &[u8]) -> Box<dyn StorageFile> {
    let file = storage.open_write(path(name), Opening::Emptied).unwrap();
    write_all_at(&*file, 0, bytes).unwrap();
    file
}

fn outcomes(storage: &MemoryStorage, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..300)
        .map(|seed| storage.crash(seed).bytes(path(name)))
        .collect()
}

#[test]
fn what_is_synced_with_its_name_survives() {
    let storage = storage();
    let file = write(&storage, A, b"one");
    file.sync_data().unwrap();
    assert!(
        outcomes(&storage, A).contains(&None),
        "the name is not synced"
    );
    storage.sync_dir(path("d")).unwrap();
    assert_eq!(outcomes(&storage, A), [Some(b"one".to_vec())].into());
}

#[test]
fn a_kill_keeps_what_is_written_and_does_not_sync_it() {
    let storage = storage();
    let _lock = storage.lock_dir(path("d")).unwrap();
    write(&storage, A, b"one");
    let next = storage.kill();
    assert_eq!(next.bytes(path(A)).unwrap(), b"one");
    next.lock_dir(path("d")).unwrap();
    assert!(outcomes(&next, A).contains(&None));
}

#[test]
fn unsynced_sectors_survive_in_any_combination() {
    let storage = storage();
    storage.put(path(A), &[b'.'; 1536]);
    let file = storage.open_write(path(A), Opening::Existing).unwrap();
    write_all_at(&*file, 0, &[b'x'; 1536]).unwrap();
    let seen: BTreeSet<String> = outcomes(&storage, A)
        .into_iter()
        .map(|bytes| {
            let bytes = bytes.unwrap();
            assert_eq!(bytes.len(), 1536);
            let whole = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
            assert!(
                bytes.chunks(512).all(whole),
                "a sector is written as a whole"
            );
            bytes
                .chunks(512)
                .map(|sector| char::from(sector[0]))
                .collect()
        })
        .collect();
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[test]
fn a_size_may_be_lost_and_may_survive_without_its_bytes() {
    let storage = storage();
    storage.put(path(A), b"");
    let file = storage.open_write(path(A), Opening::Existing).unwrap();
    write_all_at(&*file, 0, &[b'x'; 600]).unwrap();
    let seen = outcomes(&storage, A);
    assert!(seen.contains(&Some(Vec::new())));
    assert!(seen.contains(&Some(vec![0; 600])));
    assert!(seen.contains(&Some(vec![b'x'; 600])));
}

#[test]
fn changes_of_names_survive_in_order() {
    let storage = storage();
    storage.put(path(A), b"old");
    write(&storage, "d/temp", b"new").sync_data().unwrap();
    storage.rename(path("d/temp"), path(A)).unwrap();
    write(&storage, B, b"").sync_data().unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let after = storage.crash(seed);
        let there = |name: &str| after.bytes(path(name)).is_some();
        seen.insert((after.bytes(path(A)).unwrap(), there("d/temp"), there(B)));
    }
    let expected = [
        (b"old".to_vec(), false, false),
        (b"old".to_vec(), true, false),
        (b"new".to_vec(), false, false),
        (b"new".to_vec(), false, true),
    ];
    assert_eq!(seen, expected.into());
}

#[test]
fn a_file_moved_to_another_directory_is_never_lost() {
    let storage = storage();
    storage.put(path("a"), b"log");
    storage.rename(path("a"), path(A)).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let after = storage.crash(seed);
        seen.insert((
            after.bytes(path("a")).is_some(),
            after.bytes(path(A)).is_some(),
        ));
    }
    assert_eq!(seen, [(true, false), (true, true), (false, true)].into());
    storage.sync_dir(path("")).unwrap();
    let after = storage.crash(1);
    assert!(after.bytes(path("a")).is_none() && after.bytes(path(A)).is_some());
}

#[test]
fn a_directory_that_is_lost_takes_its_files_along() {
    let storage = MemoryStorage::new();
    storage.create_dir(path("d")).unwrap();
    write(&storage, A, b"x").sync_data().unwrap();
    storage.sync_dir(path("d")).unwrap();
    assert_eq!(outcomes(&storage, A), [None, Some(b"x".to_vec())].into());
}

#[test]
fn a_failed_sync_forgets_what_it_had_to_write() {
    let storage = storage();
    let mut lossy_count = 0;
    for round in 0..20 {
        storage.put(path(A), b"");
        let file = storage.open_write(path(A), Opening::Existing).unwrap();
        write_all_at(&*file, 0, &[b'x'; 1024]).unwrap();
        storage.plan(Call::SyncData, 1, Fault::Broken);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert!(storage.bytes(path(A)).unwrap() == [b'x'; 1024]);
        let seen = outcomes(&storage, A);
        assert_eq!(
            seen.len(),
            1,
            "nothing is left to be written in round {round}"
        );
        lossy_count += usize::from(!seen.contains(&Some(vec![b'x'; 1024])));
    }
    assert!(lossy_count > 5, "{lossy_count}");
}

#[test]
fn faults_come_at_their_call() {
    let storage = storage();
    storage.put(path(A), b"");
    let file = storage.open_write(path(A), Opening::Existing).unwrap();
    storage.plan(Call::Write, 2, Fault::Short(1));
    storage.plan(Call::Write, 3, Fault::NoSpace);
    storage.plan(Call::Write, 4, Fault::Interrupted);
    assert_eq!(file.write_at(0, b"abc").unwrap(), 3);
    assert_eq!(file.write_at(3, b"def").unwrap(), 1);
    let full = file.write_at(4, b"ef").unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    write_all_at(&*file, 4, b"ef").unwrap();
    assert_eq!(storage.bytes(path(A)).unwrap(), b"abcdef");
    storage.plan(Call::Rename, 1, Fault::Broken);
    assert!(storage.rename(path(A), path(B)).is_err());
    storage.rename(path(A), path(B)).unwrap();
}

#[test]
fn a_full_disk_takes_what_fits_and_has_room_again_when_a_file_is_gone() {
    let storage = storage();
    storage.put(path(B), b"12345678");
    storage.set_capacity(Some(10));
    let file = storage.open_write(path(A), Opening::New).unwrap();
    assert_eq!(file.write_at(0, b"abc").unwrap(), 2);
    assert!(file.write_at(2, b"c").is_err());
    assert_eq!(file.write_at(0, b"x").unwrap(), 1, "in place");
    storage.remove(path(B)).unwrap();
    assert_eq!(file.write_at(2, b"c").unwrap(), 1);
}

#[test]
fn nothing_works_once_the_machine_is_off() {
    let storage = storage();
    let file = write(&storage, A, b"x");
    storage.stop_at(CrashPoint::AfterLogWrite, 2);
    storage.reach(CrashPoint::AfterLogWrite).unwrap();
    storage.reach(CrashPoint::AfterCut).unwrap();
    assert!(storage.reach(CrashPoint::AfterLogWrite).is_err());
    assert!(file.write_at(1, b"y").is_err() && file.sync_data().is_err());
    assert!(storage.list(path("d")).is_err());
    let next = storage.kill();
    assert_eq!(next.bytes(path(A)).unwrap(), b"x");
    assert_eq!(next.list(path("d")).unwrap().len(), 1);
}

#[test]
fn the_same_seed_loses_the_same() {
    let storage = storage();
    let file = write(&storage, A, &[b'x'; 5000]);
    storage.sync_dir(path("d")).unwrap();
    write_all_at(&*file, 700, &[b'y'; 5000]).unwrap();
    for seed in 0..50 {
        let (one, two) = (storage.crash(seed), storage.crash(seed));
        assert_eq!(one.bytes(path(A)), two.bytes(path(A)));
    }
    assert!(outcomes(&storage, A).len() > 20);
}

#[test]
fn a_reader_sees_a_file_while_it_is_written() {
    let storage = storage();
    let file = write(&storage, A, b"one");
    let mut reader = storage.open_read(path(A)).unwrap();
    reader.seek(SeekFrom::End(-1)).unwrap();
    write_all_at(&*file, 3, b"two").unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"etwo");
}
