//! When the log rests.

use super::*;
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
