//! When fields end: small hashes with times, and the times of large ones.
//!
//! ```text
//! timed   listpack   field value ms │ field value ms │ …      0 ms: never
//! times   by field   field ─► ms      by time   (ms, field)   of those fields of a large hash that end
//! ```
//! A hash none of whose fields ever had an end pays nothing for it. Times are Unix ms; who calls has the clock.

use std::collections::BTreeSet;

use crate::data::listpack::Listpack;
use crate::data::members::Members;

/// Elements of a field in a listpack with times.
pub(super) const TIMED_STEP: usize = 3;

/// The most that the time of a field takes in a listpack, bytes.
pub(super) const TIME_BYTES_MAX: usize = 10;

/// The decimal text of a time, 0 for none.
pub(super) fn time_text(ends_ms: Option<u64>) -> String {
    ends_ms.unwrap_or(0).to_string()
}

/// The time at a position of a listpack with times.
pub(super) fn time_at(pack: &Listpack, at: usize) -> Option<u64> {
    let ms = pack.at(at).as_integer()?;
    u64::try_from(ms).ok().filter(|ms| *ms > 0)
}

/// The same fields with their values, none of which ends.
pub(super) fn with_times(pack: &Listpack) -> Listpack {
    let mut timed = Listpack::new();
    for (number, text) in pack.iter().enumerate() {
        timed.push_back(text.as_bytes(&mut [0; 20]));
        if number % 2 == 1 {
            timed.push_back(b"0");
        }
    }
    timed
}

/// When fields of a large hash end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    by_field: Members,
    by_time: BTreeSet<(u64, Box<[u8]>)>,
}

impl Times {
    /// When a field ends.
    pub(super) fn get(&self, field: &[u8]) -> Option<u64> {
        let bytes = self.by_field.get(field)?;
        bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// Sets or lifts the end of a field. O(log n).
    pub(super) fn set(&mut self, field: &[u8], ends_ms: Option<u64>) {
        if let Some(old) = self.get(field) {
            self.by_time.remove(&(old, field.into()));
        }
        match ends_ms {
            Some(ms) => {
                self.by_field.set(field, &[&ms.to_le_bytes()]);
                self.by_time.insert((ms, field.into()));
            }
            None => {
                self.by_field.remove(field);
            }
        }
    }

    /// When the next field ends.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(ms, _)| *ms)
    }

    /// A field that ended before this time. O(log n).
    pub(super) fn pop_ended(&mut self, now_ms: u64) -> Option<Box<[u8]>> {
        if self.next_ms()? >= now_ms {
            return None;
        }
        let (_, field) = self.by_time.pop_first()?;
        self.by_field.remove(&field);
        Some(field)
    }

    /// The fields that end, the first one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.by_time.iter().map(|(ms, field)| (*ms, &**field))
    }

    /// Bytes on the heap, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let fields: usize = self.by_time.iter().map(|(_, field)| field.len()).sum();
        self.by_field.heap_bytes() + fields + self.by_time.len() * size_of::<(u64, Box<[u8]>)>()
    }

    /// Pieces of memory to free.
    pub(super) fn part_count(&self) -> usize {
        self.by_field.part_count() + self.by_time.len()
    }
}
