//! Error replies by their code (INFO errorstats).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Codes told apart, at most: a code that comes from a client's data must not fill the memory.
const CODES_MAX: usize = 128;

/// Counts by code; one lock, taken only when a reply is an error.
#[derive(Debug, Default)]
pub(crate) struct ErrorCounters(Mutex<BTreeMap<Box<[u8]>, u64>>);

impl ErrorCounters {
    /// Counts an error reply; `text` starts with its code.
    pub(crate) fn add(&self, text: &[u8]) {
        let code = text.split(|byte| *byte == b' ').next().unwrap_or_default();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(code) {
            *count += 1;
        } else if counts.len() < CODES_MAX {
            counts.insert(code.into(), 1);
        }
    }

    /// All counts in the order of the codes.
    pub(crate) fn all(&self) -> Vec<(Box<[u8]>, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|(code, count)| (code.clone(), *count))
            .collect()
    }

    pub(super) fn reset(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
