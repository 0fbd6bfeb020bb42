//! HyperLogLog: about how many different elements were added, in 12 KB at most, with a standard error of 0.81 %.
//!
//! ```text
//! element ── hash ──► a register (14 bits), zeros behind them + 1 (1 to 51) ──► the register keeps the highest number
//!
//! bytes    H Y L L │ encoding │ 0 0 0 │ cached count, 8 bytes, lowest first; top bit: it is not valid │ registers
//! dense    (0) 16384 registers of 6 bits: dense.rs
//! sparse   (1) runs of registers with equal numbers: sparse.rs
//! ```
//! The bytes are those that Redis stores, and any client may set them: what is no sketch is refused at its header, and what is
//! one outside only is found [`Corrupted`] when its registers are read. No input makes a walk longer than the registers are
//! many.
//!
//! Not here: when a count is cached. Sources: "New cardinality estimation algorithms for HyperLogLog sketches", O. Ertl,
//! arXiv:1702.01284; the format of HyperLogLog strings in Redis.

mod dense;
mod estimate;
mod hash;
mod self_test;
mod sparse;
#[cfg(test)]
mod tests;

pub(crate) use self_test::self_test;
pub(crate) use sparse::Run;

use estimate::Histogram;

/// Bits of the hash that say which register.
const REGISTER_BITS: u32 = 14;
/// Registers of a sketch.
pub(crate) const REGISTER_COUNT: usize = 1 << REGISTER_BITS;
/// Bits of the hash whose zeros are counted.
const COUNTED_BITS: u32 = u64::BITS - REGISTER_BITS;
/// What is before the registers, bytes.
const HEADER_BYTES: usize = 16;
/// The length of a dense sketch, bytes.
pub(crate) const DENSE_BYTES: usize = HEADER_BYTES + dense::BYTES;
/// What a sketch begins with.
const MAGIC: &[u8; 4] = b"HYLL";
/// Where the encoding is.
const ENCODING_AT: usize = 4;
/// Where the cached count is.
const COUNT_AT: std::ops::Range<usize> = 8..16;
/// In the last byte of the cached count: it does not count the registers as they are.
const COUNT_INVALID: u8 = 0x80;

/// How the registers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// All of them, 6 bits each.
    Dense,
    /// Runs of equal ones.
    Sparse,
}

/// The runs do not make up all registers, or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupted;

/// What an element leaves in a sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The register it falls to.
    register: usize,
    /// The number that the register has at least from then on.
    number: u8,
}

impl Trace {
    /// Of an element. O(its bytes).
    pub(crate) fn of(element: &[u8]) -> Self {
        let hash = hash::of(element);
        let counted = hash >> REGISTER_BITS | 1 << COUNTED_BITS;
        Self {
            register: hash as usize % REGISTER_COUNT,
            number: counted.trailing_zeros() as u8 + 1,
        }
    }
}

/// The numbers of all registers, without an encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registers(Box<[u8; REGISTER_COUNT]>);

impl Default for Registers {
    fn default() -> Self {
        Self(Box::new([0; REGISTER_COUNT]))
    }
}

impl Registers {
    /// Each, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u8> {
        self.0.iter().copied()
    }

    /// About how many elements left them so.
    pub(crate) fn count(&self) -> u64 {
        let mut histogram = Histogram::default();
        self.iter().for_each(|number| histogram.add(number, 1));
        histogram.estimate()
    }

    /// One element more.
    pub(crate) fn add(&mut self, trace: Trace) {
        self.raise(trace.register, trace.number);
    }

    fn raise(&mut self, register: usize, number: u8) {
        let old = &mut self.0[register];
        *old = number.max(*old);
    }
}

/// A stored sketch, to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredSketch<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
}

impl<'a> StoredSketch<'a> {
    /// `None` when the bytes are no sketch, by their header and length. O(1).
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return None;
        }
        let encoding = match bytes[ENCODING_AT] {
            0 if bytes.len() == DENSE_BYTES => Encoding::Dense,
            1 => Encoding::Sparse,
            _ => return None,
        };
        Some(Self { bytes, encoding })
    }

    /// How the registers are stored.
    pub(crate) fn encoding(self) -> Encoding {
        self.encoding
    }

    fn registers(self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// The count that was cached, unless registers have changed since.
    pub(crate) fn cached_count(self) -> Option<u64> {
        let mut count = [0; 8];
        count.copy_from_slice(&self.bytes[COUNT_AT]);
        let is_valid = count[7] & COUNT_INVALID == 0;
        is_valid.then(|| u64::from_le_bytes(count))
    }

    /// About how many elements were added. O(registers).
    ///
    /// # Errors
    /// When the runs of a sparse one do not make up the registers.
    pub(crate) fn count(self) -> Result<u64, Corrupted> {
        let mut histogram = Histogram::default();
        match self.encoding {
            Encoding::Dense => {
                dense::for_each(self.registers(), |number| histogram.add(number, 1));
            }
            Encoding::Sparse => sparse::count(self.registers(), &mut histogram)?,
        }
        Ok(histogram.estimate())
    }

    /// Raises registers to its own where those are higher. O(registers).
    ///
    /// # Errors
    /// When the runs of a sparse one do not make up the registers; some may have been raised.
    pub(crate) fn merge_into(self, registers: &mut Registers) -> Result<(), Corrupted> {
        match self.encoding {
            Encoding::Dense => {
                let mut old = registers.0.iter_mut();
                dense::for_each(self.registers(), |number| {
                    if let Some(old) = old.next() {
                        *old = number.max(*old);
                    }
                });
                Ok(())
            }
            Encoding::Sparse => sparse::fill(self.registers(), |register, number| {
                registers.raise(register, number);
            }),
        }
    }

    /// The runs of a sparse one as they lie there, whether they make up the registers or not.
    pub(crate) fn runs(self) -> impl Iterator<Item = Run> + 'a {
        sparse::runs(self.registers())
    }
}

/// Notes a count in the header of a stored sketch.
pub(crate) fn cache_count(sketch: &mut [u8], count: u64) {
    sketch[COUNT_AT].copy_from_slice(&count.to_le_bytes());
}

/// Notes in the header of a stored sketch that its count is no longer that of its registers.
pub(crate) fn forget_count(sketch: &mut [u8]) {
    sketch[COUNT_AT.end - 1] |= COUNT_INVALID;
}

/// Adds what an element leaves to a stored dense sketch; whether that changed a register. O(1).
pub(crate) fn raise_dense(sketch: &mut [u8], trace: Trace) -> bool {
    dense::raise(&mut sketch[HEADER_BYTES..], trace)
}

/// A sketch to change.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    bytes: Vec<u8>,
    encoding: Encoding,
    /// Length up to which it stays sparse, bytes.
    sparse_bytes_max: usize,
}

impl Sketch {
    /// One to which nothing was added, which stays sparse up to a length in bytes.
    pub(crate) fn empty(sparse_bytes_max: usize) -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[ENCODING_AT] = 1;
        bytes.extend_from_slice(&sparse::EMPTY);
        Self {
            bytes,
            encoding: Encoding::Sparse,
            sparse_bytes_max,
        }
    }

    /// A copy of a stored one, see [`Sketch::empty`]. O(bytes).
    ///
    /// # Errors
    /// When a sparse one is longer than all registers with a run for each.
    pub(crate) fn copy_of(
        stored: StoredSketch<'_>,
        sparse_bytes_max: usize,
    ) -> Result<Self, Corrupted> {
        if stored.registers().len() > sparse::BYTES_MAX {
            return Err(Corrupted);
        }
        Ok(Self {
            bytes: stored.bytes.to_vec(),
            encoding: stored.encoding,
            sparse_bytes_max,
        })
    }

    /// How the registers are stored.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What is to be stored.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds what an element leaves; whether that changed a register. O(bytes) while it is sparse, else O(1).
    ///
    /// # Errors
    /// When the runs of a sparse one do not reach the register.
    pub(crate) fn raise(&mut self, trace: Trace) -> Result<bool, Corrupted> {
        let mut from = sparse::Place::START;
        self.raise_from(&mut from, trace)
    }

    /// Adds all registers of others. O(bytes).
    ///
    /// # Errors
    /// As [`Sketch::raise`].
    pub(crate) fn raise_all(&mut self, registers: &Registers) -> Result<(), Corrupted> {
        let mut from = sparse::Place::START;
        for (register, number) in registers.iter().enumerate() {
            if number > 0 {
                self.raise_from(&mut from, Trace { register, number })?;
            }
        }
        Ok(())
    }

    /// As [`Sketch::raise`]; looks for the register from a place on, and moves it to where those behind may be.
    fn raise_from(&mut self, from: &mut sparse::Place, trace: Trace) -> Result<bool, Corrupted> {
        if self.encoding == Encoding::Sparse {
            match sparse::raise(&mut self.bytes, *from, trace, self.sparse_bytes_max)? {
                sparse::Raised::No => return Ok(false),
                sparse::Raised::Yes(next) => {
                    *from = next;
                    return Ok(true);
                }
                sparse::Raised::NeedsDense => self.make_dense()?,
            };
        }
        Ok(raise_dense(&mut self.bytes, trace))
    }

    /// Stores all registers from now on; false when it did already. O(registers).
    ///
    /// # Errors
    /// When the runs do not make up the registers.
    pub(crate) fn make_dense(&mut self) -> Result<bool, Corrupted> {
        if self.encoding == Encoding::Dense {
            return Ok(false);
        }
        let (header, runs) = self.bytes.split_at(HEADER_BYTES);
        let mut bytes = vec![0; DENSE_BYTES];
        bytes[..HEADER_BYTES].copy_from_slice(header);
        bytes[ENCODING_AT] = 0;
        let registers = &mut bytes[HEADER_BYTES..];
        sparse::fill(runs, |register, number| {
            dense::raise(registers, Trace { register, number });
        })?;
        self.bytes = bytes;
        self.encoding = Encoding::Dense;
        Ok(true)
    }

    /// See [`forget_count`].
    pub(crate) fn forget_count(&mut self) {
        forget_count(&mut self.bytes);
    }
}
