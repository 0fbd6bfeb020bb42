//! Input and output of one connection.
//!
//! A connection owns a buffer only for an incomplete request or unsent output; an idle one owns none.
//!
//! ```text
//! input    [ consumed | unparsed … ]          output   [ own bytes ][ shared payload ][ own bytes ]
//!                     ^ at                              ^ sent
//! ```
//! A payload that many outputs wait to send is held once, however many they are. Several pieces leave with one write.
//! Of a long reply only the next slices are bytes: the rest is encoded when they have left. Until then its length, which
//! counts against the limits as if it were all there, is an estimate. Of a file that is sent ([`Stored`]) too only the next piece is
//! bytes, and only that counts. What was encrypted and the socket has not taken lies beside the socket, and no more here; it counts as
//! unsent until it is taken.
//!
//! Bytes that are all a client is owed, as nearly always, lie in one buffer, which goes from client to client ([`Spares`]).

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;

use crate::limits::{
    REPLY_BYTES_HANDED_OVER, REPLY_SLICE_BYTES, SHARED_BYTES_MIN, SPARE_BYTES_MAX,
    SPARE_OUTPUT_BUFFER_BYTES_MAX, WRITE_BYTES_MAX,
};
use crate::resp::reply::Reply;
use crate::resp::rest::{Piece, Rest};

use super::stored::Stored;

/// Pieces that one write takes.
pub(crate) const PIECES_PER_WRITE_MAX: usize = 32;

/// From this size on it takes long to free a piece, bytes.
const SPENT_BYTES_MIN: usize = 1 << 20;

/// Buffers that nobody needs at the moment, for who needs one next. A buffer allocated for each long pipeline and freed
/// after it leaves room in which entries that stay are put, and where the next one no longer fits: a stream of
/// 100-byte entries took 124 bytes for each of them instead of 114.
#[derive(Debug)]
pub(crate) struct Spares {
    buffers: Vec<Vec<u8>>,
    /// Of all of them.
    bytes: usize,
    /// Of one that is kept.
    buffer_bytes_max: usize,
}

impl Spares {
    /// Those of inputs, of any size.
    pub(crate) fn of_inputs() -> Self {
        Self::new(SPARE_BYTES_MAX)
    }

    /// Those of outputs: small ones.
    pub(crate) fn of_outputs() -> Self {
        Self::new(SPARE_OUTPUT_BUFFER_BYTES_MAX)
    }

    fn new(buffer_bytes_max: usize) -> Self {
        Self {
            buffers: Vec::new(),
            bytes: 0,
            buffer_bytes_max,
        }
    }

    /// An empty buffer, with room if there is one.
    fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Keeps a buffer, as long as it is not too large and there are not too many.
    fn give(&mut self, mut buffer: Vec<u8>) {
        let room = self.buffer_bytes_max.min(SPARE_BYTES_MAX - self.bytes);
        if (1..=room).contains(&buffer.capacity()) {
            buffer.clear();
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}

/// Longest buffer to which is appended what cannot be parsed yet, bytes; the length of the blocks behind it.
const INPUT_BLOCK_BYTES: usize = 256 * 1024;

/// Bytes read and not yet parsed.
///
/// ```text
/// [ consumed | unparsed … ][ block ][ block ]     What is parsed next lies in one piece. What a client sends while it
///            ^ at                                 waits lies in blocks: one buffer that doubles took up to three times as
/// ```                                             much, and its copies held up the others for 100 ms.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    at: usize,
    blocks: VecDeque<Vec<u8>>,
    /// Of all blocks.
    blocks_len: usize,
}

impl Input {
    /// Unparsed bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.at + self.blocks_len
    }

    /// Whether nothing is unparsed.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The unparsed bytes up to the first block.
    pub(crate) fn unparsed(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Appends bytes read, to be parsed now.
    pub(crate) fn append(&mut self, bytes: &[u8], spares: &mut Spares) {
        if self.blocks.is_empty() {
            self.extend(bytes, spares);
        } else {
            self.keep(bytes, spares);
        }
    }

    /// Appends bytes read, to be parsed later.
    pub(crate) fn keep(&mut self, mut bytes: &[u8], spares: &mut Spares) {
        if self.blocks.is_empty() && self.bytes.len() + bytes.len() <= INPUT_BLOCK_BYTES {
            self.extend(bytes, spares);
            return;
        }
        self.blocks_len += bytes.len();
        while !bytes.is_empty() {
            let last = self.blocks.back_mut();
            let Some(last) = last.filter(|block| block.len() < INPUT_BLOCK_BYTES) else {
                self.blocks.push_back(Vec::with_capacity(INPUT_BLOCK_BYTES));
                continue;
            };
            let (fits, rest) = bytes.split_at(bytes.len().min(INPUT_BLOCK_BYTES - last.len()));
            last.extend_from_slice(fits);
            bytes = rest;
        }
    }

    fn extend(&mut self, bytes: &[u8], spares: &mut Spares) {
        if bytes.is_empty() {
            return;
        }
        if self.bytes.capacity() == 0 {
            self.bytes = spares.take();
        }
        if self.at > 0 && self.at >= self.bytes.len() / 2 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The first `count` unparsed bytes were parsed, and what is behind them up to the first block is not whole. Whether
    /// there is more to parse now, as a block has been joined.
    pub(crate) fn consume_and_join(&mut self, count: usize, spares: &mut Spares) -> bool {
        self.consume(count, spares);
        let Some(block) = self.blocks.pop_front() else {
            return false;
        };
        self.blocks_len -= block.len();
        if self.bytes.is_empty() {
            self.bytes = block;
        } else {
            self.extend(&block, spares);
        }
        true
    }

    /// The first `count` unparsed bytes were parsed.
    pub(crate) fn consume(&mut self, count: usize, spares: &mut Spares) {
        self.at += count;
        debug_assert!(self.at <= self.bytes.len(), "consumed more than there was");
        if self.at == self.bytes.len() {
            // An idle connection owns no buffer.
            spares.give(std::mem::take(&mut self.bytes));
            self.at = 0;
        }
    }
}

#[derive(Debug)]
enum Segment {
    Own(Vec<u8>),
    Shared(Bytes),
    Rest(Rest),
    Stored(Stored),
}

impl Segment {
    /// Its bytes; `None` when they are not encoded.
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Own(bytes) => Some(bytes),
            Self::Shared(bytes) => Some(bytes),
            Self::Rest(_) | Self::Stored(_) => None,
        }
    }
}

impl From<Piece> for Segment {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Bytes(bytes) => Self::Shared(bytes),
            Piece::Rest(rest) => Self::Rest(rest),
        }
    }
}

/// Longest piece to which more is appended, bytes.
const OWN_BYTES_MAX: usize = 1 << 20;

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes that have left. Where some were kept, it is all of those.
    pub sent: usize,
    /// Bytes that are kept beside the socket, which has no room for the records in which they are.
    pub kept: usize,
}

impl Written {
    /// So many bytes have left.
    pub fn sent(sent: usize) -> Self {
        Self { sent, kept: 0 }
    }
}

/// Bytes to be sent.
#[derive(Debug, Default)]
pub struct Output {
    /// What is sent first.
    own: Vec<u8>,
    /// What follows it.
    segments: VecDeque<Segment>,
    /// Of the first piece.
    sent: usize,
    /// Of everything, what is kept beside the socket included.
    len: usize,
    kept: usize,
    /// Long pieces that were sent, to be freed by somebody who has the time.
    spent: Vec<Segment>,
}

/// What was sent and takes long to free.
pub(crate) struct Spent {
    _freed_with_it: Vec<Segment>,
}

impl Output {
    /// Unsent bytes, as far as they are known: see the module's head.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether everything is sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.segments.is_empty() && self.kept == 0
    }

    /// Whether some of it is kept beside the socket: that leaves before anything else is written.
    pub(crate) fn has_kept(&self) -> bool {
        self.kept > 0
    }

    /// Gives it a buffer, if it owns none, for what is appended next.
    pub(crate) fn equip(&mut self, spares: &mut Spares) {
        if self.own.capacity() == 0 && self.segments.is_empty() {
            self.own = spares.take();
        }
    }

    /// Takes a reply over, leaving nothing of it.
    pub(crate) fn take(&mut self, reply: &mut Reply) {
        if reply.is_plain() {
            if reply.len() < REPLY_BYTES_HANDED_OVER {
                self.append(reply.bytes());
                reply.clear();
            } else {
                self.push(Segment::Shared(reply.take().into()));
            }
            return;
        }
        for piece in reply.take_pieces() {
            match piece {
                Piece::Bytes(bytes) => self.append_shared(&bytes),
                Piece::Rest(_) => self.push(piece.into()),
            }
        }
    }

    fn push(&mut self, segment: Segment) {
        self.len += match &segment {
            Segment::Rest(rest) => rest.estimated_bytes(),
            Segment::Own(_) | Segment::Shared(_) | Segment::Stored(_) => {
                segment.bytes().map_or(0, <[u8]>::len)
            }
        };
        self.segments.push_back(segment);
    }

    /// Whether it holds shares of values, or a file: to free the last of them may take long.
    pub(crate) fn has_shares(&self) -> bool {
        let mut segments = self.segments.iter();
        segments.any(|segment| !matches!(segment, Segment::Own(_)))
    }

    /// Encodes, or reads, what is to be sent next, when it is not yet. To be called before the bytes to send are asked for.
    ///
    /// # Errors
    /// A file that is sent cannot be read, or is shorter than was said.
    pub(crate) fn prepare(&mut self) -> io::Result<()> {
        if self.has_kept() {
            return Ok(());
        }
        let (mut ready, mut at) = (self.own.len(), 0);
        while let Some(segment) = self.segments.get_mut(at) {
            if ready >= self.sent + REPLY_SLICE_BYTES {
                break;
            }
            match segment {
                Segment::Own(bytes) => ready += bytes.len(),
                Segment::Shared(bytes) => ready += bytes.len(),
                Segment::Rest(_) => {
                    self.encode_slice(at);
                    continue;
                }
                Segment::Stored(stored) => {
                    let piece = stored.next_piece()?;
                    if stored.is_over() {
                        self.spent.extend(self.segments.remove(at));
                    }
                    if piece.is_empty() {
                        continue;
                    }
                    self.len += piece.len();
                    self.segments.insert(at, Segment::Own(piece));
                    continue;
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// Puts the next slice of a long reply before what is left of it.
    fn encode_slice(&mut self, at: usize) {
        let Some(Segment::Rest(rest)) = self.segments.get_mut(at) else {
            return;
        };
        self.len -= rest.estimated_bytes();
        let slice = rest.next_slice();
        if rest.is_over() {
            self.segments.remove(at);
        } else {
            self.len += rest.estimated_bytes();
        }
        for (behind, piece) in slice.into_iter().enumerate() {
            self.len += piece.estimated_bytes();
            self.segments.insert(at + behind, piece.into());
        }
    }

    /// Appends a file.
    pub(crate) fn append_stored(&mut self, stored: Stored) {
        self.push(Segment::Stored(stored));
    }

    /// Appends a copy.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        let last = match self.segments.back_mut() {
            None => Some(&mut self.own),
            Some(Segment::Own(own)) => Some(own),
            Some(Segment::Shared(_) | Segment::Rest(_) | Segment::Stored(_)) => None,
        };
        match last.filter(|own| own.is_empty() || own.len() + bytes.len() <= OWN_BYTES_MAX) {
            Some(own) => own.extend_from_slice(bytes),
            None => self.segments.push_back(Segment::Own(bytes.to_vec())),
        }
    }

    /// Appends bytes that others hold too: large ones without a copy.
    pub(crate) fn append_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            self.append(bytes);
        } else {
            self.len += bytes.len();
            self.segments.push_back(Segment::Shared(bytes.clone()));
        }
    }

    /// Takes the long pieces that were sent, if any: it may be the last to hold them.
    pub(crate) fn take_spent(&mut self) -> Option<Spent> {
        (!self.spent.is_empty()).then(|| Spent {
            _freed_with_it: std::mem::take(&mut self.spent),
        })
    }

    /// In how many pieces the unsent bytes are held.
    pub(crate) fn piece_count(&self) -> usize {
        self.segments.len() + usize::from(!self.own.is_empty())
    }

    /// The next bytes to send; empty when all is sent.
    pub fn front(&self) -> &[u8] {
        let first = if self.own.is_empty() {
            self.segments.front().and_then(Segment::bytes)
        } else {
            Some(self.own.as_slice())
        };
        first
            .and_then(|bytes| bytes.get(self.sent..))
            .unwrap_or_default()
    }

    /// What one write may send next, when it is in one piece, as nearly always.
    pub(crate) fn only_piece(&self) -> Option<&[u8]> {
        let piece = (self.piece_count() == 1).then(|| self.front())?;
        (!piece.is_empty()).then(|| piece.get(..WRITE_BYTES_MAX).unwrap_or(piece))
    }

    /// Puts what one write may send next into `pieces`, which are empty; gives how many.
    pub(crate) fn next_pieces<'a>(
        &'a self,
        pieces: &mut [IoSlice<'a>; PIECES_PER_WRITE_MAX],
    ) -> usize {
        let bytes = self.segments.iter().map_while(Segment::bytes);
        let next =
            std::iter::once(self.front()).chain(bytes.skip(usize::from(self.own.is_empty())));
        let (mut count, mut room) = (0, WRITE_BYTES_MAX);
        for (slot, piece) in pieces
            .iter_mut()
            .zip(next.filter(|piece| !piece.is_empty()))
        {
            let piece = piece.get(..room).unwrap_or(piece);
            room -= piece.len();
            *slot = IoSlice::new(piece);
            count += 1;
            if room == 0 {
                break;
            }
        }
        count
    }

    /// Follows a write.
    pub(crate) fn note(&mut self, written: Written, spares: &mut Spares) {
        if self.has_kept() {
            debug_assert!(written.kept == 0, "what is kept leaves first");
            self.kept = self.kept.saturating_sub(written.sent);
            self.len = self.len.saturating_sub(written.sent);
            return;
        }
        self.consume(written.sent + written.kept, spares);
        self.kept = written.kept;
        self.len += written.kept;
    }

    /// The first `count` unsent bytes were sent. Who has sent everything owns no buffer: it goes to the spare ones.
    pub(crate) fn consume(&mut self, count: usize, spares: &mut Spares) {
        debug_assert!(count <= self.len, "sent more than there was");
        self.len = self.len.saturating_sub(count);
        self.sent += count;
        if !self.own.is_empty() {
            if self.own.len() > self.sent {
                return;
            }
            self.sent -= self.own.len();
            spares.give(std::mem::take(&mut self.own));
        }
        while let Some(front) = self
            .segments
            .front()
            .and_then(Segment::bytes)
            .map(<[u8]>::len)
            && front <= self.sent
        {
            if let Some(shared @ Segment::Shared(_)) = self.segments.pop_front()
                && front >= SPENT_BYTES_MIN
            {
                self.spent.push(shared);
            }
            self.sent -= front;
        }
        if self.segments.is_empty() {
            self.segments = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests;
