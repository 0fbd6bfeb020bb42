//! Who watches which key (WATCH).
//!
//! An entry points to the watcher's dirty flag; a change of the key sets it. No versions. The session owns the flag: when it
//! forgets its WATCH set (EXEC, DISCARD, UNWATCH, RESET, its end) the flag is gone and nobody has to come here for it. What
//! pointed to it goes when the key changes, or when a sweep meets it: each watcher that is added moves one on, and the
//! keyspace from time to time.
//! A key that CLIENT PAUSE keeps though it has expired may be watched: it counts as gone already.
//!
//! Invariant: a flag stands once in the list of a key, which is in the order of the flags' addresses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use smallvec::{SmallVec, smallvec};

use crate::data::names::{NameTable, Swept};

/// Watchers that are looked at for each that is added: so the gone are found before they are more than those who stay.
const WATCHERS_SWEPT: isize = 2;

/// The dirty flag of one client's WATCH set; EXEC reads it.
#[derive(Debug, Default)]
pub(crate) struct WatchFlag(AtomicBool);

impl WatchFlag {
    /// A watched key changed.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a watched key changed.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A watcher of a key.
#[derive(Debug)]
struct Watcher {
    flag: Weak<WatchFlag>,
    /// The key had expired when it was watched and has not been removed since: its removal is no change.
    was_expired: bool,
}

impl Watcher {
    fn address(&self) -> *const WatchFlag {
        self.flag.as_ptr()
    }

    fn is_gone(&self) -> bool {
        self.flag.strong_count() == 0
    }
}

/// The watchers of a key; mostly one.
type Watchers = SmallVec<[Watcher; 1]>;

/// Takes out those that are gone; gives how many.
fn forget_gone(watchers: &mut Watchers) -> usize {
    let before = watchers.len();
    watchers.retain(|watcher| !watcher.is_gone());
    before - watchers.len()
}

/// The watched keys of one database of one keyspace.
#[derive(Debug, Default)]
pub(crate) struct WatchTable {
    watchers: NameTable<Watchers, Box<[u8]>>,
    /// Watchers of all keys, the gone included until met.
    len: usize,
    /// Watchers that may be looked at; below 0 when more were.
    sweep_credit: isize,
}

impl WatchTable {
    /// Watchers of all keys, the gone included until met.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Adds a watcher of a key, unless it watches it already. `is_expired`: the key is there, but should not be seen any
    /// more. Amortised O(log watchers of the key).
    pub(crate) fn watch(&mut self, key: &[u8], flag: &Arc<WatchFlag>, is_expired: bool) {
        let watcher = || Watcher {
            flag: Arc::downgrade(flag),
            was_expired: is_expired,
        };
        match self.watchers.get_mut(key) {
            None => self.watchers.insert(key.into(), smallvec![watcher()]),
            Some(watchers) => {
                let address = Arc::as_ptr(flag);
                match watchers.binary_search_by_key(&address, Watcher::address) {
                    Ok(_) => return,
                    Err(at) => watchers.insert(at, watcher()),
                }
            }
        }
        self.len += 1;
        self.sweep_credit += WATCHERS_SWEPT;
        if self.sweep_credit > 0 {
            let credit = self.sweep(self.sweep_credit);
            // A key with many watchers takes the place of many.
            self.sweep_credit = credit.min(0);
        }
    }

    /// Forgets watchers that are gone, and looks at so many; the next sweep goes on behind them. Gives how many are left to
    /// look at; below 0 when the last key had more watchers than that. O(budget), and what the last key has of watchers.
    pub(crate) fn sweep(&mut self, budget: isize) -> isize {
        let (mut left, mut gone) = (budget, 0);
        self.watchers.sweep(|watchers| {
            left -= watchers.len() as isize;
            gone += forget_gone(watchers);
            Swept {
                keep: !watchers.is_empty(),
                go_on: left > 0,
            }
        });
        self.len -= gone;
        left
    }

    /// The key changed.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        if let Some(watchers) = self.watchers.remove(key) {
            self.len -= watchers.len();
            for flag in watchers.iter().filter_map(|watcher| watcher.flag.upgrade()) {
                flag.set();
            }
        }
    }

    /// The key was removed since it had expired: a change for those who have seen it.
    pub(crate) fn touch_expired(&mut self, key: &[u8]) {
        let Some(watchers) = self.watchers.remove(key) else {
            return;
        };
        self.len -= watchers.len();
        let (mut unaware, aware): (Watchers, Watchers) = watchers
            .into_iter()
            .partition(|watcher| watcher.was_expired);
        for flag in aware.iter().filter_map(|watcher| watcher.flag.upgrade()) {
            flag.set();
        }
        for watcher in &mut unaware {
            watcher.was_expired = false;
        }
        if !unaware.is_empty() {
            self.len += unaware.len();
            self.watchers.insert(key.into(), unaware);
        }
    }

    /// Whether a watcher watches a key that had expired then.
    pub(crate) fn was_expired(&self, key: &[u8], flag: &WatchFlag) -> bool {
        let Some(watchers) = self.watchers.get(key) else {
            return false;
        };
        let found = watchers.binary_search_by_key(&std::ptr::from_ref(flag), Watcher::address);
        found.is_ok_and(|at| watchers[at].was_expired)
    }

    /// Every watched key.
    pub(crate) fn keys(&self) -> Vec<Box<[u8]>> {
        self.watchers
            .names()
            .map(|name| Box::from(&**name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_named_again_is_watched_once() {
        let (mut table, flag) = (WatchTable::default(), Arc::default());
        for _ in 0..1000 {
            table.watch(b"key", &flag, false);
        }
        assert_eq!((table.len, Arc::weak_count(&flag)), (1, 1));
        table.touch(b"key");
        assert!(flag.is_set() && table.is_empty() && table.len == 0);
    }

    #[test]
    fn who_is_gone_is_forgotten_and_who_stays_is_not() {
        let mut table = WatchTable::default();
        let stays = Arc::default();
        for key in 0..100u32 {
            table.watch(&key.to_le_bytes(), &stays, false);
        }
        // Each watches several keys: none of its entries may keep another alive.
        for round in 0..10_000u32 {
            let goes = Arc::default();
            for key in [round, round + 1, 7] {
                table.watch(&key.to_le_bytes(), &goes, false);
            }
        }
        let kept: usize = table
            .watchers
            .iter()
            .map(|(_, watchers)| watchers.len())
            .sum();
        assert_eq!(kept, table.len);
        assert!(kept < 1000, "{kept} watchers are kept");
        assert_eq!(Arc::weak_count(&stays), 100);
        table.touch(&99u32.to_le_bytes());
        assert!(stays.is_set());
    }

    #[test]
    fn every_watcher_of_a_key_learns_of_its_change() {
        let mut table = WatchTable::default();
        let flags: Vec<Arc<WatchFlag>> = (0..1000).map(|_| Arc::default()).collect();
        for flag in &flags {
            table.watch(b"key", flag, false);
        }
        table.touch(b"another");
        assert!(!flags.iter().any(|flag| flag.is_set()));
        table.touch(b"key");
        assert!(flags.iter().all(|flag| flag.is_set()));
    }

    #[test]
    fn the_end_of_a_key_that_was_watched_after_its_time_is_no_change() {
        let mut table = WatchTable::default();
        let (before, after) = (Arc::default(), Arc::default());
        table.watch(b"key", &before, false);
        table.watch(b"key", &after, true);
        assert!(table.was_expired(b"key", &after) && !table.was_expired(b"key", &before));
        table.touch_expired(b"key");
        assert!(before.is_set() && !after.is_set());
        assert_eq!((table.len, table.was_expired(b"key", &after)), (1, false));
        table.touch(b"key");
        assert!(after.is_set());
    }
}
