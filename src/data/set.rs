//! The set: members without order.
//!
//! ```text
//! integers (`intset`)   | width | sorted integers |     while all members are integers
//! small (`listpack`)    one pack, in the order in which members came
//! large (`hashtable`)   a table of segments
//! with ends             any of them, and when members end, while any does: its encoding is that of the members
//! ```
//! When a set changes its form follows Redis 7.2 exactly, because OBJECT ENCODING shows it. A set never becomes smaller in form,
//! but for results that are made anew ([`Set::with_integers_as_such`]).
//!
//! Not here: names of commands, keys.

mod integers;

use super::ends::{EndingElements, Ends};
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
    /// Members of which some end.
    WithEnds(Box<SetWithEnds>),
}

/// A set of which members end.
#[derive(Clone, Debug)]
pub(crate) struct SetWithEnds {
    /// Itself without ends.
    members: Set,
    ends: Ends,
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

    /// An empty set of many members.
    pub(crate) fn large() -> Self {
        Self::Large(Box::default())
    }

    /// A set of the members in a pack, each once there; large when there are more than a pack may have.
    pub(crate) fn of_pack(pack: Listpack, limits: &SetLimits) -> Self {
        let is_large = pack.len() > limits.pack.entry_count_max;
        let set = Self::Small(pack);
        if is_large {
            return Self::Large(set.to_large());
        }
        set
    }

    /// A set of integers as others wrote them: ascending, each `width` bytes. `None` when they are not that.
    pub(crate) fn of_foreign_integers(
        width: usize,
        bytes: &[u8],
        limits: &SetLimits,
    ) -> Option<Self> {
        let integers = Integers::from_foreign(width, bytes)?;
        let is_large = integers.len() > limits.integer_count_max.min(INTEGERS_MAX);
        let set = Self::Integers(integers);
        Some(if is_large {
            Self::Large(set.to_large())
        } else {
            set
        })
    }

    /// Itself without ends.
    pub(crate) fn without_ends(&self) -> &Self {
        match self {
            Self::WithEnds(set) => &set.members,
            Self::Integers(_) | Self::Small(_) | Self::Large(_) => self,
        }
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Integers(integers) => integers.len(),
            Self::Small(pack) => pack.len(),
            Self::Large(members) => members.len(),
            Self::WithEnds(set) => set.members.len(),
        }
    }

    /// Whether it is kept as integers.
    pub(crate) fn is_of_integers(&self) -> bool {
        match self {
            Self::Integers(_) => true,
            Self::Small(_) | Self::Large(_) => false,
            Self::WithEnds(set) => set.members.is_of_integers(),
        }
    }

    /// Whether it is one of many members.
    pub(crate) fn is_large(&self) -> bool {
        match self {
            Self::Large(_) => true,
            Self::Integers(_) | Self::Small(_) => false,
            Self::WithEnds(set) => set.members.is_large(),
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
            Self::WithEnds(set) => set.members.encoding(),
        }
    }

    /// How many pieces of memory it is made of.
    pub(crate) fn part_count(&self) -> usize {
        match self {
            Self::Integers(_) | Self::Small(_) => 1,
            Self::Large(members) => members.part_count(),
            Self::WithEnds(set) => set.members.part_count() + set.ends.part_count(),
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Integers(integers) => integers.heap_bytes(),
            Self::Small(pack) => pack.heap_bytes(),
            Self::Large(members) => size_of::<Members>() + members.heap_bytes(),
            Self::WithEnds(set) => {
                size_of::<SetWithEnds>() + set.members.heap_bytes() + set.ends.heap_bytes()
            }
        }
    }

    /// As [`Set::heap_bytes`], about. O(1).
    pub(crate) fn estimated_bytes(&self) -> usize {
        match self {
            Self::Integers(_) | Self::Small(_) => self.heap_bytes(),
            Self::Large(members) => members.estimated_bytes(),
            Self::WithEnds(set) => set.members.estimated_bytes() + set.ends.estimated_bytes(),
        }
    }

    /// Prepares for so many members that are to be added by one command. Redis: more of them than a form may have make the set
    /// large, also when they are members already.
    pub(crate) fn before_adding(&mut self, count: usize, limits: &SetLimits) {
        let too_many = match self {
            Self::Integers(_) => count > limits.integer_count_max,
            Self::Small(_) => count > limits.pack.entry_count_max,
            Self::Large(_) => false,
            Self::WithEnds(set) => return set.members.before_adding(count, limits),
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
            // One that is a member already ends when it would have.
            Self::WithEnds(set) => set.members.add(text, limits),
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
            Self::WithEnds(set) => {
                let is_member = set.members.remove(text);
                if is_member {
                    self.set_end(text, None);
                }
                is_member
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
            Self::WithEnds(set) => set.members.contains(text),
        }
    }

    /// As [`Set::contains`], of a member of another set.
    pub(crate) fn has_member(&self, member: Element<'_>) -> bool {
        match (self, member) {
            (Self::Integers(integers), Element::Int(value)) => integers.contains(value),
            (Self::WithEnds(set), member) => set.members.has_member(member),
            _ => self.contains(member.as_bytes(&mut [0; 20])),
        }
    }

    /// All members.
    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = Element<'_>> + '_> {
        match self {
            Self::Integers(integers) => Box::new(integers.iter().map(Element::Int)),
            Self::Small(pack) => Box::new(pack.iter()),
            Self::Large(members) => Box::new(members.iter().map(|(key, _)| Element::Bytes(key))),
            Self::WithEnds(set) => set.members.iter(),
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
            Self::WithEnds(set) => set.members.random(chance),
        }
    }

    /// Gives members from a cursor on, see [`Members::scan`]; a set that is not large is given whole.
    pub(crate) fn scan(&self, cursor: u64, count: usize, take: &mut dyn FnMut(Element<'_>)) -> u64 {
        match self {
            Self::Large(members) => {
                members.scan(cursor, count, &mut |key, _| take(Element::Bytes(key)))
            }
            Self::WithEnds(set) => set.members.scan(cursor, count, take),
            Self::Integers(_) | Self::Small(_) => {
                self.iter().for_each(take);
                0
            }
        }
    }

    /// The members as they are now, to be read later; `None` for a set that is not large.
    pub(crate) fn share(&self) -> Option<MembersShare> {
        match self {
            Self::Large(members) => Some(members.share()),
            Self::Integers(_) | Self::Small(_) => None,
            Self::WithEnds(set) => set.members.share(),
        }
    }

    /// The members that end, with their times, the first one first.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (u64, Element<'_>)> {
        let ends = match self {
            Self::WithEnds(set) => Some(&set.ends),
            Self::Integers(_) | Self::Small(_) | Self::Large(_) => None,
        };
        ends.into_iter().flat_map(Ends::iter)
    }

    /// Becomes the set of its members when none of them ends any more.
    fn drop_ends_when_empty(&mut self) {
        if let Self::WithEnds(set) = self
            && set.ends.is_empty()
        {
            let members = std::mem::replace(&mut set.members, Self::small());
            *self = members;
        }
    }

    /// What it is now, to choose from later; without ends. O(segments), of a small set O(bytes).
    pub(crate) fn to_choose_from(&self) -> Self {
        match self {
            Self::WithEnds(set) => set.members.clone(),
            Self::Integers(_) | Self::Small(_) | Self::Large(_) => self.clone(),
        }
    }

    /// A set all of whose members are integers, as such where there may be so many.
    #[must_use]
    pub(crate) fn with_integers_as_such(self, limits: &SetLimits) -> Self {
        if self.is_of_integers() || self.len() > limits.integer_count_max.min(INTEGERS_MAX) {
            return self;
        }
        let values: Option<Vec<i64>> = self.iter().map(|member| member.as_integer()).collect();
        match values {
            Some(values) => Self::Integers(values.into_iter().collect()),
            None => self,
        }
    }
}

impl EndingElements for Set {
    fn has(&self, member: &[u8]) -> bool {
        self.contains(member)
    }

    fn end_of(&self, member: &[u8]) -> Option<u64> {
        match self {
            Self::WithEnds(set) => set.ends.get(member),
            Self::Integers(_) | Self::Small(_) | Self::Large(_) => None,
        }
    }

    fn set_end(&mut self, member: &[u8], ends_ms: Option<u64>) {
        if let Self::WithEnds(set) = self {
            set.ends.set(member, ends_ms);
            self.drop_ends_when_empty();
        } else if ends_ms.is_some() {
            let mut ends = Ends::default();
            ends.set(member, ends_ms);
            let members = std::mem::replace(self, Self::small());
            *self = Self::WithEnds(Box::new(SetWithEnds { members, ends }));
        }
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        Self::remove(self, member)
    }

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn next_end_ms(&self) -> Option<u64> {
        match self {
            Self::WithEnds(set) => set.ends.next_ms(),
            Self::Integers(_) | Self::Small(_) | Self::Large(_) => None,
        }
    }

    fn ended_count(&self, now_ms: u64) -> usize {
        match self {
            Self::WithEnds(set) => set.ends.ended_count(now_ms),
            Self::Integers(_) | Self::Small(_) | Self::Large(_) => 0,
        }
    }

    fn take_ended(&mut self, now_ms: u64, count: usize) -> Vec<Box<[u8]>> {
        let Self::WithEnds(set) = self else {
            return Vec::new();
        };
        let ended = set.ends.take_ended(now_ms, count);
        ended.iter().for_each(|member| {
            set.members.remove(member);
        });
        self.drop_ends_when_empty();
        ended
    }
}

#[cfg(test)]
mod tests;
