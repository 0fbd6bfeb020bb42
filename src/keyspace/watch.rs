//! Who watches which key (WATCH).
//!
//! An entry holds the watcher's dirty flag; a change of the key sets it. No versions. A watcher that is gone leaves a
//! flag that nobody reads, dropped when met.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    watchers: HashMap<Box<[u8]>, Vec<Arc<WatchFlag>>>,
}

impl WatchTable {
    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Number of watched keys.
    pub fn key_count(&self) -> usize {
        self.watchers.len()
    }

    /// Adds a watcher of a key.
    pub fn watch(&mut self, key: &[u8], flag: Arc<WatchFlag>) {
        let flags = self.watchers.entry(key.into()).or_default();
        // The other end of a flag is the client's WATCH set: without it nobody will read it.
        flags.retain(|flag| Arc::strong_count(flag) > 1);
        flags.push(flag);
    }

    /// Takes a watcher of a key out.
    pub fn unwatch(&mut self, key: &[u8], flag: &Arc<WatchFlag>) {
        if let Some(flags) = self.watchers.get_mut(key) {
            flags.retain(|other| !Arc::ptr_eq(other, flag) && Arc::strong_count(other) > 1);
            if flags.is_empty() {
                self.watchers.remove(key);
            }
        }
    }

    /// The key changed.
    pub fn touch(&mut self, key: &[u8]) {
        if let Some(flags) = self.watchers.remove(key) {
            for flag in flags {
                flag.set();
            }
        }
    }

    /// Every watched key.
    pub fn keys(&self) -> Vec<Box<[u8]>> {
        self.watchers.keys().cloned().collect()
    }
}
