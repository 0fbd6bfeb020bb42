//! The words of an inline request: what a person types into a raw connection.
//!
//! Words are separated by blanks. `"…"` takes `\n \r \t \b \a \xHH \"` and `\` before any other byte for that byte;
//! `'…'` takes `\'` only. A closing quote must be followed by a blank or the end. A quote may begin inside a word (`a"b c"` is one word).
//!
//! Invariant: ranges appended lie in the bytes appended. It does not look for the end of the line.

use super::{ArgumentRange, range};

/// A quote without its end, or something glued to a closing quote.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnbalancedQuotes;

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Splits `line`, appending the words to `words` and their ranges in it to `ranges`.
pub(super) fn split_words(
    line: &[u8],
    words: &mut Vec<u8>,
    ranges: &mut Vec<ArgumentRange>,
) -> Result<(), UnbalancedQuotes> {
    let mut rest = line;
    loop {
        // Not trim_ascii_start: a vertical tab is a blank for C and so for Redis.
        while let Some((&byte, tail)) = rest.split_first() {
            if !is_blank(byte) {
                break;
            }
            rest = tail;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let start = words.len();
        rest = take_word(rest, words)?;
        ranges.push(range(start, words.len() - start));
    }
}

/// Takes one word off the front of `rest` and returns what follows it.
fn take_word<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return Ok(tail),
            b'"' => return closed(take_quoted(tail, words, take_double_quoted)?),
            b'\'' => return closed(take_quoted(tail, words, take_single_quoted)?),
            _ => {
                words.push(byte);
                rest = tail;
            }
        }
    }
    Ok(rest)
}

/// What may follow a closing quote.
fn closed(rest: &[u8]) -> Result<&[u8], UnbalancedQuotes> {
    match rest.first() {
        Some(&byte) if !is_blank(byte) => Err(UnbalancedQuotes),
        _ => Ok(rest),
    }
}

/// One step inside quotes: the byte meant and what follows, or `None` for the closing quote.
type Step = fn(&[u8]) -> (Option<u8>, &[u8]);

fn take_quoted<'a>(
    mut rest: &'a [u8],
    words: &mut Vec<u8>,
    step: Step,
) -> Result<&'a [u8], UnbalancedQuotes> {
    while !rest.is_empty() {
        let (byte, tail) = step(rest);
        rest = tail;
        match byte {
            Some(byte) => words.push(byte),
            None => return Ok(rest),
        }
    }
    Err(UnbalancedQuotes)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn take_double_quoted(rest: &[u8]) -> (Option<u8>, &[u8]) {
    if let [b'\\', b'x', high, low, tail @ ..] = rest
        && let (Some(high), Some(low)) = (hex(*high), hex(*low))
    {
        return (Some(high << 4 | low), tail);
    }
    match rest {
        [b'\\', escaped, tail @ ..] => {
            let byte = match escaped {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 0x08,
                b'a' => 0x07,
                other => *other,
            };
            (Some(byte), tail)
        }
        [b'"', tail @ ..] => (None, tail),
        [byte, tail @ ..] => (Some(*byte), tail),
        [] => (None, rest),
    }
}

fn take_single_quoted(rest: &[u8]) -> (Option<u8>, &[u8]) {
    match rest {
        [b'\\', b'\'', tail @ ..] => (Some(b'\''), tail),
        [b'\'', tail @ ..] => (None, tail),
        [byte, tail @ ..] => (Some(*byte), tail),
        [] => (None, rest),
    }
}
