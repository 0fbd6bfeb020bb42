//! One match: a loop over the operations, with the choices still open on a stack.
//!
//! ```text
//! pattern   a*   (   .-   )   =
//!           │        │            each repetition that could have taken more or fewer bytes
//! frames  [ a*: 0..3 ][ .-: 5 ]   leaves one frame; the newest is asked first
//! ```
//!
//! A pattern is a straight line, so a repetition has at most one frame at a time, and the
//! stack is never longer than the pattern, whatever the subject. Captures need no undoing:
//! each is written anew on the way forward before anything can read it.

use super::program::{Follow, Op, Program, Start};
use super::set::{Class, Set};
use super::{CHUNK_BYTES, FRAMES_MAX, Found, Malformed, STEPS_PER_TICK};

/// Bytes that a search for one byte passes in the time of a step.
const BYTES_PER_STEP: usize = 64;

/// A choice that can be made again: the repetition at `op` ended at `end`. A greedy one can
/// go back as far as `floor`; a lazy one can go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    op: u32,
    end: usize,
    floor: usize,
}

/// Why a match stopped early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Halt {
    Malformed(Malformed),
    TooComplex,
    /// The tick said so; its error is in `Run::stopped`.
    Stopped,
}

/// Everything a match works with.
pub(super) struct Run<'a, E> {
    pub(super) subject: &'a [u8],
    pub(super) pattern: &'a [u8],
    pub(super) program: &'a mut Program,
    pub(super) frames: &'a mut Vec<Frame>,
    pub(super) found: &'a mut Found,
    /// Steps until the next tick.
    pub(super) steps_left: &'a mut usize,
    pub(super) tick: &'a mut dyn FnMut() -> Result<(), E>,
    pub(super) stopped: Option<E>,
}

impl<E> Run<'_, E> {
    /// Looks for the first match that begins at `from` or later (only at `from` if
    /// `anchored`), and writes it to `found`.
    pub(super) fn search(&mut self, from: usize, anchored: bool) -> Result<bool, Halt> {
        let mut start = from;
        while start <= self.subject.len() {
            if !anchored && let Start::At(class) = self.program.start {
                start = self.first_of(class, start)?;
                if start == self.subject.len() {
                    return Ok(false);
                }
            }
            if let Some(end) = self.attempt(start)? {
                self.found.range = start..end;
                self.found.count = self.program.level;
                self.found.unfinished = self.program.open;
                self.found.positions = self.program.positions;
                return Ok(true);
            }
            let swept = self.program.start == Start::Sweeping && !self.program.refers_back;
            if anchored || swept {
                return Ok(false);
            }
            start += 1;
        }
        Ok(false)
    }

    /// Matches the whole pattern at `start`. Returns the end of the match.
    fn attempt(&mut self, start: usize) -> Result<Option<usize>, Halt> {
        self.frames.clear();
        let (mut at, mut here) = (0, start);
        loop {
            self.spend(1)?;
            let Some(&op) = self.program.ops.get(at) else {
                self.program.extend(self.pattern);
                continue;
            };
            let next = match op {
                Op::Byte(byte) => self.step_if(here, |b| b == byte),
                Op::One(class) => self.one(class, here),
                Op::Literal { at, len } => self.literal(here, at as usize, usize::from(len)),
                Op::Greedy {
                    class,
                    least,
                    follow,
                } => self.greedy(at, class, here, usize::from(least), follow)?,
                Op::Maybe(class) => self.maybe(at, class, here)?,
                Op::Lazy { class, follow } => self.lazy(at, class, here, follow)?,
                Op::Open(slot) => self.open(slot, here),
                Op::Close(slot) => self.close(slot, here),
                Op::Position(slot) => self.open(slot, here),
                Op::Back(slot) => self.back(slot, here)?,
                Op::Balance(open, close) => self.balance(open, close, here)?,
                Op::Frontier(class) => self.frontier(class, here),
                Op::End => (here == self.subject.len()).then_some(here),
                Op::Accept => return Ok(Some(here)),
                Op::Never => None,
                Op::Fail(malformed) => return Err(Halt::Malformed(malformed)),
            };
            if let Some(next) = next {
                (at, here) = (at + 1, next);
            } else if let Some(retry) = self.retry()? {
                (at, here) = retry;
            } else {
                return Ok(None);
            }
        }
    }

    /// Takes the newest choice that is still open: the operation and the position to go on
    /// from.
    fn retry(&mut self) -> Result<Option<(usize, usize)>, Halt> {
        while let Some(&Frame { op, end, floor }) = self.frames.last() {
            let at = op as usize;
            let next = match self.program.ops.get(at) {
                Some(&Op::Lazy { class, follow }) => match self.one(class, end) {
                    Some(next) => self.lazy_end(class, next, follow)?,
                    None => None,
                },
                Some(&Op::Greedy { follow, .. }) => self.greedy_end(floor, end, follow)?,
                _ => end.checked_sub(1).filter(|&next| next >= floor),
            };
            self.spend(1)?;
            match (next, self.frames.last_mut()) {
                (Some(next), Some(frame)) => {
                    frame.end = next;
                    return Ok(Some((at + 1, next)));
                }
                _ => self.frames.pop(),
            };
        }
        Ok(None)
    }

    /// Counts work, and calls the tick when it is due.
    #[inline(always)]
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Halt> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                *self.steps_left = left;
                Ok(())
            }
            None => self.pause(),
        }
    }

    #[cold]
    fn pause(&mut self) -> Result<(), Halt> {
        *self.steps_left = STEPS_PER_TICK;
        (self.tick)().map_err(|error| {
            self.stopped = Some(error);
            Halt::Stopped
        })
    }

    #[inline(always)]
    fn step_if(&self, here: usize, accepts: impl Fn(u8) -> bool) -> Option<usize> {
        match self.subject.get(here) {
            Some(&byte) if accepts(byte) => Some(here + 1),
            _ => None,
        }
    }

    fn set(&self, index: u32) -> Set {
        // Only a program makes such an index, so it is there.
        self.program
            .sets
            .get(index as usize)
            .copied()
            .unwrap_or(super::set::escaped(0))
    }

    #[inline(always)]
    fn has(&self, class: Class, byte: u8) -> bool {
        match class {
            Class::Any => true,
            Class::Byte(only) => byte == only,
            Class::Not(except) => byte != except,
            Class::Set(index) => self
                .program
                .sets
                .get(index as usize)
                .is_some_and(|set| set.has(byte)),
        }
    }

    #[inline(always)]
    fn one(&self, class: Class, here: usize) -> Option<usize> {
        self.step_if(here, |byte| self.has(class, byte))
    }

    fn literal(&self, here: usize, at: usize, len: usize) -> Option<usize> {
        let wanted = self.pattern.get(at..at + len)?;
        let rest = self.subject.get(here..)?;
        rest.starts_with(wanted).then_some(here + len)
    }

    /// The index of the first byte from `from` on that `stop` accepts, or the length of the
    /// subject. `pass` is how many bytes cost a step.
    #[inline(always)]
    fn seek(
        &mut self,
        mut from: usize,
        pass: usize,
        stop: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<usize, Halt> {
        loop {
            let rest = self.subject.get(from..).unwrap_or_default();
            let chunk = rest.get(..CHUNK_BYTES).unwrap_or(rest);
            if let Some(distance) = stop(chunk) {
                self.spend(distance / pass)?;
                return Ok(from + distance);
            }
            self.spend(chunk.len() / pass)?;
            from += chunk.len();
            if chunk.len() == rest.len() {
                return Ok(from);
            }
        }
    }

    /// The first index from `from` on with a byte of `class`, or the length of the subject.
    fn first_of(&mut self, class: Class, from: usize) -> Result<usize, Halt> {
        match class {
            Class::Any => Ok(from),
            Class::Byte(byte) => {
                self.seek(from, BYTES_PER_STEP, |chunk| memchr::memchr(byte, chunk))
            }
            Class::Not(byte) => self.seek(from, 8, |chunk| chunk.iter().position(|&b| b != byte)),
            Class::Set(index) => {
                let set = self.set(index);
                self.seek(from, 4, |chunk| {
                    chunk.iter().position(|&byte| set.has(byte))
                })
            }
        }
    }

    /// The first index from `from` on with a byte outside `class`, or the length of the
    /// subject.
    #[inline(always)]
    fn first_outside(&mut self, class: Class, from: usize) -> Result<usize, Halt> {
        match class {
            Class::Any => Ok(self.subject.len()),
            Class::Byte(byte) => self.seek(from, 8, |chunk| chunk.iter().position(|&b| b != byte)),
            Class::Not(byte) => {
                self.seek(from, BYTES_PER_STEP, |chunk| memchr::memchr(byte, chunk))
            }
            Class::Set(index) => {
                let set = self.set(index);
                self.seek(from, 4, |chunk| {
                    chunk.iter().position(|&byte| !set.has(byte))
                })
            }
        }
    }

    fn remember(&mut self, at: usize, end: usize, floor: usize) -> Result<(), Halt> {
        let op = u32::try_from(at).map_err(|_| Halt::TooComplex)?;
        if self.frames.len() >= FRAMES_MAX {
            return Err(Halt::TooComplex);
        }
        self.frames.push(Frame { op, end, floor });
        Ok(())
    }

    fn greedy(
        &mut self,
        at: usize,
        class: Class,
        here: usize,
        least: usize,
        follow: Follow,
    ) -> Result<Option<usize>, Halt> {
        let end = self.first_outside(class, here)?;
        let floor = here + least;
        if end < floor {
            return Ok(None);
        }
        let end = match follow {
            Follow::Accept => return Ok(Some(end)),
            Follow::Byte(byte) if self.subject.get(end) != Some(&byte) => {
                match self.greedy_end(floor, end, follow)? {
                    Some(end) => end,
                    None => return Ok(None),
                }
            }
            _ => end,
        };
        if end > floor {
            self.remember(at, end, floor)?;
        }
        Ok(Some(end))
    }

    /// The last end in `floor..end` at which a greedy repetition is worth another try.
    fn greedy_end(
        &mut self,
        floor: usize,
        end: usize,
        follow: Follow,
    ) -> Result<Option<usize>, Halt> {
        if end <= floor {
            return Ok(None);
        }
        let Follow::Byte(byte) = follow else {
            return Ok(Some(end - 1));
        };
        let tried = self.subject.get(floor..end).unwrap_or_default();
        let distance = memchr::memrchr(byte, tried);
        self.spend((tried.len() - distance.unwrap_or(0)) / BYTES_PER_STEP)?;
        Ok(distance.map(|distance| floor + distance))
    }

    fn maybe(&mut self, at: usize, class: Class, here: usize) -> Result<Option<usize>, Halt> {
        let Some(end) = self.one(class, here) else {
            return Ok(Some(here));
        };
        self.remember(at, end, here)?;
        Ok(Some(end))
    }

    fn lazy(
        &mut self,
        at: usize,
        class: Class,
        here: usize,
        follow: Follow,
    ) -> Result<Option<usize>, Halt> {
        let end = self.lazy_end(class, here, follow)?;
        if let Some(end) = end
            && follow != Follow::Accept
        {
            self.remember(at, end, end)?;
        }
        Ok(end)
    }

    /// The first end from `here` on at which a lazy repetition is worth a try.
    fn lazy_end(
        &mut self,
        class: Class,
        here: usize,
        follow: Follow,
    ) -> Result<Option<usize>, Halt> {
        let Follow::Byte(byte) = follow else {
            return Ok(Some(here));
        };
        let end = match class {
            Class::Any => self.first_of(Class::Byte(byte), here)?,
            Class::Byte(_) => {
                let mut end = here;
                while self.subject.get(end) != Some(&byte) && self.one(class, end).is_some() {
                    self.spend(1)?;
                    end += 1;
                }
                end
            }
            Class::Not(except) => self.seek(here, BYTES_PER_STEP, |chunk| {
                memchr::memchr2(byte, except, chunk)
            })?,
            Class::Set(index) => {
                let set = self.set(index);
                self.seek(here, 4, |chunk| {
                    chunk
                        .iter()
                        .position(|&other| other == byte || !set.has(other))
                })?
            }
        };
        Ok((self.subject.get(end) == Some(&byte)).then_some(end))
    }

    #[inline(always)]
    fn open(&mut self, slot: u8, here: usize) -> Option<usize> {
        if let Some(capture) = self.found.slots.get_mut(usize::from(slot)) {
            capture.start = here;
        }
        Some(here)
    }

    #[inline(always)]
    fn close(&mut self, slot: u8, here: usize) -> Option<usize> {
        if let Some(capture) = self.found.slots.get_mut(usize::from(slot)) {
            capture.end = here;
        }
        Some(here)
    }

    fn back(&mut self, slot: u8, here: usize) -> Result<Option<usize>, Halt> {
        let Some(range) = self.found.slots.get(usize::from(slot)).cloned() else {
            return Ok(None);
        };
        let (wanted, rest) = (self.subject.get(range.clone()), self.subject.get(here..));
        let (Some(wanted), Some(rest)) = (wanted, rest) else {
            return Ok(None);
        };
        if !rest.starts_with(wanted) {
            // How much was compared is not known: a long capture counts as half.
            self.spend(range.len() / (2 * BYTES_PER_STEP))?;
            return Ok(None);
        }
        self.spend(range.len() / BYTES_PER_STEP)?;
        Ok(Some(here + range.len()))
    }

    fn balance(&mut self, open: u8, close: u8, here: usize) -> Result<Option<usize>, Halt> {
        if self.subject.get(here) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1usize;
        let mut begin = here + 1;
        for chunk in self
            .subject
            .get(begin..)
            .unwrap_or_default()
            .chunks(CHUNK_BYTES)
        {
            for (at, &byte) in chunk.iter().enumerate() {
                // First the end: the two may be the same byte.
                if byte == close {
                    depth -= 1;
                    if depth == 0 {
                        self.spend(at / 4)?;
                        return Ok(Some(begin + at + 1));
                    }
                } else if byte == open {
                    depth += 1;
                }
            }
            self.spend(chunk.len() / 4)?;
            begin += chunk.len();
        }
        Ok(None)
    }

    /// Before the first byte and behind the last, a zero byte is thought.
    fn frontier(&self, class: Class, here: usize) -> Option<usize> {
        let before = here
            .checked_sub(1)
            .and_then(|at| self.subject.get(at))
            .copied();
        let after = self.subject.get(here).copied();
        let edge = !self.has(class, before.unwrap_or(0)) && self.has(class, after.unwrap_or(0));
        edge.then_some(here)
    }
}
