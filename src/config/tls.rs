//! What the settings say about TLS.

use std::path::PathBuf;

/// Whether clients show certificates (`tls-auth-clients`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificates {
    /// None is asked for.
    No,
    /// All must.
    Required,
    /// Who shows one must show a good one.
    Optional,
}

/// The settings of TLS. Meaning: the parameters of these names.
#[derive(Clone, PartialEq)]
pub(crate) struct TlsSettings {
    /// 0: no TLS for clients.
    pub(crate) port: u16,
    /// Whether there is a port of the metrics, and TLS is spoken there.
    pub(crate) metrics: bool,
    /// The server's certificate.
    pub(crate) cert_file: Option<PathBuf>,
    /// Its key.
    pub(crate) key_file: Option<PathBuf>,
    /// The password of the key.
    pub(crate) key_password: Option<Vec<u8>>,
    /// Authorities of clients, in a file …
    pub(crate) ca_cert_file: Option<PathBuf>,
    /// … or in those of a directory.
    pub(crate) ca_cert_dir: Option<PathBuf>,
    /// Whether clients show certificates.
    pub(crate) client_certificates: ClientCertificates,
    /// Whether the name in a certificate is that of a user, who is logged in by it.
    pub(crate) names_are_users: bool,
    /// Versions, as written.
    pub(crate) protocols: String,
    /// Ciphers of TLS 1.2, as written.
    pub(crate) ciphers: String,
    /// Ciphers of TLS 1.3, as written.
    pub(crate) ciphersuites: String,
    /// Whether the server's order of ciphers counts.
    pub(crate) prefer_server_ciphers: bool,
    /// Whether sessions are kept.
    pub(crate) session_caching: bool,
    /// How many.
    pub(crate) session_cache_size: usize,
    /// For how long, seconds.
    pub(crate) session_cache_timeout_s: u64,
    /// How often one of these was set: the files are read again each time, also when their names are the same.
    pub(crate) changes: u64,
}

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password stays out of any log.
        let mut shown = f.debug_struct("TlsSettings");
        shown.field("port", &self.port);
        shown.field("cert_file", &self.cert_file);
        shown.field("key_file", &self.key_file);
        shown.finish_non_exhaustive()
    }
}
