//! Walks over the entries of a log, in both directions, without allocation; and shares of it, for walks that last.
//!
//! Invariant: an iterator yields living entries only, within its bounds, each once.

use super::block::{Block, Head, Master};
use super::id::StreamId;
use super::log::{Entry, Log};
use super::trim::{TrimOptions, TrimTo};

/// Where a walk stands: a block and a place in it.
struct Position<'a> {
    index: usize,
    block: &'a Block,
    master: Master,
    /// Ascending: where the next entry begins. Descending: where the next one ends.
    at: usize,
}

impl Log {
    /// How many entries there are in `start..=end`. O(blocks + entries of two of them).
    #[must_use]
    pub(crate) fn count_between(&self, start: StreamId, end: StreamId) -> u64 {
        let Some((first, last)) = self.blocks_between(start, end) else {
            return 0;
        };
        let within = |block: &Block| {
            let living = block.heads().filter(|head| !head.deleted);
            living
                .filter(|head| start <= head.id && head.id <= end)
                .count() as u64
        };
        let inner = self.blocks.range((first + 1).min(last)..last);
        let mut edges = within(&self.blocks[first]);
        if last > first {
            edges += within(&self.blocks[last]);
        }
        edges + inner.map(|block| u64::from(block.live)).sum::<u64>()
    }

    /// A log of the blocks in which the entries of `start..=end` lie, without the counters: those entries are in it as they
    /// are now, whatever becomes of this one. O(blocks).
    #[must_use]
    pub(crate) fn share(&self, start: StreamId, end: StreamId) -> Log {
        let blocks = self.blocks_between(start, end);
        let blocks =
            blocks.map(|(first, last)| self.blocks.range(first..last + 1).cloned().collect());
        Log::of_blocks(blocks.unwrap_or_default())
    }

    /// A share of the blocks that a trim is about to take, when there are more than so many: it may be the last to hold them.
    #[must_use]
    pub(crate) fn share_before_trim(&self, options: &TrimOptions, more_than: usize) -> Option<Log> {
        let whole: usize = match options.to {
            TrimTo::MaxLength(length) => {
                let mut excess = self.length.saturating_sub(length);
                let goes = |block: &&Block| {
                    let left = excess.checked_sub(u64::from(block.live));
                    excess = left.unwrap_or(0);
                    left.is_some()
                };
                self.blocks.iter().take_while(goes).count()
            }
            TrimTo::MinId(id) => self.block_for(id).unwrap_or(0),
        };
        (whole > more_than).then(|| Log::of_blocks(self.blocks.range(0..whole).cloned().collect()))
    }

    /// Gives the blocks of a share back that end before `id`.
    pub(crate) fn forget_before(&mut self, id: StreamId) {
        while self.blocks.get(1).is_some_and(|next| next.master <= id) {
            self.blocks.pop_front();
        }
    }

    /// Gives the blocks of a share back that begin behind `id`.
    pub(crate) fn forget_after(&mut self, id: StreamId) {
        while self.blocks.back().is_some_and(|last| last.master > id) {
            self.blocks.pop_back();
        }
    }

    /// The first and the last block in which entries of `start..=end` may lie.
    fn blocks_between(&self, start: StreamId, end: StreamId) -> Option<(usize, usize)> {
        let last = self.block_for(end).filter(|_| start <= end)?;
        Some((self.block_for(start).unwrap_or(0), last))
    }
}

/// Entries in ascending order.
pub(crate) struct Range<'a> {
    log: &'a Log,
    start: StreamId,
    end: StreamId,
    position: Option<Position<'a>>,
}

impl<'a> Range<'a> {
    pub(super) fn new(log: &'a Log, start: StreamId, end: StreamId) -> Range<'a> {
        let mut range = Range {
            log,
            start,
            end,
            position: None,
        };
        let mut index = log.block_for(start).unwrap_or(0);
        // A start behind the last entry of its block needs no look at that block.
        if log.blocks.get(index).is_some_and(|b| b.last_id() < start) {
            index += 1;
        }
        if start <= end {
            range.enter(index);
        }
        range
    }

    fn enter(&mut self, index: usize) {
        self.position = self.log.blocks.get(index).map(|block| {
            let master = block.master();
            Position {
                index,
                block,
                master,
                at: master.entries_at,
            }
        });
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let position = self.position.as_mut()?;
            let Some(head) = position.block.head_at(&position.master, position.at) else {
                let next = position.index + 1;
                self.enter(next);
                continue;
            };
            position.at = position.block.after(&head);
            if head.id > self.end {
                self.position = None;
                return None;
            }
            if head.id >= self.start && !head.deleted {
                return Some(entry(position.block, &position.master, &head));
            }
        }
    }
}

/// Entries in descending order.
pub(crate) struct RangeReverse<'a> {
    log: &'a Log,
    start: StreamId,
    end: StreamId,
    position: Option<Position<'a>>,
}

impl<'a> RangeReverse<'a> {
    pub(super) fn new(log: &'a Log, start: StreamId, end: StreamId) -> RangeReverse<'a> {
        let mut range = RangeReverse {
            log,
            start,
            end,
            position: None,
        };
        if start <= end {
            range.enter(log.block_for(end));
        }
        range
    }

    fn enter(&mut self, index: Option<usize>) {
        self.position = index.map(|index| {
            let block = &self.log.blocks[index];
            Position {
                index,
                block,
                master: block.master(),
                at: block.end(),
            }
        });
    }
}

impl<'a> Iterator for RangeReverse<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let position = self.position.as_mut()?;
            let Some(head) = position.block.head_before(&position.master, position.at) else {
                let before = position.index.checked_sub(1);
                self.enter(before);
                continue;
            };
            position.at = head.at;
            if head.id < self.start {
                self.position = None;
                return None;
            }
            if head.id <= self.end && !head.deleted {
                return Some(entry(position.block, &position.master, &head));
            }
        }
    }
}

fn entry<'a>(block: &'a Block, master: &Master, head: &Head) -> Entry<'a> {
    Entry {
        id: head.id,
        fields: block.fields(master, head),
    }
}
