//! Accepting: one task per listening socket, and changes of the listening sockets while running.
//!
//! ```text
//! listener ─ task ─┐
//! listener ─ task ─┼─► take(Accepted)      rebind(settings): tasks end, sockets close, new ones open,
//! unix     ─ task ─┘                        or the old ones again if that fails
//! ```
//!
//! Which shard gets a socket, how many clients there may be and who is turned away is for `take` to say.
//! Runs in a `LocalSet` on the acceptor's thread; no socket leaves but by `take`.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::warn;

use super::error::{StartError, reason_of};
use super::listen::{self, Listener, UnixListener};
use super::tls::{Terms, TermsInForce};
use crate::config::Settings;
use crate::limits::ACCEPT_PAUSE_MS;

/// A client's socket, non-blocking, bound to no runtime.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// From the network.
    Tcp {
        /// The socket, its options set.
        socket: std::net::TcpStream,
        /// The client's address.
        peer: SocketAddr,
        /// Ours.
        local: SocketAddr,
        /// TLS is to be spoken, on these terms.
        tls: Option<Terms>,
    },
    /// From this machine by path.
    Unix {
        /// The socket.
        socket: std::os::unix::net::UnixStream,
        /// The listener's path.
        path: Rc<str>,
    },
}

/// Who takes accepted sockets. Called on the acceptor's thread; must not block.
pub(crate) type Take = Rc<dyn Fn(Accepted)>;

/// The tasks that accept.
pub(crate) struct Acceptors {
    tcp: Vec<JoinHandle<()>>,
    unix: Vec<JoinHandle<()>>,
    take: Take,
    keepalive_s: Rc<Cell<u32>>,
    /// Those of the connections that are accepted next.
    terms: TermsInForce,
}

impl Acceptors {
    /// Starts to accept. Call inside a `LocalSet`.
    ///
    /// # Errors
    /// The runtime does not take a socket.
    pub(crate) fn start(
        listeners: Vec<Listener>,
        settings: &Settings,
        terms: TermsInForce,
        take: Take,
    ) -> Result<Acceptors, StartError> {
        let keepalive_s = Rc::new(Cell::new(settings.tcp_keepalive_s));
        let mut acceptors = Acceptors {
            tcp: Vec::new(),
            unix: Vec::new(),
            take,
            keepalive_s,
            terms,
        };
        acceptors.add(listeners)?;
        Ok(acceptors)
    }

    fn add(&mut self, listeners: Vec<Listener>) -> Result<(), StartError> {
        let failed = |error: std::io::Error| StartError::Runtime(reason_of(error));
        for listener in listeners {
            let take = Rc::clone(&self.take);
            let (listener, terms) = match listener {
                Listener::Tcp(listener) => (listener, None),
                Listener::Tls(listener) => (listener, Some(self.terms.clone())),
                Listener::Unix(listener) => {
                    let socket = listener.listener().try_clone().map_err(failed)?;
                    let socket = tokio::net::UnixListener::from_std(socket).map_err(failed)?;
                    self.unix.push(tokio::task::spawn_local(accept_unix(
                        socket, listener, take,
                    )));
                    continue;
                }
            };
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            let keepalive_s = Rc::clone(&self.keepalive_s);
            let accepting = accept_tcp(listener, keepalive_s, terms, take);
            self.tcp.push(tokio::task::spawn_local(accepting));
        }
        Ok(())
    }

    /// Keepalive for the sockets accepted from now on, seconds.
    pub(crate) fn set_keepalive(&self, keepalive_s: u32) {
        self.keepalive_s.set(keepalive_s);
    }

    /// The terms of TLS for the connections accepted from now on.
    pub(crate) fn set_terms(&self, terms: Option<Terms>) {
        self.terms.replace(terms);
    }

    /// Listens on the TCP addresses of `after` instead of those of `before`; clients stay connected.
    ///
    /// # Errors
    /// An address cannot be listened on: those of `before` are in use again.
    pub(crate) async fn rebind(
        &mut self,
        before: &Settings,
        after: &Settings,
    ) -> Result<(), StartError> {
        // The old sockets close first: an address may be part of both.
        end(&mut self.tcp).await;
        match listen::open_tcp(after) {
            Ok(listeners) => self.add(listeners),
            Err(error) => {
                warn!("Failed to listen on the new addresses: {error}");
                self.add(listen::open_tcp(before)?)?;
                Err(error)
            }
        }
    }

    /// Accepts no more: sockets are closed, the unix socket's file is gone.
    pub(crate) async fn stop(mut self) {
        end(&mut self.tcp).await;
        end(&mut self.unix).await;
    }
}

/// Ends tasks and waits until their sockets are closed.
async fn end(tasks: &mut Vec<JoinHandle<()>>) {
    for task in tasks.drain(..) {
        task.abort();
        let _ = task.await;
    }
}

/// `terms`: TLS is spoken there.
async fn accept_tcp(
    listener: tokio::net::TcpListener,
    keepalive_s: Rc<Cell<u32>>,
    terms: Option<TermsInForce>,
    take: Take,
) {
    loop {
        let accepted = match listener.accept().await {
            Ok((socket, peer)) => socket.local_addr().and_then(|local| {
                let socket = socket.into_std()?;
                listen::prepare_accepted(&socket, keepalive_s.get());
                let tls = terms.as_ref().map(TermsInForce::now).transpose()?;
                Ok(Accepted::Tcp {
                    socket,
                    peer,
                    local,
                    tls,
                })
            }),
            Err(error) => Err(error),
        };
        hand_over(accepted, &take).await;
    }
}

async fn accept_unix(listener: tokio::net::UnixListener, file: UnixListener, take: Take) {
    let path: Rc<str> = file.path().to_string_lossy().into();
    loop {
        let accepted = match listener.accept().await {
            Ok((socket, _)) => socket.into_std().map(|socket| Accepted::Unix {
                socket,
                path: Rc::clone(&path),
            }),
            Err(error) => Err(error),
        };
        hand_over(accepted, &take).await;
    }
}

async fn hand_over(accepted: std::io::Result<Accepted>, take: &Take) {
    match accepted {
        Ok(accepted) => take(accepted),
        // The client was gone before it was accepted: nothing is wrong here.
        Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
        Err(error) => {
            warn!("Accepting client connection: {}", reason_of(error));
            tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::Configuration;
    use std::cell::RefCell;

    fn settings(words: &[&str]) -> Settings {
        Configuration::load(words, &mut std::io::empty())
            .unwrap()
            .settings()
    }

    fn free_port() -> String {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        probe.local_addr().unwrap().port().to_string()
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn sockets_are_handed_over_also_after_rebinding_to_the_same_port() {
        run(async {
            let port = free_port();
            let before = settings(&["--port", &port, "--bind", "127.0.0.1"]);
            let seen = Rc::new(RefCell::new(Vec::new()));
            let take: Take = {
                let seen = Rc::clone(&seen);
                Rc::new(move |accepted| seen.borrow_mut().push(accepted))
            };
            let listeners = listen::open_all(&before).unwrap();
            let mut acceptors =
                Acceptors::start(listeners, &before, TermsInForce::default(), take).unwrap();
            let connect = || tokio::net::TcpStream::connect(format!("127.0.0.1:{port}"));
            let wait_for = async |count: usize| {
                while seen.borrow().len() < count {
                    tokio::task::yield_now().await;
                }
            };
            let _first = connect().await.unwrap();
            wait_for(1).await;
            let after = settings(&["--port", &port, "--bind", "*"]);
            acceptors.rebind(&before, &after).await.unwrap();
            let _second = connect().await.unwrap();
            wait_for(2).await;
            // An address that is not here: the old ones serve on.
            let wrong = settings(&["--port", &port, "--bind", "192.0.2.1"]);
            acceptors.rebind(&after, &wrong).await.unwrap_err();
            let _third = connect().await.unwrap();
            wait_for(3).await;
            acceptors.stop().await;
            assert!(connect().await.is_err());
        });
    }
}
