//! A table by name for very many names that come and go.
//!
//! ```text
//!   index   hash ─► place                     5 bytes for each bucket
//!   slots   [ name, value ][ name, value ] …  without gaps: the last fills the place of one that goes
//! ```
//! A hash table of whole entries is half empty after each doubling; here only the index is. Both grow and shrink with what is
//! in them. A name is shared: whoever has a table of the same names has the same allocation. Names that are in one table only
//! are a `Box`, which takes less.
//!
//! Invariant: each slot stands in the index exactly once, with its place.

use std::hash::BuildHasher;
use std::ops::Deref;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

/// A name, shared by all tables it is in.
pub(crate) type Name = Arc<[u8]>;

/// Room for so many is kept, however few there are.
const KEPT: usize = 16;

/// Values by name. See the module's head.
#[derive(Debug)]
pub(crate) struct NameTable<V, N = Name> {
    index: HashTable<u32>,
    slots: Vec<(N, V)>,
    hasher: DefaultHashBuilder,
    /// Where the next sweep begins.
    swept: usize,
}

/// What a sweep is told of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swept {
    /// The name stays.
    pub(crate) keep: bool,
    /// The sweep goes on.
    pub(crate) go_on: bool,
}

impl<V, N> Default for NameTable<V, N> {
    fn default() -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            swept: 0,
        }
    }
}

impl<V, N: Deref<Target = [u8]>> NameTable<V, N> {
    /// Number of names.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(name);
        let found = self
            .index
            .find(hash, |&at| *self.slots[at as usize].0 == *name);
        found.map(|&at| at as usize)
    }

    /// Whether it has this name. O(1), as all that name one.
    #[must_use]
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.place(name).is_some()
    }

    /// The value of a name.
    #[must_use]
    pub(crate) fn get(&self, name: &[u8]) -> Option<&V> {
        self.place(name).map(|at| &self.slots[at].1)
    }

    /// The value of a name, to be changed.
    pub(crate) fn get_mut(&mut self, name: &[u8]) -> Option<&mut V> {
        self.place(name).map(|at| &mut self.slots[at].1)
    }

    /// Adds a name that is not there. Amortised O(1).
    ///
    /// # Panics
    /// At 2^32 names.
    pub(crate) fn insert(&mut self, name: N, value: V) {
        debug_assert!(!self.contains(&name), "each name once");
        if self.slots.len() == self.slots.capacity() {
            // By an eighth: a doubled vector would be half empty.
            self.slots.reserve_exact(self.slots.len() / 8 + 4);
        }
        let hash = self.hasher.hash_one(&*name);
        let at = u32::try_from(self.slots.len()).expect("fewer than 2^32 names");
        self.slots.push((name, value));
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_of = |&at: &u32| hasher.hash_one(&*slots[at as usize].0);
        self.index.insert_unique(hash, at, hash_of);
    }

    /// Takes a name out. Amortised O(1).
    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<V> {
        let at = self.place(name)?;
        let value = self.remove_at(at);
        self.shrink();
        Some(value)
    }

    fn remove_at(&mut self, at: usize) -> V {
        let hash = self.hasher.hash_one(&*self.slots[at].0);
        let entry = self.index.find_entry(hash, |&other| other as usize == at);
        if let Ok(entry) = entry {
            entry.remove();
        }
        let last = self.slots.len() - 1;
        if at != last {
            let hash = self.hasher.hash_one(&*self.slots[last].0);
            let moved = self.index.find_mut(hash, |&other| other as usize == last);
            if let Some(place) = moved {
                *place = u32::try_from(at).unwrap_or(u32::MAX);
            }
        }
        self.slots.swap_remove(at).1
    }

    fn shrink(&mut self) {
        if self.slots.capacity() > 2 * self.slots.len().max(KEPT) {
            self.slots
                .shrink_to(self.slots.len() + self.slots.len() / 8);
            let (slots, hasher) = (&self.slots, &self.hasher);
            self.index
                .shrink_to(slots.len(), |&at| hasher.hash_one(&*slots[at as usize].0));
        }
    }

    /// Goes on where it ended the last time, at most once round or as long as `look` wants it, and takes those out that are
    /// not to be kept.
    pub(crate) fn sweep(&mut self, mut look: impl FnMut(&mut V) -> Swept) {
        for _ in 0..self.slots.len() {
            if self.swept >= self.slots.len() {
                self.swept = 0;
            }
            let Some((_, value)) = self.slots.get_mut(self.swept) else {
                break;
            };
            let swept = look(value);
            if swept.keep {
                self.swept += 1;
            } else {
                // The last takes its place and is looked at next.
                self.remove_at(self.swept);
            }
            if !swept.go_on {
                break;
            }
        }
        self.shrink();
    }

    /// The name at a place: any number below [`NameTable::len`] has one, until names come or go.
    #[must_use]
    pub(crate) fn name_at(&self, place: usize) -> Option<&N> {
        self.slots.get(place).map(|(name, _)| name)
    }

    /// All names with their values, in no order to rely on.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&N, &V)> + '_ {
        self.slots.iter().map(|(name, value)| (name, value))
    }

    /// All names, in no order to rely on.
    pub(crate) fn names(&self) -> impl Iterator<Item = &N> + '_ {
        self.slots.iter().map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::cases(100))]
        #[test]
        fn it_behaves_as_a_map(steps in proptest::collection::vec((0..4u8, 0..300u16), 0..2000)) {
            let (mut table, mut model) = (NameTable::default(), BTreeMap::new());
            for (n, (step, key)) in steps.into_iter().enumerate() {
                let name = key.to_string().into_bytes();
                match step {
                    0 | 1 => {
                        if !table.contains(&name) {
                            table.insert(Name::from(&*name), n);
                        }
                        model.entry(name).or_insert(n);
                    }
                    2 => prop_assert_eq!(table.remove(&name), model.remove(&name)),
                    _ => {
                        let stays = |value: usize| value % 3 != usize::from(key) % 3;
                        table.swept = 0;
                        table.sweep(|value| Swept { keep: stays(*value), go_on: true });
                        model.retain(|_, value| *value % 3 != usize::from(key) % 3);
                    }
                }
                prop_assert_eq!(table.len(), model.len());
            }
            let all: BTreeMap<Vec<u8>, usize> = table.iter().map(|(name, value)| (name.to_vec(), *value)).collect();
            prop_assert_eq!(&all, &model);
            prop_assert!(model.iter().all(|(name, value)| table.get(name) == Some(value)));
        }
    }

    #[test]
    fn it_shrinks_with_what_is_in_it() {
        let mut table = NameTable::default();
        for n in 0..100_000_u32 {
            table.insert(Name::from(n.to_string().as_bytes()), n);
        }
        assert!(table.slots.capacity() < 115_000);
        let mut looked = 0;
        for _ in 0..20 {
            let mut left = 10_000;
            table.sweep(|n| {
                (looked, left) = (looked + 1, left - 1);
                Swept {
                    keep: *n % 1000 == 0,
                    go_on: left > 0,
                }
            });
        }
        assert!((100_000..=200_000).contains(&looked));
        assert_eq!(table.len(), 100);
        assert!(table.slots.capacity() < 300 && table.index.capacity() < 1000);
        assert!(
            (0..100_000)
                .step_by(1000)
                .all(|n| table.contains(n.to_string().as_bytes()))
        );
    }
}
