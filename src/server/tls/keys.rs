//! Certificates and private keys out of PEM files.

use std::path::Path;
use std::sync::Arc;

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{TlsError, is_of_version_1};
use crate::config::TlsSettings;
use crate::server::error::reason_of;

const KEY_FILE: &str = "tls-key-file";
const KEY_PASSWORD: &str = "tls-key-file-pass";
const CERTIFICATE_FILE: &str = "tls-cert-file";

/// The server's certificate, those behind it, and its key.
///
/// # Errors
/// A file that is missing or wrong, or two that do not belong together.
pub(super) fn certified_key(
    settings: &TlsSettings,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let way_out = match (settings.port, settings.metrics) {
        (0, _) => "set metrics-tls no",
        (_, false) => "set tls-port 0",
        (_, true) => "set tls-port 0 and metrics-tls no",
    };
    let named = |setting, path: &Option<_>, advice: &str| {
        let path: &Option<std::path::PathBuf> = path;
        path.clone().ok_or_else(|| {
            TlsError::new(
                setting,
                format!("No {setting} configured: {advice}, or {way_out}"),
            )
        })
    };
    let certificate_path = named(
        CERTIFICATE_FILE,
        &settings.cert_file,
        "name the server's certificate",
    )?;
    let key_path = named(
        KEY_FILE,
        &settings.key_file,
        "name the key of the server's certificate",
    )?;
    let chain = certificates(CERTIFICATE_FILE, &certificate_path)?;
    let key = private_key(&key_path, settings.key_password.as_deref())?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| {
        TlsError::of_file(
            KEY_FILE,
            &key_path,
            format!("this key cannot be used ({error}): RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384 and Ed25519 can"),
        )
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(Error::InconsistentKeys(_)) => Err(TlsError::of_file(
            KEY_FILE,
            &key_path,
            format!(
                "this is not the key of the first certificate in {}",
                certificate_path.display()
            ),
        )),
        Err(error) if is_of_version_1(&error) => Err(TlsError::of_file(
            CERTIFICATE_FILE,
            &certificate_path,
            "its first certificate is of X.509 version 1: make one of version 3, with 'openssl x509 -req -extfile'",
        )),
        Err(error) => Err(TlsError::of_file(
            CERTIFICATE_FILE,
            &certificate_path,
            format!("its first certificate cannot be used: {error}"),
        )),
    }
}

/// All certificates in a file.
///
/// # Errors
/// It cannot be read, or has none.
pub(super) fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text =
        std::fs::read(path).map_err(|error| TlsError::of_file(setting, path, reason_of(error)))?;
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        found.push(certificate.map_err(|error| TlsError::of_file(setting, path, error))?);
    }
    if found.is_empty() {
        let reason = "there is no certificate in it: it must be a PEM file, with '-----BEGIN CERTIFICATE-----'";
        return Err(TlsError::of_file(setting, path, reason));
    }
    Ok(found)
}

/// The first private key in a file.
fn private_key(path: &Path, password: Option<&[u8]>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let wrong = |reason: &str| TlsError::of_file(KEY_FILE, path, reason);
    let text =
        std::fs::read(path).map_err(|error| TlsError::of_file(KEY_FILE, path, reason_of(error)))?;
    if find(&text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(wrong(
            "this old form of a key with a password cannot be read: convert it with 'openssl pkcs8 -topk8 -in OLD -out NEW'",
        ));
    }
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => return Ok(key),
        Err(pem::Error::NoItemsFound) => {}
        Err(error) => return Err(TlsError::of_file(KEY_FILE, path, error)),
    }
    if find(&text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return decrypted(path, &text, password);
    }
    Err(wrong(
        "there is no private key in it: it must be a PEM file, with '-----BEGIN PRIVATE KEY-----'",
    ))
}

/// The key of a file that is encrypted.
fn decrypted(
    path: &Path,
    text: &[u8],
    password: Option<&[u8]>,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let wrong = |setting, reason: String| TlsError::of_file(setting, path, reason);
    let Some(password) = password else {
        let reason = "this key has a password: give it with tls-key-file-pass".to_owned();
        return Err(wrong(KEY_PASSWORD, reason));
    };
    let text = String::from_utf8_lossy(text);
    let (label, document) = pkcs8::SecretDocument::from_pem(section(&text))
        .map_err(|error| wrong(KEY_FILE, error.to_string()))?;
    debug_assert_eq!(label, "ENCRYPTED PRIVATE KEY");
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|error| wrong(KEY_FILE, error.to_string()))?;
    let key = encrypted.decrypt(password).map_err(|error| {
        let reason =
            format!("the key cannot be decrypted ({error}): is tls-key-file-pass its password?");
        wrong(KEY_PASSWORD, reason)
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// The encrypted key in a text.
fn section(text: &str) -> &str {
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let from = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----");
    let text = text.get(from.unwrap_or(0)..).unwrap_or_default();
    let end = text.find(END).map_or(text.len(), |at| at + END.len());
    text.get(..end).unwrap_or_default()
}

fn find(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
