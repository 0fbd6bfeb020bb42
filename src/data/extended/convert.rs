//! From texts and 80-bit values to what other arguments need: whole milliseconds, doubles.
//!
//! Source: `strtod`, `strtold` and `ceill` of the C standard.

use super::{Extended, Magnitude, rounded};

/// The longest text looked at by [`double_at_start`], bytes.
const PREFIX_BYTES_MAX: usize = 64;

impl Extended {
    /// The product with a factor, rounded as every product of such values, then up to a whole number; the ends of the
    /// type stand for what is beyond them.
    #[must_use]
    pub(crate) fn product_ceiling(self, factor: u64) -> i128 {
        let product = match self.magnitude {
            Magnitude::Finite { mantissa, exponent } => {
                rounded(u128::from(mantissa) * u128::from(factor), exponent, false)
            }
            Magnitude::Infinite => Magnitude::Infinite,
        };
        let whole = match product {
            Magnitude::Finite { mantissa: 0, .. } => 0,
            Magnitude::Finite { mantissa, exponent } if exponent < 0 => {
                let (kept, rest) = split(mantissa, exponent.unsigned_abs());
                i128::from(kept) + i128::from(rest && !self.negative)
            }
            Magnitude::Finite { mantissa, exponent } if exponent < 63 => {
                i128::from(mantissa) << exponent
            }
            Magnitude::Finite { .. } | Magnitude::Infinite => i128::MAX,
        };
        if self.negative { -whole } else { whole }
    }

    /// The double nearest to it, give or take what rounding twice costs.
    fn to_double(self) -> f64 {
        let magnitude = match self.magnitude {
            Magnitude::Finite { mantissa, exponent } => {
                // In two steps, so that neither factor is infinite or zero while the product is not.
                let half = exponent / 2;
                mantissa as f64 * 2f64.powi(half) * 2f64.powi(exponent - half)
            }
            Magnitude::Infinite => f64::INFINITY,
        };
        if self.negative { -magnitude } else { magnitude }
    }
}

/// The whole part of `mantissa` / 2^`shift`, and whether there is a rest.
fn split(mantissa: u64, shift: u32) -> (u64, bool) {
    match mantissa.checked_shr(shift) {
        Some(kept) => (kept, kept << shift != mantissa),
        None => (0, mantissa != 0),
    }
}

/// The text `%.17f` gives, without zeros at the end and without a negative zero.
#[must_use]
pub(crate) fn human_double(value: f64) -> String {
    let mut text = format!("{value:.17}");
    let kept = text.trim_end_matches('0').trim_end_matches('.').len();
    text.truncate(kept);
    if text == "-0" {
        text.remove(0);
    }
    text
}

/// Reads a text as `strtod` does, the whole of it, without blanks around it. `None`: no number, not a number, or finite
/// and beyond the range of a double at either end.
#[must_use]
pub(crate) fn parse_double(text: &[u8]) -> Option<f64> {
    let extended = Extended::parse(text)?;
    let is_hexadecimal = text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'x'));
    let value = if is_hexadecimal {
        extended.to_double()
    } else {
        // Rounded once.
        std::str::from_utf8(text).ok()?.parse().ok()?
    };
    let is_zero = matches!(extended.magnitude, Magnitude::Finite { mantissa: 0, .. });
    let beyond = value == 0.0 && !is_zero
        || value.is_infinite() && !matches!(extended.magnitude, Magnitude::Infinite);
    (!beyond).then_some(value)
}

/// Reads a text as `strtod` does, the whole of it, blanks in front allowed: what is beyond the range of a double is the end of
/// the range. `None`: no number, or not a number.
#[must_use]
pub(crate) fn double_of_any_range(text: &[u8]) -> Option<f64> {
    let is_blank = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
    let start = text.iter().position(|byte| !is_blank(byte))?;
    let text = &text[start..];
    if text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'x')) {
        return Extended::parse(text).map(Extended::to_double);
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// The number at the start of a text behind blanks, as `strtod` finds it whatever follows; 0 when there is none.
#[must_use]
pub(crate) fn double_at_start(text: &[u8]) -> f64 {
    let text = text.trim_ascii_start();
    let text = &text[..text.len().min(PREFIX_BYTES_MAX)];
    let mut ends = (1..=text.len()).rev();
    ends.find_map(|end| parse_double(&text[..end]))
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_double_is_told_to_seventeen_decimals() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-1e-20, "0"),
            (100.0, "100"),
            (-2.5, "-2.5"),
            (13.361389338970184, "13.36138933897018433"),
        ] {
            assert_eq!(human_double(value), text);
        }
    }

    #[test]
    fn milliseconds_are_rounded_up_as_an_extended_product() {
        for (text, ms) in [
            ("0", 0),
            ("-0", 0),
            ("0x1p-2", 250),
            ("0x.1", 63),
            ("0.001", 1),
            ("0.0011", 2),
            ("-0.001", 0),
            ("-0.0015", -1),
            ("-1", -1000),
            ("1e-4000", 1),
            ("-1e-4000", 0),
            ("9223372036854775.807", i128::from(i64::MAX)),
            ("9223372036854775.808", i128::from(i64::MAX) + 1),
            ("1e4900", i128::MAX),
            ("inf", i128::MAX),
            ("-inf", -i128::MAX),
        ] {
            let value = Extended::parse(text.as_bytes()).unwrap();
            assert_eq!(value.product_ceiling(1000), ms, "{text}");
        }
    }

    #[test]
    fn doubles_are_read_whole_or_from_the_start() {
        for (text, value) in [
            ("0x32", Some(50.0)),
            ("0x1p-2", Some(0.25)),
            ("-.5", Some(-0.5)),
            ("0x1p-1074", Some(5e-324)),
            ("0x1.8p1023", Some(1.348_269_851_146_737e308)),
            ("inf", Some(f64::INFINITY)),
            ("1e400", None),
            ("1e-400", None),
            ("0x1p1024", None),
            ("nan", None),
            (" 1", None),
            ("1f", None),
        ] {
            assert_eq!(parse_double(text.as_bytes()), value, "{text}");
        }
        for (text, value) in [
            ("0.05abc", 0.05),
            ("  0x1p-4", 0.0625),
            ("1e", 1.0),
            ("abc", 0.0),
        ] {
            assert_eq!(double_at_start(text.as_bytes()), value, "{text}");
        }
    }
}
