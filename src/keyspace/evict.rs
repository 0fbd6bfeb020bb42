//! Which key goes when memory is short (`maxmemory-policy`).
//!
//! ```text
//! table, or keys that expire ── a few at random ──► candidates: the 16 best of those seen, worst first ──► the best that is still there
//! ```
//! Nothing is sorted by use: a few keys are looked at, and the best of them are remembered for the next time. Of keys that
//! expire the next to end is known exactly. Source: "Key eviction" of Redis, approximated LRU.
//!
//! Invariants: no candidate is there twice; the candidates are in the order of their scores. Not here: how much is to go, and
//! when (the engine measures that).

use std::sync::Arc;

use super::Keyspace;
use super::discard::still_held;
use super::event::EventClass;
use super::table::Entry;

/// Candidates that are remembered.
const CANDIDATES_MAX: usize = 16;
/// Keys of a table that are looked at for one that expires, before the list of those is asked, which favours some.
const TRIES: usize = 8;

/// What decides among the keys that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The one that was not used for longest.
    Recency,
    /// The one that is used least often.
    Frequency,
    /// The one that ends first.
    Expiry,
    /// Any.
    Random,
}

/// A policy that evicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EvictionPolicy {
    /// Only keys that expire may go.
    pub(crate) volatile: bool,
    /// Which of them.
    pub(crate) order: Order,
}

impl EvictionPolicy {
    /// By the name of `maxmemory-policy`; none for `noeviction`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (keys, order) = name.split_once('-')?;
        let order = match order {
            "lru" => Order::Recency,
            "lfu" => Order::Frequency,
            "ttl" => Order::Expiry,
            _ => Order::Random,
        };
        Some(Self {
            volatile: keys == "volatile",
            order,
        })
    }
}

/// How a key is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// Among which, by what.
    pub(crate) policy: EvictionPolicy,
    /// Keys that are looked at in each database (`maxmemory-samples`).
    pub(crate) samples: usize,
}

/// A key that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    /// Its database.
    pub(crate) db: usize,
    /// Its name.
    pub(crate) key: Box<[u8]>,
}

/// A number without pattern, and the state for the next. Splitmix64, as of Steele, Lea and Flood.
pub(super) fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The best of the keys that were looked at, the best last.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    list: Vec<(u64, Victim)>,
    /// For which policy their scores are.
    policy: Option<EvictionPolicy>,
    /// The database that was asked last where any key will do.
    db: usize,
}

impl Candidates {
    /// Remembers a key if it is better than the worst of those that are remembered.
    fn offer(&mut self, score: u64, db: usize, key: &[u8]) {
        let is_it = |(_, victim): &(u64, Victim)| victim.db == db && *victim.key == *key;
        if let Some(at) = self.list.iter().position(is_it) {
            self.list.remove(at);
        } else if self.list.len() == CANDIDATES_MAX {
            if self.list.first().is_some_and(|(worst, _)| score <= *worst) {
                return;
            }
            self.list.remove(0);
        }
        let at = self.list.partition_point(|(other, _)| *other <= score);
        let key = key.into();
        self.list.insert(at, (score, Victim { db, key }));
    }

    /// Scores of another policy mean nothing.
    fn follow(&mut self, policy: EvictionPolicy) {
        if self.policy != Some(policy) {
            self.list.clear();
            self.policy = Some(policy);
        }
    }
}

impl Keyspace {
    /// How many keys may go.
    pub(crate) fn evictable_count(&self, policy: EvictionPolicy) -> usize {
        (0..self.databases.len())
            .map(|db| self.evictable_in(db, policy))
            .sum()
    }

    fn evictable_in(&self, db: usize, policy: EvictionPolicy) -> usize {
        let database = &self.databases[db];
        if policy.volatile {
            database.expiries.len()
        } else {
            database.table.len()
        }
    }

    /// The key that is to go next; none when no key may go.
    pub(crate) fn victim(&mut self, choice: Choice) -> Option<Victim> {
        match choice.policy.order {
            Order::Expiry => self.next_to_end(),
            Order::Random => self.any_key(choice.policy),
            Order::Recency | Order::Frequency => self.least_used(choice),
        }
    }

    fn next_to_end(&self) -> Option<Victim> {
        let databases = self.databases.iter().enumerate();
        let firsts = databases.filter_map(|(db, database)| {
            database.expiries.first().map(|(at, hash)| (*at, *hash, db))
        });
        let (at, hash, db) = firsts.min()?;
        self.victim_of(db, (at, hash))
    }

    /// The key of an entry of the index of expiries.
    fn victim_of(&self, db: usize, (at, hash): (u64, u64)) -> Option<Victim> {
        let table = &self.databases[db].table;
        let entry = table.find_by_hash(hash, |entry| entry.expiry() == Some(at))?;
        let key = (*entry.key).into();
        Some(Victim { db, key })
    }

    /// From one database after the other. Source: Redis, so that each of them loses keys.
    fn any_key(&mut self, policy: EvictionPolicy) -> Option<Victim> {
        for _ in 0..self.databases.len() {
            self.candidates.db = (self.candidates.db + 1) % self.databases.len();
            let db = self.candidates.db;
            if let Some(victim) = self.sample(db, policy, |entry| (*entry.key).into()) {
                return Some(Victim { db, key: victim });
            }
        }
        None
    }

    /// A key of a database that may go, at random.
    fn sample<T>(
        &mut self,
        db: usize,
        policy: EvictionPolicy,
        take: impl FnOnce(&Entry) -> T,
    ) -> Option<T> {
        let mut state = self.chances;
        let database = &self.databases[db];
        let found = if !policy.volatile {
            database.table.random(|| draw(&mut state))
        } else if database.expiries.is_empty() {
            None
        } else {
            // Most often nearly all keys expire, or a good part of them.
            let mut tries = (0..TRIES).map(|_| database.table.random(|| draw(&mut state)));
            let expires = |entry: &&Entry| entry.expiry().is_some();
            match tries.find_map(|entry| entry.filter(expires)) {
                Some(entry) => Some(entry),
                None => database.random_expiring(&mut state),
            }
        };
        let taken = found.map(take);
        self.chances = state;
        taken
    }

    fn least_used(&mut self, choice: Choice) -> Option<Victim> {
        let policy = choice.policy;
        self.candidates.follow(policy);
        while self.evictable_count(policy) > 0 {
            for db in 0..self.databases.len() {
                let count = self.evictable_in(db, policy).min(choice.samples);
                for _ in 0..count {
                    self.look_at_one(db, policy);
                }
            }
            while let Some((_, victim)) = self.candidates.list.pop() {
                let table = &self.databases[victim.db].table;
                let at = table.find(table.hash(&victim.key), &victim.key);
                let entry = at.and_then(|at| table.get(at));
                if entry.is_some_and(|entry| !policy.volatile || entry.expiry().is_some()) {
                    return Some(victim);
                }
            }
        }
        None
    }

    fn look_at_one(&mut self, db: usize, policy: EvictionPolicy) {
        let (access, now_ms) = (self.policy.access, self.now_ms);
        let score = |entry: &Entry| match policy.order {
            Order::Frequency => u64::from(255 - entry.access().frequency(access, now_ms)),
            _ => entry.access().idle_s(now_ms),
        };
        let seen = self.sample(db, policy, |entry| (score(entry), Box::from(&*entry.key)));
        if let Some((score, key)) = seen {
            let key: Box<[u8]> = key;
            self.candidates.offer(score, db, &key);
        }
    }

    /// Takes a key out to make room. Gives the bytes that it has made free: what the thread gives back meanwhile, what another
    /// thread frees later, and what is kept only for the saver of a snapshot, which does not count as used. `net`: bytes that this
    /// thread has taken and not given back. [`Keyspace::tell_evicted`] follows.
    pub(crate) fn drop_victim(&mut self, victim: &Victim, net: impl Fn() -> i64) -> i64 {
        let (net_before, kept_before) = (net(), self.kept_for_snapshot());
        let hash = self.databases[victim.db].table.hash(&victim.key);
        let Some(Entry { key, value, .. }) = self.take_entry(victim.db, &victim.key, hash) else {
            return 0;
        };
        // Its name may be most of it.
        drop(key);
        let kept = self.kept_for_snapshot() - kept_before;
        if kept > 0 {
            self.discards.add_value(value);
            return net_before - net() + kept as i64;
        }
        let in_hands = self.in_savers_hands().map(Arc::clone);
        let bytes = match &in_hands {
            Some(_) => value.estimated_bytes() as u64,
            None => 0,
        };
        let counters = Arc::clone(&self.counters);
        let elsewhere = self
            .discards
            .add_evicted(value, &counters, in_hands.clone());
        let freed = net_before - net();
        let held = match in_hands {
            Some(handed) if elsewhere == 0 => {
                handed.owe(still_held(bytes, u64::try_from(freed).unwrap_or(0)))
            }
            _ => 0,
        };
        freed + (elsewhere + held) as i64
    }

    /// A key was evicted: watchers, caches and waiters learn of it, and the log. `unlink`: by UNLINK (`lazyfree-lazy-eviction`).
    pub(crate) fn tell_evicted(&mut self, victim: &Victim, unlink: bool) {
        let Victim { db, key } = victim;
        self.counters.evicted.add(1);
        self.touch(*db, key);
        self.push_event(*db, EventClass::EVICTED, "evicted", key);
        self.mark_ready(*db, key);
        let name: &[u8] = if unlink { b"UNLINK" } else { b"DEL" };
        // Redis counts no change of anybody's.
        self.effects.record(*db, 0, |effect| {
            effect.arg(name).arg(key);
        });
    }
}

impl super::Database {
    /// A key that expires, near a time at random between the first end and the last; `None` when there is none.
    fn random_expiring(&self, state: &mut u64) -> Option<&Entry> {
        let (first, last) = (self.expiries.first()?, self.expiries.last()?);
        let time = first.0 + draw(state) % (last.0 - first.0).saturating_add(1).max(1);
        let from = (time, draw(state));
        let mut behind = self.expiries.range(from..);
        let (at, hash) = behind.next().unwrap_or(last);
        self.table
            .find_by_hash(*hash, |entry| entry.expiry() == Some(*at))
    }
}

#[cfg(test)]
#[path = "evict_tests.rs"]
mod tests;
