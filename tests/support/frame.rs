//! RESP2 and RESP3 replies as a tree, for assertions and normalisers.
//!
//! `EndFinder` finds where a whole reply ends (so a client can hand out raw bytes), `Frame::parse` reads it,
//! `Frame::encode` writes it back, byte for byte the same for what a server sends. Nesting is recursive: the servers are trusted
//! here, the tests are not a target.

use std::fmt;

/// A reply; the variants are RESP's types, nulls kept apart as they are on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// `+text`
    Simple(Vec<u8>),
    /// `-text`
    Error(Vec<u8>),
    /// `:n`
    Integer(i64),
    /// `$n`
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*-1`
    NullArray,
    /// `_`
    Null,
    /// `*n`
    Array(Vec<Frame>),
    /// `%n`: keys and values in turn.
    Map(Vec<Frame>),
    /// `~n`
    Set(Vec<Frame>),
    /// `>n`
    Push(Vec<Frame>),
    /// `|n`: keys and values in turn, before the reply they belong to.
    Attribute(Vec<Frame>),
    /// `,text`
    Double(Vec<u8>),
    /// `(text`
    BigNumber(Vec<u8>),
    /// `#t`
    Boolean(bool),
    /// `=n` with the format in its first four bytes.
    Verbatim(Vec<u8>),
    /// `!n`
    BlobError(Vec<u8>),
}

fn line(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(from..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&rest[..end], from + end + 2))
}

fn try_number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn number(text: &[u8]) -> i64 {
    try_number(text).unwrap_or_else(|| panic!("not a RESP number: {}", printable(text)))
}

/// Finds the end of a reply that arrives piece by piece, without looking at anything twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndFinder {
    /// What begins here has not been looked at.
    at: usize,
    /// Replies from there on that belong to it.
    missing: i64,
}

impl EndFinder {
    /// For a reply that starts there.
    pub(crate) fn new(from: usize) -> Self {
        Self {
            at: from,
            missing: 1,
        }
    }

    /// Where it ends; `None` while it is not whole. Each time the bytes are those of before, and perhaps more.
    ///
    /// # Panics
    /// When the bytes are no RESP.
    pub(crate) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.missing > 0 {
            let (parts, end) = head_of(bytes, self.at)?;
            self.at = end;
            self.missing += parts - 1;
        }
        Some(self.at)
    }
}

/// How many replies make up the one that starts at `from`, and where those begin, or it ends; `None` while that is not there.
fn head_of(bytes: &[u8], from: usize) -> Option<(i64, usize)> {
    let kind = *bytes.get(from)?;
    let (head, at) = line(bytes, from + 1)?;
    let parts = match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'(' | b'#' => 0,
        b'$' | b'=' | b'!' => {
            let length = number(head);
            if length < 0 {
                return Some((0, at));
            }
            let end = at + usize::try_from(length).unwrap() + 2;
            if bytes.len() < end {
                return None;
            }
            assert_eq!(&bytes[end - 2..end], b"\r\n", "a bulk must end in CRLF");
            return Some((0, end));
        }
        b'*' | b'~' | b'>' => number(head).max(0),
        b'%' | b'|' => 2 * number(head),
        _ => panic!("no RESP type byte at {from} of {}", printable(bytes)),
    };
    Some((parts, at))
}

impl Frame {
    /// Reads one whole reply.
    ///
    /// # Panics
    /// When the bytes are not exactly one reply.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self::try_parse(bytes)
            .unwrap_or_else(|| panic!("not exactly one reply: {}", printable(bytes)))
    }

    /// Reads one whole reply; `None` when the bytes are something else.
    pub(crate) fn try_parse(bytes: &[u8]) -> Option<Self> {
        let (frame, end) = Self::parse_at(bytes, 0)?;
        (end == bytes.len()).then_some(frame)
    }

    fn parse_many(bytes: &[u8], mut at: usize, count: i64) -> Option<(Vec<Self>, usize)> {
        let mut items = Vec::new();
        for _ in 0..count {
            let (item, end) = Self::parse_at(bytes, at)?;
            items.push(item);
            at = end;
        }
        Some((items, at))
    }

    fn parse_at(bytes: &[u8], from: usize) -> Option<(Self, usize)> {
        let (head, at) = line(bytes, from + 1)?;
        let text = head.to_vec();
        let simple = match bytes[from] {
            b'+' => Self::Simple(text),
            b'-' => Self::Error(text),
            b':' => Self::Integer(try_number(head)?),
            b'_' => Self::Null,
            b',' => Self::Double(text),
            b'(' => Self::BigNumber(text),
            b'#' => Self::Boolean(head == b"t"),
            b'$' if head == b"-1" => Self::NullBulk,
            b'*' if head == b"-1" => Self::NullArray,
            kind @ (b'$' | b'=' | b'!') => {
                let end = at.checked_add(usize::try_from(try_number(head)?).ok()?)?;
                let data = bytes.get(at..end)?.to_vec();
                if bytes.get(end..end + 2)? != b"\r\n" {
                    return None;
                }
                let frame = match kind {
                    b'$' => Self::Bulk(data),
                    b'=' => Self::Verbatim(data),
                    _ => Self::BlobError(data),
                };
                return Some((frame, end + 2));
            }
            kind @ (b'*' | b'~' | b'>' | b'%' | b'|') => {
                let count = try_number(head)?;
                let pairs = matches!(kind, b'%' | b'|');
                let (items, end) =
                    Self::parse_many(bytes, at, if pairs { 2 * count } else { count })?;
                let frame = match kind {
                    b'*' => Self::Array(items),
                    b'~' => Self::Set(items),
                    b'>' => Self::Push(items),
                    b'%' => Self::Map(items),
                    _ => Self::Attribute(items),
                };
                return Some((frame, end));
            }
            _ => return None,
        };
        Some((simple, at))
    }

    /// Writes the reply as a server would.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut text = |kind: u8, text: &[u8]| {
            out.push(kind);
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        };
        let bulk = |out: &mut Vec<u8>, kind: char, data: &[u8]| {
            out.extend_from_slice(format!("{kind}{}\r\n", data.len()).as_bytes());
            out.extend_from_slice(data);
            out.extend_from_slice(b"\r\n");
        };
        let many = |out: &mut Vec<u8>, kind: char, count: usize, items: &[Self]| {
            out.extend_from_slice(format!("{kind}{count}\r\n").as_bytes());
            items.iter().for_each(|item| item.encode(out));
        };
        match self {
            Self::Simple(data) => text(b'+', data),
            Self::Error(data) => text(b'-', data),
            Self::Integer(value) => text(b':', value.to_string().as_bytes()),
            Self::NullBulk => text(b'$', b"-1"),
            Self::NullArray => text(b'*', b"-1"),
            Self::Null => text(b'_', b""),
            Self::Double(data) => text(b',', data),
            Self::BigNumber(data) => text(b'(', data),
            Self::Boolean(value) => text(b'#', if *value { b"t" } else { b"f" }),
            Self::Bulk(data) => bulk(out, '$', data),
            Self::Verbatim(data) => bulk(out, '=', data),
            Self::BlobError(data) => bulk(out, '!', data),
            Self::Array(items) => many(out, '*', items.len(), items),
            Self::Set(items) => many(out, '~', items.len(), items),
            Self::Push(items) => many(out, '>', items.len(), items),
            Self::Map(items) => many(out, '%', items.len() / 2, items),
            Self::Attribute(items) => many(out, '|', items.len() / 2, items),
        }
    }

    /// The items of an array, set, push or (keys and values in turn) map; empty for everything else.
    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) | Self::Map(items) | Self::Set(items) | Self::Push(items) => items,
            _ => &[],
        }
    }

    /// As `items`, to change them.
    pub(crate) fn items_mut(&mut self) -> &mut [Self] {
        match self {
            Self::Array(items) | Self::Map(items) | Self::Set(items) | Self::Push(items) => items,
            _ => &mut [],
        }
    }

    /// The value under a name in a map or in a flat array of names and values.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.items()
            .chunks(2)
            .find(|pair| pair[0].bytes() == name.as_bytes())
            .and_then(|pair| pair.get(1))
    }

    /// The bytes of a string-like reply; empty for everything else.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Simple(data) | Self::Error(data) | Self::Bulk(data) | Self::BlobError(data) => {
                data
            }
            Self::Double(data) | Self::BigNumber(data) => data,
            Self::Verbatim(data) => data.get(4..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The bytes of a string-like reply as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The value of an integer reply.
    ///
    /// # Panics
    /// When it is something else.
    pub(crate) fn integer(&self) -> i64 {
        match self {
            Self::Integer(value) => *value,
            other => panic!("expected an integer, got {other}"),
        }
    }

    /// Whether it is an error.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Self::Error(_) | Self::BlobError(_))
    }

    /// Whether it is one of the nulls.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::NullBulk | Self::NullArray | Self::Null)
    }
}

impl fmt::Display for Frame {
    /// `+OK`, `-ERR …`, `:1`, `"bulk"`, `nil`, `nil-array`, `null`, `[…]`, `{k: v}`, `~[…]`, `>[…]`, `,1.5`, `(9`, `#t`, `=txt:…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, open: &str, items: &[Self]| {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            write!(f, "{open}{}]", items.join(", "))
        };
        let map = |f: &mut fmt::Formatter<'_>, open: &str, items: &[Self]| {
            let items: Vec<String> = items
                .chunks(2)
                .map(|pair| format!("{}: {}", pair[0], pair[1]))
                .collect();
            write!(f, "{open}{}}}", items.join(", "))
        };
        match self {
            Self::Simple(data) => write!(f, "+{}", printable(data)),
            Self::Error(data) => write!(f, "-{}", printable(data)),
            Self::Integer(value) => write!(f, ":{value}"),
            Self::Bulk(data) => write!(f, "\"{}\"", printable(data)),
            Self::NullBulk => write!(f, "nil"),
            Self::NullArray => write!(f, "nil-array"),
            Self::Null => write!(f, "null"),
            Self::Double(data) => write!(f, ",{}", printable(data)),
            Self::BigNumber(data) => write!(f, "({}", printable(data)),
            Self::Boolean(value) => write!(f, "#{}", if *value { "t" } else { "f" }),
            Self::Verbatim(data) => write!(f, "={}", printable(data)),
            Self::BlobError(data) => write!(f, "!{}", printable(data)),
            Self::Array(items) => list(f, "[", items),
            Self::Set(items) => list(f, "~[", items),
            Self::Push(items) => list(f, ">[", items),
            Self::Map(items) => map(f, "{", items),
            Self::Attribute(items) => map(f, "|{", items),
        }
    }
}

/// Bytes as text with everything unprintable escaped; long ones are cut.
pub(crate) fn printable(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 4000;
    let shown = bytes.get(..SHOWN_MAX).unwrap_or(bytes);
    let mut text = shown.escape_ascii().to_string().replace("\\'", "'");
    if shown.len() < bytes.len() {
        text.push_str(&format!("… ({} bytes)", bytes.len()));
    }
    text
}

/// A command as one would type it.
pub(crate) fn printable_command<A: AsRef<[u8]>>(arguments: &[A]) -> String {
    let words: Vec<String> = arguments
        .iter()
        .map(|argument| {
            let bytes = argument.as_ref();
            let plain = !bytes.is_empty()
                && bytes
                    .iter()
                    .all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(byte));
            if plain {
                String::from_utf8_lossy(bytes).into_owned()
            } else {
                format!("\"{}\"", printable(bytes))
            }
        })
        .collect();
    words.join(" ")
}
