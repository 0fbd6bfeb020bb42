//! Who watches which key (WATCH).
//!
//! An entry points to the watcher's dirty flag; a change of the key sets it. No versions. The session owns the flag: when it
//! forgets its WATCH set (EXEC, DISCARD, UNWATCH, RESET, its end) the flag is gone and nobody has to come here for it. What
//! pointed to it goes when the key changes, or with the sweep of a table that has doubled.
//!
//! Invariant: a flag stands once in the list of a key, which is in the order of the flags' addresses.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Watchers of a table below which it is not swept.
const SWEEP_MIN: usize = 64;

/// The dirty flag of one client's WATCH set; EXEC reads it.
#[derive(Debug, Default)]
pub struct WatchFlag(AtomicBool);

impl WatchFlag {
    /// A watched key changed.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a watched key changed.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The watched keys of one database of one keyspace.
#[derive(Debug, Default)]
pub struct WatchTable {
    watchers: HashMap<Box<[u8]>, Vec<Weak<WatchFlag>>>,
    /// Watchers of all keys, the gone included until met.
    len: usize,
    /// How many there were after the last sweep.
    swept_len: usize,
}

impl WatchTable {
    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Adds a watcher of a key, unless it watches it already. Amortised O(log watchers of the key).
    pub fn watch(&mut self, key: &[u8], flag: &Arc<WatchFlag>) {
        if self.len >= 2 * self.swept_len.max(SWEEP_MIN) {
            self.sweep();
        }
        if !self.watchers.contains_key(key) {
            self.watchers.insert(key.into(), Vec::new());
        }
        if let Some(flags) = self.watchers.get_mut(key)
            && let Err(at) = flags.binary_search_by_key(&Arc::as_ptr(flag), Weak::as_ptr)
        {
            flags.insert(at, Arc::downgrade(flag));
            self.len += 1;
        }
    }

    /// Forgets the watchers that are gone.
    fn sweep(&mut self) {
        self.len = 0;
        self.watchers.retain(|_, flags| {
            flags.retain(|flag| flag.strong_count() > 0);
            self.len += flags.len();
            !flags.is_empty()
        });
        self.swept_len = self.len;
        if self.watchers.capacity() > 4 * self.watchers.len().max(SWEEP_MIN) {
            self.watchers.shrink_to_fit();
        }
    }

    /// The key changed.
    pub fn touch(&mut self, key: &[u8]) {
        if let Some(flags) = self.watchers.remove(key) {
            self.len -= flags.len();
            for flag in flags.iter().filter_map(Weak::upgrade) {
                flag.set();
            }
        }
    }

    /// Every watched key.
    pub fn keys(&self) -> Vec<Box<[u8]>> {
        self.watchers.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_named_again_is_watched_once() {
        let (mut table, flag) = (WatchTable::default(), Arc::default());
        for _ in 0..1000 {
            table.watch(b"key", &flag);
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
            table.watch(&key.to_le_bytes(), &stays);
        }
        // Each watches several keys: none of its entries may keep another alive.
        for round in 0..10_000u32 {
            let goes = Arc::default();
            for key in [round, round + 1, 7] {
                table.watch(&key.to_le_bytes(), &goes);
            }
        }
        let kept: usize = table.watchers.values().map(Vec::len).sum();
        assert_eq!(kept, table.len);
        assert!(kept < 1000, "{kept} watchers are kept");
        assert!(table.watchers.capacity() < 4000);
        assert_eq!(Arc::weak_count(&stays), 100);
        table.touch(&99u32.to_le_bytes());
        assert!(stays.is_set());
    }

    #[test]
    fn every_watcher_of_a_key_learns_of_its_change() {
        let mut table = WatchTable::default();
        let flags: Vec<Arc<WatchFlag>> = (0..1000).map(|_| Arc::default()).collect();
        for flag in &flags {
            table.watch(b"key", flag);
        }
        table.touch(b"another");
        assert!(!flags.iter().any(|flag| flag.is_set()));
        table.touch(b"key");
        assert!(flags.iter().all(|flag| flag.is_set()));
    }
}
