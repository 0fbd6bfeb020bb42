//! The one order into which replies are put whose order is the implementation's.

use super::normalise::encoded;
use crate::support::Frame;

/// The two numbers of an ID's text.
fn id_numbers(id: &[u8]) -> (u64, u64) {
    let text = String::from_utf8_lossy(id);
    let (ms, sequence) = text.split_once('-').unwrap_or_default();
    (ms.parse().unwrap_or(0), sequence.parse().unwrap_or(0))
}

/// Whether a frame is an entry with its idle time and deliveries.
pub(super) fn is_claimed(frame: &Frame) -> bool {
    matches!(
        frame.items(),
        [
            Frame::Bulk(_),
            Frame::Array(_),
            Frame::Integer(_),
            Frame::Integer(_)
        ]
    )
}

/// Entries in the order of their IDs.
pub(super) fn sort_claimed(frame: &mut Frame) {
    if let Frame::Array(items) = frame
        && items.iter().any(is_claimed)
    {
        items.sort_by_key(|item| item.items().first().map(|id| id_numbers(id.bytes())));
    }
}

/// Items in the order of their bytes.
pub(super) fn sort_items(frame: &mut Frame) {
    frame.items_mut().sort_by_key(encoded);
}

/// Pairs of fields and values in the order of their bytes: a flat array, a map, or what stands behind a cursor.
pub(super) fn sort_pairs(frame: &mut Frame) {
    if let [_, pairs @ Frame::Array(_)] = frame.items_mut() {
        return sort_pairs(pairs);
    }
    let items = frame.items_mut();
    let mut pairs: Vec<Vec<Frame>> = items.chunks(2).map(<[Frame]>::to_vec).collect();
    pairs.sort_by_key(|pair| pair.iter().map(encoded).collect::<Vec<_>>());
    for (item, sorted) in items.iter_mut().zip(pairs.into_iter().flatten()) {
        *item = sorted;
    }
}
