//! The bytes of a file, and which of them survive.

/// What a disk writes as a whole, bytes.
const SECTOR_BYTES: u64 = 512;

/// Numbers from a seed (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A change of a file's bytes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::SetLen(bytes) => to.resize(*bytes as usize, 0),
            Change::Write { offset, bytes } => {
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                if !bytes.is_empty() && to.len() < end {
                    to.resize(end, 0);
                }
                if let Some(part) = to.get_mut(start..end) {
                    part.copy_from_slice(bytes);
                }
            }
        }
    }
}

/// A write as the disk sees it: each sector as it is then, with what earlier writes have put there. So the later of two writes to one
/// sector does not survive without the earlier.
fn sectors(current: &[u8], offset: u64, len: usize) -> impl Iterator<Item = Change> {
    let end = offset + len as u64;
    let first = offset / SECTOR_BYTES;
    let numbers = first..end.div_ceil(SECTOR_BYTES).max(first);
    numbers.map(|number| {
        let start = number * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(current.len() as u64);
        let bytes = current.get(start as usize..end as usize);
        Change::Write {
            offset: start,
            bytes: bytes.unwrap_or_default().to_vec(),
        }
    })
}

/// The bytes of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// As a reader sees them.
    pub(super) current: Vec<u8>,
    durable: Vec<u8>,
    /// Changes that the next sync makes durable.
    pending: Vec<Change>,
}

impl Contents {
    pub(super) fn synced(bytes: &[u8]) -> Self {
        Self {
            current: bytes.to_vec(),
            durable: bytes.to_vec(),
            pending: Vec::new(),
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        match change {
            Change::SetLen(_) => self.pending.push(change),
            Change::Write { offset, bytes } => {
                let sectors = sectors(&self.current, offset, bytes.len());
                self.pending.extend(sectors);
            }
        }
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Some of what had to be written is, and nobody knows which.
    pub(super) fn fail_to_sync(&mut self, random: &mut Random) {
        lose(&mut self.durable, &self.pending, random);
        self.pending.clear();
    }

    pub(super) fn lose(&mut self, random: &mut Random) {
        lose(&mut self.durable, &self.pending, random);
        self.pending.clear();
        self.current.clone_from(&self.durable);
    }
}

/// Applies what survives of changes that were not synced.
fn lose(durable: &mut Vec<u8>, pending: &[Change], random: &mut Random) {
    let size_before = durable.len();
    // All, none, the first so many, or each with the chance of a coin.
    let kind = random.below(5);
    let first = match kind {
        0 => pending.len() as u64,
        1 => 0,
        _ => random.below(pending.len() as u64 + 1),
    };
    for (index, sector) in pending.iter().enumerate() {
        let survives = if kind < 3 {
            (index as u64) < first
        } else {
            random.below(2) == 0
        };
        if survives {
            sector.apply(durable);
        }
    }
    // The size is written apart from the bytes: it may be lost with bytes that were written, or survive without them.
    let mut whole = durable.clone();
    pending.iter().for_each(|change| change.apply(&mut whole));
    match random.below(4) {
        0 if kind != 0 && durable.len() > size_before => durable.truncate(size_before),
        1 if kind != 0 && durable.len() < whole.len() => durable.resize(whole.len(), 0),
        _ => {}
    }
}
