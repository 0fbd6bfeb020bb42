//! Tests of eviction, against naive twins.

use std::collections::BTreeMap;

use hashbrown::DefaultHashBuilder;
use proptest::prelude::*;

use super::*;
use crate::ids::ShardId;
use crate::keyspace::KeyspacePolicy;
use crate::keyspace::access::AccessPolicy;
use crate::keyspace::value::{StringValue, Value};

/// A time from which on there are keys.
const NOW_MS: u64 = 1_800_000_000_000;

fn keyspace() -> Keyspace {
    let mut keyspace = Keyspace::new(ShardId(0), 3, DefaultHashBuilder::default());
    keyspace.effects.set_recording(true);
    keyspace.now_ms = NOW_MS;
    keyspace
}

fn put(keyspace: &mut Keyspace, db: usize, key: &[u8], expire_ms: Option<u64>) {
    let now_ms = keyspace.now_ms;
    let mut handle = keyspace.write(db, key, now_ms);
    handle.insert(Value::String(StringValue::Integer(1)));
    handle.set_expiry(expire_ms);
    handle.covered();
}

fn evict(keyspace: &mut Keyspace, choice: Choice) -> Option<Victim> {
    let victim = keyspace.victim(choice)?;
    keyspace.drop_victim(&victim, || 0);
    keyspace.tell_evicted(&victim, false);
    Some(victim)
}

fn choice(name: &str, samples: usize) -> Choice {
    let policy = EvictionPolicy::named(name).unwrap_or_else(|| unreachable!("{name}"));
    Choice { policy, samples }
}

#[test]
fn policies_have_the_names_of_redis() {
    assert_eq!(EvictionPolicy::named("noeviction"), None);
    let of = |name| EvictionPolicy::named(name).map(|policy| (policy.volatile, policy.order));
    assert_eq!(of("allkeys-lru"), Some((false, Order::Recency)));
    assert_eq!(of("allkeys-lfu"), Some((false, Order::Frequency)));
    assert_eq!(of("allkeys-random"), Some((false, Order::Random)));
    assert_eq!(of("volatile-lru"), Some((true, Order::Recency)));
    assert_eq!(of("volatile-lfu"), Some((true, Order::Frequency)));
    assert_eq!(of("volatile-random"), Some((true, Order::Random)));
    assert_eq!(of("volatile-ttl"), Some((true, Order::Expiry)));
}

#[test]
fn an_evicted_key_is_deleted_in_the_log_and_told_of() {
    let mut keyspace = keyspace();
    keyspace.policy = KeyspacePolicy {
        notify: EventClass(EventClass::EVICTED.0 | EventClass::KEYEVENT.0),
        ..KeyspacePolicy::default()
    };
    put(&mut keyspace, 2, b"key", None);
    keyspace.take_events();
    let victim = evict(&mut keyspace, choice("allkeys-lru", 5));
    let key: Box<[u8]> = b"key".as_slice().into();
    assert_eq!(victim, Some(Victim { db: 2, key }));
    let commands: Vec<_> = keyspace
        .effects
        .effects()
        .map(|effect| effect.command)
        .collect();
    assert_eq!(commands, [b"*2\r\n$3\r\nDEL\r\n$3\r\nkey\r\n"]);
    let events = keyspace.take_events();
    assert_eq!(
        (events.len(), events[0].name, events[0].db),
        (1, "evicted", 2)
    );
    assert_eq!(keyspace.counters().evicted.get(), 1);
    assert_eq!(evict(&mut keyspace, choice("allkeys-lru", 5)), None);
}

/// Keys of which half was used long ago: with many samples nearly all that go are of these.
fn share_of_old_ones(name: &str, access: AccessPolicy) -> usize {
    let mut keyspace = keyspace();
    keyspace.policy.access = access;
    for n in 0..400_u32 {
        put(
            &mut keyspace,
            0,
            &n.to_be_bytes(),
            Some(NOW_MS + 1_000_000_000),
        );
    }
    keyspace.now_ms += 600_000;
    for n in 200..400_u32 {
        for _ in 0..20 {
            keyspace.read(0, &n.to_be_bytes(), NOW_MS + 600_000, true);
        }
    }
    let choice = choice(name, 10);
    let evicted = (0..150).filter_map(|_| evict(&mut keyspace, choice));
    let is_old = |victim: &Victim| victim.key[2..] < 200_u16.to_be_bytes()[..];
    evicted.filter(is_old).count()
}

#[test]
fn the_least_used_keys_go_first() {
    let frequency = AccessPolicy::Frequency {
        log_factor: 1,
        decay_minutes: 10,
    };
    for keys in ["allkeys", "volatile"] {
        let old = share_of_old_ones(&format!("{keys}-lru"), AccessPolicy::Recency);
        assert!(old >= 140, "{keys}-lru: {old}");
        let old = share_of_old_ones(&format!("{keys}-lfu"), frequency);
        assert!(old >= 140, "{keys}-lfu: {old}");
    }
}

#[test]
fn one_key_in_ten_thousand_that_expires_is_found() {
    let mut keyspace = keyspace();
    for n in 0..10_000_u32 {
        put(&mut keyspace, 1, &n.to_be_bytes(), None);
    }
    for name in [
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        put(&mut keyspace, 1, b"ends", Some(NOW_MS + 5000));
        let victim = evict(&mut keyspace, choice(name, 1));
        assert_eq!(
            victim.map(|victim| victim.key),
            Some(b"ends".as_slice().into())
        );
        assert_eq!(evict(&mut keyspace, choice(name, 1)), None);
    }
}

proptest! {
    #![proptest_config(crate::property::cases(256))]
    #[test]
    fn the_best_of_those_offered_are_remembered(offers in proptest::collection::vec((0..40_u64, 0..3_usize, 0..12_u8), 0..200)) {
        let mut candidates = Candidates::default();
        // All that were offered and not thrown out: the best, of equals those that came first.
        let mut twin: Vec<(u64, Victim)> = Vec::new();
        for (score, db, key) in offers {
            candidates.offer(score, db, &[key]);
            let victim = Victim { db, key: [key].as_slice().into() };
            let len = twin.len();
            twin.retain(|(_, other)| *other != victim);
            if twin.len() == len && len == CANDIDATES_MAX {
                if twin.iter().all(|(other, _)| score <= *other) {
                    continue;
                }
                twin.remove(0);
            }
            twin.push((score, victim));
            twin.sort_by_key(|(score, _)| *score);
        }
        prop_assert_eq!(candidates.list, twin);
    }

    #[test]
    fn what_goes_was_there_and_might_go(
        steps in proptest::collection::vec((0..4_u8, 0..3_usize, 0..30_u8, proptest::option::of(1..50_u64)), 1..300),
        policy in proptest::sample::select(vec![
            "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
        ]),
        samples in 1..8_usize,
    ) {
        let mut keyspace = keyspace();
        let choice = choice(policy, samples);
        // (database, key): its end.
        let mut twin: BTreeMap<(usize, Vec<u8>), Option<u64>> = BTreeMap::new();
        for (step, db, key, end) in steps {
            let end = end.map(|end| NOW_MS + 1000 * end);
            match step {
                0 | 1 => {
                    put(&mut keyspace, db, &[key], end);
                    twin.insert((db, vec![key]), end);
                }
                2 => {
                    let mut handle = keyspace.write(db, std::slice::from_ref(&key), NOW_MS);
                    handle.remove();
                    handle.covered();
                    drop(handle);
                    twin.remove(&(db, vec![key]));
                }
                _ => {
                    let might_go = |end: &Option<u64>| !choice.policy.volatile || end.is_some();
                    let count = twin.values().filter(|end| might_go(end)).count();
                    prop_assert_eq!(keyspace.evictable_count(choice.policy), count);
                    let first = twin.values().flatten().min().copied();
                    let Some(victim) = evict(&mut keyspace, choice) else {
                        prop_assert_eq!(count, 0);
                        continue;
                    };
                    let end = twin.remove(&(victim.db, victim.key.to_vec()));
                    prop_assert!(end.is_some_and(|end| might_go(&end)), "{victim:?}");
                    if choice.policy.order == Order::Expiry {
                        prop_assert_eq!(end.flatten(), first);
                    }
                }
            }
        }
        let left: usize = (0..3).map(|db| keyspace.database(db).table().len()).sum();
        prop_assert_eq!(left, twin.len());
    }
}
