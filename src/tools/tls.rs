//! TLS to a server: the files of a command line, for the `redis` client and for a raw connection.
//!
//! Invariant: an error names the file.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use redis::{ClientTlsConfig, ConnectionAddr, TlsCertificates};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::raw::left_until;
use crate::cli::TlsArguments;

fn read(option: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {} of {option}", path.display()))
}

fn cannot_use(option: &str, path: &Path, error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot use {} of {option}: {error}", path.display())
}

/// The certificates in a file; at least one.
fn certificates(
    option: &str,
    path: &Path,
    text: &[u8],
) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| cannot_use(option, path, error))?;
    if found.is_empty() {
        return Err(cannot_use(option, path, "there is no certificate in it"));
    }
    Ok(found)
}

/// The certificate to show and its key.
type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What the files hold.
struct Files {
    authorities: Option<Vec<u8>>,
    shown: Option<(Vec<u8>, Vec<u8>)>,
}

impl Files {
    /// Reads them, and sees that they hold what they should.
    fn read(arguments: &TlsArguments) -> anyhow::Result<Self> {
        let mut files = Self {
            authorities: None,
            shown: None,
        };
        if let Some(path) = &arguments.cacert {
            let text = read("--cacert", path)?;
            certificates("--cacert", path, &text)?;
            files.authorities = Some(text);
        }
        if let (Some(certificate), Some(key)) = (&arguments.cert, &arguments.key) {
            let (certificate_text, key_text) = (read("--cert", certificate)?, read("--key", key)?);
            certificates("--cert", certificate, &certificate_text)?;
            PrivateKeyDer::from_pem_slice(&key_text).map_err(|_| {
                cannot_use("--key", key, "there is no key without a password in it")
            })?;
            files.shown = Some((certificate_text, key_text));
        }
        Ok(files)
    }

    /// Those of `--cacert`, else those of the system.
    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(text) => {
                let found = CertificateDer::pem_slice_iter(text).flatten();
                roots.add_parsable_certificates(found);
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        roots
    }

    fn shown(&self) -> Option<Shown> {
        let (certificate, key) = self.shown.as_ref()?;
        let chain = CertificateDer::pem_slice_iter(certificate).flatten();
        let key = PrivateKeyDer::from_pem_slice(key).ok()?;
        Some((chain.collect(), key))
    }
}

/// A client of the `redis` crate for this server.
///
/// # Errors
/// A file that cannot be read or used; options without TLS.
pub(super) fn client(
    info: redis::ConnectionInfo,
    arguments: &TlsArguments,
) -> anyhow::Result<redis::Client> {
    let ConnectionAddr::TcpTls { host, port, .. } = info.addr() else {
        return Ok(redis::Client::open(info)?);
    };
    let address = ConnectionAddr::TcpTls {
        host: host.clone(),
        port: *port,
        insecure: arguments.insecure || is_insecure(info.addr()),
        tls_params: None,
    };
    let info = info.set_addr(address);
    let files = Files::read(arguments)?;
    let shown = files
        .shown
        .map(|(client_cert, client_key)| ClientTlsConfig {
            client_cert,
            client_key,
        });
    let certificates = TlsCertificates {
        client_tls: shown,
        root_cert: files.authorities,
    };
    Ok(redis::Client::build_with_tls(info, certificates)?)
}

/// Whether an address accepts any certificate (`rediss://host#insecure`).
fn is_insecure(address: &ConnectionAddr) -> bool {
    matches!(address, ConnectionAddr::TcpTls { insecure: true, .. })
}

/// A socket of which everything must be done by a deadline.
pub(super) struct Timed {
    socket: TcpStream,
    pub(super) deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = left_until(self.deadline)?;
        self.socket.set_read_timeout(Some(left))?;
        self.socket.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = left_until(self.deadline)?;
        self.socket.set_write_timeout(Some(left))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// TLS on a socket.
pub(super) type Stream = StreamOwned<ClientConnection, Timed>;

/// What is needed for TLS on a raw connection.
pub(super) fn config(
    address: &ConnectionAddr,
    arguments: &TlsArguments,
) -> anyhow::Result<Option<Arc<ClientConfig>>> {
    if !matches!(address, ConnectionAddr::TcpTls { .. }) {
        return Ok(None);
    }
    let files = Files::read(arguments)?;
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = if arguments.insecure || is_insecure(address) {
        let anything = Arc::new(Anything(provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(anything)
    } else {
        let roots = Arc::new(files.roots());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        let verifier = verifier.context("cannot check the server's certificate: use --cacert")?;
        builder.with_webpki_verifier(verifier)
    };
    let config = match files.shown() {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .context("cannot use --cert and --key together")?,
        None => builder.with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

/// TLS on a socket to this host; the handshake comes with the first write.
///
/// # Errors
/// The host has no name that a certificate could have.
pub(super) fn wrap(
    config: Arc<ClientConfig>,
    host: &str,
    socket: TcpStream,
    deadline: Instant,
) -> io::Result<Stream> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, Timed { socket, deadline }))
}

/// Takes any certificate: what --insecure asks for.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.0.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
