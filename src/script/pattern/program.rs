//! A pattern as a list of operations, read a piece at a time.
//!
//! A Lua pattern is a straight line: no alternatives, and only single characters repeat.
//! So much is known before the match: which capture a `)` closes, whether `%1` is closed
//! yet, which captures a complete match has. What is wrong with a pattern becomes an
//! operation of its own (`Fail`), because Lua complains only when a match gets there:
//! `("x"):find("a%")` is nil, `("a"):find("a%")` is an error.
//!
//! The list grows when a match reaches its end, so a long pattern of which two bytes are
//! ever looked at costs two bytes' work.

use super::set::{self, Class, Set};
use super::{CAPTURES_MAX, Malformed};

/// How many operations are read at once.
const OPS_PER_PIECE: usize = 64;

/// What must come directly behind a repetition, if that is known: positions where it does
/// not come need not be tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Follow {
    Unknown,
    Byte(u8),
    /// The pattern ends there: what is tried first is final.
    Accept,
}

/// One operation. Captures are numbered from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op {
    Byte(u8),
    /// The bytes `at..at + len` of the pattern as they stand.
    Literal {
        at: u32,
        len: u16,
    },
    One(Class),
    /// `*` (`least` 0) and `+` (`least` 1).
    Greedy {
        class: Class,
        least: u8,
        follow: Follow,
    },
    /// `?`
    Maybe(Class),
    /// `-`
    Lazy {
        class: Class,
        follow: Follow,
    },
    Open(u8),
    Close(u8),
    Position(u8),
    Back(u8),
    /// `%b` with its two bytes.
    Balance(u8, u8),
    Frontier(Class),
    /// `$` as the last byte.
    End,
    Accept,
    /// Matches nowhere: a back reference to a position.
    Never,
    Fail(Malformed),
}

/// Where a match can begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Start {
    Anywhere,
    /// The pattern begins with `.*`, `.+` or `.-`: if there is no match from one position,
    /// there is none from a later one (unless a back reference looks at what was captured).
    Sweeping,
    At(Class),
}

/// The operations of one pattern, as far as they have been read.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
    pub(super) sets: Vec<Set>,
    pub(super) start: Start,
    /// Whether the operations read so far have a back reference.
    pub(super) refers_back: bool,
    /// How many captures were opened.
    pub(super) level: u8,
    /// Which captures are open, a bit each.
    pub(super) open: u32,
    /// Which captures are positions, a bit each.
    pub(super) positions: u32,
    /// Where in the pattern reading goes on.
    at: usize,
    /// The last operation if it is a repetition, captures not counted.
    repetition: Option<usize>,
}

impl Program {
    pub(super) const fn new() -> Program {
        Program {
            ops: Vec::new(),
            sets: Vec::new(),
            start: Start::Anywhere,
            refers_back: false,
            level: 0,
            open: 0,
            positions: 0,
            at: 0,
            repetition: None,
        }
    }

    /// Forgets everything and reads the first piece of `pattern`.
    pub(super) fn begin(&mut self, pattern: &[u8]) {
        self.ops.clear();
        self.sets.clear();
        (self.level, self.open, self.positions) = (0, 0, 0);
        (self.at, self.repetition, self.refers_back) = (0, None, false);
        self.extend(pattern);
        self.start = self.find_start(pattern);
    }

    /// Gives back memory above the given numbers of operations and sets.
    pub(super) fn trim(&mut self, ops_max: usize, sets_max: usize) {
        if self.ops.capacity() > ops_max || self.sets.capacity() > sets_max {
            self.ops.truncate(ops_max);
            self.ops.shrink_to(ops_max);
            self.sets.truncate(sets_max);
            self.sets.shrink_to(sets_max);
        }
    }

    /// Reads the next piece of `pattern`, which must be the one that `begin` saw. Call only
    /// when a match has reached the end of `ops`; adds at least one operation.
    #[cold]
    pub(super) fn extend(&mut self, pattern: &[u8]) {
        for _ in 0..OPS_PER_PIECE {
            let op = match self.read(pattern) {
                Ok(op) => op,
                Err(malformed) => Op::Fail(malformed),
            };
            self.push(op, pattern);
            if matches!(op, Op::Accept | Op::Fail(_)) {
                return;
            }
        }
    }

    fn push(&mut self, op: Op, pattern: &[u8]) {
        let first = match op {
            Op::Open(_) | Op::Close(_) | Op::Position(_) => {
                self.ops.push(op);
                return;
            }
            Op::Accept => Follow::Accept,
            Op::Byte(byte) | Op::One(Class::Byte(byte)) => Follow::Byte(byte),
            Op::Greedy {
                class: Class::Byte(byte),
                least: 1,
                ..
            } => Follow::Byte(byte),
            Op::Literal { at, .. } => pattern
                .get(at as usize)
                .map_or(Follow::Unknown, |&byte| Follow::Byte(byte)),
            _ => Follow::Unknown,
        };
        let waiting = self
            .repetition
            .take()
            .and_then(|index| self.ops.get_mut(index));
        if let Some(Op::Greedy { follow, .. } | Op::Lazy { follow, .. }) = waiting {
            *follow = first;
        }
        if matches!(op, Op::Greedy { .. } | Op::Lazy { .. }) {
            self.repetition = Some(self.ops.len());
        }
        self.ops.push(op);
    }

    fn find_start(&self, pattern: &[u8]) -> Start {
        let captures = |op: &&Op| !matches!(op, Op::Open(_) | Op::Close(_) | Op::Position(_));
        match self.ops.iter().find(captures) {
            Some(&(Op::Byte(byte) | Op::Balance(byte, _))) => Start::At(Class::Byte(byte)),
            Some(&Op::Literal { at, .. }) => pattern
                .get(at as usize)
                .map_or(Start::Anywhere, |&b| Start::At(Class::Byte(b))),
            Some(
                Op::Greedy {
                    class: Class::Any, ..
                }
                | Op::Lazy {
                    class: Class::Any, ..
                },
            ) => Start::Sweeping,
            Some(
                &(Op::One(class)
                | Op::Greedy {
                    class, least: 1, ..
                }),
            ) => Start::At(class),
            _ => Start::Anywhere,
        }
    }

    /// Reads one item at `self.at`.
    fn read(&mut self, pattern: &[u8]) -> Result<Op, Malformed> {
        let Some(&byte) = pattern.get(self.at) else {
            return Ok(Op::Accept);
        };
        let second = pattern.get(self.at + 1).copied();
        match (byte, second) {
            (b'(', Some(b')')) => {
                let slot = self.open_capture(2)?;
                self.open &= !(1 << slot);
                self.positions |= 1 << slot;
                Ok(Op::Position(slot))
            }
            (b'(', _) => self.open_capture(1).map(Op::Open),
            (b')', _) => self.close_capture(),
            (b'%', Some(b'b')) => self.read_balance(pattern),
            (b'%', Some(b'f')) => self.read_frontier(pattern),
            (b'%', Some(digit @ b'0'..=b'9')) => self.read_back(digit),
            (b'$', None) => {
                self.at += 1;
                Ok(Op::End)
            }
            _ => self.read_single(pattern, byte),
        }
    }

    fn open_capture(&mut self, pattern_bytes: usize) -> Result<u8, Malformed> {
        let slot = self.level;
        if usize::from(slot) >= CAPTURES_MAX {
            return Err(Malformed::TooManyCaptures);
        }
        self.level += 1;
        self.open |= 1 << slot;
        self.at += pattern_bytes;
        Ok(slot)
    }

    fn close_capture(&mut self) -> Result<Op, Malformed> {
        // The last one that is open, not the last one: `(a(b)c)`.
        let slot = (0..self.level)
            .rev()
            .find(|slot| self.open >> slot & 1 != 0);
        let slot = slot.ok_or(Malformed::InvalidPatternCapture)?;
        self.open &= !(1 << slot);
        self.at += 1;
        Ok(Op::Close(slot))
    }

    fn read_back(&mut self, digit: u8) -> Result<Op, Malformed> {
        let slot = digit.wrapping_sub(b'1');
        if slot >= self.level || self.open >> slot & 1 != 0 {
            return Err(Malformed::InvalidCaptureIndex);
        }
        self.at += 2;
        if self.positions >> slot & 1 != 0 {
            return Ok(Op::Never);
        }
        self.refers_back = true;
        Ok(Op::Back(slot))
    }

    fn read_balance(&mut self, pattern: &[u8]) -> Result<Op, Malformed> {
        let (Some(&open), Some(&close)) = (pattern.get(self.at + 2), pattern.get(self.at + 3))
        else {
            return Err(Malformed::Unbalanced);
        };
        self.at += 4;
        Ok(Op::Balance(open, close))
    }

    fn read_frontier(&mut self, pattern: &[u8]) -> Result<Op, Malformed> {
        if pattern.get(self.at + 2) != Some(&b'[') {
            return Err(Malformed::MissingFrontierSet);
        }
        let (set, end) = set::bracket(pattern, self.at + 3)?;
        self.at = end;
        Ok(Op::Frontier(self.class(set)))
    }

    /// Reads a single character, class or set, and the sign of repetition behind it.
    fn read_single(&mut self, pattern: &[u8], byte: u8) -> Result<Op, Malformed> {
        let (class, end) = match byte {
            b'.' => (Class::Any, self.at + 1),
            b'%' => {
                let letter = *pattern.get(self.at + 1).ok_or(Malformed::EndsWithEscape)?;
                (self.class(set::escaped(letter)), self.at + 2)
            }
            b'[' => {
                let (set, end) = set::bracket(pattern, self.at + 1)?;
                (self.class(set), end)
            }
            _ => (Class::Byte(byte), self.at + 1),
        };
        let follow = Follow::Unknown;
        let op = match pattern.get(end) {
            Some(b'*') => Op::Greedy {
                class,
                least: 0,
                follow,
            },
            Some(b'+') => Op::Greedy {
                class,
                least: 1,
                follow,
            },
            Some(b'-') => Op::Lazy { class, follow },
            Some(b'?') => Op::Maybe(class),
            _ => {
                let op = self.literal(pattern, class);
                self.at = match op {
                    Op::Literal { len, .. } => self.at + usize::from(len),
                    _ => end,
                };
                return Ok(op);
            }
        };
        self.at = end + 1;
        Ok(op)
    }

    /// The operation for one character without a sign of repetition: with the plain bytes
    /// behind it if there are any.
    fn literal(&self, pattern: &[u8], class: Class) -> Op {
        let Class::Byte(byte) = class else {
            return Op::One(class);
        };
        let rest = pattern.get(self.at..).unwrap_or_default();
        let rest = rest.get(..usize::from(u16::MAX)).unwrap_or(rest);
        let plain = rest
            .iter()
            .position(|&byte| is_special(byte))
            .unwrap_or(rest.len());
        // The last plain byte may belong to the sign of repetition behind it.
        let whole = rest
            .get(plain)
            .is_none_or(|byte| !matches!(byte, b'*' | b'+' | b'-' | b'?'));
        let len = if whole && rest.len() < usize::from(u16::MAX) {
            plain
        } else {
            plain.saturating_sub(1)
        };
        match (u32::try_from(self.at), u16::try_from(len)) {
            (Ok(at), Ok(len)) if len >= 2 => Op::Literal { at, len },
            _ => Op::Byte(byte),
        }
    }

    fn class(&mut self, set: Set) -> Class {
        if let Some(class) = set::simple(&set) {
            return class;
        }
        // The same set often comes again: `%d+%.%d+%.%d+`.
        let recent = self
            .sets
            .iter()
            .rev()
            .take(24)
            .position(|known| *known == set);
        let index = match recent {
            Some(back) => self.sets.len() - 1 - back,
            None => {
                self.sets.push(set);
                self.sets.len() - 1
            }
        };
        // A set takes two bytes of pattern at least, and 32 of memory: no machine has
        // the memory for 2^32 of them.
        Class::Set(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// Whether `byte` can mean something else than itself where an item begins.
fn is_special(byte: u8) -> bool {
    matches!(
        byte,
        b'$' | b'*' | b'+' | b'?' | b'.' | b'(' | b')' | b'[' | b'%' | b'-'
    )
}
