//! Where the writers write: numbers and strings as RDB has them, in pieces to a sink.
//!
//! Short pieces are gathered, long ones go to the sink as they are. The checksum is that of all bytes.

use std::io::{self, Write};

use crc_fast::{CrcAlgorithm, Digest};

use super::{encodings, lzf};
use crate::data::listpack::{Element, integer_text, parse_integer};

/// How much is gathered, bytes.
const GATHERED_BYTES: usize = 64 * 1024;
/// The longest text that may be written as an integer, bytes.
const INTEGER_BYTES_MAX: usize = 11;
/// The longest text that is not compressed, bytes.
const UNCOMPRESSED_BYTES_MAX: usize = 20;

/// Bytes on their way to a sink.
pub(super) struct Out<W> {
    sink: W,
    gathered: Vec<u8>,
    sum: Option<Digest>,
    /// What went to the sink, bytes.
    written: u64,
    compress: bool,
    scratch: Vec<u8>,
}

impl<W: Write> Out<W> {
    pub(super) fn new(sink: W, compress: bool, checksum: bool) -> Self {
        Self {
            sink,
            gathered: Vec::new(),
            sum: checksum.then(|| Digest::new(CrcAlgorithm::Crc64Redis)),
            written: 0,
            compress,
            scratch: Vec::new(),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(sum) = &mut self.sum {
            sum.update(&self.gathered);
        }
        self.sink.write_all(&self.gathered)?;
        self.written += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }

    /// The checksum of all that was written, 0 when none is made.
    pub(super) fn checksum(&mut self) -> io::Result<u64> {
        self.flush()?;
        Ok(self.sum.as_ref().map_or(0, Digest::finalize))
    }

    /// The sink, when all is there.
    pub(super) fn into_sink(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.sink)
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.gathered.len() + bytes.len() > GATHERED_BYTES {
            self.flush()?;
        }
        if bytes.len() > GATHERED_BYTES / 2 {
            self.flush()?;
            for piece in bytes.chunks(GATHERED_BYTES) {
                if let Some(sum) = &mut self.sum {
                    sum.update(piece);
                }
                self.sink.write_all(piece)?;
                self.written += piece.len() as u64;
            }
            return Ok(());
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn byte(&mut self, byte: u8) -> io::Result<()> {
        self.raw(&[byte])
    }

    pub(super) fn length(&mut self, length: u64) -> io::Result<()> {
        match length {
            0..=63 => self.byte(length as u8),
            64..=0x3FFF => self.raw(&[0x40 | (length >> 8) as u8, length as u8]),
            _ => match u32::try_from(length) {
                Ok(short) => {
                    let [a, b, c, d] = short.to_be_bytes();
                    self.raw(&[0x80, a, b, c, d])
                }
                Err(_) => {
                    let [a, b, c, d, e, f, g, h] = length.to_be_bytes();
                    self.raw(&[0x81, a, b, c, d, e, f, g, h])
                }
            },
        }
    }

    /// Milliseconds since 1970.
    pub(super) fn time(&mut self, ms: i64) -> io::Result<()> {
        self.raw(&ms.to_le_bytes())
    }

    /// A string: as an integer, compressed or as it is.
    pub(super) fn string(&mut self, text: &[u8]) -> io::Result<()> {
        if text.len() <= INTEGER_BYTES_MAX
            && let Some(value) = parse_integer(text).and_then(|value| i32::try_from(value).ok())
        {
            return self.short_integer(value);
        }
        if self.compress && text.len() > UNCOMPRESSED_BYTES_MAX {
            let mut compressed = std::mem::take(&mut self.scratch);
            compressed.clear();
            let is_shorter = lzf::compress(text, &mut compressed);
            if is_shorter {
                self.byte(encodings::LZF)?;
                self.length(compressed.len() as u64)?;
                self.length(text.len() as u64)?;
                self.raw(&compressed)?;
            }
            if compressed.capacity() <= GATHERED_BYTES {
                self.scratch = compressed;
            }
            if is_shorter {
                return Ok(());
            }
        }
        self.text(text)
    }

    /// A string as it is.
    pub(super) fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.length(text.len() as u64)?;
        self.raw(text)
    }

    /// A string that is an integer.
    pub(super) fn integer(&mut self, value: i64) -> io::Result<()> {
        match i32::try_from(value) {
            Ok(short) => self.short_integer(short),
            Err(_) => self.text(integer_text(value, &mut [0; 20])),
        }
    }

    fn short_integer(&mut self, value: i32) -> io::Result<()> {
        let [a, b, c, d] = value.to_le_bytes();
        if i8::try_from(value).is_ok() {
            self.raw(&[encodings::INT8, a])
        } else if i16::try_from(value).is_ok() {
            self.raw(&[encodings::INT16, a, b])
        } else {
            self.raw(&[encodings::INT32, a, b, c, d])
        }
    }

    pub(super) fn element(&mut self, element: Element<'_>) -> io::Result<()> {
        match element {
            Element::Int(value) => self.integer(value),
            Element::Bytes(text) => self.string(text),
        }
    }
}
