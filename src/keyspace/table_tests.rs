#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::keyspace::value::StringValue;

fn entry(key: &[u8], number: i64) -> Entry {
    Entry {
        key: key.into(),
        value: Value::String(StringValue::Integer(number)),
        expire_ms: 0,
        accessed_s: 0,
    }
}

fn number(entry: &Entry) -> i64 {
    match &entry.value {
        Value::String(StringValue::Integer(number)) => *number,
        other => panic!("{other:?}"),
    }
}

proptest! {
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
        for (key, value) in &model {
            let at = table.find(table.hash(key), key).unwrap();
            prop_assert_eq!(number(table.get(at).unwrap()), *value);
        }
        prop_assert_eq!(table.iter().count(), model.len());
    }
}

#[test]
fn a_scan_meets_every_key_present_throughout_while_segments_split() {
    let mut table = KeyTable::new(DefaultHashBuilder::default());
    let stay: BTreeSet<Vec<u8>> = (0..900).map(|n| format!("stay:{n}").into_bytes()).collect();
    for key in &stay {
        let hash = table.hash(key);
        table.insert(hash, entry(key, 0));
    }
    let mut met = BTreeSet::new();
    let mut position = 0;
    let mut round = 0;
    loop {
        let mut met_now = 0;
        let next = table.scan(position, 10, |entry| {
            met.insert(entry.key.to_vec());
            met_now += 1;
        });
        assert!(
            met_now <= 11,
            "a position is nearly always one key: {met_now}"
        );
        for n in 0..300 {
            let key = format!("new:{round}:{n}").into_bytes();
            let hash = table.hash(&key);
            if round < 30 {
                table.insert(hash, entry(&key, 0));
            }
        }
        round += 1;
        match next {
            Some(next) => position = next,
            None => break,
        }
    }
    assert!(stay.is_subset(&met));
}

#[test]
fn an_empty_table_scans_to_its_end_at_once() {
    let table = KeyTable::new(DefaultHashBuilder::default());
    assert_eq!(table.scan(0, 10, |_| panic!("nothing to meet")), None);
    assert!(table.random(|| 1).is_none());
}

#[test]
fn an_entry_found_by_its_hash_has_that_hash() {
    let mut table = KeyTable::new(DefaultHashBuilder::default());
    let keys: Vec<Vec<u8>> = (0..800).map(|n| format!("key:{n}").into_bytes()).collect();
    for key in &keys {
        table.insert(table.hash(key), entry(key, 0));
    }
    for key in &keys {
        let found = table.find_by_hash(table.hash(key), |_| true).unwrap();
        assert_eq!(*found.key, **key);
    }
}
