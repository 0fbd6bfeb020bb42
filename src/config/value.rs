//! The kinds of a setting's value: how each is read from words and written for CONFIG GET.
//!
//! ```text
//! words ──Kind::read──► Value ──Kind::write──► text of CONFIG GET
//!                └─ Err(text as Redis words it)
//! ```
//!
//! Invariant: what `write` gives, `read` takes back to the same value (a test goes through all rows).
//! Knows no parameter by name but for the names in Redis' own error texts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A point of the `save` directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// After this many seconds …
    pub seconds: i64,
    /// … if at least this many changes happened.
    pub changes: i32,
}

/// Limits of a class of clients on unsent output. 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Above this many bytes the client is closed at once.
    pub hard_bytes: u64,
    /// Above this many bytes for `soft_seconds` on end it is closed too.
    pub soft_bytes: u64,
    /// How long the soft limit may be exceeded.
    pub soft_seconds: u64,
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

const WRONG_COUNT: &str = "wrong number of arguments";

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

    /// Reads the words into a value; `old` is the value now.
    pub(crate) fn read(
        self,
        words: &[Vec<u8>],
        old: &Value,
        arrival: Arrival,
    ) -> Result<Value, String> {
        if !self.takes_many() && words.len() != 1 {
            return Err(WRONG_COUNT.into());
        }
        let word = words.first().map_or(&b""[..], Vec::as_slice);
        match self {
            Kind::YesNo => read_yes_no(word),
            Kind::Integer(min, max) => read_integer(word, min, max),
            Kind::Clamped(min, max) => Ok(Value::Number(i128::from(
                read_signed(word)?.clamp(min, max),
            ))),
            Kind::Unsigned(min, max) => read_unsigned(read_signed(word)?, min, max),
            Kind::Memory(min, max) => read_memory(word, min, max),
            Kind::MemoryOrPercent => read_memory_or_percent(word),
            Kind::Octal(max) => read_octal(word, max),
            Kind::Choice(names) | Kind::Flags(names) => read_choice(words, names),
            Kind::Text(rule) => read_text(word, rule),
            Kind::Directory => read_directory(word, old),
            Kind::SavePoints => read_save_points(words, old, arrival),
            Kind::OutputLimits => read_output_limits(words, old),
            Kind::OomScores => read_oom_scores(words),
            Kind::Events => read_events(word),
            Kind::Bind => read_bind(words),
            Kind::Primary => read_primary(words),
            Kind::Percentiles => read_percentiles(words),
        }
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

fn read_yes_no(word: &[u8]) -> Result<Value, String> {
    if word.eq_ignore_ascii_case(b"yes") {
        Ok(Value::YesNo(true))
    } else if word.eq_ignore_ascii_case(b"no") {
        Ok(Value::YesNo(false))
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

/// A decimal integer in its one canonical form: no blank, no plus, no leading zero.
fn canonical_integer(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// What `strtoll` reads if it must consume everything: blanks and a sign first, nothing is 0.
fn c_integer(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?;
    let trimmed = text.trim_start();
    if text.is_empty() {
        return Some(0);
    }
    match trimmed.parse::<i128>() {
        Ok(number) => Some(number.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64),
        Err(_) => None,
    }
}

fn read_signed(word: &[u8]) -> Result<i64, String> {
    canonical_integer(word).ok_or_else(|| "argument couldn't be parsed into an integer".into())
}

fn out_of_bounds(min: impl std::fmt::Display, max: impl std::fmt::Display) -> String {
    format!("argument must be between {min} and {max} inclusive")
}

fn read_integer(word: &[u8], min: i64, max: i64) -> Result<Value, String> {
    let number = read_signed(word)?;
    if (min..=max).contains(&number) {
        Ok(Value::Number(i128::from(number)))
    } else {
        Err(out_of_bounds(min, max))
    }
}

fn read_unsigned(number: i64, min: u64, max: u64) -> Result<Value, String> {
    let number = number.cast_unsigned();
    if (min..=max).contains(&number) {
        Ok(Value::Number(i128::from(number)))
    } else {
        Err(out_of_bounds(min, max))
    }
}

/// Bytes with an optional unit: `1k` is 1000, `1kb` is 1024, and so on to `gb`.
fn memory_bytes(word: &[u8]) -> Option<u64> {
    let digits_end = word
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(word.len());
    let (digits, unit) = word.split_at(digits_end);
    let scale: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    if digits.len() > 127 {
        return None;
    }
    // No digits at all read as 0, too many saturate, a product wraps: as in C.
    let number = digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(number.wrapping_mul(scale))
}

fn read_memory(word: &[u8], min: u64, max: u64) -> Result<Value, String> {
    let bytes = memory_bytes(word).ok_or("argument must be a memory value")?;
    if (min..=max).contains(&bytes) {
        Ok(Value::Number(i128::from(bytes)))
    } else {
        Err(out_of_bounds(min, max))
    }
}

fn read_memory_or_percent(word: &[u8]) -> Result<Value, String> {
    if let Some(bytes) = memory_bytes(word) {
        return match i64::try_from(bytes) {
            Ok(bytes) => Ok(Value::Number(i128::from(bytes))),
            Err(_) => Err(out_of_bounds(-100, i64::MAX)),
        };
    }
    let percent = word
        .strip_suffix(b"%")
        .and_then(canonical_integer)
        .filter(|percent| *percent >= 0)
        .ok_or("argument must be a memory or percent value")?;
    if percent > 100 {
        return Err("percentage argument must be less or equal to 100".into());
    }
    Ok(Value::Number(-i128::from(percent)))
}

fn read_octal(word: &[u8], max: u32) -> Result<Value, String> {
    let text = std::str::from_utf8(word).unwrap_or("?").trim_start();
    let mode = if text.is_empty() {
        Some(0)
    } else {
        i64::from_str_radix(text, 8).ok()
    };
    match mode {
        None => Err("argument couldn't be parsed as an octal number".into()),
        Some(mode) if (0..=i64::from(max)).contains(&mode) => Ok(Value::Number(i128::from(mode))),
        Some(_) => Err(format!("argument must be between 0 and {max:o} inclusive")),
    }
}

/// One name, or several or-ed together (a choice never gets here with several).
fn read_choice(words: &[Vec<u8>], names: &[(&str, u32)]) -> Result<Value, String> {
    let mut bits = 0;
    for word in words {
        match names
            .iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))
        {
            Some((_, number)) => bits |= number,
            None => return Err(must_be_one_of(names)),
        }
    }
    if words.is_empty() {
        return Err(must_be_one_of(names));
    }
    let has = |wanted: &str| {
        names
            .iter()
            .any(|(name, number)| *name == wanted && bits & number == *number)
    };
    if has("save") && has("nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    Ok(Value::Choice(bits))
}

fn must_be_one_of(names: &[(&str, u32)]) -> String {
    let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    format!(
        "argument(s) must be one of the following: {}",
        names.join(", ")
    )
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

fn read_text(word: &[u8], rule: TextRule) -> Result<Value, String> {
    let problem = match rule {
        TextRule::Any => None,
        TextRule::Filled(name) | TextRule::BaseName(name, _) if word.is_empty() => {
            Some(format!("{name} can't be empty"))
        }
        TextRule::Filled(_) => None,
        TextRule::BaseName(name, what) => word
            .iter()
            .any(|byte| matches!(byte, b'/' | b'\\'))
            .then(|| format!("{name} can't be a path, just a {what}")),
        TextRule::HostName if word.len() >= 256 => {
            Some("Hostnames must be less than 256 characters".into())
        }
        TextRule::HostName => word
            .iter()
            .any(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'.'))
            .then(|| "Hostnames may only contain alphanumeric characters, hyphens or dots".into()),
        TextRule::NodeName => word
            .iter()
            .any(|byte| b"!#$%&()*+:;<>?@[]^{|}~".contains(byte))
            .then(|| "Announced human node name contained invalid character".into()),
        TextRule::ProcessTitle => (!is_title_template(word))
            .then(|| "template format is invalid or contains unknown variables".into()),
    };
    problem.map_or_else(|| Ok(Value::Text(word.to_vec())), Err)
}

/// Whether every `{name}` of a process title is one that Redis fills in, and the braces balance.
fn is_title_template(text: &[u8]) -> bool {
    const KNOWN: [&str; 7] = [
        "title",
        "listen-addr",
        "server-mode",
        "port",
        "tls-port",
        "unixsocket",
        "config-file",
    ];
    let Ok(text) = std::str::from_utf8(text) else {
        return true;
    };
    if text.is_empty() {
        return false;
    }
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else {
            return false;
        };
        if !KNOWN.contains(&&rest[open + 1..open + close]) {
            return false;
        }
        rest = &rest[open + close + 1..];
    }
    !rest.contains('}')
}

fn read_directory(word: &[u8], old: &Value) -> Result<Value, String> {
    if word.is_empty() {
        return Err("dir can't be empty".into());
    }
    let base = match old {
        Value::Text(path) => path_of(path),
        _ => PathBuf::from("/"),
    };
    let path = base.join(path_of(word));
    let path = path.canonicalize().map_err(|error| reason_of(&error))?;
    if !path.is_dir() {
        return Err("Not a directory".into());
    }
    Ok(Value::Text(bytes_of(&path)))
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

fn read_save_points(words: &[Vec<u8>], old: &Value, arrival: Arrival) -> Result<Value, String> {
    let invalid = || "Invalid save parameters".to_owned();
    let clears = words.len() == 1 && words[0].is_empty();
    let words = if clears { &[][..] } else { words };
    if words.len() % 2 != 0 {
        return Err(invalid());
    }
    let mut points = match old {
        Value::SavePoints(points) if arrival == Arrival::LaterLine && !clears => points.clone(),
        _ => Vec::new(),
    };
    for pair in words.chunks_exact(2) {
        let seconds = c_integer(&pair[0])
            .filter(|seconds| *seconds >= 1)
            .ok_or_else(invalid)?;
        let changes = c_integer(&pair[1])
            .filter(|changes| *changes >= 0)
            .ok_or_else(invalid)?;
        points.push(SavePoint {
            seconds,
            changes: i32::try_from(changes).unwrap_or(i32::MAX),
        });
    }
    Ok(Value::SavePoints(points))
}

fn read_output_limits(words: &[Vec<u8>], old: &Value) -> Result<Value, String> {
    if words.len() % 4 != 0 {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = match old {
        Value::OutputLimits(limits) => *limits,
        _ => [OutputLimit::default(); 3],
    };
    for part in words.chunks_exact(4) {
        let class = match part[0].to_ascii_lowercase().as_slice() {
            b"normal" => 0,
            b"slave" | b"replica" => 1,
            b"pubsub" => 2,
            _ => {
                return Err("Invalid client class specified in buffer limit configuration.".into());
            }
        };
        let limit = memory_bytes(&part[1])
            .zip(memory_bytes(&part[2]))
            .zip(c_integer(&part[3]).and_then(|seconds| u64::try_from(seconds).ok()));
        let Some(((hard_bytes, soft_bytes), soft_seconds)) = limit else {
            return Err(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.".into(),
            );
        };
        limits[class] = OutputLimit {
            hard_bytes,
            soft_bytes,
            soft_seconds,
        };
    }
    Ok(Value::OutputLimits(limits))
}

fn read_oom_scores(words: &[Vec<u8>]) -> Result<Value, String> {
    if words.len() != 3 {
        return Err(WRONG_COUNT.into());
    }
    let scores: Option<Vec<i64>> = words
        .iter()
        .map(|word| c_integer(word).filter(|score| (-2000..=2000).contains(score)))
        .collect();
    scores.map(Value::Numbers).ok_or_else(|| {
        "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into()
    })
}

/// The classes of keyspace events with their letters, in the order CONFIG GET writes them.
const EVENT_CLASSES: [(u8, u32); 11] = [
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
const EVENT_CHANNELS: [(u8, u32); 3] = [(b'K', 1 << 0), (b'E', 1 << 1), (b'm', 1 << 11)];
/// `A`: all classes but `m` and `n`.
const EVENTS_ALL: u32 = 0b10_0111_1111_1100;

fn read_events(word: &[u8]) -> Result<Value, String> {
    let mut bits = 0;
    for letter in word {
        let class = EVENT_CLASSES
            .iter()
            .chain(&EVENT_CHANNELS)
            .find(|(known, _)| known == letter);
        bits |= match (letter, class) {
            (b'A', _) => EVENTS_ALL,
            (_, Some((_, bit))) => *bit,
            (_, None) => {
                return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
            }
        };
    }
    Ok(Value::Events(bits))
}

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

fn read_bind(words: &[Vec<u8>]) -> Result<Value, String> {
    if words.len() > 16 {
        return Err("Too many bind addresses specified.".into());
    }
    if words.len() == 1 && words[0].is_empty() {
        return Ok(Value::Words(Vec::new()));
    }
    Ok(Value::Words(words.to_vec()))
}

fn read_primary(words: &[Vec<u8>]) -> Result<Value, String> {
    let [host, port] = words else {
        return Err(WRONG_COUNT.into());
    };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(Value::Words(Vec::new()));
    }
    if !c_integer(port).is_some_and(|port| (0..=65535).contains(&port)) {
        return Err("Invalid master port".into());
    }
    Ok(Value::Words(vec![host.clone(), port.clone()]))
}

fn read_percentiles(words: &[Vec<u8>]) -> Result<Value, String> {
    let words = if words.len() == 1 && words[0].is_empty() {
        &[][..]
    } else {
        words
    };
    let mut percentiles = Vec::with_capacity(words.len());
    for word in words {
        let number: f64 = std::str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|number: &f64| !number.is_nan())
            .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&number) {
            return Err(
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                    .into(),
            );
        }
        percentiles.push(number);
    }
    Ok(Value::Percentiles(percentiles))
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
