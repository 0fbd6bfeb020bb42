//! Certificates for servers and clients under test: made for each test, in a directory of its own.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Identity {
    /// The path of the certificate as text.
    pub(crate) fn certificate(&self) -> &str {
        self.certificate.to_str().unwrap()
    }

    /// The path of the key as text.
    pub(crate) fn key(&self) -> &str {
        self.key.to_str().unwrap()
    }
}

/// Somebody who signs certificates.
pub(crate) struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.crt"), certificate.pem()).unwrap();
        Self {
            directory,
            issuer: Issuer::new(params, key),
        }
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file of its own certificate.
    pub(crate) fn certificate(&self) -> String {
        self.directory().join("ca.crt").display().to_string()
    }

    /// A certificate for a name, valid at `127.0.0.1` and `localhost`.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        self.issue_as(name, name)
    }

    /// The same in files of another name; those that are there are replaced.
    pub(crate) fn issue_as(&self, name: &str, file: &str) -> Identity {
        self.sign(params(name), file)
    }

    /// One that was valid once.
    pub(crate) fn issue_expired(&self, name: &str) -> Identity {
        self.issue_for_year(name, 2019)
    }

    /// One that is valid in this year only.
    pub(crate) fn issue_for_year(&self, name: &str, year: i32) -> Identity {
        let mut params = params(name);
        params.not_before = rcgen::date_time_ymd(year, 1, 1);
        params.not_after = rcgen::date_time_ymd(year + 1, 1, 1);
        self.sign(params, &format!("{name}-{year}"))
    }

    fn sign(&self, params: CertificateParams, file: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity = Identity {
            certificate: self.directory().join(format!("{file}.crt")),
            key: self.directory().join(format!("{file}.key")),
        };
        std::fs::write(&identity.certificate, certificate.pem()).unwrap();
        std::fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

fn params(name: &str) -> CertificateParams {
    let hosts = ["127.0.0.1", "localhost"].map(str::to_owned);
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
