//! Handshakes of TLS: on a thread of their own, each within ten seconds.
//!
//! ```text
//! door ─ Begin ─► task: hello ─► keys, certificate ─► finished ─► door.admit       a failure: the peer is told, one line in the log
//!      ─ MakeRoom ─► the oldest task ends
//! ```
//! A handshake costs as much as hundreds of commands: nobody who is served waits for it, and many at once share one core.
//!
//! Invariants: a task that ends, in whichever way, counts no more; who has sent nothing costs a socket and no buffer.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as TlsFailure, InvalidMessage};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, LocalSet};
use tracing::{debug, error, warn};

use crate::limits::{TLS_FAILURE_ADDRESSES_MAX, TLS_FAILURE_LINE_MS, TLS_HANDSHAKE_MS};
use crate::net::tls::Tls;
use crate::net::transport::ParkedTransport;
use crate::shard::clock::unix_ms;

use super::door::{Door, origin_of};
use super::tls::Terms;

/// Bytes read from a socket at once.
const READ_BYTES: usize = 16 * 1024;

/// A connection on which nothing was said yet.
pub(super) struct Beginning {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) terms: Terms,
}

/// One of the handshakes that count, as long as it lives.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn new(under_way: &Arc<AtomicUsize>) -> Self {
        under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(under_way))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Request {
    Begin(Box<Beginning>, Place),
    MakeRoom,
}

/// The handshakes, as the door sees them.
pub(super) struct Handshakes {
    door: Arc<Door>,
    /// Made with the thread, by the first one.
    requests: OnceLock<UnboundedSender<Request>>,
    /// How many are under way, those included that nobody has looked at yet.
    under_way: Arc<AtomicUsize>,
}

impl Handshakes {
    /// None yet.
    pub(super) fn new(door: Arc<Door>) -> Self {
        Self {
            door,
            requests: OnceLock::new(),
            under_way: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Begins one.
    pub(super) fn begin(&self, beginning: Beginning) {
        let requests = self.requests.get_or_init(|| {
            let (sender, receiver) = unbounded_channel();
            let door = Arc::clone(&self.door);
            let thread = std::thread::Builder::new().name("handshakes".to_owned());
            if let Err(reason) = thread.spawn(move || run(receiver, door)) {
                error!("Cannot start the thread for TLS: {reason}");
            }
            sender
        });
        let begin = Request::Begin(Box::new(beginning), Place::new(&self.under_way));
        // Without its thread nobody is served by TLS; the others are.
        let _ = requests.send(begin);
    }

    /// Ends the oldest one; false when there is none.
    pub(super) fn make_room(&self) -> bool {
        let requests = self.requests.get().filter(|_| self.under_way() > 0);
        requests.is_some_and(|requests| requests.send(Request::MakeRoom).is_ok())
    }
}

/// The thread.
fn run(requests: UnboundedReceiver<Request>, door: Arc<Door>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => LocalSet::new().block_on(&runtime, serve(requests, door)),
        Err(reason) => error!("Cannot start the thread for TLS: {reason}"),
    }
}

/// What the handshakes of the thread share.
struct Hall {
    door: Arc<Door>,
    /// Those under way, by their age.
    tasks: RefCell<BTreeMap<u64, AbortHandle>>,
    failures: RefCell<Failures>,
    scratch: RefCell<Box<[u8]>>,
}

async fn serve(mut requests: UnboundedReceiver<Request>, door: Arc<Door>) {
    let hall = Rc::new(Hall {
        door,
        tasks: RefCell::default(),
        failures: RefCell::default(),
        scratch: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
    });
    let mut number = 0;
    while let Some(request) = requests.recv().await {
        match request {
            Request::Begin(beginning, place) => {
                number += 1;
                let task = shake_in_time(Rc::clone(&hall), *beginning, place, number);
                let task = tokio::task::spawn_local(task);
                // It has not run yet.
                hall.tasks.borrow_mut().insert(number, task.abort_handle());
            }
            Request::MakeRoom => {
                if let Some((_, oldest)) = hall.tasks.borrow_mut().pop_first() {
                    oldest.abort();
                }
            }
        }
    }
}

async fn shake_in_time(hall: Rc<Hall>, beginning: Beginning, place: Place, number: u64) {
    let Beginning { peer, local, .. } = beginning;
    let limit = Duration::from_millis(TLS_HANDSHAKE_MS);
    let shaken = tokio::time::timeout(limit, shake(&hall, beginning)).await;
    hall.tasks.borrow_mut().remove(&number);
    match shaken.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
        Ok((socket, tls)) => {
            let origin = origin_of(peer, local, &socket);
            hall.door
                .admit(ParkedTransport::Tls(socket, tls), origin, Some(peer));
        }
        Err(error) => hall.tell(peer, local, &error),
    }
    // It is counted among the clients by now.
    drop(place);
}

/// The handshake.
async fn shake(hall: &Hall, beginning: Beginning) -> io::Result<(TcpStream, Tls)> {
    let socket = tokio::net::TcpStream::from_std(beginning.socket)?;
    socket.readable().await?;
    let mut tls = Tls::new(beginning.terms)?;
    loop {
        let taken = {
            let mut scratch = hall.scratch.borrow_mut();
            match socket.try_read(&mut scratch) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => tls.shake(scratch.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error),
            }
        };
        while let Err(error) = tls.flush(|records| socket.try_write(records)) {
            // What is wrong is told if there is room for it.
            if error.kind() != ErrorKind::WouldBlock || taken.is_err() {
                break;
            }
            socket.writable().await?;
        }
        taken?;
        if !tls.is_handshaking() && !tls.has_unsent() {
            return Ok((socket.into_std()?, tls));
        }
        if tls.has_ended() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        socket.readable().await?;
    }
}

impl Hall {
    /// A handshake has failed.
    fn tell(&self, peer: SocketAddr, local: SocketAddr, error: &io::Error) {
        if error.kind() == ErrorKind::UnexpectedEof || error.kind() == ErrorKind::ConnectionReset {
            // Whoever looks whether the port is open does so, every few seconds.
            debug!("A client left in its TLS handshake (addr={peer}, laddr={local})");
            return;
        }
        let due = self.failures.borrow_mut().note(peer.ip(), unix_ms());
        let Some(others) = due else {
            return;
        };
        let reason = reason_of(error);
        warn!(
            "Error accepting a client connection: {reason} (addr={peer} laddr={local}); {others} more from there since the last such line"
        );
    }
}

/// What a person can do something about.
fn reason_of(error: &io::Error) -> String {
    if error.kind() == ErrorKind::TimedOut {
        return format!(
            "it did not finish its TLS handshake within {} s",
            TLS_HANDSHAKE_MS / 1000
        );
    }
    let inner = error.get_ref();
    let failure = inner.and_then(|inner| inner.downcast_ref::<TlsFailure>());
    match failure {
        Some(TlsFailure::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "it does not speak TLS".to_owned()
        }
        Some(TlsFailure::NoCertificatesPresented) => {
            "it has shown no certificate, which tls-auth-clients asks for".to_owned()
        }
        Some(TlsFailure::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is of none of the authorities in tls-ca-cert-file and tls-ca-cert-dir"
                .to_owned()
        }
        Some(TlsFailure::AlertReceived(AlertDescription::UnknownCA)) => {
            "it does not know the authority of the server's certificate".to_owned()
        }
        Some(failure) => failure.to_string(),
        None => super::error::reason_of(io::Error::from(error.kind())),
    }
}

/// Failures that the log was not told of, by address.
#[derive(Debug, Default)]
struct Failures {
    addresses: HashMap<Option<IpAddr>, Untold>,
}

#[derive(Debug)]
struct Untold {
    count: u64,
    told_ms: u64,
}

impl Failures {
    /// One more; when a line is due it gives how many there were since the last one.
    fn note(&mut self, address: IpAddr, now_ms: u64) -> Option<u64> {
        let is_old = |untold: &Untold| now_ms.saturating_sub(untold.told_ms) >= TLS_FAILURE_LINE_MS;
        let mut address = Some(address);
        if !self.addresses.contains_key(&address)
            && self.addresses.len() >= TLS_FAILURE_ADDRESSES_MAX
        {
            self.addresses.retain(|_, untold| !is_old(untold));
            if self.addresses.len() >= TLS_FAILURE_ADDRESSES_MAX {
                // The others share a line.
                address = None;
            }
        }
        match self.addresses.get_mut(&address) {
            Some(untold) if is_old(untold) => {
                untold.told_ms = now_ms;
                Some(std::mem::take(&mut untold.count))
            }
            Some(untold) => {
                untold.count += 1;
                None
            }
            None => {
                let told = Untold {
                    count: 0,
                    told_ms: now_ms,
                };
                self.addresses.insert(address, told);
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_has_a_line_each_minute() {
        let mut failures = Failures::default();
        let [one, other] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        assert_eq!(failures.note(one, 1000), Some(0));
        assert_eq!(failures.note(one, 2000), None);
        assert_eq!(failures.note(other, 2000), Some(0));
        assert_eq!(failures.note(one, 60_999), None);
        assert_eq!(failures.note(one, 61_000), Some(2));
        assert_eq!(failures.note(one, 61_001), None);
    }

    #[test]
    fn addresses_beyond_the_limit_share_a_line_until_others_are_forgotten() {
        let mut failures = Failures::default();
        let address = |n: usize| IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
        for n in 0..TLS_FAILURE_ADDRESSES_MAX {
            assert_eq!(failures.note(address(n), 1), Some(0));
        }
        assert_eq!(failures.note(address(5000), 2), Some(0));
        assert_eq!(failures.note(address(5001), 3), None);
        assert_eq!(failures.addresses.len(), TLS_FAILURE_ADDRESSES_MAX + 1);
        assert_eq!(failures.note(address(5002), 100_000), Some(0));
        assert_eq!(failures.addresses.len(), 1);
    }
}
