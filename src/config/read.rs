//! Reading: from the words of a line or of CONFIG SET to a value, with Redis' text when they mean none.
//!
//! One function per kind. Numbers are read as C reads them where Redis leaves it to C (`strtoll`: blanks and signs
//! first, nothing is 0) and strictly where Redis is strict. Writing is in value.rs; the two are inverse (tested).

use std::path::PathBuf;

use crate::data::extended::parse_double;

use super::value::{
    Arrival, EVENT_CHANNELS, EVENT_CLASSES, EVENTS_ALL, Kind, OutputLimit, SavePoint, TextRule,
    Value, bytes_of, path_of, reason_of,
};

const WRONG_COUNT: &str = "wrong number of arguments";

impl Kind {
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

fn read_text(word: &[u8], rule: TextRule) -> Result<Value, String> {
    let problem = match rule {
        TextRule::Any => None,
        TextRule::Beginnings => word.contains(&b'{').then(|| {
            "a key with braces has a hash tag already: write the pattern without them".into()
        }),
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

fn read_save_points(words: &[Vec<u8>], old: &Value, arrival: Arrival) -> Result<Value, String> {
    let invalid = || "Invalid save parameters".to_owned();
    let clears = words.len() == 1 && words[0].is_empty();
    let words = if clears { &[][..] } else { words };
    if !words.len().is_multiple_of(2) {
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
    if !words.len().is_multiple_of(4) {
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
        let number =
            parse_double(word).ok_or("Invalid latency-tracking-info-percentiles parameters")?;
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
