#![allow(clippy::unwrap_used, reason = "tests")]
//! Sorted sets against a vector that is kept in order, with every limit, and clones that must not change.

use std::ops::Bound;

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Operation {
    Put(Vec<(f64, Vec<u8>)>),
    /// Members `from..to` by number, with rising scores, falling ones, or all the same.
    Many(u32, u32, i8),
    Remove(Vec<u8>),
    RemoveRange(usize, usize),
    Clone,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0u32..300).prop_map(|number| number.to_string().into_bytes()),
        6 => (0u32..300).prop_map(|number| format!("member:{number:04}").into_bytes()),
        2 => (0usize..80).prop_map(|len| vec![b'x'; len]),
        2 => (1900usize..2200, 0u8..20).prop_map(|(len, last)| [vec![b'y'; len], vec![last]].concat()),
        1 => (4000usize..70_000).prop_map(|len| vec![b'z'; len]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-5i8..6).prop_map(f64::from),
        2 => (-50i16..50).prop_map(|number| f64::from(number) / 4.0),
        1 => proptest::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324, 0.1]),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => proptest::collection::vec((score(), member()), 1..12).prop_map(Operation::Put),
        3 => (0u32..3000, 1u32..600, -1i8..=1).prop_map(|(from, count, sign)| Operation::Many(from, from + count, sign)),
        4 => member().prop_map(Operation::Remove),
        3 => (any::<usize>(), 0usize..400).prop_map(|(start, count)| Operation::RemoveRange(start, count)),
        1 => Just(Operation::Clone),
    ]
}

fn limits() -> impl Strategy<Value = PackLimits> {
    let entries = prop_oneof![2 => Just(0usize), 1 => Just(3), 1 => Just(128), 1 => Just(100_000)];
    let text = prop_oneof![3 => Just(64usize), 1 => Just(0), 1 => Just(100_000)];
    (entries, text).prop_map(|(entry_count_max, text_bytes_max)| PackLimits {
        entry_count_max,
        text_bytes_max,
    })
}

/// The naive twin: pairs in order.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model(Vec<(f64, Vec<u8>)>);

impl Model {
    fn find(&self, member: &[u8]) -> Option<usize> {
        self.0.iter().position(|(_, other)| other == member)
    }

    fn put(&mut self, score: f64, member: &[u8]) -> Put {
        let old = self.find(member).map(|at| self.0.remove(at).0);
        if old == Some(score) {
            self.insert(old.unwrap(), member);
            return Put::Unchanged;
        }
        self.insert(score, member);
        if old.is_some() {
            Put::Updated
        } else {
            Put::Added
        }
    }

    fn insert(&mut self, score: f64, member: &[u8]) {
        let entry = (score, member.to_vec());
        let at = self.0.partition_point(|other| *other < entry);
        self.0.insert(at, entry);
    }
}

fn contents(set: &SortedSet) -> Vec<(f64, Vec<u8>)> {
    set.iter()
        .map(|(member, score)| (score, member.to_vec()))
        .collect()
}

fn check_invariants(set: &SortedSet) {
    if let Body::Large(large) = &set.0 {
        large.order.check();
        assert_eq!(large.scores.len(), large.order.len());
    }
}

fn put(set: &mut SortedSet, model: &mut Model, score: f64, member: &[u8], limits: &PackLimits) {
    let old = model.find(member).map(|at| model.0[at].0);
    let mut seen = None;
    let outcome = set.put(member, limits, |old| {
        seen = old;
        Some(score)
    });
    assert_eq!(seen, old);
    assert_eq!(outcome, model.put(score, member));
}

fn apply(set: &mut SortedSet, model: &mut Model, operation: Operation, limits: &PackLimits) {
    match operation {
        Operation::Put(pairs) => {
            set.before_adding(pairs.len(), limits);
            for (score, member) in pairs {
                put(set, model, score, &member, limits);
            }
        }
        Operation::Many(from, to, sign) => {
            // A small pack of so many is slow, and not what this is for.
            let to = if matches!(set.0, Body::Small(_)) {
                to.min(from + 100)
            } else {
                to
            };
            for number in from..to {
                let member = format!("m{}", number.wrapping_mul(7919) % 5000);
                put(
                    set,
                    model,
                    f64::from(number) * f64::from(sign),
                    member.as_bytes(),
                    limits,
                );
            }
        }
        Operation::Remove(member) => {
            let at = model.find(&member);
            assert_eq!(set.remove(&member), at.is_some());
            at.map(|at| model.0.remove(at));
        }
        Operation::RemoveRange(start, count) => {
            let start = start % (model.0.len() + 1);
            let end = (start + count).min(model.0.len());
            set.remove_range(start..start + count);
            model.0.drain(start..end);
        }
        Operation::Clone => {}
    }
}

fn check_reads(set: &SortedSet, model: &Model, from: usize, score: f64, text: &[u8]) {
    let len = model.0.len();
    for (rank, (score, member)) in model.0.iter().enumerate().step_by(1 + len / 20) {
        assert_eq!(set.rank(member), Some((rank, *score)));
        assert_eq!(set.score(member), Some(*score));
        let (found, other) = set.at(rank).unwrap();
        assert!(found == *member.as_slice() && other == *score);
    }
    assert!(set.at(len).is_none());
    let range = from.min(len)..len.min(from + 300);
    let expected = &model.0[range.clone()];
    let back: Vec<_> = set
        .range(range.clone())
        .rev()
        .map(|(m, s)| (s, m.to_vec()))
        .collect();
    assert!(back.iter().rev().eq(expected));
    for is_backward in [false, true] {
        let mut share = set.share(range.clone(), is_backward);
        let mut read = Vec::new();
        while share.left() > 0 {
            let mut count = 0;
            share.read(|member, score| {
                read.push((score, member.to_vec()));
                count += 1;
                count == 7
            });
        }
        if is_backward {
            read.reverse();
        }
        assert_eq!(read, expected);
    }
    for (min, max) in [
        (Bound::Included(score), Bound::Included(score + 2.0)),
        (Bound::Excluded(score), Bound::Excluded(score + 2.0)),
        (Bound::Included(score), Bound::Excluded(score)),
        (Bound::Excluded(score), Bound::Included(f64::INFINITY)),
    ] {
        let ranks = set.ranks_by_score(&ScoreRange { min, max });
        let inside = model
            .0
            .iter()
            .filter(|(score, _)| (min, max).contains_score(*score));
        assert_eq!(ranks.len(), inside.count());
        assert!(
            model.0[ranks]
                .iter()
                .all(|(score, _)| (min, max).contains_score(*score))
        );
    }
    if model.0.iter().all(|(score, _)| *score == 0.0) {
        let range = LexRange {
            min: LexEnd::Excluded(text),
            max: LexEnd::Last,
        };
        let inside = model
            .0
            .iter()
            .filter(|(_, member)| &**member > text)
            .count();
        let ranks = set.ranks_by_member(&range);
        assert_eq!(ranks.len(), inside);
        assert!(ranks.is_empty() || ranks.end == len);
        assert_eq!(set.ranks_by_member_back(&range).len(), inside);
    }
}

trait ContainsScore {
    fn contains_score(&self, score: f64) -> bool;
}

impl ContainsScore for (Bound<f64>, Bound<f64>) {
    fn contains_score(&self, score: f64) -> bool {
        let above = match self.0 {
            Bound::Included(min) => score >= min,
            Bound::Excluded(min) => score > min,
            Bound::Unbounded => true,
        };
        above
            && match self.1 {
                Bound::Included(max) => score <= max,
                Bound::Excluded(max) => score < max,
                Bound::Unbounded => true,
            }
    }
}

proptest! {
    #![proptest_config(crate::property::cases(200))]
    #[test]
    fn a_sorted_set_behaves_as_a_sorted_vector(
        operations in proptest::collection::vec(operation(), 0..30),
        limits in limits(),
        from in 0usize..2000,
        score in score(),
        text in member(),
    ) {
        let mut set = SortedSet::for_members(1, 0, &limits);
        let mut model = Model::default();
        let mut clones = Vec::new();
        for operation in operations {
            if matches!(operation, Operation::Clone) {
                clones.push((set.clone(), model.clone()));
            }
            apply(&mut set, &mut model, operation, &limits);
            check_invariants(&set);
            prop_assert_eq!(set.len(), model.0.len());
        }
        prop_assert_eq!(&contents(&set), &model.0);
        check_reads(&set, &model, from, score, &text);
        let again = SortedSet::of(model.0.clone(), &limits);
        check_invariants(&again);
        prop_assert_eq!(contents(&again), model.0);
        for (set, model) in clones {
            check_invariants(&set);
            prop_assert_eq!(contents(&set), model.0);
        }
    }

    #[test]
    fn members_with_one_score_are_in_the_order_of_their_bytes(
        members in proptest::collection::btree_set(member(), 0..400),
        text in member(),
        other in member(),
    ) {
        let pairs: Vec<_> = members.iter().map(|member| (0.0, member.clone())).collect();
        for entry_count_max in [0, 1000] {
            let limits = PackLimits { entry_count_max, text_bytes_max: 100_000 };
            let set = SortedSet::of(pairs.clone(), &limits);
            for min in [LexEnd::First, LexEnd::Last, LexEnd::Included(&text), LexEnd::Excluded(&text)] {
                for max in [LexEnd::First, LexEnd::Last, LexEnd::Included(&other), LexEnd::Excluded(&other)] {
                    let range = LexRange { min, max };
                    let inside = members.iter().filter(|member| range.reaches(member) && range.allows(member));
                    let expected: Vec<_> = inside.cloned().collect();
                    let found = set.range(set.ranks_by_member(&range)).map(|(member, _)| member.to_vec());
                    prop_assert_eq!(found.collect::<Vec<_>>(), expected.clone());
                    let found = set.range(set.ranks_by_member_back(&range)).map(|(member, _)| member.to_vec());
                    prop_assert_eq!(found.collect::<Vec<_>>(), expected);
                }
            }
        }
    }
}

const LARGE: PackLimits = PackLimits {
    entry_count_max: 0,
    text_bytes_max: 64,
};

fn numbered(number: usize) -> Vec<u8> {
    format!("{number:010}").into_bytes()
}

/// Bytes a member of ten bytes takes when they are added in this order.
fn bytes_each(numbers: impl Iterator<Item = usize>) -> usize {
    let mut set = SortedSet::for_members(1, 0, &LARGE);
    for number in numbers {
        set.put(&numbered(number), &LARGE, |_| Some(number as f64));
    }
    check_invariants(&set);
    set.heap_bytes() / set.len()
}

#[test]
fn a_member_takes_few_bytes_whatever_the_order() {
    let count = 200_000;
    let rising = bytes_each(0..count);
    let falling = bytes_each((0..count).rev());
    let mixed = bytes_each((0..count).map(|number| number * 7919 % count));
    assert!(rising <= 58 && falling <= 58, "{rising} {falling}");
    assert!(mixed <= 66, "{mixed}");
}

#[test]
fn a_clone_shares_all_but_what_changes() {
    let mut set = SortedSet::for_members(1, 0, &LARGE);
    for number in 0..50_000 {
        set.put(&numbered(number), &LARGE, |_| Some(0.0));
    }
    let clone = set.clone();
    let before = contents(&set);
    assert!(set.remove(&numbered(25_000)));
    set.put(&numbered(1), &LARGE, |_| Some(-1.0));
    assert_eq!(contents(&clone), before);
    assert_eq!(set.len(), 49_999);
    check_invariants(&set);
}

#[test]
fn a_set_that_loses_its_members_gives_its_memory_back() {
    let mut set = SortedSet::for_members(1, 0, &LARGE);
    for number in 0..50_000 {
        set.put(&numbered(number), &LARGE, |_| Some(number as f64));
    }
    let full = set.heap_bytes();
    for number in (0..50_000).filter(|number| number % 10 != 0) {
        assert!(set.remove(&numbered(number)));
    }
    check_invariants(&set);
    assert!(
        set.heap_bytes() < full / 4,
        "{} of {full}",
        set.heap_bytes()
    );
    set.remove_range(0..set.len() - 1);
    check_invariants(&set);
    assert_eq!(set.len(), 1);
    set.remove_range(0..9);
    assert!(set.is_empty() && set.part_count() <= 2);
}
