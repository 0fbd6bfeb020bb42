//! Handshakes of TLS: on a thread of their own, each within ten seconds.
//!
//! ```text
//! door ─ begin ─► task: hello ─► keys, certificate ─► finished ─► door.admit       a failure: the peer is told, one line in the log
//!      ─ make_room ─► the task ends of whoever says nothing, or takes long
//! ```
//! A handshake costs as much as hundreds of commands: nobody who is served waits for it, and many at once share one core.
//!
//! Invariants: a task that ends, in whichever way, counts no more; who has sent nothing costs a socket and no buffer.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as TlsFailure, InvalidMessage};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, LocalSet};
use tracing::{debug, error, warn};

use crate::limits::{
    TLS_FAILURE_ADDRESSES_MAX, TLS_FAILURE_LINE_MS, TLS_HANDSHAKE_GRACE_MS, TLS_HANDSHAKE_MS,
};
use crate::net::tls::Tls;
use crate::net::transport::ParkedTransport;
use crate::shard::clock::unix_ms;

use super::door::{Door, origin_of};
use super::tls::{Terms, is_of_version_1};

/// Bytes read from a socket at once.
const READ_BYTES: usize = 16 * 1024;

/// A connection on which nothing was said yet.
pub(super) struct Beginning {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) terms: Terms,
}

/// A handshake that is under way.
struct UnderWay {
    begun_ms: u64,
    /// The client has sent something.
    has_spoken: bool,
    /// `None`: its thread has not looked at it yet.
    task: Option<AbortHandle>,
}

/// Those that are under way, by their age.
#[derive(Default)]
struct Table {
    handshakes: Mutex<BTreeMap<u64, UnderWay>>,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, UnderWay>> {
        self.handshakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends one that is in nobody's way: the oldest whose client has said nothing, else the oldest if it has had long enough.
    fn make_room(&self, now_ms: u64) -> bool {
        let mut handshakes = self.lock();
        let is_slow = |other: &UnderWay| now_ms >= other.begun_ms + TLS_HANDSHAKE_GRACE_MS;
        let silent = handshakes.iter().find(|(_, other)| !other.has_spoken);
        let slow = || handshakes.iter().next().filter(|(_, other)| is_slow(other));
        let Some(number) = silent.or_else(slow).map(|(number, _)| *number) else {
            return false;
        };
        let ended = handshakes.remove(&number);
        if let Some(task) = ended.and_then(|ended| ended.task) {
            task.abort();
        }
        true
    }
}

/// The handshakes, as the door sees them.
pub(super) struct Handshakes {
    door: Arc<Door>,
    /// Made with the thread, by the first one.
    beginnings: OnceLock<UnboundedSender<(u64, Beginning)>>,
    table: Arc<Table>,
    last_number: Cell<u64>,
}

impl Handshakes {
    /// None yet.
    pub(super) fn new(door: Arc<Door>) -> Self {
        Self {
            door,
            beginnings: OnceLock::new(),
            table: Arc::default(),
            last_number: Cell::new(0),
        }
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.table.lock().len()
    }

    /// Begins one.
    pub(super) fn begin(&self, beginning: Beginning) {
        let beginnings = self.beginnings.get_or_init(|| {
            let (sender, receiver) = unbounded_channel();
            let (door, table) = (Arc::clone(&self.door), Arc::clone(&self.table));
            let thread = std::thread::Builder::new().name("handshakes".to_owned());
            if let Err(reason) = thread.spawn(move || run(receiver, door, table)) {
                error!("Cannot start the thread for TLS: {reason}");
            }
            sender
        });
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        let under_way = UnderWay {
            begun_ms: unix_ms(),
            has_spoken: false,
            task: None,
        };
        self.table.lock().insert(number, under_way);
        // Without its thread nobody is served by TLS; the others are.
        if beginnings.send((number, beginning)).is_err() {
            self.table.lock().remove(&number);
        }
    }

    /// Ends one that is in nobody's way; false when there is none.
    pub(super) fn make_room(&self) -> bool {
        self.table.make_room(unix_ms())
    }
}

/// The thread.
fn run(beginnings: UnboundedReceiver<(u64, Beginning)>, door: Arc<Door>, table: Arc<Table>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => LocalSet::new().block_on(&runtime, serve(beginnings, door, table)),
        Err(reason) => error!("Cannot start the thread for TLS: {reason}"),
    }
}

/// What the handshakes of the thread share.
struct Hall {
    door: Arc<Door>,
    table: Arc<Table>,
    failures: RefCell<Failures>,
    scratch: RefCell<Box<[u8]>>,
}

async fn serve(
    mut beginnings: UnboundedReceiver<(u64, Beginning)>,
    door: Arc<Door>,
    table: Arc<Table>,
) {
    let hall = Rc::new(Hall {
        door,
        table,
        failures: RefCell::default(),
        scratch: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
    });
    while let Some((number, beginning)) = beginnings.recv().await {
        if let Some(under_way) = hall.table.lock().get_mut(&number) {
            let task = shake_in_time(Rc::clone(&hall), number, beginning);
            let task = tokio::task::spawn_local(task);
            under_way.task = Some(task.abort_handle());
        }
    }
}

async fn shake_in_time(hall: Rc<Hall>, number: u64, beginning: Beginning) {
    let Beginning { peer, local, .. } = beginning;
    let limit = Duration::from_millis(TLS_HANDSHAKE_MS);
    let shaken = tokio::time::timeout(limit, shake(&hall, number, beginning)).await;
    match shaken.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
        Ok((socket, tls)) => {
            let origin = origin_of(peer, local, &socket);
            hall.door
                .admit(ParkedTransport::Tls(socket, tls), origin, Some(peer));
        }
        Err(error) => hall.tell(peer, local, &error),
    }
    // If it was let in it is counted among the clients by now.
    hall.table.lock().remove(&number);
}

/// The handshake.
async fn shake(hall: &Hall, number: u64, beginning: Beginning) -> io::Result<(TcpStream, Tls)> {
    let socket = tokio::net::TcpStream::from_std(beginning.socket)?;
    socket.readable().await?;
    if let Some(under_way) = hall.table.lock().get_mut(&number) {
        under_way.has_spoken = true;
    }
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
        Some(failure) if is_of_version_1(failure) => {
            "its certificate is of X.509 version 1: make one of version 3, with 'openssl x509 -req -extfile'"
                .to_owned()
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
    fn who_says_nothing_makes_room_before_who_takes_long() {
        let table = Table::default();
        let begin = |number, begun_ms, has_spoken| {
            let under_way = UnderWay {
                begun_ms,
                has_spoken,
                task: None,
            };
            table.lock().insert(number, under_way);
        };
        assert!(!table.make_room(1000));
        (1..4).for_each(|number| begin(number, 1000, number < 3));
        assert!(table.make_room(1000));
        assert_eq!(table.lock().keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert!(!table.make_room(999 + TLS_HANDSHAKE_GRACE_MS));
        assert!(table.make_room(1000 + TLS_HANDSHAKE_GRACE_MS));
        assert_eq!(table.lock().keys().copied().collect::<Vec<_>>(), [2]);
    }

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
