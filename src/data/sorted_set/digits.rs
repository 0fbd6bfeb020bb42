//! The digits of a double by Grisu2: the fewest that read back as the same double, nearly always.
//!
//! ```text
//! value × cached power of ten ──► a number with 4 to 32 bits in front of the point, and its neighbours' borders
//!                                 digits are taken from the upper border until what is left is within the borders
//! ```
//! In about one of a thousand cases there would be fewer digits, or some nearer by. Redis 7.2 prints with this very algorithm
//! and its replies show that, so nothing better will do here.
//!
//! Source: F. Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers", 2010.

/// The most digits that a double takes.
pub(super) const DIGITS_MAX: usize = 18;

/// The decimal exponents of the cached powers: from the first in steps.
const POWER_FIRST: i32 = -348;
const POWER_STEP: i32 = 8;
const POWER_COUNT: i32 = 87;
/// Where the binary exponent of the product is to lie.
const EXPONENT_MIN: i32 = -60;
const EXPONENT_MAX: i32 = -32;

/// Digits of a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    bytes: [u8; DIGITS_MAX],
    count: usize,
    /// The decimal exponent of the last digit.
    pub(super) last: i32,
}

impl Digits {
    /// The digits as text.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.count]
    }

    fn push(&mut self, digit: u64) {
        // No zero in front.
        if digit > 0 || self.count > 0 {
            self.bytes[self.count] = b'0' + digit as u8;
            self.count += 1;
        }
    }

    /// Lowers the last digit while that brings the number nearer to the value and keeps it within the borders. `rest`: how far
    /// it is below the upper border, of `delta` there are; `unit`: of the last digit; `distance`: of the value to the border.
    fn approach(&mut self, delta: u64, mut rest: u64, unit: u64, distance: u64) {
        while rest < distance
            && delta - rest >= unit
            && (rest + unit < distance || distance - rest > rest + unit - distance)
        {
            self.bytes[self.count - 1] -= 1;
            rest += unit;
        }
    }
}

/// A number with a binary exponent.
#[derive(Clone, Copy)]
struct Binary {
    fraction: u64,
    exponent: i32,
}

impl Binary {
    /// The same with the highest bit set.
    fn normalised(self) -> Self {
        let shift = self.fraction.leading_zeros();
        Self {
            fraction: self.fraction << shift,
            exponent: self.exponent - shift as i32,
        }
    }

    fn times(self, other: Self) -> Self {
        let product = u128::from(self.fraction) * u128::from(other.fraction);
        Self {
            fraction: ((product + (1 << 63)) >> 64) as u64,
            exponent: self.exponent + other.exponent + 64,
        }
    }
}

/// A power of ten that brings a number with this exponent to where digits are taken, and its decimal exponent.
fn cached_power(exponent: i32) -> (Binary, i32) {
    const LOG10_OF_2: f64 = std::f64::consts::LOG10_2;
    let approximate = (f64::from(-(exponent + POWER_COUNT)) * LOG10_OF_2) as i32;
    let mut index = (approximate - POWER_FIRST) / POWER_STEP;
    loop {
        let power = POWER_FIRST + index * POWER_STEP;
        // The binary logarithm of ten, rounded down, as a fraction of 2^16.
        let power_exponent = ((power * 217_706) >> 16) - 63;
        match exponent + power_exponent + 64 {
            ..EXPONENT_MIN => index += 1,
            EXPONENT_MIN..=EXPONENT_MAX => {
                let power_of_ten = Binary {
                    fraction: POWERS[index as usize],
                    exponent: power_exponent,
                };
                return (power_of_ten, power);
            }
            _ => index -= 1,
        }
    }
}

/// The digits of a finite number above zero.
pub(super) fn digits(value: f64) -> Digits {
    const HIDDEN_BIT: u64 = 1 << 52;
    let bits = value.to_bits();
    let (fraction, exponent) = (bits & (HIDDEN_BIT - 1), (bits >> 52) as i32 & 0x7ff);
    let value = if exponent > 0 {
        Binary {
            fraction: fraction | HIDDEN_BIT,
            exponent: exponent - 1075,
        }
    } else {
        Binary {
            fraction,
            exponent: -1074,
        }
    };
    // Half way to the neighbours; the one below a power of two is nearer.
    let upper = Binary {
        fraction: 2 * value.fraction + 1,
        exponent: value.exponent - 1,
    }
    .normalised();
    let shift = if value.fraction == HIDDEN_BIT { 2 } else { 1 };
    let lower = Binary {
        fraction: ((value.fraction << shift) - 1) << (value.exponent - shift - upper.exponent),
        exponent: upper.exponent,
    };
    let (power, decimal_exponent) = cached_power(upper.exponent);
    let value = value.normalised().times(power);
    let (mut upper, mut lower) = (upper.times(power), lower.times(power));
    // Products are inexact: stay within.
    upper.fraction -= 1;
    lower.fraction += 1;
    generate(value, upper, lower, -decimal_exponent)
}

fn generate(value: Binary, upper: Binary, lower: Binary, decimal_exponent: i32) -> Digits {
    let mut digits = Digits {
        bytes: [0; DIGITS_MAX],
        count: 0,
        last: decimal_exponent,
    };
    let shift = upper.exponent.unsigned_abs();
    let one = 1_u64 << shift;
    let distance = upper.fraction - value.fraction;
    let mut delta = upper.fraction - lower.fraction;
    let (mut whole, mut rest) = (upper.fraction >> shift, upper.fraction & (one - 1));
    let mut unit = 1_000_000_000_u64;
    for left in (0..10).rev() {
        digits.push(whole / unit);
        whole %= unit;
        let behind = (whole << shift) + rest;
        if behind <= delta {
            digits.last += left;
            digits.approach(delta, behind, unit << shift, distance);
            return digits;
        }
        unit /= 10;
    }
    let mut scale = 1_u64;
    loop {
        rest *= 10;
        delta *= 10;
        scale *= 10;
        digits.last -= 1;
        digits.push(rest >> shift);
        rest &= one - 1;
        if rest < delta {
            digits.approach(delta, rest, one, distance.wrapping_mul(scale));
            return digits;
        }
    }
}

/// 10^-348, 10^-340 … 10^340: their first 64 bits, rounded.
const POWERS: [u64; POWER_COUNT as usize] = [
    0xfa8fd5a0081c0288,
    0xbaaee17fa23ebf76,
    0x8b16fb203055ac76,
    0xcf42894a5dce35ea,
    0x9a6bb0aa55653b2d,
    0xe61acf033d1a45df,
    0xab70fe17c79ac6ca,
    0xff77b1fcbebcdc4f,
    0xbe5691ef416bd60c,
    0x8dd01fad907ffc3c,
    0xd3515c2831559a83,
    0x9d71ac8fada6c9b5,
    0xea9c227723ee8bcb,
    0xaecc49914078536d,
    0x823c12795db6ce57,
    0xc21094364dfb5637,
    0x9096ea6f3848984f,
    0xd77485cb25823ac7,
    0xa086cfcd97bf97f4,
    0xef340a98172aace5,
    0xb23867fb2a35b28e,
    0x84c8d4dfd2c63f3b,
    0xc5dd44271ad3cdba,
    0x936b9fcebb25c996,
    0xdbac6c247d62a584,
    0xa3ab66580d5fdaf6,
    0xf3e2f893dec3f126,
    0xb5b5ada8aaff80b8,
    0x87625f056c7c4a8b,
    0xc9bcff6034c13053,
    0x964e858c91ba2655,
    0xdff9772470297ebd,
    0xa6dfbd9fb8e5b88f,
    0xf8a95fcf88747d94,
    0xb94470938fa89bcf,
    0x8a08f0f8bf0f156b,
    0xcdb02555653131b6,
    0x993fe2c6d07b7fac,
    0xe45c10c42a2b3b06,
    0xaa242499697392d3,
    0xfd87b5f28300ca0e,
    0xbce5086492111aeb,
    0x8cbccc096f5088cc,
    0xd1b71758e219652c,
    0x9c40000000000000,
    0xe8d4a51000000000,
    0xad78ebc5ac620000,
    0x813f3978f8940984,
    0xc097ce7bc90715b3,
    0x8f7e32ce7bea5c70,
    0xd5d238a4abe98068,
    0x9f4f2726179a2245,
    0xed63a231d4c4fb27,
    0xb0de65388cc8ada8,
    0x83c7088e1aab65db,
    0xc45d1df942711d9a,
    0x924d692ca61be758,
    0xda01ee641a708dea,
    0xa26da3999aef774a,
    0xf209787bb47d6b85,
    0xb454e4a179dd1877,
    0x865b86925b9bc5c2,
    0xc83553c5c8965d3d,
    0x952ab45cfa97a0b3,
    0xde469fbd99a05fe3,
    0xa59bc234db398c25,
    0xf6c69a72a3989f5c,
    0xb7dcbf5354e9bece,
    0x88fcf317f22241e2,
    0xcc20ce9bd35c78a5,
    0x98165af37b2153df,
    0xe2a0b5dc971f303a,
    0xa8d9d1535ce3b396,
    0xfb9b7cd9a4a7443c,
    0xbb764c4ca7a44410,
    0x8bab8eefb6409c1a,
    0xd01fef10a657842c,
    0x9b10a4e5e9913129,
    0xe7109bfba19c0c9d,
    0xac2820d9623bf429,
    0x80444b5e7aa7cf85,
    0xbf21e44003acdd2d,
    0x8e679c2f5e44ff8f,
    0xd433179d9c8cb841,
    0x9e19db92b4e31ba9,
    0xeb96bf6ebadf77d9,
    0xaf87023b9bf0ee6b,
];
