#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::keyspace::value::StringValue;

fn entry(key: &[u8], number: i64) -> Entry {
    let value = Value::String(StringValue::Integer(number));
    Entry::new(key, value, Access::default())
}

fn number(entry: &Entry) -> i64 {
    match &entry.value {
        Value::String(StringValue::Integer(number)) => *number,
        other => panic!("{other:?}"),
    }
}

/// What must hold between any two changes.
fn check(table: &KeyTable) {
    assert_eq!(table.directory.len(), 1 << table.depth);
    let mut depths = [0; DEPTH_MAX as usize + 1];
    for (number, segment) in table.segments.iter().enumerate() {
        depths[segment.depth as usize] += 1;
        let span = table.span(segment.depth, segment.prefix);
        assert!(table.directory[span].iter().all(|at| *at == number as u32));
        for entry in segment.entries() {
            let hash = table.hash(&entry.key);
            assert_eq!(table.segment_of(hash), number as u32);
            assert!(std::ptr::eq(
                table.get(table.find(hash, &entry.key).unwrap()).unwrap(),
                entry
            ));
        }
    }
    assert_eq!(depths, table.depths);
    let covered: usize = (table.segments.iter())
        .map(|segment| table.span(segment.depth, segment.prefix).len())
        .sum();
    assert_eq!(covered, table.directory.len());
    let entries: usize = table.segments.iter().map(|segment| segment.len()).sum();
    assert_eq!(entries, table.len());
}

#[test]
fn an_entry_keeps_whatever_time_its_key_ends_at() {
    for name in ["short", "a name that is too long to be kept in place"] {
        let mut entry = entry(name.as_bytes(), 7);
        let ends = [
            None,
            Some(1),
            Some(1_800_000_000_000),
            Some(u64::MAX),
            Some(2),
        ];
        for end in ends.into_iter().chain(ends) {
            entry.set_expiry(end);
            assert_eq!(entry.expiry(), end);
            assert_eq!(*entry.key, *name.as_bytes());
            assert_eq!(number(&entry), 7);
        }
        let heap_bytes = Key::from(name.as_bytes()).heap_bytes();
        entry.set_expiry(None);
        assert_eq!(entry.key.heap_bytes(), heap_bytes);
    }
}

proptest! {
    #![proptest_config(crate::property::cases(256))]
    #[test]
    fn behaves_as_a_map(operations in prop::collection::vec((0u8..3, 0u16..3000, any::<i32>()), 0..6000)) {
        let mut table = KeyTable::new(DefaultHashBuilder::default());
        let mut model = HashMap::new();
        for (kind, key, value) in operations {
            let key = format!("key:{key}").into_bytes();
            let hash = table.hash(&key);
            match kind {
                0 | 1 => match table.find(hash, &key) {
                    Some(at) => table.get_mut(at).unwrap().value = entry(&key, value.into()).value,
                    None => { table.insert(hash, entry(&key, value.into())); }
                },
                _ => prop_assert_eq!(table.remove(hash, &key).is_some(), model.contains_key(&key)),
            }
            if kind < 2 { model.insert(key, i64::from(value)); } else { model.remove(&key); }
        }
        prop_assert_eq!(table.len(), model.len());
        check(&table);
        for (key, value) in &model {
            let at = table.find(table.hash(key), key).unwrap();
            prop_assert_eq!(number(table.get(at).unwrap()), *value);
        }
        prop_assert_eq!(table.iter().count(), model.len());
    }
}

fn add(table: &mut KeyTable, key: &[u8]) {
    table.insert(table.hash(key), entry(key, 0));
}

/// Scans a table that `change` changes after every step, given the number of the step.
fn scan_while(
    table: &mut KeyTable,
    mut change: impl FnMut(&mut KeyTable, usize),
) -> BTreeSet<Vec<u8>> {
    let mut met = BTreeSet::new();
    let mut position = 0;
    for round in 0.. {
        let mut met_now = 0;
        let next = table.scan(position, 10, |entry| {
            met.insert(entry.key.to_vec());
            met_now += 1;
        });
        assert!(
            met_now <= 11,
            "a position is nearly always one key: {met_now}"
        );
        change(table, round);
        match next {
            Some(next) => position = next,
            None => break,
        }
    }
    met
}

#[test]
fn a_scan_meets_every_key_present_throughout_while_segments_split() {
    let mut table = KeyTable::new(DefaultHashBuilder::default());
    let stay: BTreeSet<Vec<u8>> = (0..900).map(|n| format!("stay:{n}").into_bytes()).collect();
    stay.iter().for_each(|key| add(&mut table, key));
    let before = table.segments.len();
    let met = scan_while(&mut table, |table, round| {
        for n in 0..if round < 30 { 300 } else { 0 } {
            add(table, format!("new:{round}:{n}").as_bytes());
        }
    });
    check(&table);
    assert!(table.segments.len() > 4 * before);
    assert!(stay.is_subset(&met));
}

#[test]
fn a_scan_meets_every_key_present_throughout_while_segments_merge() {
    let mut table = KeyTable::new(DefaultHashBuilder::default());
    let stay: BTreeSet<Vec<u8>> = (0..900).map(|n| format!("stay:{n}").into_bytes()).collect();
    stay.iter().for_each(|key| add(&mut table, key));
    (0..60_000).for_each(|n| add(&mut table, format!("go:{n}").as_bytes()));
    let before = table.segments.len();
    let met = scan_while(&mut table, |table, round| {
        for n in 60 * round..(60 * round + 60).min(60_000) {
            let key = format!("go:{n}").into_bytes();
            table.remove(table.hash(&key), &key).unwrap();
        }
    });
    check(&table);
    assert!(
        table.segments.len() < before / 4,
        "{before} segments, then {}",
        table.segments.len()
    );
    assert!(stay.is_subset(&met));
}

#[test]
fn a_table_gives_its_room_back_when_its_keys_go() {
    let mut table = KeyTable::new(DefaultHashBuilder::default());
    let keys: Vec<Vec<u8>> = (0..200_000)
        .map(|n| format!("key:{n}").into_bytes())
        .collect();
    keys.iter().for_each(|key| add(&mut table, key));
    check(&table);
    let full = table.heap_bytes();
    let each = full / keys.len();
    assert!(
        each <= size_of::<Entry>() * 5 / 4 + 8,
        "{each} bytes for each entry"
    );
    for key in keys
        .iter()
        .enumerate()
        .filter(|(n, _)| n % 1000 > 0)
        .map(|(_, key)| key)
    {
        assert!(table.remove(table.hash(key), key).is_some());
    }
    check(&table);
    assert_eq!(table.len(), 200);
    assert!(
        table.heap_bytes() < full / 200,
        "{} of {full} bytes",
        table.heap_bytes()
    );
    for key in keys.iter().step_by(1000) {
        assert!(table.remove(table.hash(key), key).is_some());
    }
    check(&table);
    assert!(table.segments.len() == 1 && table.directory.len() <= 2);
}

#[test]
fn a_random_entry_is_any_of_them_about_equally_often() {
    let mut table = KeyTable::new(DefaultHashBuilder::default());
    (0..1000).for_each(|n| add(&mut table, format!("key:{n}").as_bytes()));
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut drawn: HashMap<Vec<u8>, u32> = HashMap::new();
    for _ in 0..100_000 {
        *drawn
            .entry(table.random(&mut random).unwrap().key.to_vec())
            .or_default() += 1;
    }
    assert_eq!(drawn.len(), 1000);
    assert!(drawn.values().all(|count| (50..160).contains(count)));
}

#[test]
fn an_empty_table_scans_to_its_end_at_once() {
    let table = KeyTable::new(DefaultHashBuilder::default());
    assert_eq!(table.scan(0, 10, |_| panic!("nothing to meet")), None);
    assert!(table.random(|| 1).is_none());
}

#[test]
fn a_hash_finds_its_own_key_and_no_other() {
    let mut table = KeyTable::new(DefaultHashBuilder::default());
    let keys: Vec<String> = (0..2000).map(|n| format!("key:{n}")).collect();
    let (there, absent) = keys.split_at(1000);
    for key in there {
        let key = key.as_bytes();
        table.insert(table.hash(key), entry(key, 0));
    }
    for key in there {
        let found = table.find_by_hash(table.hash(key.as_bytes()), |_| true);
        assert_eq!(*found.unwrap().key, *key.as_bytes());
    }
    for key in absent {
        let found = table.find_by_hash(table.hash(key.as_bytes()), |_| true);
        assert!(found.is_none(), "{key} found {found:?}");
    }
}

#[test]
fn a_short_queue_takes_one_entry_and_one_piece_of_memory() {
    assert!(size_of::<Entry>() <= 72, "{}", size_of::<Entry>());
    assert!(size_of::<Value>() <= 32, "{}", size_of::<Value>());
}
