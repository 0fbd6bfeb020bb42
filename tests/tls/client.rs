//! A blocking client over TLS, and servers that speak it.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::authority::{Authority, Identity};
use crate::support::client::encode;
use crate::support::frame::EndFinder;
use crate::support::{Frame, Server};

const PATIENCE: Duration = Duration::from_secs(30);

/// The end of a connection of which the server has told (`close_notify`). One of which it has not is `UnexpectedEof`, as in rustls.
pub(crate) const TOLD_END: io::ErrorKind = io::ErrorKind::ConnectionAborted;

/// Both versions that are served.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// A server with a port for TLS beside the plain one.
pub(crate) struct TlsServer {
    pub(crate) server: Server,
    pub(crate) port: u16,
    pub(crate) authority: Authority,
}

/// What is free now.
pub(crate) fn free_port() -> u16 {
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    probe.local_addr().unwrap().port()
}

impl TlsServer {
    /// With an authority of its own, which clients need not know (unless `options` say so).
    pub(crate) fn start(shards: usize, options: &[&str]) -> Self {
        let authority = Authority::new("Test Authority");
        let identity = authority.issue("server");
        let (port, authority_file) = (free_port(), authority.certificate());
        let text = port.to_string();
        let mut all = vec![
            "--tls-port",
            &text,
            "--tls-cert-file",
            identity.certificate(),
        ];
        all.extend(["--tls-key-file", identity.key()]);
        all.extend(["--tls-ca-cert-file", &authority_file]);
        all.extend(["--tls-auth-clients", "no"]);
        all.extend(options);
        Self {
            server: Server::millrace_with(shards, &all),
            port,
            authority,
        }
    }

    /// A client that knows the authority and shows nothing.
    pub(crate) fn connect(&self) -> TlsClient {
        self.connect_with(None)
    }

    /// One that shows this.
    pub(crate) fn connect_with(&self, shown: Option<&Identity>) -> TlsClient {
        let config = config(&self.authority, shown, &VERSIONS);
        TlsClient::connect(self.port, &config).unwrap()
    }
}

/// How a client speaks: whom it knows, what it shows.
pub(crate) fn config(
    authority: &Authority,
    shown: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority.certificate()).unwrap();
    roots.add(certificate).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = vec![CertificateDer::from_pem_file(&identity.certificate).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&identity.key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

/// A connection.
pub(crate) struct TlsClient {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    input: Vec<u8>,
}

impl TlsClient {
    /// Connects, and shakes hands as far as a client sees it: with TLS 1.3 a server that does not like its certificate says so later.
    pub(crate) fn connect(port: u16, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let mut client = Self::begin(port, config)?;
        while client.stream.conn.is_handshaking() {
            client.stream.conn.complete_io(&mut client.stream.sock)?;
        }
        Ok(client)
    }

    /// Connects, and has not said anything yet.
    pub(crate) fn begin(port: u16, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        Ok(Self::over(socket, connection))
    }

    /// Over a connection of any address.
    pub(crate) fn over(socket: TcpStream, connection: ClientConnection) -> Self {
        Self {
            stream: StreamOwned::new(connection, socket),
            input: Vec::new(),
        }
    }

    /// Sends a command.
    pub(crate) fn send<A: AsRef<[u8]>>(&mut self, arguments: &[A]) {
        let mut bytes = Vec::new();
        encode(arguments, &mut bytes);
        self.stream.write_all(&bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// The next reply, or why there is none.
    pub(crate) fn try_reply(&mut self) -> io::Result<Frame> {
        let mut finder = EndFinder::new(0);
        let mut chunk = vec![0; 256 * 1024];
        loop {
            if let Some(end) = finder.end(&self.input) {
                let frame = Frame::parse(&self.input[..end]);
                self.input.drain(..end);
                return Ok(frame);
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(TOLD_END.into()),
                count => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// The next reply.
    pub(crate) fn reply(&mut self) -> Frame {
        self.try_reply().unwrap()
    }

    /// Runs a command.
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Frame {
        self.send(arguments);
        self.reply()
    }

    /// Runs a command given as words separated by blanks.
    pub(crate) fn run(&mut self, line: &str) -> Frame {
        self.call(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs a command; `None` when the connection has ended.
    pub(crate) fn try_reply_to(&mut self, line: &str) -> Option<Frame> {
        let mut bytes = Vec::new();
        encode(&line.split_whitespace().collect::<Vec<_>>(), &mut bytes);
        let sent = self.stream.write_all(&bytes);
        sent.and_then(|()| self.stream.flush()).ok()?;
        self.try_reply().ok()
    }

    /// The name of the certificate that the server has shown.
    pub(crate) fn server_certificate(&self) -> Vec<u8> {
        let shown = self.stream.conn.peer_certificates().unwrap();
        shown[0].to_vec()
    }
}

/// Whether a client with this configuration is served.
pub(crate) fn is_served(port: u16, config: &Arc<ClientConfig>) -> bool {
    let Ok(mut client) = TlsClient::connect(port, config) else {
        return false;
    };
    let mut bytes = Vec::new();
    encode(&["PING"], &mut bytes);
    let sent = client
        .stream
        .write_all(&bytes)
        .and_then(|()| client.stream.flush());
    sent.is_ok()
        && client
            .try_reply()
            .is_ok_and(|reply| reply.to_string() == "+PONG")
}
