//! Input and output of one connection.
//!
//! A connection owns a buffer only for an incomplete request or unsent output; an idle one owns none.
//!
//! ```text
//! input    [ consumed | unparsed … ]          output   [ own bytes ][ shared payload ][ own bytes ]
//!                     ^ at                              ^ sent
//! ```
//! A payload that many outputs wait to send is held once, however many they are. Several pieces leave with one write.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::limits::SHARED_BYTES_MIN;

/// Pieces that one write takes.
pub const PIECES_PER_WRITE_MAX: usize = 32;

/// Bytes read and not yet parsed.
#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    at: usize,
}

impl Input {
    /// Unparsed bytes.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether nothing is unparsed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The unparsed bytes.
    pub fn unparsed(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Appends bytes read.
    pub fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.at > 0 && self.at >= self.bytes.len() / 2 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The first `count` unparsed bytes were parsed.
    pub fn consume(&mut self, count: usize) {
        self.at += count;
        debug_assert!(self.at <= self.bytes.len(), "consumed more than there was");
        if self.is_empty() {
            // An idle connection owns no buffer.
            *self = Self::default();
        }
    }
}

#[derive(Debug)]
enum Segment {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Bytes to be sent.
#[derive(Debug, Default)]
pub struct Output {
    segments: VecDeque<Segment>,
    sent: usize,
    len: usize,
}

impl Output {
    /// Unsent bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether everything is sent.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a copy.
    pub fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        match self.segments.back_mut() {
            Some(Segment::Own(own)) if own.len() + bytes.len() <= 1 << 20 => {
                own.extend_from_slice(bytes)
            }
            _ => self.segments.push_back(Segment::Own(bytes.to_vec())),
        }
    }

    /// Appends bytes that others hold too: large ones without a copy.
    pub fn append_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            self.append(bytes);
        } else {
            self.len += bytes.len();
            self.segments.push_back(Segment::Shared(bytes.clone()));
        }
    }

    /// In how many pieces the unsent bytes are held.
    pub fn piece_count(&self) -> usize {
        self.segments.len()
    }

    /// The next bytes to send; empty when all is sent.
    pub fn front(&self) -> &[u8] {
        self.segments
            .front()
            .and_then(|segment| segment.bytes().get(self.sent..))
            .unwrap_or_default()
    }

    /// The bytes to send when they are in one piece, as nearly always.
    pub fn only_piece(&self) -> Option<&[u8]> {
        (self.segments.len() == 1).then(|| self.front())
    }

    /// Puts the next pieces to send into `pieces`, which are empty; gives how many.
    pub fn next_pieces<'a>(&'a self, pieces: &mut [IoSlice<'a>; PIECES_PER_WRITE_MAX]) -> usize {
        let rest = self.segments.iter().skip(1).map(Segment::bytes);
        let next = std::iter::once(self.front()).chain(rest);
        let mut count = 0;
        for (slot, piece) in pieces
            .iter_mut()
            .zip(next.filter(|piece| !piece.is_empty()))
        {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// The first `count` unsent bytes were sent.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.len, "sent more than there was");
        self.len -= count;
        self.sent += count;
        while let Some(front) = self.segments.front().map(|segment| segment.bytes().len())
            && front <= self.sent
        {
            self.segments.pop_front();
            self.sent -= front;
        }
        if self.segments.is_empty() {
            // Who has sent everything owns no buffer.
            self.segments = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_keeps_what_is_not_consumed() {
        let mut input = Input::default();
        input.append(b"abcdef");
        input.consume(4);
        input.append(b"gh");
        assert_eq!(input.unparsed(), b"efgh");
        input.consume(4);
        assert!(input.is_empty());
        assert_eq!(
            input.bytes.capacity(),
            0,
            "an idle connection owns no buffer"
        );
    }

    #[test]
    fn output_leaves_in_order_whatever_the_pieces() {
        let mut output = Output::default();
        let big = Bytes::from(vec![b'x'; 5000]);
        output.append(b"one");
        output.append_shared(&big);
        output.append(b"two");
        let mut sent = Vec::new();
        while !output.is_empty() {
            let piece = output.front();
            let count = piece.len().min(700);
            sent.extend_from_slice(&piece[..count]);
            output.consume(count);
        }
        assert_eq!(sent, [b"one".as_slice(), &big, b"two"].concat());
        assert_eq!(output.len(), 0);
    }

    #[test]
    fn pieces_leave_together_however_much_of_them_is_sent() {
        let big = Bytes::from(vec![b'x'; 5000]);
        for step in [1, 3, 999, 5003, 5006, 20_000, usize::MAX] {
            let (mut output, mut sent) = (Output::default(), Vec::new());
            for _ in 0..40 {
                output.append(b"one");
                output.append_shared(&big);
            }
            assert_eq!((output.len(), output.piece_count()), (40 * 5003, 80));
            while !output.is_empty() {
                let mut pieces = [IoSlice::new(&[]); PIECES_PER_WRITE_MAX];
                let count = output.next_pieces(&mut pieces);
                let pieces: Vec<u8> = pieces[..count]
                    .iter()
                    .flat_map(|piece| piece.to_vec())
                    .collect();
                assert!(pieces.starts_with(output.front()));
                let taken = pieces.len().min(step);
                sent.extend_from_slice(&pieces[..taken]);
                output.consume(taken);
            }
            assert_eq!(sent, [b"one".as_slice(), &big].concat().repeat(40));
            assert_eq!(output.piece_count(), 0);
        }
    }

    #[test]
    fn a_large_payload_is_held_once_by_all_outputs() {
        let (big, small) = (
            Bytes::from(vec![b'x'; SHARED_BYTES_MIN]),
            Bytes::from_static(b"small"),
        );
        let mut outputs: Vec<Output> = (0..10).map(|_| Output::default()).collect();
        for output in &mut outputs {
            output.append_shared(&small);
            output.append_shared(&big);
        }
        let held = |output: &Output| output.segments[1].bytes().as_ptr();
        assert!(outputs.iter().all(|output| held(output) == big.as_ptr()));
        assert!(!big.is_unique());
        drop(outputs);
        assert!(big.is_unique());
    }
}
