//! A value from bytes, of whatever type Redis has ever written.
//!
//! Packs are taken over as they are where they are within the limits; otherwise values are put together anew, in the form that
//! Redis gives them when it loads them.

#![deny(clippy::indexing_slicing)]

use super::bytes::Cursor;
use super::{Flaw, Limits, old, stream, types};
use crate::data::hash::{Hash, OldEnd};
use crate::data::list::{Assembly, List};
use crate::data::listpack::Listpack;
use crate::data::set::Set;
use crate::data::sorted_set::SortedSet;
use crate::keyspace::value::{StringValue, Value};

const DUPLICATE_FIELD: Flaw = Flaw::Corrupt("Duplicate hash fields detected");
const DUPLICATE_MEMBER: Flaw = Flaw::Corrupt("Duplicate members detected");
const NO_SCORE: Flaw = Flaw::Corrupt("a score that is no number");
const PACK: Flaw = Flaw::Corrupt("Listpack integrity check failed");
const SET_PACK: Flaw = Flaw::Corrupt("Set listpack integrity check failed");
const HASH_PACK: Flaw = Flaw::Corrupt("Hash listpack integrity check failed");
const HASH_ZIPLIST: Flaw = Flaw::Corrupt("Hash ziplist integrity check failed");
const ZSET_PACK: Flaw = Flaw::Corrupt("Zset listpack integrity check failed");
const ZSET_ZIPLIST: Flaw = Flaw::Corrupt("Zset ziplist integrity check failed");

/// Decodes a value; the bytes are it and nothing else.
///
/// # Errors
/// [`Flaw`] when they are not.
pub(crate) fn decode(type_code: u8, bytes: &[u8], limits: &Limits) -> Result<Value, Flaw> {
    let mut cursor = Cursor::new(bytes);
    let value = decode_from(&mut cursor, type_code, limits)?;
    if cursor.is_at_end() {
        Ok(value)
    } else {
        Err(Flaw::Corrupt("bytes behind the value"))
    }
}

/// Decodes the value at the cursor.
pub(super) fn decode_from(
    cursor: &mut Cursor<'_>,
    type_code: u8,
    limits: &Limits,
) -> Result<Value, Flaw> {
    Ok(match type_code {
        types::STRING => Value::String(StringValue::new(cursor.text()?.bytes())),
        types::LIST | types::LIST_ZIPLIST | types::LIST_QUICKLIST | types::LIST_QUICKLIST_2 => {
            Value::List(list(cursor, type_code, limits)?)
        }
        types::SET => Value::Set(set(cursor, limits)?),
        types::SET_INTSET => Value::Set(integers(cursor, limits)?),
        types::SET_LISTPACK => {
            let pack = pack(cursor.text()?.bytes(), 1, SET_PACK)?;
            Value::Set(Set::of_pack(pack, &limits.set))
        }
        types::ZSET | types::ZSET_2 => Value::SortedSet(sorted_set(cursor, type_code, limits)?),
        types::ZSET_LISTPACK => {
            let pack = pack(cursor.text()?.bytes(), 2, ZSET_PACK)?;
            Value::SortedSet(packed_sorted_set(pack, limits)?)
        }
        types::ZSET_ZIPLIST => {
            let pack = old::ziplist(cursor.text()?.bytes()).map_err(|_| ZSET_ZIPLIST)?;
            let pack = self::pack(pack.bytes(), 2, ZSET_ZIPLIST)?;
            Value::SortedSet(packed_sorted_set(pack, limits)?)
        }
        types::HASH => Value::Hash(hash(cursor, limits)?),
        types::HASH_LISTPACK => {
            let pack = pack(cursor.text()?.bytes(), 2, HASH_PACK)?;
            Value::Hash(Hash::of_pack(pack, &limits.hash))
        }
        types::HASH_ZIPLIST => {
            let pack = old::ziplist(cursor.text()?.bytes()).map_err(|_| HASH_ZIPLIST)?;
            let pack = self::pack(pack.bytes(), 2, HASH_ZIPLIST)?;
            Value::Hash(Hash::of_pack(pack, &limits.hash))
        }
        types::HASH_ZIPMAP => {
            let mut text = cursor.text()?;
            Value::Hash(hash_of(&old::zipmap(text.bytes())?, limits)?)
        }
        types::HASH_TIMED | types::HASH_TIMED_FIRST => {
            Value::Hash(ending_hash(cursor, type_code, limits)?)
        }
        types::HASH_TIMED_LISTPACK | types::HASH_TIMED_LISTPACK_FIRST => {
            Value::Hash(ending_pack(cursor, type_code, limits)?)
        }
        types::STREAM | types::STREAM_2 | types::STREAM_3 => {
            Value::Stream(Box::new(stream::decode(cursor, type_code, limits)?))
        }
        other => {
            return Err(Flaw::Unknown(format!(
                "a value of the unknown type {other}"
            )));
        }
    })
}

/// How many elements there are: at least one.
fn count(cursor: &mut Cursor<'_>) -> Result<usize, Flaw> {
    match cursor.length()? {
        0 => Err(Flaw::Empty),
        // More than there are bytes is found out when they end.
        count => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
    }
}

/// A listpack of which `step` elements belong together, the first of them unique; `flaw` when it is none.
fn pack(bytes: &[u8], step: usize, flaw: Flaw) -> Result<Listpack, Flaw> {
    let pack = Listpack::from_foreign(bytes, step).map_err(|_| flaw)?;
    if pack.len() == 0 {
        return Err(Flaw::Empty);
    }
    Ok(pack)
}

fn list(cursor: &mut Cursor<'_>, type_code: u8, limits: &Limits) -> Result<List, Flaw> {
    let mut assembly = Assembly::default();
    let chunk =
        |assembly: &mut Assembly, bytes: &[u8]| assembly.add_listpack(bytes).map_err(|_| PACK);
    match type_code {
        types::LIST => {
            let mut list = List::new();
            for _ in 0..count(cursor)? {
                let mut text = cursor.text()?;
                push(&mut list, text.bytes(), limits);
            }
            return Ok(list);
        }
        types::LIST_ZIPLIST => {
            let pack = old::ziplist(cursor.text()?.bytes())?;
            let mut list = List::new();
            for element in &pack {
                push(&mut list, element.as_bytes(&mut [0; 20]), limits);
            }
            return if list.is_empty() {
                Err(Flaw::Empty)
            } else {
                Ok(list)
            };
        }
        types::LIST_QUICKLIST => {
            for _ in 0..count(cursor)? {
                let pack = old::ziplist(cursor.text()?.bytes())?;
                chunk(&mut assembly, pack.bytes())?;
            }
        }
        _ => {
            for _ in 0..count(cursor)? {
                match cursor.length()? {
                    1 => match cursor.text()?.bytes() {
                        // Redis keeps none alone that is so small, and takes none.
                        [] => return Err(Flaw::Corrupt("Quicklist integrity check failed")),
                        alone => assembly.add_alone(alone),
                    },
                    2 => chunk(&mut assembly, cursor.text()?.bytes())?,
                    _ => return Err(Flaw::Corrupt("an unknown chunk of a list")),
                }
            }
        }
    }
    let list = assembly.finish(&limits.list);
    if list.is_empty() {
        Err(Flaw::Empty)
    } else {
        Ok(list)
    }
}

fn push(list: &mut List, text: &[u8], limits: &Limits) {
    list.before_adding(text.len(), 1, &limits.list);
    list.push(crate::data::list::End::Back, text, &limits.list);
}

fn set(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Set, Flaw> {
    let count = count(cursor)?;
    let mut set = if count > limits.set.integer_count_max {
        Set::large()
    } else {
        Set::of_integers()
    };
    for _ in 0..count {
        if !set.add(cursor.text()?.bytes(), &limits.set) {
            return Err(DUPLICATE_MEMBER);
        }
    }
    Ok(set)
}

fn integers(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Set, Flaw> {
    const MALFORMED: Flaw = Flaw::Corrupt("Intset integrity check failed");
    let mut text = cursor.text()?;
    let mut inner = Cursor::new(text.bytes());
    let width = u32::from_le_bytes(inner.array()?);
    let count = u32::from_le_bytes(inner.array()?);
    let bytes = inner.rest();
    if u64::from(width) * u64::from(count) != bytes.len() as u64 {
        return Err(MALFORMED);
    }
    if count == 0 {
        return Err(Flaw::Empty);
    }
    Set::of_foreign_integers(width as usize, bytes, &limits.set).ok_or(MALFORMED)
}

fn sorted_set(cursor: &mut Cursor<'_>, type_code: u8, limits: &Limits) -> Result<SortedSet, Flaw> {
    let mut pairs = Vec::new();
    for _ in 0..count(cursor)? {
        let member = cursor.text()?.into_vec();
        let score = if type_code == types::ZSET_2 {
            cursor.double()?
        } else {
            old::double(cursor)?
        };
        if score.is_nan() {
            return Err(NO_SCORE);
        }
        pairs.push((score, member));
    }
    SortedSet::of_foreign(pairs, &limits.sorted_set).ok_or(DUPLICATE_MEMBER)
}

fn packed_sorted_set(pack: Listpack, limits: &Limits) -> Result<SortedSet, Flaw> {
    SortedSet::of_pack(pack, &limits.sorted_set).ok_or(NO_SCORE)
}

/// An empty hash for so many fields.
fn hash_for(count: usize, limits: &Limits) -> Hash {
    if count > limits.hash.entry_count_max {
        Hash::large()
    } else {
        Hash::new()
    }
}

fn hash(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Hash, Flaw> {
    let count = count(cursor)?;
    let mut hash = hash_for(count, limits);
    for _ in 0..count {
        let (mut field, mut value) = (cursor.text()?, cursor.text()?);
        if !hash.set(field.bytes(), value.bytes(), OldEnd::Keep, &limits.hash) {
            return Err(DUPLICATE_FIELD);
        }
    }
    Ok(hash)
}

fn hash_of(fields: &[old::Field<'_>], limits: &Limits) -> Result<Hash, Flaw> {
    if fields.is_empty() {
        return Err(Flaw::Empty);
    }
    let mut hash = hash_for(fields.len(), limits);
    for (field, value) in fields {
        if !hash.set(field, value, OldEnd::Keep, &limits.hash) {
            return Err(DUPLICATE_FIELD);
        }
    }
    Ok(hash)
}

fn ending_hash(cursor: &mut Cursor<'_>, type_code: u8, limits: &Limits) -> Result<Hash, Flaw> {
    let first_ms = match type_code {
        types::HASH_TIMED => Some(cursor.time()?),
        _ => None,
    };
    let count = count(cursor)?;
    let mut hash = hash_for(count, limits);
    for _ in 0..count {
        let end = cursor.length()?;
        let (mut field, mut value) = (cursor.text()?, cursor.text()?);
        if !hash.set(field.bytes(), value.bytes(), OldEnd::Keep, &limits.hash) {
            return Err(DUPLICATE_FIELD);
        }
        if end > 0 {
            let end_ms = match first_ms {
                Some(first_ms) => first_ms.checked_add(end - 1),
                None => Some(end),
            };
            let end_ms = end_ms.filter(|ms| *ms > 0 && *ms <= crate::data::ends::END_MS_MAX);
            let end_ms = end_ms.ok_or(Flaw::Corrupt("an end of a field that is no time"))?;
            hash.set_end(field.bytes(), Some(end_ms));
        }
    }
    Ok(hash)
}

fn ending_pack(cursor: &mut Cursor<'_>, type_code: u8, limits: &Limits) -> Result<Hash, Flaw> {
    if type_code == types::HASH_TIMED_LISTPACK {
        cursor.time()?;
    }
    let pack = pack(cursor.text()?.bytes(), 3, HASH_PACK)?;
    let times = pack.iter().skip(2).step_by(3);
    let mut are_times = times.map(|time| {
        let ms = time.as_integer().and_then(|ms| u64::try_from(ms).ok());
        ms.is_some_and(|ms| ms <= crate::data::ends::END_MS_MAX)
    });
    if !are_times.all(|is_time| is_time) {
        return Err(Flaw::Corrupt("an end of a field that is no time"));
    }
    Ok(Hash::of_timed_pack(pack, &limits.hash))
}
