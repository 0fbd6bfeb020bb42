//! Which scripts there are: those of SCRIPT LOAD, and the last ones of EVAL. For all threads.
//!
//! A script that has left the cache says so itself ([`Script::is_gone`]): a thread that has compiled it looks before it runs it, and
//! need not ask the cache.
//!
//! Source: SCRIPT LOAD, SCRIPT FLUSH; Redis 7.4 for what is forgotten.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sha1::{Digest as _, Sha1};

use crate::limits;

use super::flags::{ScriptFlags, of_script};

/// The SHA1 of a script.
pub(crate) type Sha = [u8; 20];

/// The SHA1 of a text.
pub(crate) fn sha_of(text: &[u8]) -> Sha {
    Sha1::digest(text).into()
}

/// A SHA1 as 40 hex digits of any case.
pub(crate) fn sha_from_hex(hex: &[u8]) -> Option<Sha> {
    let mut sha = [0; 20];
    if hex.len() != 2 * sha.len() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    for (byte, pair) in sha.iter_mut().zip(hex.chunks_exact(2)) {
        let (high, low) = (digit(pair[0])?, digit(pair[1])?);
        *byte = (high << 4 | low) as u8;
    }
    Some(sha)
}

/// A script of EVAL or SCRIPT LOAD.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its name.
    pub(crate) sha: Sha,
    /// The text as it was sent.
    pub(crate) text: Box<[u8]>,
    /// What its first line says.
    pub(crate) flags: ScriptFlags,
    /// Every key that it can touch is one of its KEYS.
    pub(crate) keys_are_declared: bool,
    /// It is not in the cache any more.
    is_gone: AtomicBool,
    /// It came with SCRIPT LOAD, and stays.
    stays: AtomicBool,
    /// When it was used last, in uses of all scripts.
    used: AtomicU64,
}

impl Script {
    /// Whether it has left the cache.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// What is to be compiled: without the first line, whose end is there.
    pub(crate) fn code(&self) -> &[u8] {
        of_script(&self.text).map_or(&self.text, |(_, code)| code)
    }
}

/// See the head of the module.
#[derive(Debug, Default)]
pub(crate) struct ScriptCache {
    scripts: RwLock<HashMap<Sha, Arc<Script>>>,
    /// Uses so far.
    clock: AtomicU64,
    /// Moves when all are forgotten.
    flushes: AtomicU64,
    /// Bytes of all texts.
    bytes: AtomicUsize,
    /// Scripts forgotten to make room.
    evicted: AtomicU64,
}

impl ScriptCache {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Sha, Arc<Script>>> {
        self.scripts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Sha, Arc<Script>>> {
        self.scripts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A script by its name.
    pub(crate) fn get(&self, sha: &Sha) -> Option<Arc<Script>> {
        self.read().get(sha).cloned()
    }

    /// Whether there is one of this name.
    pub(crate) fn has(&self, sha: &Sha) -> bool {
        self.read().contains_key(sha)
    }

    /// Notes that a script is used.
    pub(crate) fn touch(&self, script: &Script) {
        // Those of SCRIPT LOAD stay anyhow: no line of memory that all threads write.
        if !script.stays.load(Ordering::Relaxed) {
            let now = self.clock.fetch_add(1, Ordering::Relaxed);
            script.used.store(now, Ordering::Relaxed);
        }
    }

    /// Adds a script; `stays`: SCRIPT LOAD. The one there is, if it is there already. `keys_are_declared` is asked of its code.
    ///
    /// # Errors
    ///
    /// Its first line is wrong: the text for the client.
    pub(crate) fn add(
        &self,
        sha: Sha,
        text: &[u8],
        stays: bool,
        keys_are_declared: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Arc<Script>, String> {
        let (flags, code) = of_script(text)?;
        let keys_are_declared = keys_are_declared(code);
        let mut scripts = self.write();
        if let Some(script) = scripts.get(&sha) {
            script.stays.fetch_or(stays, Ordering::Relaxed);
            return Ok(Arc::clone(script));
        }
        if !stays {
            self.make_room(&mut scripts);
        }
        let script = Arc::new(Script {
            sha,
            text: text.into(),
            flags,
            keys_are_declared,
            is_gone: AtomicBool::new(false),
            stays: AtomicBool::new(stays),
            used: AtomicU64::new(self.clock.fetch_add(1, Ordering::Relaxed)),
        });
        self.bytes.fetch_add(text.len(), Ordering::Relaxed);
        scripts.insert(sha, Arc::clone(&script));
        Ok(script)
    }

    /// The script of EVAL that was not used for longest goes, when there are many.
    fn make_room(&self, scripts: &mut HashMap<Sha, Arc<Script>>) {
        let passing = scripts
            .values()
            .filter(|script| !script.stays.load(Ordering::Relaxed));
        if passing.clone().count() < limits::EVAL_SCRIPTS_MAX {
            return;
        }
        let oldest = passing.min_by_key(|script| script.used.load(Ordering::Relaxed));
        if let Some(sha) = oldest.map(|script| script.sha) {
            self.evicted.fetch_add(1, Ordering::Relaxed);
            self.remove(scripts, &sha);
        }
    }

    fn remove(&self, scripts: &mut HashMap<Sha, Arc<Script>>, sha: &Sha) {
        if let Some(script) = scripts.remove(sha) {
            script.is_gone.store(true, Ordering::Release);
            self.bytes.fetch_sub(script.text.len(), Ordering::Relaxed);
        }
    }

    /// Forgets all (SCRIPT FLUSH).
    pub(crate) fn clear(&self) {
        let mut scripts = self.write();
        // Not its room either.
        for (_, script) in std::mem::take(&mut *scripts) {
            script.is_gone.store(true, Ordering::Release);
        }
        self.bytes.store(0, Ordering::Relaxed);
        self.flushes.fetch_add(1, Ordering::AcqRel);
    }

    /// How often all were forgotten: a thread that sees it move renews its state.
    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    /// Bytes that they take, about, without what threads have compiled.
    pub(crate) fn used_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) + self.len() * (size_of::<Script>() + 64)
    }

    /// Scripts forgotten to make room.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_of_eval_go_when_there_are_many_and_those_loaded_stay() {
        let cache = ScriptCache::default();
        let add = |number: usize, stays| {
            let text = format!("return {number}");
            let added = cache.add(sha_of(text.as_bytes()), text.as_bytes(), stays, |_| false);
            added.expect("a script")
        };
        let loaded = add(0, true);
        let first = add(1, false);
        let second = add(2, false);
        for number in 3..=limits::EVAL_SCRIPTS_MAX {
            add(number, false);
        }
        cache.touch(&first);
        add(1_000_000, false);
        assert!(second.is_gone() && !first.is_gone() && !loaded.is_gone());
        assert_eq!(
            (cache.len(), cache.evicted()),
            (limits::EVAL_SCRIPTS_MAX + 1, 1)
        );
        cache.clear();
        assert!(first.is_gone() && loaded.is_gone());
        assert_eq!(cache.used_bytes(), 0);
    }

    #[test]
    fn a_sha_is_read_in_any_case() {
        let sha = sha_of(b"return 1");
        assert_eq!(
            sha_from_hex(b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"),
            Some(sha)
        );
        assert_eq!(
            sha_from_hex(b"E0E1F9FABFC9D4800C877A703B823AC0578FF8DB"),
            Some(sha)
        );
        assert_eq!(sha_from_hex(b"e0e1"), None);
        assert_eq!(sha_from_hex(&[b'g'; 40]), None);
    }
}
