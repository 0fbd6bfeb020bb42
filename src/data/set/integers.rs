//! Integers in ascending order, each as wide as the widest: 2, 4 or 8 bytes.
//!
//! ```text
//! | width | integer LE | integer LE | …        nothing at all while there is none
//! ```
//! The width only grows, as in Redis. All in one piece without room to spare: 11 bytes for five small numbers.

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Integers(Box<[u8]>);

const WIDTHS: [usize; 3] = [2, 4, 8];

fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

impl FromIterator<i64> for Integers {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        let mut values: Vec<i64> = values.into_iter().collect();
        values.sort_unstable();
        let mut integers = Self::default();
        // In ascending order each goes to the end.
        for value in values {
            integers.add(value);
        }
        integers
    }
}

impl Integers {
    fn width(&self) -> usize {
        self.0
            .first()
            .map_or(WIDTHS[0], |width| usize::from(*width))
    }

    /// Integers as others wrote them: ascending, each `width` bytes. `None` when they are not that.
    pub(crate) fn from_foreign(width: usize, bytes: &[u8]) -> Option<Self> {
        if !WIDTHS.contains(&width) || !bytes.len().is_multiple_of(width) || bytes.is_empty() {
            return None;
        }
        let mut own = Vec::with_capacity(1 + bytes.len());
        own.push(width as u8);
        own.extend_from_slice(bytes);
        let integers = Self(own.into_boxed_slice());
        let ascending = (1..integers.len()).all(|at| integers.at(at - 1) < integers.at(at));
        ascending.then_some(integers)
    }

    /// How many bytes each takes, and all of them.
    pub(crate) fn parts(&self) -> (usize, &[u8]) {
        (self.width(), self.0.get(1..).unwrap_or_default())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len().saturating_sub(1) / self.width()
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.len()
    }

    fn at(&self, index: usize) -> i64 {
        let width = self.width();
        let from = 1 + index * width;
        let bytes = &self.0[from..from + width];
        match width {
            2 => i64::from(i16::from_le_bytes([bytes[0], bytes[1]])),
            4 => i64::from(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
            _ => {
                let mut wide = [0; 8];
                wide.copy_from_slice(bytes);
                i64::from_le_bytes(wide)
            }
        }
    }

    /// The one with this index in ascending order.
    pub(crate) fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// The least.
    pub(crate) fn first(&self) -> Option<i64> {
        self.get(0)
    }

    /// The greatest.
    pub(crate) fn last(&self) -> Option<i64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// All in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Where a value is, or where it belongs.
    fn find(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.at(middle).cmp(&value) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Whether a value is there. O(log n).
    pub(crate) fn contains(&self, value: i64) -> bool {
        width_of(value) <= self.width() && self.find(value).is_ok()
    }

    /// Adds a value; false when it is there. O(n).
    pub(crate) fn add(&mut self, value: i64) -> bool {
        let Err(index) = self.find(value) else {
            return false;
        };
        if width_of(value) > self.width() {
            self.widen(width_of(value));
        }
        let width = self.width();
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        if bytes.is_empty() {
            bytes.reserve_exact(1 + width);
            bytes.push(width as u8);
        }
        let (from, end) = (1 + index * width, bytes.len());
        bytes.reserve_exact(width);
        bytes.resize(end + width, 0);
        bytes.copy_within(from..end, from + width);
        bytes[from..from + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.0 = bytes.into_boxed_slice();
        true
    }

    fn widen(&mut self, width: usize) {
        let mut bytes = Vec::with_capacity(1 + (self.len() + 1) * width);
        bytes.push(width as u8);
        for value in self.iter() {
            bytes.extend_from_slice(&value.to_le_bytes()[..width]);
        }
        self.0 = bytes.into_boxed_slice();
    }

    /// Removes a value; false when it is not there. O(n).
    pub(crate) fn remove(&mut self, value: i64) -> bool {
        let Ok(index) = self.find(value) else {
            return false;
        };
        let width = self.width();
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        let from = 1 + index * width;
        bytes.drain(from..from + width);
        self.0 = bytes.into_boxed_slice();
        true
    }
}
