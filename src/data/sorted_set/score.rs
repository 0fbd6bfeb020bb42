//! Scores as text: how Redis 7.2 prints them, and how it reads the ends of a range.
//!
//! Source: digits by Grisu2, laid out as `fpconv` does: what replies of Redis 7.2 show.

use std::io::Write;

use crate::data::extended::{double_of_any_range, parse_double};
use crate::data::listpack::parse_integer;

use super::digits::digits;

/// The longest text: sign, 17 digits, point, exponent.
const TEXT_BYTES_MAX: usize = 40;
/// Texts up to this length without exponent are within the range of doubles.
const PLAIN_BYTES_MAX: usize = 40;

/// A score as text.
#[derive(Clone, Copy)]
pub(crate) struct ScoreText {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl ScoreText {
    /// The text of a score.
    #[must_use]
    pub(crate) fn new(score: f64) -> Self {
        let mut text = Self::empty();
        if let Some(value) = whole(score) {
            text.write(format_args!("{value}"));
        } else if score == 0.0 {
            text.push(b"-0");
        } else if score.is_infinite() {
            text.push(if score > 0.0 { b"inf" } else { b"-inf" });
        } else {
            text.push_shortest(score);
        }
        text
    }

    /// The text with seventeen digits, as `printf("%.17g")` has it: what ZSCAN tells of a large set.
    #[must_use]
    pub(crate) fn with_all_digits(score: f64) -> Self {
        if score == 0.0 || !score.is_finite() {
            return Self::new(score);
        }
        let mut text = Self::empty();
        if score < 0.0 {
            text.push(b"-");
        }
        let (digits, count, exponent) = decimal(format_args!("{:.16e}", score.abs()));
        let zeros = digits[..count]
            .iter()
            .rev()
            .take_while(|digit| **digit == b'0');
        let digits = &digits[..count - zeros.count()];
        if (-4..17).contains(&exponent) {
            text.push_fixed(digits, exponent);
        } else {
            text.push_scientific(digits, exponent, 2);
        }
        text
    }

    fn empty() -> Self {
        Self {
            bytes: [0; TEXT_BYTES_MAX],
            len: 0,
        }
    }

    /// The text.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_zeros(&mut self, count: usize) {
        (0..count).for_each(|_| self.push(b"0"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        let room = self.bytes.len() - self.len;
        let mut rest = &mut self.bytes[self.len..];
        rest.write_fmt(text)
            .expect("no number is longer than the room for one");
        self.len += room - rest.len();
    }

    /// The fewest digits that tell the score from any other, nearly always.
    fn push_shortest(&mut self, score: f64) {
        if score < 0.0 {
            self.push(b"-");
        }
        let digits = digits(score.abs());
        let (last, digits) = (i64::from(digits.last), digits.bytes());
        let count = digits.len() as i64;
        let exponent = last + count - 1;
        let is_fixed = if last >= 0 {
            exponent < count + 7
        } else {
            last > -7 || exponent.abs() < 4
        };
        if is_fixed {
            self.push_fixed(digits, exponent);
        } else {
            self.push_scientific(digits, exponent, 1);
        }
    }

    /// Digits with a point where it belongs, and zeros up to it.
    fn push_fixed(&mut self, digits: &[u8], exponent: i64) {
        match usize::try_from(exponent) {
            Ok(exponent) if exponent + 1 >= digits.len() => {
                self.push(digits);
                self.push_zeros(exponent + 1 - digits.len());
            }
            Ok(exponent) => {
                self.push(&digits[..=exponent]);
                self.push(b".");
                self.push(&digits[exponent + 1..]);
            }
            Err(_) => {
                self.push(b"0.");
                self.push_zeros(exponent.unsigned_abs() as usize - 1);
                self.push(digits);
            }
        }
    }

    /// One digit, a point, the others, and the exponent in so many digits or more.
    fn push_scientific(&mut self, digits: &[u8], exponent: i64, exponent_digits: usize) {
        self.push(&digits[..1]);
        if digits.len() > 1 {
            self.push(b".");
            self.push(&digits[1..]);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        let exponent = exponent.unsigned_abs();
        self.write(format_args!("e{sign}{exponent:0exponent_digits$}"));
    }
}

/// The digits of a number in scientific notation, how many there are, and the exponent of the first.
fn decimal(number: std::fmt::Arguments<'_>) -> ([u8; TEXT_BYTES_MAX], usize, i64) {
    let mut text = ScoreText::empty();
    text.write(number);
    let text = text.bytes();
    let exponent_at = text.iter().position(|byte| *byte == b'e');
    let (mantissa, exponent) = text.split_at(exponent_at.unwrap_or(text.len()));
    let exponent = exponent.get(1..).and_then(parse_integer).unwrap_or(0);
    let mut digits = [0; TEXT_BYTES_MAX];
    let mut count = 0;
    for digit in mantissa.iter().filter(|byte| **byte != b'.') {
        digits[count] = *digit;
        count += 1;
    }
    (digits, count, exponent)
}

/// The integer that a score is, where Redis prints it as one. Not of -0.
fn whole(score: f64) -> Option<i64> {
    const LIMIT: f64 = (i64::MAX / 2) as f64;
    if score == 0.0 && score.is_sign_negative() || !(-LIMIT..=LIMIT).contains(&score) {
        return None;
    }
    let value = score as i64;
    (value as f64 == score).then_some(value)
}

/// Reads a score as ZADD takes it. `None`: no number, not a number, or out of the range of doubles.
#[must_use]
pub(crate) fn parse_score(text: &[u8]) -> Option<f64> {
    if let Some(value) = parse_integer(text) {
        return Some(value as f64);
    }
    let is_plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    if text.len() <= PLAIN_BYTES_MAX && text.iter().all(is_plain) {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    parse_double(text)
}

/// Reads an end of a range of scores as Redis does: blanks in front are passed over, nothing counts as 0, and what is out of
/// the range of doubles as the end of it. The text ends at its first NUL.
#[must_use]
pub(crate) fn parse_range_score(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    double_of_any_range(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_print_as_redis_prints_them() {
        for (score, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (1.25e-7, "1.25e-7"),
            (3.3, "3.3"),
            (1e17, "100000000000000000"),
            (4e18, "4000000000000000000"),
            (5e18, "5e+18"),
            (1e19, "1e+19"),
            (1e20, "1e+20"),
            (-1e100, "-1e+100"),
            (1.5e300, "1.5e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (123_456_789.123, "123456789.123"),
            (0.1 + 0.2, "0.30000000000000004"),
            // Grisu2 does not find the shortest of these.
            (664.51173, "664.5117299999999"),
            (2.454_440_643_907_477e-95, "2.4544406439074772e-95"),
            (526_753_244.660_841_46, "5.2675324466084147e+8"),
        ] {
            assert_eq!(String::from_utf8_lossy(ScoreText::new(score).bytes()), text);
            assert_eq!(parse_score(text.as_bytes()), Some(score), "{text}");
        }
    }

    #[test]
    fn scores_print_with_all_digits_as_printf_prints_them() {
        for (score, text) in [
            (0.1, "0.10000000000000001"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-2.5, "-2.5"),
            (1e-7, "9.9999999999999995e-08"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (123_456_789_012_345_678.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.000_01, "1.0000000000000001e-05"),
            (-1e300, "-1.0000000000000001e+300"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            let printed = ScoreText::with_all_digits(score);
            assert_eq!(String::from_utf8_lossy(printed.bytes()), text);
        }
    }

    #[test]
    fn the_ends_of_ranges_are_read_more_freely_than_scores() {
        for (text, score, end) in [
            ("1", Some(1.0), Some(1.0)),
            ("+1.5", Some(1.5), Some(1.5)),
            (" 1", None, Some(1.0)),
            ("1 ", None, None),
            ("", None, Some(0.0)),
            (" ", None, None),
            ("1e400", None, Some(f64::INFINITY)),
            ("-1e400", None, Some(f64::NEG_INFINITY)),
            ("1e-400", None, Some(0.0)),
            ("0x10", Some(16.0), Some(16.0)),
            ("1\0x", None, Some(1.0)),
            ("inf", Some(f64::INFINITY), Some(f64::INFINITY)),
            (
                "-infinity",
                Some(f64::NEG_INFINITY),
                Some(f64::NEG_INFINITY),
            ),
            ("nan", None, None),
            ("--1", None, None),
            ("-", None, None),
            (".", None, None),
            ("1-2", None, None),
            (".5", Some(0.5), Some(0.5)),
            ("5.", Some(5.0), Some(5.0)),
        ] {
            assert_eq!(parse_score(text.as_bytes()), score, "{text:?}");
            assert_eq!(parse_range_score(text.as_bytes()), end, "{text:?}");
        }
    }
}
