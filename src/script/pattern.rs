//! Lua 5.1 patterns: what `string.find`, `match`, `gmatch` and `gsub` do, on bytes.
//!
//! The C library that comes with Lua recurses once for each repetition and each parenthesis of
//! a pattern, without a bound: one call with a long pattern ends the server.
//! These functions give the same results, byte for byte, without recursion, and call the
//! caller back while they work, so that a match that takes too long can be stopped.
//!
//! ```text
//! pattern.rs   Matcher: finds one match; Found: what it found; the error texts
//!   program    a pattern, read into operations (lazily, so are its errors)
//!   set        character classes and bracket sets
//!   run        the match itself: a loop and a stack of open choices
//!   replace    gmatch and gsub: one match after another; replacement texts
//! ```
//!
//! Invariants:
//! - The machine stack does not depend on the pattern or the subject.
//! - A match keeps at most `FRAMES_MAX` open choices, and never more than the pattern has
//!   items, however long the subject is.
//! - Between two ticks lie about `STEPS_PER_TICK` steps, also over many short matches.
//!
//! Lua 5.1 habits that are kept: a zero byte ends a pattern (but not a plain text to look
//! for); a wrong pattern is an error only if a match gets to the wrong place; in `gmatch` a
//! `^` is an ordinary byte.
//!
//! Not here: Lua values. The caller turns ranges into strings and numbers.
//!
//! Source: Lua 5.1 Reference Manual, 5.4.1 "Patterns"; behaviour of Lua 5.1.5, C locale.

#![deny(clippy::indexing_slicing)]

mod program;
mod replace;
mod run;
mod set;
#[cfg(test)]
mod tests;

use std::ops::Range;

use program::Program;
pub(crate) use replace::{ExpandError, Gmatch, Gsub, expand};
use run::{Frame, Halt, Run};

/// Captures that a pattern can have: as in Lua 5.1.
pub(crate) const CAPTURES_MAX: usize = 32;
/// Open choices that a match can have at once, 24 bytes each. Stock Lua 5.1 has no limit: it
/// recurses once for each, and with a stack of 8 MiB it crashes before it has this many.
pub(crate) const FRAMES_MAX: usize = 200_000;
/// Steps between two ticks. A step is one operation of the pattern, or 4 to 64 bytes of a
/// search, some nanoseconds.
pub(crate) const STEPS_PER_TICK: usize = 10_000;
/// Bytes that are searched without looking at the clock.
const CHUNK_BYTES: usize = 64 * 1024;
/// Patterns up to this length are kept as programs for the next call.
const KEPT_PATTERN_BYTES: usize = 128;
/// How many programs are kept: a power of two.
const KEPT_PROGRAMS: usize = 16;
/// Open choices, operations and sets whose memory is kept between calls.
const KEPT_ENTRIES: usize = 4096;

/// What can be wrong with a pattern, or with a reference to a capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Malformed {
    /// A `%` is the last byte.
    EndsWithEscape,
    /// A set has no end.
    MissingBracket,
    /// `%b` lacks its two bytes.
    Unbalanced,
    /// `%f` has no set behind it.
    MissingFrontierSet,
    /// A `)` has no `(`.
    InvalidPatternCapture,
    /// More than `CAPTURES_MAX` captures.
    TooManyCaptures,
    /// A capture that the pattern never closes was asked for.
    UnfinishedCapture,
    /// There is no such capture, or it is still open.
    InvalidCaptureIndex,
}

impl Malformed {
    /// The message of Lua 5.1.5, without the place that Lua puts before it.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Malformed::EndsWithEscape => "malformed pattern (ends with '%')",
            Malformed::MissingBracket => "malformed pattern (missing ']')",
            Malformed::Unbalanced => "unbalanced pattern",
            Malformed::MissingFrontierSet => "missing '[' after '%f' in pattern",
            Malformed::InvalidPatternCapture => "invalid pattern capture",
            Malformed::TooManyCaptures => "too many captures",
            Malformed::UnfinishedCapture => "unfinished capture",
            Malformed::InvalidCaptureIndex => "invalid capture index",
        }
    }
}

/// Why a match gave no answer. `E` is the error of the caller's tick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PatternError<E> {
    /// The match came to a place where the pattern is wrong.
    Malformed(Malformed),
    /// More than `FRAMES_MAX` open choices: `TOO_COMPLEX` is the text.
    TooComplex,
    /// The tick failed, with this.
    Stopped(E),
}

/// The text of `PatternError::TooComplex`: Lua 5.2's, as 5.1 crashes.
pub(crate) const TOO_COMPLEX: &str = "pattern too complex";

/// One capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Capture {
    /// A range of bytes of the subject, counted from 0.
    Text(Range<usize>),
    /// `()`: a position, counted from 1 as in Lua.
    Position(usize),
}

/// A match. The matcher has one and fills it again for each match.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What was matched: a range of bytes of the subject, counted from 0.
    pub(crate) range: Range<usize>,
    slots: [Range<usize>; CAPTURES_MAX],
    count: u8,
    /// Captures that the pattern never closes, a bit each.
    unfinished: u32,
    /// Captures that are positions, a bit each.
    positions: u32,
}

impl Found {
    const fn new() -> Found {
        Found {
            range: 0..0,
            slots: [const { 0..0 }; CAPTURES_MAX],
            count: 0,
            unfinished: 0,
            positions: 0,
        }
    }

    /// How many captures the pattern has: what `string.find` adds to its two numbers.
    pub(crate) fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// How many values `match`, `gmatch` and a replacement function get: the captures, or
    /// the whole match if there are none.
    pub(crate) fn value_count(&self) -> usize {
        self.count().max(1)
    }

    /// Capture `index`, counted from 0. Without captures in the pattern, 0 is the whole
    /// match.
    ///
    /// # Errors
    /// `InvalidCaptureIndex` if there is none; `UnfinishedCapture` if the pattern does not
    /// close it, which Lua only notices here.
    pub(crate) fn capture(&self, index: usize) -> Result<Capture, Malformed> {
        if index == 0 && self.count == 0 {
            return Ok(Capture::Text(self.range.clone()));
        }
        if index >= self.count() {
            return Err(Malformed::InvalidCaptureIndex);
        }
        let slot = self
            .slots
            .get(index)
            .ok_or(Malformed::InvalidCaptureIndex)?;
        if self.unfinished >> index & 1 != 0 {
            Err(Malformed::UnfinishedCapture)
        } else if self.positions >> index & 1 != 0 {
            Ok(Capture::Position(slot.start + 1))
        } else {
            Ok(Capture::Text(slot.clone()))
        }
    }
}

/// What a `^` at the beginning of a pattern means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Caret {
    /// The match must begin where the search does: `find`, `match`, `gsub`.
    Anchor,
    /// A byte like others: `gmatch`.
    Byte,
}

/// Finds matches, and keeps what it can use again: memory, and the last patterns read.
/// One per Lua state is enough. What it keeps between calls is bounded (some 300 KiB).
#[derive(Debug)]
pub(crate) struct Matcher {
    kept: Vec<Kept>,
    /// The one of `kept` that was used last: a walk uses it again and again.
    latest: usize,
    /// A pattern that is too long to be kept.
    scratch: Reading,
    frames: Vec<Frame>,
    found: Found,
    steps_left: usize,
}

/// How a pattern is understood.
#[derive(Debug)]
struct Reading {
    /// The part of the pattern that is matched: without its anchor, up to a zero byte.
    body: Range<usize>,
    anchored: bool,
    program: Program,
}

impl Reading {
    const fn new() -> Reading {
        Reading {
            body: 0..0,
            anchored: false,
            program: Program::new(),
        }
    }

    fn begin(&mut self, pattern: &[u8], caret: Caret) {
        let body = before_zero(pattern);
        self.anchored = caret == Caret::Anchor && body.starts_with(b"^");
        self.body = usize::from(self.anchored)..body.len();
        self.program
            .begin(body.get(self.body.clone()).unwrap_or_default());
    }
}

/// A pattern that was used lately.
#[derive(Debug)]
struct Kept {
    pattern: Vec<u8>,
    caret: Caret,
    reading: Reading,
}

impl Kept {
    const fn new() -> Kept {
        Kept {
            pattern: Vec::new(),
            caret: Caret::Anchor,
            reading: Reading::new(),
        }
    }

    #[inline(always)]
    fn is(&self, pattern: &[u8], caret: Caret) -> bool {
        self.caret == caret && self.pattern == pattern && !self.reading.program.ops.is_empty()
    }
}

impl Default for Matcher {
    fn default() -> Matcher {
        Matcher::new()
    }
}

impl Matcher {
    /// A matcher that has seen nothing. Allocates nothing.
    pub(crate) const fn new() -> Matcher {
        Matcher {
            kept: Vec::new(),
            latest: 0,
            scratch: Reading::new(),
            frames: Vec::new(),
            found: Found::new(),
            steps_left: STEPS_PER_TICK,
        }
    }

    /// Finds the first match of `pattern` in `subject` that begins at byte `from` (counted
    /// from 0) or later. Behind the end of the subject there is none; at its end there can
    /// be an empty one. `tick` is called about every `STEPS_PER_TICK` steps.
    ///
    /// Time: as in Lua, a polynomial of the subject's length whose degree is the number of
    /// repetitions in the pattern, in the worst case. Allocates only when a pattern is read
    /// or the open choices are more than ever before.
    ///
    /// # Errors
    /// See `PatternError`. The matcher stays usable.
    pub(crate) fn find<E>(
        &mut self,
        subject: &[u8],
        pattern: &[u8],
        from: usize,
        caret: Caret,
        tick: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Option<&Found>, PatternError<E>> {
        let reading = match self.kept.get_mut(self.latest) {
            Some(kept) if kept.is(pattern, caret) => &mut kept.reading,
            // The borrow of the match above ends only here, so look it up again.
            _ => {
                self.latest = self.read(pattern, caret);
                self.kept
                    .get_mut(self.latest)
                    .map_or(&mut self.scratch, |kept| &mut kept.reading)
            }
        };
        let mut run = Run {
            subject,
            pattern: pattern.get(reading.body.clone()).unwrap_or_default(),
            program: &mut reading.program,
            frames: &mut self.frames,
            found: &mut self.found,
            steps_left: &mut self.steps_left,
            tick,
            stopped: None,
        };
        let result = run.search(from, reading.anchored);
        let stopped = run.stopped;
        if self.frames.capacity() > KEPT_ENTRIES {
            self.frames.clear();
            self.frames.shrink_to(KEPT_ENTRIES);
        }
        if pattern.len() > KEPT_PATTERN_BYTES {
            self.scratch.program.trim(KEPT_ENTRIES, KEPT_ENTRIES / 4);
        }
        match (result, stopped) {
            (Ok(true), _) => Ok(Some(&self.found)),
            (Ok(false), _) => Ok(None),
            (Err(_), Some(error)) => Err(PatternError::Stopped(error)),
            (Err(Halt::Malformed(malformed)), None) => Err(PatternError::Malformed(malformed)),
            (Err(Halt::TooComplex | Halt::Stopped), None) => Err(PatternError::TooComplex),
        }
    }

    /// Reads `pattern`, unless it is kept. Returns its place in `kept`, or one outside of it
    /// if it is in `scratch`.
    #[inline(never)]
    fn read(&mut self, pattern: &[u8], caret: Caret) -> usize {
        if self.kept.is_empty() {
            self.kept.resize_with(KEPT_PROGRAMS, Kept::new);
        }
        let place = place_of(pattern);
        match self.kept.get_mut(place) {
            Some(kept) if pattern.len() <= KEPT_PATTERN_BYTES => {
                if !kept.is(pattern, caret) {
                    kept.pattern.clear();
                    kept.pattern.extend_from_slice(pattern);
                    kept.caret = caret;
                    kept.reading.begin(pattern, caret);
                }
                place
            }
            _ => {
                // A walk reads a long pattern again for each match, so that must tick too.
                self.steps_left = self.steps_left.saturating_sub(pattern.len() / 64);
                self.scratch.begin(pattern, caret);
                usize::MAX
            }
        }
    }

    /// Counts work done outside the matcher (a copy, a comparison), in steps.
    fn spend<E>(
        &mut self,
        steps: usize,
        tick: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), PatternError<E>> {
        if let Some(left) = self.steps_left.checked_sub(steps) {
            self.steps_left = left;
            return Ok(());
        }
        self.steps_left = STEPS_PER_TICK;
        tick().map_err(PatternError::Stopped)
    }
}

/// Where the program of `pattern` is kept: a hash of its length, its beginning and its end.
fn place_of(pattern: &[u8]) -> usize {
    let word = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let ends = word(pattern.first_chunk()) ^ word(pattern.last_chunk()).rotate_left(13);
    let word = match *pattern {
        [a] => u32::from(a),
        [a, b] | [a, b, _] => u32::from(a) << 8 | u32::from(b),
        _ => ends,
    };
    let hash = (word ^ (pattern.len() as u32) << 20).wrapping_mul(0x9E37_79B1);
    (hash >> 28) as usize % KEPT_PROGRAMS
}

/// The part of `text` before its first zero byte: what C takes for the whole.
fn before_zero(text: &[u8]) -> &[u8] {
    let end = if text.len() < 16 {
        text.iter().position(|&byte| byte == 0)
    } else {
        memchr::memchr(0, text)
    };
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Whether `string.find` takes `pattern` for a pattern. If not, it looks for the plain
/// text, and then for all of it, zero bytes included.
pub(crate) fn has_specials(pattern: &[u8]) -> bool {
    before_zero(pattern).iter().any(|byte| {
        matches!(
            byte,
            b'^' | b'$' | b'*' | b'+' | b'?' | b'.' | b'(' | b'[' | b'%' | b'-'
        )
    })
}

/// Finds plain `text` in `subject` at byte `from` or later: where it begins, counted from 0.
/// Linear in the length of both; calls `tick` about every 64 KiB.
///
/// # Errors
/// Those of `tick`.
pub(crate) fn find_plain<E>(
    subject: &[u8],
    text: &[u8],
    from: usize,
    tick: &mut dyn FnMut() -> Result<(), E>,
) -> Result<Option<usize>, E> {
    let Some(rest) = subject.get(from..) else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(Some(from));
    }
    if rest.len() <= CHUNK_BYTES {
        return Ok(memchr::memmem::find(rest, text).map(|at| from + at));
    }
    let finder = memchr::memmem::Finder::new(text);
    // A long text is looked for in long windows, or most of the work would be overlap.
    let stride = CHUNK_BYTES.max(text.len());
    let mut begin = 0;
    while let Some(rest) = rest.get(begin..)
        && rest.len() >= text.len()
    {
        let window = rest.get(..stride + text.len() - 1).unwrap_or(rest);
        if let Some(at) = finder.find(window) {
            return Ok(Some(from + begin + at));
        }
        tick()?;
        begin += stride;
    }
    Ok(None)
}

/// The byte, counted from 0, at which a search begins for the third argument `init` of
/// `find` and `match`: from 1, negative from the end, anything else moved into the subject.
pub(crate) fn start_of(init: i64, subject_bytes: usize) -> usize {
    match usize::try_from(init) {
        Ok(from_one) => from_one.saturating_sub(1).min(subject_bytes),
        Err(_) => {
            let back = usize::try_from(init.unsigned_abs()).unwrap_or(usize::MAX);
            subject_bytes.saturating_sub(back)
        }
    }
}
