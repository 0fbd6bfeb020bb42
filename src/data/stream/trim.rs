//! Trimming a log: what goes when a stream is cut to a length or an ID.
//!
//! ```text
//!   front      F K F F K F      goal: two entries; K: some group still needs it
//!   plain              K F      the oldest go, whatever they are
//!   unneeded     K     K        entries that are needed stay; what lies between them goes as if deleted
//! ```
//!
//! What goes and what stays in a plain trim is Redis' rule to the block, since clients see it: lengths after a `~` trim, and
//! the number of blocks as `radix-tree-keys`.
//!
//! Invariants: a trim leaves no fewer entries than its length; the exact form of a trim, applied to the same log, leaves the
//! same blocks.
//!
//! It does not know groups: which entries are needed is told ([`Needs`]).

use super::block::Block;
use super::id::StreamId;
use super::log::Log;

/// What a trim leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TrimTo {
    /// At most so many entries.
    MaxLength(u64),
    /// No entry below this ID.
    MinId(StreamId),
}

/// How to trim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TrimOptions {
    /// The goal.
    pub(crate) to: TrimTo,
    /// Whole blocks only (`~`). Where references to entries count, single entries all the same.
    pub(crate) approximate: bool,
    /// Stop before removing more entries than this in all; 0: no limit.
    pub(crate) limit: u64,
}

/// What a trim is told about the entries that must stay.
pub(super) trait Needs {
    /// All entries above this ID must.
    fn until(&self) -> StreamId;
    /// Up to here no entry may go that did not stay the last time, but for the released.
    fn settled(&self) -> StreamId;
    /// The first entry from `from` on of which a reference has gone since.
    fn released_from(&self, from: StreamId) -> Option<StreamId>;
    /// The entries of `first..=last` that must stay, ascending.
    fn pinned(&self, first: StreamId, last: StreamId) -> Vec<StreamId>;
}

/// What a trim took that left alone what is needed.
#[derive(Default)]
pub(super) struct Unneeded {
    /// How many entries went.
    pub(super) count: u64,
    /// Those of them that an entry that stayed precedes, ascending.
    pub(super) between: Vec<StreamId>,
    /// Whatever is left up to here is needed.
    pub(super) examined: StreamId,
}

/// A block that a trim may take entries from.
struct Candidates {
    /// IDs and positions of the entries that may go.
    going: Vec<(StreamId, usize)>,
    /// Whether those are all that live.
    all: bool,
    /// The first entry that was not looked at, since the goal is reached before it.
    unseen: Option<StreamId>,
}

impl Log {
    /// Removes entries at the front; gives how many. O(1) a block removed.
    pub(crate) fn trim(&mut self, options: &TrimOptions) -> u64 {
        let mut removed = 0;
        while let Some(block) = self.blocks.front() {
            let live = u64::from(block.live);
            if let TrimTo::MaxLength(length) = options.to
                && self.length <= length
            {
                break;
            }
            if options.limit > 0 && removed + live > options.limit {
                break;
            }
            let whole = match options.to {
                TrimTo::MaxLength(length) => self.length - live >= length,
                TrimTo::MinId(id) => block.last_id() < id,
            };
            if whole {
                self.blocks.pop_front();
                self.length -= live;
                removed += live;
                continue;
            }
            if !options.approximate {
                removed += self.trim_within_first_block(options.to);
            }
            break;
        }
        if removed > 0 {
            self.find_first_id();
        }
        removed
    }

    fn trim_within_first_block(&mut self, to: TrimTo) -> u64 {
        let Some(block) = self.blocks.front_mut() else {
            return 0;
        };
        let excess = match to {
            TrimTo::MaxLength(length) => self.length - length,
            TrimTo::MinId(_) => u64::MAX,
        };
        let mut positions = Vec::new();
        for head in block.heads() {
            let stop = match to {
                TrimTo::MaxLength(_) => positions.len() as u64 == excess,
                TrimTo::MinId(id) => head.id >= id,
            };
            if stop {
                break;
            }
            if !head.deleted {
                positions.push(head.at);
            }
        }
        let removed = positions.len() as u64;
        if removed > 0 {
            block.mark_deleted(&positions);
            self.length -= removed;
        }
        removed
    }

    /// As [`Log::trim`], but the entries that are needed stay, wherever they stand. The limit is that of whole
    /// blocks: one that has more entries than may still go ends it. O(entries of the blocks that are looked into): those
    /// with an entry that was released, and those that were not looked at before.
    pub(super) fn trim_unneeded(&mut self, options: &TrimOptions, needs: &impl Needs) -> Unneeded {
        let until = needs.until();
        let mut taken = Unneeded::default();
        let mut whole_blocks = Vec::new();
        let (mut stayed, mut unseen, mut at) = (false, None, 0);
        loop {
            let next = self.next_to_look_at(at, needs);
            stayed |= next > at;
            at = next;
            let Some(block) = self.blocks.get_mut(at) else {
                break;
            };
            let (live, last) = (u64::from(block.live), block.last_id());
            let (done, whole) = match options.to {
                TrimTo::MaxLength(length) => (
                    self.length <= length,
                    self.length.saturating_sub(live) >= length,
                ),
                TrimTo::MinId(id) => (block.master >= id, last < id),
            };
            let over_limit = options.limit > 0 && taken.count + live > options.limit;
            if done || over_limit || block.master > until {
                unseen = Some(block.master);
                break;
            }
            at += 1;
            if live == 0 {
                // An exact trim by ID may leave such a block; it goes with what is in front of it.
                continue;
            }
            let pinned = needs.pinned(block.master, last);
            if whole && pinned.is_empty() && last <= until && !stayed {
                taken.count += live;
                self.length -= live;
                whole_blocks.push(at - 1);
                continue;
            }
            let candidates = candidates(block, options.to, until, &pinned, self.length);
            let count = candidates.going.len() as u64;
            self.length -= count;
            taken.count += count;
            if candidates.all {
                whole_blocks.push(at - 1);
            } else {
                stayed = true;
                let positions: Vec<usize> = candidates.going.iter().map(|(_, at)| *at).collect();
                if !positions.is_empty() {
                    block.mark_deleted(&positions);
                }
            }
            let going = candidates.going.into_iter().map(|(id, _)| id);
            taken.between.extend(going);
            if candidates.unseen.is_some() {
                unseen = candidates.unseen;
                break;
            }
        }
        self.drop_blocks(&whole_blocks);
        self.settle(&mut taken, &whole_blocks);
        let seen = unseen.map_or(Some(StreamId::MAX), StreamId::predecessor);
        taken.examined = seen.unwrap_or_default().min(until).min(self.last_id());
        taken
    }

    /// The next block that a trim has to look into, from the one at `at` on.
    fn next_to_look_at(&self, at: usize, needs: &impl Needs) -> usize {
        let settled = needs.settled();
        let Some(block) = self.blocks.get(at).filter(|block| block.master <= settled) else {
            return at;
        };
        let released = needs.released_from(block.master);
        let next = released.map_or(settled, |id| id.min(settled));
        at.max(self.block_for(next).unwrap_or(0))
    }

    /// What went from behind an entry that stayed counts as deleted; what went before it, as trimmed, and with it go the
    /// empty blocks there, as in any trim.
    fn settle(&mut self, taken: &mut Unneeded, dropped: &[usize]) {
        if taken.count == 0 {
            return;
        }
        self.find_first_id();
        let front = match self.length {
            0 => taken.between.len(),
            _ => taken.between.partition_point(|id| *id < self.first_id),
        };
        taken.between.drain(..front);
        if taken.count > taken.between.len() as u64 {
            let mut empty = match (self.length, dropped.last()) {
                (0, Some(last)) => last + 1 - dropped.len(),
                _ => usize::MAX,
            };
            while empty > 0 && self.blocks.front().is_some_and(|block| block.live == 0) {
                self.blocks.pop_front();
                empty -= 1;
            }
        }
        if let Some(&last) = taken.between.last() {
            self.max_deleted_id = self.max_deleted_id.max(last);
            self.tombstones_until = self.tombstones_until.max(last);
        }
    }

    /// Takes blocks out by their places, ascending. O(1) each at the front, else O(blocks) in all.
    fn drop_blocks(&mut self, places: &[usize]) {
        let front = places
            .iter()
            .enumerate()
            .take_while(|(n, at)| n == *at)
            .count();
        let mut between = places[front..].iter().copied().peekable();
        if between.peek().is_some() {
            let mut at = 0;
            self.blocks.retain(|_| {
                at += 1;
                between.next_if_eq(&(at - 1)).is_none()
            });
        }
        self.blocks.remove_range(0..front);
    }

    /// The goal that, applied exactly to the log as it was, leaves what the trim has left.
    #[must_use]
    pub(crate) fn exact_goal(&self, options: &TrimOptions) -> TrimTo {
        match options.to {
            _ if !options.approximate => options.to,
            TrimTo::MaxLength(_) => TrimTo::MaxLength(self.length),
            // As Redis writes it: the first entry, deleted ones included; the highest ID when nothing is left.
            TrimTo::MinId(_) => {
                let first = self.blocks.front();
                TrimTo::MinId(first.map_or(StreamId::MAX, |block| block.master))
            }
        }
    }
}

/// The living entries of a block that may go, while the log has `length` entries.
fn candidates(
    block: &Block,
    to: TrimTo,
    until: StreamId,
    pinned: &[StreamId],
    length: u64,
) -> Candidates {
    let most = match to {
        TrimTo::MaxLength(most) => length - most,
        TrimTo::MinId(_) => u64::MAX,
    };
    let mut candidates = Candidates {
        going: Vec::new(),
        all: false,
        unseen: None,
    };
    let mut pinned = pinned.iter().peekable();
    for head in block.heads().filter(|head| !head.deleted) {
        let beyond = matches!(to, TrimTo::MinId(first) if head.id >= first);
        if beyond || candidates.going.len() as u64 == most {
            candidates.unseen = Some(head.id);
            break;
        }
        while pinned.next_if(|id| **id < head.id).is_some() {}
        if head.id <= until && pinned.peek() != Some(&&head.id) {
            candidates.going.push((head.id, head.at));
        }
    }
    candidates.all = candidates.going.len() == block.live as usize;
    candidates
}
