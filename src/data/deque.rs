//! A deque that can be shared: a clone of a long one costs little, and what changes later copies a group of it.
//!
//! ```text
//! front            groups, each behind an `Arc`            back
//! | a b c |   | 64 items | 64 items | … | 64 items |   | x y z |
//! ```
//! At the ends it is changed in place. What has become long there goes into groups, what is needed there comes out of them. A
//! short one has only a back.
//!
//! Invariants: the back is empty only when all is; neither end stays longer than [`END_MAX`]. In the middle items are added
//! and removed in O(length), as in other deques.

use std::collections::VecDeque;
use std::ops::{Index, IndexMut, Range};
use std::sync::Arc;

/// Items of a group: as many are cloned when one of them changes that a clone shares.
const GROUP: usize = 64;
/// Items of an end: when it has more, a group of them leaves it.
const END_MAX: usize = 2 * GROUP;

type Group<T> = Arc<[T; GROUP]>;

/// See the module's head.
#[derive(Clone)]
pub(crate) struct SharedDeque<T> {
    front: VecDeque<T>,
    groups: VecDeque<Group<T>>,
    back: VecDeque<T>,
}

impl<T> Default for SharedDeque<T> {
    fn default() -> Self {
        Self {
            front: VecDeque::new(),
            groups: VecDeque::new(),
            back: VecDeque::new(),
        }
    }
}

/// Where an item is.
enum Place {
    Front(usize),
    Group(usize, usize),
    Back(usize),
}

impl<T> SharedDeque<T> {
    /// How many items.
    pub(crate) fn len(&self) -> usize {
        self.front.len() + self.groups.len() * GROUP + self.back.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.back.is_empty()
    }

    /// Bytes of it on the heap, but not what items point to.
    pub(crate) fn heap_bytes(&self) -> usize {
        let group_bytes = size_of::<[T; GROUP]>() + 2 * size_of::<usize>();
        (self.front.capacity() + self.back.capacity()) * size_of::<T>()
            + self.groups.capacity() * size_of::<Group<T>>()
            + self.groups.len() * group_bytes
    }

    fn place(&self, index: usize) -> Place {
        let Some(behind) = index.checked_sub(self.front.len()) else {
            return Place::Front(index);
        };
        match behind.checked_sub(self.groups.len() * GROUP) {
            None => Place::Group(behind / GROUP, behind % GROUP),
            Some(at) => Place::Back(at),
        }
    }

    /// The item at an index. O(1).
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        match self.place(index) {
            Place::Front(at) => self.front.get(at),
            Place::Group(group, at) => Some(&self.groups[group][at]),
            Place::Back(at) => self.back.get(at),
        }
    }

    /// The first item.
    #[inline]
    pub(crate) fn front(&self) -> Option<&T> {
        self.get(0)
    }

    /// The last item.
    #[inline]
    pub(crate) fn back(&self) -> Option<&T> {
        self.back.back()
    }

    /// The last item, to change.
    #[inline]
    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.back.back_mut()
    }

    /// All items.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        let groups = self.groups.iter().flat_map(|group| group.iter());
        self.front.iter().chain(groups).chain(&self.back)
    }

    /// The items of a range that is in it.
    pub(crate) fn range(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = &T> {
        range.map(|index| &self[index])
    }

    /// How many items at the front are so, when no other is. O(log n).
    pub(crate) fn partition_point(&self, is_so: impl Fn(&T) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_so(&self[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

impl<T: Clone> SharedDeque<T> {
    /// The item at an index, to change.
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        match self.place(index) {
            Place::Front(at) => self.front.get_mut(at),
            Place::Group(group, at) => Some(&mut Arc::make_mut(&mut self.groups[group])[at]),
            Place::Back(at) => self.back.get_mut(at),
        }
    }

    /// The first item, to change.
    #[inline]
    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        if self.is_front_in_groups() {
            self.open_front();
        }
        self.front.front_mut().or_else(|| self.back.front_mut())
    }

    /// Adds an item at the end.
    #[inline]
    pub(crate) fn push_back(&mut self, item: T) {
        make_room(&mut self.back);
        self.back.push_back(item);
        if self.back.len() > END_MAX {
            self.settle();
        }
    }

    /// Adds an item in front.
    #[inline]
    pub(crate) fn push_front(&mut self, item: T) {
        let end = if self.groups.is_empty() && self.front.is_empty() {
            &mut self.back
        } else {
            &mut self.front
        };
        make_room(end);
        end.push_front(item);
        if end.len() > END_MAX {
            self.settle();
        }
    }

    /// Takes the first item.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        if self.is_front_in_groups() {
            self.open_front();
        }
        self.front.pop_front().or_else(|| self.back.pop_front())
    }

    /// Takes the last item.
    #[inline]
    pub(crate) fn pop_back(&mut self) -> Option<T> {
        let item = self.back.pop_back();
        self.keep_back();
        item
    }

    #[inline]
    fn is_front_in_groups(&self) -> bool {
        self.front.is_empty() && !self.groups.is_empty()
    }

    #[cold]
    fn open_front(&mut self) {
        if let Some(group) = self.groups.pop_front() {
            self.front.extend(Arc::unwrap_or_clone(group));
        }
    }

    /// Lets the back have something while there is anything.
    #[inline]
    fn keep_back(&mut self) {
        if !self.back.is_empty() {
            return;
        }
        match self.groups.pop_back() {
            Some(group) => self.back.extend(Arc::unwrap_or_clone(group)),
            None => std::mem::swap(&mut self.front, &mut self.back),
        }
    }

    /// Puts what the ends have too much of into groups.
    #[cold]
    fn settle(&mut self) {
        while self.front.len() > END_MAX {
            let group = self.front.split_off(self.front.len() - GROUP);
            self.groups.push_front(group_of(group.into_iter()));
        }
        while self.back.len() > END_MAX {
            let group = group_of(self.back.drain(..GROUP));
            self.groups.push_back(group);
        }
        self.front.shrink_to(END_MAX + 1);
        self.back.shrink_to(END_MAX + 1);
    }

    /// Lets the item at an index be in an end, whichever is nearer: that end with the index in it.
    fn open_at(&mut self, index: usize) -> (&mut VecDeque<T>, usize) {
        if let Place::Group(group, _) = self.place(index) {
            if group < self.groups.len() / 2 {
                for group in self.groups.drain(..=group) {
                    self.front.extend(Arc::unwrap_or_clone(group));
                }
            } else {
                let mut back = VecDeque::new();
                for group in self.groups.drain(group..) {
                    back.extend(Arc::unwrap_or_clone(group));
                }
                back.append(&mut self.back);
                self.back = back;
            }
        }
        match self.place(index) {
            Place::Front(at) => (&mut self.front, at),
            Place::Back(at) => (&mut self.back, at),
            Place::Group(..) => unreachable!("its group was opened"),
        }
    }

    /// Puts an item at an index, those from there on behind it.
    pub(crate) fn insert(&mut self, index: usize, item: T) {
        let (end, at) = self.open_at(index);
        end.insert(at, item);
        self.settle();
    }

    /// Takes the item at an index out.
    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        let (end, at) = self.open_at(index);
        let item = end.remove(at);
        self.keep_back();
        self.settle();
        item
    }

    fn take_all(&mut self) -> VecDeque<T> {
        let mut all = std::mem::take(&mut self.front);
        for group in self.groups.drain(..) {
            all.extend(Arc::unwrap_or_clone(group));
        }
        all.append(&mut self.back);
        all
    }

    /// Takes the items of a range out. O(range) at the ends, else O(length).
    pub(crate) fn remove_range(&mut self, range: Range<usize>) {
        if range.start == 0 {
            range.for_each(|_| drop(self.pop_front()));
        } else if range.end == self.len() {
            range.for_each(|_| drop(self.pop_back()));
        } else if !range.is_empty() {
            let mut all = self.take_all();
            all.drain(range);
            *self = all.into_iter().collect();
        }
    }

    /// Keeps the items that are so. O(length).
    pub(crate) fn retain(&mut self, is_so: impl FnMut(&T) -> bool) {
        let mut all = self.take_all();
        all.retain(is_so);
        *self = all.into_iter().collect();
    }
}

/// Little more than is needed: most are short, and there are many.
#[inline]
fn make_room<T>(end: &mut VecDeque<T>) {
    if end.len() == end.capacity() {
        end.reserve_exact(end.len() / 8 + 1);
    }
}

fn group_of<T>(mut items: impl Iterator<Item = T>) -> Group<T> {
    Arc::new(std::array::from_fn(|_| {
        let item = items.next();
        item.unwrap_or_else(|| unreachable!("a group has {GROUP} items"))
    }))
}

impl<T: Clone> FromIterator<T> for SharedDeque<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut deque = Self::default();
        items.into_iter().for_each(|item| deque.push_back(item));
        deque
    }
}

impl<T> Index<usize> for SharedDeque<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        match self.get(index) {
            Some(item) => item,
            None => unreachable!("item {index} of {}", self.len()),
        }
    }
}

impl<T: Clone> IndexMut<usize> for SharedDeque<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        let len = self.len();
        match self.get_mut(index) {
            Some(item) => item,
            None => unreachable!("item {index} of {len}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        PushBack(usize),
        PushFront(usize),
        PopBack(usize),
        PopFront(usize),
        Insert(usize),
        Remove(usize),
        Set(usize),
        SetEnds,
        RemoveRange(usize, usize),
        Retain(usize),
        Share,
    }

    fn step() -> impl Strategy<Value = Step> {
        let at = || 0..2000_usize;
        prop_oneof![
            (1..300_usize).prop_map(Step::PushBack),
            (1..300_usize).prop_map(Step::PushFront),
            (1..200_usize).prop_map(Step::PopBack),
            (1..200_usize).prop_map(Step::PopFront),
            at().prop_map(Step::Insert),
            at().prop_map(Step::Remove),
            at().prop_map(Step::Set),
            Just(Step::SetEnds),
            (at(), at()).prop_map(|(from, n)| Step::RemoveRange(from, n)),
            (2..50_usize).prop_map(Step::Retain),
            Just(Step::Share),
        ]
    }

    fn check(deque: &SharedDeque<usize>, twin: &VecDeque<usize>) {
        assert!(deque.iter().eq(twin));
        assert!(deque.iter().rev().eq(twin.iter().rev()));
        assert_eq!(
            (deque.len(), deque.is_empty()),
            (twin.len(), twin.is_empty())
        );
        assert_eq!((deque.front(), deque.back()), (twin.front(), twin.back()));
        let (from, to) = (twin.len() / 3, twin.len() / 2);
        assert!(deque.range(from..to).eq(twin.range(from..to)));
        assert_eq!(deque.get(twin.len()), None);
        assert!(deque.front.len() <= END_MAX && deque.back.len() <= END_MAX);
    }

    fn take(
        step: &Step,
        next: &mut usize,
        deque: &mut SharedDeque<usize>,
        twin: &mut VecDeque<usize>,
    ) {
        let mut fresh = || {
            *next += 1;
            *next
        };
        let within = |at: usize, len: usize| at * len / 2000;
        let len = twin.len();
        match *step {
            Step::PushBack(count) => (0..count).for_each(|_| {
                let item = fresh();
                deque.push_back(item);
                twin.push_back(item);
            }),
            Step::PushFront(count) => (0..count).for_each(|_| {
                let item = fresh();
                deque.push_front(item);
                twin.push_front(item);
            }),
            Step::PopBack(count) => {
                (0..count).for_each(|_| assert_eq!(deque.pop_back(), twin.pop_back()));
            }
            Step::PopFront(count) => {
                (0..count).for_each(|_| assert_eq!(deque.pop_front(), twin.pop_front()));
            }
            Step::Insert(at) => {
                let item = fresh();
                deque.insert(within(at, len + 1), item);
                twin.insert(within(at, len + 1), item);
            }
            Step::Remove(at) => {
                let at = within(at, len);
                assert_eq!(deque.remove(at), twin.remove(at));
            }
            Step::Set(at) if len > 0 => {
                let (at, item) = (within(at, len), fresh());
                deque[at] = item;
                twin[at] = item;
            }
            Step::Set(_) => assert_eq!(deque.get_mut(0), None),
            Step::SetEnds => {
                let ends = deque.front_mut().into_iter().chain(twin.front_mut());
                ends.for_each(|item| *item += 1);
                let ends = deque.back_mut().into_iter().chain(twin.back_mut());
                ends.for_each(|item| *item += 1);
            }
            Step::RemoveRange(from, count) => {
                let from = within(from, len);
                let range = from..(from + count).min(len);
                deque.remove_range(range.clone());
                twin.drain(range);
            }
            Step::Retain(n) => {
                deque.retain(|item| item % n != 0);
                twin.retain(|item| item % n != 0);
            }
            Step::Share => {}
        }
    }

    #[test]
    fn a_change_copies_one_group_of_those_that_a_clone_shares() {
        let mut deque: SharedDeque<usize> = (0..100_000).collect();
        let clone = deque.clone();
        deque[50_000] = 7;
        let groups = deque.groups.iter().zip(&clone.groups);
        let copied = groups.filter(|(one, other)| !Arc::ptr_eq(one, other));
        assert_eq!(copied.count(), 1);
        assert_eq!((clone[50_000], clone.groups.len()), (50_000, 1561));
    }

    proptest! {
        #![proptest_config(crate::property::cases(300))]
        #[test]
        fn a_shared_deque_is_a_deque_and_its_clones_stay_what_they_were(
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let (mut deque, mut twin) = (SharedDeque::default(), VecDeque::new());
            let (mut shares, mut next) = (Vec::new(), 0);
            for step in &steps {
                if matches!(step, Step::Share) {
                    shares.push((deque.clone(), twin.clone()));
                }
                take(step, &mut next, &mut deque, &mut twin);
                check(&deque, &twin);
            }
            shares.iter().for_each(|(share, twin)| check(share, twin));
        }

        #[test]
        fn a_partition_point_is_where_a_deque_has_it(len in 0..500_usize, bound in 0..500_usize) {
            let deque: SharedDeque<usize> = (0..len).collect();
            prop_assert_eq!(deque.partition_point(|item| *item < bound), bound.min(len));
        }
    }
}
