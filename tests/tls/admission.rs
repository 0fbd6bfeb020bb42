//! Who is let in when the handshake is over: what has changed meanwhile, whose user it is, how many there are.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::authority::Authority;
use super::client::{TOLD_END, TlsClient, TlsServer, VERSIONS, config, free_port, is_served};
use crate::support::{Client, Frame, Outcome, shard_counts};

/// A client whose server has answered its first words, and waits for the next.
fn half_way(server: &TlsServer, config: &Arc<ClientConfig>) -> TlsClient {
    let mut client = TlsClient::begin(server.port, config).unwrap();
    let (connection, socket) = (&mut client.stream.conn, &mut client.stream.sock);
    while connection.wants_write() {
        connection.write_tls(socket).unwrap();
    }
    connection.read_tls(socket).unwrap();
    client
}

/// Whether it is served when it goes on.
fn goes_on(mut client: TlsClient) -> bool {
    client.stream.conn.process_new_packets().unwrap();
    while client.stream.conn.is_handshaking() {
        let (connection, socket) = (&mut client.stream.conn, &mut client.stream.sock);
        if connection.complete_io(socket).is_err() {
            return false;
        }
    }
    let sent = client.stream.write_all(b"PING\r\n");
    let is_sent = sent.and_then(|()| client.stream.flush()).is_ok();
    match client.try_reply() {
        Ok(reply) => is_sent && reply.to_string() == "+PONG",
        Err(error) => {
            // Not an end without a word, which may be anybody's. A reset is that of a socket with words that were not read.
            let was_told = [TOLD_END, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(was_told.contains(&error.kind()), "{error}");
            false
        }
    }
}

/// Stands for a port that is free when it is set.
const ANOTHER_PORT: &str = "another";

/// Has the server listen on another port. Somebody may take it first: then there are others.
fn move_port(control: &mut Client) {
    let set = |_| {
        let port = free_port().to_string();
        control.call(&["CONFIG", "SET", "tls-port", &port])
    };
    let mut replies = (0..5).map(set).map(|reply| reply.to_string());
    assert!(replies.any(|reply| reply == "+OK"));
}

#[test]
fn whoever_was_in_a_handshake_when_other_terms_were_set_is_held_to_them() {
    let stranger = Authority::new("Somebody Else");
    let ca = stranger.certificate();
    for (version, name) in VERSIONS.into_iter().zip(["TLSv1.2", "TLSv1.3"]) {
        let other = if name == "TLSv1.2" {
            "TLSv1.3"
        } else {
            "TLSv1.2"
        };
        for (setting, value, stays) in [
            ("tls-auth-clients", "yes", false),
            ("tls-protocols", other, false),
            ("tls-ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305", false),
            ("tls-ca-cert-file", &ca, false),
            ("tls-port", ANOTHER_PORT, false),
            ("tls-port", "0", false),
            // Renewed certificates and the like close nobody.
            ("tls-cert-file", "", true),
            ("tls-session-caching", "no", true),
            ("tls-prefer-server-ciphers", "yes", true),
        ] {
            let server = TlsServer::start(1, &["--tls-auth-clients", "optional"]);
            let config = config(&server.authority, None, &[version]);
            let (client, alike) = (half_way(&server, &config), half_way(&server, &config));
            assert!(goes_on(alike), "nothing has changed");
            let renewed = server.authority.issue("server");
            let value = if setting == "tls-cert-file" {
                renewed.certificate()
            } else {
                value
            };
            let mut control = server.server.connect();
            if value == ANOTHER_PORT {
                move_port(&mut control);
            } else {
                let set = control.call(&["CONFIG", "SET", setting, value]);
                assert_eq!(set.to_string(), "+OK", "{setting} {value}");
            }
            assert_eq!(goes_on(client), stays, "{setting} {value} {name}");
        }
    }
}

#[test]
fn terms_that_were_changed_and_changed_back_are_new_ones() {
    let server = TlsServer::start(1, &[]);
    let config = config(&server.authority, None, &VERSIONS);
    let mut control = server.server.connect();
    let mut set = |setting, value| {
        let set = control.call(&["CONFIG", "SET", setting, value]);
        assert_eq!(set.to_string(), "+OK", "{setting} {value}");
    };
    let client = half_way(&server, &config);
    set("tls-session-caching", "no");
    set("tls-auth-clients", "yes");
    set("tls-auth-clients", "no");
    assert!(!goes_on(client));
    assert!(is_served(server.port, &config));
}

/// An address of this machine that is not a loopback one.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn protected_mode_turns_strangers_away_and_tells_them_why() {
    let Some(address) = outer_address() else {
        println!(
            "not tested: this machine has no address but loopback ones, so nobody is a stranger"
        );
        return;
    };
    for shards in shard_counts() {
        let options = ["--bind", "0.0.0.0", "--protected-mode", "yes"];
        let server = TlsServer::start(shards, &options);
        for version in VERSIONS {
            let config = config(&server.authority, None, &[version]);
            let connect = || {
                let socket = TcpStream::connect((address, server.port)).unwrap();
                socket
                    .set_read_timeout(Some(Duration::from_secs(30)))
                    .unwrap();
                let name = ServerName::try_from("localhost").unwrap();
                let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
                TlsClient::over(socket, connection)
            };
            let mut stranger = connect();
            let told = stranger.reply().to_string();
            assert!(told.starts_with("-DENIED "), "{told}");
            let end = stranger.try_reply().unwrap_err();
            assert_eq!(end.kind(), TOLD_END, "{end}");
            // Who comes from this machine is served, and with a password anybody is.
            assert!(is_served(server.port, &config));
            let mut control = server.server.connect();
            control.run("ACL SETUSER default >secret resetpass >secret");
            assert_eq!(connect().run("AUTH secret").to_string(), "+OK");
            let mut control = server.server.connect();
            control.run("AUTH secret");
            control.run("ACL SETUSER default nopass");
        }
    }
}

/// A server whose clients are the users of their certificates, and a configuration for such a client.
fn server_of_users(shards: usize, options: &[&str]) -> (TlsServer, Arc<ClientConfig>) {
    let names = ["--tls-auth-clients", "yes", "--tls-auth-clients-user", "CN"];
    let server = TlsServer::start(shards, &[&names[..], options].concat());
    let shown = server.authority.issue("alice");
    let config = config(&server.authority, Some(&shown), &VERSIONS);
    (server, config)
}

#[test]
fn a_user_has_no_more_connections_by_certificate_than_it_may() {
    for shards in shard_counts() {
        let (server, config) = server_of_users(shards, &["--maxclients-per-user", "2"]);
        let mut control = server.server.connect();
        control.run("ACL SETUSER alice on >pw ~* +@all");
        let connect = || TlsClient::connect(server.port, &config).unwrap();
        let (mut one, mut two) = (connect(), connect());
        assert_eq!(one.run("ACL WHOAMI").text(), "alice");
        assert_eq!(two.run("ACL WHOAMI").text(), "alice");
        let refused = "-ERR max number of clients of this user reached: close some, or raise maxclients-per-user";
        let mut third = connect();
        assert_eq!(third.reply().to_string(), refused);
        assert_eq!(third.try_reply().unwrap_err().kind(), TOLD_END);
        assert_eq!(control.run("AUTH alice pw").to_string(), refused);
        assert_eq!(
            one.run("AUTH alice pw").to_string(),
            "+OK",
            "it is she already"
        );
        // A place is free as soon as one has left, or is another user.
        assert_eq!(two.run("RESET").to_string(), "+RESET");
        let mut fourth = connect();
        assert_eq!(fourth.run("ACL WHOAMI").text(), "alice");
        drop(fourth);
        let begun = Instant::now();
        while connect().try_reply_to("ACL WHOAMI") != Some(Frame::Bulk(b"alice".to_vec())) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "her place is not free again"
            );
        }
        assert_eq!(
            control.run("AUTH default x").to_string(),
            "+OK",
            "any number of them"
        );
    }
}

/// A client of either port.
enum Either {
    Plain(Client),
    Tls(Box<TlsClient>),
}

impl Either {
    /// Runs a command; `None` when the connection has ended.
    fn run(&mut self, line: &str) -> Option<Frame> {
        match self {
            Self::Tls(client) => client.try_reply_to(line),
            Self::Plain(client) => {
                client.send_line(line);
                match client.poll(Duration::from_secs(30)) {
                    Outcome::Reply(reply) => Some(Frame::parse(&reply)),
                    Outcome::Closed | Outcome::Quiet => None,
                }
            }
        }
    }
}

/// Logs in, by certificate or by password, and asks who it is until it is nobody any more, or was deleted.
fn be_alice(
    (server, config): (&TlsServer, &Arc<ClientConfig>),
    plain: Option<Either>,
    barrier: &Barrier,
    is_deleted: &AtomicBool,
) {
    let by_password = plain.is_some();
    barrier.wait();
    let connect = || TlsClient::connect(server.port, config).ok();
    let Some(mut client) = plain.or_else(|| connect().map(|it| Either::Tls(Box::new(it)))) else {
        return;
    };
    if by_password {
        client.run("AUTH alice pw");
    }
    loop {
        let was_deleted = is_deleted.load(Ordering::SeqCst);
        let is_alice = client.run("ACL WHOAMI") == Some(Frame::Bulk(b"alice".to_vec()));
        assert!(!(is_alice && was_deleted), "she is still there");
        if was_deleted || !is_alice {
            return;
        }
    }
}

#[test]
fn whoever_is_logged_in_while_its_user_is_deleted_does_nothing_after_it() {
    const CLIENTS: usize = 6;
    for shards in shard_counts() {
        let (server, config) = server_of_users(shards, &[]);
        let mut control = server.server.connect();
        for round in 0..30 {
            control.run("ACL SETUSER alice on >pw ~* +@all");
            let (barrier, is_deleted) = (Barrier::new(CLIENTS + 1), AtomicBool::new(false));
            std::thread::scope(|scope| {
                for number in 0..CLIENTS {
                    let side = (&server, &config);
                    let (barrier, is_deleted) = (&barrier, &is_deleted);
                    let plain = (number % 2 == 0).then(|| Either::Plain(server.server.connect()));
                    scope.spawn(move || be_alice(side, plain, barrier, is_deleted));
                }
                barrier.wait();
                // At another moment of their logins each time.
                let (begun, wait) = (Instant::now(), Duration::from_micros(150 * round));
                while begun.elapsed() < wait {
                    std::thread::yield_now();
                }
                assert_eq!(control.run("ACL DELUSER alice").to_string(), ":1");
                is_deleted.store(true, Ordering::SeqCst);
            });
            let list = control.run("CLIENT LIST").text();
            assert!(!list.contains(" user=alice "), "{list}");
        }
    }
}
