//! The sockets of one thread's listeners: whether they have sent something that is not in effect yet, as other threads can see it, also
//! while this one has no core to run on.
//!
//! ```text
//! bytes in a socket ──────► read ──────► in effect
//! └── set is readable ────┘ └─ is reading ─┘
//! ```
//! Who is a listener, and who waits for them: `outstanding.rs`.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use smallvec::SmallVec;

use crate::ids::{ShardId, ShardSet};
use crate::net::readable::{ReadableSet, are_readable};
use crate::net::transport::Transport;

/// Those of one thread, on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct ListenerSockets {
    set: ReadableSet,
    /// How many sockets are in the set.
    count: AtomicUsize,
    /// Something was read from one that may not have taken effect yet.
    is_reading: AtomicBool,
    /// Threads that are to be told when this one has ended a round, as a [`ShardSet`].
    to_tell: AtomicU64,
}

impl ListenerSockets {
    /// None.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            set: ReadableSet::new()?,
            count: AtomicUsize::new(0),
            is_reading: AtomicBool::new(false),
            to_tell: AtomicU64::new(0),
        })
    }

    /// Takes a socket in; false when the kernel watches no more of them: then nobody waits for what it sends.
    pub(super) fn add(&self, socket: &Transport) -> bool {
        let is_in = self.set.add(socket).is_ok();
        self.count.fetch_add(usize::from(is_in), Ordering::SeqCst);
        is_in
    }

    /// Takes one out that is in.
    pub(super) fn remove(&self, socket: &Transport) {
        self.set.remove(socket);
        self.count.fetch_sub(1, Ordering::SeqCst);
    }

    /// The thread is about to read from one of them. Whoever then finds the set not readable sees this.
    pub(super) fn begin_reading(&self) {
        self.is_reading.store(true, Ordering::SeqCst);
    }

    /// What was read has taken effect.
    pub(super) fn end_reading(&self) {
        self.is_reading.store(false, Ordering::SeqCst);
    }

    /// Has the thread tell another when it has ended a round. To be asked before it is looked at once more.
    pub(super) fn ask_to_tell(&self, at: ShardId) {
        self.to_tell
            .fetch_or(ShardSet::one(at).bits(), Ordering::SeqCst);
    }

    /// Threads that are to be told, once.
    pub(super) fn take_to_tell(&self) -> ShardSet {
        if self.to_tell.load(Ordering::SeqCst) == 0 {
            return ShardSet::EMPTY;
        }
        ShardSet::of_bits(self.to_tell.swap(0, Ordering::SeqCst))
    }
}

/// The threads, other than `at`, whose listeners have sent something that is not in effect yet.
pub(super) fn outstanding(threads: &[ListenerSockets], at: ShardId) -> ShardSet {
    let mut outstanding = ShardSet::EMPTY;
    let others = || {
        let threads = threads.iter().zip((0..).map(ShardId));
        threads.filter(|(_, number)| *number != at)
    };
    let with_some = others().filter(|(thread, _)| thread.count.load(Ordering::SeqCst) > 0);
    let with_some: SmallVec<[_; 16]> = with_some.collect();
    let sets: SmallVec<[_; 16]> = with_some.iter().map(|(thread, _)| &thread.set).collect();
    let readable = with_some.iter().zip(are_readable(&sets));
    let readable = readable.filter(|(_, is_readable)| *is_readable);
    readable.for_each(|((_, number), _)| outstanding.insert(*number));
    // In this order: what is read meanwhile is not in the socket any more. Also of threads whose set is empty: who has sent more than
    // it has turns for is not in it.
    let reading = others().filter(|(thread, _)| thread.is_reading.load(Ordering::SeqCst));
    reading.for_each(|(_, number)| outstanding.insert(number));
    outstanding
}
