//! ACL LOG: what shares an entry, what goes, and the numbers.

use crate::acl::log::{AclLog, Context, Denial, Reason};

fn denial(object: &str, username: &str) -> Denial {
    Denial {
        reason: Reason::Key,
        context: Context::Toplevel,
        object: object.into(),
        username: username.into(),
        client_info: b"id=1".to_vec(),
    }
}

/// Object, count, id of each entry.
fn shown(log: &AclLog) -> Vec<(String, u64, u64)> {
    let show = |object: &[u8]| String::from_utf8_lossy(object).into_owned();
    log.entries()
        .map(|entry| (show(&entry.denial.object), entry.count, entry.id))
        .collect()
}

fn entry(object: &str, count: u64, id: u64) -> (String, u64, u64) {
    (object.to_owned(), count, id)
}

#[test]
fn denials_alike_within_a_minute_share_an_entry_that_moves_to_the_front() {
    let mut log = AclLog::default();
    log.add(denial("a", "u"), 1000, 10);
    log.add(denial("b", "u"), 2000, 10);
    let mut other = denial("a", "u");
    other.client_info = b"id=2".to_vec();
    log.add(other, 61_000, 10);
    assert_eq!(shown(&log), [entry("a", 2, 0), entry("b", 1, 1)]);
    let first = log.entries().next().unwrap();
    assert_eq!((first.created_ms, first.updated_ms), (1000, 61_000));
    assert_eq!(first.denial.client_info, b"id=2");
    // A minute after the last one, not after the first.
    log.add(denial("a", "u"), 121_000, 10);
    log.add(denial("a", "u"), 181_001, 10);
    assert_eq!(
        shown(&log),
        [entry("a", 1, 2), entry("a", 3, 0), entry("b", 1, 1)]
    );
}

#[test]
fn reason_context_object_and_user_all_count() {
    let mut log = AclLog::default();
    log.add(denial("a", "u"), 0, 10);
    log.add(denial("a", "v"), 0, 10);
    log.add(denial("b", "u"), 0, 10);
    for (reason, context) in [
        (Reason::Command, Context::Toplevel),
        (Reason::Key, Context::Lua),
        (Reason::Channel, Context::Multi),
    ] {
        log.add(
            Denial {
                reason,
                context,
                ..denial("a", "u")
            },
            0,
            10,
        );
    }
    assert_eq!(log.entries().len(), 6);
    assert!(log.entries().all(|entry| entry.count == 1));
    assert_eq!(
        [Reason::Auth, Reason::Command, Reason::Key, Reason::Channel].map(Reason::name),
        ["auth", "command", "key", "channel"]
    );
    assert_eq!(
        [Context::Toplevel, Context::Multi, Context::Lua].map(Context::name),
        ["toplevel", "multi", "lua"]
    );
}

#[test]
fn only_the_ten_newest_entries_are_looked_at() {
    let mut log = AclLog::default();
    for name in 0..11 {
        log.add(denial(&name.to_string(), "u"), 0, 100);
    }
    log.add(denial("1", "u"), 0, 100);
    assert_eq!(log.entries().len(), 11);
    // "0" has ten before it.
    log.add(denial("0", "u"), 0, 100);
    assert_eq!(log.entries().len(), 12);
    assert_eq!(log.entries().next().unwrap().id, 11);
}

#[test]
fn the_oldest_go_and_a_reset_gives_no_number_again() {
    let mut log = AclLog::default();
    for name in ["a", "b", "c", "d"] {
        log.add(denial(name, "u"), 0, 3);
    }
    assert_eq!(
        shown(&log),
        [entry("d", 1, 3), entry("c", 1, 2), entry("b", 1, 1)]
    );
    // A shorter length is seen when an entry is made.
    log.add(denial("b", "u"), 0, 1);
    assert_eq!(log.entries().len(), 3);
    log.add(denial("e", "u"), 0, 1);
    assert_eq!(shown(&log), [entry("e", 1, 4)]);
    log.add(denial("f", "u"), 0, 0);
    assert_eq!(shown(&log), []);
    log.reset();
    log.add(denial("a", "u"), 0, 3);
    assert_eq!(shown(&log), [entry("a", 1, 6)]);
}
