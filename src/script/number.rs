//! Numbers of scripts as texts.
//!
//! Source: what Redis 7.2 makes of them: an integer as such, else the shortest text that reads back the same, with an exponent only
//! where that is shorter.

use crate::resp::reply::format_integer;

/// Integers are written as such up to here; beyond, doubles are further apart than one.
const INTEGER_MAX: f64 = 4_611_686_018_427_387_904.0;

/// Gives a number as an argument of a command.
pub(super) fn write_argument(number: f64, push: impl FnOnce(&[u8])) {
    if number.abs() <= INTEGER_MAX && number.trunc() == number {
        let mut buffer = [0; 20];
        push(format_integer(number as i64, &mut buffer));
    } else if number.is_nan() {
        push(if number.is_sign_negative() {
            b"-nan"
        } else {
            b"nan"
        });
    } else {
        push(shortest(number).as_bytes());
    }
}

/// A number as a reply of type double.
pub(super) fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.abs() <= INTEGER_MAX && number.trunc() == number && number != 0.0 {
        return (number as i64).to_string();
    }
    shortest(number)
}

/// The shortest text that reads back the same. With `digits` of the number and `zeros` behind them: `digits` and zeros while they are
/// few, a point with less than seven places behind it, else an exponent.
fn shortest(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number == 0.0 {
        return format!("{sign}0");
    }
    let text = format!("{:e}", number.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: String = digits.chars().filter(|digit| *digit != '.').collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = exponent + 1 - count;
    let size = exponent.abs();
    if zeros >= 0 && size < count + 7 {
        return format!("{sign}{digits}{}", "0".repeat(zeros as usize));
    }
    if zeros < 0 && (zeros > -7 || size < 4) {
        return match usize::try_from(exponent) {
            Ok(exponent) => {
                let (whole, part) = digits.split_at(exponent + 1);
                format!("{sign}{whole}.{part}")
            }
            Err(_) => format!("{sign}0.{}{digits}", "0".repeat((size - 1) as usize)),
        };
    }
    let (first, others) = digits.split_at(1);
    let point = if others.is_empty() { "" } else { "." };
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{others}e{direction}{size}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(number: f64) -> String {
        let mut text = String::new();
        write_argument(number, |bytes| {
            text = String::from_utf8_lossy(bytes).into_owned()
        });
        text
    }

    #[test]
    fn numbers_are_written_as_redis_writes_them() {
        for (number, text) in [
            (3.0, "3"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1.5, "1.5"),
            (-123.25, "-123.25"),
            (1e-5, "0.00001"),
            (1e-7, "1e-7"),
            (1.25e-10, "1.25e-10"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (9_223_372_036_854_775_808.0, "9223372036854776000"),
            (12_345_678_901_234_567_890.0, "12345678901234567000"),
            (1e20, "1e+20"),
            (1e21, "1e+21"),
            (1e300, "1e+300"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(argument(number), text, "{number}");
        }
        assert_eq!(double_text(-0.0), "-0");
        assert_eq!(double_text(1e10), "10000000000");
        assert_eq!(double_text(1e20), "1e+20");
        assert_eq!(double_text(-f64::NAN), "nan");
    }

    proptest::proptest! {
        #![proptest_config(crate::property::cases(256))]
        #[test]
        fn what_is_written_reads_back_the_same(bits: u64) {
            let number = f64::from_bits(bits);
            if number.is_finite() {
                proptest::prop_assert_eq!(argument(number).parse::<f64>().expect("a number"), number);
            }
        }
    }
}
