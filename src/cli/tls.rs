//! Options of the tools for a server that speaks TLS: named as those of redis-cli.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// How to speak TLS with a server whose address begins with rediss://.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TlsArguments {
    /// rediss://: the authority of the server's certificate, PEM; without it those of the system.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) cacert: Option<PathBuf>,
    /// rediss://: a certificate to show to the server, PEM.
    #[arg(long, value_name = "FILE", requires = "key", value_hint = clap::ValueHint::FilePath)]
    pub(crate) cert: Option<PathBuf>,
    /// rediss://: the key of that certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = clap::ValueHint::FilePath)]
    pub(crate) key: Option<PathBuf>,
    /// rediss://: accept any certificate. Whoever is between can read and change everything.
    #[arg(long)]
    pub(crate) insecure: bool,
}

impl TlsArguments {
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.words().is_empty()
    }

    /// As words of a command line.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        let files = [
            ("--cacert", &self.cacert),
            ("--cert", &self.cert),
            ("--key", &self.key),
        ];
        for (option, file) in files {
            if let Some(file) = file {
                words.extend([option.into(), file.into()]);
            }
        }
        if self.insecure {
            words.push("--insecure".into());
        }
        words
    }
}
