//! Packs that strangers wrote: RDB files, payloads of RESTORE.
//!
//! Who works with a pack looks for elements by the bytes they have here, so a pack whose elements are written otherwise
//! (an integer as text, a wider integer than needed) is written anew. Redis writes none, converters of files do.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use hashbrown::DefaultHashBuilder;
use smallvec::SmallVec;

use super::entry::{backlen_bytes, body_length, parse_integer};
use super::{CorruptListpack, Element, HEADER_BYTES, LISTPACK_BYTES_MAX, Listpack, decode};

/// Whoever finds elements with equal hashes only makes the sort of their texts longer.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// Most elements that are compared each with each.
const COMPARED_MAX: usize = 12;

impl Listpack {
    /// Takes over bytes that came from elsewhere, for a value of which `step` elements belong together and the first of them is
    /// unique: fields of a hash, members of a set. O(n log n).
    ///
    /// # Errors
    /// [`CorruptListpack`] when the bytes are not exactly one listpack, elements are missing, or one is there twice.
    pub(crate) fn from_foreign(bytes: &[u8], step: usize) -> Result<Self, CorruptListpack> {
        if bytes.len() > LISTPACK_BYTES_MAX {
            return Err(CorruptListpack::Header);
        }
        let pack = Self::in_our_words(bytes)?;
        pack.check_distinct(step)?;
        Ok(pack)
    }

    /// Takes over bytes that came from elsewhere; an element that is written otherwise than here is written anew. O(n).
    ///
    /// # Errors
    /// [`CorruptListpack`] when the bytes are not exactly one listpack, or too long to be written anew.
    pub(crate) fn in_our_words(bytes: &[u8]) -> Result<Self, CorruptListpack> {
        let pack = Self::from_bytes(bytes.to_vec())?;
        if pack.is_canonical() {
            Ok(pack)
        } else if bytes.len() > LISTPACK_BYTES_MAX {
            Err(CorruptListpack::Header)
        } else {
            Ok(pack.written_anew())
        }
    }

    /// Whether every `step`-th element of a pack written here is there once, and none is left over.
    pub(crate) fn is_distinct(&self, step: usize) -> bool {
        self.check_distinct(step).is_ok()
    }

    /// Whether every element is written as [`Listpack::push_back`] writes it.
    fn is_canonical(&self) -> bool {
        let end = self.end();
        let mut at = HEADER_BYTES;
        while at < end {
            let Some(body) = body_length(&self.buffer, at) else {
                return false;
            };
            let first = self.buffer[at];
            let canonical = match first {
                0x00..=0x7F => true,
                // Digits are few: a text that begins otherwise is no integer.
                0x80..=0xBF | 0xE0..=0xEF | 0xF0 => match decode(&self.buffer, at).0 {
                    Element::Bytes(text) => {
                        let wide = match text.len() {
                            0..=63 => first < 0xC0,
                            64..=4095 => first < 0xF0,
                            _ => true,
                        };
                        wide && parse_integer(text).is_none()
                    }
                    Element::Int(_) => false,
                },
                _ => match decode(&self.buffer, at).0 {
                    Element::Int(value) => {
                        super::Entry::integer(value).length() == body + backlen_bytes(body)
                    }
                    Element::Bytes(_) => false,
                },
            };
            if !canonical {
                return false;
            }
            at += body + backlen_bytes(body);
        }
        true
    }

    fn written_anew(&self) -> Self {
        let mut anew = Self::new();
        for element in self {
            anew.push_back(element.as_bytes(&mut [0; 20]));
        }
        anew
    }

    /// Looks whether every `step`-th element is there once. The pack is canonical: equal elements are equal bytes.
    fn check_distinct(&self, step: usize) -> Result<(), CorruptListpack> {
        let mut found: SmallVec<[(u64, u32, u32); 64]> = SmallVec::new();
        let (end, mut at, mut number) = (self.end(), HEADER_BYTES, 0);
        while at < end {
            let body = body_length(&self.buffer, at).ok_or(CorruptListpack::Entry { at })?;
            if number % step == 0 {
                let (from, to) = (at as u32, (at + body) as u32);
                found.push((0, from, to));
            }
            at += body + backlen_bytes(body);
            number += 1;
        }
        if number % step != 0 {
            return Err(CorruptListpack::Uneven);
        }
        let text = |from: u32, to: u32| &self.buffer[from as usize..to as usize];
        if found.len() <= COMPARED_MAX {
            let twice = found.iter().enumerate().any(|(number, one)| {
                let mut others = found.iter().take(number);
                others.any(|other| text(other.1, other.2) == text(one.1, one.2))
            });
            return if twice {
                Err(CorruptListpack::Twice)
            } else {
                Ok(())
            };
        }
        for one in &mut found {
            one.0 = HASHER.hash_one(text(one.1, one.2));
        }
        found.sort_unstable();
        let alike = found.chunk_by(|one, other| one.0 == other.0);
        for run in alike.filter(|run| run.len() > 1) {
            let mut texts: Vec<&[u8]> = run.iter().map(|one| text(one.1, one.2)).collect();
            texts.sort_unstable();
            if texts.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(CorruptListpack::Twice);
            }
        }
        Ok(())
    }
}
