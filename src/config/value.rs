//! The kinds of a setting's value, the values, and how they are written for CONFIG GET.
//!
//! ```text
//! words ──Kind::read (read.rs)──► Value ──Kind::write──► text of CONFIG GET
//!                └─ Err(text as Redis words it)
//! ```
//!
//! Invariant: what `write` gives, `read` takes back to the same value (a test goes through all rows).
//! Knows no parameter by name but for the names in Redis' own error texts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A point of the `save` directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SavePoint {
    /// After this many seconds …
    pub(crate) seconds: i64,
    /// … if at least this many changes happened.
    pub(crate) changes: i32,
}

/// Limits of a class of clients on unsent output. 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputLimit {
    /// Above this many bytes the client is closed at once.
    pub(crate) hard_bytes: u64,
    /// Above this many bytes for `soft_seconds` on end it is closed too.
    pub(crate) soft_bytes: u64,
    /// How long the soft limit may be exceeded.
    pub(crate) soft_seconds: u64,
}

/// A value in its own type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    YesNo(bool),
    /// Integers, memory sizes, octal modes; a percentage is kept as its negative.
    Number(i128),
    /// The number behind the chosen name.
    Choice(u32),
    Text(Vec<u8>),
    Words(Vec<Vec<u8>>),
    SavePoints(Vec<SavePoint>),
    /// normal, replica, pubsub.
    OutputLimits([OutputLimit; 3]),
    Events(u32),
    Numbers(Vec<i64>),
    Percentiles(Vec<f64>),
}

/// What a text value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextRule {
    Any,
    /// Beginnings of keys: see `colocate`.
    Beginnings,
    /// Not empty.
    Filled(&'static str),
    /// Not empty and no path: the second word says what it must be.
    BaseName(&'static str, &'static str),
    HostName,
    NodeName,
    ProcessTitle,
}

/// How a parameter's words are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    YesNo,
    /// A signed integer from .0 to .1.
    Integer(i64, i64),
    /// An unsigned integer from .0 to .1: below zero reads as far above the bound, as in C.
    Unsigned(u64, u64),
    /// An integer forced into .0..=.1.
    Clamped(i64, i64),
    /// Bytes, with units.
    Memory(u64, u64),
    /// Bytes or a percentage.
    MemoryOrPercent,
    /// A mode in octal up to .0.
    Octal(u32),
    Choice(&'static [(&'static str, u32)]),
    /// Several names, or-ed; ordered by falling precedence for writing.
    Flags(&'static [(&'static str, u32)]),
    Text(TextRule),
    /// A directory that exists, kept absolute.
    Directory,
    SavePoints,
    OutputLimits,
    OomScores,
    Events,
    Bind,
    /// `host port` or `no one`.
    Primary,
    Percentiles,
}

/// How a set of words arrives: files append `save` points, CONFIG SET replaces them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The first line of a configuration about this parameter.
    FirstLine,
    /// A later line about the same parameter.
    LaterLine,
    /// CONFIG SET.
    Command,
}

impl Kind {
    /// Whether a line may hold several words for it, and CONFIG SET splits its value at blanks.
    pub(crate) fn takes_many(self) -> bool {
        matches!(
            self,
            Kind::Flags(_)
                | Kind::SavePoints
                | Kind::OutputLimits
                | Kind::OomScores
                | Kind::Bind
                | Kind::Primary
                | Kind::Percentiles
        )
    }

    /// The value as CONFIG GET writes it.
    pub(crate) fn write(self, value: &Value) -> Vec<u8> {
        match (self, value) {
            (_, Value::YesNo(yes)) => if *yes { "yes" } else { "no" }.into(),
            (Kind::Octal(_), Value::Number(mode)) => format!("{mode:o}").into(),
            (Kind::MemoryOrPercent, Value::Number(number)) if *number < 0 => {
                format!("{}%", -number).into()
            }
            (_, Value::Number(number)) => number.to_string().into(),
            (Kind::Flags(names), Value::Choice(bits)) => write_flags(*bits, names).into(),
            (Kind::Choice(names), Value::Choice(number)) => names
                .iter()
                .find(|(_, n)| n == number)
                .map_or("unknown", |(name, _)| name)
                .into(),
            (_, Value::Choice(number)) => number.to_string().into(),
            (_, Value::Text(text)) => text.clone(),
            (_, Value::Words(words)) => words.join(&b' '),
            (_, Value::SavePoints(points)) => joined(
                points
                    .iter()
                    .map(|point| format!("{} {}", point.seconds, point.changes)),
            ),
            (_, Value::OutputLimits(limits)) => joined(
                // 7.2 still writes "slave" here.
                ["normal", "slave", "pubsub"]
                    .iter()
                    .zip(limits)
                    .map(|(class, limit)| {
                        let OutputLimit {
                            hard_bytes,
                            soft_bytes,
                            soft_seconds,
                        } = limit;
                        format!("{class} {hard_bytes} {soft_bytes} {soft_seconds}")
                    }),
            ),
            (_, Value::Events(bits)) => write_events(*bits).into(),
            (_, Value::Numbers(numbers)) => joined(numbers.iter().map(i64::to_string)),
            (_, Value::Percentiles(numbers)) => joined(numbers.iter().map(|number| {
                let text = format!("{number:.6}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            })),
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> Vec<u8> {
    parts.collect::<Vec<_>>().join(" ").into()
}

fn write_flags(bits: u32, names: &[(&str, u32)]) -> String {
    if let Some((name, _)) = names.iter().find(|(_, number)| *number == bits) {
        return (*name).to_owned();
    }
    let set = names
        .iter()
        .filter(|(_, number)| *number != 0 && bits & number == *number);
    set.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

/// The classes of keyspace events with their letters, in the order CONFIG GET writes them.
pub(super) const EVENT_CLASSES: [(u8, u32); 11] = [
    (b'g', 1 << 2),
    (b'$', 1 << 3),
    (b'l', 1 << 4),
    (b's', 1 << 5),
    (b'h', 1 << 6),
    (b'z', 1 << 7),
    (b'x', 1 << 8),
    (b'e', 1 << 9),
    (b't', 1 << 10),
    (b'd', 1 << 13),
    (b'n', 1 << 14),
];
/// Written after the classes whether or not they are all there.
pub(super) const EVENT_CHANNELS: [(u8, u32); 5] = [
    (b'K', 1 << 0),
    (b'E', 1 << 1),
    (b'm', 1 << 11),
    (b'o', 1 << 15),
    (b'c', 1 << 16),
];
/// `A`: all classes but `m`, `n`, `o` and `c`.
pub(super) const EVENTS_ALL: u32 = 0b10_0111_1111_1100;

fn write_events(bits: u32) -> String {
    let mut text = String::new();
    if bits & EVENTS_ALL == EVENTS_ALL {
        text.push('A');
    }
    for (letter, bit) in EVENT_CLASSES {
        let covered = text.starts_with('A');
        if bits & bit != 0 && !covered {
            text.push(char::from(letter));
        }
    }
    for (letter, bit) in EVENT_CHANNELS {
        if bits & bit != 0 {
            text.push(char::from(letter));
        }
    }
    text
}

/// What the system says, without the number that std appends.
pub(crate) fn reason_of(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// A path from the bytes of a setting.
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// The bytes of a path.
pub(crate) fn bytes_of(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

/// A value as text for a log line or an error.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(bytes).chars() {
        if character.is_control() {
            let _ = write!(text, "{}", character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}
