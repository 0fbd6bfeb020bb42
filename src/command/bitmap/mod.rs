//! Strings as rows of bits.
//!
//! ```text
//! single.rs   SETBIT GETBIT          combine.rs   BITOP
//! search.rs   BITCOUNT BITPOS        field.rs     BITFIELD BITFIELD_RO
//! ```
//! Bit 0 is the highest bit of the first byte. What is done to the bits is in `data/bits.rs`; here is what offsets and indexes
//! mean, and what clients, logs and watchers are told. A string grows with zeros to the highest bit that is written, up to
//! `proto-max-bulk-len`. Effects are the commands themselves.

mod combine;
mod field;
mod search;
mod single;
#[cfg(test)]
mod tests;

use super::args;
use super::error::{self, CommandError};
use super::spec::{Command, Flags, KeyFlags, KeySpec};

const READ_ONE: &[KeySpec] = &[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 1)];
const UPDATE: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE);

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    row("setbit", "key offset value", single::setbit).arity(4).flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .docs("2.2.0", "bitmap", "O(1)", "Sets or clears one bit of a string; a missing key is created."),
    row("getbit", "key offset", single::getbit).arity(3).flags(&[Flags::READONLY, Flags::FAST]).keys(READ_ONE)
        .docs("2.2.0", "bitmap", "O(1)", "Gives one bit of a string."),
    row("bitcount", "key [range:<start end [unit@7.0.0:<BYTE | BIT>]>]", search::bitcount).arity(-2).flags(&[Flags::READONLY])
        .keys(READ_ONE)
        .docs("2.6.0", "bitmap", "O(N) for N bytes looked at.", "Counts the bits that are set in a string or a part of it."),
    row("bitpos", "key bit [range:<start [end-unit-block:<end [unit@7.0.0:<BYTE | BIT>]>]>]", search::bitpos).arity(-3)
        .flags(&[Flags::READONLY]).keys(READ_ONE)
        .docs("2.8.7", "bitmap", "O(N) for N bytes looked at.", "Finds the first bit that is set, or that is not."),
    row("bitop", "operation:<AND | OR | XOR | NOT | DIFF@8.2.0 | DIFF1@8.2.0 | ANDOR@8.2.0 | ONE@8.2.0> destkey key [key ...]", combine::bitop).arity(-4)
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[
            KeySpec::one(KeyFlags::OW.and(KeyFlags::UPDATE), 2),
            KeySpec::range(KeyFlags::RO.and(KeyFlags::ACCESS), 3, -1, 1),
        ])
        .docs("2.6.0", "bitmap", "O(N) for N bytes of all strings.", "Combines strings bit by bit and stores the result."),
    row("bitfield", "key [operation:<get-block:<GET encoding offset> | write:<[overflow-block:<OVERFLOW <WRAP | SAT | FAIL>>] \
         write-operation:<set-block:<SET encoding offset value> | incrby-block:<INCRBY encoding offset increment>>>> ...]",
        field::bitfield)
        .arity(-2).flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(UPDATE.and(KeyFlags::VARIABLE), 1)]).variable_key_flags(field::key_flags)
        .docs("3.2.0", "bitmap", "O(1) for each operation.", "Reads, sets and adds to numbers of any width in a string."),
    row("bitfield_ro", "key [get-block:<GET encoding offset [GET encoding offset ...]>]", field::bitfield_ro).arity(-2)
        .flags(&[Flags::READONLY, Flags::FAST]).keys(READ_ONE)
        .docs("6.0.0", "bitmap", "O(1) for each operation.", "Reads numbers of any width in a string."),
];

const fn row(name: &'static str, syntax: &'static str, handler: super::spec::Handler) -> Command {
    Command::new(name, syntax, handler).categories(&["bitmap"])
}

/// An offset as it is written, times what it counts. Redis: only where it begins must lie within the longest string.
fn bit_offset(text: &[u8], unit_bits: u32, bytes_max: u64) -> Result<u64, CommandError> {
    args::integer(text)
        .and_then(|offset| u64::try_from(offset).ok())
        .and_then(|offset| offset.checked_mul(u64::from(unit_bits)))
        .filter(|offset| offset / 8 < bytes_max)
        .ok_or(error::BIT_OFFSET)
}
