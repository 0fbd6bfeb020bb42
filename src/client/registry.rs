//! The process-wide registry of clients.
//!
//! Clients are reached here, never by their shard: CLIENT LIST, KILL, UNBLOCK cannot miss one that is on the move.
//! A handle is written by the shard that owns the connection and read by anybody; each fact is an atomic of its own, so
//! a reader may see two facts of two moments, as one would between two commands.
//! Not here: sockets, sessions, what a command does to them.

use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use dashmap::DashMap;

use super::held::{Held, HeldByAll};
use crate::acl::User;
use crate::ids::{ClientId, ShardId};
use crate::keyspace::tracking::{Tracker, TrackingOptions};
use crate::keyspace::wait::Waiter;
use crate::keyspace::watch::WatchFlag;

/// How CLIENT UNBLOCK, a timeout or the end of a connection ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unblock {
    /// As if the timeout had passed.
    Timeout,
    /// With the error `UNBLOCKED client unblocked via CLIENT UNBLOCK`.
    Error,
}

/// What a client is blocked in.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    /// A command that waits for a key.
    Keys(Arc<Waiter>),
    /// WAIT or WAITAOF.
    Replicas,
}

/// Text facts of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientNames {
    /// CLIENT SETNAME.
    pub(crate) name: Bytes,
    /// CLIENT SETINFO LIB-NAME.
    pub(crate) lib_name: Bytes,
    /// CLIENT SETINFO LIB-VER.
    pub(crate) lib_ver: Bytes,
}

/// Flag bits of a client, for CLIENT LIST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientFlag(pub(crate) u32);

impl ClientFlag {
    /// `P`: in subscribed mode.
    pub(crate) const PUBSUB: Self = Self(1);
    /// `x`: in MULTI.
    pub(crate) const MULTI: Self = Self(1 << 1);
    /// `O`: MONITOR.
    pub(crate) const MONITOR: Self = Self(1 << 2);
    /// `c`: closes after its replies.
    pub(crate) const CLOSING: Self = Self(1 << 4);
    /// `U`: unix socket.
    pub(crate) const UNIX_SOCKET: Self = Self(1 << 5);
    /// `e`: CLIENT NO-EVICT ON.
    pub(crate) const NO_EVICT: Self = Self(1 << 6);
    /// `T`: CLIENT NO-TOUCH ON.
    pub(crate) const NO_TOUCH: Self = Self(1 << 7);
    /// Speaks RESP3.
    pub(crate) const RESP3: Self = Self(1 << 8);
    /// Held by CLIENT PAUSE.
    pub(crate) const PAUSED: Self = Self(1 << 9);
    /// Another client's invalidations are redirected to it: it stays on its shard.
    pub(crate) const TOLD_FOR_OTHERS: Self = Self(1 << 10);
}

/// What everybody may know of a client, and the flags by which it is reached.
#[derive(Debug)]
pub struct ClientHandle {
    /// CLIENT ID.
    pub id: ClientId,
    /// Peer, `ip:port` or the path of the unix socket with `:0`.
    pub(crate) address: String,
    /// Own end of the connection.
    pub(crate) local_address: String,
    /// File descriptor, for CLIENT LIST.
    pub(crate) fd: i32,
    /// When it connected, Unix ms.
    pub(crate) created_ms: u64,
    /// When it last sent a command, Unix ms.
    pub(crate) active_ms: AtomicU64,
    /// The shard that owns the connection.
    shard: AtomicU16,
    /// Database.
    pub(crate) db: AtomicU32,
    /// [`ClientFlag`] bits.
    pub(crate) flags: AtomicU32,
    /// Channels subscribed to.
    pub(crate) channels: AtomicU32,
    /// Patterns subscribed to.
    pub(crate) patterns: AtomicU32,
    /// Shard channels subscribed to.
    pub(crate) shard_channels: AtomicU32,
    /// Commands queued in MULTI; -1 outside.
    pub(crate) multi: AtomicI32,
    /// Watched keys.
    pub(crate) watched: AtomicU32,
    /// Row number of the last command; `u16::MAX` for none.
    pub(crate) command: AtomicU16,
    /// Bytes read and not yet run.
    pub query_bytes: AtomicUsize,
    /// Bytes of replies not yet sent.
    pub(crate) output_bytes: AtomicUsize,
    /// In how many pieces they are held.
    pub(crate) output_pieces: AtomicUsize,
    /// Bytes of commands queued in MULTI.
    pub(crate) multi_bytes: AtomicUsize,
    /// Bytes of what it is subscribed to and watches.
    pub(crate) other_bytes: AtomicUsize,
    /// Bytes read from it in all.
    pub(crate) net_in: AtomicU64,
    /// Bytes sent to it in all.
    pub(crate) net_out: AtomicU64,
    /// Commands it ran.
    pub(crate) commands: AtomicU64,
    /// Made by the first CLIENT TRACKING ON, and kept.
    tracker: OnceLock<Arc<Tracker>>,
    /// What it holds.
    held: Held,
    killed: AtomicBool,
    names: Mutex<ClientNames>,
    /// Who it is.
    user: Mutex<Option<Arc<User>>>,
    /// Of its WATCH set: gone with it.
    watch_flag: Mutex<Weak<WatchFlag>>,
    wait: Mutex<Option<Wait>>,
    unblocked: Mutex<Option<Unblock>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a client came from.
#[derive(Clone, Debug, Default)]
pub struct ClientOrigin {
    /// See [`ClientHandle::address`].
    pub(crate) address: String,
    /// See [`ClientHandle::local_address`].
    pub(crate) local_address: String,
    /// See [`ClientHandle::fd`].
    pub(crate) fd: i32,
    /// Whether by a unix socket.
    pub(crate) unix_socket: bool,
    /// The user whose certificate it has shown …
    pub(crate) user: Option<Arc<User>>,
    /// … and how many connections that one may have; 0: any number.
    pub(crate) connections_of_user_max: usize,
}

impl ClientHandle {
    /// A client that has just connected.
    pub(crate) fn new(id: ClientId, origin: ClientOrigin, shard: ShardId, now_ms: u64) -> Self {
        let flags = if origin.unix_socket {
            ClientFlag::UNIX_SOCKET.0
        } else {
            0
        };
        Self {
            id,
            address: origin.address,
            local_address: origin.local_address,
            fd: origin.fd,
            created_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            shard: AtomicU16::new(shard.0),
            db: AtomicU32::new(0),
            flags: AtomicU32::new(flags),
            channels: AtomicU32::new(0),
            patterns: AtomicU32::new(0),
            shard_channels: AtomicU32::new(0),
            multi: AtomicI32::new(-1),
            watched: AtomicU32::new(0),
            command: AtomicU16::new(u16::MAX),
            query_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            output_pieces: AtomicUsize::new(0),
            multi_bytes: AtomicUsize::new(0),
            net_in: AtomicU64::new(0),
            net_out: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            tracker: OnceLock::new(),
            other_bytes: AtomicUsize::new(0),
            held: Held::default(),
            killed: AtomicBool::new(false),
            names: Mutex::default(),
            user: Mutex::default(),
            watch_flag: Mutex::default(),
            wait: Mutex::default(),
            unblocked: Mutex::default(),
        }
    }

    /// The shard that owns the connection now.
    pub fn shard(&self) -> ShardId {
        ShardId(self.shard.load(Ordering::SeqCst))
    }

    /// The connection has come to another shard. Whoever kills it from now on pokes that shard; who has before is seen
    /// there by [`ClientHandle::is_killed`]: one order for both, so that one of the two happens.
    pub(crate) fn moved_to(&self, shard: ShardId) {
        self.shard.store(shard.0, Ordering::SeqCst);
    }

    /// Sets or takes a flag.
    pub(crate) fn set_flag(&self, flag: ClientFlag, on: bool) {
        if on {
            self.flags.fetch_or(flag.0, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag.0, Ordering::Relaxed);
        }
    }

    /// Whether a flag is set.
    pub(crate) fn has_flag(&self, flag: ClientFlag) -> bool {
        self.flags.load(Ordering::Relaxed) & flag.0 != 0
    }

    /// Counts bytes read from it. The shard that owns the connection is the only one to count: no locked addition is needed.
    pub(crate) fn count_read(&self, bytes: usize) {
        let sum = self.net_in.load(Ordering::Relaxed) + bytes as u64;
        self.net_in.store(sum, Ordering::Relaxed);
    }

    /// Counts bytes sent to it, as [`ClientHandle::count_read`].
    pub(crate) fn count_sent(&self, bytes: usize) {
        let sum = self.net_out.load(Ordering::Relaxed) + bytes as u64;
        self.net_out.store(sum, Ordering::Relaxed);
    }

    /// Bytes that it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        let parts = [
            &self.query_bytes,
            &self.output_bytes,
            &self.multi_bytes,
            &self.other_bytes,
        ];
        let parts = parts.iter().map(|bytes| bytes.load(Ordering::Relaxed));
        size_of::<Self>() + parts.sum::<usize>()
    }

    /// What it holds may have changed.
    #[inline]
    pub(crate) fn count_held(&self) {
        self.count_held_and(0);
    }

    /// As [`ClientHandle::count_held`], of one that is about to run a command with so many bytes of arguments. They may be what was
    /// read of it before.
    pub(crate) fn count_held_with(&self, argument_bytes: usize) {
        let read = self.query_bytes.load(Ordering::Relaxed);
        self.count_held_and(argument_bytes.saturating_sub(read));
    }

    #[inline]
    fn count_held_and(&self, more_bytes: usize) {
        self.held.count(|| match self.is_killed() {
            true => (0, false),
            false => {
                let stays = self.has_flag(ClientFlag::NO_EVICT);
                (self.held_bytes() + more_bytes, stays)
            }
        });
    }

    /// What it held when it was last counted, bytes.
    pub(crate) fn counted_bytes(&self) -> usize {
        self.held.bytes()
    }

    /// It is as good as gone: what it holds does not count any more.
    pub(crate) fn leave(&self) {
        self.held.leave();
    }

    /// Whether it connects from this machine.
    pub(crate) fn is_local(&self) -> bool {
        let peer = self.address.parse::<std::net::SocketAddr>();
        self.has_flag(ClientFlag::UNIX_SOCKET)
            || peer.is_ok_and(|peer| peer.ip().to_canonical().is_loopback())
    }

    /// Its part in client-side caching, if it ever had one.
    pub(crate) fn tracker(&self) -> Option<&Arc<Tracker>> {
        self.tracker.get()
    }

    /// As [`ClientHandle::tracker`]; makes it when there is none.
    pub(super) fn make_tracker(&self) -> Arc<Tracker> {
        let tracker = self.tracker.get_or_init(|| Arc::new(Tracker::new(self.id)));
        Arc::clone(tracker)
    }

    /// What it asked for by CLIENT TRACKING; nothing when it does not track.
    pub(crate) fn tracking(&self) -> TrackingOptions {
        self.tracker
            .get()
            .map_or_else(TrackingOptions::default, |tracker| tracker.options())
    }

    /// Whether it tracks, or is told for somebody who does.
    pub(crate) fn is_told_of_keys(&self) -> bool {
        self.has_flag(ClientFlag::TOLD_FOR_OTHERS) || self.tracking().has(TrackingOptions::ON)
    }

    /// It watches keys from now on.
    pub(crate) fn watches(&self, flag: &Arc<WatchFlag>) {
        *lock(&self.watch_flag) = Arc::downgrade(flag);
    }

    /// Whether a key that it watches has changed.
    pub(crate) fn is_dirty(&self) -> bool {
        let flag = lock(&self.watch_flag).upgrade();
        flag.is_some_and(|flag| flag.is_set())
    }

    /// Its names.
    pub(crate) fn names(&self) -> ClientNames {
        lock(&self.names).clone()
    }

    /// Changes its names.
    pub(crate) fn set_names(&self, change: impl FnOnce(&mut ClientNames)) {
        change(&mut lock(&self.names));
    }

    /// Who it is; `None`: nobody (see [`super::session::Session::login`]).
    pub(crate) fn user(&self) -> Option<Arc<User>> {
        lock(&self.user).clone()
    }

    /// Who it is, if that user may not do everything.
    pub(crate) fn restricted_user(&self) -> Option<Arc<User>> {
        let user = lock(&self.user);
        user.as_ref()
            .filter(|user| !user.is_unrestricted())
            .map(Arc::clone)
    }

    /// Whether it is this user.
    pub(crate) fn is_user(&self, user: &Arc<User>) -> bool {
        lock(&self.user)
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, user))
    }

    /// It is this user from now on, unless that one has as many connections as it may (`limit`; 0: any number): whether it is.
    pub(super) fn set_user(&self, user: &Arc<User>, limit: usize) -> bool {
        let mut now = lock(&self.user);
        if now.as_ref().is_some_and(|now| Arc::ptr_eq(now, user)) {
            return true;
        }
        if !user.connect(limit) {
            return false;
        }
        if let Some(before) = now.replace(Arc::clone(user)) {
            before.disconnect();
        }
        true
    }

    /// Asks for the connection to be closed; its shard must be told (a poke). False when it was asked before.
    pub(crate) fn kill(&self) -> bool {
        !self.killed.swap(true, Ordering::SeqCst)
    }

    /// Whether the connection is to be closed.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// Notes what it is blocked in, or that it is not.
    pub(crate) fn set_wait(&self, wait: Option<Wait>) {
        *lock(&self.wait) = wait;
    }

    /// Whether it is blocked: by a command that waits, by WAIT, by CLIENT PAUSE.
    pub fn is_blocked(&self) -> bool {
        self.blocked_now().0
    }

    /// Whether it is blocked, and the wait for keys in which it is: both of one moment. A wait that was served or given up
    /// blocks nobody, though the client's shard may hear of it later: whoever served it has seen the end when its own reply
    /// is there.
    pub(crate) fn blocked_now(&self) -> (bool, Option<Arc<Waiter>>) {
        match &*lock(&self.wait) {
            Some(Wait::Keys(waiter)) if waiter.is_waiting() => (true, Some(Arc::clone(waiter))),
            Some(Wait::Replicas) => (true, None),
            _ => (self.has_flag(ClientFlag::PAUSED), None),
        }
    }

    /// CLIENT UNBLOCK: ends its wait if it wins; its shard must be told (a poke). False when it is not blocked.
    pub(crate) fn unblock(&self, how: Unblock) -> bool {
        let mut wait = lock(&self.wait);
        let won = match &*wait {
            None => false,
            Some(Wait::Keys(waiter)) => waiter.claim().cancel(),
            // There is no waiter to win against another: who takes it out has won.
            Some(Wait::Replicas) => wait.take().is_some(),
        };
        if won {
            *lock(&self.unblocked) = Some(how);
        }
        won
    }

    /// The time of its WAIT is over. False when CLIENT UNBLOCK came first: the poke is on its way.
    pub(crate) fn stop_waiting_for_replicas(&self) -> bool {
        lock(&self.wait).take().is_some()
    }

    /// How its wait was ended by CLIENT UNBLOCK, once.
    pub(crate) fn take_unblocked(&self) -> Option<Unblock> {
        lock(&self.unblocked).take()
    }
}

impl Drop for ClientHandle {
    fn drop(&mut self) {
        let user = self.user.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = user.take() {
            user.disconnect();
        }
    }
}

/// All clients of the process by id.
#[derive(Debug, Default)]
pub struct ClientRegistry {
    clients: DashMap<u64, Arc<ClientHandle>>,
    held: Arc<HeldByAll>,
    last_id: AtomicU64,
}

impl ClientRegistry {
    /// The next CLIENT ID.
    pub(crate) fn next_id(&self) -> ClientId {
        ClientId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Adds a client.
    pub(crate) fn insert(&self, handle: Arc<ClientHandle>) {
        handle.held.join(&self.held);
        self.clients.insert(handle.id.0, handle);
    }

    /// Takes a client out: its connection is closed.
    pub(crate) fn remove(&self, id: ClientId) {
        if let Some((_, handle)) = self.clients.remove(&id.0) {
            handle.leave();
        }
    }

    /// What they hold together.
    pub(crate) fn held(&self) -> &HeldByAll {
        &self.held
    }

    /// A client by id, unless it was killed: one on its way between shards is closed where it arrives, later than the killer
    /// has its reply.
    pub fn get(&self, id: ClientId) -> Option<Arc<ClientHandle>> {
        let handle = self.clients.get(&id.0)?;
        (!handle.is_killed()).then(|| Arc::clone(&handle))
    }

    /// The shard of a client that may have been killed.
    pub fn shard_of(&self, id: ClientId) -> Option<ShardId> {
        self.clients.get(&id.0).map(|handle| handle.shard())
    }

    /// How many are connected.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// All clients in the order of their ids, but those that were killed.
    pub fn all(&self) -> Vec<Arc<ClientHandle>> {
        let mut all: Vec<_> = self
            .clients
            .iter()
            .filter(|client| !client.is_killed())
            .map(|client| Arc::clone(&client))
            .collect();
        all.sort_unstable_by_key(|handle| handle.id);
        all
    }
}
