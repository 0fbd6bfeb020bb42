//! Encodings that Redis wrote once: ziplists, zipmaps, scores as text.
//!
//! ```text
//! ziplist   bytes u32 │ where the last entry is u32 │ count u16 │ entry … │ 0xFF        little end first
//! entry     length of the one before: 1 byte, or 254 and 4 │ encoding │ payload
//!           00llllll │ 01llllll 1 byte │ 10...... 4 bytes: text       0xC0 0xD0 0xE0 0xF0 0xFE: 2 4 8 3 1 bytes, integer
//!           0xF1 to 0xFD: an integer from 0 to 12
//! zipmap    count │ { length │ field │ length │ unused u8 │ value │ unused bytes } … │ 0xFF
//!           length: 1 byte, or 254 and 4
//! ```

#![deny(clippy::indexing_slicing)]

use super::Flaw;
use super::bytes::{Cursor, integer_of};
use crate::data::listpack::{LISTPACK_BYTES_MAX, Listpack};

const ZIPLIST: Flaw = Flaw::Corrupt("Ziplist integrity check failed");
const ZIPMAP: Flaw = Flaw::Corrupt("Zipmap integrity check failed");
/// Larger ones are not taken: the listpack may be longer. Redis lets none grow to a tenth of it.
const ZIPLIST_BYTES_MAX: usize = LISTPACK_BYTES_MAX / 2;
const END: u8 = 0xFF;
/// A length of four bytes follows.
const WIDE: u8 = 254;
/// The count that stands for "count them".
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The elements of a ziplist as a listpack. One that ends too early is malformed like any other: its string was whole.
pub(super) fn ziplist(bytes: &[u8]) -> Result<Listpack, Flaw> {
    ziplist_elements(bytes).map_err(|_| ZIPLIST)
}

fn ziplist_elements(bytes: &[u8]) -> Result<Listpack, Flaw> {
    let mut cursor = Cursor::new(bytes);
    let total = u32::from_le_bytes(cursor.array()?);
    let last_at = u32::from_le_bytes(cursor.array()?);
    let counted = u16::from_le_bytes(cursor.array()?);
    if u64::from(total) != bytes.len() as u64 || bytes.len() > ZIPLIST_BYTES_MAX {
        return Err(ZIPLIST);
    }
    let mut pack = Listpack::new();
    let (mut before, mut last, mut count) = (0, None, 0_usize);
    loop {
        let at = bytes.len() - cursor.rest().len();
        let first = cursor.byte()?;
        if first == END {
            break;
        }
        let before_stated = match first {
            WIDE => u32::from_le_bytes(cursor.array()?) as usize,
            short => usize::from(short),
        };
        if before_stated != before {
            return Err(ZIPLIST);
        }
        ziplist_element(&mut cursor, &mut pack)?;
        before = bytes.len() - cursor.rest().len() - at;
        (last, count) = (Some(at), count + 1);
    }
    let is_last = last.is_none_or(|last| last == last_at as usize);
    let is_counted = counted == COUNT_UNKNOWN || usize::from(counted) == count;
    if !cursor.is_at_end() || !is_last || !is_counted {
        return Err(ZIPLIST);
    }
    Ok(pack)
}

fn ziplist_element(cursor: &mut Cursor<'_>, pack: &mut Listpack) -> Result<(), Flaw> {
    let encoding = cursor.byte()?;
    let text_bytes = match encoding >> 6 {
        0 => Some(u64::from(encoding)),
        1 => Some(u64::from(encoding & 0x3F) << 8 | u64::from(cursor.byte()?)),
        2 => Some(u64::from(u32::from_be_bytes(cursor.array()?))),
        _ => None,
    };
    if let Some(count) = text_bytes {
        pack.push_back(cursor.take(count)?);
        return Ok(());
    }
    let integer = match encoding {
        0xC0 => integer_of(cursor.take(2)?),
        0xD0 => integer_of(cursor.take(4)?),
        0xE0 => integer_of(cursor.take(8)?),
        0xF0 => integer_of(cursor.take(3)?),
        0xFE => integer_of(cursor.take(1)?),
        0xF1..=0xFD => i64::from(encoding & 0x0F) - 1,
        _ => return Err(ZIPLIST),
    };
    let mut text = Default::default();
    pack.push_back(crate::data::listpack::integer_text(integer, &mut text));
    Ok(())
}

fn zipmap_length(cursor: &mut Cursor<'_>, first: u8) -> Result<u64, Flaw> {
    match first {
        END => Err(ZIPMAP),
        WIDE => Ok(u64::from(u32::from_le_bytes(cursor.array()?))),
        short => Ok(u64::from(short)),
    }
}

/// A field of a hash with its value.
pub(super) type Field<'b> = (&'b [u8], &'b [u8]);

/// The fields of a zipmap with their values.
pub(super) fn zipmap(bytes: &[u8]) -> Result<Vec<Field<'_>>, Flaw> {
    zipmap_fields(bytes).map_err(|_| ZIPMAP)
}

fn zipmap_fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, Flaw> {
    let mut cursor = Cursor::new(bytes);
    let counted = cursor.byte()?;
    let mut fields = Vec::new();
    loop {
        let first = cursor.byte()?;
        if first == END {
            break;
        }
        let length = zipmap_length(&mut cursor, first)?;
        let field = cursor.take(length)?;
        let first = cursor.byte()?;
        let length = zipmap_length(&mut cursor, first)?;
        let unused = cursor.byte()?;
        let value = cursor.take(length)?;
        cursor.take(unused.into())?;
        fields.push((field, value));
    }
    let is_counted = counted >= WIDE || usize::from(counted) == fields.len();
    if !cursor.is_at_end() || !is_counted {
        return Err(ZIPMAP);
    }
    Ok(fields)
}

/// A score as text behind its length.
pub(super) fn double(cursor: &mut Cursor<'_>) -> Result<f64, Flaw> {
    match cursor.byte()? {
        253 => Ok(f64::NAN),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        length => {
            let text = std::str::from_utf8(cursor.take(length.into())?).ok();
            text.and_then(|text| text.trim().parse().ok())
                .ok_or(Flaw::Corrupt("a score that is no number"))
        }
    }
}
