//! Numbers as C writes and reads them: `printf("%.14g")` and `strtod`, both exact.
//!
//! Source: ISO C, "The fprintf function" and "The strtod, strtof, and strtold functions".

use std::io::Write;

use crate::resp::reply::format_integer;

/// Powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Up to so many decimals are tried before a number is taken for one with many digits.
const FEW_DECIMALS: usize = 6;

/// The greatest integer up to which a double holds all.
const EXACT_MAX: u64 = 1 << 53;

fn ten_to(exponent: usize) -> f64 {
    TENS.get(exponent).copied().unwrap_or(f64::INFINITY)
}

/// Writes a number as `%.<precision>g` does. `precision`: 1 to 14 digits.
pub(super) fn write_number(out: &mut Vec<u8>, number: f64, precision: u8) {
    let mut buffer = [0; 20];
    let integer = number as i64;
    if integer as f64 == number && number.abs() < ten_to(precision.into()) {
        if integer == 0 && number.is_sign_negative() {
            out.push(b'-');
        }
        out.extend_from_slice(format_integer(integer, &mut buffer));
    } else if number.is_nan() {
        let text: &[u8] = if number.is_sign_negative() {
            b"-nan"
        } else {
            b"nan"
        };
        out.extend_from_slice(text);
    } else if number.is_infinite() {
        let text: &[u8] = if number > 0.0 { b"inf" } else { b"-inf" };
        out.extend_from_slice(text);
    } else if let Some((digits, decimals)) = few_decimals(number.abs(), precision) {
        if number < 0.0 {
            out.push(b'-');
        }
        let digits = format_integer(digits as i64, &mut buffer);
        write_fixed(out, digits, digits.len() as i32 - decimals as i32);
    } else {
        write_rounded(out, number, precision);
    }
}

/// The digits of a number with few decimals, and how many of them are decimals; the last is not 0.
///
/// Where `digits / 10^decimals` is the number, both being exact, then it is the nearest double to this decimal, which has no more
/// digits than asked for: so it is what rounding gives.
fn few_decimals(number: f64, precision: u8) -> Option<(u64, usize)> {
    if !(1e-4..1e13).contains(&number) {
        return None;
    }
    for decimals in 1..=FEW_DECIMALS {
        let digits = (number * ten_to(decimals)).round();
        if digits >= ten_to(precision.into()) {
            return None;
        }
        if digits / ten_to(decimals) == number {
            return Some((digits as u64, decimals));
        }
    }
    None
}

/// Digits with the point after so many of them; 0 or less: zeros come first.
fn write_fixed(out: &mut Vec<u8>, digits: &[u8], point: i32) {
    match usize::try_from(point) {
        Ok(point) if point > 0 => {
            let (whole, decimals) = digits.split_at(point.min(digits.len()));
            out.extend_from_slice(whole);
            out.extend(std::iter::repeat_n(b'0', point - whole.len()));
            if !decimals.is_empty() {
                out.push(b'.');
                out.extend_from_slice(decimals);
            }
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
            out.extend_from_slice(digits);
        }
    }
}

/// Any finite number: the standard library rounds exactly, ties to even.
fn write_rounded(out: &mut Vec<u8>, number: f64, precision: u8) {
    let mut text = [0; 32];
    let mut rest = text.as_mut_slice();
    let decimals = usize::from(precision).saturating_sub(1);
    let _ = write!(rest, "{:.decimals$e}", number.abs());
    let len = 32 - rest.len();
    let text = text.get(..len).unwrap_or_default();
    let at = text.iter().position(|byte| *byte == b'e').unwrap_or(len);
    let (mantissa, exponent) = text.split_at(at);
    let exponent = std::str::from_utf8(exponent.get(1..).unwrap_or_default());
    let exponent: i32 = exponent.unwrap_or_default().parse().unwrap_or_default();
    let mut digits = [0; 16];
    let mut count = 0;
    let only_digits = mantissa.iter().filter(|byte| **byte != b'.');
    for (slot, digit) in digits.iter_mut().zip(only_digits) {
        *slot = *digit;
        count += 1;
    }
    let digits = digits.get(..count).unwrap_or_default();
    let end = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
    let digits = digits.get(..=end).unwrap_or_default();
    if number.is_sign_negative() {
        out.push(b'-');
    }
    if (-4..i32::from(precision)).contains(&exponent) {
        write_fixed(out, digits, exponent + 1);
        return;
    }
    let (first, others) = digits.split_at(digits.len().min(1));
    out.extend_from_slice(first);
    if !others.is_empty() {
        out.push(b'.');
        out.extend_from_slice(others);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
}

/// The number with which a text begins, and how many bytes it takes; as `strtod`, for a text without blanks before it.
pub(super) fn read_number(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text.first() == Some(&b'-');
    let signed = negative || text.first() == Some(&b'+');
    let rest = text.get(usize::from(signed)..).unwrap_or_default();
    let (number, len) = match rest.first()? {
        b'0' if rest.get(1).is_some_and(|byte| byte | 0x20 == b'x') => {
            read_hexadecimal(rest.get(2..).unwrap_or_default())
                .map_or((0.0, 1), |(number, len)| (number, len + 2))
        }
        b'0'..=b'9' | b'.' => read_decimal(rest)?,
        _ => read_word(rest)?,
    };
    let number = if negative { -number } else { number };
    Some((number, len + usize::from(signed)))
}

fn starts_with(text: &[u8], word: &[u8]) -> bool {
    let start = text.get(..word.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// `inf`, `infinity`, `nan`, `nan(…)` in any case.
fn read_word(text: &[u8]) -> Option<(f64, usize)> {
    if starts_with(text, b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if starts_with(text, b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if !starts_with(text, b"nan") {
        return None;
    }
    let quiet = f64::NAN.to_bits() & !(1 << 63);
    let rest = text.get(3..).unwrap_or_default();
    let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    if rest.first() == Some(&b'(') {
        let len = rest.iter().skip(1).take_while(is_word).count();
        if rest.get(len + 1) == Some(&b')') {
            let payload = read_payload(rest.get(1..=len).unwrap_or_default());
            let payload = payload & ((1 << 51) - 1);
            return Some((f64::from_bits(quiet | payload), len + 5));
        }
    }
    Some((f64::from_bits(quiet), 3))
}

/// What `nan(…)` carries, as the C library of Linux reads it: a whole number, else 0.
fn read_payload(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let (digits, radix) = if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X"))
    {
        (digits, 16)
    } else if text.starts_with('0') {
        (text, 8)
    } else {
        (text, 10)
    };
    let is_digits = digits.chars().all(|digit| digit.is_digit(radix));
    if digits.is_empty() || !is_digits {
        return 0;
    }
    u64::from_str_radix(digits, radix).unwrap_or(u64::MAX)
}

/// Digits, a point, an exponent.
fn read_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let mut at = 0;
    let mut mantissa = 0u64;
    let mut digit_count = 0;
    let mut significant = 0;
    let mut point = None;
    while let Some(byte) = text.get(at) {
        match byte {
            b'0'..=b'9' => {
                digit_count += 1;
                significant += usize::from(significant > 0 || *byte != b'0');
                mantissa = mantissa
                    .wrapping_mul(10)
                    .wrapping_add(u64::from(byte - b'0'));
            }
            b'.' if point.is_none() => point = Some(digit_count),
            _ => break,
        }
        at += 1;
    }
    if digit_count == 0 {
        return None;
    }
    let (exponent, exponent_len) = read_exponent(text.get(at..).unwrap_or_default(), b'e');
    at += exponent_len;
    let exponent = exponent - point.map_or(0, |point| digit_count - point) as i64;
    // Both exact: one rounding.
    if significant <= 19 && mantissa <= EXACT_MAX {
        let power = ten_to(usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX));
        if power.is_finite() {
            let number = if exponent < 0 {
                mantissa as f64 / power
            } else {
                mantissa as f64 * power
            };
            return Some((number, at));
        }
    }
    let text = std::str::from_utf8(text.get(..at).unwrap_or_default()).ok()?;
    Some((text.parse().ok()?, at))
}

/// The exponent behind a letter, and how many bytes it takes; 0 when there is none. What is beyond all numbers is cut.
fn read_exponent(text: &[u8], letter: u8) -> (i64, usize) {
    if text.first().is_none_or(|byte| byte | 0x20 != letter) {
        return (0, 0);
    }
    let sign = text.get(1).copied().unwrap_or(0);
    let start = if matches!(sign, b'-' | b'+') { 2 } else { 1 };
    let digits = text.get(start..).unwrap_or_default();
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 {
        return (0, 0);
    }
    let digits = digits.iter().take(count);
    let exponent = digits.fold(0i64, |exponent, digit| {
        (exponent * 10 + i64::from(digit - b'0')).min(1 << 40)
    });
    let exponent = if sign == b'-' { -exponent } else { exponent };
    (exponent, start + count)
}

/// What follows `0x`: digits, a point, an exponent of two.
fn read_hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let mut at = 0;
    let mut mantissa = 0u64;
    let mut dropped = 0i64;
    let mut digit_count = 0i64;
    let mut point = None;
    while let Some(byte) = text.get(at) {
        if *byte == b'.' && point.is_none() {
            point = Some(digit_count);
        } else if let Some(digit) = char::from(*byte).to_digit(16) {
            digit_count += 1;
            if mantissa >> 60 == 0 {
                mantissa = mantissa << 4 | u64::from(digit);
            } else {
                // What does not fit can only break a tie.
                mantissa |= u64::from(digit != 0);
                dropped += 4;
            }
        } else {
            break;
        }
        at += 1;
    }
    if digit_count == 0 {
        return None;
    }
    let (exponent, exponent_len) = read_exponent(text.get(at..).unwrap_or_default(), b'p');
    at += exponent_len;
    let exponent = exponent + dropped - 4 * point.map_or(0, |point| digit_count - point);
    Some((scale(mantissa, exponent), at))
}

/// `mantissa * 2^exponent`, rounded once, ties to even.
fn scale(mantissa: u64, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let zeros = mantissa.leading_zeros();
    let mantissa = mantissa << zeros;
    // The number is 1.… * 2^top.
    let top = exponent + 63 - i64::from(zeros);
    if top > 1023 {
        return f64::INFINITY;
    }
    // Bits that a double of this size has.
    let bits = if top >= -1022 { 53 } else { top + 1075 };
    if bits < 0 {
        return 0.0;
    }
    let kept = if bits == 0 {
        0
    } else {
        mantissa >> (64 - bits)
    };
    let rest = mantissa << bits;
    let half = 1 << 63;
    let up = rest > half || (rest == half && kept & 1 == 1);
    let kept = kept + u64::from(up);
    // The lowest bit kept is 2^unit.
    let unit = top - bits + 1;
    let power = if unit >= -1022 {
        f64::from_bits(((unit + 1023) as u64) << 52)
    } else {
        f64::from_bits(1 << (unit + 1074))
    };
    kept as f64 * power
}
