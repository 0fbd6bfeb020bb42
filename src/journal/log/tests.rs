//! When the log rests, and who syncs it.

use std::path::Path;

use super::*;
use crate::journal::storage::memory::{Call, Fault, MemoryStorage};
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
fn a_sync_that_succeeds_does_not_hide_that_another_beside_it_has_failed() {
    let (storage, facts) = (MemoryStorage::new(), Arc::new(Persistence::new(0)));
    let log = Log::new(2, Arc::clone(&facts));
    log.set_policy(SyncPolicy::Always, false, false);
    let file = storage.open_write(Path::new("log"), Opening::New).unwrap();
    log.begin_file(Target::begin(file, Points::default(), 0, 1, 1 << 10).unwrap());
    append(&log);
    log.write();
    let (good, bad) = (log.begin_sync().unwrap(), log.begin_sync().unwrap());
    let result = good.run();
    storage.plan(Call::SyncData, 1, Fault::Broken);
    let error = bad.run();
    assert!(result.is_ok() && error.is_err());
    assert!(!log.finish_sync(&bad, error));
    assert!(log.finish_sync(&good, result));
    assert!(log.is_in_trouble() && log.has_failed());
}
