//! Blocks that strangers wrote.
//!
//! Flags and counts are changed where they stand, so a block has them as they are written here: see [`Listpack::in_our_words`].

use std::sync::Arc;

use super::{Block, Bytes, FLAG_DELETED, FLAG_SAME_FIELDS, sum};
use crate::data::listpack::{Iter, Listpack};
use crate::data::stream::StreamId;

/// Reads the elements of a block one after the other; `None`: what must be there is not.
struct Pieces<'b> {
    elements: Iter<'b>,
    read: usize,
}

impl Pieces<'_> {
    fn integer(&mut self) -> Option<i64> {
        self.read += 1;
        self.elements.next()?.as_integer()
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.integer()?).ok()
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            self.elements.next()?;
        }
        self.read += count;
        Some(())
    }
}

impl Block {
    /// Takes over a block, after looking at every entry. `after`: the ID that all of them must be above. `None` when it is no block.
    pub(in crate::data::stream) fn from_foreign(
        master: StreamId,
        bytes: &[u8],
        after: Option<StreamId>,
    ) -> Option<Self> {
        let pack = Listpack::in_our_words(bytes).ok()?;
        let mut pieces = Pieces {
            elements: pack.iter(),
            read: 0,
        };
        let (live, deleted) = (pieces.count()?, pieces.count()?);
        let field_count = pieces.count()?;
        pieces.skip(field_count)?;
        if pieces.integer()? != 0 {
            return None;
        }
        let (mut last, mut found, mut is_first) = (after, [0_usize; 2], true);
        while let Some(flags) = pieces.elements.next() {
            pieces.read = 1;
            let flags = flags.as_integer()?;
            if flags & !(FLAG_DELETED | FLAG_SAME_FIELDS) != 0 {
                return None;
            }
            let ms = sum(master.ms, pieces.integer()?);
            let id = StreamId {
                ms,
                seq: sum(master.seq, pieces.integer()?),
            };
            let is_behind = last.is_none_or(|last| last < id);
            if !is_behind || is_first && id != master {
                return None;
            }
            if flags & FLAG_SAME_FIELDS != 0 {
                pieces.skip(field_count)?;
            } else {
                let count = pieces.count()?;
                pieces.skip(count.checked_mul(2)?)?;
            }
            let read = pieces.read;
            if pieces.count()? != read {
                return None;
            }
            found[usize::from(flags & FLAG_DELETED != 0)] += 1;
            (last, is_first) = (Some(id), false);
        }
        if found != [live, deleted] {
            return None;
        }
        Some(Self {
            master,
            live: u32::try_from(live).ok()?,
            deleted: u32::try_from(deleted).ok()?,
            bytes: Bytes::Sealed(Arc::from(pack.bytes())),
        })
    }
}
