//! When a key ends, in the 40 bits that an entry has for it.
//!
//! ```text
//! 0                    never
//! 1 ..= 2^40 - 2       ms since the first time, plus one: about 34 years
//! 2^40 - 1             another time: the key keeps it beside its name
//! ```
//! Nearly every expiry is in the near future, and an entry that fits one cache line is worth more than a plain number. Not
//! here: what ends next, which the database has in order.

/// 2025-01-01, Unix ms: when this was written no key could end before and still be seen.
const FIRST_MS: u64 = 1_735_689_600_000;
/// Bits of an [`Expiry`].
const BITS: u32 = 40;
const ELSEWHERE: u64 = (1 << BITS) - 1;

/// When a key ends. See the module's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expiry(u64);

/// What an [`Expiry`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Never,
    /// Unix ms.
    At(u64),
    /// When the key says.
    Elsewhere,
}

impl Expiry {
    pub(super) const ELSEWHERE: Self = Self(ELSEWHERE);

    /// A time, Unix ms; `None` when the key has to keep it.
    pub(super) fn at(ms: u64) -> Option<Self> {
        let number = ms.checked_sub(FIRST_MS)?.saturating_add(1);
        (number < ELSEWHERE).then_some(Self(number))
    }

    /// What [`Expiry::bits`] gave.
    pub(super) fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 40 bits.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) fn ends(self) -> Ends {
        match self.0 {
            0 => Ends::Never,
            ELSEWHERE => Ends::Elsewhere,
            number => Ends::At(FIRST_MS + number - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_kept_to_the_millisecond_or_not_at_all() {
        let last_ms = FIRST_MS + ELSEWHERE - 2;
        for ms in [FIRST_MS, FIRST_MS + 1, 1_800_000_000_123, last_ms] {
            assert_eq!(Expiry::at(ms).map(Expiry::ends), Some(Ends::At(ms)));
        }
        for ms in [0, 1, FIRST_MS - 1, last_ms + 1, u64::MAX] {
            assert_eq!(Expiry::at(ms), None);
        }
        assert_eq!(Expiry::default().ends(), Ends::Never);
        assert_eq!(Expiry::ELSEWHERE.ends(), Ends::Elsewhere);
    }
}
