//! Sets of bytes: the character classes `%a %d …` and the brackets `[…]`.
//!
//! A set is a map of 256 bits, made once when a pattern is read, so that a match costs
//! the same for `[a]` as for a long list of ranges. The classes are those of the C locale,
//! which is what Redis gives its scripts: a byte from 128 on is in no class.

use super::Malformed;

/// A set of byte values, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Set([u64; 4]);

impl Set {
    const EMPTY: Set = Set([0; 4]);

    /// Whether `byte` is in the set.
    #[inline(always)]
    pub(super) const fn has(&self, byte: u8) -> bool {
        let [a, b, c, d] = self.0;
        let word = match byte >> 6 {
            0 => a,
            1 => b,
            2 => c,
            _ => d,
        };
        word >> (byte & 63) & 1 != 0
    }

    const fn with(self, byte: u8) -> Set {
        let [mut a, mut b, mut c, mut d] = self.0;
        let bit = 1u64 << (byte & 63);
        match byte >> 6 {
            0 => a |= bit,
            1 => b |= bit,
            2 => c |= bit,
            _ => d |= bit,
        }
        Set([a, b, c, d])
    }

    const fn complement(self) -> Set {
        let [a, b, c, d] = self.0;
        Set([!a, !b, !c, !d])
    }

    const fn union(self, other: Set) -> Set {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Set([a | e, b | f, c | g, d | h])
    }

    fn with_range(mut self, low: u8, high: u8) -> Set {
        for byte in low..=high {
            self = self.with(byte);
        }
        self
    }

    /// How many bytes are in the set: 0 to 256.
    fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The smallest byte of the set, if it has one.
    fn first(&self) -> Option<u8> {
        (0..=u8::MAX).find(|&byte| self.has(byte))
    }
}

const fn of_class(class: u8) -> Set {
    let mut set = Set::EMPTY;
    let mut byte = 0u8;
    loop {
        let inside = match class {
            b'a' => byte.is_ascii_alphabetic(),
            b'c' => byte.is_ascii_control(),
            b'd' => byte.is_ascii_digit(),
            b'l' => byte.is_ascii_lowercase(),
            b'p' => byte.is_ascii_punctuation(),
            // C's isspace has the vertical tab, Rust's is_ascii_whitespace does not.
            b's' => byte == b' ' || (9 <= byte && byte <= 13),
            b'u' => byte.is_ascii_uppercase(),
            b'w' => byte.is_ascii_alphanumeric(),
            b'x' => byte.is_ascii_hexdigit(),
            _ => byte == 0,
        };
        if inside {
            set = set.with(byte);
        }
        if byte == u8::MAX {
            return set;
        }
        byte += 1;
    }
}

const ALPHA: Set = of_class(b'a');
const CONTROL: Set = of_class(b'c');
const DIGIT: Set = of_class(b'd');
const LOWER: Set = of_class(b'l');
const PUNCTUATION: Set = of_class(b'p');
const SPACE: Set = of_class(b's');
const UPPER: Set = of_class(b'u');
const ALPHANUMERIC: Set = of_class(b'w');
const HEXADECIMAL: Set = of_class(b'x');
const ZERO: Set = of_class(b'z');

/// The set that `%` and `letter` stand for: a class for the letters of the manual (a capital
/// is the complement), the byte itself for anything else.
pub(super) fn escaped(letter: u8) -> Set {
    let class = match letter.to_ascii_lowercase() {
        b'a' => ALPHA,
        b'c' => CONTROL,
        b'd' => DIGIT,
        b'l' => LOWER,
        b'p' => PUNCTUATION,
        b's' => SPACE,
        b'u' => UPPER,
        b'w' => ALPHANUMERIC,
        b'x' => HEXADECIMAL,
        b'z' => ZERO,
        _ => return Set::EMPTY.with(letter),
    };
    if letter.is_ascii_uppercase() {
        class.complement()
    } else {
        class
    }
}

/// What one position of a pattern accepts. Sets of one byte, of all but one and of all bytes
/// have their own forms, because the search for them is much faster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Any,
    Byte(u8),
    Not(u8),
    /// An index in the program's list of sets.
    Set(u32),
}

/// The short form of `set`, if it has one.
pub(super) fn simple(set: &Set) -> Option<Class> {
    match set.len() {
        1 => set.first().map(Class::Byte),
        255 => set.complement().first().map(Class::Not),
        256 => Some(Class::Any),
        _ => None,
    }
}

/// Reads the set whose `[` stands at `at - 1`. Returns it with the index behind its `]`.
///
/// Lua finds the end of a set and its members by two different readings, and they can
/// disagree: in `[a-%%]` the end is found as if `%%` were an escape, but the members are
/// the range `a-%` and an escape of the closing `]`. Both readings are kept.
///
/// # Errors
/// The pattern ends before the set does.
pub(super) fn bracket(pattern: &[u8], at: usize) -> Result<(Set, usize), Malformed> {
    let negated = pattern.get(at) == Some(&b'^');
    let first = at + usize::from(negated);
    let end = bracket_end(pattern, first)?;
    let byte = |index: usize| pattern.get(index).copied().unwrap_or(0);
    let mut set = Set::EMPTY;
    let mut here = first;
    while here < end {
        if byte(here) == b'%' {
            set = set.union(escaped(byte(here + 1)));
            here += 2;
        } else if byte(here + 1) == b'-' && here + 2 < end {
            set = set.with_range(byte(here), byte(here + 2));
            here += 3;
        } else {
            set = set.with(byte(here));
            here += 1;
        }
    }
    let set = if negated { set.complement() } else { set };
    Ok((set, end + 1))
}

/// The index of the `]` that ends the set with its first member at `at`. A `]` that comes
/// first is a member.
fn bracket_end(pattern: &[u8], mut at: usize) -> Result<usize, Malformed> {
    loop {
        let member = *pattern.get(at).ok_or(Malformed::MissingBracket)?;
        at += 1;
        if member == b'%' && at < pattern.len() {
            at += 1;
        }
        if pattern.get(at) == Some(&b']') {
            return Ok(at);
        }
    }
}
