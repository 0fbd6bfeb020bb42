//! The hash: fields with values.
//!
//! ```text
//! small   listpack   field value │ field value │ …      in the order in which they came
//! large   members    field ─► value                     in the order of their hashes
//! ```
//! A small hash becomes a large one, never the other way, by Redis' rules: before texts are added their lengths and number
//! are looked at ([`Hash::before_setting`]), behind that how many fields there are ([`Hash::set`]).
//!
//! Not here: an empty hash is no value of a key; whoever takes the last field out removes the key.

mod share;

pub(crate) use share::Share;

use crate::data::listpack::{self, Element, LISTPACK_BYTES_MAX, Listpack, PackLimits};
use crate::data::members::Members;

/// Fields with values. See the module's head.
#[derive(Clone, Debug)]
pub(crate) enum Hash {
    /// Few and short ones (`listpack`).
    Small(Listpack),
    /// Others (`hashtable`).
    Large(Box<Members>),
}

/// Where the value of a field lies in a small hash.
fn value_position(pack: &Listpack, field: &[u8]) -> Option<usize> {
    pack.find(field, 2).map(|at| pack.next(at))
}

impl Hash {
    /// An empty one.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::Small(Listpack::new())
    }

    /// How many fields.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Small(pack) => pack.len() / 2,
            Self::Large(members) => members.len(),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING replies.
    #[must_use]
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::Small(_) => "listpack",
            Self::Large(_) => "hashtable",
        }
    }

    /// How many pieces of memory it is made of.
    #[must_use]
    pub(crate) fn part_count(&self) -> usize {
        match self {
            Self::Small(_) => 1,
            Self::Large(members) => members.part_count(),
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Small(pack) => pack.heap_bytes(),
            Self::Large(members) => size_of::<Members>() + members.heap_bytes(),
        }
    }

    /// The value of a field. O(1), of a small hash O(bytes).
    #[must_use]
    pub(crate) fn get(&self, field: &[u8]) -> Option<Element<'_>> {
        match self {
            Self::Small(pack) => value_position(pack, field).map(|at| pack.at(at)),
            Self::Large(members) => members.get(field).map(Element::Bytes),
        }
    }

    /// Whether it has a field.
    #[must_use]
    pub(crate) fn contains(&self, field: &[u8]) -> bool {
        match self {
            Self::Small(pack) => pack.find(field, 2).is_some(),
            Self::Large(members) => members.contains(field),
        }
    }

    /// Looks at texts that are about to be set, fields and values in turn. Redis: half of them counts as new fields,
    /// whatever there is already.
    pub(crate) fn before_setting<'a>(
        &mut self,
        texts: impl ExactSizeIterator<Item = &'a [u8]>,
        limits: &PackLimits,
    ) {
        let Self::Small(pack) = self else { return };
        let mut bytes = pack.bytes().len();
        let fits = texts.len() / 2 <= limits.entry_count_max
            && texts.into_iter().all(|text| {
                bytes = bytes.saturating_add(text.len());
                text.len() <= limits.text_bytes_max
            });
        if !fits || bytes > LISTPACK_BYTES_MAX {
            self.enlarge();
        }
    }

    /// Sets a field; whether it is new. O(1), of a small hash O(bytes).
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8], limits: &PackLimits) -> bool {
        if let Self::Small(pack) = self {
            let is_long = field.len().max(value.len()) > limits.text_bytes_max;
            // Room for the two heads and tails of the entries too.
            let bytes = pack.bytes().len() + field.len() + value.len() + 32;
            if is_long || bytes > LISTPACK_BYTES_MAX {
                self.enlarge();
            }
        }
        match self {
            Self::Small(pack) => {
                let found = value_position(pack, field);
                match found {
                    Some(at) => pack.replace(at, value),
                    None => pack.insert(pack.end(), &[field, value]),
                }
                if pack.len() / 2 > limits.entry_count_max {
                    self.enlarge();
                }
                found.is_none()
            }
            Self::Large(members) => members.set(field, &[value]),
        }
    }

    /// Takes a field out; false when there is none. O(1), of a small hash O(bytes).
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Self::Small(pack) => {
                let found = pack.find(field, 2);
                if let Some(at) = found {
                    pack.remove(at, 2);
                }
                found.is_some()
            }
            Self::Large(members) => members.remove(field),
        }
    }

    /// Makes a large one of a small one. O(fields).
    fn enlarge(&mut self) {
        if let Self::Small(pack) = self {
            let mut members = Members::new();
            let mut texts = pack.iter();
            while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
                members.set(
                    field.as_bytes(&mut [0; 20]),
                    &[value.as_bytes(&mut [0; 20])],
                );
            }
            *self = Self::Large(Box::new(members));
        }
    }

    /// All fields with their values.
    #[must_use]
    pub(crate) fn iter(&self) -> Iter<'_> {
        match self {
            Self::Small(pack) => Iter::Small(pack.iter()),
            Self::Large(members) => Iter::Large(Box::new(members.iter())),
        }
    }

    /// A field with its value, each as likely as the others; `None` of an empty hash. `chance` gives numbers without pattern.
    pub(crate) fn random(
        &self,
        chance: &mut dyn FnMut() -> u64,
    ) -> Option<(Element<'_>, Element<'_>)> {
        match self {
            Self::Small(pack) => {
                let count = (pack.len() / 2) as u64;
                let chosen = chance().checked_rem(count)? as usize;
                let field = pack.seek(2 * chosen);
                Some((pack.at(field), pack.at(pack.next(field))))
            }
            Self::Large(members) => {
                let (field, value) = members.random(chance)?;
                Some((Element::Bytes(field), Element::Bytes(value)))
            }
        }
    }

    /// Gives about `count` fields from a cursor on, and the next cursor, 0 at the end: a field that is there from 0 to 0 is
    /// given, whatever else comes and goes meanwhile. Redis: a small hash at once, whatever the cursor.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        count: usize,
        take: &mut dyn FnMut(Element<'_>, Element<'_>),
    ) -> u64 {
        match self {
            Self::Small(_) => {
                self.iter().for_each(|(field, value)| take(field, value));
                0
            }
            Self::Large(members) => members.scan(cursor, count, &mut |field, value| {
                take(Element::Bytes(field), Element::Bytes(value));
            }),
        }
    }

    /// What it is now, to be read later. O(segments), of a small hash O(bytes).
    #[must_use]
    pub(crate) fn share(&self) -> Share {
        Share::new(self)
    }
}

/// All fields of a hash with their values.
pub(crate) enum Iter<'a> {
    /// Of a small one.
    Small(listpack::Iter<'a>),
    /// Of a large one.
    Large(Box<dyn Iterator<Item = (&'a [u8], &'a [u8])> + 'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Element<'a>, Element<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Small(texts) => texts.next().zip(texts.next()),
            Self::Large(members) => {
                let (field, value) = members.next()?;
                Some((Element::Bytes(field), Element::Bytes(value)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
