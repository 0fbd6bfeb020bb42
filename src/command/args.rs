//! Typed arguments: what the text of an argument means, and the error when it means nothing.

use crate::data::extended::Extended;
use crate::keyspace::value::parse_canonical_integer;
use crate::resp::arguments::Args;

use super::error::{self, CommandError};

/// A 64-bit integer in Redis' strict form: no blanks, no leading zeros, no plus.
pub(crate) fn integer(bytes: &[u8]) -> Option<i64> {
    parse_canonical_integer(bytes)
}

/// An integer, or `ERR value is not an integer or out of range`.
///
/// # Errors
/// When the text is not one.
pub(crate) fn required_integer(bytes: &[u8]) -> Result<i64, CommandError> {
    integer(bytes).ok_or(error::NOT_INTEGER)
}

/// An integer whose absolute value is one too, or `ERR value is out of range, value must between …`.
///
/// # Errors
/// When the text is not one.
pub(crate) fn symmetric_integer(bytes: &[u8]) -> Result<i64, CommandError> {
    match required_integer(bytes)? {
        i64::MIN => Err(error::NOT_SYMMETRIC),
        value => Ok(value),
    }
}

/// An integer of 0 or more, or `ERR value is out of range, must be positive`.
///
/// # Errors
/// When the text is not one.
pub(crate) fn non_negative(bytes: &[u8]) -> Result<u64, CommandError> {
    integer(bytes)
        .and_then(|value| u64::try_from(value).ok())
        .ok_or(error::NOT_POSITIVE)
}

/// A blocking timeout in seconds with decimals, as a deadline in Unix ms; `None`: for ever.
///
/// # Errors
/// Redis' three texts: no number, negative, out of range.
pub(crate) fn timeout_seconds(bytes: &[u8], now_ms: u64) -> Result<Option<u64>, CommandError> {
    let seconds = Extended::parse(bytes).ok_or(error::TIMEOUT_NOT_FLOAT)?;
    let ms = seconds.product_ceiling(1000);
    if ms < 0 {
        return Err(error::TIMEOUT_NEGATIVE);
    }
    deadline(i64::try_from(ms).map_err(|_| error::TIMEOUT_RANGE)?, now_ms)
}

/// A blocking timeout in ms, as a deadline in Unix ms; `None`: for ever.
///
/// # Errors
/// Redis' three texts: no integer, negative, out of range.
pub(crate) fn timeout_milliseconds(bytes: &[u8], now_ms: u64) -> Result<Option<u64>, CommandError> {
    deadline(integer(bytes).ok_or(error::TIMEOUT_NOT_INTEGER)?, now_ms)
}

fn deadline(ms: i64, now_ms: u64) -> Result<Option<u64>, CommandError> {
    match u64::try_from(ms) {
        Err(_) => Err(error::TIMEOUT_NEGATIVE),
        Ok(0) => Ok(None),
        Ok(ms) => {
            let at = now_ms
                .checked_add(ms)
                .filter(|at| i64::try_from(*at).is_ok());
            at.map(Some).ok_or(error::TIMEOUT_RANGE)
        }
    }
}

/// What a command takes that pops from the first of several keys which has something (LMPOP, ZMPOP and their kin).
pub(crate) struct CountedPop {
    /// How many keys there are behind their number.
    pub(crate) key_count: usize,
    /// Which of the two words stands for the end.
    pub(crate) end: usize,
    /// How many elements to take.
    pub(crate) count: usize,
}

/// `numkeys key [key ...] <word | other> [COUNT count]` from argument `at` on.
///
/// # Errors
/// A number that is none or not positive, a missing or unknown word.
pub(crate) fn counted_pop(
    args: &Args<'_>,
    at: usize,
    ends: [&str; 2],
) -> Result<CountedPop, CommandError> {
    let positive = |argument: &[u8]| integer(argument).filter(|number| *number > 0);
    let key_count = positive(args.at(at)).ok_or(error::NUMKEYS_NOT_POSITIVE)?;
    let key_count = usize::try_from(key_count)
        .ok()
        .filter(|count| *count < args.len())
        .ok_or(error::SYNTAX)?;
    let mut options = Cursor::new(args, at + 1 + key_count);
    let end = ends.iter().position(|end| options.keyword(end));
    let end = end.ok_or(error::SYNTAX)?;
    let mut count = None;
    while options.left() > 0 {
        if count.is_some() || !options.keyword("count") {
            return Err(error::SYNTAX);
        }
        let number = positive(options.value()?).ok_or(error::POP_COUNT_NOT_POSITIVE)?;
        count = Some(usize::try_from(number).unwrap_or(usize::MAX));
    }
    Ok(CountedPop {
        key_count,
        end,
        count: count.unwrap_or(1),
    })
}

/// Whether an argument is a keyword, in any case.
pub(crate) fn is(argument: &[u8], keyword: &str) -> bool {
    argument.eq_ignore_ascii_case(keyword.as_bytes())
}

/// A reader of optional arguments: a position that moves over them.
pub(crate) struct Cursor<'a, 'b> {
    args: &'b Args<'a>,
    at: usize,
}

impl<'a, 'b> Cursor<'a, 'b> {
    /// Starts at argument `at`.
    pub(crate) fn new(args: &'b Args<'a>, at: usize) -> Self {
        Self { args, at }
    }

    /// The position of the next argument.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// How many arguments are left.
    pub(crate) fn left(&self) -> usize {
        self.args.len().saturating_sub(self.at)
    }

    /// The next argument without moving.
    pub(crate) fn peek(&self) -> Option<&'a [u8]> {
        self.args.get(self.at)
    }

    /// Moves over the keyword when it is next.
    pub(crate) fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|argument| is(argument, keyword));
        self.at += usize::from(found);
        found
    }

    /// The next argument, or a syntax error.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], CommandError> {
        self.next().ok_or(error::SYNTAX)
    }
}

impl<'a> Iterator for Cursor<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let argument = self.args.get(self.at)?;
        self.at += 1;
        Some(argument)
    }
}
