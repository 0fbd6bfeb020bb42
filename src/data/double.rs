//! Texts as C's `strtod` reads them.

/// The number that the whole of a text stands for: decimal, hexadecimal or infinite; blanks may come before it. `None`: no
/// number, not a number, or beyond the range. As in C, a NUL ends the text, and an empty one is zero.
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let end = text.iter().position(|byte| *byte == 0);
    let text = &text[..end.unwrap_or(text.len())];
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    let text = std::str::from_utf8(&text[blanks..]).ok()?;
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let prefix = digits.get(..2).unwrap_or_default();
    let magnitude = if prefix.eq_ignore_ascii_case("0x") {
        hexadecimal(&digits[2..])?
    } else if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        decimal(digits)?
    } else if ["inf", "infinity"]
        .iter()
        .any(|name| digits.eq_ignore_ascii_case(name))
    {
        f64::INFINITY
    } else {
        return None;
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Beyond the range: infinite, or too small for all its digits though not zero.
fn in_range(value: f64, is_zero: bool) -> Option<f64> {
    let is_zero_or_normal = is_zero || value.is_normal();
    (value.is_finite() && is_zero_or_normal).then_some(value)
}

fn decimal(digits: &str) -> Option<f64> {
    let value = digits.parse().ok()?;
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    in_range(
        value,
        !mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9')),
    )
}

/// Digits with at most one point, then perhaps a power of two behind `p`.
fn hexadecimal(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = match digits.split_once(['p', 'P']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // As many bits as fit with some to round by; whether anything follows decides a tie.
    let (mut bits, mut shift, mut more) = (0_u64, i64::from(exponent), false);
    for (at, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16)?);
        if bits >> 58 == 0 {
            bits = bits << 4 | digit;
            shift -= if at >= whole.len() { 4 } else { 0 };
        } else {
            more |= digit != 0;
            shift += if at >= whole.len() { 0 } else { 4 };
        }
    }
    let sticky = bits | u64::from(more);
    let shift = shift.clamp(-3000, 3000) as i32;
    // In two steps, each exact but the last: a power of two of that size has no value of its own.
    let half = shift / 2;
    let value = sticky as f64 * 2_f64.powi(half) * 2_f64.powi(shift - half);
    in_range(value, sticky == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_strtod_reads_them() {
        for (text, value) in [
            ("0", Some(0.0)),
            ("", Some(0.0)),
            ("1", Some(1.0)),
            (" \t-1.5e3", Some(-1500.0)),
            ("+.5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1 ", None),
            ("1e", None),
            ("e1", None),
            (".", None),
            ("1\0junk", Some(1.0)),
            ("0x10", Some(16.0)),
            ("-0X1.8p1", Some(-3.0)),
            ("0x", None),
            ("0x.8", Some(0.5)),
            ("0x1p", None),
            ("0x1.00000000000008", Some(1.0)),
            (
                "0x1.000000000000080000000000001",
                Some(1.000_000_000_000_000_2),
            ),
            ("0x10000000000000000000p-76", Some(1.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("nan", None),
            ("-nan", None),
            ("1e400", None),
            ("1e-400", None),
            ("0e-400", Some(0.0)),
            ("0x1p5000", None),
            ("abc", None),
            ("--1", None),
        ] {
            assert_eq!(parse(text.as_bytes()), value, "{text:?}");
        }
        assert!(parse(b"-0").is_some_and(|zero| zero == 0.0 && zero.is_sign_negative()));
        assert_eq!(parse(b"\xff"), None);
    }
}
