//! LZF: the compression of strings in files and payloads.
//!
//! ```text
//! 000lllll  bytes                        l + 1 bytes as they are
//! lllooooo  oooooooo                     l + 2 bytes from o + 1 bytes back, l below 7
//! 111ooooo  llllllll  oooooooo           l + 9 bytes from there
//! ```
//! The compressor finds what that of Redis finds, so that DUMP gives the same bytes: one table of where three bytes that
//! hash alike were last. There its table begins with what was there by chance, here with nothing.
//! Source: the format of M. Lehmann's LibLZF.

#![deny(clippy::indexing_slicing)]

use std::cell::Cell;

const HASH_BITS: u32 = 16;
/// The longest run of bytes as they are.
const LITERAL_MAX: usize = 32;
/// How far back a reference reaches.
const DISTANCE_MAX: usize = 1 << 13;
/// The longest reference, bytes.
const REFERENCE_MAX: usize = 264;
/// How much longer than its compressed form a text can be.
const EXPANSION_MAX: usize = REFERENCE_MAX / 3 + 1;

thread_local! {
    /// Its table is too large to be made for each string.
    static COMPRESSOR: Cell<Option<Box<Compressor>>> = const { Cell::new(None) };
}

/// Where three bytes that hash alike were last: positions above `base`, all below it are of strings before.
struct Compressor {
    places: Vec<u32>,
    base: u32,
}

/// What came of three bytes: their place in the table.
fn slot(bytes: [u8; 3]) -> usize {
    let [a, b, c] = bytes.map(u32::from);
    let value = a << 16 | b << 8 | c;
    let hash = (value >> (24 - HASH_BITS)).wrapping_sub(value.wrapping_mul(5));
    (hash & ((1 << HASH_BITS) - 1)) as usize
}

fn three(text: &[u8], at: usize) -> Option<[u8; 3]> {
    text.get(at..)?.first_chunk().copied()
}

/// Appends the compressed form if it is shorter by four bytes or more; whether it was.
pub(super) fn compress(text: &[u8], into: &mut Vec<u8>) -> bool {
    if text.len() <= 4 || u32::try_from(text.len()).is_err() {
        return false;
    }
    let mut compressor = COMPRESSOR.take().unwrap_or_else(|| {
        Box::new(Compressor {
            places: vec![0; 1 << HASH_BITS],
            base: 0,
        })
    });
    let start = into.len();
    let fits = compressor.compress(text, into, text.len() - 4);
    if fits.is_none() {
        into.truncate(start);
    }
    COMPRESSOR.set(Some(compressor));
    fits.is_some()
}

/// The compressed form as far as it is written, with a run of literals at its end.
struct Output<'o> {
    bytes: &'o mut Vec<u8>,
    /// What it may come to, from the first byte.
    end: usize,
    /// Bytes of the run.
    literals: usize,
}

impl Output<'_> {
    /// Begins a run: its length comes later.
    fn begin_run(&mut self) {
        self.bytes.push(0);
        self.literals = 0;
    }

    /// Writes the length of the run, or takes the room for it back.
    fn end_run(&mut self) {
        if self.literals == 0 {
            self.bytes.pop();
            return;
        }
        let at = self.bytes.len() - self.literals - 1;
        if let Some(length) = self.bytes.get_mut(at) {
            *length = (self.literals - 1) as u8;
        }
    }

    fn literal(&mut self, byte: u8) {
        self.bytes.push(byte);
        self.literals += 1;
        if self.literals == LITERAL_MAX {
            self.end_run();
            self.begin_run();
        }
    }

    /// Whether a reference still fits.
    fn has_room(&self) -> bool {
        let empty_run = usize::from(self.literals == 0);
        self.bytes.len() - empty_run + 4 < self.end
    }

    fn reference(&mut self, distance: usize, length: usize) {
        self.end_run();
        let (high, low) = ((distance >> 8) as u8, distance as u8);
        match length - 2 {
            short @ ..7 => self.bytes.push(high | (short as u8) << 5),
            long => self
                .bytes
                .extend_from_slice(&[high | 7 << 5, (long - 7) as u8]),
        }
        self.bytes.push(low);
        self.begin_run();
    }
}

impl Compressor {
    /// Where these three bytes were last, and that they are here now.
    fn look(&mut self, bytes: [u8; 3], at: usize) -> Option<usize> {
        let base = self.base;
        let place = self.places.get_mut(slot(bytes))?;
        let before = std::mem::replace(place, base + at as u32);
        // Nothing refers to the first byte, as in Redis, whose table says so of places that were never written.
        before
            .checked_sub(base)
            .filter(|at| *at > 0)
            .map(|at| at as usize)
    }

    fn compress(&mut self, text: &[u8], into: &mut Vec<u8>, bytes_max: usize) -> Option<()> {
        let len = text.len() as u32;
        if self.base.checked_add(len).is_none() {
            self.places.fill(0);
            self.base = 0;
        }
        let compressed = self.run(text, into, bytes_max);
        self.base += len;
        compressed
    }

    fn run(&mut self, text: &[u8], into: &mut Vec<u8>, bytes_max: usize) -> Option<()> {
        let end = into.len() + bytes_max;
        let mut output = Output {
            bytes: into,
            end,
            literals: 0,
        };
        output.begin_run();
        let (mut at, last) = (0, text.len().saturating_sub(2));
        while at < last {
            let bytes = three(text, at)?;
            let before = self.look(bytes, at).filter(|before| {
                at - before <= DISTANCE_MAX && three(text, *before) == Some(bytes)
            });
            let Some(before) = before else {
                if output.bytes.len() >= end {
                    return None;
                }
                output.literal(*text.get(at)?);
                at += 1;
                continue;
            };
            if !output.has_room() {
                return None;
            }
            let length = matched(text, before, at);
            output.reference(at - before - 1, length);
            at += length;
            if at >= last {
                break;
            }
            for at in [at - 2, at - 1] {
                self.look(three(text, at)?, at);
            }
        }
        if output.bytes.len() + 3 > end {
            return None;
        }
        text.get(at..)?
            .iter()
            .for_each(|byte| output.literal(*byte));
        output.end_run();
        Some(())
    }
}

/// How many bytes from `at` on are those from `before` on, of which three are. As far as that of Redis looks: it may leave the
/// last two bytes of a text.
fn matched(text: &[u8], before: usize, at: usize) -> usize {
    let same = |len: usize| text.get(before + len) == text.get(at + len);
    let most = (text.len() - at - 2).min(REFERENCE_MAX);
    let mut len = 2;
    if most > 16 {
        while len < 18 {
            len += 1;
            if !same(len) {
                return len;
            }
        }
    }
    loop {
        len += 1;
        if len >= most || !same(len) {
            return len;
        }
    }
}

/// The text of this length; `None` when the bytes are no compressed form of one.
pub(super) fn decompress(mut bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > bytes.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    let mut text = Vec::with_capacity(len);
    while let Some((&control, rest)) = bytes.split_first() {
        let control = usize::from(control);
        if control < LITERAL_MAX {
            let (run, rest) = rest.split_at_checked(control + 1)?;
            text.extend_from_slice(run);
            bytes = rest;
        } else {
            let (&next, mut rest) = rest.split_first()?;
            let (mut length, mut low) = (control >> 5, next);
            if length == 7 {
                length += usize::from(next);
                (low, rest) = rest.split_first().map(|(low, rest)| (*low, rest))?;
            }
            let distance = ((control & 0x1F) << 8 | usize::from(low)) + 1;
            let from = text.len().checked_sub(distance)?;
            copy(&mut text, from, length + 2)?;
            bytes = rest;
        }
        if text.len() > len {
            return None;
        }
    }
    (text.len() == len).then_some(text)
}

/// Appends `length` bytes of the text from `from` on, which may reach into what is appended.
fn copy(text: &mut Vec<u8>, from: usize, length: usize) -> Option<()> {
    let distance = text.len() - from;
    if distance >= length {
        text.extend_from_within(from..from + length);
    } else {
        for at in from..from + length {
            text.push(*text.get(at)?);
        }
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts of few different pieces.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            (any::<u8>(), 0_usize..600).prop_map(|(byte, count)| vec![byte; count]),
            (0_u8..3, 0_u8..3).prop_map(|(one, other)| [one, other, one].repeat(9)),
        ];
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(crate::property::cases(300))]
        #[test]
        fn what_is_compressed_is_the_same_again(text in text()) {
            let mut bytes = b"in front".to_vec();
            if compress(&text, &mut bytes) {
                prop_assert!(bytes.len() - 8 <= text.len() - 4);
                prop_assert_eq!(decompress(bytes.get(8..).unwrap_or_default(), text.len()), Some(text.clone()));
            }
            prop_assert!(bytes.starts_with(b"in front"));
        }

        #[test]
        fn any_bytes_are_a_text_of_the_length_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..60), len in 0_usize..2000) {
            if let Some(text) = decompress(&bytes, len) {
                prop_assert_eq!(text.len(), len);
            }
        }
    }

    #[test]
    fn a_text_is_the_same_whatever_was_compressed_before() {
        let texts: Vec<Vec<u8>> = (0..50)
            .map(|n: u8| [b"abcabcabc".repeat(9), vec![n; 30]].concat())
            .collect();
        let compressed = |text: &Vec<u8>| {
            let mut bytes = Vec::new();
            assert!(compress(text, &mut bytes));
            bytes
        };
        let first: Vec<_> = texts.iter().map(compressed).collect();
        let again: Vec<_> = texts.iter().rev().map(compressed).collect();
        assert!(first.iter().eq(again.iter().rev()));
    }
}
