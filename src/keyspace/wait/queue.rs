//! The queue of a key: one waiter, as nearly always, or several in lines.
//!
//! A client may wait for very many keys, and then is alone at nearly all of them: such a queue is a pointer and a mark. It
//! becomes one of lines when a second waiter comes, or when it has to know more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{WaitClass, WaitKind, Waiter};

/// The waiters of one key.
#[derive(Debug)]
pub(super) enum Queue {
    /// One, who writes to no other key.
    One {
        /// Who.
        waiter: Arc<Waiter>,
        /// Whether the key is on the ready list.
        ready: bool,
    },
    /// Any number.
    Many(Box<WaitQueue>),
}

impl Queue {
    /// The queue of its first waiter.
    pub(super) fn of(waiter: Arc<Waiter>) -> Self {
        if waiter.destinations.is_empty() {
            let ready = false;
            return Self::One { waiter, ready };
        }
        let mut queue = Box::<WaitQueue>::default();
        queue.push(waiter);
        Self::Many(queue)
    }

    /// As one of lines, which it becomes if it is not.
    pub(super) fn many(&mut self) -> &mut WaitQueue {
        if let Self::One { waiter, ready } = self {
            let mut queue = Box::<WaitQueue>::default();
            queue.push(Arc::clone(waiter));
            queue.ready = *ready;
            *self = Self::Many(queue);
        }
        match self {
            Self::Many(queue) => queue,
            Self::One { .. } => unreachable!("made many above"),
        }
    }

    pub(super) fn as_many(&self) -> Option<&WaitQueue> {
        match self {
            Self::One { .. } => None,
            Self::Many(queue) => Some(queue),
        }
    }

    pub(super) fn has_destinations(&self) -> bool {
        self.as_many()
            .is_some_and(|queue| !queue.destinations.is_empty())
    }

    /// Whether nobody waits in it and nothing is due.
    pub(super) fn is_over(&self) -> bool {
        let queue = self.as_many();
        queue.is_some_and(|queue| queue.len == 0 && !queue.ready)
    }

    pub(super) fn push(&mut self, waiter: Arc<Waiter>) {
        let queue = self.many();
        if queue.len >= 2 * queue.swept_len.max(8) {
            queue.sweep();
        }
        queue.push(waiter);
    }

    pub(super) fn remove(&mut self, waiter: &Arc<Waiter>) {
        match self {
            Self::One { waiter: one, ready } => {
                if Arc::ptr_eq(one, waiter) {
                    let ready = *ready;
                    *self = Self::Many(Box::new(WaitQueue {
                        ready,
                        ..WaitQueue::default()
                    }));
                }
            }
            Self::Many(queue) => queue.remove(waiter),
        }
    }

    /// Sets the ready mark; gives what it was.
    pub(super) fn set_ready(&mut self, now: bool) -> bool {
        match self {
            Self::One { ready, .. } => std::mem::replace(ready, now),
            Self::Many(queue) => std::mem::replace(&mut queue.ready, now),
        }
    }

    /// Whether somebody waits for several elements of a list at once, and so many are enough.
    pub(super) fn is_enough(&self, len: usize) -> bool {
        // Of those that wait no longer some may still be counted.
        let is_served = |waiter: &Arc<Waiter>| {
            waiter.is_waiting() && matches!(waiter.kind, WaitKind::ListOf(count) if count <= len)
        };
        match self {
            Self::One { waiter, .. } => is_served(waiter),
            Self::Many(queue) => {
                let least = queue.wanted.keys().next();
                let mut waiters = queue.lines.values().flat_map(BTreeMap::values);
                least.is_some_and(|least| *least <= len) && waiters.any(is_served)
            }
        }
    }

    /// The first of each line who still waits.
    pub(super) fn first_of_each_line(&self) -> Vec<Arc<Waiter>> {
        match self {
            Self::One { waiter, .. } => {
                let waits = waiter.is_waiting().then(|| Arc::clone(waiter));
                waits.into_iter().collect()
            }
            Self::Many(queue) => {
                let lines = queue.lines.values();
                lines
                    .filter_map(|line| WaitQueue::next_in_line(line, None))
                    .collect()
            }
        }
    }

    /// Who stands behind this one in its line.
    pub(super) fn next_behind(&self, waiter: &Waiter) -> Option<Arc<Waiter>> {
        match self {
            Self::One { waiter: one, .. } => {
                let is_behind = one.number > waiter.number && one.class == waiter.class;
                (is_behind && one.is_waiting()).then(|| Arc::clone(one))
            }
            Self::Many(queue) => {
                let line = queue.lines.get(&waiter.class)?;
                WaitQueue::next_in_line(line, Some(waiter.number))
            }
        }
    }

    /// After how many idle milliseconds the first of them takes over pending entries of a group.
    pub(super) fn shortest_claim_ms(&self, group: &[u8]) -> Option<u64> {
        let from = WaitClass::Group {
            name: group.into(),
            claim_ms: Some(0),
        };
        let class = match self {
            Self::One { waiter, .. } => &waiter.class,
            Self::Many(queue) => queue.lines.range(from..).next()?.0,
        };
        match class {
            WaitClass::Group { name, claim_ms } if **name == *group => *claim_ms,
            _ => None,
        }
    }

    /// When they look at the key, Unix ms.
    pub(super) fn alarm_ms(&self) -> Option<u64> {
        self.as_many().and_then(|queue| queue.alarm_ms)
    }

    /// Whether one of them may be served when the key is gone.
    pub(super) fn wants_absence(&self) -> bool {
        match self {
            Self::One { waiter, .. } => waiter.kind == WaitKind::StreamGroup,
            Self::Many(queue) => queue.wanting_absence > 0,
        }
    }
}

/// Waiters of one class by their numbers: longest waiting first.
type Line = BTreeMap<u64, Arc<Waiter>>;

/// The waiters of one key.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    /// No line is empty.
    lines: BTreeMap<WaitClass, Line>,
    len: usize,
    /// Length after the last sweep.
    swept_len: usize,
    /// Whether the key is on the ready list.
    ready: bool,
    /// When they are to look at the key, Unix ms.
    pub(super) alarm_ms: Option<u64>,
    /// How many of them may be served when the key is gone (XREADGROUP).
    wanting_absence: usize,
    /// How many elements of a list they wait for, where not one, and how many of them.
    wanted: BTreeMap<usize, usize>,
    /// Which keys they write to, and how many of them to each.
    pub(super) destinations: BTreeMap<Box<[u8]>, usize>,
}

/// One less of those counted under a key.
fn leave<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl WaitQueue {
    fn push(&mut self, waiter: Arc<Waiter>) {
        self.wanting_absence += usize::from(waiter.kind == WaitKind::StreamGroup);
        if let WaitKind::ListOf(count) = waiter.kind {
            *self.wanted.entry(count).or_default() += 1;
        }
        for key in &waiter.destinations {
            *self.destinations.entry(key.clone()).or_default() += 1;
        }
        self.len += 1;
        match self.lines.get_mut(&waiter.class) {
            Some(line) => {
                line.insert(waiter.number, waiter);
            }
            None => {
                let line = Line::from([(waiter.number, Arc::clone(&waiter))]);
                self.lines.insert(waiter.class.clone(), line);
            }
        }
    }

    /// What is known of all of them without one that has left.
    fn left(&mut self, waiter: &Waiter) {
        self.len -= 1;
        self.wanting_absence -= usize::from(waiter.kind == WaitKind::StreamGroup);
        if let WaitKind::ListOf(count) = waiter.kind {
            leave(&mut self.wanted, &count);
        }
        for key in &waiter.destinations {
            leave(&mut self.destinations, key);
        }
    }

    fn remove(&mut self, waiter: &Waiter) {
        let Some(line) = self.lines.get_mut(&waiter.class) else {
            return;
        };
        let removed = line.remove(&waiter.number);
        if line.is_empty() {
            self.lines.remove(&waiter.class);
        }
        if removed.is_some() {
            self.left(waiter);
        }
    }

    fn sweep(&mut self) {
        let waiters = self.lines.values().flat_map(BTreeMap::values);
        let over: Vec<Arc<Waiter>> = waiters.filter(|w| !w.is_waiting()).cloned().collect();
        for waiter in over {
            self.remove(&waiter);
        }
        self.swept_len = self.len;
    }

    /// The first in a line, or behind a number in it, who still waits.
    fn next_in_line(line: &Line, behind: Option<u64>) -> Option<Arc<Waiter>> {
        let from = behind.map_or(0, |number| number + 1);
        let mut waiters = line.range(from..).map(|(_, waiter)| waiter);
        let next = waiters.find(|waiter| waiter.is_waiting())?;
        Some(Arc::clone(next))
    }
}
