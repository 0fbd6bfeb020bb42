//! The incremental request parser: bytes of a connection to ranges of arguments.
//!
//! ```text
//!            first byte '*'                       first byte anything else
//!                  │                                         │
//!      *<count>\r\n ($<length>\r\n <bytes>\r\n)×count     <words, quoted or not>\n
//!        Header ──► BulkHeader ◄──► Bulk ──► whole       Header ──────────────► whole
//! ```
//!
//! The caller keeps the bytes; the parser keeps how far it got in them and what it found, so that bytes seen
//! once are not looked at again however they arrive. A request that lies whole in the buffer is read in one pass.
//!
//! Invariants:
//! - The buffer of each call begins with the first byte of the request in progress and only grows until it is whole.
//! - A declared length or count reserves nothing: memory grows with the bytes that have come.
//! - What Redis accepts is accepted, quirks included: the two bytes after a bulk and the byte after a `\r` are not
//!   looked at, a NUL hides the rest of a line until it is too long, and errors are reported at the end of a line.
//!
//! It does not read sockets, decide who is authenticated, or look at what the arguments mean.

#![deny(clippy::indexing_slicing)]

mod inline;

use super::arguments::{Args, ArgumentRange};
use inline::split_words;

/// What a request may be, as settings and the state of the connection have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Longest bulk, bytes (`proto-max-bulk-len`).
    pub bulk_bytes_max: usize,
    /// Most arguments.
    pub argument_count_max: usize,
    /// Bytes that may wait to be understood (`client-query-buffer-limit`): a longer bulk is never whole, and whoever keeps
    /// the bytes ends the connection when there are more.
    pub unparsed_bytes_max: usize,
    /// Longest inline request without its end, and longest line that announces a length, bytes.
    pub line_bytes_max: usize,
    /// Tighter limits for a connection that has not authenticated but must.
    pub unauthenticated: Option<UnauthenticatedLimits>,
}

impl RequestLimits {
    /// Of what the server wrote itself: it has any size.
    pub const NONE: Self = Self {
        bulk_bytes_max: usize::MAX,
        argument_count_max: usize::MAX,
        unparsed_bytes_max: usize::MAX,
        line_bytes_max: usize::MAX,
        unauthenticated: None,
    };
}

/// Limits before AUTH, see [`RequestLimits::unauthenticated`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnauthenticatedLimits {
    /// Most arguments.
    pub(crate) argument_count_max: usize,
    /// Longest bulk, bytes.
    pub(crate) bulk_bytes_max: usize,
}

/// Why a connection cannot go on: its bytes are not the protocol. It is told so and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// An inline request without an end within the limit.
    InlineTooBig,
    /// A `*` line without an end within the limit.
    MultibulkHeaderTooBig,
    /// A `$` line without an end within the limit.
    BulkHeaderTooBig,
    /// The count after `*` is not a number or too large.
    MultibulkLength,
    /// The length after `$` is not a number, negative or too large.
    BulkLength,
    /// Too many arguments before AUTH.
    UnauthenticatedMultibulkLength,
    /// Too long a bulk before AUTH.
    UnauthenticatedBulkLength,
    /// Another byte where `$` had to be.
    ExpectedDollar(u8),
    /// An inline request whose quotes do not match.
    UnbalancedQuotes,
}

impl ProtocolError {
    /// Appends the text of the error reply, without `-`, code and line end: `Protocol error: …`.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Protocol error: ");
        let text: &[u8] = match self {
            ProtocolError::InlineTooBig => b"too big inline request",
            ProtocolError::MultibulkHeaderTooBig => b"too big mbulk count string",
            ProtocolError::BulkHeaderTooBig => b"too big bulk count string",
            ProtocolError::MultibulkLength => b"invalid multibulk length",
            ProtocolError::BulkLength => b"invalid bulk length",
            ProtocolError::UnauthenticatedMultibulkLength => b"unauthenticated multibulk length",
            ProtocolError::UnauthenticatedBulkLength => b"unauthenticated bulk length",
            ProtocolError::UnbalancedQuotes => b"unbalanced quotes in request",
            ProtocolError::ExpectedDollar(got) => {
                // An error reply is one line: Redis turns line ends into spaces.
                let got = if matches!(got, b'\r' | b'\n') {
                    b' '
                } else {
                    *got
                };
                out.extend_from_slice(b"expected '$', got '");
                out.extend_from_slice(&[got, b'\'']);
                return;
            }
        };
        out.extend_from_slice(text);
    }
}

/// Argument ranges kept allocated between requests; more are given back.
const RANGES_KEPT_MAX: usize = 64;
/// Bytes for the words of inline requests kept allocated between requests.
const INLINE_BYTES_KEPT_MAX: usize = 1024;
/// Most argument ranges reserved on the strength of a declared count.
const RANGES_RESERVED_MAX: usize = 16;

/// The state of one connection's request parsing. See the module's head.
#[derive(Debug, Default)]
pub struct RequestParser {
    /// Arguments found so far.
    ranges: Vec<ArgumentRange>,
    /// Words of an inline request, unquoted.
    inline: Vec<u8>,
    /// Arguments announced; 0 before the first line is whole.
    announced: usize,
    /// First byte not yet understood.
    position: usize,
    /// First byte not yet searched for the end of the line in progress.
    searched: usize,
    /// Length of the bulk that begins at `position`, once its line is whole.
    bulk: Option<usize>,
    /// The last call returned a whole request: the next begins anew.
    whole: bool,
    /// The arguments lie in `inline`.
    is_inline: bool,
}

/// A line that announces a number.
enum Line {
    /// The number and the offset behind the line.
    Number { value: i64, next: usize },
    /// Whole, but no number. The parser stands still: nothing can follow.
    NotANumber,
    /// No end yet.
    Incomplete,
}

impl RequestParser {
    /// A parser at the beginning of a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on with the request at the start of `buffer`.
    ///
    /// `Some(consumed)`: the request is whole and takes that many bytes; its arguments can be read until the next call,
    /// for which the caller has dropped those bytes. No argument at all (an empty line, `*0`) means: nothing to
    /// run, go on. `None`: more bytes are needed; the next buffer begins with the same bytes.
    /// Cost: the new bytes of lines, and O(1) for each bulk.
    ///
    /// # Errors
    /// [`ProtocolError`]; the connection's bytes make no sense from here on, and the parser must not be used again.
    #[inline]
    pub fn parse(
        &mut self,
        buffer: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<usize>, ProtocolError> {
        if self.whole {
            self.begin();
        }
        if self.announced == 0 {
            match buffer.first() {
                None => return Ok(None),
                Some(b'*') => match self.multibulk_header(buffer, limits)? {
                    None => return Ok(None),
                    Some(0) => return Ok(Some(self.finish())),
                    Some(count) => {
                        self.announced = count;
                        self.ranges.reserve(count.min(RANGES_RESERVED_MAX));
                    }
                },
                Some(_) => return self.inline_request(buffer, limits),
            }
        }
        if self.bulk.is_none() && limits.unauthenticated.is_none() {
            self.short_bulks(buffer, limits);
        }
        while self.ranges.len() < self.announced {
            let length = match self.bulk {
                Some(length) => length,
                None => match self.bulk_header(buffer, limits)? {
                    Some(length) => length,
                    None => return Ok(None),
                },
            };
            // Two bytes more: the line end, which Redis does not look at.
            let is_whole = buffer.len().saturating_sub(self.position) >= length + 2;
            if !is_whole || length + 2 > limits.unparsed_bytes_max {
                self.bulk = Some(length);
                return Ok(None);
            }
            self.ranges.push(range(self.position, length));
            self.position += length + 2;
            self.searched = self.position;
            self.bulk = None;
        }
        Ok(Some(self.finish()))
    }

    /// The bytes that [`RequestParser::ranges`] refer to: `buffer` as it was at the last call, or the parser's own for an inline request.
    #[must_use]
    #[inline]
    pub(crate) fn source<'b>(&'b self, buffer: &'b [u8]) -> &'b [u8] {
        if self.is_inline { &self.inline } else { buffer }
    }

    /// Arguments found, all of them after `Some` from [`RequestParser::parse`].
    #[must_use]
    #[inline]
    pub fn ranges(&self) -> &[ArgumentRange] {
        &self.ranges
    }

    /// The arguments of a whole request in `buffer`.
    #[must_use]
    #[inline]
    pub fn arguments<'b>(&'b self, buffer: &'b [u8]) -> Args<'b> {
        Args::new(self.source(buffer), &self.ranges)
    }

    /// Bytes at the start of the buffer that are understood: of the request in progress, not of a whole one.
    #[must_use]
    pub(crate) fn understood_bytes(&self) -> usize {
        if self.whole { 0 } else { self.position }
    }

    /// Bytes allocated by the parser.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.ranges.capacity() * size_of::<ArgumentRange>() + self.inline.capacity()
    }

    /// Takes the bulks of less than 1000 bytes that are whole, up to the first that is not one of them: the usual arguments,
    /// without the general rule. Whatever is odd about a line is left to that.
    #[inline]
    fn short_bulks(&mut self, buffer: &[u8], limits: &RequestLimits) {
        let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
        let mut at = self.position;
        while self.ranges.len() < self.announced {
            let (line, length) = match buffer.get(at..).unwrap_or_default() {
                [b'$', ones @ b'0'..=b'9', b'\r', _, ..] => (4, digit(*ones)),
                [b'$', tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _, ..] => {
                    (5, 10 * digit(*tens) + digit(*ones))
                }
                [
                    b'$',
                    hundreds @ b'1'..=b'9',
                    tens @ b'0'..=b'9',
                    ones @ b'0'..=b'9',
                    b'\r',
                    _,
                    ..,
                ] => {
                    let tens = 10 * digit(*hundreds) + digit(*tens);
                    (6, 10 * tens + digit(*ones))
                }
                _ => break,
            };
            let (start, end) = (at + line, at + line + length + 2);
            if end > buffer.len().min(u32::MAX as usize) || length > limits.bulk_bytes_max {
                break;
            }
            self.ranges.push(range(start, length));
            at = end;
        }
        if at > self.position {
            // What was searched of a line that is not whole stays searched.
            self.position = at;
            self.searched = at;
        }
    }

    #[inline]
    fn begin(&mut self) {
        if self.ranges.capacity() > RANGES_KEPT_MAX {
            self.ranges = Vec::new();
        }
        self.ranges.clear();
        if self.is_inline {
            if self.inline.capacity() > INLINE_BYTES_KEPT_MAX {
                self.inline = Vec::new();
            }
            self.inline.clear();
        }
        self.announced = 0;
        self.position = 0;
        self.searched = 0;
        self.bulk = None;
        self.whole = false;
        self.is_inline = false;
    }

    #[inline]
    fn finish(&mut self) -> usize {
        self.whole = true;
        self.position
    }

    /// The count of the `*` line, 0 for an empty request; `None` while the line is incomplete.
    #[inline]
    fn multibulk_header(
        &mut self,
        buffer: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<usize>, ProtocolError> {
        let count = match self.number_line(buffer) {
            Line::Number { value, next } => {
                self.position = next;
                self.searched = next;
                value
            }
            Line::NotANumber => return Err(ProtocolError::MultibulkLength),
            Line::Incomplete
                if buffer.len().saturating_sub(self.position) > limits.line_bytes_max =>
            {
                return Err(ProtocolError::MultibulkHeaderTooBig);
            }
            Line::Incomplete => return Ok(None),
        };
        let Ok(count) = usize::try_from(count) else {
            return Ok(Some(0));
        };
        if count > limits.argument_count_max {
            return Err(ProtocolError::MultibulkLength);
        }
        if limits
            .unauthenticated
            .is_some_and(|before| count > before.argument_count_max)
        {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        Ok(Some(count))
    }

    /// The length of the `$` line; `None` while the line is incomplete.
    #[inline]
    fn bulk_header(
        &mut self,
        buffer: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<usize>, ProtocolError> {
        let first = buffer.get(self.position);
        let line = self.number_line(buffer);
        if matches!(line, Line::Incomplete) {
            if buffer.len().saturating_sub(self.position) > limits.line_bytes_max {
                return Err(ProtocolError::BulkHeaderTooBig);
            }
            return Ok(None);
        }
        match first {
            Some(b'$') => {}
            Some(&other) => return Err(ProtocolError::ExpectedDollar(other)),
            None => return Ok(None),
        }
        let Line::Number { value, next } = line else {
            return Err(ProtocolError::BulkLength);
        };
        let length = usize::try_from(value).map_err(|_| ProtocolError::BulkLength)?;
        // Ranges are offsets of 32 bits: a request beyond 4 GB is refused whatever the settings say.
        let end = next.saturating_add(length).saturating_add(2);
        if length > limits.bulk_bytes_max || u32::try_from(end).is_err() {
            return Err(ProtocolError::BulkLength);
        }
        if limits
            .unauthenticated
            .is_some_and(|before| length > before.bulk_bytes_max)
        {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        self.position = next;
        self.searched = next;
        Ok(Some(length))
    }

    /// The number of the line at `position`, whose first byte is left to the caller.
    #[inline]
    fn number_line(&mut self, buffer: &[u8]) -> Line {
        // The common case first: a few digits, line end. All else is looked at again more slowly.
        let digits = buffer.get(self.position + 1..).unwrap_or_default();
        if let [ones @ b'0'..=b'9', b'\r', _, ..] = digits {
            return Line::Number {
                value: i64::from(ones - b'0'),
                next: self.position + 4,
            };
        }
        let mut value = 0i64;
        for (i, &byte) in digits.iter().take(10).enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                value = value * 10 + i64::from(digit);
            } else if byte == b'\r'
                && i > 0
                && digits.len() > i + 1
                && (i == 1 || digits.first() != Some(&b'0'))
            {
                return Line::Number {
                    value,
                    next: self.position + i + 3,
                };
            } else {
                break;
            }
        }
        self.odd_number_line(buffer)
    }

    #[cold]
    fn odd_number_line(&mut self, buffer: &[u8]) -> Line {
        let Some(end) = self.search(buffer, b'\r') else {
            return Line::Incomplete;
        };
        if end + 2 > buffer.len() {
            return Line::Incomplete;
        }
        let text = buffer.get(self.position + 1..end).unwrap_or_default();
        match number(text) {
            Some(value) => Line::Number {
                value,
                next: end + 2,
            },
            None => Line::NotANumber,
        }
    }

    /// Looks for the end of the line in progress, from where the last search ended. As in Redis a NUL ends the search for good.
    fn search(&mut self, buffer: &[u8], end: u8) -> Option<usize> {
        let rest = buffer.get(self.searched..).unwrap_or_default();
        let found = rest.iter().position(|byte| *byte == end || *byte == 0);
        self.searched += found.unwrap_or(rest.len());
        (buffer.get(self.searched) == Some(&end)).then_some(self.searched)
    }

    #[cold]
    fn inline_request(
        &mut self,
        buffer: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<usize>, ProtocolError> {
        let Some(end) = self.search(buffer, b'\n') else {
            if buffer.len() > limits.line_bytes_max {
                return Err(ProtocolError::InlineTooBig);
            }
            return Ok(None);
        };
        let line = buffer.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.is_inline = true;
        split_words(line, &mut self.inline, &mut self.ranges)
            .map_err(|_| ProtocolError::UnbalancedQuotes)?;
        self.position = end + 1;
        Ok(Some(self.finish()))
    }
}

/// The words of a line as inline requests have them, with quotes; `None` when a quote has no end.
pub(crate) fn split_inline(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    split_words(line, &mut bytes, &mut ranges).ok()?;
    let args = Args::new(&bytes, &ranges);
    Some(args.iter().map(<[u8]>::to_vec).collect())
}

/// A range of a buffer whose offsets have been checked to fit.
fn range(start: usize, length: usize) -> ArgumentRange {
    ArgumentRange {
        start: start as u32,
        len: length as u32,
    }
}

/// A whole number as Redis reads it in a request: canonical decimal form only.
fn number(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    digits.iter().try_fold(0i64, |value, byte| {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        let value = value.checked_mul(10)?;
        if digit > 9 {
            None
        } else if negative {
            value.checked_sub(digit)
        } else {
            value.checked_add(digit)
        }
    })
}

#[cfg(test)]
mod tests;
