//! Streams as files have them: blocks, counters, groups.

use super::block::Block;
use super::{Group, Log, Stream, StreamId, Window};

/// Why a stream of a file is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CorruptStream {
    /// A block is malformed, or its entries do not lie behind those in front of it.
    Block,
    /// There are other entries than were counted.
    Length,
    /// An entry lies behind the last ID.
    LastId,
    /// A group is there twice.
    Group,
}

/// Puts a stream together.
#[derive(Default)]
pub(crate) struct Assembly {
    log: Log,
    last: Option<StreamId>,
}

/// What a file tells of a stream besides its entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    /// How many entries there are.
    pub(crate) length: u64,
    /// The highest ID ever added or set.
    pub(crate) last_id: StreamId,
    /// The highest ID deleted.
    pub(crate) max_deleted_id: StreamId,
    /// How many entries were ever added; `None` as many as there are.
    pub(crate) entries_added: Option<u64>,
}

impl Assembly {
    /// Adds a block.
    ///
    /// # Errors
    /// [`CorruptStream`] when it is none.
    pub(crate) fn add_block(
        &mut self,
        master: StreamId,
        bytes: &[u8],
    ) -> Result<(), CorruptStream> {
        let block = Block::from_foreign(master, bytes, self.last).ok_or(CorruptStream::Block)?;
        self.last = Some(block.last_id());
        if block.live > 0 {
            self.log.length += u64::from(block.live);
            self.log.blocks.push_back(block);
        }
        Ok(())
    }

    /// The stream, without groups. `window`: how long it knows its producers' messages.
    ///
    /// # Errors
    /// [`CorruptStream`] when the counters say otherwise.
    pub(crate) fn finish(
        self,
        counters: &Counters,
        window: Window,
    ) -> Result<Stream, CorruptStream> {
        let mut log = self.log;
        if log.length != counters.length {
            return Err(CorruptStream::Length);
        }
        if self.last.is_some_and(|last| last > counters.last_id) {
            return Err(CorruptStream::LastId);
        }
        log.find_first_id();
        log.set_last_id(counters.last_id);
        log.set_max_deleted_id(counters.max_deleted_id);
        log.set_entries_added(counters.entries_added.unwrap_or(counters.length));
        let mut stream = Stream::new(window);
        *stream.log_mut() = log;
        Ok(stream)
    }
}

impl Stream {
    /// Adds a group of a file.
    ///
    /// # Errors
    /// [`CorruptStream::Group`] when the name is taken.
    pub(crate) fn restore_group(&mut self, name: &[u8], group: Group) -> Result<(), CorruptStream> {
        // What is pending may have left the log in ways of which a file knows nothing.
        if let Some(last) = group.pending().last_id() {
            self.log.tombstones_until = self.log.tombstones_until.max(last);
        }
        if self.create_group(name, group) {
            Ok(())
        } else {
            Err(CorruptStream::Group)
        }
    }
}
