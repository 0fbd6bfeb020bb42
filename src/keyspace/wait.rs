//! Who waits for which key, in which order.
//!
//! Who ends a wait is decided in `claim.rs`. A waiter stands in the queue of each of its keys, which may
//! lie in several keyspaces; those no longer WAITING are passed over, and swept out when the queue has doubled.
//!
//! ```text
//! queue of a key:  group g, claiming after 50 ms │ 3 7 8 …      one line for each class, by the waiters' numbers
//!                  group g                       │ 4 5 …        a pass serves the lowest number of all lines first;
//!                  each for itself               │ 1 2 6 …      a line whose first finds nothing is done with
//! ```
//! So a thousand readers of one group cost an entry as much as two. An *alarm* is when a key's waiters are to look at it
//! though nothing happens to it: an entry has been pending for long enough then.
//! Pure: no clock, no channel.

mod queue;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use crate::data::names::Name;
use crate::data::names::NameTable;
use crate::ids::{ClientId, ShardId};
use crate::resp::Protocol;
use crate::resp::arguments::Request;

use super::claim::Claim;
use super::value::Value;

use queue::Queue;

/// What a blocked command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitKind {
    /// An element of a list (BLPOP, BLMOVE …).
    List,
    /// So many elements of a list at once (BLMOVEM EXACTLY).
    ListOf(usize),
    /// A member of a sorted set (BZPOPMIN, BZPOPMAX, BZMPOP, BZMOVE).
    SortedSet,
    /// An entry of a stream (XREAD).
    Stream,
    /// An entry for a consumer group; also runs again when the key goes or changes its type (XREADGROUP).
    StreamGroup,
}

impl WaitKind {
    /// Whether a key that now has this value (`None`: no key) can end the wait.
    pub(crate) fn concerns(self, present: Option<&Value>) -> bool {
        match self {
            Self::List => matches!(present, Some(Value::List(_))),
            Self::ListOf(count) => {
                matches!(present, Some(Value::List(list)) if list.len() >= count)
            }
            Self::SortedSet => matches!(present, Some(Value::SortedSet(_))),
            Self::Stream => matches!(present, Some(Value::Stream(_))),
            Self::StreamGroup => true,
        }
    }
}

/// Who waits for the same: when one of them finds nothing at a key, none of the others would.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WaitClass {
    /// Each may find something where others do not.
    Alone,
    /// What a consumer group has for any of its consumers.
    Group {
        /// The group.
        name: Box<[u8]>,
        /// Also entries that were pending for so many milliseconds (XREADGROUP CLAIM).
        claim_ms: Option<u64>,
    },
}

/// A blocked client's command.
#[derive(Debug)]
pub struct Waiter {
    claim: Claim,
    /// Ascends with the time of registration, in every queue.
    number: u64,
    facts: WaiterFacts,
}

/// What does not change of a waiter while it waits.
#[derive(Debug)]
pub struct WaiterFacts {
    /// The client.
    pub(crate) client: ClientId,
    /// Where its connection is; a blocked connection does not migrate.
    pub(crate) home: ShardId,
    /// What it waits for.
    pub(crate) kind: WaitKind,
    /// Who waits for the same.
    pub(crate) class: WaitClass,
    /// Its database.
    pub(crate) db: usize,
    /// The version its reply is written in.
    pub(crate) protocol: Protocol,
    /// The keys it waits for.
    pub(crate) keys: Vec<Name>,
    /// The command to run again (IDs like `$` already resolved).
    pub(crate) request: Request,
    /// The command as it was sent, when that is another.
    pub(crate) as_sent: Option<Box<Request>>,
    /// Keys it writes to besides those it waits on (the destination of BLMOVE).
    pub(crate) destinations: Vec<Box<[u8]>>,
    /// CLIENT NO-TOUCH of the client.
    pub(crate) no_touch: bool,
    /// CLIENT CACHING before the command.
    pub(crate) caching: bool,
}

impl std::ops::Deref for Waiter {
    type Target = WaiterFacts;

    fn deref(&self) -> &WaiterFacts {
        &self.facts
    }
}

impl Waiter {
    /// A waiter in state WAITING.
    pub(crate) fn new(facts: WaiterFacts) -> Self {
        // Taken while the keyspaces of its keys are in hand: who is there already has a lower one.
        static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);
        Self {
            claim: Claim::new(),
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            facts,
        }
    }

    /// Who ends the wait.
    pub(crate) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Whether it still waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.claim.is_waiting()
    }
}

/// A pass over the waiters of a key, longest waiting first: one candidate of each line.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    candidates: BinaryHeap<Candidate>,
}

#[derive(Debug)]
struct Candidate(Arc<Waiter>);

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        Reverse(self.0.number).cmp(&Reverse(other.0.number))
    }
}

impl Pass {
    /// The next to be served. Who is behind it in its line comes only after [`WaitTable::go_on`].
    pub(crate) fn next_waiter(&mut self) -> Option<Arc<Waiter>> {
        self.candidates.pop().map(|candidate| candidate.0)
    }
}

/// The wait queues of one database of one keyspace.
#[derive(Debug, Default)]
pub(crate) struct WaitTable {
    queues: NameTable<Queue>,
    /// Queues with a waiter who writes to another key when served.
    moving: usize,
}

impl WaitTable {
    /// Whether nobody waits for anything here.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether somebody who waits here writes to another key when served.
    pub(crate) fn has_destinations(&self) -> bool {
        self.moving > 0
    }

    /// Changes a key's queue; one that nobody waits in and nothing is due for goes.
    fn change(&mut self, key: &[u8], change: impl FnOnce(&mut Queue)) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        let before = usize::from(queue.has_destinations());
        change(queue);
        let is_over = queue.is_over();
        let after = usize::from(queue.has_destinations());
        self.moving = self.moving + after - before;
        if is_over {
            self.queues.remove(key);
        }
    }

    /// Appends a waiter to a key's queue, which shares the key. Amortised O(log n).
    pub(crate) fn register(&mut self, key: impl Into<Name>, waiter: Arc<Waiter>) {
        let key = key.into();
        if self.queues.contains(&key) {
            self.change(&key, |queue| queue.push(waiter));
        } else {
            let queue = Queue::of(waiter);
            self.moving += usize::from(queue.has_destinations());
            self.queues.insert(key, queue);
        }
    }

    /// Takes a waiter out of a key's queue: it was served or cancelled. O(log n).
    pub(crate) fn forget(&mut self, key: &[u8], waiter: &Arc<Waiter>) {
        self.change(key, |queue| queue.remove(waiter));
    }

    /// Marks the key ready; true when it has waiters and was not marked before.
    pub(crate) fn mark_ready(&mut self, key: &[u8]) -> bool {
        let queue = self.queues.get_mut(key);
        queue.is_some_and(|queue| !queue.set_ready(true))
    }

    /// Whether somebody waits for several elements of a list at once, and so many are enough.
    pub(crate) fn is_enough(&self, key: &[u8], len: usize) -> bool {
        let queue = self.queues.get(key);
        queue.is_some_and(|queue| queue.is_enough(len))
    }

    /// Takes the ready mark off a key, before its waiters are looked at.
    pub(crate) fn take_ready(&mut self, key: &[u8]) {
        self.change(key, |queue| {
            queue.set_ready(false);
        });
    }

    /// The first of each line of a key. O(lines).
    pub(crate) fn pass(&self, key: &[u8]) -> Pass {
        let first = self.queues.get(key).map(Queue::first_of_each_line);
        Pass {
            candidates: first.into_iter().flatten().map(Candidate).collect(),
        }
    }

    /// Who stands behind this one in its line takes part in the pass too.
    pub(crate) fn go_on(&self, key: &[u8], pass: &mut Pass, waiter: &Waiter) {
        let queue = self.queues.get(key);
        let next = queue.and_then(|queue| queue.next_behind(waiter));
        pass.candidates.extend(next.map(Candidate));
    }

    /// After how many idle milliseconds the first of those who wait for the key takes over pending entries of a group.
    pub(crate) fn shortest_claim_ms(&self, key: &[u8], group: &[u8]) -> Option<u64> {
        self.queues.get(key)?.shortest_claim_ms(group)
    }

    /// Those who wait for the key look at it at this time, Unix ms, unless they do earlier anyway; whether that is news.
    pub(crate) fn set_alarm(&mut self, key: &[u8], at_ms: u64) -> bool {
        match self.queues.get_mut(key).map(Queue::many) {
            Some(queue) if queue.alarm_ms.is_none_or(|other_ms| at_ms < other_ms) => {
                queue.alarm_ms = Some(at_ms);
                true
            }
            _ => false,
        }
    }

    /// When those who wait for the key look at it, Unix ms.
    pub(crate) fn alarm_ms(&self, key: &[u8]) -> Option<u64> {
        self.queues.get(key)?.alarm_ms()
    }

    /// The alarm of a key is over; whether it was set for this time.
    pub(crate) fn take_alarm(&mut self, key: &[u8], at_ms: u64) -> bool {
        match self.queues.get_mut(key) {
            Some(queue) if queue.alarm_ms() == Some(at_ms) => {
                queue.many().alarm_ms = None;
                true
            }
            _ => false,
        }
    }

    /// Whether a waiter of the key may be served though the key is gone.
    pub(crate) fn wants_absence(&self, key: &[u8]) -> bool {
        self.queues.get(key).is_some_and(Queue::wants_absence)
    }

    /// The keys that those who wait for a key write to, each once.
    pub(crate) fn destinations(&self, key: &[u8]) -> impl Iterator<Item = &[u8]> {
        let queue = self.queues.get(key).and_then(Queue::as_many).into_iter();
        queue.flat_map(|queue| queue.destinations.keys().map(|key| &**key))
    }

    /// Every key that somebody waits for.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.queues.names().map(|key| &**key)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::keyspace) fn waiter(class: WaitClass) -> Arc<Waiter> {
        Arc::new(Waiter::new(WaiterFacts {
            client: ClientId(1),
            home: ShardId(0),
            kind: WaitKind::StreamGroup,
            class,
            db: 0,
            protocol: Protocol::Resp2,
            keys: vec![b"k".as_slice().into()],
            request: Request::from_arguments([b"XREADGROUP".as_slice()]),
            as_sent: None,
            destinations: Vec::new(),
            no_touch: false,
            caching: false,
        }))
    }

    pub(in crate::keyspace) fn group(name: &[u8], claim_ms: Option<u64>) -> WaitClass {
        WaitClass::Group {
            name: name.into(),
            claim_ms,
        }
    }

    #[test]
    fn a_pass_goes_by_age_over_all_lines_and_leaves_a_line_whose_first_finds_nothing() {
        let mut table = WaitTable::default();
        let (a, b) = (group(b"a", None), group(b"b", None));
        let classes = [&a, &b, &a, &WaitClass::Alone, &b, &a];
        let waiters = classes.map(|class| waiter(class.clone()));
        for waiter in &waiters {
            table.register(b"k".as_slice(), Arc::clone(waiter));
        }
        assert!(waiters[2].claim().cancel());
        let mut pass = table.pass(b"k");
        let mut met = Vec::new();
        while let Some(next) = pass.next_waiter() {
            met.push(waiters.iter().position(|waiter| Arc::ptr_eq(waiter, &next)));
            // Group b has nothing.
            if next.class != b {
                table.go_on(b"k", &mut pass, &next);
            }
        }
        assert_eq!(met, [Some(0), Some(1), Some(3), Some(5)]);
        for waiter in &waiters {
            assert!(!table.is_empty());
            table.forget(b"k", waiter);
        }
        assert!(table.is_empty());
    }

    #[test]
    fn the_shortest_claim_is_that_of_the_same_group() {
        let mut table = WaitTable::default();
        for class in [
            group(b"g", None),
            group(b"g", Some(70)),
            group(b"g", Some(50)),
            group(b"h", Some(3)),
            WaitClass::Alone,
        ] {
            table.register(b"k".as_slice(), waiter(class));
        }
        let shortest = |key: &[u8], name: &[u8]| table.shortest_claim_ms(key, name);
        assert_eq!(shortest(b"k", b"g"), Some(50));
        assert_eq!(shortest(b"k", b"h"), Some(3));
        assert_eq!(shortest(b"k", b"f"), None);
        assert_eq!(shortest(b"k", b"i"), None);
        assert_eq!(shortest(b"l", b"g"), None);
    }
}
