//! Passwords, of which only the SHA-256 is kept.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The digest of a password. Shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Of a password. O(bytes).
    pub(crate) fn of(password: &[u8]) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// From its 64 lower-case hexadecimal digits.
    pub(crate) fn from_hexadecimal(text: &[u8]) -> Option<Self> {
        let value = |digit: &u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let text: &[u8; 64] = text.try_into().ok()?;
        let mut digest = [0; 32];
        for (byte, digits) in digest.iter_mut().zip(text.chunks_exact(2)) {
            let [high, low] = digits else { return None };
            *byte = value(high)? << 4 | value(low)?;
        }
        Some(Self(digest))
    }

    /// Whether the digest is one of `all`. Takes the same time wherever they differ and whichever it is.
    pub(crate) fn is_one_of(&self, all: &[Self]) -> bool {
        let found = all
            .iter()
            .fold(Choice::from(0), |found, one| found | one.0.ct_eq(&self.0));
        found.into()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_digest_is_shown_and_read_as_redis_does() {
        let digest = Digest::of(b"foobared");
        let text = digest.to_string();
        assert_eq!(
            text,
            "1b58ee375b42e41f0e48ef2ff27d10a5b1f6924a9acdcdba7cae868e7adce6bf"
        );
        assert_eq!(Digest::from_hexadecimal(text.as_bytes()).unwrap(), digest);
        let upper = text.to_ascii_uppercase();
        for bad in [&text[1..], &upper, &text.replace('b', "g"), ""] {
            assert_eq!(Digest::from_hexadecimal(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_is_found_among_others_wherever_it_is() {
        let all: Vec<_> = (0..5u8).map(|byte| Digest::of(&[byte])).collect();
        assert!(all.iter().all(|one| one.is_one_of(&all)));
        assert!(!Digest::of(b"x").is_one_of(&all));
        assert!(!Digest::of(b"").is_one_of(&[]));
    }
}
