//! Where keyspaces lie while nobody works with them: a berth for each shard, all or nothing for who needs several.
//!
//! ```text
//!   take(set)  all there ──► in the hand of one thread ──► put ──► the first ticket whose shards are all free is offered
//!              else      ──► a ticket in every berth of the set; its thread tries again when it is offered
//! ```
//! A keyspace is in its berth or in a hand, never on its way. A ticket is answered by an offer ("try now"): a thread that
//! does not come keeps nobody waiting.
//!
//! Invariants:
//! * Berths are locked in ascending order, and only for the move of some pointers.
//! * Who holds a keyspace never waits for another.
//! * A berth that becomes free offers; a try in vain passes the offer on to who waits for the berths that are free. So nobody
//!   sleeps while all it needs is free, unless somebody was offered it and is about to try.
//! * A ticket that is old reserves its berths for a moment: others may not pass it meanwhile. The oldest reservation wins.
//!
//! Nothing here knows of threads, clients or clocks. `tests/interleavings.rs` runs this file under a model checker.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::ids::{ShardId, ShardSet};
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, fence};

/// How long a reservation holds, ns: its thread renews it each time it tries.
pub(crate) const RESERVED_NS: u64 = 2_000_000;

/// What is taken at once: nearly always one.
pub type Taken<T> = SmallVec<[T; 1]>;

/// The place of a thread in the queues of all berths it needs.
#[derive(Debug)]
pub(crate) struct Ticket {
    thread: ShardId,
    shards: ShardSet,
    /// Its place among all tickets.
    number: u64,
    /// Its thread was told to try, and has not tried since.
    is_offered: AtomicBool,
}

impl Ticket {
    /// Whether its thread was told to try, and has not tried since.
    pub(crate) fn is_offered(&self) -> bool {
        self.is_offered.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Reservation {
    ticket: Arc<Ticket>,
    until_ns: u64,
}

#[derive(Debug)]
struct State<T> {
    content: Option<T>,
    /// In the order in which they came.
    tickets: VecDeque<Arc<Ticket>>,
    reservation: Option<Reservation>,
    /// When the thread of the shard will look at the keyspace by itself, Unix ms.
    armed_ms: u64,
}

impl<T> State<T> {
    /// Whether somebody else has reserved the berth.
    fn is_reserved(&self, ticket: Option<&Arc<Ticket>>, now_ns: u64) -> bool {
        let Some(reservation) = &self.reservation else {
            return false;
        };
        let is_own = ticket.is_some_and(|ticket| Arc::ptr_eq(ticket, &reservation.ticket));
        !is_own && now_ns < reservation.until_ns
    }

    fn forget(&mut self, ticket: &Arc<Ticket>) {
        self.tickets.retain(|other| !Arc::ptr_eq(other, ticket));
        if let Some(reservation) = &self.reservation
            && Arc::ptr_eq(&reservation.ticket, ticket)
        {
            self.reservation = None;
        }
    }

    /// Reserves for the ticket, unless an older one has.
    fn reserve(&mut self, ticket: &Arc<Ticket>, now_ns: u64) {
        let is_older =
            |other: &Reservation| other.ticket.number < ticket.number && now_ns < other.until_ns;
        if !self.reservation.as_ref().is_some_and(is_older) {
            self.reservation = Some(Reservation {
                ticket: Arc::clone(ticket),
                until_ns: now_ns.saturating_add(RESERVED_NS),
            });
        }
    }
}

/// The place of one keyspace, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Berth<T> {
    /// A hint: a look at it costs less than the lock.
    is_free: AtomicBool,
    /// Somebody has a ticket.
    is_wanted: AtomicBool,
    state: Mutex<State<T>>,
}

impl<T> Berth<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_tickets(&self, state: &State<T>) {
        let is_wanted = !state.tickets.is_empty();
        if self.is_wanted.load(Ordering::Relaxed) != is_wanted {
            self.is_wanted.store(is_wanted, Ordering::Relaxed);
        }
    }
}

/// What follows from putting something back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutBack {
    /// The thread that is to be told to try.
    pub offer: Option<ShardId>,
    /// It must be looked at earlier than its thread knows.
    pub(crate) is_early: bool,
}

/// The berths of all shards.
#[derive(Debug)]
pub struct Berths<T> {
    berths: Box<[Berth<T>]>,
    last_ticket: AtomicU64,
}

impl<T> Berths<T> {
    /// Empty berths: each is filled by the first [`Berths::put`].
    pub fn new(shard_count: usize) -> Self {
        let berth = |_| Berth {
            is_free: AtomicBool::new(false),
            is_wanted: AtomicBool::new(false),
            state: Mutex::new(State {
                content: None,
                tickets: VecDeque::new(),
                reservation: None,
                armed_ms: u64::MAX,
            }),
        };
        Self {
            berths: (0..shard_count).map(berth).collect(),
            last_ticket: AtomicU64::new(0),
        }
    }

    /// A ticket of a thread for a set, in no queue yet.
    pub(crate) fn ticket(&self, thread: ShardId, shards: ShardSet) -> Arc<Ticket> {
        Arc::new(Ticket {
            thread,
            shards,
            number: self.last_ticket.fetch_add(1, Ordering::Relaxed),
            is_offered: AtomicBool::new(false),
        })
    }

    /// Whether all of them seem to be there: a look without a lock.
    pub(crate) fn seem_free(&self, shards: ShardSet) -> bool {
        let mut shards = shards.iter();
        shards.all(|shard| self.berths[shard.index()].is_free.load(Ordering::Acquire))
    }

    /// Whether somebody waits for one of them.
    pub(crate) fn are_wanted(&self, shards: ShardSet) -> bool {
        let mut shards = shards.iter();
        shards.any(|shard| self.berths[shard.index()].is_wanted.load(Ordering::Relaxed))
    }

    /// All of the set, in ascending order, or nothing. Who has a ticket tries by [`Berths::claim`].
    pub fn take(&self, shards: ShardSet, now_ns: u64) -> Option<Taken<T>> {
        if shards.len() == 1 {
            let berth = &self.berths[shards.first()?.index()];
            let mut state = berth.lock();
            if state.is_reserved(None, now_ns) {
                return None;
            }
            let content = state.content.take()?;
            berth.is_free.store(false, Ordering::Relaxed);
            let mut taken = Taken::new();
            taken.push(content);
            return Some(taken);
        }
        let mut locked = self.lock_all(shards);
        let is_there = |(_, state): &(ShardId, MutexGuard<'_, State<T>>)| {
            state.content.is_some() && !state.is_reserved(None, now_ns)
        };
        if !locked.iter().all(is_there) {
            return None;
        }
        Some(self.empty(&mut locked))
    }

    /// Tries with a ticket: all of its set, the ticket being over, or nothing, the ticket being in the queue of each. An old one
    /// reserves. `offer` gets the threads that are to be told to try instead.
    pub(crate) fn claim(
        &self,
        ticket: &Arc<Ticket>,
        is_old: bool,
        now_ns: u64,
        mut offer: impl FnMut(ShardId),
    ) -> Option<Taken<T>> {
        let mut locked = self.lock_all(ticket.shards);
        ticket.is_offered.store(false, Ordering::Relaxed);
        if is_old {
            // First: what a younger one has reserved meanwhile is no reason to lose.
            for (_, state) in &mut locked {
                state.reserve(ticket, now_ns);
            }
        }
        let is_there = |(_, state): &(ShardId, MutexGuard<'_, State<T>>)| {
            state.content.is_some() && !state.is_reserved(Some(ticket), now_ns)
        };
        if locked.iter().all(is_there) {
            let taken = self.empty(&mut locked);
            for (shard, state) in &mut locked {
                state.forget(ticket);
                self.berths[shard.index()].note_tickets(state);
            }
            return Some(taken);
        }
        for (shard, state) in &mut locked {
            let is_queued = state.tickets.iter().any(|other| Arc::ptr_eq(other, ticket));
            if !is_queued {
                state.tickets.push_back(Arc::clone(ticket));
                self.berths[shard.index()].note_tickets(state);
            }
        }
        for (_, state) in &locked {
            if state.content.is_some()
                && let Some(next) = self.next_offer(state, Some(ticket), now_ns)
            {
                offer(next);
            }
        }
        None
    }

    /// Puts one back. `alarm_ms`: when somebody must look at it; `by_owner`: the thread of its shard puts it back and knows that.
    /// `now_ns` is asked when somebody waits.
    pub fn put(
        &self,
        shard: ShardId,
        content: T,
        alarm_ms: u64,
        by_owner: bool,
        now_ns: impl FnOnce() -> u64,
    ) -> PutBack {
        let berth = &self.berths[shard.index()];
        let mut state = berth.lock();
        debug_assert!(state.content.is_none(), "in two places");
        state.content = Some(content);
        berth.is_free.store(true, Ordering::Release);
        let is_early = !by_owner && alarm_ms < state.armed_ms;
        if by_owner || is_early {
            state.armed_ms = alarm_ms;
        }
        let offer = if state.tickets.is_empty() {
            None
        } else {
            self.next_offer(&state, None, now_ns())
        };
        PutBack { offer, is_early }
    }

    /// Ends a ticket whose thread wants nothing any more. `offer` gets who is to be told to try instead.
    pub(crate) fn withdraw(
        &self,
        ticket: &Arc<Ticket>,
        now_ns: u64,
        mut offer: impl FnMut(ShardId),
    ) {
        for shard in ticket.shards.iter() {
            let berth = &self.berths[shard.index()];
            let mut state = berth.lock();
            state.forget(ticket);
            berth.note_tickets(&state);
            if state.content.is_some()
                && let Some(next) = self.next_offer(&state, None, now_ns)
            {
                offer(next);
            }
        }
    }

    /// Whether everything is in its berth and nobody waits: what a test asks at the end.
    pub fn are_at_rest(&self) -> bool {
        self.berths.iter().all(|berth| {
            let state = berth.lock();
            state.content.is_some() && state.tickets.is_empty()
        })
    }

    fn lock_all(&self, shards: ShardSet) -> SmallVec<[(ShardId, MutexGuard<'_, State<T>>); 1]> {
        let lock = |shard: ShardId| (shard, self.berths[shard.index()].lock());
        shards.iter().map(lock).collect()
    }

    /// Takes what is in berths that are locked and full.
    fn empty(&self, locked: &mut [(ShardId, MutexGuard<'_, State<T>>)]) -> Taken<T> {
        let take = |(shard, state): &mut (ShardId, MutexGuard<'_, State<T>>)| {
            let hint = &self.berths[shard.index()].is_free;
            hint.store(false, Ordering::Relaxed);
            state.content.take()
        };
        locked.iter_mut().filter_map(take).collect()
    }

    /// The first ticket of a free berth that could be served now and was not offered yet; it is offered from now on.
    fn next_offer(
        &self,
        state: &State<T>,
        except: Option<&Arc<Ticket>>,
        now_ns: u64,
    ) -> Option<ShardId> {
        if state.tickets.iter().any(|ticket| ticket.shards.len() > 1) {
            // Two threads put back what one ticket waits for: at least one of them sees both.
            fence(Ordering::SeqCst);
        }
        let is_due = |ticket: &&Arc<Ticket>| {
            !except.is_some_and(|except| Arc::ptr_eq(ticket, except))
                && !state.is_reserved(Some(ticket), now_ns)
                && !ticket.is_offered.load(Ordering::Relaxed)
                && self.seem_free(ticket.shards)
        };
        let ticket = state.tickets.iter().find(is_due)?;
        let was_offered = ticket.is_offered.swap(true, Ordering::Relaxed);
        (!was_offered).then_some(ticket.thread)
    }
}
