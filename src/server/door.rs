//! The door: which accepted sockets become clients, and of which shard.
//!
//! ```text
//! accepted ─► too many? ─► TLS: handshakes.rs, on its own thread ─┐
//!                   └────── plain ────────────────────────────────┴─► strangers turned away ─► the shards, in turn
//! ```
//! Whoever is in a handshake counts as a client. When there are too many a handshake makes room whose client says nothing, or takes
//! long: it is over in milliseconds for who means it.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use tracing::debug;

use crate::acl::User;
use crate::client::registry::ClientOrigin;
use crate::command::context::Shared;
use crate::command::error;
use crate::config::Settings;
use crate::ids::ShardId;
use crate::net::tls::Tls;
use crate::net::transport::ParkedTransport;
use crate::shard::Shard;
use crate::shard::clock::unix_ms;
use crate::shard::mailbox::{Message, Post};
use crate::shard::mailboxes::Mailboxes;

use super::accept::Accepted;
use super::handshakes::{Beginning, Handshakes};
use super::listen;
use super::tls::Terms;
use super::tls::certificate::common_name;

/// Lets sockets in, from any thread.
pub(super) struct Door {
    shared: Arc<Shared>,
    mailboxes: Arc<Mailboxes>,
    turn: AtomicUsize,
}

/// A socket that is turned away, and its last words. Encrypting them takes a while, so it is not done where others wait for a lock.
#[must_use]
pub(super) struct Refusal {
    transport: ParkedTransport,
    text: Vec<u8>,
}

impl Refusal {
    /// Sends the last words, and closes.
    pub(super) fn send(self) {
        self.transport.refuse(&self.text);
    }
}

/// Sends accepted sockets through the door.
pub(super) fn taker(shared: Arc<Shared>, mailboxes: Arc<Mailboxes>) -> impl Fn(Accepted) {
    let door = Arc::new(Door {
        shared,
        mailboxes,
        turn: AtomicUsize::new(0),
    });
    let handshakes = Handshakes::new(Arc::clone(&door));
    move |accepted| door.take(accepted, &handshakes)
}

impl Door {
    fn settings(&self) -> Arc<Settings> {
        let settings = self.shared.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, accepted: Accepted, handshakes: &Handshakes) {
        let settings = self.settings();
        let count = handshakes.count_with(|| self.shared.clients.len());
        let has_room = count < settings.maxclients || handshakes.make_room();
        let counters = &self.shared.observations;
        if has_room {
            counters.connections.fetch_add(1, Ordering::Relaxed);
        } else {
            self.count_rejected();
        }
        let (transport, origin, peer) = match accepted {
            Accepted::Tcp {
                socket,
                peer,
                local,
                tls: Some(terms),
            } => {
                // Redis too: whoever is one too many is closed without a plain-text error.
                if has_room {
                    handshakes.begin(Beginning {
                        socket,
                        peer,
                        local,
                        terms,
                    });
                }
                return;
            }
            Accepted::Tcp {
                socket,
                peer,
                local,
                tls: None,
            } => {
                let origin = origin_of(peer, local, &socket);
                (ParkedTransport::Tcp(socket), origin, Some(peer))
            }
            Accepted::Unix { socket, path } => {
                let address = format!("{path}:0");
                let origin = ClientOrigin {
                    address: address.clone(),
                    local_address: address,
                    fd: socket.as_raw_fd(),
                    unix_socket: true,
                    ..ClientOrigin::default()
                };
                (ParkedTransport::Unix(socket), origin, None)
            }
        };
        if !has_room {
            transport.refuse(b"-ERR max number of clients reached\r\n");
            return;
        }
        if let Some(refusal) = self.admit(transport, origin, peer) {
            refusal.send();
        }
    }

    fn count_rejected(&self) {
        let rejected = &self.shared.observations.rejected_connections;
        rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes a client of a socket whose handshake is over, unless the terms on which it was begun have been replaced
    /// by others. Gives whoever is turned away.
    pub(super) fn admit_shaken(
        &self,
        socket: TcpStream,
        tls: Tls,
        (peer, local): (SocketAddr, SocketAddr),
        terms: &Terms,
    ) -> Option<Refusal> {
        let origin = origin_of(peer, local, &socket);
        let transport = ParkedTransport::Tls(socket, tls);
        if terms.are_current() {
            self.admit(transport, origin, Some(peer))
        } else {
            debug!("The terms of TLS were changed during a handshake (addr={peer}, laddr={local})");
            Some(self.refuse(transport, Vec::new()))
        }
    }

    /// Makes a client of a socket for which there is room. Gives whoever is turned away.
    fn admit(
        &self,
        transport: ParkedTransport,
        mut origin: ClientOrigin,
        peer: Option<SocketAddr>,
    ) -> Option<Refusal> {
        let settings = self.settings();
        if listen::is_turned_away(&settings, || self.shared.users.are_open(), peer) {
            let reason = listen::PROTECTED_MODE_REPLY.as_bytes();
            return Some(self.refuse(transport, reason.to_vec()));
        }
        if settings.tls.names_are_users {
            origin.user = self.user_of(&transport);
            origin.connections_of_user_max = settings.maxclients_per_user;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let shard = ShardId((turn % self.shared.shard_count) as u16);
        if let Some(mut client) = Shard::accept(&self.shared, origin, shard, unix_ms()) {
            client.set_transport(transport);
            self.mailboxes.post(shard, Message::Adopt(client));
            None
        } else {
            let text = error::TOO_MANY_CLIENTS_OF_USER;
            Some(self.refuse(transport, [b"-", text.bytes(), b"\r\n"].concat()))
        }
    }

    fn refuse(&self, transport: ParkedTransport, text: Vec<u8>) -> Refusal {
        self.count_rejected();
        Refusal { transport, text }
    }

    /// The user whose certificate a client has shown. Nobody's, or that of a user who is off: it is let in as others are.
    fn user_of(&self, transport: &ParkedTransport) -> Option<Arc<User>> {
        let ParkedTransport::Tls(_, tls) = transport else {
            return None;
        };
        let name = common_name(tls.peer_certificate()?)?;
        let user = self.shared.users.get(name);
        let user = user.filter(|user| user.rules().is_on());
        if user.is_none() {
            let name = String::from_utf8_lossy(name);
            debug!("No user for the certificate of {name:?}");
        }
        user
    }
}

/// Where a client on the network comes from.
fn origin_of(peer: SocketAddr, local: SocketAddr, socket: &impl AsRawFd) -> ClientOrigin {
    ClientOrigin {
        address: peer.to_string(),
        local_address: local.to_string(),
        fd: socket.as_raw_fd(),
        ..ClientOrigin::default()
    }
}
