//! 80-bit floating point as the x87 unit computes it, in integers: what INCRBYFLOAT adds with.
//!
//! ```text
//! value = ± mantissa × 2^exponent      mantissa 64 bits, its top bit set unless the value is tiny
//! ```
//! Redis computes in C's `long double` and prints with `%.17Lf`, so `0.1 + 0.2` is `0.3` and `3 + 1.1` is `4.1`; an f64
//! would not print so, and a decimal type would round elsewhere.
//!
//! Source: IEEE 754 double extended; `strtold` and `printf` of the C standard. Only what is needed: reading a text,
//! adding, writing a text.

mod convert;

pub(crate) use convert::{double_at_start, double_of_any_range, human_double, parse_double};

/// Bits of a mantissa.
const MANTISSA_BITS: i32 = 64;
/// Exponent of the smallest value above zero.
const EXPONENT_MIN: i32 = -16_445;
/// The first power of two that is too large.
const EXPONENT_END: i32 = 16_384;
/// Digits behind the point that are printed.
const DECIMALS: usize = 17;
/// Texts of so many bytes are refused unread, as Redis' buffer does.
const TEXT_BYTES_END: usize = 5 * 1024;

/// A value. See the module's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extended {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    Finite { mantissa: u64, exponent: i32 },
    Infinite,
}

impl Extended {
    /// Zero.
    pub(crate) const ZERO: Self = Self {
        negative: false,
        magnitude: Magnitude::Finite {
            mantissa: 0,
            exponent: 0,
        },
    };

    /// Reads a text as `strtold` does, the whole of it: decimal, hexadecimal or infinite. `None`: no number, not a
    /// number, or beyond the range.
    #[must_use]
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_BYTES_END {
            return None;
        }
        let (negative, magnitude) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let value = if magnitude.eq_ignore_ascii_case(b"inf")
            || magnitude.eq_ignore_ascii_case(b"infinity")
        {
            Magnitude::Infinite
        } else {
            let value = match magnitude {
                [b'0', b'x' | b'X', digits @ ..] => hexadecimal(digits)?,
                digits => decimal(digits)?,
            };
            if value == Magnitude::Infinite {
                return None;
            }
            value
        };
        Some(Self {
            negative,
            magnitude: value,
        })
    }

    /// The sum, rounded to the nearest value, ties to even. `None`: infinite or not a number.
    #[must_use]
    pub(crate) fn checked_add(self, other: Self) -> Option<Self> {
        let (
            Magnitude::Finite {
                mantissa: a,
                exponent: a_exponent,
            },
            Magnitude::Finite {
                mantissa: b,
                exponent: b_exponent,
            },
        ) = (self.magnitude, other.magnitude)
        else {
            return None;
        };
        if a == 0 || b == 0 {
            return Some(match (a, b) {
                (0, 0) => Self {
                    negative: self.negative && other.negative,
                    ..Self::ZERO
                },
                (0, _) => other,
                _ => self,
            });
        }
        // Both with the top bit at bit 125: room for the carry above, 62 bits for what is shifted out below.
        let (a, a_exponent) = normalised(a, a_exponent);
        let (b, b_exponent) = normalised(b, b_exponent);
        let ((large, exponent, large_negative), (small, small_exponent, small_negative)) =
            if a_exponent >= b_exponent {
                (
                    (a, a_exponent, self.negative),
                    (b, b_exponent, other.negative),
                )
            } else {
                (
                    (b, b_exponent, other.negative),
                    (a, a_exponent, self.negative),
                )
            };
        let small = shifted_with_sticky(small, (exponent - small_exponent) as u32);
        let (sum, negative) = if large_negative == small_negative {
            (large + small, large_negative)
        } else if large >= small {
            (large - small, large_negative)
        } else {
            (small - large, small_negative)
        };
        if sum == 0 {
            return Some(Self::ZERO);
        }
        match rounded(sum, exponent, false) {
            Magnitude::Infinite => None,
            magnitude => Some(Self {
                negative,
                magnitude,
            }),
        }
    }

    /// The text `%.17Lf` gives, without zeros at the end and without a negative zero.
    #[must_use]
    pub(crate) fn text(self) -> String {
        let Magnitude::Finite { mantissa, exponent } = self.magnitude else {
            return if self.negative { "-inf" } else { "inf" }.to_owned();
        };
        let mut text = if exponent >= 0 {
            let mut whole = Natural::from(mantissa);
            whole.shift_left(exponent as u32);
            whole.decimal()
        } else {
            fraction_text(mantissa, exponent.unsigned_abs())
        };
        if self.negative && text != "0" {
            text.insert(0, '-');
        }
        text
    }
}

/// A mantissa of a value below 2^63 or so, to 17 decimals, ties to even.
fn fraction_text(mantissa: u64, shift: u32) -> String {
    let scaled = u128::from(mantissa) * 10u128.pow(DECIMALS as u32);
    let rounded = if shift >= 127 {
        // Below 2^121 / 2^127: less than half of the last decimal.
        0
    } else {
        let kept = scaled >> shift;
        let rest = scaled & ((1 << shift) - 1);
        let half = 1u128 << (shift - 1);
        kept + u128::from(rest > half || (rest == half && kept & 1 == 1))
    };
    let unit = 10u128.pow(DECIMALS as u32);
    let (whole, decimals) = (rounded / unit, rounded % unit);
    let text = format!("{whole}.{decimals:0DECIMALS$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The mantissa with its top bit at bit 125, and the exponent that goes with it.
fn normalised(mantissa: u64, exponent: i32) -> (u128, i32) {
    let shift = u128::from(mantissa).leading_zeros() - 2;
    (u128::from(mantissa) << shift, exponent - shift as i32)
}

/// Shifts right; the lowest bit tells whether anything was lost.
fn shifted_with_sticky(bits: u128, shift: u32) -> u128 {
    if shift == 0 {
        bits
    } else if shift >= 128 {
        u128::from(bits != 0)
    } else {
        bits >> shift | u128::from(bits & ((1 << shift) - 1) != 0)
    }
}

/// The nearest value to `bits` × 2^`exponent`, a little more when `more`; `bits` then has over 65 significant bits.
fn rounded(bits: u128, exponent: i32, more: bool) -> Magnitude {
    let len = 128 - bits.leading_zeros() as i32;
    let drop = (len - MANTISSA_BITS).max(EXPONENT_MIN - exponent).max(0);
    if drop >= 128 {
        return Extended::ZERO.magnitude;
    }
    let mut kept = bits >> drop;
    if drop > 0 {
        let rest = bits & ((1 << drop) - 1);
        let half = 1u128 << (drop - 1);
        kept += u128::from(rest > half || (rest == half && (more || kept & 1 == 1)));
    }
    let mut exponent = exponent + drop;
    if kept >> MANTISSA_BITS != 0 {
        kept >>= 1;
        exponent += 1;
    }
    if kept == 0 {
        return Extended::ZERO.magnitude;
    }
    if exponent + (128 - kept.leading_zeros() as i32) > EXPONENT_END {
        return Magnitude::Infinite;
    }
    Magnitude::Finite {
        mantissa: kept as u64,
        exponent,
    }
}

/// Digits with at most one point, then perhaps an exponent behind `mark`.
struct Digits<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool, mark: u8) -> Option<Digits<'_>> {
    let end = text
        .iter()
        .position(|byte| byte.eq_ignore_ascii_case(&mark))
        .unwrap_or(text.len());
    let (number, exponent) = text.split_at_checked(end)?;
    let exponent = match exponent {
        [] => 0,
        [_, rest @ ..] => exponent_of(rest)?,
    };
    let (whole, fraction) = match number.iter().position(|byte| *byte == b'.') {
        Some(at) => (&number[..at], &number[at + 1..]),
        None => (number, [].as_slice()),
    };
    let fits = whole.len() + fraction.len() > 0
        && whole.iter().all(is_digit)
        && fraction.iter().all(is_digit);
    fits.then_some(Digits {
        whole,
        fraction,
        exponent,
    })
}

fn exponent_of(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |sum, digit| {
        (sum * 10 + i64::from(digit - b'0')).min(1_000_000)
    });
    Some(if negative { -value } else { value })
}

/// `None`: no number, or above zero but below the smallest value.
fn decimal(text: &[u8]) -> Option<Magnitude> {
    let digits = split_digits(text, u8::is_ascii_digit, b'e')?;
    let mut number = Natural::default();
    for digit in digits.whole.iter().chain(digits.fraction) {
        number.multiply_add(10, u64::from(digit - b'0'));
    }
    if number.is_zero() {
        return Some(Extended::ZERO.magnitude);
    }
    let exponent = digits.exponent - digits.fraction.len() as i64;
    let digit_count = (digits.whole.len() + digits.fraction.len()) as i64;
    if exponent > 5_000 {
        return Some(Magnitude::Infinite);
    }
    if exponent + digit_count < -5_000 {
        return None;
    }
    let value = if exponent >= 0 {
        number.multiply_power_of_ten(exponent as u32);
        number.rounded(0)
    } else {
        let mut divisor = Natural::from(1);
        divisor.multiply_power_of_ten(exponent.unsigned_abs() as u32);
        number.divided(&divisor)
    };
    (value != Extended::ZERO.magnitude).then_some(value)
}

fn hexadecimal(text: &[u8]) -> Option<Magnitude> {
    let digits = split_digits(text, u8::is_ascii_hexdigit, b'p')?;
    let mut number = Natural::default();
    for digit in digits.whole.iter().chain(digits.fraction) {
        let digit = char::from(*digit).to_digit(16).unwrap_or_default();
        number.multiply_add(16, u64::from(digit));
    }
    if number.is_zero() {
        return Some(Extended::ZERO.magnitude);
    }
    let exponent = digits.exponent - 4 * digits.fraction.len() as i64;
    let value = number.rounded(exponent as i32);
    (value != Extended::ZERO.magnitude).then_some(value)
}

/// A natural number of any size, least significant limb first, without zero limbs at the end.
#[derive(Clone, Default)]
struct Natural(Vec<u64>);

impl From<u64> for Natural {
    fn from(value: u64) -> Self {
        Self(if value == 0 { Vec::new() } else { vec![value] })
    }
}

impl Natural {
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bit_len(&self) -> u32 {
        self.0
            .last()
            .map_or(0, |top| self.0.len() as u32 * 64 - top.leading_zeros())
    }

    fn multiply_add(&mut self, factor: u64, summand: u64) {
        let mut carry = u128::from(summand);
        for limb in &mut self.0 {
            let product = u128::from(*limb) * u128::from(factor) + carry;
            *limb = product as u64;
            carry = product >> 64;
        }
        if carry != 0 {
            self.0.push(carry as u64);
        }
    }

    fn multiply_power_of_ten(&mut self, mut power: u32) {
        while power > 0 {
            let step = power.min(19);
            self.multiply_add(10u64.pow(step), 0);
            power -= step;
        }
    }

    fn shift_left(&mut self, bits: u32) {
        if self.is_zero() {
            return;
        }
        self.multiply_add(1 << (bits % 64), 0);
        self.0
            .splice(0..0, std::iter::repeat_n(0, (bits / 64) as usize));
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.0.iter_mut().rev() {
            let low = *limb & 1;
            *limb = *limb >> 1 | carry << 63;
            carry = low;
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn is_at_least(&self, other: &Self) -> bool {
        match self.0.len().cmp(&other.0.len()) {
            std::cmp::Ordering::Equal => self.0.iter().rev().ge(other.0.iter().rev()),
            order => order.is_gt(),
        }
    }

    /// Takes `other` away, which is not greater.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (at, limb) in self.0.iter_mut().enumerate() {
            let subtrahend = other.0.get(at).copied().unwrap_or_default();
            let (partial, first) = limb.overflowing_sub(subtrahend);
            let (result, second) = partial.overflowing_sub(u64::from(borrow));
            *limb = result;
            borrow = first || second;
        }
        debug_assert!(!borrow, "the subtrahend is not greater");
        self.trim();
    }

    /// The nearest value to this number × 2^`exponent`.
    fn rounded(&self, exponent: i32) -> Magnitude {
        let limbs = &self.0;
        let low = limbs.len().saturating_sub(2);
        let top = limbs[low..]
            .iter()
            .rev()
            .fold(0u128, |top, limb| top << 64 | u128::from(*limb));
        let more = limbs[..low].iter().any(|limb| *limb != 0);
        rounded(top, exponent + 64 * low as i32, more)
    }

    /// The nearest value to this number / `divisor`.
    fn divided(mut self, divisor: &Self) -> Magnitude {
        // A quotient of at least 67 bits: more than a mantissa and its rounding need.
        let shift = (67 + divisor.bit_len()).saturating_sub(self.bit_len());
        self.shift_left(shift);
        let steps = self.bit_len() - divisor.bit_len();
        // Many digits over a small divisor: below 126 bits of quotient it only matters whether there is more.
        let skipped = steps.saturating_sub(126);
        let mut part = divisor.clone();
        part.shift_left(steps);
        let mut quotient = 0u128;
        for _ in skipped..=steps {
            quotient <<= 1;
            if self.is_at_least(&part) {
                self.subtract(&part);
                quotient |= 1;
            }
            part.halve();
        }
        rounded(quotient, skipped as i32 - shift as i32, !self.is_zero())
    }

    fn decimal(mut self) -> String {
        const CHUNK: u64 = 10u64.pow(19);
        let mut chunks = Vec::new();
        while !self.is_zero() {
            let mut rest = 0u128;
            for limb in self.0.iter_mut().rev() {
                let dividend = rest << 64 | u128::from(*limb);
                *limb = (dividend / u128::from(CHUNK)) as u64;
                rest = dividend % u128::from(CHUNK);
            }
            self.trim();
            chunks.push(rest as u64);
        }
        let Some(first) = chunks.pop() else {
            return "0".to_owned();
        };
        let mut text = first.to_string();
        for chunk in chunks.iter().rev() {
            text.push_str(&format!("{chunk:019}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        let a = Extended::parse(a.as_bytes()).unwrap();
        let b = Extended::parse(b.as_bytes()).unwrap();
        a.checked_add(b).map(Extended::text)
    }

    #[test]
    fn sums_print_as_redis_prints_them() {
        for (a, b, text) in SUMS {
            assert_eq!(sum(a, b).as_deref(), Some(*text), "{a} + {b}");
        }
    }

    #[test]
    fn what_is_no_number_or_out_of_range_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "abc",
            "nan",
            "1e",
            "1e+",
            "0x",
            "0x1p",
            ".",
            "-",
            "+",
            "1.2.3",
            "1e5000",
            "1e-5000",
            "0x1p16384",
            "--1",
            "1_0",
            "infinit",
        ] {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Extended::parse(&[b'1'; 5120]), None);
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("inf", "-inf"), None);
        assert_eq!(sum("1.1e4932", "1.1e4932"), None);
    }

    const SUMS: &[(&str, &str, &str)] = &[
        ("0.1", "0.2", "0.3"),
        ("3", "1.1", "4.1"),
        ("3.0", "1.1", "4.1"),
        ("5e3", "0", "5000"),
        ("5.0e3", "200", "5200"),
        ("1e-5", "0", "0.00001"),
        ("10.50", "0.1", "10.6"),
        ("1", "-1.1", "-0.1"),
        ("-0.0", "0", "0"),
        ("-1e-20", "0", "0"),
        ("1e-17", "0", "0.00000000000000001"),
        ("5e-18", "0", "0"),
        ("1.5e-17", "0", "0.00000000000000002"),
        ("4.9e-18", "0", "0"),
        ("0x1p3", "1", "9"),
        ("0x10", "0x.8", "16.5"),
        ("0xFFFFFFFFFFFFFFFF", "1", "18446744073709551616"),
        (
            "17179869184",
            "0.000000001",
            "17179869184.00000000186264515",
        ),
        ("1e19", "1", "10000000000000000001"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("18446744073709551616", "1", "18446744073709551616"),
        ("99999999999999999999", "1", "100000000000000000000"),
        ("1e30", "1", "1000000000000000000024696061952"),
        (".5", "5.", "5.5"),
        ("1e-4940", "1", "1"),
        ("1e-4950", "1e-4950", "0"),
        ("0.5", "0.00000000000000000272", "0.5"),
        (
            "1000000000000",
            "0.12345678901234567",
            "1000000000000.12345677614212036",
        ),
        ("-3.5", "3.5", "0"),
        (
            "123456789.123456789123456789",
            "-0.000000000000000001",
            "123456789.12345678912242875",
        ),
        ("9007199254740993", "0.5", "9007199254740993.5"),
        ("1e17", "-0.1", "99999999999999999.8984375"),
        ("1.0000000000000000000000000000001", "0", "1"),
        (
            "3.14159265358979323846264338327950288",
            "2.71828182845904523536028747135266249",
            "5.85987448204883847",
        ),
        ("1e22", "1e-3", "10000000000000000000000"),
        ("0x1.8p-60", "0", "0"),
        ("0x1p-58", "0", "0"),
        ("0x3p-58", "0", "0.00000000000000001"),
        ("100000000000000000000.5", "0", "100000000000000000000"),
        ("36893488147419103233", "0", "36893488147419103232"),
        ("36893488147419103235", "0", "36893488147419103236"),
        ("1e25", "-1e25", "0"),
    ];
}
