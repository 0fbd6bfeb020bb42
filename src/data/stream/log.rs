//! The entries of a stream: a deque of blocks in ID order, and the counters that survive the entries.
//!
//! ```text
//!   front                                                back
//!   [ sealed ][ sealed ] … [ sealed ][ open ]
//!     master ID and counts of each block stand in the deque: finding one is a binary search without a
//!     look into any block
//! ```
//!
//! Append is O(1), find O(log blocks + entries of a block), trimming at the front O(1) a block.
//!
//! Invariants: IDs ascend through the blocks and never pass `last_id`; `length` is the sum of the live counts;
//! `first_id` is the first live entry's ID, or 0-0 when there is none. `tombstones_until` is never below
//! the highest ID ever deleted from within the log, nor below an ID from which XSETID has gone back (XSETID may
//! lower `max_deleted_id`, not this).
//!
//! Trimming is in `trim`. It does not know groups, and knows no clock: the time of an automatic ID is an argument.

use crate::data::deque::SharedDeque;
use crate::data::estimate;

use super::block::{BLOCK_BYTES_MAX, Block, Fields};
use super::id::StreamId;
use super::range::{Range, RangeReverse};

/// How large blocks grow (`stream-node-max-bytes`, `stream-node-max-entries`); 0: no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlockLimits {
    /// Bytes of a block.
    pub(crate) bytes_max: usize,
    /// Entries of a block, deleted ones included.
    pub(crate) entries_max: u64,
}

impl Default for BlockLimits {
    fn default() -> Self {
        BlockLimits {
            bytes_max: 4096,
            entries_max: 100,
        }
    }
}

/// Why an entry could not be appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AppendError {
    /// The ID is not above the stream's last.
    IdNotGreater,
    /// The last possible ID has been used.
    Exhausted,
    /// The entry would not fit any block.
    TooLarge,
}

/// An entry of a stream, borrowed.
#[derive(Clone)]
pub(crate) struct Entry<'a> {
    /// Its ID.
    pub(crate) id: StreamId,
    /// Its fields and values in order.
    pub(crate) fields: Fields<'a>,
}

/// The entries and counters of a stream. See the module's head.
#[derive(Clone, Default)]
pub(crate) struct Log {
    pub(super) blocks: SharedDeque<Block>,
    pub(super) length: u64,
    pub(super) first_id: StreamId,
    last_id: StreamId,
    pub(super) max_deleted_id: StreamId,
    entries_added: u64,
    pub(super) tombstones_until: StreamId,
    rewinds: u32,
}

impl Log {
    /// Blocks without the counters.
    pub(super) fn of_blocks(blocks: SharedDeque<Block>) -> Log {
        Log {
            blocks,
            ..Log::default()
        }
    }

    /// Number of entries. O(1).
    #[must_use]
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is no entry.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The highest ID ever added or set.
    #[must_use]
    pub(crate) fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The first entry's ID; 0-0 when there is none.
    #[must_use]
    pub(crate) fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The highest ID deleted, as XINFO tells it; 0-0: none.
    #[must_use]
    pub(crate) fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries were ever added.
    #[must_use]
    pub(crate) fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Number of blocks (`radix-tree-keys`).
    #[must_use]
    pub(crate) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Number of nodes Redis' radix tree would have for these blocks (`radix-tree-nodes`). O(blocks).
    ///
    /// A leaf for each key, a node where keys part, and one for each run of bytes shared by
    /// all keys below it. Keys are the 16 bytes of the master IDs.
    #[must_use]
    pub(crate) fn radix_node_count(&self) -> usize {
        super::radix::node_count(self.blocks.iter().map(|block| block.master.to_be_bytes()))
    }

    /// The blocks as files have them: master ID and listpack.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (StreamId, &[u8])> + '_ {
        self.blocks
            .iter()
            .map(|block| (block.master, block.bytes()))
    }

    /// The ID an entry gets by `*` at `now_ms`: never at or below the last. `None` when exhausted.
    #[must_use]
    pub(crate) fn next_id(&self, now_ms: u64) -> Option<StreamId> {
        if now_ms > self.last_id.ms {
            Some(StreamId { ms: now_ms, seq: 0 })
        } else {
            self.last_id.successor()
        }
    }

    /// The ID an entry gets by `<ms>-*`.
    ///
    /// # Errors
    /// [`AppendError::IdNotGreater`] when no sequence of this millisecond is above the last ID.
    pub(crate) fn next_id_within(&self, ms: u64) -> Result<StreamId, AppendError> {
        let seq = if ms == self.last_id.ms {
            self.last_id.seq.checked_add(1)
        } else {
            (ms > self.last_id.ms).then_some(0)
        };
        seq.map(|seq| StreamId { ms, seq })
            .ok_or(AppendError::IdNotGreater)
    }

    /// Adds an entry at the end. O(size of the entry).
    ///
    /// # Errors
    /// [`AppendError`]; the log is unchanged then.
    pub(crate) fn append<'a, F>(
        &mut self,
        id: StreamId,
        fields: F,
        limits: BlockLimits,
    ) -> Result<(), AppendError>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        if self.last_id == StreamId::MAX {
            return Err(AppendError::Exhausted);
        }
        if id <= self.last_id {
            return Err(AppendError::IdNotGreater);
        }
        let (mut field_count, mut payload_bytes) = (0usize, 0usize);
        for (name, value) in fields.clone() {
            field_count += 1;
            payload_bytes += name.len() + value.len();
        }
        if payload_bytes > BLOCK_BYTES_MAX {
            return Err(AppendError::TooLarge);
        }
        let fits = match self.blocks.back_mut() {
            Some(tail) if tail.is_full_for(payload_bytes, limits) => {
                tail.seal();
                false
            }
            tail => tail.is_some(),
        };
        if !fits {
            let names = fields.clone().map(|(name, _)| name);
            let is_first = self.blocks.is_empty() && self.entries_added == 0;
            self.blocks
                .push_back(Block::open(id, names, field_count, is_first, limits));
        }
        if let Some(tail) = self.blocks.back_mut() {
            tail.append(id, fields, field_count);
        }
        self.length += 1;
        self.entries_added += 1;
        self.last_id = id;
        if self.length == 1 {
            self.first_id = id;
        }
        Ok(())
    }

    /// The block in which this ID would be: the last that begins at or before it.
    pub(super) fn block_for(&self, id: StreamId) -> Option<usize> {
        match self.blocks.back() {
            Some(tail) if tail.master <= id => Some(self.blocks.len() - 1),
            _ => self
                .blocks
                .partition_point(|block| block.master <= id)
                .checked_sub(1),
        }
    }

    /// The entry with this ID. O(log blocks + entries of a block).
    #[must_use]
    pub(crate) fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        let block = &self.blocks[self.block_for(id)?];
        let (master, head) = block.find(id)?;
        (!head.deleted).then(|| Entry {
            id,
            fields: block.fields(&master, &head),
        })
    }

    /// Whether there is an entry with this ID.
    #[must_use]
    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.get(id).is_some()
    }

    /// Whether an ID that once was an entry of this log is certain to be one still, without looking. O(1).
    #[must_use]
    pub(crate) fn surely_keeps(&self, id: StreamId) -> bool {
        self.length > 0 && id >= self.first_id && id > self.tombstones_until
    }

    /// The entries of `start..=end`, ascending.
    #[must_use]
    pub(crate) fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        Range::new(self, start, end)
    }

    /// The entries of `start..=end`, descending.
    #[must_use]
    pub(crate) fn range_reverse(&self, start: StreamId, end: StreamId) -> RangeReverse<'_> {
        RangeReverse::new(self, start, end)
    }

    /// The first entry.
    #[must_use]
    pub(crate) fn first(&self) -> Option<Entry<'_>> {
        self.range(StreamId::MIN, StreamId::MAX).next()
    }

    /// The last entry.
    #[must_use]
    pub(crate) fn last(&self) -> Option<Entry<'_>> {
        self.range_reverse(StreamId::MIN, StreamId::MAX).next()
    }

    /// The last entry's ID. O(1) unless the newest entries were deleted.
    #[must_use]
    pub(crate) fn last_entry_id(&self) -> Option<StreamId> {
        match self.blocks.back() {
            Some(tail) if tail.deleted == 0 && tail.live > 0 => Some(tail.last_id()),
            _ => self.last().map(|entry| entry.id),
        }
    }

    /// Deletes an entry, as XDEL does; whether it was there.
    pub(crate) fn delete(&mut self, id: StreamId) -> bool {
        let Some(at) = self.block_for(id) else {
            return false;
        };
        let block = &mut self.blocks[at];
        let Some((_, head)) = block.find(id) else {
            return false;
        };
        if head.deleted {
            return false;
        }
        if block.live == 1 {
            self.blocks.remove(at);
        } else {
            block.mark_deleted(&[head.at]);
        }
        self.length -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        self.tombstones_until = self.tombstones_until.max(id);
        if id == self.first_id || self.length == 0 {
            self.find_first_id();
        }
        true
    }

    pub(super) fn find_first_id(&mut self) {
        self.first_id = match self.blocks.front() {
            Some(block) if self.length > 0 && block.deleted == 0 && block.live > 0 => block.master,
            _ => self.first().map_or(StreamId::MIN, |entry| entry.id),
        };
    }

    /// Sets the last ID (XSETID). The caller has checked it against the entries.
    pub(crate) fn set_last_id(&mut self, id: StreamId) {
        if id < self.last_id {
            // An emptied log may go back, and what was trimmed above `id` would seem to lie among new entries.
            self.tombstones_until = self.tombstones_until.max(self.last_id);
            self.rewinds = self.rewinds.wrapping_add(1);
        }
        self.last_id = id;
    }

    /// How often the last ID went back: only then an ID that has left the log may come into being again.
    #[must_use]
    pub(crate) fn rewinds(&self) -> u32 {
        self.rewinds
    }

    /// Sets how many entries were ever added.
    pub(crate) fn set_entries_added(&mut self, count: u64) {
        self.entries_added = count;
    }

    /// Sets the highest deleted ID.
    pub(crate) fn set_max_deleted_id(&mut self, id: StreamId) {
        self.max_deleted_id = id;
        self.tombstones_until = self.tombstones_until.max(id);
    }

    /// Whether, as far as Redis can tell, an entry from `start` on was deleted.
    #[must_use]
    pub(crate) fn has_tombstone_from(&self, start: StreamId) -> bool {
        self.length > 0
            && !self.max_deleted_id.is_zero()
            && self.first_id <= self.max_deleted_id
            && start <= self.max_deleted_id
    }

    /// How many entries were ever added up to this ID, where Redis can tell: at or beyond the ends, or
    /// before the first entry when none was deleted in between.
    #[must_use]
    pub(crate) fn count_up_to(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if (self.length == 0 && id <= self.last_id) || id == self.last_id {
            return Some(self.entries_added);
        }
        if id > self.last_id {
            return None;
        }
        if self.max_deleted_id.is_zero() || self.max_deleted_id < self.first_id {
            let before_first = self.entries_added.wrapping_sub(self.length);
            if id < self.first_id {
                return Some(before_first);
            }
            if id == self.first_id {
                return Some(before_first.wrapping_add(1));
            }
        }
        None
    }

    /// Number of entries above this ID, exactly. O(blocks after it + entries of a block).
    #[must_use]
    pub(crate) fn live_after(&self, id: StreamId) -> u64 {
        let Some(at) = self.block_for(id) else {
            return self.length;
        };
        let whole: u64 = self
            .blocks
            .range(at + 1..self.blocks.len())
            .map(|block| u64::from(block.live))
            .sum();
        let block = &self.blocks[at];
        if block.last_id() <= id {
            return whole;
        }
        let part = block.heads().filter(|h| h.id > id && !h.deleted).count();
        whole + part as u64
    }

    /// Bytes of the blocks and their deque.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.blocks.heap_bytes() + self.blocks.iter().map(Block::heap_bytes).sum::<usize>()
    }

    /// As [`Log::heap_bytes`], about. O(1).
    #[must_use]
    pub(crate) fn estimated_bytes(&self) -> usize {
        let bytes_of = |at| self.blocks.get(at).map_or(0, Block::heap_bytes);
        self.blocks.heap_bytes() + estimate::sum_of(self.blocks.len(), bytes_of)
    }
}
