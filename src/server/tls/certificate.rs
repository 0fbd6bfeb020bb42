//! What a certificate (X.509, RFC 5280) says of itself: the common name, since who shows it may be the user of that name, and when it
//! is valid.
//!
//! ```text
//! Certificate ─ TBSCertificate ─ [version] serial algorithm issuer validity subject ─► RDN ─► CN
//!                                                                  └► notBefore notAfter
//! ```
//! A client's certificate has been verified before: what is wrong here has no name, and nobody is logged in by it.

use crate::server::calendar::days;

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
/// UTF8String, PrintableString, TeletexString, IA5String: bytes that are the text.
const TEXTS: [u8; 4] = [0x0c, 0x13, 0x14, 0x16];
/// A time with a year of two digits, 1950 to 2049.
const UTC_TIME: u8 = 0x17;
/// One with a year of four digits.
const GENERALIZED_TIME: u8 = 0x18;
/// 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Takes the next element: its tag and content.
fn next<'a>(der: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.is_empty() || bytes.len() > 4 {
            return None;
        }
        let length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *der = rest;
    Some((tag, content))
}

/// Takes the next element, which has to be of this kind.
fn expect<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (found, content) = next(der)?;
    (found == tag).then_some(content)
}

/// The last common name of the subject, as OpenSSL and Valkey take the most specific one; `None` when there is none, or it is not in one
/// byte for each character.
pub(crate) fn common_name(certificate: &[u8]) -> Option<&[u8]> {
    let mut fields = from_validity(certificate)?;
    expect(&mut fields, SEQUENCE)?;
    let mut subject = expect(&mut fields, SEQUENCE)?;
    let mut name = None;
    while !subject.is_empty() {
        let mut parts = expect(&mut subject, SET)?;
        while !parts.is_empty() {
            let mut part = expect(&mut parts, SEQUENCE)?;
            let kind = expect(&mut part, OBJECT_IDENTIFIER)?;
            let (tag, text) = next(&mut part)?;
            if kind != COMMON_NAME {
                continue;
            }
            let is_usable = TEXTS.contains(&tag) && !text.contains(&0);
            if name.is_some() || !is_usable {
                // One of several names, or one that others read otherwise: nobody's.
                return None;
            }
            name = Some(text);
        }
    }
    name.filter(|name| !name.is_empty())
}

/// When it begins and ends to be valid, Unix seconds; `None` when it does not say so as it should. What was before 1970 is 0.
pub(crate) fn validity_s(certificate: &[u8]) -> Option<(u64, u64)> {
    let mut fields = from_validity(certificate)?;
    let mut validity = expect(&mut fields, SEQUENCE)?;
    let from = time_s(next(&mut validity)?)?;
    Some((from, time_s(next(&mut validity)?)?))
}

fn time_s((kind, text): (u8, &[u8])) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = digits.split_at_checked(if kind == GENERALIZED_TIME { 4 } else { 2 })?;
    let year: u64 = match (kind, year.parse().ok()?) {
        (GENERALIZED_TIME, year) => year,
        (UTC_TIME, year @ 50..) => 1900 + year,
        (UTC_TIME, year) => 2000 + year,
        _ => return None,
    };
    if rest.len() != 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| -> Option<u64> { rest.get(at..at + 2)?.parse().ok() };
    let days = days(year, part(0)?, part(2)?)?;
    let seconds = (part(4)? * 60 + part(6)?) * 60 + part(8)?;
    Some(if year < 1970 {
        0
    } else {
        days * 86_400 + seconds
    })
}

/// The fields of a certificate from its validity on.
fn from_validity(mut certificate: &[u8]) -> Option<&[u8]> {
    let mut certificate = expect(&mut certificate, SEQUENCE)?;
    let mut fields = expect(&mut certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        next(&mut fields)?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        next(&mut fields)?;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn certificate(name: &str) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["host".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "Works");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_common_name_of_the_subject_is_found() {
        for name in ["alice", "Zoë", &"x".repeat(300)] {
            assert_eq!(common_name(&certificate(name)), Some(name.as_bytes()));
        }
        assert_eq!(common_name(&certificate("")), None);
        assert_eq!(common_name(&certificate("a\0b")), None);
    }

    #[test]
    fn the_times_are_found_in_either_form() {
        for (year, month, day, seconds) in [
            (1965, 5, 5, 0),
            (1970, 1, 1, 0),
            (1999, 12, 31, 946_598_400),
            (2000, 2, 29, 951_782_400),
            (2049, 12, 31, 2_524_521_600),
            (2050, 1, 1, 2_524_608_000),
            (2100, 3, 1, 4_107_542_400),
        ] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec!["host".to_owned()]).unwrap();
            // The last second of 1969 is no later than the first of 1970.
            params.not_before =
                rcgen::date_time_ymd(1970, 1, 1) - std::time::Duration::from_secs(1);
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(validity_s(certificate.der()), Some((0, seconds)), "{year}");
            params.not_before = params.not_after;
            let certificate = params.self_signed(&key).unwrap();
            let both = (seconds, seconds);
            assert_eq!(validity_s(certificate.der()), Some(both), "{year}");
        }
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        #[test]
        fn a_damaged_certificate_has_some_name_and_end_or_none(at in 0usize..400, byte: u8, length in 0usize..400) {
            let mut der = certificate("alice");
            let place = at % der.len();
            der[place] = byte;
            der.truncate(length);
            let _ = (common_name(&der), validity_s(&der));
        }
    }
}
