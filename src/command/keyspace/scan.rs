//! SCAN: a walk over a database in hash order, shard after shard.
//!
//! ```text
//! cursor    shard 7 bits │ position 46 bits     below 2^53, since clients keep it in a double
//! ```
//! 0 begins with shard 0 and also says the end. The engine takes the shards that a call needs to fill its count, judged by
//! counters that may lag behind; so the walk never skips a shard because a counter says that it is empty.

use crate::command::args::{self, Cursor};
use crate::command::context::{Context, Outcome, Shared};
use crate::command::element_scan::ScanOptions;
use crate::command::error::{self, CommandError};
use crate::ids::{ShardId, ShardSet};
use crate::keyspace::table::{Entry, SCAN_BITS};
use crate::keyspace::value::ValueType;
use crate::keyspace::walk::is_live;
use crate::limits::SHARD_COUNT_MAX;
use crate::resp::arguments::Args;

const _: () = assert!((SHARD_COUNT_MAX as u64) << SCAN_BITS <= 1 << 53);

/// Where a walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScanCursor {
    shard: usize,
    position: u64,
}

/// Reads a cursor as `strtoull` does: a sign or zeros in front allowed, nothing counts as 0, below zero from the top down.
pub(crate) fn cursor_number(text: &[u8]) -> Option<u64> {
    let (is_negative, digits) = match text {
        [] => (false, b"0".as_slice()),
        [sign @ (b'+' | b'-'), digits @ ..] => (*sign == b'-', digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if is_negative {
        number.wrapping_neg()
    } else {
        number
    })
}

impl ScanCursor {
    fn parse(text: &[u8]) -> Option<Self> {
        let number = cursor_number(text)?;
        Some(Self {
            shard: (number >> SCAN_BITS) as usize,
            position: number & ((1 << SCAN_BITS) - 1),
        })
    }

    fn number(self) -> u64 {
        (self.shard as u64) << SCAN_BITS | self.position
    }
}

/// The type that TYPE asks for. Redis 7.2: of one that does not exist there are no keys; it is no error.
fn type_named(name: &[u8]) -> Option<ValueType> {
    [
        ValueType::String,
        ValueType::List,
        ValueType::Set,
        ValueType::SortedSet,
        ValueType::Hash,
        ValueType::Stream,
    ]
    .into_iter()
    .find(|value_type| args::is(name, value_type.name()))
}

struct KeyScan<'a> {
    options: ScanOptions<'a>,
    /// `Some(None)`: a type that no key has.
    value_type: Option<Option<ValueType>>,
}

impl<'a> KeyScan<'a> {
    fn read(args: &Args<'a>) -> Result<Self, CommandError> {
        let mut scan = Self {
            options: ScanOptions::new(),
            value_type: None,
        };
        let mut rest = Cursor::new(args, 2);
        while rest.left() > 0 {
            if scan.options.take(&mut rest)? {
                continue;
            }
            if rest.left() < 2 || !rest.keyword("TYPE") {
                return Err(error::SYNTAX);
            }
            scan.value_type = Some(type_named(rest.value()?));
        }
        Ok(scan)
    }

    /// Whether an entry is to be looked up: one that has expired also when it has another type, so that it is removed.
    fn wants(&self, entry: &Entry, now_ms: u64) -> bool {
        let is_of_type = self
            .value_type
            .is_none_or(|wanted| wanted == Some(entry.value.value_type()));
        self.options.wants(&entry.key) && (is_of_type || !is_live(entry, now_ms))
    }
}

pub(super) fn scan(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut cursor = ScanCursor::parse(args.at(1)).ok_or(error::INVALID_CURSOR)?;
    let scan = KeyScan::read(args)?;
    let shard_count = ctx.space.shard_count();
    let now_ms = ctx.now_ms();
    let mut found = Vec::new();
    let mut visited = 0;
    while visited < scan.options.count {
        let shard = shard_id(cursor);
        let Some(database) = shard.and_then(|shard| ctx.space.database_of_shard(shard)) else {
            break;
        };
        let left = scan.options.count - visited;
        let mut wanted = Vec::new();
        let next = database.table().scan(cursor.position, left, |entry| {
            visited += 1;
            if scan.wants(entry, now_ms) {
                wanted.push(entry.key.clone());
            }
        });
        // The lookup removes those that have expired.
        wanted.retain(|key| ctx.space.peek(key).is_some());
        found.append(&mut wanted);
        cursor = match next {
            Some(position) => ScanCursor { position, ..cursor },
            None => ScanCursor {
                shard: cursor.shard + 1,
                position: 0,
            },
        };
    }
    let next = if cursor.shard < shard_count {
        cursor.number()
    } else {
        0
    };
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    ctx.reply.array(found.len());
    for key in found {
        ctx.reply.bulk(&key);
    }
    Ok(Outcome::Done)
}

fn shard_id(cursor: ScanCursor) -> Option<ShardId> {
    u16::try_from(cursor.shard).ok().map(ShardId)
}

/// The shards that a SCAN needs: from its cursor's on, as many as are needed to fill its count if their counters are
/// right. Never empty; shard 0 when the arguments are wrong, for the error.
pub(crate) fn shards_for_cursor(args: &Args<'_>, shared: &Shared, db: usize) -> ShardSet {
    let wanted = KeyScan::read(args).map_or(0, |scan| scan.options.count as u64);
    let cursor = ScanCursor::parse(args.at(1));
    let cursor = cursor.filter(|cursor| cursor.shard < shared.shard_count);
    let Some(cursor) = cursor else {
        return ShardSet::one(ShardId(0));
    };
    let mut shards = ShardSet::EMPTY;
    let mut expected = 0;
    for shard in cursor.shard..shared.shard_count {
        shards.insert(ShardId(shard as u16));
        let counters = shared.observations.shards.get(shard);
        let keys = counters
            .and_then(|counters| counters.keyspace.databases.get(db))
            .map_or(0, |counters| counters.keys.get());
        // Of the first shard only what lies behind the position: keys are spread evenly over the hashes.
        expected += if shard == cursor.shard {
            let ahead = (1 << SCAN_BITS) - cursor.position;
            ((u128::from(keys) * u128::from(ahead)) >> SCAN_BITS) as u64
        } else {
            keys
        };
        if expected >= wanted {
            break;
        }
    }
    shards
}
