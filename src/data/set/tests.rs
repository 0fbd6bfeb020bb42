//! Sets against a naive twin.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Set, SetLimits};
use crate::data::listpack::PackLimits;

const LIMITS: SetLimits = SetLimits {
    integer_count_max: 20,
    pack: PackLimits {
        entry_count_max: 12,
        text_bytes_max: 10,
    },
};

#[derive(Clone, Debug)]
enum Operation {
    Add(Vec<u8>),
    Remove(Vec<u8>),
    Integers,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (-20..20_i64).prop_map(|value| value.to_string().into_bytes()),
        2 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(40_000), Just(-40_000), Just(1 << 40)]
            .prop_map(|value| value.to_string().into_bytes()),
        1 => "[a-c]{0,2}".prop_map(String::into_bytes),
        1 => Just(b"longer than ten".to_vec()),
        1 => Just(b"007".to_vec()),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => member().prop_map(Operation::Add),
        4 => member().prop_map(Operation::Remove),
        1 => Just(Operation::Integers),
    ]
}

proptest! {
    #![proptest_config(crate::property::cases(256))]
    #[test]
    fn it_holds_what_a_set_holds(operations in proptest::collection::vec(operation(), 0..80)) {
        let (mut set, mut twin) = (Set::of_integers(), BTreeSet::new());
        for operation in operations {
            match operation {
                Operation::Add(text) => {
                    prop_assert_eq!(set.add(&text, &LIMITS), twin.insert(text));
                }
                Operation::Remove(text) => {
                    prop_assert_eq!(set.remove(&text), twin.remove(&text));
                }
                Operation::Integers => set = set.with_integers_as_such(&LIMITS),
            }
            prop_assert_eq!(set.len(), twin.len());
            prop_assert_eq!(set.is_empty(), twin.is_empty());
            let members: BTreeSet<Vec<u8>> = set.iter().map(|member| member.to_vec()).collect();
            prop_assert_eq!(&members, &twin);
            prop_assert_eq!(set.iter().count(), twin.len());
            for text in &twin {
                prop_assert!(set.contains(text));
            }
            prop_assert!(!set.contains(b"never"));
            let is_within = match set.encoding() {
                "intset" => set.len() <= LIMITS.integer_count_max,
                "listpack" => set.len() <= LIMITS.pack.entry_count_max,
                _ => true,
            };
            prop_assert!(is_within, "{} of {}", set.encoding(), set.len());
        }
        let clone = set.clone();
        prop_assert!(set.iter().all(|member| clone.has_member(member)));
    }
}

#[test]
fn a_set_takes_24_bytes_of_its_key() {
    assert_eq!(size_of::<Set>(), 24);
}

#[test]
fn every_member_of_every_form_is_picked() {
    for texts in [&["1", "2", "3"][..], &["a", "b", "3"]] {
        let mut set = Set::of_integers();
        for text in texts {
            set.add(text.as_bytes(), &LIMITS);
        }
        let mut seen = BTreeSet::new();
        let mut state = 7_u64;
        for _ in 0..200 {
            let mut chance = || {
                state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                state
            };
            seen.insert(set.random(&mut chance).unwrap().to_vec());
        }
        assert_eq!(seen.len(), 3);
    }
    assert!(Set::small().random(&mut || 0).is_none());
}
