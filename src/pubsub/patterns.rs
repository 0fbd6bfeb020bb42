//! Values by pattern, so that those that match a channel are found without a look at all the others.
//!
//! ```text
//! news.*.eu  news.[ab]*      prefix "news." ──► both          channel news.a.eu: is there a prefix "news."? ""?
//! *.eu                       prefix ""      ──► this one      one look for each length that a prefix has
//! ```
//! What stands in front of the first special character is what a channel must begin with. So of a thousand patterns for a
//! thousand tenants a publication looks at those of its tenant.
//!
//! Invariant: no prefix without a pattern, no length without a prefix.

use std::collections::{BTreeMap, HashMap};

use hashbrown::DefaultHashBuilder;

use super::Name;
use super::pattern::{self, Case};

/// Values by pattern. See the module's head.
#[derive(Debug)]
pub struct Patterns<V> {
    by_prefix: HashMap<Name, BTreeMap<Name, V>, DefaultHashBuilder>,
    /// How many prefixes have a length.
    lengths: BTreeMap<usize, usize>,
    count: usize,
}

impl<V> Default for Patterns<V> {
    fn default() -> Self {
        Self {
            by_prefix: HashMap::default(),
            lengths: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<V> Patterns<V> {
    /// Number of patterns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The value of a pattern, to be changed. O(log patterns with its prefix), as all that name one pattern.
    pub fn get_mut(&mut self, pattern: &[u8]) -> Option<&mut V> {
        self.by_prefix.get_mut(literal(pattern))?.get_mut(pattern)
    }

    /// The value of a pattern, made if there is none.
    pub fn get_or_default(&mut self, pattern: &Name) -> &mut V
    where
        V: Default,
    {
        // Of its own: a slice would keep the pattern's bytes when that is gone.
        let prefix = Name::from(literal(pattern));
        if !self.by_prefix.contains_key(&prefix) {
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        let same_prefix = self.by_prefix.entry(prefix).or_default();
        if !same_prefix.contains_key(pattern) {
            self.count += 1;
        }
        same_prefix.entry(pattern.clone()).or_default()
    }

    /// Forgets a pattern.
    pub fn remove(&mut self, pattern: &[u8]) {
        let prefix = literal(pattern);
        let Some(same_prefix) = self.by_prefix.get_mut(prefix) else {
            return;
        };
        self.count -= usize::from(same_prefix.remove(pattern).is_some());
        if same_prefix.is_empty() {
            self.by_prefix.remove(prefix);
            if let Some(prefixes) = self.lengths.get_mut(&prefix.len()) {
                *prefixes -= 1;
                if *prefixes == 0 {
                    self.lengths.remove(&prefix.len());
                }
            }
        }
    }

    /// The patterns that match a channel, in no order to rely on. O(lengths of prefixes + patterns that share what the
    /// channel begins with).
    pub fn matching<'s>(&'s self, channel: &[u8]) -> impl Iterator<Item = (&'s Name, &'s V)> {
        let lengths = self.lengths.range(..=channel.len());
        let prefixes =
            lengths.filter_map(|(length, _)| self.by_prefix.get(channel.get(..*length)?));
        prefixes
            .flatten()
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
                    *patterns.get_or_default(&pattern) = number;
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
}
