//! Registers as runs of equal numbers: a sketch of few elements takes few bytes.
//!
//! ```text
//! 00llllll            l + 1 registers with 0, up to 64
//! 01llllll llllllll   l + 1 registers with 0, up to 16384, the high bits first
//! 1nnnnnll            l + 1 registers (up to 4) with the number n + 1 (up to 32)
//! ```
//! A raised register splits its run in up to three; neighbours with equal numbers then become one where they are short enough.
//! How that is done is part of the format, since clients see the bytes: as Redis does it, and no better.

use super::estimate::Histogram;
use super::{Corrupted, HEADER_BYTES, REGISTER_COUNT, Trace};

/// Registers of the longest run of zeros in one byte.
const SHORT_ZEROS_MAX: usize = 64;
/// Registers of the longest run with a number.
const NUMBERS_MAX: usize = 4;
/// The highest number of a run.
const NUMBER_MAX: u8 = 32;
/// Runs that are looked at for neighbours to join, from the one before the change on.
const RUNS_TO_JOIN: usize = 5;

/// The longest that makes sense, bytes: a run of two bytes for each register.
pub(super) const BYTES_MAX: usize = 2 * REGISTER_COUNT;
/// All registers with 0.
pub(super) const EMPTY: [u8; 2] = [0x7f, 0xff];

/// A run of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// So many with 0, in one byte.
    ShortZeros(usize),
    /// So many with 0, in two bytes.
    LongZeros(usize),
    /// Some with the same number.
    Numbers {
        /// Their number.
        number: u8,
        /// How many.
        len: usize,
    },
}

impl Run {
    /// The run that begins here. Redis: a byte that is missing at the end counts as 0.
    fn first_of(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let low = usize::from(first & 0x3f);
        Some(match first >> 6 {
            0 => Self::ShortZeros(low + 1),
            1 => {
                let second = bytes.get(1).copied().unwrap_or(0);
                Self::LongZeros((low << 8 | usize::from(second)) + 1)
            }
            _ => Self::Numbers {
                number: (first >> 2 & 0x1f) + 1,
                len: usize::from(first & 3) + 1,
            },
        })
    }

    /// Its bytes.
    fn size(self) -> usize {
        match self {
            Self::ShortZeros(_) | Self::Numbers { .. } => 1,
            Self::LongZeros(_) => 2,
        }
    }

    /// Its registers.
    fn len(self) -> usize {
        match self {
            Self::ShortZeros(len) | Self::LongZeros(len) | Self::Numbers { len, .. } => len,
        }
    }
}

fn numbers_byte(number: u8, len: usize) -> u8 {
    0x80 | (number - 1) << 2 | (len as u8 - 1)
}

/// The runs one after the other.
pub(super) fn runs(bytes: &[u8]) -> impl Iterator<Item = Run> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let run = Run::first_of(rest)?;
        rest = rest.get(run.size()..).unwrap_or_default();
        Some(run)
    })
}

/// Counts the registers with each number.
pub(super) fn count(bytes: &[u8], histogram: &mut Histogram) -> Result<(), Corrupted> {
    let mut registers = 0;
    for run in runs(bytes) {
        registers += run.len();
        if registers > REGISTER_COUNT {
            return Err(Corrupted);
        }
        let number = match run {
            Run::ShortZeros(_) | Run::LongZeros(_) => 0,
            Run::Numbers { number, .. } => number,
        };
        histogram.add(number, run.len());
    }
    (registers == REGISTER_COUNT).then_some(()).ok_or(Corrupted)
}

/// Calls `set` with each register that has a number, and the number. Redis: numbers behind the last register are passed over,
/// zeros are not.
pub(super) fn fill(bytes: &[u8], mut set: impl FnMut(usize, u8)) -> Result<(), Corrupted> {
    let mut registers = 0;
    for run in runs(bytes) {
        let end = registers + run.len();
        if end > REGISTER_COUNT {
            if matches!(run, Run::Numbers { .. }) {
                break;
            }
            return Err(Corrupted);
        }
        if let Run::Numbers { number, .. } = run {
            (registers..end).for_each(|register| set(register, number));
        }
        registers = end;
    }
    (registers == REGISTER_COUNT).then_some(()).ok_or(Corrupted)
}

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// In bytes from the beginning of the sketch.
    at: usize,
    /// Its first register.
    register: usize,
}

impl Place {
    /// The first run.
    pub(super) const START: Self = Self {
        at: HEADER_BYTES,
        register: 0,
    };
}

/// What came of raising a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// It is as high already.
    No,
    /// It was raised; higher registers lie in runs from this place on, and the run before theirs does so too.
    Yes(Place),
    /// Nothing was changed: the number, or the result, does not fit this encoding.
    NeedsDense,
}

/// The run with a register, and where those before it are.
struct Found {
    run: Run,
    place: Place,
    before: Place,
    before_that: Place,
}

fn find(sketch: &[u8], from: Place, register: usize) -> Result<Found, Corrupted> {
    let from = approach(sketch, from, register);
    let mut found = Found {
        run: Run::ShortZeros(0),
        place: from,
        before: from,
        before_that: from,
    };
    loop {
        let rest = sketch.get(found.place.at..).unwrap_or_default();
        found.run = Run::first_of(rest).ok_or(Corrupted)?;
        // Redis writes behind the end of a run that is cut off.
        if found.run.size() > rest.len() {
            return Err(Corrupted);
        }
        let end = found.place.register + found.run.len();
        if register < end {
            return Ok(found);
        }
        found.before_that = found.before;
        found.before = found.place;
        found.place = Place {
            at: found.place.at + found.run.size(),
            register: end,
        };
    }
}

/// A place from which a register is near: two runs in front of its own or more, if there are as many, and not many.
fn approach(sketch: &[u8], from: Place, register: usize) -> Place {
    let [mut before_that, mut before, mut place] = [from; 3];
    loop {
        let bytes = sketch.get(place.at..).unwrap_or_default();
        let in_front = |next: &Place| next.register <= register;
        let next = behind_eight(bytes, place).filter(in_front);
        let Some(next) = next.or_else(|| behind_one(bytes, place).filter(in_front)) else {
            return before_that;
        };
        (before_that, before, place) = (before, place, next);
    }
}

/// The place behind a run.
fn behind_one(bytes: &[u8], place: Place) -> Option<Place> {
    let run = Run::first_of(bytes).filter(|run| run.size() <= bytes.len())?;
    Some(Place {
        at: place.at + run.size(),
        register: place.register + run.len(),
    })
}

/// The place behind the runs in the next eight bytes, or seven where the last begins a longer run; `None` where it takes more
/// than a look to tell which bytes begin runs.
#[inline]
fn behind_eight(bytes: &[u8], place: Place) -> Option<Place> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const EVERY_OTHER: u64 = 0x00ff_00ff_00ff_00ff;
    /// Adds the four numbers of 16 bits.
    const fn sum(pairs: u64) -> usize {
        (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize
    }
    let runs = u64::from_le_bytes(*bytes.first_chunk()?);
    let are_numbers = runs >> 7 & EACH;
    // What looks like the first byte of a long run is that, or the second of one whose first lies in front of it.
    let look_long = runs >> 6 & EACH & !are_numbers;
    if look_long & look_long << 8 & look_long << 16 != 0 {
        return None;
    }
    let are_long = look_long & !(look_long << 8);
    let are_second = are_long << 8;
    let is_last_long = are_long >> 56;
    // Each byte is one less than the length of its run. Of those with numbers two bits are; of long ones the second byte is, and the
    // first 256 times; the last byte is none when its run goes on behind it.
    let is_one = EACH & !are_long & !are_second;
    let of_one = (is_one * 0x3f) & !((are_numbers & is_one) * 0x3c);
    let lengths = runs & (of_one | (are_second * 0xff));
    let high = runs & ((are_long & !(is_last_long << 56)) * 0x3f);
    let lengths = sum((lengths & EVERY_OTHER) + (lengths >> 8 & EVERY_OTHER));
    let high = sum((high & EVERY_OTHER) + (high >> 8 & EVERY_OTHER));
    let run_count = 8 - are_second.count_ones() as usize - is_last_long as usize;
    Some(Place {
        at: place.at + 8 - is_last_long as usize,
        register: place.register + lengths + 256 * high + run_count,
    })
}

/// Some bytes of runs, at most two long ones and a number between them.
#[derive(Default)]
struct Pieces {
    bytes: [u8; 5],
    len: usize,
}

impl Pieces {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn zeros(&mut self, len: usize) {
        if len == 0 {
            return;
        }
        let [high, low] = (len as u16 - 1).to_be_bytes();
        if len > SHORT_ZEROS_MAX {
            self.push(0x40 | high);
        }
        self.push(low);
    }

    fn numbers(&mut self, number: u8, len: usize) {
        if len > 0 {
            self.push(numbers_byte(number, len));
        }
    }

    /// A run in which one register has another number.
    fn of(found: &Found, trace: Trace) -> Self {
        let before = trace.register - found.place.register;
        let behind = found.run.len() - before - 1;
        let mut pieces = Self::default();
        let around = |pieces: &mut Self, len: usize| match found.run {
            Run::ShortZeros(_) | Run::LongZeros(_) => pieces.zeros(len),
            Run::Numbers { number, .. } => pieces.numbers(number, len),
        };
        around(&mut pieces, before);
        pieces.numbers(trace.number, 1);
        around(&mut pieces, behind);
        pieces
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Raises a register of a sketch, header included, which may grow to so many bytes. O(bytes from `from` on).
pub(super) fn raise(
    sketch: &mut Vec<u8>,
    from: Place,
    trace: Trace,
    bytes_max: usize,
) -> Result<Raised, Corrupted> {
    if trace.number > NUMBER_MAX {
        return Ok(Raised::NeedsDense);
    }
    let found = find(sketch, from, trace.register)?;
    if matches!(found.run, Run::Numbers { number, .. } if number >= trace.number) {
        return Ok(Raised::No);
    }
    let pieces = Pieces::of(&found, trace);
    let (at, size) = (found.place.at, found.run.size());
    let len = sketch.len() + pieces.len - size;
    if pieces.len > size && len > bytes_max {
        return Ok(Raised::NeedsDense);
    }
    replace(sketch, at..at + size, pieces.bytes());
    join(sketch, found.before.at);
    Ok(Raised::Yes(found.before_that))
}

/// Puts bytes in the place of others.
fn replace(sketch: &mut Vec<u8>, old: std::ops::Range<usize>, new: &[u8]) {
    let (end, len) = (old.start + new.len(), sketch.len());
    let new_len = len - old.len() + new.len();
    sketch.resize(len.max(new_len), 0);
    sketch.copy_within(old.end..len, end);
    sketch.truncate(new_len);
    sketch[old.start..end].copy_from_slice(new);
}

/// Joins neighbours with the same number, in a few runs from here on.
fn join(sketch: &mut Vec<u8>, mut at: usize) {
    for _ in 0..RUNS_TO_JOIN {
        let Some(run) = sketch.get(at..).and_then(Run::first_of) else {
            return;
        };
        let next = sketch.get(at + 1..).and_then(Run::first_of);
        if let (
            Run::Numbers { number, len },
            Some(Run::Numbers {
                number: same,
                len: more,
            }),
        ) = (run, next)
            && number == same
            && len + more <= NUMBERS_MAX
        {
            // Redis: the joined run is looked at again, for what is behind it.
            sketch.remove(at);
            sketch[at] = numbers_byte(number, len + more);
        } else {
            at += run.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs as they are looked for one by one.
    fn found_one_by_one(sketch: &[u8], register: usize) -> Option<[Place; 3]> {
        let mut places = [Place::START; 3];
        loop {
            let rest = sketch.get(places[2].at..)?;
            let run = Run::first_of(rest).filter(|run| run.size() <= rest.len())?;
            let end = places[2].register + run.len();
            if register < end {
                return Some(places);
            }
            let next = Place {
                at: places[2].at + run.size(),
                register: end,
            };
            places = [places[1], places[2], next];
        }
    }

    proptest! {
        #![proptest_config(crate::property::cases(500))]
        #[test]
        fn a_run_is_found_eight_at_a_time_as_one_by_one(
            runs in proptest::collection::vec(prop_oneof![6 => 0x80u8.., 6 => 0u8..0x40, 2 => Just(0x40), 1 => 0x40u8..0x80], 0..200),
            register in 0..9000_usize,
        ) {
            let mut sketch = vec![0; HEADER_BYTES];
            sketch.extend(runs);
            let found = find(&sketch, Place::START, register).ok();
            let found = found.map(|found| [found.before_that, found.before, found.place]);
            prop_assert_eq!(found, found_one_by_one(&sketch, register));
        }
    }
}
