//! Redis' file format for values: bytes to values and back. RDB files, the bases of logs, payloads of DUMP.
//!
//! ```text
//! write.rs     a file: header, AUX, databases, entries, end    read.rs      the same, item by item, values not yet decoded
//! encode.rs    one value to bytes                              decode.rs    one value from bytes (stream.rs, old.rs)
//! out.rs       numbers and strings, checksum                   bytes.rs     numbers and strings of bytes at hand
//! payload.rs   DUMP: a value with version and checksum         source.rs    bytes that are still to be read, and their checksum
//! effects.rs   what no format of Redis holds                   walk.rs      where a value ends
//! lzf.rs       compression                                 probe.rs     the readers, for fuzzing
//! ```
//! A file is
//! ```text
//! "REDIS" version  AUX …  { SELECTDB n  RESIZEDB n n  { [EXPIRETIME_MS t] [IDLE n | FREQ n] type key value [AUX effects] } … } …
//! FUNCTION2 …  EOF  CRC64
//! ```
//! What a server of Redis 7.2 does not know of a value (ends of fields and members, released entries of groups, producers of
//! streams) stands behind its entry in AUX fields named [`EFFECTS`], as the commands that make it: Redis passes over AUX
//! fields it does not know. An entry that nobody has belongs in the file to a consumer of its group.
//!
//! Invariants: no bytes make a reader panic; a declared length reserves no memory beyond what there is input; a value that is
//! malformed, or has a field twice, is refused and never taken for another one.
//! Not here: files, clocks, keyspaces. Sources: the documentation of RDB files, listpacks and streams, and what Redis 7.0.15 and
//! Valkey 7.2 write.

mod bytes;
mod decode;
mod effects;
mod encode;
pub(crate) mod libraries;
mod lzf;
mod old;
mod out;
pub(crate) mod payload;
pub mod probe;
pub(crate) mod read;
mod source;
mod stream;
#[cfg(test)]
mod tests;
mod walk;
pub(crate) mod write;

pub(crate) use decode::decode;
pub(crate) use effects::apply as apply_effects;

use crate::data::list::ListLimits;
use crate::data::listpack::PackLimits;
use crate::data::set::SetLimits;
use crate::data::stream::Window;

/// The AUX field that has what no format of Redis holds.
pub(crate) const EFFECTS: &[u8] = b"millrace-effects";

/// Which version of the format is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// That of Redis 7.0.
    V10,
    /// That of Redis 7.2.
    #[default]
    V11,
}

impl Version {
    /// The number in header and footer.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::V10 => 10,
            Self::V11 => 11,
        }
    }
}

/// How is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Which version of the format.
    pub(crate) version: Version,
    /// Whether strings are compressed (`rdbcompression`).
    pub(crate) compress: bool,
    /// Whether a file ends with its checksum, else with zeros (`rdbchecksum`).
    pub(crate) checksum: bool,
}

/// Up to which size values have which form, and what new streams know: settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of lists.
    pub(crate) list: ListLimits,
    /// Of sets.
    pub(crate) set: SetLimits,
    /// Of hashes.
    pub(crate) hash: PackLimits,
    /// Of sorted sets.
    pub(crate) sorted_set: PackLimits,
    /// How long a stream knows its producers' messages, where nothing else is said.
    pub(crate) window: Window,
}

/// Why bytes are no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// They end in the middle.
    Short,
    /// They are malformed.
    Corrupt(&'static str),
    /// A value without elements: Redis passes over such entries of files.
    Empty,
    /// They may be well-formed, but this cannot be read here.
    Unknown(String),
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => f.write_str("it ends too early"),
            Self::Corrupt(what) => f.write_str(what),
            Self::Empty => f.write_str("a value without elements"),
            Self::Unknown(what) => f.write_str(what),
        }
    }
}

/// The types of values.
pub(crate) mod types {
    pub(crate) const STRING: u8 = 0;
    pub(crate) const LIST: u8 = 1;
    pub(crate) const SET: u8 = 2;
    pub(crate) const ZSET: u8 = 3;
    pub(crate) const HASH: u8 = 4;
    pub(crate) const ZSET_2: u8 = 5;
    pub(crate) const MODULE: u8 = 6;
    pub(crate) const MODULE_2: u8 = 7;
    pub(crate) const HASH_ZIPMAP: u8 = 9;
    pub(crate) const LIST_ZIPLIST: u8 = 10;
    pub(crate) const SET_INTSET: u8 = 11;
    pub(crate) const ZSET_ZIPLIST: u8 = 12;
    pub(crate) const HASH_ZIPLIST: u8 = 13;
    pub(crate) const LIST_QUICKLIST: u8 = 14;
    pub(crate) const STREAM: u8 = 15;
    pub(crate) const HASH_LISTPACK: u8 = 16;
    pub(crate) const ZSET_LISTPACK: u8 = 17;
    pub(crate) const LIST_QUICKLIST_2: u8 = 18;
    pub(crate) const STREAM_2: u8 = 19;
    pub(crate) const SET_LISTPACK: u8 = 20;
    pub(crate) const STREAM_3: u8 = 21;
    pub(crate) const HASH_TIMED_FIRST: u8 = 22;
    pub(crate) const HASH_TIMED_LISTPACK_FIRST: u8 = 23;
    pub(crate) const HASH_TIMED: u8 = 24;
    pub(crate) const HASH_TIMED_LISTPACK: u8 = 25;
    /// Only in payloads of ours: a type and its value, then effects.
    pub(crate) const WITH_EFFECTS: u8 = 200;
}

/// What is no type of a value where one could be.
mod opcodes {
    pub(super) const SLOT_INFO: u8 = 244;
    pub(super) const FUNCTION2: u8 = 245;
    pub(super) const FUNCTION_PRE_GA: u8 = 246;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQ: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const RESIZEDB: u8 = 251;
    pub(super) const EXPIRETIME_MS: u8 = 252;
    pub(super) const EXPIRETIME: u8 = 253;
    pub(super) const SELECTDB: u8 = 254;
    pub(super) const EOF: u8 = 255;
}

/// The first byte of a length that is none but says how a string is written.
mod encodings {
    pub(super) const INT8: u8 = 0xC0;
    pub(super) const INT16: u8 = 0xC1;
    pub(super) const INT32: u8 = 0xC2;
    pub(super) const LZF: u8 = 0xC3;
}
