//! When names end: fields of a large hash, members of a set, keys of which a part ends.
//!
//! ```text
//! order     name ─► ms, and names by ms     a sorted set whose scores are times
//! next      when the first of them ends     which every lookup asks
//! ```
//! So it is copied, grown and freed in pieces as sorted sets are. Times are Unix ms; who calls has the clock.

use std::ops::Bound;

use super::listpack::{Element, PackLimits};
use super::sorted_set::{ScoreRange, SortedSet};

/// The last time that can be set, Unix ms: scores are whole numbers up to there.
pub(crate) const END_MS_MAX: u64 = 1 << 53;

/// Up to which size the order is one pack.
const PACK: PackLimits = PackLimits {
    entry_count_max: 16,
    text_bytes_max: 64,
};

/// A value of which elements may end by themselves.
pub(crate) trait EndingElements {
    /// Whether it has an element.
    fn has(&self, element: &[u8]) -> bool;
    /// When an element ends, Unix ms; `None` when it does not, or there is no such element.
    fn end_of(&self, element: &[u8]) -> Option<u64>;
    /// Lets an element that is there end, Unix ms from 1 to [`END_MS_MAX`], or not.
    fn set_end(&mut self, element: &[u8], ends_ms: Option<u64>);
    /// Takes an element out; false when there is none.
    fn remove(&mut self, element: &[u8]) -> bool;
    /// How many elements there are.
    fn len(&self) -> usize;
    /// Whether there is no element.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// When the next element ends, Unix ms.
    fn next_end_ms(&self) -> Option<u64>;
    /// How many elements ended before this time, Unix ms.
    fn ended_count(&self, now_ms: u64) -> usize;
    /// Takes elements out that ended before this time, Unix ms, at most `count`, and gives them.
    fn take_ended(&mut self, now_ms: u64, count: usize) -> Vec<Box<[u8]>>;
}

/// See the module's head.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    order: SortedSet,
    next_ms: Option<u64>,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            order: SortedSet::for_members(0, 0, &PACK),
            next_ms: None,
        }
    }
}

impl Ends {
    /// How many names end.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none does.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// When a name ends.
    pub(crate) fn get(&self, name: &[u8]) -> Option<u64> {
        self.order.score(name).map(|ms| ms as u64)
    }

    /// Sets or lifts the end of a name. O(log n).
    pub(crate) fn set(&mut self, name: &[u8], ends_ms: Option<u64>) {
        match ends_ms {
            Some(ms) => {
                let ms = ms.min(END_MS_MAX) as f64;
                self.order.put(name, &PACK, |_| Some(ms));
            }
            None if self.order.is_empty() => return,
            None => {
                self.order.remove(name);
            }
        }
        self.look_at_next();
    }

    fn look_at_next(&mut self) {
        self.next_ms = self.order.at(0).map(|(_, ms)| ms as u64);
    }

    /// When the next name ends. O(1).
    #[inline]
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.next_ms
    }

    /// The name that ends next, and when.
    pub(crate) fn first(&self) -> Option<(u64, Element<'_>)> {
        self.iter().next()
    }

    /// How many names ended before this time. O(log n).
    pub(crate) fn ended_count(&self, now_ms: u64) -> usize {
        let ended = ScoreRange {
            min: Bound::Unbounded,
            max: Bound::Excluded(now_ms as f64),
        };
        self.order.ranks_by_score(&ended).end
    }

    /// Takes names out that ended before this time, at most `count`, the first one first. O(log n) for each leaf of them.
    pub(crate) fn take_ended(&mut self, now_ms: u64, count: usize) -> Vec<Box<[u8]>> {
        let ended = 0..self.ended_count(now_ms).min(count);
        let names = self.order.range(ended.clone());
        let names = names.map(|(name, _)| name.to_vec().into()).collect();
        self.order.remove_range(ended);
        self.look_at_next();
        names
    }

    /// The names with their times, the first one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Element<'_>)> {
        self.order.iter().map(|(name, ms)| (ms as u64, name))
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.order.heap_bytes()
    }

    /// As [`Ends::heap_bytes`], about. O(1).
    pub(crate) fn estimated_bytes(&self) -> usize {
        self.order.estimated_bytes()
    }

    /// How many pieces of memory it is made of.
    pub(crate) fn part_count(&self) -> usize {
        self.order.part_count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u8, Option<u64>),
        Take(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (any::<u8>(), proptest::option::weighted(0.8, 1u64..50)).prop_map(|(name, ms)| Step::Set(name, ms)),
            1 => (1u64..50, 0usize..20).prop_map(|(ms, count)| Step::Take(ms, count)),
        ]
    }

    proptest! {
        #![proptest_config(crate::property::cases(200))]
        #[test]
        fn names_end_in_the_order_of_their_times(steps in proptest::collection::vec(step(), 0..300)) {
            let mut ends = Ends::default();
            let mut model = BTreeMap::<Vec<u8>, u64>::new();
            for step in steps {
                match step {
                    Step::Set(name, ms) => {
                        let name = vec![name; 1 + usize::from(name % 90)];
                        ends.set(&name, ms);
                        match ms {
                            Some(ms) => model.insert(name.clone(), ms),
                            None => model.remove(&name),
                        };
                        prop_assert_eq!(ends.get(&name), ms);
                    }
                    Step::Take(now_ms, count) => {
                        let mut ended: Vec<(u64, Vec<u8>)> = model
                            .iter()
                            .filter(|(_, ms)| **ms < now_ms)
                            .map(|(name, ms)| (*ms, name.clone()))
                            .collect();
                        ended.sort();
                        ended.truncate(count);
                        let ended: Vec<Vec<u8>> = ended.into_iter().map(|(_, name)| name).collect();
                        ended.iter().for_each(|name| {
                            model.remove(name);
                        });
                        let taken = ends.take_ended(now_ms, count);
                        let taken: Vec<Vec<u8>> = taken.into_iter().map(Vec::from).collect();
                        prop_assert_eq!(taken, ended);
                    }
                }
                prop_assert_eq!(ends.next_ms(), model.values().min().copied());
                prop_assert_eq!(ends.len(), model.len());
                prop_assert_eq!(ends.first().map(|(ms, _)| ms), ends.next_ms());
            }
            let all: BTreeMap<Vec<u8>, u64> = ends.iter().map(|(ms, name)| (name.to_vec(), ms)).collect();
            prop_assert_eq!(all, model);
        }
    }

    #[test]
    fn a_time_is_kept_exactly_up_to_the_last() {
        let mut ends = Ends::default();
        for ms in [1, END_MS_MAX - 1, END_MS_MAX] {
            ends.set(b"name", Some(ms));
            assert_eq!(ends.get(b"name"), Some(ms));
        }
    }
}
