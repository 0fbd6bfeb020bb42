//! The words of Lua 5.1.
//!
//! ```text
//! local k = KEYS[1] -- first
//! ──┬── ┬ ┬ ──┬─┬┬┬ ────┬───
//!  Mark │ │ Name││└Mark skipped
//!     Name│   Mark└ Number
//!        Mark
//! ```
//!
//! Whatever Lua's own lexer accepts is cut at the same places here, or refused: a script that is read in another way
//! than the engine reads it would be judged for what it does not do. So no byte outside ASCII stands outside of strings
//! and comments (what is a letter depends on the locale), no NUL anywhere, no `[[` inside `[[…]]`.

use std::rc::Rc;

use super::refusal::{Outcome, Refusal};

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A name.
    Name(&'a [u8]),
    /// A keyword or a sign, as it is written.
    Mark(&'static str),
    /// A string, its escapes resolved.
    Text(Rc<[u8]>),
    /// A number; its text as a command's argument if it is a decimal integer.
    Number(Option<Rc<[u8]>>),
    /// Behind the last word.
    End,
}

/// Keywords of Lua 5.1 (`goto` is a name).
const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// Signs, the longer ones before those they begin with.
const SIGNS: [&str; 26] = [
    "...", "..", "==", "~=", "<=", ">=", "+", "-", "*", "/", "%", "^", "#", "<", ">", "=", "(",
    ")", "{", "}", "[", "]", ";", ":", ",", ".",
];

/// Digits of an integer that every double holds exactly.
const EXACT_DIGITS: usize = 15;

/// Cuts a source into words, one at a time.
pub(super) struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Lexer<'a> {
    /// At the first word of a source.
    pub(super) fn new(source: &'a [u8]) -> Self {
        let mut lexer = Self {
            source,
            at: 0,
            line: 1,
        };
        // The server takes the shebang line off before Lua reads the rest.
        if source.starts_with(b"#!") {
            lexer.at = source
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(source.len());
        }
        lexer
    }

    /// The line that was read last, from 1.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// The next word.
    ///
    /// # Errors
    /// What is no Lua, and what could be read in two ways.
    pub(super) fn next(&mut self) -> Outcome<Token<'a>> {
        self.skip()?;
        let rest = self.rest();
        let Some(&first) = rest.first() else {
            return Ok(Token::End);
        };
        match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Ok(self.word()),
            b'0'..=b'9' => Ok(self.number()),
            b'.' if rest.get(1).is_some_and(u8::is_ascii_digit) => Ok(self.number()),
            b'"' | b'\'' => self.short_string(first),
            b'[' => match self.long_bracket() {
                Some(level) => {
                    let inside = self.long(level)?;
                    Ok(Token::Text(one_kind_of_newline(inside)))
                }
                None if rest.get(1) == Some(&b'=') => Err(self.refuse("a broken long string")),
                None => Ok(self.take_sign("[")),
            },
            _ => match SIGNS.iter().find(|sign| rest.starts_with(sign.as_bytes())) {
                Some(sign) => Ok(self.take_sign(sign)),
                None => Err(self.refuse("a byte that begins no word")),
            },
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.get(self.at + ahead).copied()
    }

    fn refuse(&self, why: &'static str) -> Refusal {
        Refusal::new(self.line, why)
    }

    fn take_sign(&mut self, sign: &'static str) -> Token<'a> {
        self.at += sign.len();
        Token::Mark(sign)
    }

    /// Takes bytes while they fit.
    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !fits(*byte));
        let taken = &rest[..length.unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn count_lines(&mut self, text: &[u8]) {
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        self.line = self
            .line
            .saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
    }

    /// Skips blanks and comments.
    fn skip(&mut self) -> Outcome<()> {
        loop {
            let blanks = self.take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r'));
            self.count_lines(blanks);
            if !self.rest().starts_with(b"--") {
                return Ok(());
            }
            self.at += 2;
            match self.long_bracket() {
                Some(level) => {
                    self.long(level)?;
                }
                None => {
                    self.take_while(|byte| byte != b'\n' && byte != b'\r');
                }
            }
        }
    }

    fn word(&mut self) -> Token<'a> {
        let word = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let keyword = KEYWORDS.iter().find(|keyword| keyword.as_bytes() == word);
        keyword.map_or(Token::Name(word), |keyword| Token::Mark(keyword))
    }

    /// A number, cut as `read_numeral` of Lua 5.1 cuts it: digits and points, an exponent with its sign, then any letters.
    fn number(&mut self) -> Token<'a> {
        let start = self.at;
        self.take_while(|byte| byte.is_ascii_digit() || byte == b'.');
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(0), Some(b'+' | b'-')) {
                self.at += 1;
            }
        }
        self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let text = &self.source[start..self.at];
        let significant = text.iter().position(|byte| *byte != b'0');
        let significant = &text[significant.unwrap_or(text.len() - 1)..];
        let exact = significant.len() <= EXACT_DIGITS && text.iter().all(u8::is_ascii_digit);
        Token::Number(exact.then(|| significant.into()))
    }

    fn short_string(&mut self, quote: u8) -> Outcome<Token<'a>> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let Some(byte) = self.peek(0) else {
                return Err(self.refuse("a string without its end"));
            };
            self.at += 1;
            match byte {
                _ if byte == quote => return Ok(Token::Text(text.into())),
                b'\n' | b'\r' => return Err(self.refuse("a string without its end")),
                b'\\' => text.push(self.escape()?),
                _ => text.push(byte),
            }
        }
    }

    /// What follows a backslash. Lua 5.1 knows no `\x`: it is an x.
    fn escape(&mut self) -> Outcome<u8> {
        let Some(byte) = self.peek(0) else {
            return Err(self.refuse("a string without its end"));
        };
        self.at += 1;
        Ok(match byte {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'\n' | b'\r' => {
                // Both bytes of a newline of two are one.
                if matches!(self.peek(0), Some(next @ (b'\n' | b'\r')) if next != byte) {
                    self.at += 1;
                }
                self.line = self.line.saturating_add(1);
                b'\n'
            }
            b'0'..=b'9' => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'9') = self.peek(0) else {
                        break;
                    };
                    self.at += 1;
                    value = value * 10 + u32::from(digit - b'0');
                }
                u8::try_from(value).map_err(|_| self.refuse("an escape above 255"))?
            }
            other => other,
        })
    }

    /// The level of a `[[` or `[==[` here.
    fn long_bracket(&self) -> Option<usize> {
        let rest = self.rest();
        if rest.first() != Some(&b'[') {
            return None;
        }
        let level = rest[1..].iter().take_while(|byte| **byte == b'=').count();
        (rest.get(level + 1) == Some(&b'[')).then_some(level)
    }

    /// What is inside of the long bracket here.
    fn long(&mut self, level: usize) -> Outcome<&'a [u8]> {
        self.at += level + 2;
        let rest = self.rest();
        let mut from = 0;
        let end = loop {
            let Some(bracket) = rest[from..].iter().position(|byte| *byte == b']') else {
                return Err(self.refuse("a long string without its end"));
            };
            let inner = from + bracket + 1;
            let signs = rest[inner..]
                .iter()
                .take_while(|byte| **byte == b'=')
                .count();
            if signs == level && rest.get(inner + signs) == Some(&b']') {
                break inner - 1;
            }
            from = inner + signs;
        };
        let inside = &rest[..end];
        if level == 0 && inside.windows(2).any(|pair| pair == b"[[") {
            return Err(self.refuse("a long string inside a long string"));
        }
        self.at += end + level + 2;
        self.count_lines(inside);
        Ok(inside)
    }
}

/// Every newline of a long string as `\n`, without the one at its begin.
fn one_kind_of_newline(inside: &[u8]) -> Rc<[u8]> {
    let mut text = Vec::with_capacity(inside.len());
    let mut at = 0;
    while let Some(&byte) = inside.get(at) {
        at += 1;
        if !matches!(byte, b'\n' | b'\r') {
            text.push(byte);
            continue;
        }
        let first = at == 1;
        if matches!(inside.get(at), Some(next @ (b'\n' | b'\r')) if *next != byte) {
            at += 1;
        }
        if !first {
            text.push(b'\n');
        }
    }
    text.into()
}
