//! Bytes as a row of bits: counted, looked for, combined, and read as numbers of any width.
//!
//! ```text
//! byte     0                 1
//! bit      0 1 2 3 4 5 6 7   8 9 …      bit 0 is the highest of the first byte
//! number   of w bits at bit o: bits o to o + w - 1, the highest first; behind the end there are zeros
//! ```
//! Not here: what a negative index means, limits, what becomes of a number that does not fit.

/// A combination of two strings, bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combination {
    /// Set in both.
    And,
    /// Set in at least one.
    Or,
    /// Set in exactly one.
    Xor,
    /// Set in the first and not in the second.
    AndNot,
}

/// The most bytes that a number of 64 bits has a part in.
const NUMBER_BYTES_MAX: usize = 9;

/// How many bits are set. O(bytes), a word at a time.
pub(crate) fn count_ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let of_words = words
        .iter()
        .map(|word| u64::from(u64::from_ne_bytes(*word).count_ones()));
    let of_rest = rest.iter().map(|byte| u64::from(byte.count_ones()));
    of_words.sum::<u64>() + of_rest.sum::<u64>()
}

/// The first bit that is set, or that is not. O(bytes), a word at a time.
pub(crate) fn position(bytes: &[u8], bit: bool) -> Option<u64> {
    let skipped = if bit { 0 } else { u64::MAX };
    let (words, rest) = bytes.as_chunks::<8>();
    let word_at = words
        .iter()
        .position(|word| u64::from_ne_bytes(*word) != skipped);
    if let Some(at) = word_at {
        let wanted = u64::from_be_bytes(words[at]) ^ skipped;
        return Some(at as u64 * 64 + u64::from(wanted.leading_zeros()));
    }
    let byte_at = rest.iter().position(|byte| *byte != skipped as u8)?;
    let wanted = rest[byte_at] ^ skipped as u8;
    let before = (words.len() * 8 + byte_at) as u64;
    Some(before * 8 + u64::from(wanted.leading_zeros()))
}

/// Bits `first` to `last` of a string, both included and inside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BitRange {
    /// The first bit.
    pub(crate) first: u64,
    /// The last bit, not before the first.
    pub(crate) last: u64,
}

/// A range in three parts: the bits of its first byte, whole bytes, the bits of its last byte.
struct Parts<'a> {
    first: u8,
    middle: &'a [u8],
    last: u8,
}

impl BitRange {
    /// The bytes that the range begins and ends in.
    fn byte_bounds(self) -> (usize, usize) {
        ((self.first / 8) as usize, (self.last / 8) as usize)
    }

    /// The parts, with `outside` in the place of the bits that are not in the range.
    fn parts(self, bytes: &[u8], outside: bool) -> Parts<'_> {
        let (first_byte, last_byte) = self.byte_bounds();
        let from_first = 0xff_u8 >> (self.first % 8);
        let to_last = 0xff_u8 << (7 - self.last % 8);
        let masked = |byte: u8, mask: u8| if outside { byte | !mask } else { byte & mask };
        let blank = if outside { 0xff } else { 0 };
        if first_byte == last_byte {
            return Parts {
                first: masked(bytes[first_byte], from_first & to_last),
                middle: &[],
                last: blank,
            };
        }
        Parts {
            first: masked(bytes[first_byte], from_first),
            middle: &bytes[first_byte + 1..last_byte],
            last: masked(bytes[last_byte], to_last),
        }
    }

    /// How many bits of the range are set. O(bytes of the range).
    pub(crate) fn count_ones(self, bytes: &[u8]) -> u64 {
        let parts = self.parts(bytes, false);
        count_ones(&[parts.first, parts.last]) + count_ones(parts.middle)
    }

    /// The first bit of the range that is set, or that is not. O(bytes of the range).
    pub(crate) fn position(self, bytes: &[u8], bit: bool) -> Option<u64> {
        let parts = self.parts(bytes, !bit);
        let (first_byte, last_byte) = self.byte_bounds();
        let behind = |byte: usize| move |at: u64| byte as u64 * 8 + at;
        position(&[parts.first], bit)
            .map(behind(first_byte))
            .or_else(|| position(parts.middle, bit).map(behind(first_byte + 1)))
            .or_else(|| position(&[parts.last], bit).map(behind(last_byte)))
    }
}

/// Combines a string into another, which becomes as long as the longer of both: behind its end each has zeros.
pub(crate) fn combine(into: &mut Vec<u8>, with: &[u8], combination: Combination) {
    let common = into.len().min(with.len());
    let pairs = into.iter_mut().zip(with);
    match combination {
        Combination::And => {
            pairs.for_each(|(byte, other)| *byte &= other);
            into[common..].fill(0);
            into.resize(into.len().max(with.len()), 0);
        }
        Combination::Or => {
            pairs.for_each(|(byte, other)| *byte |= other);
            into.extend_from_slice(&with[common..]);
        }
        Combination::Xor => {
            pairs.for_each(|(byte, other)| *byte ^= other);
            into.extend_from_slice(&with[common..]);
        }
        Combination::AndNot => {
            pairs.for_each(|(byte, other)| *byte &= !other);
            into.resize(into.len().max(with.len()), 0);
        }
    }
}

/// The bits that exactly one of several strings has.
#[derive(Debug, Default)]
pub(crate) struct InOne {
    /// In an odd number of those so far.
    odd: Vec<u8>,
    /// In more than one.
    more: Vec<u8>,
}

impl InOne {
    /// One more string.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let mut both = self.odd.clone();
        combine(&mut both, bytes, Combination::And);
        combine(&mut self.more, &both, Combination::Or);
        combine(&mut self.odd, bytes, Combination::Xor);
    }

    /// The bits, as long as the longest string.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        combine(&mut self.odd, &self.more, Combination::AndNot);
        self.odd
    }
}

/// Turns every bit.
pub(crate) fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

/// Where a number lies in a string, and how wide it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumberPlace {
    /// Its first bit.
    pub(crate) offset: u64,
    /// Its bits, 1 to 64.
    pub(crate) width: u32,
}

impl NumberPlace {
    /// The bytes it has a part in, as far as they are there, at the top of a word; and how many there are.
    fn word(self, bytes: &[u8]) -> (u128, usize) {
        let there = bytes.get(self.first_byte()..).unwrap_or_default();
        let len = there.len().min(NUMBER_BYTES_MAX);
        let mut word = [0; size_of::<u128>()];
        word[..len].copy_from_slice(&there[..len]);
        (u128::from_be_bytes(word), len)
    }

    fn first_byte(self) -> usize {
        (self.offset / 8) as usize
    }

    /// How far the number has to move up from the bottom of a word.
    fn shift(self) -> u32 {
        u128::BITS - self.width - (self.offset % 8) as u32
    }

    /// How many bytes a string needs to have the whole number in it.
    pub(crate) fn end_byte(self) -> usize {
        ((self.offset + u64::from(self.width)).div_ceil(8)) as usize
    }

    /// The lowest bits of a number as wide as this one.
    fn mask(self) -> u64 {
        u64::MAX >> (u64::BITS - self.width)
    }

    /// Reads it, without a sign.
    pub(crate) fn read(self, bytes: &[u8]) -> u64 {
        let (word, _) = self.word(bytes);
        (word >> self.shift()) as u64 & self.mask()
    }

    /// Reads it as a number with a sign, which is its highest bit.
    pub(crate) fn read_signed(self, bytes: &[u8]) -> i64 {
        let unused = u64::BITS - self.width;
        (self.read(bytes) << unused) as i64 >> unused
    }

    /// Writes the lowest bits of `number` there. What lies behind the end of the string is lost.
    pub(crate) fn write(self, bytes: &mut [u8], number: u64) {
        let (word, len) = self.word(bytes);
        let mask = u128::from(self.mask()) << self.shift();
        let number = u128::from(number & self.mask()) << self.shift();
        let word = (word & !mask | number).to_be_bytes();
        let from = self.first_byte();
        if let Some(there) = bytes.get_mut(from..from + len) {
            there.copy_from_slice(&word[..len]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits_of(bytes: &[u8]) -> Vec<bool> {
        let bit = |byte: &u8, at: u32| byte >> (7 - at) & 1 == 1;
        bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |at| bit(byte, at)))
            .collect()
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0), Just(0xff), any::<u8>()];
        prop_oneof![
            proptest::collection::vec(byte, 0..40),
            (
                0..60_usize,
                any::<bool>(),
                proptest::collection::vec(any::<u8>(), 0..3)
            )
                .prop_map(|(len, ones, end)| {
                    let mut bytes = vec![if ones { 0xff } else { 0 }; len];
                    bytes.extend(end);
                    bytes
                }),
        ]
    }

    proptest! {
        #![proptest_config(crate::property::cases(400))]

        #[test]
        fn a_range_is_counted_and_searched_as_bit_by_bit(bytes in bytes(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let bits = bits_of(&bytes);
            prop_assert_eq!(count_ones(&bytes), bits.iter().filter(|bit| **bit).count() as u64);
            for wanted in [false, true] {
                let first = bits.iter().position(|bit| *bit == wanted);
                prop_assert_eq!(position(&bytes, wanted), first.map(|at| at as u64));
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let (a, b) = (a.index(bits.len()), b.index(bits.len()));
            let (first, last) = (a.min(b), a.max(b));
            let range = BitRange { first: first as u64, last: last as u64 };
            let inside = &bits[first..=last];
            prop_assert_eq!(range.count_ones(&bytes), inside.iter().filter(|bit| **bit).count() as u64);
            for wanted in [false, true] {
                let at = inside.iter().position(|bit| *bit == wanted);
                prop_assert_eq!(range.position(&bytes, wanted), at.map(|at| (first + at) as u64));
            }
        }

        #[test]
        fn strings_are_combined_as_bit_by_bit(a in bytes(), b in bytes()) {
            let padded = |bytes: &[u8]| {
                let mut bits = bits_of(bytes);
                bits.resize(a.len().max(b.len()) * 8, false);
                bits
            };
            let both = || padded(&a).into_iter().zip(padded(&b));
            let combined = |combination| {
                let mut into = a.clone();
                combine(&mut into, &b, combination);
                bits_of(&into)
            };
            prop_assert_eq!(combined(Combination::And), both().map(|(a, b)| a && b).collect::<Vec<_>>());
            prop_assert_eq!(combined(Combination::Or), both().map(|(a, b)| a || b).collect::<Vec<_>>());
            prop_assert_eq!(combined(Combination::Xor), both().map(|(a, b)| a != b).collect::<Vec<_>>());
            let mut inverted = a.clone();
            invert(&mut inverted);
            prop_assert_eq!(bits_of(&inverted), bits_of(&a).into_iter().map(|bit| !bit).collect::<Vec<_>>());
        }

        #[test]
        fn numbers_of_any_width_are_read_and_written_as_bit_by_bit(bytes in bytes(), offset in 0..400_u64, width in 1..=64_u32, number: u64) {
            let place = NumberPlace { offset, width };
            let range = offset as usize..offset as usize + width as usize;
            let mut bits = bits_of(&bytes);
            bits.resize(600, false);
            let value = |bits: &[bool]| bits.iter().fold(0_u64, |value, bit| value << 1 | u64::from(*bit));
            prop_assert_eq!(place.read(&bytes), value(&bits[range.clone()]));
            let sign = if bits[range.start] && width < 64 { u64::MAX << width } else { 0 };
            prop_assert_eq!(place.read_signed(&bytes), (place.read(&bytes) | sign) as i64);

            let mut written = bytes.clone();
            written.resize(bytes.len().max(place.end_byte()), 0);
            place.write(&mut written, number);
            for (at, bit) in range.enumerate() {
                bits[bit] = number >> (width as usize - 1 - at) & 1 == 1;
            }
            bits.truncate(written.len() * 8);
            prop_assert_eq!(bits_of(&written), bits);
        }
    }
}
