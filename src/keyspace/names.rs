//! The keys of a database that are streams, in order: so that the metrics list some of them without a walk over all keys.
//!
//! Kept only where somebody asks for it (`metrics-port`); otherwise it costs one look at an empty place for each value that
//! comes or goes.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::value::Value;

/// Keys that are streams.
#[derive(Debug)]
pub(super) struct StreamNames(Option<BTreeSet<Box<[u8]>>>);

impl StreamNames {
    /// None so far; `kept`: whether they are kept at all.
    pub(super) fn new(kept: bool) -> Self {
        Self(kept.then(BTreeSet::new))
    }

    /// A key has got this value.
    pub(super) fn came(&mut self, key: &[u8], value: &Value) {
        if let (Some(names), Value::Stream(_)) = (&mut self.0, value) {
            names.insert(key.into());
        }
    }

    /// A key has lost this value.
    pub(super) fn left(&mut self, key: &[u8], value: &Value) {
        if let (Some(names), Value::Stream(_)) = (&mut self.0, value) {
            names.remove(key);
        }
    }

    /// Those that begin with `prefix`, in order. O(log n) to start.
    pub(super) fn starting_with<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let names = self.0.iter();
        names
            .flat_map(move |names| names.range::<[u8], _>(from))
            .map(|key| &**key)
            .take_while(move |key| key.starts_with(prefix))
    }
}
