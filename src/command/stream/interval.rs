//! The entries between two IDs as a reply: XRANGE, XREVRANGE, XREAD.
//!
//! ```text
//! first entries: written at once │ the others: counted, and a share of their blocks written as it leaves
//! ```

use crate::data::stream::{Entry, Log, StreamId};
use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

use super::{OpenCollection, reply_entry};

/// Which end comes first.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Direction {
    /// The lowest ID.
    Ascending,
    /// The highest ID.
    Descending,
}

/// The IDs of `start..=end`, in an order.
#[derive(Clone, Copy)]
pub(super) struct Interval {
    pub(super) start: StreamId,
    pub(super) end: StreamId,
    pub(super) direction: Direction,
}

impl Interval {
    /// Writes `[entry, …]`, at most `count`; gives how many there are.
    pub(super) fn reply(mut self, reply: &mut Reply, log: &Log, count: usize) -> usize {
        // A COUNT is mostly met; without one the head is corrected when the number is known.
        let guess = if count == usize::MAX { 0 } else { count };
        let open = OpenCollection::array(reply, guess);
        let end = reply.slice_end();
        let written = self.write_next(reply, log, count, end);
        let left = if written < count && !self.is_empty() {
            let left = log.count_between(self.start, self.end);
            usize::try_from(left).map_or(count - written, |left| left.min(count - written))
        } else {
            0
        };
        open.close(reply, written + left);
        if left > 0 {
            reply.rest(Box::new(Rest {
                log: log.share(self.start, self.end),
                interval: self,
                left,
            }));
        }
        written + left
    }

    fn is_empty(&self) -> bool {
        self.start > self.end
    }

    /// Writes up to `count` entries, until the reply is `end` long; what is left is the interval then. Gives how many.
    fn write_next(&mut self, reply: &mut Reply, log: &Log, count: usize, end: usize) -> usize {
        let (start, last) = (self.start, self.end);
        let written = match self.direction {
            Direction::Ascending => write(reply, log.range(start, last), count, end),
            Direction::Descending => write(reply, log.range_reverse(start, last), count, end),
        };
        let next = match (written.last, self.direction) {
            (Some(last), Direction::Ascending) => last.successor().map(|next| self.start = next),
            (Some(last), Direction::Descending) => last.predecessor().map(|next| self.end = next),
            (None, _) => None,
        };
        if next.is_none() {
            // Nothing is left: an interval that holds no ID.
            (self.start, self.end) = (StreamId::MAX, StreamId::MIN);
        }
        written.count
    }
}

/// What was written.
struct Written {
    count: usize,
    /// The last one, unless the entries have come to their end.
    last: Option<StreamId>,
}

fn write<'l>(
    reply: &mut Reply,
    entries: impl Iterator<Item = Entry<'l>>,
    count: usize,
    end: usize,
) -> Written {
    let mut written = 0;
    for entry in entries {
        reply_entry(reply, &entry);
        written += 1;
        if written == count || reply.len() >= end {
            return Written {
                count: written,
                last: Some(entry.id),
            };
        }
    }
    Written {
        count: written,
        last: None,
    }
}

/// The entries behind the first.
struct Rest {
    log: Log,
    interval: Interval,
    left: usize,
}

impl Elements for Rest {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        let interval = &mut self.interval;
        self.left -= interval.write_next(reply, &self.log, self.left, end);
        match interval.direction {
            Direction::Ascending => self.log.forget_before(interval.start),
            Direction::Descending => self.log.forget_after(interval.end),
        }
    }

    fn left(&self) -> usize {
        self.left
    }
}
