//! When the log rests, and who syncs it.

use std::path::Path;

use super::*;
use crate::journal::storage::memory::MemoryStorage;
use crate::journal::storage::{Opening, Points, Storage};
use crate::keyspace::effect::EffectBuffer;
use crate::observe::persistence::Saving;

#[test]
fn the_log_rests_while_something_is_saved_only_where_that_is_wanted() {
    let facts = Arc::new(Persistence::new(0));
    let log = Log::new(1, Arc::clone(&facts));
    let rests = |policy, rests| {
        log.set_policy(policy, false, rests);
        log.rests()
    };
    assert!(!rests(SyncPolicy::EverySecond, true));
    assert!(facts.begin(Saving::Base, 1));
    assert!(rests(SyncPolicy::EverySecond, true));
    assert!(!rests(SyncPolicy::EverySecond, false));
    // Replies wait for it.
    assert!(!rests(SyncPolicy::Always, true));
    facts.end(2);
    assert!(!rests(SyncPolicy::EverySecond, true));
}

fn append(log: &Log) {
    let mut effects = EffectBuffer::default();
    effects.set_recording(true);
    effects.record(0, 1, |effect| {
        effect.arg("PING");
    });
    log.append(effects.effects(), 1);
}

#[test]
fn what_was_left_to_whoever_syncs_is_synced_also_when_the_disk_has_become_slow() {
    let log = Log::new(2, Arc::new(Persistence::new(0)));
    log.set_policy(SyncPolicy::Always, false, false);
    let file = MemoryStorage::new().open_write(Path::new("log"), Opening::New);
    log.begin_file(Target::begin(file.unwrap(), Points::default(), 0, 1, 1 << 10).unwrap());
    (0..64).for_each(|_| log.note_sync_took(0));
    assert!(log.is_synced_by_writers());
    append(&log);
    assert!(log.write_unsynced());
    let syncing = log.begin_own_sync(0).unwrap();
    append(&log);
    assert!(log.write_unsynced());
    assert!(log.begin_own_sync(1).is_none());
    lock(&log.wanted).written = false;
    log.note_sync_took(u64::MAX);
    assert!(!log.is_synced_by_writers());
    let result = syncing.run();
    assert!(log.finish_sync(&syncing, result));
    assert!(lock(&log.wanted).written);
}
