//! What was sent and what came back. Pure.
//!
//! Why no number counts twice and none is missing, whatever dies when:
//!
//! * A worker writes a result and acknowledges its source entry in one MULTI. So an entry that is
//!   no longer pending has at least one result, and one without a result is still pending and
//!   will be worked on: *at least once*.
//! * An entry may be worked on twice (its worker was slow, not dead, and the entry was handed on),
//!   and then has two results. Each result names its source entry, and the ledger counts the
//!   first result of an entry and drops later ones: *at most once*. XACK's reply would tell a
//!   worker that it came second, but not in time to take the XADD beside it back.
//!
//! Layout: `outstanding` maps the ID of each entry without a counted result to its ordinal, so it
//! stays as small as the producer's window; an ID that is not in it has been counted.
//!
//! Invariant: `sent = processed + outstanding.len()`.

use std::collections::BTreeMap;

/// An entry's ID as two numbers, which order as the stream orders.
pub(super) type EntryId = (u64, u64);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    outstanding: BTreeMap<EntryId, u64>,
    sent: u64,
    expected_sum: u128,
    processed: u64,
    sum: u128,
    duplicates: u64,
}

impl Ledger {
    /// Notes a number that was sent as entry `id`.
    pub(super) fn note_sent(&mut self, id: EntryId, number: u64) {
        self.outstanding.insert(id, self.sent);
        self.sent += 1;
        self.expected_sum += u128::from(number) * u128::from(number);
    }

    /// Notes a result for entry `source`.
    pub(super) fn note_result(&mut self, source: EntryId, square: u64) {
        if self.outstanding.remove(&source).is_some() {
            self.processed += 1;
            self.sum += u128::from(square);
        } else {
            self.duplicates += 1;
        }
    }

    /// Entries from the oldest without a result to the newest, both included.
    pub(super) fn span(&self) -> u64 {
        self.outstanding
            .first_key_value()
            .map_or(0, |(_, ordinal)| self.sent - ordinal)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn processed(&self) -> u64 {
        self.processed
    }

    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    pub(super) fn sum(&self) -> u128 {
        self.sum
    }

    pub(super) fn expected_sum(&self) -> u128 {
        self.expected_sum
    }
}

/// Reads an ID, `<milliseconds>-<sequence>`.
pub(super) fn entry_id(text: &str) -> Option<EntryId> {
    let (ms, sequence) = text.split_once('-')?;
    Some((ms.parse().ok()?, sequence.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_second_result_of_an_entry_does_not_count() {
        let mut ledger = Ledger::default();
        ledger.note_sent((1, 0), 3);
        ledger.note_sent((1, 1), 4);
        ledger.note_result((1, 0), 9);
        ledger.note_result((1, 0), 9);
        assert_eq!((ledger.processed(), ledger.duplicates()), (1, 1));
        assert_eq!((ledger.sum(), ledger.expected_sum()), (9, 25));
        ledger.note_result((1, 1), 16);
        assert_eq!(ledger.sum(), ledger.expected_sum());
    }

    #[test]
    fn the_span_is_held_open_by_the_oldest() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.span(), 0);
        for n in 0..10 {
            ledger.note_sent((5, n), 1);
        }
        for n in 1..10 {
            ledger.note_result((5, n), 1);
        }
        assert_eq!(ledger.span(), 10);
        ledger.note_result((5, 0), 1);
        assert_eq!(ledger.span(), 0);
    }

    #[test]
    fn ids_are_two_numbers() {
        assert_eq!(entry_id("12-3").unwrap(), (12, 3));
        assert!(entry_id("12").is_none() && entry_id("a-1").is_none());
    }
}
