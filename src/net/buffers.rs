//! Input and output of one connection.
//!
//! A connection owns a buffer only for an incomplete request or unsent output; an idle one owns none.
//!
//! ```text
//! input    [ consumed | unparsed … ]          output   [ own bytes ][ shared payload ][ own bytes ]
//!                     ^ at                              ^ sent
//! ```

use std::collections::VecDeque;

use bytes::Bytes;

/// Payloads from this size on are shared between outputs instead of copied, bytes.
const SHARED_BYTES_MIN: usize = 2048;

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

    /// The next bytes to send; empty when all is sent.
    pub fn front(&self) -> &[u8] {
        self.segments
            .front()
            .and_then(|segment| segment.bytes().get(self.sent..))
            .unwrap_or_default()
    }

    /// The first `count` of [`Output::front`] were sent.
    pub fn consume(&mut self, count: usize) {
        self.sent += count;
        self.len -= count;
        if self
            .segments
            .front()
            .is_some_and(|segment| segment.bytes().len() == self.sent)
        {
            self.segments.pop_front();
            self.sent = 0;
            if self.segments.is_empty() {
                self.segments = VecDeque::new();
            }
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
}
