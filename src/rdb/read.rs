//! A file, item by item. Values are found by their lengths and decoded by whoever wants them, on whatever thread.

#![deny(clippy::indexing_slicing)]

use std::io::{self, Read};
use std::ops::Range;

use super::bytes::Cursor;
use super::source::Source;
use super::walk::{module_name, walk, walk_module_aux};
use super::{EFFECTS, Flaw, Limits, opcodes};
use crate::data::stream::StreamId;
use crate::keyspace::value::Value;

/// From this version on a file ends with a checksum.
const CHECKSUM_SINCE: u32 = 5;
/// How much of a key an error shows, bytes.
const SHOWN_BYTES_MAX: usize = 100;

/// What is wrong with a file.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It cannot be read.
    Io(io::Error),
    /// It ends in the middle.
    EndsEarly,
    /// It is no file of this kind, or of a version that is not known.
    Header(String),
    /// It is malformed.
    Corrupt(&'static str),
    /// It has something that is not known here.
    Unknown(String),
    /// Its checksum is another.
    Checksum {
        /// What stands at its end.
        expected: u64,
        /// What its bytes give.
        found: u64,
    },
    /// A value is none.
    Value(Flaw),
}

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct ReadError {
    /// What it is.
    pub(crate) trouble: Trouble,
    /// How far was read, bytes.
    pub(crate) offset: u64,
    /// The key of the entry that was being read, and the type of its value.
    pub(crate) entry: Option<(Box<[u8]>, u8)>,
}

impl ReadError {
    /// Whether a value has no elements: Redis passes over such entries.
    pub(crate) fn is_empty_value(&self) -> bool {
        matches!(self.trouble, Trouble::Value(Flaw::Empty))
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::EndsEarly => f.write_str("the file ends too early"),
            Self::Header(what) => f.write_str(what),
            Self::Corrupt(what) => f.write_str(what),
            Self::Unknown(what) => write!(f, "{what} cannot be read here"),
            Self::Checksum { expected, found } => {
                // Redis calls that expected which the bytes give.
                write!(
                    f,
                    "RDB CRC error: Wrong RDB checksum expected: ({found:x}) but got ({expected:x})"
                )
            }
            Self::Value(flaw) => flaw.fmt(f),
        }
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at byte {}", self.offset)?;
        if let Some((key, type_code)) = &self.entry {
            let shown = key.get(..SHOWN_BYTES_MAX).unwrap_or(key);
            write!(f, ", key \"{}\" of type {type_code}", shown.escape_ascii())?;
        }
        write!(f, ": {}", self.trouble)
    }
}

impl std::error::Error for ReadError {}

impl From<Flaw> for Trouble {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Short => Self::Corrupt("a string ends too early"),
            Flaw::Corrupt(what) => Self::Corrupt(what),
            other => Self::Value(other),
        }
    }
}

/// One item of a file.
#[derive(Debug)]
pub(crate) enum Item<'r> {
    /// Something about the file.
    Aux {
        /// What it is.
        name: Vec<u8>,
        /// What it says.
        value: Vec<u8>,
    },
    /// The entries that follow are of this database.
    Select(u64),
    /// How large the database is.
    Resize,
    /// A library of functions, as it is.
    Functions(Vec<u8>),
    /// What a module of this name has written beside the keys; passed over.
    ModuleAux(String),
    /// A key with its value.
    Entry(Raw<'r>),
}

/// A key with its value, which is not decoded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'r> {
    /// The key.
    pub(crate) key: &'r [u8],
    /// The type of the value in the format.
    pub(crate) type_code: u8,
    /// The value in the format.
    pub(crate) bytes: &'r [u8],
    /// What the format does not hold: see [`super::apply_effects`].
    pub(crate) effects: &'r [u8],
    /// When the key ends, Unix ms.
    pub(crate) expire_ms: Option<u64>,
    /// For how long it was not used, seconds.
    pub(crate) idle_s: Option<u64>,
    /// How often it was used.
    pub(crate) frequency: Option<u8>,
    /// Where the value begins in the file.
    pub(crate) offset: u64,
}

impl Raw<'_> {
    /// The value, with its effects.
    ///
    /// # Errors
    /// [`ReadError`] when the bytes are no value; the trouble is [`Flaw::Empty`] when it has no elements.
    pub(crate) fn decode(&self, limits: &Limits, now_ms: u64) -> Result<Value, ReadError> {
        let decoded = super::decode(self.type_code, self.bytes, limits);
        let decoded = decoded.and_then(|mut value| {
            super::apply_effects(&mut value, self.effects, now_ms)?;
            Ok(value)
        });
        decoded.map_err(|flaw| ReadError {
            trouble: Trouble::Value(flaw),
            offset: self.offset,
            entry: Some((self.key.into(), self.type_code)),
        })
    }
}

/// Reads a file. See the module's head.
pub(crate) struct Reader<R> {
    source: Source<R>,
    /// The version in the header, and whether it is one of Valkey's own.
    version: u32,
    is_of_valkey: bool,
    is_done: bool,
    has_checksum: bool,
    key: Vec<u8>,
    effects: Vec<u8>,
}

/// What stands in front of an entry.
#[derive(Default)]
struct Marks {
    expire_ms: Option<u64>,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

impl<R: Read> Reader<R> {
    /// Begins a file. `checksum`: whether its checksum is looked at.
    ///
    /// # Errors
    /// [`ReadError`] when it does not begin as such a file does.
    pub(crate) fn new(read: R, checksum: bool) -> Result<Self, ReadError> {
        let mut reader = Self {
            source: Source::new(read, checksum),
            version: 0,
            is_of_valkey: false,
            is_done: false,
            has_checksum: false,
            key: Vec::new(),
            effects: Vec::new(),
        };
        let header = reader.header();
        header.map_err(|trouble| reader.error(trouble, None))?;
        Ok(reader)
    }

    fn header(&mut self) -> Result<(), Trouble> {
        let header: [u8; 9] = self.source.array()?;
        let text = std::str::from_utf8(&header).unwrap_or_default();
        let digits = match (text.strip_prefix("REDIS"), text.strip_prefix("VALKEY")) {
            (Some(digits), _) => digits,
            (None, Some(digits)) => {
                self.is_of_valkey = true;
                digits
            }
            (None, None) => return Err(Trouble::Header("this is no RDB file".into())),
        };
        let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
        let version = digits
            .parse()
            .ok()
            .filter(|version| is_number && *version > 0);
        let wrong = || Trouble::Header(format!("the RDB version {digits:?} cannot be read here"));
        self.version = version.ok_or_else(wrong)?;
        Ok(())
    }

    /// The version of the format in the header.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// How far was read, bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.source.offset()
    }

    /// Whether the file, read to its end, has a checksum.
    pub(crate) fn has_checksum(&self) -> bool {
        self.has_checksum
    }

    fn error(&self, trouble: Trouble, type_code: Option<u8>) -> ReadError {
        ReadError {
            trouble,
            offset: self.source.offset(),
            entry: type_code.map(|type_code| (self.key.as_slice().into(), type_code)),
        }
    }

    /// The next item; `None` at the end of the file, where its checksum was right.
    ///
    /// # Errors
    /// [`ReadError`] when there is none.
    pub(crate) fn next_item(&mut self) -> Result<Option<Item<'_>>, ReadError> {
        if self.is_done {
            return Ok(None);
        }
        self.source.forget();
        let mut marks = Marks::default();
        let type_code = loop {
            match self.step(&mut marks) {
                Ok(Step::Marked) => {}
                Ok(Step::Item(item)) => return Ok(Some(item)),
                Ok(Step::Entry(type_code)) => break type_code,
                Ok(Step::End) => {
                    self.is_done = true;
                    return Ok(None);
                }
                Err(trouble) => return Err(self.error(trouble, None)),
            }
        };
        if let Err(trouble) = self.read_key() {
            return Err(self.error(trouble, None));
        }
        let offset = self.source.offset();
        match self.read_entry(type_code) {
            Ok(value) => Ok(Some(Item::Entry(Raw {
                key: &self.key,
                type_code,
                bytes: self.source.kept(value),
                effects: &self.effects,
                expire_ms: marks.expire_ms,
                idle_s: marks.idle_s,
                frequency: marks.frequency,
                offset,
            }))),
            Err(trouble) => Err(self.error(trouble, Some(type_code))),
        }
    }

    /// Reads up to the end of a mark or an item, or up to the key of an entry.
    fn step(&mut self, marks: &mut Marks) -> Result<Step, Trouble> {
        let source = &mut self.source;
        Ok(match source.byte()? {
            opcodes::EXPIRETIME => {
                let seconds = i32::from_le_bytes(source.array()?);
                marks.expire_ms = Some(u64::try_from(seconds).unwrap_or(0) * 1000);
                Step::Marked
            }
            opcodes::EXPIRETIME_MS => {
                let ms = i64::from_le_bytes(source.array()?);
                marks.expire_ms = Some(u64::try_from(ms).unwrap_or(0));
                Step::Marked
            }
            opcodes::IDLE => {
                marks.idle_s = Some(source.length()?);
                Step::Marked
            }
            opcodes::FREQ => {
                marks.frequency = Some(source.byte()?);
                Step::Marked
            }
            opcodes::SELECTDB => Step::Item(Item::Select(source.length()?)),
            opcodes::RESIZEDB => {
                (0..2).try_for_each(|_| source.length().map(|_| ()))?;
                Step::Item(Item::Resize)
            }
            opcodes::AUX => Step::Item(Item::Aux {
                name: self.read_string()?,
                value: self.read_string()?,
            }),
            opcodes::FUNCTION2 => Step::Item(Item::Functions(self.read_string()?)),
            opcodes::FUNCTION_PRE_GA => {
                return Err(Trouble::Unknown("a function of a release candidate".into()));
            }
            opcodes::SLOT_INFO => {
                (0..3).try_for_each(|_| source.length().map(|_| ()))?;
                Step::Marked
            }
            opcodes::MODULE_AUX => {
                source.keep();
                let name = module_name(source.length()?);
                source.go_back(0);
                source.forget();
                walk_module_aux(source)?;
                Step::Item(Item::ModuleAux(name))
            }
            opcodes::EOF => {
                self.read_end()?;
                Step::End
            }
            type_code => Step::Entry(type_code),
        })
    }

    fn read_end(&mut self) -> Result<(), Trouble> {
        let found = self.source.checksum();
        if self.version >= CHECKSUM_SINCE {
            let expected = u64::from_le_bytes(self.source.array()?);
            self.has_checksum = expected != 0;
            if let Some(found) = found.filter(|found| expected != 0 && expected != *found) {
                return Err(Trouble::Checksum { expected, found });
            }
        }
        Ok(())
    }

    fn read_string(&mut self) -> Result<Vec<u8>, Trouble> {
        self.source.keep();
        self.source.skip_string()?;
        let text = self.source.kept(0..self.source.kept_len());
        let text = Cursor::new(text).text()?.into_vec();
        self.source.forget();
        Ok(text)
    }

    fn read_key(&mut self) -> Result<(), Trouble> {
        self.source.keep();
        self.source.skip_string()?;
        let text = self.source.kept(0..self.source.kept_len());
        let mut text = Cursor::new(text).text()?;
        self.key.clear();
        self.key.extend_from_slice(text.bytes());
        Ok(())
    }

    /// Reads a value and the effects behind it; gives where the value lies in what is kept.
    fn read_entry(&mut self, type_code: u8) -> Result<Range<usize>, Trouble> {
        self.source.keep();
        // The types of Valkey's own versions are others.
        if self.is_of_valkey && type_code > super::types::STREAM_3 {
            let what = format!("a value of Valkey's type {type_code}");
            return Err(Trouble::Unknown(what));
        }
        walk(&mut self.source, type_code)?;
        let end = self.source.kept_len();
        self.effects.clear();
        loop {
            let before = self.source.kept_len();
            if self.source.byte()? != opcodes::AUX || !self.read_effects()? {
                self.source.go_back(before);
                return Ok(0..end);
            }
        }
    }

    /// Adds the effects of an AUX field; false when it is another.
    fn read_effects(&mut self) -> Result<bool, Trouble> {
        let from = self.source.kept_len();
        self.source.skip_string()?;
        let behind_name = self.source.kept_len();
        let mut name = Cursor::new(self.source.kept(from..behind_name)).text()?;
        if name.bytes() != EFFECTS {
            return Ok(false);
        }
        self.source.skip_string()?;
        let value = self.source.kept(behind_name..self.source.kept_len());
        self.effects
            .extend_from_slice(Cursor::new(value).text()?.bytes());
        Ok(true)
    }
}

/// What came of [`Reader::step`].
enum Step {
    /// A mark of the entry that follows.
    Marked,
    /// An item.
    Item(Item<'static>),
    /// An entry with a value of this type.
    Entry(u8),
    /// The end.
    End,
}

/// An ID of a stream as files have it.
pub(super) fn stream_id(cursor: &mut Cursor<'_>) -> Result<StreamId, Flaw> {
    Ok(StreamId {
        ms: cursor.length()?,
        seq: cursor.length()?,
    })
}
