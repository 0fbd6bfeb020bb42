//! The reply writer: appends RESP2 or RESP3 to one buffer.
//!
//! No tree of frames: a handler writes a reply in the order of the wire. A container is opened with its length and
//! followed by its elements. What is written can be taken back to a [`Mark`] (an error in the middle of a reply).
//! Where slices are allowed a long reply has other parts between its bytes ([`super::rest`]); elsewhere it never has.
//! Not here: sockets, limits of the output, pushes to other clients.

use std::ops::Range;

use bytes::Bytes;

use crate::limits::{REPLY_SLICE_BYTES, SHARED_BULK_BYTES_MIN};

use super::Protocol;
use super::rest::{Elements, Piece, Rest};

/// A position in a reply to come back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    bytes: usize,
    cuts: usize,
}

impl Mark {
    /// Before everything.
    pub(crate) const START: Self = Self { bytes: 0, cuts: 0 };
}

/// Replies under construction, in the order in which they leave.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    buffer: Vec<u8>,
    protocol: Protocol,
    /// Whether there may be cuts.
    slices: bool,
    /// Where in the buffer another part stands, ascending.
    cuts: Vec<(usize, Piece)>,
    /// Bytes of those parts.
    cut_bytes: usize,
}

/// Writes an integer as decimal text into `buffer` and gives the written end of it.
pub(crate) fn format_integer(value: i64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        if let Some(digit) = buffer.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        if let Some(sign) = buffer.get_mut(at) {
            *sign = b'-';
        }
    }
    buffer.get(at..).unwrap_or_default()
}

/// The text of a double as Redis replies it: the shortest that reads back the same, `inf`, `-inf`, `nan`.
pub(crate) fn format_double(value: f64) -> String {
    if value.is_nan() {
        "nan".into()
    } else if value.is_infinite() {
        if value > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        }
    } else if value == value.trunc() && value.abs() < 1e17 {
        format!("{}", value as i64)
    } else {
        let magnitude = value.abs();
        if (1e-5..1e17).contains(&magnitude) {
            format!("{value}")
        } else {
            let text = format!("{value:e}");
            // C prints at least two digits of exponent and its sign.
            match text.split_once('e') {
                Some((digits, exponent)) => {
                    let (sign, number) = match exponent.strip_prefix('-') {
                        Some(number) => ('-', number),
                        None => ('+', exponent),
                    };
                    format!("{digits}e{sign}{number:0>2}")
                }
                None => text,
            }
        }
    }
}

impl Reply {
    /// An empty reply in a protocol version.
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            ..Self::default()
        }
    }

    /// Whether long parts may be encoded later: only for a reply that goes to a client's output as it is.
    pub(crate) fn set_slices(&mut self, slices: bool) {
        self.slices = slices;
    }

    /// See [`Reply::set_slices`].
    pub(crate) fn slices(&self) -> bool {
        self.slices
    }

    /// Whether it is nothing but bytes of its own.
    pub(crate) fn is_plain(&self) -> bool {
        self.cuts.is_empty()
    }

    /// The length from which on it is better to give the rest by [`Reply::rest`].
    pub(crate) fn slice_end(&self) -> usize {
        if self.slices {
            self.len() + REPLY_SLICE_BYTES
        } else {
            usize::MAX
        }
    }

    /// Writes elements, the first ones now and the others when they leave.
    pub(crate) fn rest(&mut self, mut elements: Box<dyn Elements>) {
        if self.slices {
            if let Some(rest) = Rest::begin(elements, self) {
                self.cut(Piece::Rest(rest));
            }
            return;
        }
        while elements.left() > 0 {
            elements.write_next(self, usize::MAX);
        }
    }

    /// A bulk string that others hold too: instead of a copy of a long one there is a share.
    pub(crate) fn bulk_shared(&mut self, bytes: &[u8], share: impl FnOnce() -> Bytes) {
        if !self.slices || bytes.len() < SHARED_BULK_BYTES_MIN {
            return self.bulk(bytes);
        }
        self.bulk_length(bytes.len());
        self.cut(Piece::Bytes(share()));
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// Appends bytes that are RESP already and nobody else's: many of them without a copy.
    pub(crate) fn append(&mut self, bytes: Vec<u8>) {
        if self.slices && bytes.len() >= SHARED_BULK_BYTES_MIN {
            self.cut(Piece::Bytes(bytes.into()));
        } else {
            self.buffer.extend_from_slice(&bytes);
        }
    }

    fn cut(&mut self, piece: Piece) {
        self.cut_bytes += piece.estimated_bytes();
        self.cuts.push((self.buffer.len(), piece));
    }

    /// Takes all parts in order, leaving nothing.
    pub(crate) fn take_pieces(&mut self) -> Vec<Piece> {
        let own = Bytes::from(std::mem::take(&mut self.buffer));
        let mut pieces = Vec::with_capacity(2 * self.cuts.len() + 1);
        let mut from = 0;
        for (at, piece) in self.cuts.drain(..) {
            if at > from {
                pieces.push(Piece::Bytes(own.slice(from..at)));
            }
            pieces.push(piece);
            from = at;
        }
        if own.len() > from {
            pieces.push(Piece::Bytes(own.slice(from..)));
        }
        self.cut_bytes = 0;
        pieces
    }

    /// Takes what was written since `mark` into a reply of its own.
    pub(crate) fn split_off(&mut self, mark: Mark) -> Self {
        let cuts = self.cuts.split_off(mark.cuts);
        let moved = cuts.into_iter().map(|(at, piece)| (at - mark.bytes, piece));
        let mut tail = Self {
            buffer: self.buffer.split_off(mark.bytes),
            protocol: self.protocol,
            slices: self.slices,
            cuts: moved.collect(),
            cut_bytes: 0,
        };
        tail.count_cuts();
        self.count_cuts();
        tail
    }

    fn count_cuts(&mut self) {
        let pieces = self.cuts.iter().map(|(_, piece)| piece.estimated_bytes());
        self.cut_bytes = pieces.sum();
    }

    /// Makes room for so many bytes more.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.buffer.reserve(bytes);
    }

    /// Where the next own byte will stand among the own bytes, for [`Reply::replace`].
    pub(crate) fn position(&self) -> usize {
        self.buffer.len()
    }

    /// Replaces own bytes, between which nothing else stands: a head whose number is known only now.
    pub(crate) fn replace(&mut self, range: Range<usize>, bytes: &[u8]) {
        for (at, _) in &mut self.cuts {
            if *at >= range.end {
                *at = *at - range.len() + bytes.len();
            }
        }
        self.buffer.splice(range, bytes.iter().copied());
    }

    /// The version written from here on.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether it is RESP3.
    pub(crate) fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// Changes the version from here on (HELLO).
    pub(crate) fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// What is written so far, without parts that are not its own.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Length so far, bytes; of a rest that is not encoded the estimate.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() + self.cut_bytes
    }

    /// Whether nothing is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes what is written, leaving nothing. For a plain reply.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        debug_assert!(self.is_plain(), "parts would be lost");
        std::mem::take(&mut self.buffer)
    }

    /// Bytes it holds room for.
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Forgets what is written but keeps the room for more.
    pub(crate) fn clear(&mut self) {
        self.truncate(Mark::START);
    }

    /// The present position.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            bytes: self.buffer.len(),
            cuts: self.cuts.len(),
        }
    }

    /// Takes back everything written since `mark`.
    pub(crate) fn truncate(&mut self, mark: Mark) {
        self.buffer.truncate(mark.bytes);
        if self.cuts.len() > mark.cuts {
            self.cuts.truncate(mark.cuts);
            self.count_cuts();
        }
    }

    /// What was written since `mark`, without parts that are not its own.
    pub(crate) fn since(&self, mark: Mark) -> &[u8] {
        self.buffer.get(mark.bytes..).unwrap_or_default()
    }

    /// Appends bytes that are RESP already.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    #[inline]
    fn header(&mut self, kind: u8, number: i64) {
        // Nearly all lengths have up to three digits, and a piece of known size is a store or two.
        let (tens, ones) = (number / 10, b'0'.wrapping_add((number % 10) as u8));
        match number {
            0..10 => self.buffer.extend_from_slice(&[kind, ones, b'\r', b'\n']),
            10..100 => {
                let line = [kind, b'0' + tens as u8, ones, b'\r', b'\n'];
                self.buffer.extend_from_slice(&line);
            }
            100..1000 => {
                let (hundreds, tens) = (b'0' + (tens / 10) as u8, b'0' + (tens % 10) as u8);
                let line = [kind, hundreds, tens, ones, b'\r', b'\n'];
                self.buffer.extend_from_slice(&line);
            }
            _ => self.long_header(kind, number),
        }
    }

    fn long_header(&mut self, kind: u8, number: i64) {
        let mut digits = [0; 20];
        let text = format_integer(number, &mut digits);
        self.buffer.push(kind);
        self.buffer.extend_from_slice(text);
        self.buffer.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.buffer.push(kind);
        self.buffer.extend_from_slice(text);
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// `+OK`.
    pub(crate) fn ok(&mut self) {
        self.buffer.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string. It must not hold a line break.
    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error; `text` starts with its code (`ERR …`). Line breaks at the end go, others become spaces, as Redis does.
    pub(crate) fn error(&mut self, text: &[u8]) {
        let is_newline = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let end = text.iter().rposition(|byte| !is_newline(byte));
        let text = text.get(..end.map_or(0, |end| end + 1)).unwrap_or_default();
        self.buffer.push(b'-');
        self.buffer.extend(
            text.iter()
                .map(|byte| if is_newline(byte) { b' ' } else { *byte }),
        );
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// An integer.
    pub(crate) fn integer(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// An integer from a length or count.
    pub(crate) fn count(&mut self, value: usize) {
        self.header(b':', value as i64);
    }

    /// A bulk string.
    #[inline]
    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.buffer.reserve(bytes.len() + 24);
        self.header(b'$', bytes.len() as i64);
        self.buffer.extend_from_slice(bytes);
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// The head of a bulk string of so many bytes, which follow it with a line end.
    pub(crate) fn bulk_length(&mut self, len: usize) {
        self.header(b'$', len as i64);
    }

    /// An integer as a bulk string.
    pub(crate) fn bulk_integer(&mut self, value: i64) {
        let mut digits = [0; 20];
        let text = format_integer(value, &mut digits);
        self.header(b'$', text.len() as i64);
        self.buffer.extend_from_slice(text);
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// The null of a missing value: `$-1` or `_`.
    pub(crate) fn null(&mut self) {
        self.buffer.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n".as_slice(),
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The null of a missing array: `*-1` or `_`.
    pub(crate) fn null_array(&mut self) {
        self.buffer.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n".as_slice(),
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Opens an array of `len` elements.
    pub(crate) fn array(&mut self, len: usize) {
        self.header(b'*', len as i64);
    }

    /// Opens a map of `len` pairs; a flat array in RESP2.
    pub(crate) fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', 2 * len as i64),
            Protocol::Resp3 => self.header(b'%', len as i64),
        }
    }

    /// Opens a set of `len` elements; an array in RESP2.
    pub(crate) fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len as i64),
            Protocol::Resp3 => self.header(b'~', len as i64),
        }
    }

    /// Opens a push of `len` elements; an array in RESP2.
    pub(crate) fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len as i64),
            Protocol::Resp3 => self.header(b'>', len as i64),
        }
    }

    /// A double; a bulk string in RESP2.
    pub(crate) fn double(&mut self, value: f64) {
        let text = format_double(value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// As [`Reply::double`], of one whose text is there already.
    pub(crate) fn double_text(&mut self, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => self.line(b',', text),
        }
    }

    /// A boolean; 1 or 0 in RESP2.
    pub(crate) fn boolean(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.integer(i64::from(value)),
            Protocol::Resp3 => {
                self.buffer
                    .extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" })
            }
        }
    }

    /// Text with a three-letter format (`txt`, `mkd`); a bulk string in RESP2.
    pub(crate) fn verbatim(&mut self, format: impl AsRef<[u8]>, bytes: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(bytes),
            Protocol::Resp3 => {
                self.header(b'=', bytes.len() as i64 + 4);
                self.buffer.extend_from_slice(format.as_ref());
                self.buffer.push(b':');
                self.buffer.extend_from_slice(bytes);
                self.buffer.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A number too large for an integer; a bulk string in RESP2.
    pub(crate) fn big_number(&mut self, digits: impl AsRef<[u8]>) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits.as_ref()),
            Protocol::Resp3 => self.line(b'(', digits.as_ref()),
        }
    }

    /// Opens an attribute of `len` pairs. RESP3 only.
    pub(crate) fn attribute(&mut self, len: usize) {
        debug_assert!(self.is_resp3(), "RESP2 has no attributes");
        self.header(b'|', len as i64);
    }

    /// Lines of text as an array of simple strings: what HELP replies.
    pub(crate) fn lines(&mut self, lines: &[&str]) {
        self.array(lines.len());
        for line in lines {
            self.simple(line);
        }
    }
}
