//! How a suite comes to a server: by its plain port, over TLS with or without a certificate, as a user with few rights.

use std::process::Command;

use super::authority::Identity;
use super::client::TlsServer;
use super::support::{Server, shard_counts};
use super::users::User;

/// What is shown and believed over TLS.
struct Files {
    authority: String,
    shown: Option<Identity>,
}

/// A way to a server.
pub(crate) struct Door {
    /// The server's name and how it is reached, for messages.
    pub(crate) name: String,
    port: u16,
    files: Option<Files>,
    user: Option<User>,
}

impl Door {
    /// By the plain port.
    pub(crate) fn plain(server: &Server) -> Self {
        Self {
            name: server.name.clone(),
            port: server.port(),
            files: None,
            user: None,
        }
    }

    fn url(&self, user: Option<&User>) -> String {
        let scheme = match self.files {
            Some(_) => "rediss",
            None => "redis",
        };
        let login = user.map_or(String::new(), |user| {
            format!("{}:{}@", user.name, user.password)
        });
        format!("{scheme}://{login}127.0.0.1:{}", self.port)
    }

    /// The files as Python's clients have them in the address.
    fn query(&self) -> String {
        let Some(files) = &self.files else {
            return String::new();
        };
        let mut query = format!("?ssl_cert_reqs=required&ssl_ca_certs={}", files.authority);
        if let Some(shown) = &files.shown {
            let (certificate, key) = (shown.certificate(), shown.key());
            query.push_str(&format!("&ssl_certfile={certificate}&ssl_keyfile={key}"));
        }
        query
    }

    /// Tells a suite in Python or Ruby.
    pub(crate) fn tell(&self, command: &mut Command) {
        let query = self.query();
        command
            .env("MILLRACE_URL", self.url(self.user.as_ref()) + &query)
            .env("MILLRACE_CONTROL_URL", self.url(None) + &query);
    }

    /// Tells a suite in Node, whose clients have the files apart from the address.
    pub(crate) fn tell_node(&self, command: &mut Command) {
        command
            .env("MILLRACE_URL", self.url(self.user.as_ref()))
            .env("MILLRACE_CONTROL_URL", self.url(None));
        if let Some(files) = &self.files {
            command.env("MILLRACE_CA", &files.authority);
            if let Some(shown) = &files.shown {
                command.env("MILLRACE_CERT", shown.certificate());
                command.env("MILLRACE_KEY", shown.key());
            }
        }
    }
}

/// A server that has no other port than the one for TLS, and the way to it.
fn secure(shards: usize, user: Option<User>, shows: bool) -> (TlsServer, Door) {
    let asks = if shows { "yes" } else { "no" };
    let server = TlsServer::start(shards, &["--tls-auth-clients", asks]);
    let mut control = server.server.connect();
    if let Some(user) = &user {
        assert_eq!(control.call(&user.command()).to_string(), "+OK");
    }
    assert_eq!(control.run("CONFIG SET port 0").to_string(), "+OK");
    let door = Door {
        name: format!("{} over TLS", server.server.name),
        port: server.port,
        files: Some(Files {
            authority: server.authority.certificate(),
            shown: shows.then(|| server.authority.issue("client")),
        }),
        user,
    };
    (server, door)
}

/// Runs suites over TLS, where the server alone shows a certificate. As many suites as there are would take long with every
/// number of shards: the first one.
pub(crate) fn over_tls(test: impl Fn(&Door)) {
    let (_server, door) = secure(shard_counts()[0], None, false);
    test(&door);
}

/// Runs suites over TLS as a user with few rights, where both sides show a certificate, with the last number of shards. What
/// the user was denied, in the order of `ACL LOG`, each as `reason object`.
pub(crate) fn as_user(user: User, test: impl Fn(&Door)) -> Vec<String> {
    let shards = *shard_counts().last().unwrap();
    let (server, door) = secure(shards, Some(user), true);
    test(&door);
    let shown = door.files.as_ref().and_then(|files| files.shown.as_ref());
    let mut control = server.connect_with(shown);
    let log = control.run("ACL LOG 1000");
    let denied = log.items().iter().map(|entry| {
        let field = |at: usize| entry.items()[at].text();
        format!("{} {}", field(3), field(7))
    });
    denied.collect()
}
