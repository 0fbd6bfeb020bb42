//! What is the implementation's own: the order of a reply, or what chance puts into it.

use super::normalise::{Normaliser, encoded, same_shape};
use crate::support::Frame;

/// Replies that are compared in one order, or by their number.
pub(crate) const ORDERS: &[Normaliser] = &[
    Normaliser {
        name: "order-of-keys",
        reason: "KEYS walks the key table, whose order is the implementation's",
        applies: |command| command.is(&["KEYS"]),
        apply: |ours, theirs| {
            sort_items(ours);
            sort_items(theirs);
        },
    },
    Normaliser {
        name: "order-of-members",
        reason: "sets have no order",
        applies: |command| command.is(&["SMEMBERS", "SINTER", "SUNION", "SDIFF", "SPOP"]),
        apply: |ours, theirs| {
            sort_items(ours);
            sort_items(theirs);
        },
    },
    Normaliser {
        name: "order-of-fields",
        reason: "a hash table has the order of its hashes",
        applies: |command| command.is(&["HKEYS", "HVALS"]),
        apply: |ours, theirs| {
            sort_items(ours);
            sort_items(theirs);
        },
    },
    Normaliser {
        name: "order-of-scanned-members",
        reason: "as above, inside the reply",
        applies: |command| command.is(&["SSCAN"]),
        apply: |ours, theirs| {
            for frame in [ours, theirs] {
                if let Some(members) = frame.items_mut().get_mut(1) {
                    sort_items(members);
                }
            }
        },
    },
    Normaliser {
        name: "random-members",
        reason: "chance decides",
        applies: |command| command.is(&["SRANDMEMBER", "ZRANDMEMBER"]),
        apply: same_count,
    },
    Normaliser {
        name: "texts-with-nul",
        reason: "Redis compares texts up to their first NUL; what is equal then has no order",
        applies: |command| command.is(&["SORT", "SORT_RO"]),
        apply: |ours, theirs| {
            let has_nul =
                |frame: &Frame| frame.items().iter().any(|item| item.bytes().contains(&0));
            if has_nul(ours) && has_nul(theirs) {
                sort_items(ours);
                sort_items(theirs);
            }
        },
    },
    Normaliser {
        name: "encoding-of-sorted-sets-that-were-sorted",
        reason: "Redis makes a small sorted set large to SORT it, and it stays so",
        applies: |command| command.is(&["OBJECT"]),
        apply: |ours, theirs| {
            if ours.bytes() == b"listpack" && theirs.bytes() == b"skiplist" {
                theirs.clone_from(ours);
            }
        },
    },
    Normaliser {
        name: "order-of-unsorted-members",
        reason: "BY a constant leaves a set without order, so LIMIT takes any of its members",
        applies: |command| {
            command.is(&["SORT", "SORT_RO"])
                && command
                    .words
                    .iter()
                    .any(|word| word.eq_ignore_ascii_case(b"by"))
        },
        apply: same_count,
    },
    Normaliser {
        name: "order-of-pairs",
        reason: "a hash table has the order of its hashes",
        applies: |command| command.is(&["HGETALL", "HSCAN", "ZSCAN"]),
        apply: |ours, theirs| {
            sort_pairs(ours);
            sort_pairs(theirs);
        },
    },
    Normaliser {
        name: "choices",
        reason: "HRANDFIELD chooses by chance; how many it chooses is compared",
        applies: |command| command.is(&["HRANDFIELD"]),
        apply: same_shape,
    },
    Normaliser {
        name: "order-of-channels",
        reason: "PUBSUB CHANNELS walks a hash table",
        applies: |command| command.is(&["PUBSUB"]) && command.sub(&["CHANNELS", "SHARDCHANNELS"]),
        apply: |ours, theirs| {
            sort_items(ours);
            sort_items(theirs);
        },
    },
];

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
    // The reply of a scan: the cursor, then the pairs.
    if let [Frame::Bulk(_), pairs @ Frame::Array(_)] = frame.items_mut() {
        return sort_pairs(pairs);
    }
    let items = frame.items_mut();
    let mut pairs: Vec<Vec<Frame>> = items.chunks(2).map(<[Frame]>::to_vec).collect();
    pairs.sort_by_key(|pair| pair.iter().map(encoded).collect::<Vec<_>>());
    for (item, sorted) in items.iter_mut().zip(pairs.into_iter().flatten()) {
        *item = sorted;
    }
}

/// Makes two answers equal that are as long, or both one text.
fn same_count(ours: &mut Frame, theirs: &mut Frame) {
    let are_texts = matches!((&*ours, &*theirs), (Frame::Bulk(_), Frame::Bulk(_)));
    let are_filled = !ours.items().is_empty() && ours.items().len() == theirs.items().len();
    if are_texts || are_filled {
        theirs.clone_from(ours);
    }
}
