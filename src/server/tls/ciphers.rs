//! Versions and ciphers by the names that people write: those of OpenSSL, and those of the registry of TLS.

use rustls::crypto::ring::ALL_CIPHER_SUITES;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};

use super::TlsError;

/// Ciphers of which OpenSSL may be told that it is not to use them: there are none here.
const NOT_HERE: [&str; 24] = [
    "aNULL", "eNULL", "NULL", "ADH", "AECDH", "LOW", "MEDIUM", "EXP", "EXPORT", "MD5", "RC2",
    "RC4", "DES", "3DES", "IDEA", "SEED", "CAMELLIA", "ARIA", "PSK", "SRP", "DSS", "SHA1", "SHA",
    "kRSA",
];
/// Words for all that is good.
const ALL: [&str; 5] = ["DEFAULT", "ALL", "HIGH", "ECDHE", "EECDH"];

/// The versions that a text names; all when it is empty.
///
/// # Errors
/// One that is too old, or unknown.
pub(super) fn versions(text: &str) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let mut versions = Vec::new();
    for word in text.split_ascii_whitespace() {
        let version = match word.to_ascii_lowercase().as_str() {
            "tlsv1.2" => &TLS12,
            "tlsv1.3" => &TLS13,
            old @ ("tlsv1" | "tlsv1.0" | "tlsv1.1") => {
                let reason =
                    format!("{old} is not safe and not served: use TLSv1.2, TLSv1.3 or both");
                return Err(TlsError::new("tls-protocols", reason));
            }
            _ => {
                let reason = format!(
                    "Invalid tls-protocols specified: '{word}'. Use TLSv1.2, TLSv1.3 or both"
                );
                return Err(TlsError::new("tls-protocols", reason));
            }
        };
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    if versions.is_empty() {
        return Ok(vec![&TLS13, &TLS12]);
    }
    Ok(versions)
}

/// The suites that two texts name, one for each version; all of a version whose text is empty.
///
/// # Errors
/// One that is not here.
pub(super) fn suites(
    ciphers: &str,
    ciphersuites: &str,
) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let mut chosen = named("tls-ciphersuites", ciphersuites, ProtocolVersion::TLSv1_3)?;
    chosen.extend(named("tls-ciphers", ciphers, ProtocolVersion::TLSv1_2)?);
    Ok(chosen)
}

fn named(
    setting: &'static str,
    text: &str,
    version: ProtocolVersion,
) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let here = || {
        let all = ALL_CIPHER_SUITES.iter().copied();
        all.filter(move |suite| suite.version().version == version)
    };
    let mut chosen: Vec<SupportedCipherSuite> = Vec::new();
    for word in text.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        let is = |other: &&str| other.eq_ignore_ascii_case(word);
        let without = word.strip_prefix(['!', '-']);
        if without.is_some_and(|word| NOT_HERE.contains(&word)) {
            continue;
        }
        let found: Vec<_> = if ALL.iter().any(is) {
            here().collect()
        } else {
            let is_it = |suite: &SupportedCipherSuite| {
                let names = names(*suite);
                names.iter().any(|name| is(&name.as_str()))
            };
            here().filter(is_it).collect()
        };
        if found.is_empty() {
            let all: Vec<_> = here().map(|suite| names(suite)[0].clone()).collect();
            let reason = format!("there is no '{word}' here: there are {}", all.join(", "));
            return Err(TlsError::new(setting, reason));
        }
        for suite in found {
            if !chosen.contains(&suite) {
                chosen.push(suite);
            }
        }
    }
    if chosen.is_empty() {
        return Ok(here().collect());
    }
    Ok(chosen)
}

/// How OpenSSL calls a suite, then the registry.
fn names(suite: SupportedCipherSuite) -> [String; 2] {
    let registry = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
    let short = registry
        .trim_start_matches("TLS_")
        .replace("_WITH_", "_")
        .replace("AES_128", "AES128")
        .replace("AES_256", "AES256")
        .replace('_', "-");
    let short = short.replace("CHACHA20-POLY1305-SHA256", "CHACHA20-POLY1305");
    if suite.version().version == ProtocolVersion::TLSv1_3 {
        return [registry.clone(), registry];
    }
    [short, registry]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn of_1_2(text: &str) -> Vec<String> {
        let suites = suites(text, "").unwrap();
        let old = suites
            .into_iter()
            .filter(|suite| suite.version().version == ProtocolVersion::TLSv1_2);
        old.map(|suite| names(suite)[0].clone()).collect()
    }

    #[test]
    fn ciphers_have_the_names_of_openssl_and_of_the_registry() {
        let all = of_1_2("");
        assert_eq!(all.len(), 6);
        assert!(
            all.contains(&"ECDHE-RSA-AES128-GCM-SHA256".to_owned()),
            "{all:?}"
        );
        assert!(
            all.contains(&"ECDHE-ECDSA-CHACHA20-POLY1305".to_owned()),
            "{all:?}"
        );
        assert_eq!(of_1_2("DEFAULT:!MEDIUM"), all);
        let one = ["ECDHE-RSA-AES256-GCM-SHA384"];
        assert_eq!(of_1_2("ecdhe-rsa-aes256-gcm-sha384"), one);
        assert_eq!(of_1_2("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:!aNULL"), one);
        let two = suites("", "TLS_CHACHA20_POLY1305_SHA256").unwrap();
        assert_eq!(two.len(), 7);
    }

    #[test]
    fn a_cipher_that_is_not_here_is_an_error_that_names_those_that_are() {
        let error = suites("AES128-SHA", "").unwrap_err().to_string();
        assert!(
            error.contains("tls-ciphers: there is no 'AES128-SHA' here"),
            "{error}"
        );
        assert!(error.contains("ECDHE-RSA-AES128-GCM-SHA256"), "{error}");
        let error = suites("", "ECDHE-RSA-AES256-GCM-SHA384")
            .unwrap_err()
            .to_string();
        assert!(error.contains("TLS_AES_128_GCM_SHA256"), "{error}");
        assert!(suites("DEFAULT:!AES128", "").is_err());
    }

    #[test]
    fn old_versions_are_refused_by_name() {
        assert_eq!(versions("").unwrap().len(), 2);
        assert_eq!(versions("TLSv1.3").unwrap(), [&TLS13]);
        assert_eq!(versions("tlsv1.2 TLSv1.3").unwrap().len(), 2);
        for old in ["TLSv1", "TLSv1.1 TLSv1.2"] {
            let error = versions(old).unwrap_err().to_string();
            assert!(error.contains("not served"), "{error}");
        }
        assert!(versions("SSLv3").is_err());
    }
}
