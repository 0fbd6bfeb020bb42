//! The common name in a certificate (X.509, RFC 5280): who shows it may be the user of that name.
//!
//! ```text
//! Certificate ─ TBSCertificate ─ [version] serial algorithm issuer validity subject ─► RDN ─► CN
//! ```
//! The certificate has been verified before: what is wrong here has no name, and nobody is logged in by it.

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
/// UTF8String, PrintableString, TeletexString, IA5String: bytes that are the text.
const TEXTS: [u8; 4] = [0x0c, 0x13, 0x14, 0x16];
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
pub(crate) fn common_name(mut certificate: &[u8]) -> Option<&[u8]> {
    let mut certificate = expect(&mut certificate, SEQUENCE)?;
    let mut fields = expect(&mut certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        next(&mut fields)?;
    }
    // Serial number, algorithm, issuer, validity.
    for _ in 0..4 {
        next(&mut fields)?;
    }
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

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        #[test]
        fn a_damaged_certificate_has_some_name_or_none(at in 0usize..400, byte: u8, length in 0usize..400) {
            let mut der = certificate("alice");
            let place = at % der.len();
            der[place] = byte;
            der.truncate(length);
            let _ = common_name(&der);
        }
    }
}
