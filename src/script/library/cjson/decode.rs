//! `cjson.decode`: JSON to values.
//!
//! ```text
//! [ 1 , { "a" : …        stack of Lua: text, table of [, table of {, "a"      frames: Array(2), Object(1)
//! ```
//! Tables that are under way lie on the stack of Lua, as in Redis: nothing here recurses. Tables grow value by value, so that the order
//! of their keys is that of Redis. A zero byte ends the text.
//!
//! Source: RFC 4627; the manual of lua-cjson 2.1.0 for what it accepts beyond.

use std::cell::Cell;

use crate::limits::SCRIPT_EXCHANGE_BYTES_KEPT;
use crate::script::library::check::{bad, text};
use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::Stack;

use super::number::read_number;
use super::{BYTES_PER_TICK, SLOTS_MAX, Settings, VALUES_PER_TICK};

/// A table that has begun.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// The index of its next element.
    Array(i32),
    /// How many keys it has so far.
    Object(u32),
}

/// A part of the text.
#[derive(Clone, Copy, Debug)]
enum Token<'t> {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// Its text, which has no escapes.
    String(&'t [u8]),
    /// Its text is in [`Reader::unescaped`].
    Unescaped,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    /// What is wrong.
    Error(&'static str),
}

impl Token<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::String(_) | Self::Unescaped => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Error(what) => what,
        }
    }
}

/// What the next call needs: kept, so that most calls allocate nothing.
#[derive(Debug, Default)]
struct Buffers {
    unescaped: Vec<u8>,
    frames: Vec<Frame>,
}

thread_local! {
    static BUFFERS: Cell<Buffers> = const { Cell::new(Buffers { unescaped: Vec::new(), frames: Vec::new() }) };
}

pub(super) fn decode(stack: &mut Stack<'_>) -> Native {
    if stack.argument_count() != 1 {
        return bad(stack, 1, "expected 1 argument");
    }
    let text = text(stack, 1)?;
    if let [0, _, ..] | [_, 0, ..] = text {
        return stack.error_here(b"JSON parser does not support UTF-16 or UTF-32");
    }
    let mut reader = Reader {
        text,
        at: 0,
        token_at: 0,
        buffers: BUFFERS.take(),
        settings: Settings::captured(stack),
        values_left: VALUES_PER_TICK,
        bytes_next: BYTES_PER_TICK,
    };
    let result = reader.read(stack);
    let mut buffers = reader.buffers;
    if buffers.unescaped.capacity() <= SCRIPT_EXCHANGE_BYTES_KEPT {
        buffers.frames.clear();
        BUFFERS.set(buffers);
    }
    result.map(|()| 1)
}

struct Reader<'t> {
    text: &'t [u8],
    /// What comes next.
    at: usize,
    /// Where the last token began; where it is wrong, if it is.
    token_at: usize,
    buffers: Buffers,
    settings: Settings,
    values_left: usize,
    bytes_next: usize,
}

impl<'t> Reader<'t> {
    /// Pushes the value.
    fn read(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        let mut token = self.token();
        loop {
            if let Some(first) = self.push_value(stack, token)? {
                // In a table that has just begun.
                token = first;
                continue;
            }
            match self.place_value(stack)? {
                Some(next) => token = next,
                None => break,
            }
        }
        match self.token() {
            Token::End => Ok(()),
            other => self.fail(stack, "the end", other),
        }
    }

    fn fail<T>(&self, stack: &mut Stack<'_>, expected: &str, found: Token<'_>) -> Result<T, Raise> {
        let (found, place) = (found.name(), self.token_at + 1);
        stack.error_here(
            format!("Expected {expected} but found {found} at character {place}").as_bytes(),
        )
    }

    /// Pushes what the token begins. Some: a table has begun that is not empty, and this begins its first value.
    fn push_value(
        &mut self,
        stack: &mut Stack<'_>,
        token: Token<'t>,
    ) -> Result<Option<Token<'t>>, Raise> {
        self.tick(stack)?;
        match token {
            Token::String(text) => push_text(stack, text)?,
            Token::Unescaped => push_text(stack, &self.buffers.unescaped)?,
            Token::Number(number) => stack.push_number(number),
            Token::Boolean(value) => stack.push_boolean(value),
            Token::Null => stack.push_null(),
            Token::ObjectBegin => {
                self.descend(stack, 3)?;
                return match self.token() {
                    Token::ObjectEnd => Ok(None),
                    other => {
                        self.buffers.frames.push(Frame::Object(0));
                        self.push_key(stack, other).map(Some)
                    }
                };
            }
            Token::ArrayBegin => {
                self.descend(stack, 2)?;
                return match self.token() {
                    Token::ArrayEnd => Ok(None),
                    other => {
                        self.buffers.frames.push(Frame::Array(1));
                        Ok(Some(other))
                    }
                };
            }
            other => return self.fail(stack, "value", other),
        }
        Ok(None)
    }

    /// Begins a table for which Redis wants so many slots of the stack.
    fn descend(&mut self, stack: &mut Stack<'_>, slots: i32) -> Result<(), Raise> {
        let depth = self.buffers.frames.len() as i32 + 1;
        if depth > self.settings.decode_depth_max || stack.top() + slots > SLOTS_MAX {
            let at = self.at;
            let text = format!("Found too many nested data structures ({depth}) at character {at}");
            return stack.error_here(text.as_bytes());
        }
        stack.ensure(slots - 1)?;
        stack.push_table(0, 0);
        Ok(())
    }

    /// Pushes a key; the token with which its value begins.
    fn push_key(&mut self, stack: &mut Stack<'_>, key: Token<'t>) -> Result<Token<'t>, Raise> {
        match key {
            Token::String(text) => push_text(stack, text)?,
            Token::Unescaped => push_text(stack, &self.buffers.unescaped)?,
            other => return self.fail(stack, "object key string", other),
        }
        if self.byte(self.at) == b':' {
            self.at += 1;
            return Ok(self.token());
        }
        match self.token() {
            Token::Colon => Ok(self.token()),
            other => self.fail(stack, "colon", other),
        }
    }

    /// Puts the value on top into its table, and so on with the tables that end there. The token with which the next value begins; none
    /// after the last.
    fn place_value(&mut self, stack: &mut Stack<'_>) -> Result<Option<Token<'t>>, Raise> {
        loop {
            let Some(frame) = self.buffers.frames.last_mut() else {
                return Ok(None);
            };
            match frame {
                Frame::Array(index) => {
                    reserve_growth(stack, *index as u32)?;
                    stack.raw_set_index(-2, *index);
                    *index = index.saturating_add(1);
                    if self.byte(self.at) == b',' {
                        self.at += 1;
                        return Ok(Some(self.token()));
                    }
                    match self.token() {
                        Token::Comma => return Ok(Some(self.token())),
                        Token::ArrayEnd => {}
                        other => return self.fail(stack, "comma or array end", other),
                    }
                }
                Frame::Object(count) => {
                    *count = count.saturating_add(1);
                    reserve_growth(stack, *count)?;
                    stack.raw_set(-3);
                    if self.byte(self.at) == b',' {
                        self.at += 1;
                        let key = self.token();
                        return self.push_key(stack, key).map(Some);
                    }
                    match self.token() {
                        Token::Comma => {
                            let key = self.token();
                            return self.push_key(stack, key).map(Some);
                        }
                        Token::ObjectEnd => {}
                        other => return self.fail(stack, "comma or object end", other),
                    }
                }
            }
            self.buffers.frames.pop();
        }
    }

    /// Lets the host look at the time, when it is time.
    fn tick(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        self.values_left -= 1;
        if self.values_left == 0 || self.at >= self.bytes_next {
            self.values_left = VALUES_PER_TICK;
            self.bytes_next = self.at + BYTES_PER_TICK;
            stack.reserve(BYTES_PER_TICK)?;
            stack.tick()?;
        }
        Ok(())
    }

    /// A byte of the text; 0 after its end.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next token. After the end, and after an error, it is the same again.
    fn token(&mut self) -> Token<'t> {
        let mut byte = self.byte(self.at);
        while matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
            byte = self.byte(self.at);
        }
        self.token_at = self.at;
        let token = match byte {
            b'"' => return self.string(),
            b'0'..=b'9' | b'-' => return self.number(),
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            0 => return Token::End,
            _ => return self.word(),
        };
        self.at += 1;
        token
    }

    /// true, false, null; and numbers that JSON does not have.
    fn word(&mut self) -> Token<'t> {
        let rest = self.rest();
        let (token, len) = if rest.starts_with(b"true") {
            (Token::Boolean(true), 4)
        } else if rest.starts_with(b"false") {
            (Token::Boolean(false), 5)
        } else if rest.starts_with(b"null") {
            (Token::Null, 4)
        } else if self.settings.decode_invalid
            && matches!(rest.first(), Some(b'+' | b'i' | b'I' | b'n' | b'N'))
            && is_invalid_number(rest)
        {
            return self.any_number();
        } else {
            return Token::Error("invalid token");
        };
        self.at += len;
        token
    }

    /// Nearly all numbers are integers of a few digits.
    #[inline]
    fn number(&mut self) -> Token<'t> {
        let is_negative = self.byte(self.at) == b'-';
        let start = self.at + usize::from(is_negative);
        let mut at = start;
        let mut number = 0u64;
        let mut digit = self.byte(at).wrapping_sub(b'0');
        while digit < 10 {
            number = number.wrapping_mul(10).wrapping_add(digit.into());
            at += 1;
            digit = self.byte(at).wrapping_sub(b'0');
        }
        let is_plain = !matches!(self.byte(at), b'.' | b'e' | b'E' | b'x' | b'X');
        let is_short = (1..=15).contains(&(at - start));
        if !is_plain || !is_short || (self.byte(start) == b'0' && at - start > 1) {
            return self.any_number();
        }
        self.at = at;
        let number = number as f64;
        Token::Number(if is_negative { -number } else { number })
    }

    fn any_number(&mut self) -> Token<'t> {
        let rest = self.rest();
        if !self.settings.decode_invalid && is_invalid_number(rest) {
            return Token::Error("invalid number");
        }
        match read_number(rest) {
            Some((number, len)) => {
                self.at += len;
                Token::Number(number)
            }
            None => Token::Error("invalid number"),
        }
    }

    fn string(&mut self) -> Token<'t> {
        self.at += 1;
        let rest = self.rest();
        let len = plain_len(rest);
        match rest.get(len) {
            Some(b'"') => {
                self.at += len + 1;
                Token::String(rest.get(..len).unwrap_or_default())
            }
            _ => self.string_with_escapes(),
        }
    }

    fn string_with_escapes(&mut self) -> Token<'t> {
        self.buffers.unescaped.clear();
        loop {
            let rest = self.rest();
            let len = plain_len(rest);
            let run = rest.get(..len).unwrap_or_default();
            self.buffers.unescaped.extend_from_slice(run);
            self.at += len;
            match self.byte(self.at) {
                b'"' => {
                    self.at += 1;
                    return Token::Unescaped;
                }
                b'\\' => {
                    if let Err(what) = self.escape() {
                        self.token_at = self.at;
                        return Token::Error(what);
                    }
                }
                _ => {
                    self.token_at = self.at;
                    return Token::Error("unexpected end of string");
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let byte = match self.byte(self.at + 1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 12,
            b'r' => b'\r',
            b'u' => {
                let rest = self.rest();
                let (character, len) = unicode_escape(rest).ok_or("invalid unicode escape code")?;
                push_character(&mut self.buffers.unescaped, character);
                self.at += len;
                return Ok(());
            }
            _ => return Err("invalid escape code"),
        };
        self.buffers.unescaped.push(byte);
        self.at += 2;
        Ok(())
    }
}

fn push_text(stack: &mut Stack<'_>, text: &[u8]) -> Result<(), Raise> {
    if text.len() >= BYTES_PER_TICK {
        stack.reserve(text.len())?;
    }
    stack.push_bytes(text);
    Ok(())
}

/// Tables of Lua double their room: before one that is long does, this asks whether there is memory.
pub(in crate::script::library) fn reserve_growth(
    stack: &mut Stack<'_>,
    count: u32,
) -> Result<(), Raise> {
    /// What an element takes at most: a node of the hash part.
    const ELEMENT_BYTES: usize = 40;
    if count >= 1024 && count.is_power_of_two() {
        stack.reserve(count as usize * 2 * ELEMENT_BYTES)?;
    }
    Ok(())
}

/// Whether a number is none of JSON: hexadecimal, with zeros before it, `+1`, inf, nan.
fn is_invalid_number(text: &[u8]) -> bool {
    if text.first() == Some(&b'+') {
        return true;
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let word = text.get(..3).unwrap_or_default();
    match text {
        [b'0', next, ..] => next | 0x20 == b'x' || next.is_ascii_digit(),
        _ => word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan"),
    }
}

/// How many bytes come before a quote, a backslash or a zero.
#[inline]
fn plain_len(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate().take(WORDS_FIRST) {
        let found = ends_in(u64::from_le_bytes(*word));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    if words.len() > WORDS_FIRST {
        let start = WORDS_FIRST * 8;
        return start + long_plain_len(text.get(start..).unwrap_or_default());
    }
    let at = rest.iter().position(ends);
    words.len() * 8 + at.unwrap_or(rest.len())
}

/// Most strings are shorter than so many words of eight bytes.
const WORDS_FIRST: usize = 4;

/// The highest bit of each byte that is a quote, a backslash or a zero; above the first of them also that of others.
fn ends_in(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let quotes = zeros(word ^ u64::from_le_bytes([b'"'; 8]));
    let backslashes = zeros(word ^ u64::from_le_bytes([b'\\'; 8]));
    quotes | backslashes | zeros(word)
}

fn ends(byte: &u8) -> bool {
    matches!(*byte, b'"' | b'\\' | 0)
}

fn long_plain_len(text: &[u8]) -> usize {
    let (blocks, rest) = text.as_chunks::<16>();
    for (index, block) in blocks.iter().enumerate() {
        // Without a branch for each byte: 16 are looked at together.
        if block.iter().fold(false, |any, byte| any | ends(byte)) {
            let at = block.iter().position(ends).unwrap_or(0);
            return index * 16 + at;
        }
    }
    let at = rest.iter().position(ends).unwrap_or(rest.len());
    blocks.len() * 16 + at
}

/// The code of `\uXXXX`, or of a pair of surrogates, and its length.
fn unicode_escape(text: &[u8]) -> Option<(u32, usize)> {
    let high = four_digits(text.get(2..6)?)?;
    match high {
        0xD800..=0xDBFF => {
            let second = text.get(6..12)?;
            let low = four_digits(second.strip_prefix(b"\\u")?)?;
            let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
            Some((((high & 0x3FF) << 10 | low) + 0x10000, 12))
        }
        0xDC00..=0xDFFF => None,
        _ => Some((high, 6)),
    }
}

fn four_digits(digits: &[u8]) -> Option<u32> {
    let mut digits = digits.iter();
    digits.try_fold(0, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number << 4 | digit)
    })
}

fn push_character(out: &mut Vec<u8>, code: u32) {
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut buffer = [0; 4];
    out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
}
