//! One match after another: `gmatch` and `gsub`, and the texts that replace matches.
//!
//! Both are walks that the caller steps, because between two matches it may run a Lua
//! function, and that function may use patterns itself. Between two steps nothing is
//! borrowed; subject and pattern must stay the same for all steps of a walk.

use super::{Capture, Caret, Found, Malformed, Matcher, PatternError};

/// Bytes copied in the time of a step.
const BYTES_PER_STEP: usize = 64;

/// A walk over the matches as `string.gmatch` makes it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Gmatch {
    /// Where the next search begins.
    from: usize,
}

impl Gmatch {
    /// A walk from the beginning of a subject.
    #[cfg(test)]
    pub(crate) const fn new() -> Gmatch {
        Gmatch { from: 0 }
    }

    /// A walk that goes on from where another had come.
    pub(crate) const fn from(position: usize) -> Gmatch {
        Gmatch { from: position }
    }

    /// How far it has come.
    pub(crate) const fn position(&self) -> usize {
        self.from
    }

    /// The next match, or `None` when there are no more.
    ///
    /// # Errors
    /// Those of `Matcher::find`.
    pub(crate) fn next<'m, E>(
        &mut self,
        matcher: &'m mut Matcher,
        subject: &[u8],
        pattern: &[u8],
        tick: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Option<&'m Found>, PatternError<E>> {
        let found = matcher.find(subject, pattern, self.from, Caret::Byte, tick)?;
        // Behind an empty match one byte is passed over, or it would be found again.
        self.from = found.map_or(subject.len() + 1, |found| {
            found.range.end + usize::from(found.range.is_empty())
        });
        Ok(found)
    }
}

/// A walk over the matches as `string.gsub` makes it, which writes the text between the
/// matches; the caller writes what replaces them.
///
/// ```text
/// next() copies "ab", finds "X"   the caller writes "1"
/// next() copies "c", finds "X"    the caller writes "2"
/// next() copies "d", None         out is "ab1c2d"
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gsub {
    /// Where the next search begins.
    from: usize,
    /// What the output holds already: the subject up to here, replaced or not.
    copied: usize,
    count: usize,
    limit: usize,
    done: bool,
    /// How long the output was after the last step.
    out_bytes: usize,
}

impl Gsub {
    /// A walk that replaces at most `limit` matches (Lua's fourth argument; 0 for a
    /// negative one, `usize::MAX` for none).
    pub(crate) const fn new(limit: usize) -> Gsub {
        Gsub {
            from: 0,
            copied: 0,
            count: 0,
            limit,
            done: false,
            out_bytes: 0,
        }
    }

    /// How many matches there were: Lua's second result.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Appends to `out` the text before the next match and returns the match; after the
    /// last one, appends the rest and returns `None`. To keep a match as it is, append
    /// `subject[found.range]`.
    ///
    /// # Errors
    /// Those of `Matcher::find`.
    pub(crate) fn next<'m, E>(
        &mut self,
        matcher: &'m mut Matcher,
        subject: &[u8],
        pattern: &[u8],
        out: &mut Vec<u8>,
        tick: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Option<&'m Found>, PatternError<E>> {
        let grown = out.len().saturating_sub(self.out_bytes);
        matcher.spend(grown / BYTES_PER_STEP, tick)?;
        if self.count == 0 {
            out.reserve(subject.len());
        }
        let found = if self.done || self.count >= self.limit {
            None
        } else {
            matcher.find(subject, pattern, self.from, Caret::Anchor, tick)?
        };
        let Some(found) = found else {
            out.extend_from_slice(subject.get(self.copied..).unwrap_or_default());
            self.copied = subject.len();
            self.done = true;
            return Ok(None);
        };
        out.extend_from_slice(
            subject
                .get(self.copied..found.range.start)
                .unwrap_or_default(),
        );
        self.out_bytes = out.len();
        self.count += 1;
        self.copied = found.range.end;
        // The byte behind an empty match stays, and the search goes on behind it.
        self.from = found.range.end + usize::from(found.range.is_empty());
        self.done = pattern.first() == Some(&b'^') || self.from > subject.len();
        Ok(Some(found))
    }
}

/// Why a replacement text could not be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExpandError {
    /// It names a capture that the match does not have.
    Malformed(Malformed),
    /// The output would pass its limit.
    TooLarge,
}

/// Appends `replacement` to `out`, as `string.gsub` does with a string: `%0` is the match,
/// `%1` to `%9` are its captures (`%1` is the match if the pattern has none), `%` and any
/// other byte is that byte. A `%` at the end becomes a zero byte, as in Lua 5.1. `out` may
/// not get longer than `out_bytes_max`.
///
/// # Errors
/// See `ExpandError`; `out` is then of no use.
pub(crate) fn expand(
    replacement: &[u8],
    subject: &[u8],
    found: &Found,
    out: &mut Vec<u8>,
    out_bytes_max: usize,
) -> Result<(), ExpandError> {
    let mut append = |bytes: &[u8]| {
        if bytes.len() > out_bytes_max.saturating_sub(out.len()) {
            return Err(ExpandError::TooLarge);
        }
        out.extend_from_slice(bytes);
        Ok(())
    };
    let mut rest = replacement;
    while let Some(escape) = memchr::memchr(b'%', rest) {
        let (plain, escaped) = rest.split_at(escape);
        append(plain)?;
        let selector = escaped.get(1).copied().unwrap_or(0);
        rest = escaped.get(2..).unwrap_or_default();
        match selector {
            b'0' => append(subject.get(found.range.clone()).unwrap_or_default())?,
            b'1'..=b'9' => {
                let index = usize::from(selector - b'1');
                match found.capture(index).map_err(ExpandError::Malformed)? {
                    Capture::Text(range) => append(subject.get(range).unwrap_or_default())?,
                    Capture::Position(position) => append(position.to_string().as_bytes())?,
                }
            }
            other => append(&[other])?,
        }
    }
    append(rest)
}
