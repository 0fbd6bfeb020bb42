#![allow(clippy::unwrap_used, reason = "tests")]
//! Hashes against a map of byte strings, with every limit, and shares that must not change.

use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

/// Fields with their values and ends.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;
/// Fields with their values.
type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

fn pairs_of(model: &Model) -> Pairs {
    let pairs = model.iter();
    pairs
        .map(|(field, (value, _))| (field.clone(), value.clone()))
        .collect()
}

#[derive(Clone, Debug)]
enum Operation {
    Set(Vec<(Vec<u8>, Vec<u8>)>, bool),
    SetEnd(Vec<u8>, Option<u64>),
    TakeEnded(u64, usize),
    Remove(Vec<u8>),
    Share,
    Scan(usize),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (-20i64..20).prop_map(|n| n.to_string().into_bytes()),
        3 => (0usize..12).prop_map(|n| vec![b'x'; n]),
        1 => (0usize..80).prop_map(|n| vec![b'y'; n]),
        1 => Just(b"+1".to_vec()),
        1 => Just(b"00".to_vec()),
        1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let pair = (text(), text());
    prop_oneof![
        5 => (proptest::collection::vec(pair, 1..6), any::<bool>()).prop_map(|(pairs, keep)| Operation::Set(pairs, keep)),
        3 => text().prop_map(Operation::Remove),
        2 => (text(), proptest::option::of(1u64..100)).prop_map(|(field, ms)| Operation::SetEnd(field, ms)),
        1 => (0u64..100, 1usize..9).prop_map(|(ms, count)| Operation::TakeEnded(ms, count)),
        1 => Just(Operation::Share),
        1 => (1usize..9).prop_map(Operation::Scan),
    ]
}

fn limits() -> impl Strategy<Value = PackLimits> {
    let entry_count_max = prop_oneof![Just(0), Just(1), Just(8), Just(128)];
    let text_bytes_max = prop_oneof![Just(0), Just(4), Just(64)];
    (entry_count_max, text_bytes_max).prop_map(|(entry_count_max, text_bytes_max)| PackLimits {
        entry_count_max,
        text_bytes_max,
    })
}

fn contents(hash: &Hash) -> Pairs {
    hash.iter()
        .map(|(field, value)| (field.to_vec(), value.to_vec()))
        .collect()
}

/// Which encoding Redis has, by its own words: lengths and number of the arguments first, the number of fields behind each.
fn becomes_large(model: &Model, pairs: &[(Vec<u8>, Vec<u8>)], limits: &PackLimits) -> bool {
    let is_long = |text: &Vec<u8>| text.len() > limits.text_bytes_max;
    if pairs.len() > limits.entry_count_max
        || pairs
            .iter()
            .any(|(field, value)| is_long(field) || is_long(value))
    {
        return true;
    }
    let mut model = model.clone();
    model.extend(
        pairs
            .iter()
            .map(|(field, value)| (field.clone(), (value.clone(), None))),
    );
    model.len() > limits.entry_count_max
}

/// A whole walk from 0 to 0.
fn walk(hash: &Hash, count: usize) -> Pairs {
    let (mut found, mut cursor) = (Pairs::new(), 0);
    loop {
        cursor = hash.scan(cursor, count, &mut |field, value| {
            found.insert(field.to_vec(), value.to_vec());
        });
        if cursor == 0 {
            return found;
        }
        assert!(cursor < 1 << 53);
    }
}

fn read(mut share: Share, at_once: usize) -> Pairs {
    let mut found = Pairs::new();
    while share.left() > 0 {
        let (before, mut count) = (share.left(), 0);
        share.read(|field, value| {
            found.insert(field.to_vec(), value.to_vec());
            count += 1;
            count >= at_once
        });
        assert_eq!(share.left() + count, before);
        assert!(count > 0);
    }
    share.read(|_, _| panic!("nothing is left"));
    found
}

proptest! {
    #![proptest_config(crate::property::cases(200))]
    #[test]
    fn it_behaves_as_a_map(
        limits in limits(),
        operations in proptest::collection::vec(operation(), 1..80),
    ) {
        let (mut hash, mut model) = (Hash::new(), Model::new());
        let (mut shares, mut is_large, mut is_timed) = (Vec::new(), false, false);
        for operation in operations {
            match operation {
                Operation::Set(pairs, keep) => {
                    let old_end = if keep { OldEnd::Keep } else { OldEnd::Lift };
                    is_large |= becomes_large(&model, &pairs, &limits);
                    let texts: Vec<&[u8]> = pairs
                        .iter()
                        .flat_map(|(field, value)| [field.as_slice(), value])
                        .collect();
                    hash.before_setting(texts.iter().copied(), &limits);
                    for (field, value) in pairs {
                        let is_new = hash.set(&field, &value, old_end, &limits);
                        let old = model.remove(&field);
                        prop_assert_eq!(is_new, old.is_none());
                        let end = old.and_then(|(_, end)| end).filter(|_| keep);
                        model.insert(field, (value, end));
                    }
                }
                Operation::Remove(field) => {
                    prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some());
                }
                Operation::SetEnd(field, ms) => {
                    if let Some((_, end)) = model.get_mut(&field) {
                        hash.set_end(&field, ms);
                        (*end, is_timed) = (ms, true);
                    }
                }
                Operation::TakeEnded(now_ms, count) => {
                    let mut ended: Vec<u64> = model.values().filter_map(|(_, end)| *end).collect();
                    ended.retain(|ms| *ms < now_ms);
                    ended.sort_unstable();
                    ended.truncate(count);
                    let taken = hash.take_ended(now_ms, count);
                    let taken: Vec<u64> =
                        taken.iter().map(|field| model.remove(&**field).unwrap().1.unwrap()).collect();
                    prop_assert_eq!(taken, ended);
                }
                Operation::Share => shares.push((hash.share(), pairs_of(&model))),
                Operation::Scan(count) => prop_assert_eq!(&walk(&hash, count), &pairs_of(&model)),
            }
            prop_assert_eq!(hash.len(), model.len());
            prop_assert_eq!(hash.next_end_ms(), model.values().filter_map(|(_, end)| *end).min());
            prop_assert_eq!(hash.encoding(), match (is_large, is_timed) {
                (true, _) => "hashtable",
                (false, true) => "listpackex",
                (false, false) => "listpack",
            });
        }
        prop_assert_eq!(&contents(&hash), &pairs_of(&model));
        let ends: BTreeMap<Vec<u8>, u64> = hash.ends().map(|(ms, field)| (field.to_vec(), ms)).collect();
        for (field, (value, end)) in &model {
            prop_assert_eq!(hash.end_of(field), *end);
            prop_assert_eq!(ends.get(field), end.as_ref());
            prop_assert!(hash.contains(field));
            let found = hash.get(field).map(Element::to_vec);
            prop_assert_eq!(found.as_ref(), Some(value));
        }
        prop_assert!(!hash.contains(b"missing") && hash.get(b"missing").is_none());
        for (at, (share, model)) in shares.into_iter().enumerate() {
            prop_assert_eq!(read(share, 1 + at % 5), model);
        }
    }
}

/// Splitmix64 from a fixed seed.
fn chance() -> impl FnMut() -> u64 {
    let mut state = 7_u64;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[test]
fn every_field_is_as_likely_as_the_others() {
    let mut chance = chance();
    for (count, entry_count_max) in [(10, 128), (100, 8), (3000, 8)] {
        let limits = PackLimits {
            entry_count_max,
            text_bytes_max: 64,
        };
        let mut hash = Hash::new();
        for number in 0..count {
            hash.set(
                format!("field:{number}").as_bytes(),
                b"value",
                OldEnd::Lift,
                &limits,
            );
        }
        let mut drawn: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        let per_field = 60;
        for _ in 0..count * per_field {
            let (field, _) = hash.random(&mut chance).unwrap();
            *drawn.entry(field.to_vec()).or_default() += 1;
        }
        let expected = f64::from(per_field);
        let drawn_of = |number| {
            let field = format!("field:{number}").into_bytes();
            f64::from(drawn.get(&field).copied().unwrap_or(0))
        };
        let square: f64 = (0..count)
            .map(|number| (drawn_of(number) - expected).powi(2) / expected)
            .sum();
        // The chi-square of so many degrees of freedom is near them, with a deviation of the root of twice as many.
        let freedom = f64::from(count - 1);
        let bound = freedom + 5.0 * (2.0 * freedom).sqrt();
        assert!(square < bound, "{count}: {square} of {bound}");
    }
}

#[test]
fn an_empty_hash_has_no_field_to_choose() {
    assert!(Hash::new().random(&mut || 0).is_none());
    assert_eq!(Hash::new().share().left(), 0);
}

#[test]
fn what_takes_long_to_free_has_many_parts() {
    let limits = PackLimits {
        entry_count_max: 128,
        text_bytes_max: 64,
    };
    let mut hash = Hash::new();
    for number in 0..100 {
        hash.set(
            format!("{number}").as_bytes(),
            b"value",
            OldEnd::Lift,
            &limits,
        );
    }
    assert_eq!(hash.part_count(), 1);
    assert!(hash.heap_bytes() > 0);
    for number in 0..100_000 {
        hash.set(
            format!("{number}").as_bytes(),
            b"value",
            OldEnd::Lift,
            &limits,
        );
    }
    assert!(hash.part_count() > 64);
    assert!(hash.heap_bytes() > 700_000);
}
