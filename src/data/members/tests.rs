//! The table against a map.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::Members;

/// Numbers in an order without order.
fn chances(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Set(u16, Vec<u8>),
    Remove(u16),
    /// Sets so many keys in a row.
    Fill(u16, u16),
    /// Removes so many keys in a row.
    Drain(u16, u16),
    /// Takes a share, which must not change.
    Share,
}

fn operation() -> impl Strategy<Value = Operation> {
    let payload = prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => proptest::collection::vec(any::<u8>(), 240..300),
        1 => proptest::collection::vec(any::<u8>(), 2000..2100),
    ];
    prop_oneof![
        6 => (0..4000_u16, payload).prop_map(|(key, payload)| Operation::Set(key, payload)),
        4 => (0..4000_u16).prop_map(Operation::Remove),
        1 => (0..3000_u16, 0..1500_u16).prop_map(|(from, count)| Operation::Fill(from, count)),
        1 => (0..3000_u16, 0..3000_u16).prop_map(|(from, count)| Operation::Drain(from, count)),
        1 => Just(Operation::Share),
    ]
}

fn key(number: u16) -> Vec<u8> {
    // Some keys are long, one is empty.
    match number {
        7 => Vec::new(),
        9 => vec![b'k'; 3000],
        number => format!("key:{number}").into_bytes(),
    }
}

type Twin = BTreeMap<Vec<u8>, Vec<u8>>;

fn content(members: &Members) -> Twin {
    members
        .iter()
        .map(|(key, payload)| (key.to_vec(), payload.to_vec()))
        .collect()
}

fn shared_content(share: &mut super::MembersShare) -> Twin {
    let mut all = Twin::new();
    // Three at a time: a share goes on where it stopped.
    loop {
        let mut count = 0;
        share.read(&mut |key, payload| {
            assert!(all.insert(key.to_vec(), payload.to_vec()).is_none());
            count += 1;
            count == 3
        });
        if count < 3 {
            return all;
        }
    }
}

proptest! {
    #![proptest_config(crate::property::cases(64))]
    #[test]
    fn it_holds_what_a_map_holds(operations in proptest::collection::vec(operation(), 1..60)) {
        let (mut members, mut twin) = (Members::new(), Twin::new());
        let mut shares = Vec::new();
        for operation in operations {
            match operation {
                Operation::Set(number, payload) => {
                    let (key, half) = (key(number), payload.len() / 2);
                    let is_new = members.set(&key, &[&payload[..half], &payload[half..]]);
                    prop_assert_eq!(is_new, twin.insert(key, payload).is_none());
                }
                Operation::Remove(number) => {
                    let key = key(number);
                    prop_assert_eq!(members.remove(&key), twin.remove(&key).is_some());
                }
                Operation::Fill(from, count) => {
                    for number in from..from + count {
                        members.set(&key(number), &[b"filled"]);
                        twin.insert(key(number), b"filled".to_vec());
                    }
                }
                Operation::Drain(from, count) => {
                    for number in from..from + count {
                        prop_assert_eq!(members.remove(&key(number)), twin.remove(&key(number)).is_some());
                    }
                }
                Operation::Share => shares.push((members.share(), twin.clone())),
            }
            prop_assert_eq!(members.len(), twin.len());
        }
        prop_assert_eq!(&content(&members), &twin);
        for number in 0..4000 {
            let key = key(number);
            prop_assert_eq!(members.get(&key), twin.get(&key).map(Vec::as_slice));
        }
        for (mut share, then) in shares {
            prop_assert_eq!(shared_content(&mut share), then);
        }
    }

    #[test]
    fn a_scan_gives_what_is_there_all_the_time(seed in any::<u64>(), count in 1..50_usize) {
        let mut members = Members::new();
        let mut chance = chances(seed | 1);
        for number in 0..3000 {
            members.set(&key(number), &[]);
        }
        let (mut seen, mut cursor) = (BTreeSet::new(), 0);
        loop {
            cursor = members.scan(cursor, count, &mut |key, _| {
                seen.insert(key.to_vec());
            });
            prop_assert!(cursor < 1 << 52);
            if cursor == 0 {
                break;
            }
            // Numbers below a thousand stay; the others come and go, so that segments split and merge.
            for _ in 0..40 {
                let number = 1000 + (chance() % 20_000) as u16;
                if chance().is_multiple_of(3) {
                    members.set(&key(number), &[]);
                } else {
                    members.remove(&key(number));
                }
            }
        }
        for number in 0..1000 {
            prop_assert!(seen.contains(&key(number)), "{}", number);
        }
    }
}

#[test]
fn it_is_as_small_when_it_has_shrunk() {
    let mut members = Members::new();
    for number in 0..60_000 {
        members.set(format!("m{number}").as_bytes(), &[b"payload"]);
    }
    let segments = members.part_count();
    assert!((70..160).contains(&segments), "{segments}");
    for number in 100..60_000 {
        assert!(members.remove(format!("m{number}").as_bytes()));
    }
    assert!(members.part_count() <= 2, "{}", members.part_count());
    assert!(members.heap_bytes() < 8192, "{}", members.heap_bytes());
    assert_eq!(members.iter().count(), 100);
}

#[test]
fn many_long_payloads_lie_in_segments_of_their_own_and_are_freed() {
    let mut members = Members::new();
    let long = vec![b'x'; 100_000];
    for number in 0..1000 {
        members.set(format!("m{number}").as_bytes(), &[&long]);
        members.set(format!("s{number}").as_bytes(), &[&long[..2000]]);
    }
    assert!(members.heap_bytes() > 100_000_000);
    for number in 0..1000 {
        assert_eq!(
            members.get(format!("m{number}").as_bytes()),
            Some(&long[..])
        );
        members.set(format!("m{number}").as_bytes(), &[b"short"]);
    }
    assert!(members.heap_bytes() < 4_000_000, "{}", members.heap_bytes());
}

/// Chi-square of counts that should all be the same.
fn chi_square(counts: &[u32]) -> f64 {
    let mean = counts.iter().sum::<u32>() as f64 / counts.len() as f64;
    let square = |count: &u32| (f64::from(*count) - mean).powi(2) / mean;
    counts.iter().map(square).sum()
}

#[test]
fn chance_picks_every_key_as_often() {
    // One segment; several; several of which most have almost nothing.
    for (keys, removed) in [(50, 0), (5000, 0), (5000, 4000)] {
        let mut members = Members::new();
        for number in 0..keys {
            members.set(&key(number), &[]);
        }
        for number in keys - removed..keys {
            members.remove(&key(number));
        }
        let left = usize::from(keys - removed);
        let index: BTreeMap<_, _> = (0..left).map(|at| (key(at as u16), at)).collect();
        let mut counts = vec![0; left];
        let mut chance = chances(0x9E37_79B9_7F4A_7C15);
        for _ in 0..left * 100 {
            let (key, _) = members.random(&mut chance).unwrap();
            counts[index[key]] += 1;
        }
        // Mean `left`, deviation the root of twice that: six of them.
        let limit = left as f64 + 6.0 * (2.0 * left as f64).sqrt();
        let found = chi_square(&counts);
        assert!(found < limit, "{found} of {limit} for {left} keys");
    }
    assert!(Members::new().random(&mut chances(1)).is_none());
}

#[test]
fn ten_bytes_take_less_than_thirty() {
    for count in [90_000, 100_000, 120_000, 180_000] {
        let mut members = Members::new();
        for number in 0..count {
            members.set(format!("{number:010}").as_bytes(), &[]);
        }
        let each = members.heap_bytes() as f64 / f64::from(count);
        assert!(each < 30.0, "{each} bytes for each of {count}");
    }
}

#[test]
fn keys_that_were_chosen_for_their_hashes_make_it_take_another_hasher() {
    let mut members = Members::new();
    let mut chosen = Vec::new();
    // The first bits of all these are the same: no more than a splitting of a few segments calls for.
    let hash = |members: &Members, key: &[u8]| members.hasher.hash_one(key);
    for number in 0_u64.. {
        let key = number.to_le_bytes();
        if hash(&members, &key) >> 50 == 0x1234 {
            chosen.push(key);
        }
        if chosen.len() == 1000 {
            break;
        }
    }
    let before = hash(&members, b"key");
    for key in &chosen {
        assert!(members.set(key, &[b"payload"]));
    }
    assert_ne!(hash(&members, b"key"), before);
    assert!(members.depth < 8, "{}", members.depth);
    assert_eq!(members.len(), 1000);
    for key in &chosen {
        assert_eq!(members.get(key), Some(&b"payload"[..]));
        assert!(members.remove(key));
    }
    assert_eq!(members.part_count(), 1);
}

#[test]
fn a_table_that_hashes_secretly_holds_what_a_map_holds() {
    let mut members = Members::new();
    let payload =
        |number: u32| vec![number as u8; if number.is_multiple_of(10) { 3000 } else { 5 }];
    for number in 0..5000_u32 {
        members.set(&number.to_le_bytes(), &[&payload(number)]);
    }
    let clone = members.clone();
    members.hash_secretly();
    for number in 0..5000_u32 {
        assert_eq!(members.get(&number.to_le_bytes()), Some(&*payload(number)));
    }
    assert_eq!(members.len(), 5000);
    assert_eq!(content(&members), content(&clone));
    for number in 100..5000_u32 {
        assert!(members.remove(&number.to_le_bytes()));
    }
    assert_eq!(members.len(), 100);
}

#[test]
fn long_entries_make_it_take_no_other_hasher() {
    for length in [100, 1000, 2000] {
        let mut members = Members::new();
        let before = members.hasher.hash_one(b"key");
        for number in 0..5000 {
            members.set(format!("m{number}").as_bytes(), &[&vec![b'x'; length]]);
        }
        assert_eq!(members.hasher.hash_one(b"key"), before);
    }
}
