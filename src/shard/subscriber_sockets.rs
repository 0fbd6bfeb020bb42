//! What the clients of one thread that subscribe, or may, have sent and is not in effect yet: as other threads can see it, also while
//! this one has no core to run on.
//!
//! ```text
//! bytes in the socket ──────────► read ──────────► in effect
//! └── the set has them unread ──┘ └─ is reading ─┘
//! ```
//! In the set: who subscribes or has done so last, and who has sent only commands of its connection so far (HELLO, AUTH, CLIENT …): a
//! connection subscribes first of all, or never. Not who works with data: its socket would be full of commands that concern no
//! publication.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use smallvec::SmallVec;

use crate::ids::{ShardId, ShardSet};
use crate::net::transport::Transport;
use crate::net::unread::{Unread, have_unread};

/// Those of one thread, on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct SubscriberSockets {
    unread: Unread,
    /// How many sockets are in the set.
    count: AtomicUsize,
    /// Something was read from one that may not have taken effect yet.
    is_reading: AtomicBool,
    /// Rounds of the thread that have begun.
    rounds: AtomicU64,
}

impl SubscriberSockets {
    /// None.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            unread: Unread::new()?,
            count: AtomicUsize::new(0),
            is_reading: AtomicBool::new(false),
            rounds: AtomicU64::new(0),
        })
    }

    /// Takes a socket in; false when the kernel watches no more of them: then what it sends is in no order with others'.
    pub(super) fn add(&self, socket: &Transport) -> bool {
        let is_in = self.unread.add(socket).is_ok();
        self.count.fetch_add(usize::from(is_in), Ordering::SeqCst);
        is_in
    }

    /// Takes one out that is in.
    pub(super) fn remove(&self, socket: &Transport) {
        self.unread.remove(socket);
        self.count.fetch_sub(1, Ordering::SeqCst);
    }

    /// The thread reads from one of them now. Before it does: who sees no unread bytes sees this.
    pub(super) fn begin_reading(&self) {
        self.is_reading.store(true, Ordering::SeqCst);
    }

    /// What was read has taken effect.
    pub(super) fn end_reading(&self) {
        self.is_reading.store(false, Ordering::SeqCst);
    }

    /// The thread begins a round of its loop.
    pub(super) fn begin_round(&self) {
        self.rounds.fetch_add(1, Ordering::Release);
    }

    /// How many it has begun.
    pub(super) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Acquire)
    }
}

/// The threads, other than `at`, of which one of those clients has sent what is not in effect yet.
pub(super) fn unheard(threads: &[SubscriberSockets], at: ShardId) -> ShardSet {
    let others = threads
        .iter()
        .zip(0..)
        .filter(|(thread, number)| *number != at.0 && thread.count.load(Ordering::SeqCst) > 0);
    let others: SmallVec<[_; 16]> = others.collect();
    let sets: SmallVec<[_; 16]> = others.iter().map(|(thread, _)| &thread.unread).collect();
    let have_unread = have_unread(&sets);
    let mut unheard = ShardSet::EMPTY;
    for ((thread, number), has_unread) in others.into_iter().zip(have_unread) {
        // In this order: what is read meanwhile is not unread any more.
        if has_unread || thread.is_reading.load(Ordering::SeqCst) {
            unheard.insert(ShardId(number));
        }
    }
    unheard
}
