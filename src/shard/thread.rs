//! The thread of a shard: sockets, timers and the mailbox around the state machine.
//!
//! ```text
//! root future, on a current-thread runtime:
//!   mailbox (bounded) → work → sockets (LocalSet: one task per connection, which reads) → timers → flush → mailbox → kernel
//! ```
//! A connection's task only waits for its socket and feeds what it reads to the shard; replies are written when all tasks
//! had their turn, one write for many commands. A connection that leaves gives its socket back through the same place.
//!
//! A client that sends without end costs the others one turn in each round: a connection is read once a round, not at all
//! while it has whole requests left, and the kernel is asked who else has something after every round.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::task::LocalSet;

use crate::ids::{ClientId, ShardId};
use crate::limits::SENT_PER_TURN_MAX;
use crate::net::buffers::{Output, PIECES_PER_WRITE_MAX, Written};
use crate::net::tls::{Arrived, TlsRoom};
use crate::net::transport::Transport;

use super::listener_sockets::ListenerSockets;
use super::mailbox::{Message, Post};
use super::mailboxes::Mailboxes;
use super::output::Sent;
use super::{Event, Shard};

/// A connection as its thread keeps it.
struct Connection {
    transport: RefCell<Transport>,
    /// Wakes its task.
    waker: RefCell<Option<Waker>>,
    /// Its output waits for room in the socket.
    write_blocked: Cell<bool>,
    /// Its task is to end: the socket is dropped or leaves.
    over: Cell<bool>,
    /// Nothing more comes from it; what is owed is still sent.
    ended: Cell<bool>,
    /// It is among those that are not read for now.
    unread: Cell<bool>,
    /// Reads that it may still do although it is among those.
    extra_reads: Cell<usize>,
    /// Its socket is among those of listeners.
    is_listener: Cell<bool>,
}

impl Connection {
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn end(&self) {
        self.over.set(true);
        self.wake();
    }
}

/// Bytes read from a socket at once.
const READ_BYTES: usize = 64 * 1024;
/// Messages taken from the mailbox before sockets get their turn.
const MESSAGES_PER_TURN_MAX: usize = 256;
/// How often connections that are not read are asked whether their peers are gone, ms.
const ENDS_SOUGHT_MS: u64 = 100;
/// Reads that a connection has each time towards the end of its input: 1.9 MB/s.
const EXTRA_READS: usize = 3;

struct Driver {
    id: ShardId,
    mailboxes: Arc<Mailboxes>,
    shard: RefCell<Shard>,
    connections: RefCell<HashMap<ClientId, Rc<Connection>, hashbrown::DefaultHashBuilder>>,
    /// Connections that are not read until their shard wants it.
    unread: RefCell<Vec<ClientId>>,
    /// When those of them that wait were last asked whether their peers are gone, Unix ms.
    ends_sought_ms: Cell<u64>,
    leaving: RefCell<Vec<(ClientId, ShardId, Rc<Connection>)>>,
    scratch: RefCell<Box<[u8]>>,
    tls_room: RefCell<TlsRoom>,
    /// Something was read from the socket of a listener that may not have taken effect yet.
    has_read_listener: Cell<bool>,
}

/// Runs a shard until the process ends. Its own thread calls it; it returns only if it fails. When the shard has ended it
/// calls `ended` and sleeps: to free the data would take long, and the end of the process does it at once.
///
/// # Errors
/// When the runtime cannot be made.
pub(crate) fn run(
    shard: Shard,
    mailboxes: Arc<Mailboxes>,
    ended: impl FnOnce(),
) -> io::Result<Infallible> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let driver = Rc::new(Driver {
        id: shard.id(),
        mailboxes,
        shard: RefCell::new(shard),
        connections: RefCell::new(HashMap::default()),
        unread: RefCell::new(Vec::new()),
        ends_sought_ms: Cell::new(0),
        leaving: RefCell::new(Vec::new()),
        scratch: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
        tls_room: RefCell::new(TlsRoom::default()),
        has_read_listener: Cell::new(false),
    });
    runtime.block_on(root(Rc::clone(&driver)));
    ended();
    loop {
        std::thread::park();
    }
}

/// The loop.
async fn root(driver: Rc<Driver>) {
    let mut tasks = LocalSet::new();
    let mut timer = Box::pin(tokio::time::sleep(Duration::from_millis(1)));
    let mut armed_ms = 0;
    let mut has_slept = false;
    // Where threads have to share a core, also with others' (the clients', say), each would keep it for some ms: who waits for
    // a keyspace, or for a thread that has just been woken, would wait for them. Where they have not it costs next to nothing.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shard_count = driver.shard.borrow().shard_count();
    let yields = shard_count > 1 && shard_count >= cores;
    poll_fn(move |context| {
        if std::mem::take(&mut has_slept) {
            driver.mailboxes.rise(driver.id);
        }
        driver.mailboxes.begin_round(driver.id);
        let begun_ns = driver.shard.borrow().begin_round();
        let mut again = driver.take_mail(&tasks);
        again |= driver.shard.borrow_mut().work();
        driver.adopt_arrived(&tasks);
        // Behind those of whom the kernel has told since: they have sent something first.
        driver.wake_unread();
        let _ = Pin::new(&mut tasks).poll(context);
        driver.shard.borrow_mut().tell_broadcasts();
        // What was published just now leaves with the replies, in one write for each subscriber.
        again |= driver.take_mail(&tasks);
        driver.keep_time(context, &mut timer, &mut armed_ms);
        driver.flush_all();
        driver.leave(context);
        driver.seek_ends();
        again |= driver.shard.borrow().has_output() || driver.shard.borrow().has_work();
        again |= driver.reads_on();
        driver.end_listener_round();
        if driver.shard.borrow_mut().drain() {
            return Poll::Ready(());
        }
        driver
            .shard
            .borrow()
            .end_round(begun_ns, driver.mailboxes.len(driver.id));
        // Nobody sleeps through what this round has sent, also at its end: connections that leave, the word that all is drained.
        driver.shard.borrow().ring_others();
        if yields && (driver.shard.borrow_mut().take_offered() || again) {
            std::thread::yield_now();
        }
        has_slept = !again && driver.mailboxes.sleep(driver.id, context.waker());
        if !has_slept {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

/// Writes what one write takes of an output; `None` when there is nothing to write.
fn write(
    transport: &mut Transport,
    output: &Output,
    room: &mut TlsRoom,
) -> Option<io::Result<Written>> {
    if output.has_kept() {
        return Some(transport.try_write(&[], room));
    }
    if let Some(piece) = output.only_piece() {
        return Some(transport.try_write(&[IoSlice::new(piece)], room));
    }
    let mut pieces = [IoSlice::new(&[]); PIECES_PER_WRITE_MAX];
    let count = output.next_pieces(&mut pieces);
    let pieces = pieces.get(..count).filter(|pieces| !pieces.is_empty())?;
    Some(transport.try_write(pieces, room))
}

impl Driver {
    /// Takes messages in, so many at once; true when there are more.
    fn take_mail(self: &Rc<Self>, tasks: &LocalSet) -> bool {
        let more = self.shard.borrow_mut().deliver_mail(MESSAGES_PER_TURN_MAX);
        self.adopt_arrived(tasks);
        more
    }

    /// Takes in the sockets of clients that have come.
    #[inline]
    fn adopt_arrived(self: &Rc<Self>, tasks: &LocalSet) {
        if self.shard.borrow().has_arrived() {
            self.adopt_all(tasks);
        }
    }

    fn adopt_all(self: &Rc<Self>, tasks: &LocalSet) {
        let arrived = self.shard.borrow_mut().take_arrived();
        for id in arrived {
            self.adopt(id, tasks);
        }
    }

    /// Registers the socket of a client that is new here and starts its task.
    fn adopt(self: &Rc<Self>, id: ClientId, tasks: &LocalSet) {
        let Some(parked) = self.shard.borrow_mut().take_transport(id) else {
            return;
        };
        match parked.wake() {
            Ok(transport) => {
                let connection = Rc::new(Connection {
                    transport: RefCell::new(transport),
                    waker: RefCell::new(None),
                    write_blocked: Cell::new(false),
                    over: Cell::new(false),
                    ended: Cell::new(false),
                    unread: Cell::new(false),
                    extra_reads: Cell::new(0),
                    is_listener: Cell::new(false),
                });
                self.sort_socket(id, &connection);
                self.connections
                    .borrow_mut()
                    .insert(id, Rc::clone(&connection));
                let driver = Rc::clone(self);
                tasks.spawn_local(poll_fn(move |context| {
                    driver.attend(id, &connection, context)
                }));
            }
            Err(error) => {
                tracing::warn!("cannot register the socket of client {}: {error}", id.0);
                self.shard.borrow_mut().handle(Event::Lost(id));
            }
        }
    }

    /// A connection's task: writes when there is room again, reads while its shard wants input.
    fn attend(&self, id: ClientId, connection: &Connection, context: &mut Context<'_>) -> Poll<()> {
        if connection.over.get() {
            return Poll::Ready(());
        }
        {
            let mut waker = connection.waker.borrow_mut();
            if !waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(context.waker()))
            {
                *waker = Some(context.waker().clone());
            }
        }
        while connection.write_blocked.get() {
            let ready = connection.transport.borrow().poll_writable(context);
            match ready {
                Poll::Ready(Ok(())) => {
                    connection.write_blocked.set(false);
                    self.flush(id, connection);
                }
                Poll::Ready(Err(_)) => {
                    self.shard.borrow_mut().handle(Event::Lost(id));
                    return Poll::Ready(());
                }
                Poll::Pending => break,
            }
            if connection.over.get() {
                return Poll::Ready(());
            }
        }
        self.read(id, connection, context)
    }

    /// Reads once; then it waits for the socket, or for the next round when there is more.
    fn read(&self, id: ClientId, connection: &Connection, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if connection.ended.get() {
                return Poll::Pending;
            }
            if self.shard.borrow().wants_input(id) {
                connection.extra_reads.set(0);
            } else if !self.reads_a_little(id, connection) {
                self.leave_listeners(connection);
                self.read_later(id, connection);
                return Poll::Pending;
            }
            self.begin_reading(connection);
            let mut scratch = self.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = connection.transport.borrow_mut().poll_read(
                context,
                &mut buffer,
                &mut self.tls_room.borrow_mut(),
            );
            match read {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => {
                    self.shard.borrow_mut().handle(Event::Lost(id));
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(Arrived::End)) => {
                    connection.ended.set(true);
                    self.leave_listeners(connection);
                    self.shard.borrow_mut().handle(Event::End(id));
                }
                Poll::Ready(Ok(arrived)) => {
                    if !buffer.filled().is_empty() {
                        self.shard
                            .borrow_mut()
                            .handle(Event::Input(id, buffer.filled()));
                        if connection.is_listener.get() {
                            self.sort_socket(id, connection);
                        }
                    }
                    if arrived == Arrived::Full && connection.extra_reads.get() == 0 {
                        // The others get their turn before this one reads on.
                        if !self.shard.borrow().wants_input(id) {
                            self.leave_listeners(connection);
                        }
                        self.read_later(id, connection);
                        return Poll::Pending;
                    }
                    // The socket is empty: to read again only has the runtime wait for more, without a system call.
                }
            }
        }
    }

    fn reads_a_little(&self, id: ClientId, connection: &Connection) -> bool {
        let left = connection.extra_reads.get();
        connection.extra_reads.set(left.saturating_sub(1));
        left > 0 && self.shard.borrow().wants_a_little_input(id)
    }

    fn read_later(&self, id: ClientId, connection: &Connection) {
        if !connection.unread.replace(true) {
            self.unread.borrow_mut().push(id);
        }
    }

    /// The sockets of this thread's listeners; `None` where there is only one thread.
    fn listener_sockets(&self) -> Option<&ListenerSockets> {
        self.mailboxes.listener_sockets(self.id)
    }

    /// A socket is among those, or not, as its client is now.
    fn sort_socket(&self, id: ClientId, connection: &Connection) {
        let Some(sockets) = self.listener_sockets() else {
            return;
        };
        let is_read = !connection.unread.get() && !connection.ended.get();
        let belongs = is_read && self.shard.borrow().is_listener(id);
        if !belongs {
            self.leave_listeners(connection);
        } else if !connection.is_listener.get() {
            let is_in = sockets.add(&connection.transport.borrow());
            connection.is_listener.set(is_in);
        }
    }

    /// Its socket is not among those: it is not read for now, or never again.
    fn leave_listeners(&self, connection: &Connection) {
        if let Some(sockets) = self.listener_sockets()
            && connection.is_listener.take()
        {
            sockets.remove(&connection.transport.borrow());
        }
    }

    /// A socket is read now.
    fn begin_reading(&self, connection: &Connection) {
        if connection.is_listener.get()
            && !self.has_read_listener.replace(true)
            && let Some(sockets) = self.listener_sockets()
        {
            sockets.begin_reading();
        }
    }

    /// Takes in the sockets of who has subscribed in this round, at whose end all that was read has taken effect, nearly always. Tells who
    /// waits for that.
    fn end_listener_round(&self) {
        let has_outstanding = self.shard.borrow_mut().has_outstanding(None);
        let Some(sockets) = self.listener_sockets() else {
            return;
        };
        let changed = self.shard.borrow_mut().take_changed_listeners();
        for id in changed {
            if let Some(connection) = self.connections.borrow().get(&id)
                && !connection.unread.get()
            {
                self.sort_socket(id, connection);
            }
        }
        if self.has_read_listener.get() && !has_outstanding {
            self.has_read_listener.set(false);
            sockets.end_reading();
        }
        for thread in sockets.take_to_tell().iter() {
            self.mailboxes.post(thread, Message::CaughtUp);
        }
    }

    /// Looks whether the peers of clients that wait are gone, where so much input is kept that it is not read on to its end
    /// at once. The kernel does not know of an end behind bytes that the peer could not send: those are read slowly.
    fn seek_ends(&self) {
        let now_ms = self.shard.borrow().now_ms();
        if self.unread.borrow().is_empty() || now_ms < self.ends_sought_ms.get() + ENDS_SOUGHT_MS {
            return;
        }
        self.ends_sought_ms.set(now_ms);
        let unread = self.unread.borrow().clone();
        for id in unread {
            let connection = self.connections.borrow().get(&id).cloned();
            let Some(connection) = connection.filter(|_| self.shard.borrow().waits_unread(id))
            else {
                continue;
            };
            if connection.transport.borrow().peer_has_ended() {
                connection.ended.set(true);
                self.leave_listeners(&connection);
                self.shard.borrow_mut().handle(Event::End(id));
            } else {
                connection.extra_reads.set(EXTRA_READS);
                connection.wake();
            }
        }
    }

    /// Whether connections may be read again that were not read for now.
    fn reads_on(&self) -> bool {
        let (unread, shard) = (self.unread.borrow(), self.shard.borrow());
        unread.iter().any(|id| shard.wants_input(*id))
    }

    /// Wakes the connections that may be read again.
    fn wake_unread(&self) {
        if self.unread.borrow().is_empty() {
            return;
        }
        let unread = std::mem::take(&mut *self.unread.borrow_mut());
        for id in unread {
            let connections = self.connections.borrow();
            let Some(connection) = connections.get(&id) else {
                continue;
            };
            if self.shard.borrow().wants_input(id) {
                connection.unread.set(false);
                self.sort_socket(id, connection);
                connection.wake();
            } else {
                self.leave_listeners(connection);
                self.unread.borrow_mut().push(id);
            }
        }
    }

    /// Sends the output of every connection that has new one; drops the sockets of those that are over.
    fn flush_all(&self) {
        let dirty = self.shard.borrow_mut().take_dirty();
        for id in &dirty {
            let connection = self.connections.borrow().get(id).cloned();
            if let Some(connection) = connection
                && !connection.write_blocked.get()
            {
                self.flush(*id, &connection);
            }
        }
        self.shard.borrow_mut().reuse_dirty(dirty);
        if self.shard.borrow().has_closed() {
            self.close_all();
        }
    }

    fn close_all(&self) {
        let closed = self.shard.borrow_mut().take_closed();
        for id in closed {
            if let Some(connection) = self.connections.borrow_mut().remove(&id) {
                self.leave_listeners(&connection);
                // Its descriptor is closed when its task has its next turn.
                connection.transport.borrow_mut().close();
                connection.end();
            }
        }
        self.shard.borrow_mut().sockets_are_closed();
    }

    /// Sends what there is room for, and no more than is one client's share of a turn.
    fn flush(&self, id: ClientId, connection: &Connection) {
        let mut sent_bytes = 0;
        loop {
            if sent_bytes >= SENT_PER_TURN_MAX && !self.shard.borrow().is_sent(id) {
                self.shard.borrow_mut().send_on(id);
                return;
            }
            let mut transport = connection.transport.borrow_mut();
            if transport.is_worn_out() {
                self.shard.borrow_mut().retire(id);
            }
            let room = &mut self.tls_room.borrow_mut();
            let sent = self
                .shard
                .borrow_mut()
                .send(id, |output| write(&mut transport, output, room));
            match sent {
                Sent::Nothing => break,
                // Nearly always.
                Sent::All => return,
                Sent::Some(count) => sent_bytes += count,
                Sent::Blocked => {
                    connection.write_blocked.set(true);
                    connection.wake();
                    return;
                }
                Sent::Failed(_) => {
                    self.shard.borrow_mut().handle(Event::Lost(id));
                    return;
                }
            }
        }
        if self.shard.borrow().should_close(id) {
            self.shard.borrow_mut().handle(Event::Lost(id));
        }
    }

    /// Sends departing connections off: first their tasks end, then their sockets leave.
    fn leave(&self, context: &mut Context<'_>) {
        if self.leaving.borrow().is_empty() && !self.shard.borrow().has_departing() {
            return;
        }
        let gone = std::mem::take(&mut *self.leaving.borrow_mut());
        for (id, target, connection) in gone {
            match Rc::try_unwrap(connection) {
                Ok(connection) => match connection.transport.into_inner().park() {
                    Ok(parked) => {
                        self.shard.borrow_mut().depart(id, target, Some(parked));
                    }
                    Err(_) => self.shard.borrow_mut().handle(Event::Lost(id)),
                },
                // Its task has not had its turn yet.
                Err(connection) => self.leaving.borrow_mut().push((id, target, connection)),
            }
        }
        let departing = self.shard.borrow_mut().take_departing();
        for (id, target) in departing {
            if let Some(connection) = self.connections.borrow_mut().remove(&id) {
                self.leave_listeners(&connection);
                connection.end();
                self.leaving.borrow_mut().push((id, target, connection));
            }
        }
        if !self.leaving.borrow().is_empty() {
            context.waker().wake_by_ref();
        }
    }

    /// Does what is due, and arms the timer for what is due next.
    fn keep_time(
        &self,
        context: &mut Context<'_>,
        timer: &mut Pin<Box<tokio::time::Sleep>>,
        armed_ms: &mut u64,
    ) {
        loop {
            self.shard.borrow_mut().handle(Event::Tick);
            let (next_ms, now_ms) = {
                let shard = self.shard.borrow();
                (shard.next_wake_ms(), shard.now_ms())
            };
            if next_ms != *armed_ms {
                *armed_ms = next_ms;
                let wait = Duration::from_millis(next_ms.saturating_sub(now_ms).clamp(1, 60_000));
                timer.set(tokio::time::sleep(wait));
            }
            if timer.as_mut().poll(context).is_pending() {
                return;
            }
            *armed_ms = 0;
        }
    }
}
