//! The ways by which the same attacks come to a server: as they are, over TLS, and as a user with few rights.

use std::net::SocketAddr;

use super::authority::Authority;
use super::client::{VERSIONS, config, free_port};
use super::driver::request;
use super::support::Server;
use super::tunnel::{Service, Tunnel};

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As they are.
    Plain,
    /// Over TLS.
    Tls,
    /// Logged in as a user with few rights.
    User,
}

/// The user: it is judged by its rules for each command, key and channel. What the attacks look at and set it may as well.
const USER: &str =
    "limited on >secret ~[a-z]* &[a-z]* &* +@all -acl -shutdown -debug -function -replicaof";

impl Way {
    /// By its name: of scripts/attacks.sh.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "" | "plain" => Self::Plain,
            "tls" => Self::Tls,
            "user" => Self::User,
            other => panic!("no way {other}: plain, tls or user"),
        }
    }

    /// What is said of it before the name of a case.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tls => "over TLS: ",
            Self::User => "as a user: ",
        }
    }
}

/// A server and the way to it.
pub(crate) struct Target {
    /// The server.
    pub(crate) server: Server,
    address: SocketAddr,
    service: Service,
    is_plain: bool,
    /// Its files are those of the server.
    _authority: Option<Authority>,
}

/// Where attackers connect to, as long as this is kept.
pub(crate) struct Entrance {
    /// There.
    pub(crate) address: SocketAddr,
    _tunnel: Option<Tunnel>,
}

/// The server, with so many shards; redis-server for 0.
fn start(shards: usize, options: &[&str]) -> Server {
    match shards {
        0 => Server::oracle_with(options),
        shards => Server::millrace_with(shards, options),
    }
}

impl Target {
    /// Starts a server for this way. Strangers do not log in.
    pub(crate) fn start(way: Way, shards: usize, options: &[&str]) -> Self {
        if way == Way::Tls {
            return Self::start_tls(shards, options);
        }
        let user: Vec<&str> = USER.split(' ').collect();
        let more = [&["--user"][..], &user].concat();
        let server = match way {
            Way::User => start(shards, &[options, &more].concat()),
            _ => start(shards, options),
        };
        let logs_in = way == Way::User && !options.contains(&"--requirepass");
        let login = if logs_in {
            request("AUTH limited secret")
        } else {
            Vec::new()
        };
        Self {
            address: server.address(),
            server,
            is_plain: !logs_in,
            service: Service { tls: None, login },
            _authority: None,
        }
    }

    fn start_tls(shards: usize, options: &[&str]) -> Self {
        let authority = Authority::new("Test Authority");
        let identity = authority.issue("server");
        let (port, own) = (free_port(), authority.certificate());
        let number = port.to_string();
        let more = [
            "--tls-port",
            &number,
            "--tls-cert-file",
            identity.certificate(),
            "--tls-key-file",
            identity.key(),
            "--tls-ca-cert-file",
            &own,
            "--tls-auth-clients",
            "no",
        ];
        let service = Service {
            tls: Some(config(&authority, None, &VERSIONS)),
            login: Vec::new(),
        };
        Self {
            server: start(shards, &[options, &more].concat()),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            service,
            is_plain: false,
            _authority: Some(authority),
        }
    }

    /// A way in of its own: what others send does not hold up who uses it.
    pub(crate) fn entrance(&self) -> Entrance {
        if self.is_plain {
            return Entrance {
                address: self.address,
                _tunnel: None,
            };
        }
        let tunnel = Tunnel::start(self.address, self.service.clone());
        Entrance {
            address: tunnel.address,
            _tunnel: Some(tunnel),
        }
    }
}
