//! What both sides of a TLS connection must agree on: made from the settings and the files they name, all at once.
//!
//! ```text
//! tls-cert-file, tls-key-file ─► keys.rs ──────┐
//! tls-ca-cert-file, -dir      ─► authorities ──┼─► Terms, for the connections accepted from then on
//! tls-protocols, tls-ciphers  ─► ciphers.rs ───┘
//! ```
//! CONFIG SET makes new ones: whatever is wrong, those in use stay, and so do the connections. Sessions that are kept go with their
//! terms: who comes again is judged by the new ones. A handshake under way ends on the terms it began with. If they ask something else
//! of clients than the new ones its connection is closed then ([`Terms::are_current`]); a new certificate of the server closes nobody.
//!
//! Invariant: an error names the setting and the file, and says what to do.

pub(super) mod certificate;
mod ciphers;
mod keys;
mod sessions;

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{CipherSuite, ProtocolVersion, RootCertStore, ServerConfig};
use rustls_pki_types::TrustAnchor;

use tracing::{info, warn};

use super::error::reason_of;
use super::logging;
use crate::config::{ClientCertificates, TlsSettings};

/// The terms of the connections that are accepted next.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// What the library needs.
    pub(crate) config: Arc<ServerConfig>,
    /// From when until when the server's certificate is valid, Unix ms, if it says so.
    certificate_valid_ms: Option<(u64, u64)>,
    demands: Arc<Demands>,
    /// Others have taken their place that ask something else of clients.
    is_withdrawn: Arc<AtomicBool>,
}

/// What is asked of clients.
#[derive(Debug, PartialEq)]
struct Demands {
    port: u16,
    versions: Vec<ProtocolVersion>,
    suites: Vec<CipherSuite>,
    certificates: ClientCertificates,
    authorities: Vec<TrustAnchor<'static>>,
}

impl Terms {
    /// Whether what they ask of clients is what is asked now.
    pub(crate) fn are_current(&self) -> bool {
        !self.is_withdrawn.load(Ordering::Acquire)
    }

    /// Tells the log which certificate clients are shown, and warns of one that is not valid now: the server shows it all the same, and
    /// each client refuses it.
    pub(crate) fn tell(&self, settings: &TlsSettings, now_ms: u64) {
        let file = settings.cert_file.as_deref().unwrap_or(Path::new(""));
        let file = file.display();
        match self.certificate_valid_ms {
            Some((_, until)) if until <= now_ms => warn!(
                "The certificate in {file} ended on {}: clients refuse it. Put a new one there and send CONFIG SET tls-cert-file {file}",
                logging::date(until)
            ),
            Some((from, _)) if from > now_ms => warn!(
                "The certificate in {file} is valid from {} only: clients refuse it until then. Check the clock of this machine",
                logging::date(from)
            ),
            Some((_, until)) => info!(
                "The certificate in {file} is in use, until {}",
                logging::date(until)
            ),
            None => info!("The certificate in {file} is in use"),
        }
    }

    /// Others take their place.
    fn replaced_by(self, next: Option<Self>) -> Option<Self> {
        match next {
            Some(next) if next.demands == self.demands => Some(Self {
                // Who withdraws those withdraws these.
                is_withdrawn: self.is_withdrawn,
                ..next
            }),
            next => {
                self.is_withdrawn.store(true, Ordering::Release);
                next
            }
        }
    }
}

/// The terms of the connections that are accepted next, on whichever port.
#[derive(Clone, Debug, Default)]
pub(crate) struct TermsInForce(Arc<Mutex<Option<Terms>>>);

impl TermsInForce {
    /// The first ones; none where no port speaks TLS.
    pub(crate) fn new(terms: Option<Terms>) -> Self {
        Self(Arc::new(Mutex::new(terms)))
    }

    /// Those of a connection that is accepted now.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn now(&self) -> io::Result<Terms> {
        let terms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // There are some before anybody listens.
        terms.clone().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Others take their place.
    pub(crate) fn replace(&self, next: Option<Terms>) {
        let mut terms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *terms = match terms.take() {
            Some(before) => before.replaced_by(next),
            None => next,
        };
    }
}

/// Sessions that are kept when the settings say 0. Source: OpenSSL, where 0 is no limit; here there is one.
const SESSIONS_DEFAULT: usize = 20_480;

/// Why there are no terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsError {
    /// The setting that has to change, or names the file that has to.
    pub(crate) setting: &'static str,
    /// What is wrong, and what to do.
    pub(crate) reason: String,
}

impl TlsError {
    fn new(setting: &'static str, reason: impl Into<String>) -> Self {
        Self {
            setting,
            reason: reason.into(),
        }
    }

    /// About a file.
    fn of_file(setting: &'static str, path: &Path, reason: impl fmt::Display) -> Self {
        Self::new(setting, format!("{}: {reason}", path.display()))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot serve TLS: {}: {}", self.setting, self.reason)
    }
}

/// Whether a certificate is refused because it is of a version that has no extensions. Its error has no name here but its text.
pub(super) fn is_of_version_1(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_))
        && error.to_string().contains("UnsupportedCertVersion")
}

/// The terms that the settings ask for; none when TLS is spoken nowhere.
///
/// # Errors
/// A setting or a file that is wrong.
pub(crate) fn terms(settings: &TlsSettings) -> Result<Option<Terms>, TlsError> {
    if settings.port == 0 && !settings.metrics {
        return Ok(None);
    }
    let versions = ciphers::versions(&settings.protocols)?;
    let provider = Arc::new(CryptoProvider {
        cipher_suites: ciphers::suites(&settings.ciphers, &settings.ciphersuites)?,
        ..ring::default_provider()
    });
    let key = keys::certified_key(settings, &provider)?;
    let first = key.cert.first();
    let certificate_valid_ms = first
        .and_then(|der| certificate::validity_s(der))
        .map(|(from_s, until_s)| (from_s * 1000, until_s * 1000));
    let authorities = match settings.client_certificates {
        ClientCertificates::No => RootCertStore::empty(),
        ClientCertificates::Required | ClientCertificates::Optional => authorities(settings)?,
    };
    let demands = Demands {
        port: settings.port,
        versions: versions.iter().map(|version| version.version).collect(),
        suites: provider
            .cipher_suites
            .iter()
            .map(|suite| suite.suite())
            .collect(),
        certificates: settings.client_certificates,
        authorities: authorities.roots.clone(),
    };
    let verifier = client_verifier(settings, authorities, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| TlsError::new("tls-protocols", error.to_string()))?;
    let mut config = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    }
    .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.ignore_client_order = settings.prefer_server_ciphers;
    // One for each connection is what a client needs to come again.
    config.send_tls13_tickets = usize::from(settings.session_caching);
    config.session_storage = if settings.session_caching {
        let count = match settings.session_cache_size {
            0 => SESSIONS_DEFAULT,
            count => count,
        };
        Arc::new(sessions::Sessions::new(
            count,
            settings.session_cache_timeout_s,
        ))
    } else {
        Arc::new(NoServerSessionStorage {})
    };
    Ok(Some(Terms {
        config: Arc::new(config),
        certificate_valid_ms,
        demands: Arc::new(demands),
        is_withdrawn: Arc::default(),
    }))
}

/// Who judges the certificates of clients; `None`: they are not asked for one.
fn client_verifier(
    settings: &TlsSettings,
    authorities: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    if settings.client_certificates == ClientCertificates::No {
        return Ok(None);
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(provider));
    let builder = match settings.client_certificates {
        ClientCertificates::Optional => builder.allow_unauthenticated(),
        ClientCertificates::Required | ClientCertificates::No => builder,
    };
    let verifier = builder.build();
    verifier
        .map(Some)
        .map_err(|error| TlsError::new("tls-ca-cert-file", error.to_string()))
}

/// The authorities whose clients are let in.
fn authorities(settings: &TlsSettings) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    if let Some(path) = &settings.ca_cert_file {
        let setting = "tls-ca-cert-file";
        let certificates = keys::certificates(setting, path)?;
        for certificate in certificates {
            store
                .add(certificate)
                .map_err(|error| TlsError::of_file(setting, path, error))?;
        }
    }
    if let Some(path) = &settings.ca_cert_dir {
        let setting = "tls-ca-cert-dir";
        let listing = std::fs::read_dir(path)
            .map_err(|error| TlsError::of_file(setting, path, reason_of(error)))?;
        let before = store.len();
        for entry in listing.flatten().filter(|entry| entry.path().is_file()) {
            // What else lies there is no business of ours.
            let found = keys::certificates(setting, &entry.path()).unwrap_or_default();
            store.add_parsable_certificates(found);
        }
        // In whatever order the directory lists them, and however often: the same authorities ask the same.
        let key = |root: &TrustAnchor<'static>| {
            let (subject, key) = (&root.subject, &root.subject_public_key_info);
            (subject.to_vec(), key.to_vec())
        };
        store.roots[before..].sort_by_cached_key(key);
        store.roots.dedup();
        if store.len() == before {
            return Err(TlsError::of_file(
                setting,
                path,
                "no file there has a certificate",
            ));
        }
    }
    if store.is_empty() {
        return Err(TlsError::new(
            "tls-auth-clients",
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-auth-clients are enabled: name the authority of \
             the clients' certificates, or set tls-auth-clients no",
        ));
    }
    Ok(store)
}
