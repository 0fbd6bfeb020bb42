//! The hash: fields with values, some of which may end by themselves.
//!
//! ```text
//! small   listpack   field value │ field value │ …           in the order in which they came
//! timed   listpack   field value ms │ field value ms │ …     the same, once a field has had an end (timed.rs)
//! large   members    field ─► value                          in the order of their hashes
//!         ends       field ─► ms, and by ms                  once a field has had an end
//! ```
//! A small hash becomes a large one, never the other way, by Redis' rules: before texts are added their lengths and number
//! are looked at ([`Hash::before_setting`]), behind that how many fields there are ([`Hash::set`]).
//!
//! Not here: the clock; an empty hash, which is no value of a key: whoever takes the last field out removes the key.

mod share;
mod timed;

pub(crate) use share::Share;

use bytes::Bytes;

use crate::data::ends::{EndingElements, Ends};
use crate::data::listpack::{self, Element, Listpack, PackLimits};
use crate::data::members::{Members, below};
use timed::{TIME_BYTES_MAX, TIMED_STEP, time_at, time_text, with_times};

/// Fields with values. See the module's head.
#[derive(Clone, Debug)]
pub(crate) enum Hash {
    /// Few and short ones (`listpack`).
    Small(Listpack),
    /// Few and short ones, of which some end (`listpackex`).
    Timed(Box<Listpack>),
    /// Others (`hashtable`).
    Large(Box<Table>),
}

/// A large hash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    members: Members,
    ends: Option<Box<Ends>>,
}

/// What a field that is set again does with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldEnd {
    /// It is another value: it does not end.
    Lift,
    /// It is the value changed: it ends when it would have.
    Keep,
}

impl Hash {
    /// An empty one.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::Small(Listpack::new())
    }

    /// An empty one of many fields.
    #[must_use]
    pub(crate) fn large() -> Self {
        Self::Large(Box::default())
    }

    /// A hash of the fields in a pack, each once there, with their values; large when there are more than a pack may have.
    #[must_use]
    pub(crate) fn of_pack(pack: Listpack, limits: &PackLimits) -> Self {
        let mut hash = Self::Small(pack);
        if hash.len() > limits.entry_count_max {
            hash.enlarge();
        }
        hash
    }

    /// As [`Hash::of_pack`], of a pack with a time behind each value: Unix ms, 0 for none.
    #[must_use]
    pub(crate) fn of_timed_pack(pack: Listpack, limits: &PackLimits) -> Self {
        let mut hash = Self::Timed(Box::new(pack));
        if hash.len() > limits.entry_count_max {
            hash.enlarge();
        }
        hash
    }

    /// The listpack, if it is one, and how many elements of it belong to a field.
    fn pack(&self) -> Option<(&Listpack, usize)> {
        match self {
            Self::Small(pack) => Some((pack, 2)),
            Self::Timed(pack) => Some((pack, TIMED_STEP)),
            Self::Large(_) => None,
        }
    }

    /// How many fields.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Small(pack) => pack.len() / 2,
            Self::Timed(pack) => pack.len() / TIMED_STEP,
            Self::Large(table) => table.members.len(),
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
            Self::Timed(_) => "listpackex",
            Self::Large(_) => "hashtable",
        }
    }

    /// How many pieces of memory it is made of.
    #[must_use]
    pub(crate) fn part_count(&self) -> usize {
        match self {
            Self::Small(_) | Self::Timed(_) => 1,
            Self::Large(table) => {
                let ends = table.ends.as_deref().map_or(0, Ends::part_count);
                table.members.part_count() + ends
            }
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Small(pack) => pack.heap_bytes(),
            Self::Timed(pack) => size_of::<Listpack>() + pack.heap_bytes(),
            Self::Large(table) => {
                let ends = table.ends.as_deref();
                let ends = ends.map_or(0, |ends| size_of::<Ends>() + ends.heap_bytes());
                size_of::<Table>() + table.members.heap_bytes() + ends
            }
        }
    }

    /// As [`Hash::heap_bytes`], about. O(1).
    #[must_use]
    pub(crate) fn estimated_bytes(&self) -> usize {
        match self {
            Self::Small(_) | Self::Timed(_) => self.heap_bytes(),
            Self::Large(table) => {
                let ends = table.ends.as_deref().map_or(0, Ends::estimated_bytes);
                table.members.estimated_bytes() + ends
            }
        }
    }

    /// The value of a field. O(1), of a small hash O(bytes).
    #[must_use]
    pub(crate) fn get(&self, field: &[u8]) -> Option<Element<'_>> {
        match self {
            Self::Large(table) => table.members.get(field).map(Element::Bytes),
            Self::Small(_) | Self::Timed(_) => {
                let (pack, step) = self.pack()?;
                let at = pack.find(field, step)?;
                Some(pack.at(pack.next(at)))
            }
        }
    }

    /// The value of a field without a copy, if it is a long one: what a reply may share.
    pub(crate) fn share_of(&self, field: &[u8]) -> Option<Bytes> {
        match self {
            Self::Large(table) => table.members.share_of(field),
            Self::Small(_) | Self::Timed(_) => None,
        }
    }

    /// Whether it has a field.
    #[must_use]
    pub(crate) fn contains(&self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// Looks at texts that are about to be set, fields and values in turn. Redis: half of them counts as new fields,
    /// whatever there is already.
    pub(crate) fn before_setting<'a>(
        &mut self,
        texts: impl ExactSizeIterator<Item = &'a [u8]>,
        limits: &PackLimits,
    ) {
        let Some((pack, _)) = self.pack() else { return };
        let mut bytes = 0_usize;
        let fits = texts.len() / 2 <= limits.entry_count_max
            && texts.into_iter().all(|text| {
                bytes = bytes.saturating_add(text.len());
                text.len() <= limits.text_bytes_max
            });
        if !fits || !pack.has_room_for(bytes) {
            self.enlarge();
        }
    }

    /// Sets a field; whether it is new. O(1), of a small hash O(bytes).
    pub(crate) fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        old_end: OldEnd,
        limits: &PackLimits,
    ) -> bool {
        if let Some((pack, _)) = self.pack() {
            let is_long = field.len().max(value.len()) > limits.text_bytes_max;
            if is_long || !pack.has_room_for(field.len() + value.len()) {
                self.enlarge();
            }
        }
        let is_new = match self {
            Self::Small(pack) => set_in_pack(pack, &[field, value], OldEnd::Keep),
            Self::Timed(pack) => set_in_pack(pack, &[field, value, b"0"], old_end),
            Self::Large(table) => {
                if let Some(ends) = table.ends.as_deref_mut()
                    && old_end == OldEnd::Lift
                {
                    ends.set(field, None);
                }
                table.members.set(field, &[value])
            }
        };
        if self.pack().is_some() && self.len() > limits.entry_count_max {
            self.enlarge();
        }
        is_new
    }

    /// When a field ends, Unix ms; `None` when it does not, or there is no such field. O(1), of a small hash O(bytes).
    #[must_use]
    pub(crate) fn end_of(&self, field: &[u8]) -> Option<u64> {
        match self {
            Self::Small(_) => None,
            Self::Timed(pack) => {
                let at = pack.find(field, TIMED_STEP)?;
                time_at(pack, pack.next(pack.next(at)))
            }
            Self::Large(table) => table.ends.as_deref()?.get(field),
        }
    }

    /// Lets a field that is there end, Unix ms above 0, or not. O(log n), of a small hash O(bytes).
    pub(crate) fn set_end(&mut self, field: &[u8], ends_ms: Option<u64>) {
        if let Self::Small(pack) = self {
            if pack.has_room_for(pack.len() * TIME_BYTES_MAX) {
                *self = Self::Timed(Box::new(with_times(pack)));
            } else {
                self.enlarge();
            }
        }
        if matches!(self, Self::Timed(pack) if !pack.has_room_for(0)) {
            self.enlarge();
        }
        match self {
            Self::Small(_) => {}
            Self::Timed(pack) => {
                if let Some(at) = pack.find(field, TIMED_STEP) {
                    let at = pack.next(pack.next(at));
                    pack.replace(at, time_text(ends_ms).as_bytes());
                }
            }
            Self::Large(table) => table.ends.get_or_insert_default().set(field, ends_ms),
        }
    }

    /// When the next field ends, Unix ms. O(1), of a small hash O(bytes).
    #[must_use]
    pub(crate) fn next_end_ms(&self) -> Option<u64> {
        match self {
            Self::Small(_) => None,
            Self::Timed(_) => self.ends().map(|(ms, _)| ms).min(),
            Self::Large(table) => table.ends.as_deref()?.next_ms(),
        }
    }

    /// The fields that end, with their times.
    pub(crate) fn ends(&self) -> Box<dyn Iterator<Item = (u64, Element<'_>)> + '_> {
        match self {
            Self::Small(_) => Box::new(std::iter::empty()),
            Self::Timed(pack) => {
                let at_field = |at: usize| (at < pack.end()).then_some(at);
                let fields = std::iter::successors(at_field(pack.first()), move |at| {
                    at_field(pack.next(pack.next(pack.next(*at))))
                });
                Box::new(fields.filter_map(|at| {
                    let ms = time_at(pack, pack.next(pack.next(at)))?;
                    Some((ms, pack.at(at)))
                }))
            }
            Self::Large(table) => Box::new(table.ends.as_deref().into_iter().flat_map(Ends::iter)),
        }
    }

    /// Takes fields out that ended before this time, Unix ms, at most `count`, and gives them. O(log n) each, of a small hash
    /// O(bytes).
    pub(crate) fn take_ended(&mut self, now_ms: u64, count: usize) -> Vec<Box<[u8]>> {
        match self {
            Self::Small(_) => Vec::new(),
            Self::Timed(_) => {
                let ended = self.ends().filter(|(ms, _)| *ms < now_ms);
                let mut ended: Vec<(u64, Box<[u8]>)> = ended
                    .map(|(ms, field)| (ms, field.to_vec().into()))
                    .collect();
                ended.sort_by_key(|(ms, _)| *ms);
                ended.truncate(count);
                for (_, field) in &ended {
                    self.remove(field);
                }
                ended.into_iter().map(|(_, field)| field).collect()
            }
            Self::Large(table) => {
                let Table { members, ends } = &mut **table;
                let ended = ends
                    .as_deref_mut()
                    .map(|ends| ends.take_ended(now_ms, count));
                let ended = ended.unwrap_or_default();
                ended.iter().for_each(|field| {
                    members.remove(field);
                });
                ended
            }
        }
    }

    /// Takes a field out; false when there is none. O(1), of a small hash O(bytes).
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let remove_from = |pack: &mut Listpack, step| {
            let found = pack.find(field, step);
            if let Some(at) = found {
                pack.remove(at, step);
            }
            found.is_some()
        };
        match self {
            Self::Small(pack) => remove_from(pack, 2),
            Self::Timed(pack) => remove_from(pack, TIMED_STEP),
            Self::Large(table) => {
                if let Some(ends) = table.ends.as_deref_mut() {
                    ends.set(field, None);
                }
                table.members.remove(field)
            }
        }
    }

    /// Makes a large one of a small one. O(fields).
    fn enlarge(&mut self) {
        if self.pack().is_none() {
            return;
        }
        let mut table = Table::default();
        for (field, value) in self.iter() {
            let (field, value) = (field.to_vec(), value.to_vec());
            table.members.set(&field, &[&value]);
        }
        for (ms, field) in self.ends() {
            let ends = table.ends.get_or_insert_default();
            ends.set(&field.to_vec(), Some(ms));
        }
        *self = Self::Large(Box::new(table));
    }

    /// All fields with their values.
    #[must_use]
    pub(crate) fn iter(&self) -> Iter<'_> {
        match self {
            Self::Small(pack) => Iter::Small(pack.iter()),
            Self::Timed(pack) => Iter::Timed(pack.iter()),
            Self::Large(table) => Iter::Large(Box::new(table.members.iter())),
        }
    }

    /// A field with its value, each as likely as the others; `None` of an empty hash. `chance` gives numbers without pattern.
    pub(crate) fn random(
        &self,
        chance: &mut dyn FnMut() -> u64,
    ) -> Option<(Element<'_>, Element<'_>)> {
        match self {
            Self::Large(table) => {
                let (field, value) = table.members.random(chance)?;
                Some((Element::Bytes(field), Element::Bytes(value)))
            }
            Self::Small(_) | Self::Timed(_) => {
                let (pack, step) = self.pack()?;
                let count = Some(pack.len() / step).filter(|count| *count > 0)?;
                let field = pack.seek(step * below(chance(), count));
                Some((pack.at(field), pack.at(pack.next(field))))
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
            Self::Small(_) | Self::Timed(_) => {
                self.iter().for_each(|(field, value)| take(field, value));
                0
            }
            Self::Large(table) => table.members.scan(cursor, count, &mut |field, value| {
                take(Element::Bytes(field), Element::Bytes(value));
            }),
        }
    }

    /// What it is now, to choose from later; without ends. O(segments), of a small hash O(bytes).
    #[must_use]
    pub(crate) fn to_choose_from(&self) -> Self {
        match self {
            Self::Small(_) | Self::Timed(_) => self.clone(),
            Self::Large(table) => Self::Large(Box::new(Table {
                members: table.members.clone(),
                ends: None,
            })),
        }
    }

    /// What it is now, to be read later. O(segments), of a small hash O(bytes).
    #[must_use]
    pub(crate) fn share(&self) -> Share {
        Share::new(self)
    }
}

impl EndingElements for Hash {
    fn has(&self, field: &[u8]) -> bool {
        self.contains(field)
    }

    fn end_of(&self, field: &[u8]) -> Option<u64> {
        Self::end_of(self, field)
    }

    fn set_end(&mut self, field: &[u8], ends_ms: Option<u64>) {
        Self::set_end(self, field, ends_ms);
    }

    fn remove(&mut self, field: &[u8]) -> bool {
        Self::remove(self, field)
    }

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn next_end_ms(&self) -> Option<u64> {
        Self::next_end_ms(self)
    }

    fn ended_count(&self, now_ms: u64) -> usize {
        match self {
            Self::Small(_) => 0,
            Self::Timed(_) => self.ends().filter(|(ms, _)| *ms < now_ms).count(),
            Self::Large(table) => table
                .ends
                .as_deref()
                .map_or(0, |ends| ends.ended_count(now_ms)),
        }
    }

    fn take_ended(&mut self, now_ms: u64, count: usize) -> Vec<Box<[u8]>> {
        Self::take_ended(self, now_ms, count)
    }
}

/// Sets the field that is the first of the texts in a listpack where each has so many elements; whether it is new.
fn set_in_pack(pack: &mut Listpack, texts: &[&[u8]], old_end: OldEnd) -> bool {
    let (step, field, value) = (texts.len(), texts[0], texts[1]);
    let Some(at) = pack.find(field, step) else {
        pack.insert(pack.end(), texts);
        return true;
    };
    let at = pack.next(at);
    pack.replace(at, value);
    if old_end == OldEnd::Lift {
        pack.replace(pack.next(at), texts[step - 1]);
    }
    false
}

/// All fields of a hash with their values.
pub(crate) enum Iter<'a> {
    /// Of a small one.
    Small(listpack::Iter<'a>),
    /// Of a small one with times.
    Timed(listpack::Iter<'a>),
    /// Of a large one.
    Large(Box<dyn Iterator<Item = (&'a [u8], &'a [u8])> + 'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Element<'a>, Element<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Small(texts) => texts.next().zip(texts.next()),
            Self::Timed(texts) => {
                let field = texts.next().zip(texts.next());
                texts.next();
                field
            }
            Self::Large(members) => {
                let (field, value) = members.next()?;
                Some((Element::Bytes(field), Element::Bytes(value)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
