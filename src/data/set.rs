//! The set: members without order.
//!
//! ```text
//! integers (`intset`)   | width | sorted integers |     while all members are integers
//! small (`listpack`)    one pack, in the order in which members came
//! large (`hashtable`)   a table of segments
//! ```
//! When a set changes its form follows Redis 7.2 exactly, because OBJECT ENCODING shows it. A set never becomes smaller in form,
//! but for results that are made anew ([`Set::with_integers_as_such`]).
//!
//! Not here: names of commands, keys.

mod integers;

use super::listpack::{Element, Listpack, PackLimits, parse_integer};
use super::members::{Members, MembersShare, below};
use integers::Integers;

/// The most integers that Redis keeps as such, whatever the setting.
const INTEGERS_MAX: usize = 1 << 30;

/// Up to which size a set has which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetLimits {
    /// Most members that are kept as integers (`set-max-intset-entries`).
    pub(crate) integer_count_max: usize,
    /// Up to which size a set is one pack (`set-max-listpack-entries`, `-value`).
    pub(crate) pack: PackLimits,
}

/// A set. See the module's head.
#[derive(Clone, Debug)]
pub(crate) enum Set {
    /// All members are integers.
    Integers(Integers),
    /// Few short members.
    Small(Listpack),
    /// Others.
    Large(Box<Members>),
}

impl Set {
    /// An empty set in the form for a first member that is followed by others, `count` in all.
    pub(crate) fn for_member(first: &[u8], count: usize, limits: &SetLimits) -> Self {
        if count <= limits.integer_count_max && parse_integer(first).is_some() {
            Self::of_integers()
        } else if count <= limits.pack.entry_count_max {
            Self::small()
        } else {
            Self::Large(Box::default())
        }
    }

    /// An empty set that takes integers.
    pub(crate) fn of_integers() -> Self {
        Self::Integers(Integers::default())
    }

    /// An empty set in one pack.
    pub(crate) fn small() -> Self {
        Self::Small(Listpack::new())
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Integers(integers) => integers.len(),
            Self::Small(pack) => pack.len(),
            Self::Large(members) => members.len(),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING replies.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::Integers(_) => "intset",
            Self::Small(_) => "listpack",
            Self::Large(_) => "hashtable",
        }
    }

    /// How many pieces of memory it is made of.
    pub(crate) fn part_count(&self) -> usize {
        match self {
            Self::Integers(_) | Self::Small(_) => 1,
            Self::Large(members) => members.part_count(),
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Integers(integers) => integers.heap_bytes(),
            Self::Small(pack) => pack.heap_bytes(),
            Self::Large(members) => size_of::<Members>() + members.heap_bytes(),
        }
    }

    /// Prepares for so many members that are to be added by one command. Redis: more of them than a form may have make the set
    /// large, also when they are members already.
    pub(crate) fn before_adding(&mut self, count: usize, limits: &SetLimits) {
        let too_many = match self {
            Self::Integers(_) => count > limits.integer_count_max,
            Self::Small(_) => count > limits.pack.entry_count_max,
            Self::Large(_) => false,
        };
        if too_many {
            *self = Self::Large(self.to_large());
        }
    }

    /// Adds a member; false when it is one already.
    pub(crate) fn add(&mut self, text: &[u8], limits: &SetLimits) -> bool {
        match self {
            Self::Large(members) => members.set(text, &[]),
            Self::Small(pack) => {
                if pack.find(text, 1).is_some() {
                    return false;
                }
                let fits = pack.len() < limits.pack.entry_count_max
                    && text.len() <= limits.pack.text_bytes_max
                    && pack.has_room_for(text.len());
                if fits {
                    pack.insert(pack.end(), &[text]);
                } else {
                    self.add_to_large(text);
                }
                true
            }
            Self::Integers(integers) => match parse_integer(text) {
                Some(value) => {
                    let is_new = integers.add(value);
                    if is_new && integers.len() > limits.integer_count_max.min(INTEGERS_MAX) {
                        *self = Self::Large(self.to_large());
                    }
                    is_new
                }
                None => {
                    self.add_no_integer(text, limits);
                    true
                }
            },
        }
    }

    /// The first member that is no integer.
    fn add_no_integer(&mut self, text: &[u8], limits: &SetLimits) {
        let Self::Integers(integers) = self else {
            return;
        };
        let digits = |value: Option<i64>| value.map_or(0, |value| value.to_string().len());
        let longest = digits(integers.first()).max(digits(integers.last()));
        let fits = integers.len() < limits.pack.entry_count_max
            && text.len() <= limits.pack.text_bytes_max
            && longest <= limits.pack.text_bytes_max
            && Listpack::new().has_room_for(integers.len() * (longest + 2) + text.len());
        if !fits {
            return self.add_to_large(text);
        }
        let mut pack = Listpack::new();
        for value in integers.iter() {
            pack.push_back(value.to_string().as_bytes());
        }
        pack.insert(pack.end(), &[text]);
        *self = Self::Small(pack);
    }

    /// The members as those of a large set.
    fn to_large(&self) -> Box<Members> {
        let mut members = Box::<Members>::default();
        for member in self.iter() {
            members.set(member.as_bytes(&mut [0; 20]), &[]);
        }
        members
    }

    /// Adds a member for which a small set has no room.
    fn add_to_large(&mut self, text: &[u8]) {
        let mut members = self.to_large();
        members.set(text, &[]);
        *self = Self::Large(members);
    }

    /// Removes a member; false when it is none.
    pub(crate) fn remove(&mut self, text: &[u8]) -> bool {
        match self {
            Self::Large(members) => members.remove(text),
            Self::Small(pack) => {
                let at = pack.find(text, 1);
                at.inspect(|at| pack.remove(*at, 1)).is_some()
            }
            Self::Integers(integers) => {
                parse_integer(text).is_some_and(|value| integers.remove(value))
            }
        }
    }

    /// Whether this is a member.
    pub(crate) fn contains(&self, text: &[u8]) -> bool {
        match self {
            Self::Large(members) => members.contains(text),
            Self::Small(pack) => pack.find(text, 1).is_some(),
            Self::Integers(integers) => {
                parse_integer(text).is_some_and(|value| integers.contains(value))
            }
        }
    }

    /// As [`Set::contains`], of a member of another set.
    pub(crate) fn has(&self, member: Element<'_>) -> bool {
        match (self, member) {
            (Self::Integers(integers), Element::Int(value)) => integers.contains(value),
            _ => self.contains(member.as_bytes(&mut [0; 20])),
        }
    }

    /// All members.
    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = Element<'_>> + '_> {
        match self {
            Self::Integers(integers) => Box::new(integers.iter().map(Element::Int)),
            Self::Small(pack) => Box::new(pack.iter()),
            Self::Large(members) => Box::new(members.iter().map(|(key, _)| Element::Bytes(key))),
        }
    }

    /// A member, each as likely as any other.
    pub(crate) fn random(&self, chance: &mut dyn FnMut() -> u64) -> Option<Element<'_>> {
        let len = self.len();
        if len == 0 {
            return None;
        }
        match self {
            Self::Integers(integers) => integers.get(below(chance(), len)).map(Element::Int),
            Self::Small(pack) => Some(pack.at(pack.seek(below(chance(), len)))),
            Self::Large(members) => members.random(chance).map(|(key, _)| Element::Bytes(key)),
        }
    }

    /// Gives members from a cursor on, see [`Members::scan`]; a set that is not large is given whole.
    pub(crate) fn scan(&self, cursor: u64, count: usize, take: &mut dyn FnMut(Element<'_>)) -> u64 {
        if let Self::Large(members) = self {
            return members.scan(cursor, count, &mut |key, _| take(Element::Bytes(key)));
        }
        self.iter().for_each(take);
        0
    }

    /// The members as they are now, to be read later; `None` for a set that is not large.
    pub(crate) fn share(&self) -> Option<MembersShare> {
        match self {
            Self::Large(members) => Some(members.share()),
            Self::Integers(_) | Self::Small(_) => None,
        }
    }

    /// A set all of whose members are integers, as such where there may be so many.
    #[must_use]
    pub(crate) fn with_integers_as_such(self, limits: &SetLimits) -> Self {
        let is_so_already = matches!(self, Self::Integers(_));
        if is_so_already || self.len() > limits.integer_count_max.min(INTEGERS_MAX) {
            return self;
        }
        let values: Option<Vec<i64>> = self.iter().map(|member| member.as_integer()).collect();
        match values {
            Some(values) => Self::Integers(values.into_iter().collect()),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests;
