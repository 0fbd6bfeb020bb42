//! Values by pattern, so that those that match a channel are found without a look at all the others.
//!
//! ```text
//! news.*.eu  news.[ab]*      prefix "news." ──► both          channel news.a.eu: is there a prefix "news."? ""?
//! *.eu                       prefix ""      ──► this one      one look for each length that a prefix has
//! ```
//! What stands in front of the first special character is what a channel must begin with. So of a thousand patterns for a
//! thousand tenants a publication looks at those of its tenant.
//!
//! A prefix takes no place of its own: it is read from a pattern that has it. Mostly that is one, and no allocation.
//!
//! Invariant: no prefix without a pattern, no length without a prefix.

use std::collections::{BTreeMap, btree_map};
use std::hash::BuildHasher;

use hashbrown::hash_table::{Entry, OccupiedEntry};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::Name;
use super::pattern::{self, Case};

/// Room for so many prefixes is kept, however few there are.
const KEPT: usize = 16;

/// Values by pattern. See the module's head.
#[derive(Debug)]
pub(crate) struct Patterns<V> {
    by_prefix: HashTable<SamePrefix<V>>,
    hasher: DefaultHashBuilder,
    /// How many prefixes have a length.
    lengths: BTreeMap<usize, usize>,
    count: usize,
}

/// The patterns with one prefix: at least one.
#[derive(Debug)]
enum SamePrefix<V> {
    One(Name, V),
    #[allow(clippy::box_collection, reason = "a third of the size, and rare")]
    Several(Box<BTreeMap<Name, V>>),
}

impl<V> SamePrefix<V> {
    fn prefix(&self) -> &[u8] {
        match self {
            Self::One(pattern, _) => literal(pattern),
            Self::Several(patterns) => patterns
                .first_key_value()
                .map_or(&[], |(pattern, _)| literal(pattern)),
        }
    }

    fn get_mut(&mut self, pattern: &[u8]) -> Option<&mut V> {
        match self {
            Self::One(only, value) => (**only == *pattern).then_some(value),
            Self::Several(patterns) => patterns.get_mut(pattern),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&Name, &V)> {
        let (one, several) = match self {
            Self::One(pattern, value) => (Some((pattern, value)), None),
            Self::Several(patterns) => (None, Some(patterns.iter())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}

impl<V> Default for Patterns<V> {
    fn default() -> Self {
        Self {
            by_prefix: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            lengths: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<V> Patterns<V> {
    /// Number of patterns.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The value of a pattern, to be changed. O(log patterns with its prefix), as all that name one pattern.
    pub(crate) fn get_mut(&mut self, pattern: &[u8]) -> Option<&mut V> {
        let prefix = literal(pattern);
        let hash = self.hasher.hash_one(prefix);
        let same = self
            .by_prefix
            .find_mut(hash, |same| same.prefix() == prefix);
        same?.get_mut(pattern)
    }

    /// Adds a pattern that is not there.
    pub(crate) fn insert(&mut self, pattern: Name, value: V) {
        debug_assert!(self.get_mut(&pattern).is_none(), "each pattern once");
        self.count += 1;
        let prefix = literal(&pattern);
        let (length, hash) = (prefix.len(), self.hasher.hash_one(prefix));
        let (eq, hasher) = (
            |same: &SamePrefix<V>| same.prefix() == prefix,
            |same: &SamePrefix<V>| self.hasher.hash_one(same.prefix()),
        );
        match self.by_prefix.entry(hash, eq, hasher) {
            Entry::Vacant(place) => {
                place.insert(SamePrefix::One(pattern, value));
                *self.lengths.entry(length).or_default() += 1;
            }
            Entry::Occupied(mut same) => {
                let same = same.get_mut();
                if let SamePrefix::Several(patterns) = same {
                    patterns.insert(pattern, value);
                    return;
                }
                let several = SamePrefix::Several(Box::default());
                let one = std::mem::replace(same, several);
                if let (SamePrefix::One(first, its), SamePrefix::Several(patterns)) = (one, same) {
                    patterns.extend([(first, its), (pattern, value)]);
                }
            }
        }
    }

    /// Forgets a pattern.
    pub(crate) fn remove(&mut self, pattern: &[u8]) {
        let prefix = literal(pattern);
        let hash = self.hasher.hash_one(prefix);
        let found = self
            .by_prefix
            .find_entry(hash, |same| same.prefix() == prefix);
        let Ok(mut found) = found else {
            return;
        };
        match found.get_mut() {
            SamePrefix::One(only, _) => {
                if **only != *pattern {
                    return;
                }
                found.remove();
                if let btree_map::Entry::Occupied(mut prefixes) = self.lengths.entry(prefix.len()) {
                    *prefixes.get_mut() -= 1;
                    if *prefixes.get() == 0 {
                        prefixes.remove();
                    }
                }
                self.count -= 1;
                self.shrink();
            }
            SamePrefix::Several(patterns) => {
                self.count -= usize::from(patterns.remove(pattern).is_some());
                Self::simplify(&mut found);
            }
        }
    }

    /// One of several that is left needs no map.
    fn simplify(found: &mut OccupiedEntry<'_, SamePrefix<V>>) {
        if let SamePrefix::Several(patterns) = found.get_mut()
            && patterns.len() == 1
            && let Some((pattern, value)) = patterns.pop_first()
        {
            *found.get_mut() = SamePrefix::One(pattern, value);
        }
    }

    fn shrink(&mut self) {
        if self.by_prefix.capacity() > 4 * self.by_prefix.len().max(KEPT) {
            let hasher = &self.hasher;
            self.by_prefix
                .shrink_to(0, |same| hasher.hash_one(same.prefix()));
        }
    }

    /// The patterns that match a channel, in no order to rely on. O(lengths of prefixes + patterns that share what the
    /// channel begins with).
    pub(crate) fn matching<'s>(
        &'s self,
        channel: &[u8],
    ) -> impl Iterator<Item = (&'s Name, &'s V)> {
        let lengths = self.lengths.range(..=channel.len());
        let with_prefix = lengths.filter_map(|(length, _)| {
            let prefix = channel.get(..*length)?;
            let hash = self.hasher.hash_one(prefix);
            self.by_prefix.find(hash, |same| same.prefix() == prefix)
        });
        with_prefix
            .flat_map(SamePrefix::iter)
            .filter(|(pattern, _)| pattern::matches(pattern, channel, Case::Sensitive))
    }
}

/// What stands in front of the first special character.
fn literal(pattern: &[u8]) -> &[u8] {
    let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
    let end = pattern.iter().position(is_special);
    &pattern[..end.unwrap_or(pattern.len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::cases(256))]
        #[test]
        fn what_matches_is_found_whatever_came_and_went(
            steps in prop::collection::vec((any::<bool>(), "[ab]{0,3}[ab*?\\[\\\\]{0,2}[]ab*]{0,2}"), 0..60),
            channels in prop::collection::vec("[ab*]{0,6}", 1..10),
        ) {
            let mut patterns = Patterns::<usize>::default();
            let mut model = BTreeMap::<Name, usize>::new();
            for (number, (adds, pattern)) in steps.into_iter().enumerate() {
                let pattern = Name::from(pattern.as_bytes());
                if adds {
                    match patterns.get_mut(&pattern) {
                        Some(value) => *value = number,
                        None => patterns.insert(pattern.clone(), number),
                    }
                    model.insert(pattern.clone(), number);
                } else {
                    patterns.remove(&pattern);
                    model.remove(&pattern);
                }
                prop_assert_eq!(patterns.get_mut(&pattern), model.get_mut(&pattern));
                prop_assert_eq!(patterns.len(), model.len());
            }
            for channel in &channels {
                let mut found: Vec<_> = patterns.matching(channel.as_bytes()).collect();
                found.sort();
                let fits = |pattern: &Name| pattern::matches(pattern, channel.as_bytes(), Case::Sensitive);
                let expected: Vec<_> = model.iter().filter(|(pattern, _)| fits(pattern)).collect();
                prop_assert_eq!(found, expected);
            }
            for pattern in model.keys() {
                patterns.remove(pattern);
            }
            prop_assert!(patterns.by_prefix.is_empty() && patterns.lengths.is_empty());
        }
    }

    #[test]
    fn it_shrinks_with_what_is_in_it() {
        let mut patterns = Patterns::default();
        for n in 0..100_000 {
            patterns.insert(Name::from(format!("{n}.*").as_bytes()), n);
        }
        for n in 0..99_990 {
            patterns.remove(format!("{n}.*").as_bytes());
        }
        assert!(patterns.by_prefix.capacity() < 100);
        assert_eq!(patterns.matching(b"99995.x").count(), 1);
    }
}
