//! Handshakes of TLS: on a thread of their own, each within ten seconds.
//!
//! ```text
//! door ─ begin ─► table: New ─► task: Awake: hello ─► keys, certificate ─► finished ─► Leaving ─► door.admit
//!      ─ make_room ─► closes the socket of whoever says nothing, or takes long      a failure: the peer is told, one line in the log
//! ```
//! A handshake costs as much as hundreds of commands: nobody who is served waits for it, and many at once share one core.
//!
//! Invariants: a handshake counts as long as its socket is open, which lies in the table: whoever takes it out has closed it, however
//! busy the thread is. A task that ends, in whichever way, takes its own out. Who has sent nothing costs a socket and no buffer.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as TlsFailure, InvalidMessage};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, LocalSet};
use tracing::{debug, error, warn};

use crate::limits::{
    TLS_FAILURE_ADDRESSES_MAX, TLS_FAILURE_LINE_MS, TLS_HANDSHAKE_GRACE_MS, TLS_HANDSHAKE_MS,
};
use crate::net::tls::Tls;
use crate::shard::clock::unix_ms;

use super::door::{Door, Refusal};
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

/// A socket, closed when it is dropped.
enum Socket {
    /// The thread has not looked at it yet.
    New(TcpStream),
    /// The thread reads and writes.
    Awake(tokio::net::TcpStream),
    /// The handshake is over: the door has it, and counts it when it is let in.
    Leaving,
}

/// A handshake that is under way.
struct UnderWay {
    begun_ms: u64,
    socket: Socket,
    /// `None`: the thread has not looked at it yet.
    task: Option<AbortHandle>,
}

impl UnderWay {
    /// Has the runtime of this thread wake who waits for its socket.
    fn wake(&mut self) -> io::Result<()> {
        self.socket = match std::mem::replace(&mut self.socket, Socket::Leaving) {
            Socket::New(socket) => Socket::Awake(tokio::net::TcpStream::from_std(socket)?),
            other => other,
        };
        Ok(())
    }

    /// Takes its socket out, to be let in.
    fn take(&mut self) -> io::Result<TcpStream> {
        match std::mem::replace(&mut self.socket, Socket::Leaving) {
            Socket::New(socket) => Ok(socket),
            Socket::Awake(socket) => socket.into_std(),
            Socket::Leaving => Err(ErrorKind::NotConnected.into()),
        }
    }
}

/// Those that are under way. Their numbers are in the order of their age.
#[derive(Default)]
struct Entries {
    all: BTreeMap<u64, UnderWay>,
    /// Those of them whose client has sent nothing yet: they are looked for at each connection that is one too many.
    silent: BTreeSet<u64>,
}

impl Entries {
    fn remove(&mut self, number: u64) -> Option<UnderWay> {
        self.silent.remove(&number);
        self.all.remove(&number)
    }
}

/// The same, for the door and the thread.
#[derive(Default)]
struct Table {
    entries: Mutex<Entries>,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, number: u64, socket: TcpStream, now_ms: u64) {
        let under_way = UnderWay {
            begun_ms: now_ms,
            socket: Socket::New(socket),
            task: None,
        };
        let mut entries = self.lock();
        entries.all.insert(number, under_way);
        entries.silent.insert(number);
    }

    /// A client has sent something.
    fn note_spoken(&self, number: u64) {
        self.lock().silent.remove(&number);
    }

    fn remove(&self, number: u64) {
        self.lock().remove(number);
    }

    /// The thread has ended: nobody will serve those that are left.
    fn clear(&self) {
        *self.lock() = Entries::default();
    }

    /// Ends one that is in nobody's way: the oldest whose client has said nothing, else the oldest if it has had long enough. Its socket
    /// is closed when this returns.
    fn make_room(&self, now_ms: u64) -> bool {
        let mut entries = self.lock();
        let silent = entries.silent.first().copied();
        let Some(number) = silent.or_else(|| {
            // One at most is leaving: the thread does one thing at a time.
            let is_here = |other: &UnderWay| !matches!(other.socket, Socket::Leaving);
            let (number, oldest) = entries.all.iter().find(|(_, other)| is_here(other))?;
            (now_ms >= oldest.begun_ms + TLS_HANDSHAKE_GRACE_MS).then_some(*number)
        }) else {
            return false;
        };
        let ended = entries.remove(number);
        if let Some(task) = ended.and_then(|ended| ended.task) {
            task.abort();
        }
        true
    }

    /// One is over: it is let in, and counts among the clients from the moment it does not here. Who is turned away counts until it has
    /// been told so.
    fn leave(&self, number: u64, let_in: impl FnOnce() -> Option<Refusal>) {
        let refusal = {
            let mut entries = self.lock();
            let refusal = let_in();
            if refusal.is_none() {
                entries.remove(number);
            }
            refusal
        };
        if let Some(refusal) = refusal {
            refusal.send();
            self.remove(number);
        }
    }

    /// Does something with one of them. An error when room was made where it was.
    fn with<T>(
        &self,
        number: u64,
        work: impl FnOnce(&mut UnderWay) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.lock().all.get_mut(&number) {
            Some(under_way) => work(under_way),
            None => Err(ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Does something with the socket of one of them, whose task this is.
    fn with_socket<T>(
        &self,
        number: u64,
        work: impl FnOnce(&tokio::net::TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        self.with(number, |under_way| match &under_way.socket {
            Socket::Awake(socket) => work(socket),
            Socket::New(_) | Socket::Leaving => Err(ErrorKind::NotConnected.into()),
        })
    }

    /// Waits until there is something to read.
    async fn readable(&self, number: u64) -> io::Result<()> {
        let ready = |context: &mut Context<'_>| {
            let ready = self.with_socket(number, |socket| Ok(socket.poll_read_ready(context)));
            ready.unwrap_or_else(|error| Poll::Ready(Err(error)))
        };
        poll_fn(ready).await
    }

    /// Waits until there is room to write.
    async fn writable(&self, number: u64) -> io::Result<()> {
        let ready = |context: &mut Context<'_>| {
            let ready = self.with_socket(number, |socket| Ok(socket.poll_write_ready(context)));
            ready.unwrap_or_else(|error| Poll::Ready(Err(error)))
        };
        poll_fn(ready).await
    }
}

/// What the thread has to know of one, beside its socket.
struct Peer {
    address: SocketAddr,
    local: SocketAddr,
    terms: Terms,
}

/// The handshakes, as the door sees them.
pub(super) struct Handshakes {
    door: Arc<Door>,
    /// Made with the thread, by the first one.
    beginnings: OnceLock<UnboundedSender<(u64, Peer)>>,
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

    /// How many there are, with the clients: all of one moment, so that who is let in just then counts once.
    pub(super) fn count_with(&self, clients: impl FnOnce() -> usize) -> usize {
        let entries = self.table.lock();
        entries.all.len() + clients()
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
        self.table.begin(number, beginning.socket, unix_ms());
        let peer = Peer {
            address: beginning.peer,
            local: beginning.local,
            terms: beginning.terms,
        };
        // Without its thread nobody is served by TLS; the others are.
        if beginnings.send((number, peer)).is_err() {
            self.table.remove(number);
        }
    }

    /// Ends one that is in nobody's way; false when there is none.
    pub(super) fn make_room(&self) -> bool {
        self.table.make_room(unix_ms())
    }
}

/// The thread.
fn run(beginnings: UnboundedReceiver<(u64, Peer)>, door: Arc<Door>, table: Arc<Table>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            LocalSet::new().block_on(&runtime, serve(beginnings, door, Arc::clone(&table)));
        }
        Err(reason) => {
            error!("Cannot start the thread for TLS: {reason}");
            // From here on the door hears that nobody takes what it sends.
            drop(beginnings);
        }
    }
    table.clear();
}

/// What the handshakes of the thread share.
struct HandshakeThread {
    door: Arc<Door>,
    table: Arc<Table>,
    failures: RefCell<Failures>,
    scratch: RefCell<Box<[u8]>>,
}

async fn serve(mut beginnings: UnboundedReceiver<(u64, Peer)>, door: Arc<Door>, table: Arc<Table>) {
    let thread = Rc::new(HandshakeThread {
        door,
        table,
        failures: RefCell::default(),
        scratch: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
    });
    while let Some((number, peer)) = beginnings.recv().await {
        if let Some(under_way) = thread.table.lock().all.get_mut(&number) {
            let task = shake_in_time(Rc::clone(&thread), number, peer);
            let task = tokio::task::spawn_local(task);
            under_way.task = Some(task.abort_handle());
        }
    }
}

async fn shake_in_time(thread: Rc<HandshakeThread>, number: u64, peer: Peer) {
    let limit = Duration::from_millis(TLS_HANDSHAKE_MS);
    let shaken = tokio::time::timeout(limit, shake(&thread, number, &peer.terms)).await;
    let Peer {
        address,
        local,
        terms,
    } = peer;
    match shaken.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
        Ok((socket, tls)) => thread.table.leave(number, || {
            thread
                .door
                .admit_shaken(socket, tls, (address, local), &terms)
        }),
        Err(error) => {
            thread.tell(address, local, &error);
            thread.table.remove(number);
        }
    }
}

/// The handshake.
async fn shake(
    thread: &HandshakeThread,
    number: u64,
    terms: &Terms,
) -> io::Result<(TcpStream, Tls)> {
    let table = &thread.table;
    table.with(number, UnderWay::wake)?;
    table.readable(number).await?;
    table.note_spoken(number);
    let mut tls = Tls::new(Arc::clone(&terms.config))?;
    loop {
        let taken = {
            let mut scratch = thread.scratch.borrow_mut();
            match table.with_socket(number, |socket| socket.try_read(&mut scratch)) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => tls.shake(scratch.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error),
            }
        };
        let mut send =
            |records: &[u8]| table.with_socket(number, |socket| socket.try_write(records));
        while let Err(error) = tls.flush(&mut send) {
            // What is wrong is told if there is room for it.
            if error.kind() != ErrorKind::WouldBlock || taken.is_err() {
                break;
            }
            table.writable(number).await?;
        }
        taken?;
        if !tls.is_handshaking() && !tls.has_unsent() {
            return Ok((table.with(number, UnderWay::take)?, tls));
        }
        if tls.has_ended() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        table.readable(number).await?;
    }
}

impl HandshakeThread {
    /// A handshake has failed.
    fn tell(&self, peer: SocketAddr, local: SocketAddr, error: &io::Error) {
        let kind = error.kind();
        if matches!(
            kind,
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
        ) {
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
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    /// Both ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let patience = Some(Duration::from_secs(30));
        client.set_read_timeout(patience).unwrap();
        (listener.accept().unwrap().0, client)
    }

    #[test]
    fn who_says_nothing_makes_room_before_who_takes_long_and_is_closed_then() {
        let table = Table::default();
        assert!(!table.make_room(1000));
        let mut clients = Vec::new();
        for number in 0..4 {
            let (socket, client) = pair();
            table.begin(number, socket, 1000);
            clients.push(client);
        }
        // The door has the first; the last has said nothing.
        (0..3).for_each(|number| table.note_spoken(number));
        let kept = table.with(0, UnderWay::take).unwrap();
        let numbers = || table.lock().all.keys().copied().collect::<Vec<_>>();
        assert!(table.make_room(1000));
        assert_eq!(numbers(), [0, 1, 2]);
        // No thread is there that might close it.
        assert_eq!(clients[3].read(&mut [0]).unwrap(), 0);
        assert!(!table.make_room(999 + TLS_HANDSHAKE_GRACE_MS));
        assert!(table.make_room(1000 + TLS_HANDSHAKE_GRACE_MS));
        assert_eq!(numbers(), [0, 2]);
        assert_eq!(clients[1].read(&mut [0]).unwrap(), 0);
        assert!(table.make_room(1000 + TLS_HANDSHAKE_GRACE_MS));
        assert!(!table.make_room(1000 + TLS_HANDSHAKE_GRACE_MS));
        drop(kept);
        assert!(table.with(1, UnderWay::take).is_err());
    }

    #[test]
    fn who_is_silent_is_found_whatever_has_become_of_the_others() {
        let table = Table::default();
        let mut clients = Vec::new();
        for number in 0..4 {
            let (socket, client) = pair();
            table.begin(number, socket, 1000);
            clients.push(client);
        }
        table.note_spoken(0);
        table.remove(1);
        assert!(table.make_room(1000));
        assert_eq!(table.lock().silent.iter().collect::<Vec<_>>(), [&3]);
        // The thread has ended.
        table.clear();
        assert!(
            clients
                .iter_mut()
                .all(|client| client.read(&mut [0]).unwrap() == 0)
        );
        assert!(!table.make_room(1000));
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
