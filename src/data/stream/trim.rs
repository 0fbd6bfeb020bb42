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
//! It does not know groups: which entries are needed is told.

use super::block::Block;
use super::id::StreamId;
use super::log::Log;

/// What a trim leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrimTo {
    /// At most so many entries.
    MaxLength(u64),
    /// No entry below this ID.
    MinId(StreamId),
}

/// How to trim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrimOptions {
    /// The goal.
    pub to: TrimTo,
    /// Whole blocks only (`~`).
    pub approximate: bool,
    /// Stop before removing more entries than this in all; 0: no limit.
    pub limit: u64,
}

/// What a trim took that left alone what is needed.
#[derive(Default)]
pub(super) struct Unneeded {
    /// How many entries went.
    pub(super) count: u64,
    /// Those of them that an entry that stayed precedes, ascending.
    pub(super) between: Vec<StreamId>,
}

/// A block that a trim may take entries from.
struct Candidates {
    /// IDs and positions of the entries that may go.
    going: Vec<(StreamId, usize)>,
    /// Whether those are all that live.
    all: bool,
}

impl Log {
    /// Removes entries at the front; gives how many. O(1) a block removed.
    pub fn trim(&mut self, options: &TrimOptions) -> u64 {
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

    /// As [`Log::trim`], but the entries that are needed stay: those above `until`, and those whose IDs `needed` gives, in
    /// order, of an interval of IDs. With `approximate` a block that holds such an entry stays as it is, and the ones behind
    /// it are looked at all the same. O(entries of the blocks up to `until`), a block without any needed one at the front O(1).
    pub(super) fn trim_unneeded(
        &mut self,
        options: &TrimOptions,
        until: StreamId,
        mut needed: impl FnMut(StreamId, StreamId) -> Vec<StreamId>,
    ) -> Unneeded {
        let mut taken = Unneeded::default();
        let mut whole_blocks = Vec::new();
        let mut stayed = false;
        let mut at = 0;
        while let Some(block) = self.blocks.get_mut(at) {
            let live = u64::from(block.live);
            let last = block.last_id();
            let (done, whole) = match options.to {
                TrimTo::MaxLength(length) => (
                    self.length <= length,
                    self.length.saturating_sub(live) >= length,
                ),
                TrimTo::MinId(id) => (block.master >= id, last < id),
            };
            let over_limit = options.limit > 0 && taken.count + live > options.limit;
            if done || over_limit || block.master > until || (options.approximate && !whole) {
                break;
            }
            let pinned = needed(block.master, last);
            if whole && pinned.is_empty() && last <= until && !stayed {
                taken.count += live;
                self.length -= live;
                whole_blocks.push(at);
                at += 1;
                continue;
            }
            let most = match options.to {
                TrimTo::MaxLength(length) => self.length - length,
                TrimTo::MinId(_) => u64::MAX,
            };
            let candidates = candidates(block, options.to, until, &pinned, most);
            at += 1;
            if options.approximate && !candidates.all {
                stayed = true;
                continue;
            }
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
            taken
                .between
                .extend(candidates.going.into_iter().map(|(id, _)| id));
        }
        self.drop_blocks(&whole_blocks);
        self.settle(&mut taken);
        taken
    }

    /// What went from behind an entry that stayed counts as deleted; what went before it, as trimmed.
    fn settle(&mut self, taken: &mut Unneeded) {
        if taken.count == 0 {
            return;
        }
        self.find_first_id();
        let front = match self.length {
            0 => taken.between.len(),
            _ => taken.between.partition_point(|id| *id < self.first_id),
        };
        taken.between.drain(..front);
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
        self.blocks.drain(..front);
    }

    /// The goal that, applied exactly to the log as it was, leaves what the trim has left.
    #[must_use]
    pub fn exact_goal(&self, options: &TrimOptions) -> TrimTo {
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

/// The living entries of a block that may go, at most `most`.
fn candidates(
    block: &Block,
    to: TrimTo,
    until: StreamId,
    pinned: &[StreamId],
    most: u64,
) -> Candidates {
    let may_go = |id: StreamId| {
        id <= until
            && match to {
                TrimTo::MaxLength(_) => true,
                TrimTo::MinId(first) => id < first,
            }
    };
    let mut pinned = pinned.iter().peekable();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let going: Vec<(StreamId, usize)> = block
        .heads()
        .filter(|head| !head.deleted)
        .take_while(|head| may_go(head.id))
        .filter(|head| {
            while pinned.next_if(|id| **id < head.id).is_some() {}
            pinned.peek() != Some(&&head.id)
        })
        .map(|head| (head.id, head.at))
        .take(most)
        .collect();
    Candidates {
        all: going.len() == block.live as usize,
        going,
    }
}
