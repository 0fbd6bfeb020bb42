//! Users by name and by identity.

use std::sync::Arc;

use crate::acl::{Rules, Users};

use super::rules;

fn names(users: &Users) -> Vec<String> {
    let names = users.names();
    names
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

#[test]
fn users_are_listed_by_the_bytes_of_their_names() {
    let users = Users::new(Rules::all_may());
    for name in ["b", "a", "B", "ab", "e\u{e9}", "zz", ""] {
        users.set(name.as_bytes(), Rules::new(false));
    }
    assert_eq!(
        names(&users),
        ["", "B", "a", "ab", "b", "default", "e\u{e9}", "zz"]
    );
    let listed: Vec<_> = users.list().iter().map(|one| one.name().to_vec()).collect();
    assert_eq!(listed[1], b"B");
    assert!(Arc::ptr_eq(
        &users.default(),
        &users.get(b"default").unwrap()
    ));
}

#[test]
fn a_change_keeps_the_user_and_tells_by_the_version() {
    let users = Users::new(Rules::all_may());
    let alice = users.set(b"alice", rules("on"));
    let (version, before) = (alice.version(), alice.rules());
    assert!(Arc::ptr_eq(&users.set(b"alice", rules("off")), &alice));
    assert!(alice.version() > version && before.is_on() && !alice.rules().is_on());
    let version = alice.version();
    let changed = users.change(b"alice", |before| {
        assert!(!before.unwrap().is_on());
        Ok::<_, ()>(rules("on"))
    });
    let changed = changed.unwrap();
    assert!(!changed.before.unwrap().is_on() && changed.now.is_on());
    assert!(alice.version() > version);
    assert_eq!(
        users
            .change(b"bob", |before| before.cloned().ok_or(7))
            .err(),
        Some(7)
    );
    assert!(users.get(b"bob").is_none());
}

#[test]
fn one_logs_in_with_a_name_that_is_on_and_its_password() {
    let users = Users::new(Rules::all_may());
    let alice = users.set(b"alice", rules("on >a >b"));
    users.set(b"bob", rules(">a"));
    assert!(Arc::ptr_eq(&users.log_in(b"alice", b"b").unwrap(), &alice));
    assert!(users.log_in(b"default", b"anything").is_some());
    for (name, password) in [("alice", "c"), ("Alice", "a"), ("bob", "a"), ("", "")] {
        assert!(users.log_in(name.as_bytes(), password.as_bytes()).is_none());
    }
}

#[test]
fn a_deleted_user_knows_it_and_one_of_the_same_name_is_another() {
    let users = Users::new(Rules::all_may());
    let alice = users.set(b"alice", rules("on"));
    let version = alice.version();
    assert!(Arc::ptr_eq(&users.delete(b"alice").unwrap(), &alice));
    assert!(alice.is_deleted() && alice.version() > version);
    assert!(users.delete(b"alice").is_none() && users.delete(b"default").is_none());
    assert!(!Arc::ptr_eq(&users.set(b"alice", rules("on")), &alice));
    assert!(!users.default().is_deleted());
}

#[test]
fn loading_keeps_users_that_were_there_and_deletes_the_others() {
    let users = Users::new(Rules::all_may());
    let (alice, default) = (users.set(b"alice", rules("on")), users.default());
    users.set(b"bob", rules("on"));
    let version = default.version();
    let gone = users.replace_all(
        vec![
            (b"alice".to_vec(), rules("on >b")),
            (b"default".to_vec(), rules("on >a")),
        ],
        Rules::all_may(),
    );
    let gone: Vec<_> = gone.iter().map(|user| user.name().to_vec()).collect();
    assert_eq!(gone, [b"bob".to_vec()]);
    assert!(!alice.is_deleted() && Arc::ptr_eq(&users.get(b"alice").unwrap(), &alice));
    assert!(alice.rules().accepts(b"b"));
    assert_eq!(names(&users), ["alice", "default"]);
    assert!(Arc::ptr_eq(&users.default(), &default) && default.version() > version);
    assert!(default.rules().accepts(b"a") && !default.rules().is_unrestricted());
    // A file without it means the one of the start.
    users.replace_all(Vec::new(), Rules::all_may());
    assert!(default.rules().is_unrestricted() && !default.is_deleted());
    assert_eq!(names(&users), ["default"]);
}

#[test]
fn two_changes_at_a_time_are_both_kept() {
    let users = Users::new(Rules::all_may());
    let catalog = super::catalog();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (users, catalog) = (&users, &catalog);
            scope.spawn(move || {
                for turn in 0..50 {
                    let word = format!("~{thread}:{turn}");
                    let changed = users.change(b"alice", |before| {
                        let before = before.cloned().unwrap_or_else(|| Rules::new(false));
                        before.changed(super::basis(catalog), &[word])
                    });
                    assert!(changed.is_ok());
                }
            });
        }
    });
    let keys = users.get(b"alice").unwrap().rules().root().keys_text();
    assert_eq!(keys.split(|byte| *byte == b' ').count(), 200);
}
