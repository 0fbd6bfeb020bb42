//! Where a value ends: the lengths in it, nothing else.

#![deny(clippy::indexing_slicing)]

use std::io::Read;

use super::read::Trouble;
use super::source::Source;
use super::types;

/// Passes over a value of a type.
pub(super) fn walk<R: Read>(source: &mut Source<R>, type_code: u8) -> Result<(), Trouble> {
    match type_code {
        types::STRING
        | types::HASH_ZIPMAP
        | types::LIST_ZIPLIST
        | types::SET_INTSET
        | types::ZSET_ZIPLIST
        | types::HASH_ZIPLIST
        | types::HASH_LISTPACK
        | types::ZSET_LISTPACK
        | types::SET_LISTPACK
        | types::HASH_TIMED_LISTPACK_FIRST => source.skip_string(),
        types::HASH_TIMED_LISTPACK => {
            source.skip(8)?;
            source.skip_string()
        }
        types::LIST | types::SET | types::LIST_QUICKLIST => {
            each(source, &mut |source| source.skip_string())
        }
        types::HASH => each(source, &mut |source| {
            source.skip_string()?;
            source.skip_string()
        }),
        types::ZSET => each(source, &mut |source| {
            source.skip_string()?;
            // From 253 on: not a number, and the two infinities.
            match source.byte()? {
                253.. => Ok(()),
                length => source.skip(length.into()),
            }
        }),
        types::ZSET_2 => each(source, &mut |source| {
            source.skip_string()?;
            source.skip(8)
        }),
        types::LIST_QUICKLIST_2 => each(source, &mut |source| {
            source.length()?;
            source.skip_string()
        }),
        types::HASH_TIMED | types::HASH_TIMED_FIRST => {
            if type_code == types::HASH_TIMED {
                source.skip(8)?;
            }
            each(source, &mut |source| {
                source.length()?;
                source.skip_string()?;
                source.skip_string()
            })
        }
        types::STREAM | types::STREAM_2 | types::STREAM_3 => walk_stream(source, type_code),
        types::MODULE => Err(Trouble::Unknown("a value of a module".into())),
        types::MODULE_2 => {
            let name = module_name(source.length()?);
            Err(Trouble::Unknown(format!(
                "a value of the module type {name}"
            )))
        }
        other => Err(Trouble::Unknown(format!(
            "a value of the unknown type {other}"
        ))),
    }
}

fn each<R: Read>(
    source: &mut Source<R>,
    pass: &mut dyn FnMut(&mut Source<R>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    for _ in 0..source.length()? {
        pass(source)?;
    }
    Ok(())
}

fn lengths<R: Read>(source: &mut Source<R>, count: usize) -> Result<(), Trouble> {
    for _ in 0..count {
        source.length()?;
    }
    Ok(())
}

fn walk_stream<R: Read>(source: &mut Source<R>, type_code: u8) -> Result<(), Trouble> {
    each(source, &mut |source| {
        source.skip_string()?;
        source.skip_string()
    })?;
    let has_counters = type_code != types::STREAM;
    lengths(source, if has_counters { 8 } else { 3 })?;
    each(source, &mut |source| {
        source.skip_string()?;
        lengths(source, if has_counters { 3 } else { 2 })?;
        each(source, &mut |source| {
            source.skip(16 + 8)?;
            source.length().map(|_| ())
        })?;
        each(source, &mut |source| {
            source.skip_string()?;
            source.skip(if type_code == types::STREAM_3 { 16 } else { 8 })?;
            for _ in 0..source.length()? {
                source.skip(16)?;
            }
            Ok(())
        })
    })
}

/// Passes over what a module has written beside the keys.
pub(super) fn walk_module_aux<R: Read>(source: &mut Source<R>) -> Result<(), Trouble> {
    source.length()?;
    lengths(source, 2)?;
    loop {
        match source.length()? {
            0 => return Ok(()),
            1 | 2 => lengths(source, 1)?,
            3 => source.skip(4)?,
            4 => source.skip(8)?,
            5 => source.skip_string()?,
            _ => return Err(Trouble::Corrupt("malformed data of a module")),
        }
    }
}

/// The name of a module's type, nine characters of six bits each.
pub(super) fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |place: u32| {
        let index = (id >> (10 + 6 * (8 - place))) & 63;
        LETTERS
            .get(index as usize)
            .map_or('?', |letter| char::from(*letter))
    };
    (0..9).map(letter).collect()
}
