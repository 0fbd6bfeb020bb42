//! One block of a stream: entries in a listpack, laid out as Redis lays out the nodes of its streams.
//!
//! ```text
//!   master   │ live │ deleted │ n │ field … field │ 0 │
//!   entry    │ flags │ ms diff │ seq diff │ value … value │ pieces │                     SAME_FIELDS
//!            │ flags │ ms diff │ seq diff │ n │ field value … field value │ pieces │     otherwise
//! ```
//!
//! The differences are to the master ID, which is the ID of the block's first entry and is stored
//! outside of the listpack (as the radix tree key in Redis). `pieces` counts the elements of the entry before
//! it, so that a block is read from its end too; the 0 after the master fields stops that walk.
//!
//! The last block of a stream is *open*: a growing buffer of its own. All others are *sealed*: exact in size
//! and shared between clones of the stream; a deletion in a shared one copies it.
//!
//! Invariants: `live` and `deleted` here equal the first two elements; IDs ascend. An entry once written keeps its bytes, only its flags change.

mod foreign;
#[cfg(test)]
mod foreign_tests;

use std::sync::Arc;

use super::id::StreamId;
use super::log::BlockLimits;
use crate::data::listpack::{
    Element, Entry as Piece, HEADER_BYTES, decode, entry_before, entry_length,
};

/// The entry is deleted.
const FLAG_DELETED: i64 = 1;
/// The entry has the fields of the master entry, in that order.
const FLAG_SAME_FIELDS: i64 = 2;
const TERMINATOR: u8 = 0xFF;
/// A block never grows beyond this (Redis: STREAM_LISTPACK_MAX_SIZE), and so no entry does.
pub(super) const BLOCK_BYTES_MAX: usize = 1 << 30;
/// First allocation of the first block of a stream.
const FIRST_CAPACITY_BYTES: usize = 128;
/// What a later block allocates at once, at most.
const CAPACITY_BYTES_MAX: usize = 4096;

/// A run of entries. See the module's head.
#[derive(Clone)]
pub(super) struct Block {
    /// The first entry's ID.
    pub(super) master: StreamId,
    /// Entries not deleted.
    pub(super) live: u32,
    /// Entries deleted, still taking their place.
    pub(super) deleted: u32,
    bytes: Bytes,
}

#[derive(Clone)]
enum Bytes {
    /// Boxed: of a thousand blocks only one is open, and the others need not be as wide as this.
    #[allow(
        clippy::box_collection,
        reason = "keeps a sealed block at 40 bytes in the deque"
    )]
    Open(Box<Vec<u8>>),
    Sealed(Arc<[u8]>),
}

/// An entry as it stands in a block: where its parts are.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) id: StreamId,
    pub(super) deleted: bool,
    same_fields: bool,
    /// Where the flags are.
    pub(super) at: usize,
    field_count: usize,
    /// The first value, or the first field where the fields are not the master's.
    payload_at: usize,
}

/// The fields of the master entry, and where the entries begin.
#[derive(Clone, Copy)]
pub(super) struct Master {
    id: StreamId,
    field_count: usize,
    fields_at: usize,
    pub(super) entries_at: usize,
}

#[inline]
fn integer(bytes: &[u8], at: &mut usize) -> i64 {
    // Nearly all of these elements are small: one byte and its backlen.
    let first = bytes[*at];
    if first < 0x80 {
        *at += 2;
        return i64::from(first);
    }
    let (element, length) = decode(bytes, *at);
    *at += length;
    element.as_integer().expect("a number in a stream block")
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts this module has written, below 2^30"
)]
fn count(bytes: &[u8], at: &mut usize) -> usize {
    integer(bytes, at) as usize
}

/// Moves over elements. The usual ones (small integers, strings of up to 63 bytes) without the general rule.
#[inline]
fn skip(bytes: &[u8], at: &mut usize, pieces: usize) {
    for _ in 0..pieces {
        *at += match bytes[*at] {
            0x00..=0x7F => 2,
            first @ 0x80..=0xBF => 2 + usize::from(first & 0x3F),
            _ => entry_length(bytes, *at),
        };
    }
}

#[allow(
    clippy::cast_possible_wrap,
    reason = "Redis stores the 64 bits as they are"
)]
fn difference(a: u64, b: u64) -> i64 {
    a.wrapping_sub(b) as i64
}

#[allow(clippy::cast_sign_loss, reason = "the reverse of `difference`")]
fn sum(a: u64, difference: i64) -> u64 {
    a.wrapping_add(difference as u64)
}

/// Writes an integer element; for the usual small one that is two bytes.
fn push_integer(buffer: &mut Vec<u8>, value: i64) {
    match u8::try_from(value) {
        Ok(small @ 0..=127) => buffer.extend_from_slice(&[small, 1]),
        _ => Piece::integer(value).append_to(buffer),
    }
}

fn push_bytes(buffer: &mut Vec<u8>, bytes: &[u8]) {
    Piece::new(bytes).append_to(buffer);
}

#[allow(
    clippy::cast_possible_wrap,
    reason = "at most the arguments of a request"
)]
fn push_count(buffer: &mut Vec<u8>, value: usize) {
    push_integer(buffer, value as i64);
}

impl Block {
    /// An open block whose master entry has these fields; no entry yet.
    pub(super) fn open<'a>(
        master: StreamId,
        names: impl Iterator<Item = &'a [u8]>,
        field_count: usize,
        is_first: bool,
        limits: BlockLimits,
    ) -> Block {
        let capacity = if is_first {
            FIRST_CAPACITY_BYTES
        } else {
            limits
                .bytes_max
                .clamp(FIRST_CAPACITY_BYTES, CAPACITY_BYTES_MAX)
        };
        let mut buffer = Vec::with_capacity(capacity);
        buffer.extend_from_slice(&[0; HEADER_BYTES]);
        push_integer(&mut buffer, 0);
        push_integer(&mut buffer, 0);
        push_count(&mut buffer, field_count);
        for name in names {
            push_bytes(&mut buffer, name);
        }
        push_integer(&mut buffer, 0);
        buffer.push(TERMINATOR);
        let pieces = field_count + 4;
        write_header(&mut buffer, 0, pieces);
        Block {
            master,
            live: 0,
            deleted: 0,
            bytes: Bytes::Open(Box::new(buffer)),
        }
    }

    /// The listpack.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Open(buffer) => buffer,
            Bytes::Sealed(shared) => shared,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match &self.bytes {
            Bytes::Open(buffer) => buffer.capacity(),
            Bytes::Sealed(shared) => shared.len() + 2 * size_of::<usize>(),
        }
    }

    /// Whether an entry of so many payload bytes has to go to a new block (Redis' rule).
    pub(super) fn is_full_for(&self, payload_bytes: usize, limits: BlockLimits) -> bool {
        let bytes_max = match limits.bytes_max {
            0 => BLOCK_BYTES_MAX,
            bytes => bytes.min(BLOCK_BYTES_MAX),
        };
        self.bytes().len() + payload_bytes >= bytes_max
            || (limits.entries_max > 0
                && u64::from(self.live) + u64::from(self.deleted) >= limits.entries_max)
    }

    /// No more entries will come: exact in size, shared from now on.
    pub(super) fn seal(&mut self) {
        if let Bytes::Open(buffer) = &self.bytes {
            self.bytes = Bytes::Sealed(Arc::from(buffer.as_slice()));
        }
    }

    /// Adds an entry at the end.
    pub(super) fn append<'a, F>(&mut self, id: StreamId, fields: F, field_count: usize)
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        let same_fields = self.has_master_fields(fields.clone(), field_count);
        let master = self.master;
        self.live += 1;
        let (live, deleted) = (self.live, self.deleted);
        let buffer = self.open_buffer();
        buffer.pop();
        push_integer(buffer, if same_fields { FLAG_SAME_FIELDS } else { 0 });
        push_integer(buffer, difference(id.ms, master.ms));
        push_integer(buffer, difference(id.seq, master.seq));
        let pieces = if same_fields {
            for (_, value) in fields {
                push_bytes(buffer, value);
            }
            field_count + 3
        } else {
            push_count(buffer, field_count);
            for (name, value) in fields {
                push_bytes(buffer, name);
                push_bytes(buffer, value);
            }
            2 * field_count + 4
        };
        push_count(buffer, pieces);
        buffer.push(TERMINATOR);
        let total = usize::from(u16::from_le_bytes([buffer[4], buffer[5]]));
        if live < 128 && buffer[HEADER_BYTES] < 0x80 {
            #[allow(clippy::cast_possible_truncation, reason = "below 128")]
            {
                buffer[HEADER_BYTES] = live as u8;
            }
        } else {
            write_counts(buffer, live, deleted);
        }
        // The header's count saturates: 65535 means "count them".
        let total = match total {
            0xFFFF => total,
            known => known + pieces + 1,
        };
        write_header(buffer, 0, total);
    }

    fn has_master_fields<'a>(
        &self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        field_count: usize,
    ) -> bool {
        let bytes = self.bytes();
        let mut at = HEADER_BYTES;
        skip(bytes, &mut at, 2);
        if count(bytes, &mut at) != field_count {
            return false;
        }
        for (name, _) in fields {
            let (element, length) = decode(bytes, at);
            if element != *name {
                return false;
            }
            at += length;
        }
        true
    }

    /// The buffer of the open block; one that was sealed (or came from a file) is opened again.
    fn open_buffer(&mut self) -> &mut Vec<u8> {
        if let Bytes::Sealed(shared) = &self.bytes {
            self.bytes = Bytes::Open(Box::new(shared.to_vec()));
        }
        match &mut self.bytes {
            Bytes::Open(buffer) => buffer,
            Bytes::Sealed(_) => unreachable!("opened above"),
        }
    }

    /// Marks entries, given by the positions of their flags, as deleted, and counts them so.
    pub(super) fn mark_deleted(&mut self, positions: &[usize]) {
        let marked = u32::try_from(positions.len()).expect("entries of one block");
        self.live -= marked;
        self.deleted += marked;
        let (live, deleted) = (self.live, self.deleted);
        match &mut self.bytes {
            Bytes::Open(buffer) => {
                mark(buffer, positions);
                write_counts(buffer, live, deleted);
            }
            Bytes::Sealed(shared) => {
                if let Some(own) = Arc::get_mut(shared)
                    && counts_fit(own, live, deleted)
                {
                    mark(own, positions);
                    write_counts_in_place(own, live, deleted);
                    return;
                }
                let mut buffer = shared.to_vec();
                mark(&mut buffer, positions);
                write_counts(&mut buffer, live, deleted);
                self.bytes = Bytes::Sealed(Arc::from(buffer));
            }
        }
    }

    /// The master entry.
    pub(super) fn master(&self) -> Master {
        let bytes = self.bytes();
        let mut at = HEADER_BYTES;
        skip(bytes, &mut at, 2);
        let field_count = count(bytes, &mut at);
        let fields_at = at;
        skip(bytes, &mut at, field_count + 1);
        Master {
            id: self.master,
            field_count,
            fields_at,
            entries_at: at,
        }
    }

    /// The entry that begins at `at`; `None` at the end.
    #[inline]
    pub(super) fn head_at(&self, master: &Master, at: usize) -> Option<Head> {
        let bytes = self.bytes();
        if bytes[at] == TERMINATOR {
            return None;
        }
        let start = at;
        let mut at = at;
        let flags = integer(bytes, &mut at);
        let ms = sum(master.id.ms, integer(bytes, &mut at));
        let seq = sum(master.id.seq, integer(bytes, &mut at));
        let same_fields = flags & FLAG_SAME_FIELDS != 0;
        let field_count = if same_fields {
            master.field_count
        } else {
            count(bytes, &mut at)
        };
        Some(Head {
            id: StreamId { ms, seq },
            deleted: flags & FLAG_DELETED != 0,
            same_fields,
            at: start,
            field_count,
            payload_at: at,
        })
    }

    /// Where the entry after this one begins.
    #[inline]
    pub(super) fn after(&self, head: &Head) -> usize {
        let bytes = self.bytes();
        let mut at = head.payload_at;
        let pieces = if head.same_fields { 1 } else { 2 };
        skip(bytes, &mut at, head.field_count * pieces + 1);
        at
    }

    /// Where the entries end: the start of a walk backwards.
    pub(super) fn end(&self) -> usize {
        self.bytes().len() - 1
    }

    /// The entry that ends before `end`; `None` when only the master entry is left.
    pub(super) fn head_before(&self, master: &Master, end: usize) -> Option<Head> {
        let bytes = self.bytes();
        let mut at = entry_before(bytes, end);
        let pieces = count(bytes, &mut { at });
        if pieces == 0 {
            return None;
        }
        for _ in 0..pieces {
            at = entry_before(bytes, at);
        }
        self.head_at(master, at)
    }

    /// The last entry's ID, deleted or not. O(elements of that entry).
    pub(super) fn last_id(&self) -> StreamId {
        self.last_head().map_or(self.master, |head| head.id)
    }

    fn last_head(&self) -> Option<Head> {
        self.head_before(&self.master(), self.end())
    }

    /// Fields and values of an entry.
    pub(super) fn fields(&self, master: &Master, head: &Head) -> Fields<'_> {
        Fields {
            bytes: self.bytes(),
            names_at: head.same_fields.then_some(master.fields_at),
            at: head.payload_at,
            left: head.field_count,
        }
    }

    /// The entry with this ID, deleted or not. O(entries of the block).
    pub(super) fn find(&self, id: StreamId) -> Option<(Master, Head)> {
        let master = self.master();
        let mut at = master.entries_at;
        while let Some(head) = self.head_at(&master, at) {
            if head.id >= id {
                return (head.id == id).then_some((master, head));
            }
            at = self.after(&head);
        }
        None
    }

    /// All entries in order, deleted ones included.
    pub(super) fn heads(&self) -> impl Iterator<Item = Head> + '_ {
        let master = self.master();
        let mut at = master.entries_at;
        std::iter::from_fn(move || {
            let head = self.head_at(&master, at)?;
            at = self.after(&head);
            Some(head)
        })
    }
}

/// Writes the listpack header: bytes and elements. `at` is 0.
fn write_header(buffer: &mut [u8], at: usize, pieces: usize) {
    let total = u32::try_from(buffer.len()).expect("a block is far below 4 GiB");
    buffer[at..at + 4].copy_from_slice(&total.to_le_bytes());
    let pieces = u16::try_from(pieces).unwrap_or(u16::MAX);
    buffer[at + 4..at + 6].copy_from_slice(&pieces.to_le_bytes());
}

fn counts_fit(bytes: &[u8], live: u32, deleted: u32) -> bool {
    let second = HEADER_BYTES + entry_length(bytes, HEADER_BYTES);
    Piece::integer(i64::from(live)).length() == entry_length(bytes, HEADER_BYTES)
        && Piece::integer(i64::from(deleted)).length() == entry_length(bytes, second)
}

fn write_counts_in_place(bytes: &mut [u8], live: u32, deleted: u32) {
    let first = entry_length(bytes, HEADER_BYTES);
    let second_at = HEADER_BYTES + first;
    let second = entry_length(bytes, second_at);
    Piece::integer(i64::from(live)).write_over(&mut bytes[HEADER_BYTES..second_at]);
    Piece::integer(i64::from(deleted)).write_over(&mut bytes[second_at..second_at + second]);
}

fn write_counts(buffer: &mut Vec<u8>, live: u32, deleted: u32) {
    if counts_fit(buffer, live, deleted) {
        write_counts_in_place(buffer, live, deleted);
        return;
    }
    let mut end = HEADER_BYTES;
    skip(buffer, &mut end, 2);
    let mut counts = Vec::with_capacity(8);
    push_integer(&mut counts, i64::from(live));
    push_integer(&mut counts, i64::from(deleted));
    buffer.splice(HEADER_BYTES..end, counts);
    let pieces = usize::from(u16::from_le_bytes([buffer[4], buffer[5]]));
    write_header(buffer, 0, pieces);
}

/// Flags are below 128, and written as this module writes them: one byte, changed where it stands.
fn mark(bytes: &mut [u8], positions: &[usize]) {
    for &at in positions {
        bytes[at] |= FLAG_DELETED as u8;
    }
}

/// Fields and values of one entry, in order.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    /// Where the next name is, when the names are the master entry's.
    names_at: Option<usize>,
    at: usize,
    left: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self) -> Element<'a> {
        let (element, length) = decode(self.bytes, self.at);
        self.at += length;
        element
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Element<'a>, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names_at {
            Some(at) => {
                let (element, length) = decode(self.bytes, *at);
                *at += length;
                element
            }
            None => self.take(),
        };
        Some((name, self.take()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}
