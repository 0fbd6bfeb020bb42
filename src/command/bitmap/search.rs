//! Bits counted and looked for, in a whole string or a part of it.

use crate::command::args::{self, is};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::string::string_of;
use crate::data::bits::BitRange;
use crate::resp::arguments::Args;

/// What indexes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    fn read(text: Option<&[u8]>) -> Result<Self, CommandError> {
        match text {
            None => Ok(Self::Byte),
            Some(text) if is(text, "BIT") => Ok(Self::Bit),
            Some(text) if is(text, "BYTE") => Ok(Self::Byte),
            Some(_) => Err(error::SYNTAX),
        }
    }

    fn bits(self) -> u64 {
        match self {
            Self::Byte => 8,
            Self::Bit => 1,
        }
    }

    /// The bits from one index to another, both included and negative from the end; `None` when there are none.
    fn range(self, len_bytes: usize, start: i64, end: i64) -> Option<BitRange> {
        let len = (len_bytes as u64 * 8 / self.bits()) as i64;
        let from_end = |index: i64| {
            if index < 0 {
                len.saturating_add(index)
            } else {
                index
            }
        };
        let start = from_end(start).max(0);
        let end = from_end(end).max(0).min(len - 1);
        (start <= end).then(|| BitRange {
            first: start as u64 * self.bits(),
            last: end as u64 * self.bits() + self.bits() - 1,
        })
    }
}

pub(super) fn bitcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut scratch = [0; 20];
    // Redis: of a missing key nothing else is looked at.
    let Some(string) = string_of(ctx.space.read(args.at(1)))? else {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    };
    let bytes = string.bytes(&mut scratch);
    let range = match args.len() {
        2 => Unit::Byte.range(bytes.len(), 0, -1),
        4 | 5 => {
            let start = args::required_integer(args.at(2))?;
            let end = args::required_integer(args.at(3))?;
            // Redis: such a range is empty before the unit is looked at.
            if start < 0 && end < 0 && start > end {
                None
            } else {
                Unit::read(args.get(4))?.range(bytes.len(), start, end)
            }
        }
        _ => return Err(error::SYNTAX),
    };
    let count = range.map_or(0, |range| range.count_ones(bytes));
    ctx.reply.integer(count as i64);
    Ok(Outcome::Done)
}

pub(super) fn bitpos(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let bit = match args::required_integer(args.at(2))? {
        0 => false,
        1 => true,
        _ => return Err(error::BIT_TO_FIND),
    };
    let mut scratch = [0; 20];
    // Redis: a missing key is endless zeros, whatever range is asked for.
    let Some(string) = string_of(ctx.space.read(args.at(1)))? else {
        ctx.reply.integer(if bit { -1 } else { 0 });
        return Ok(Outcome::Done);
    };
    let bytes = string.bytes(&mut scratch);
    let (mut start, mut end, mut unit) = (0, -1, Unit::Byte);
    match args.len() {
        3 => {}
        4..=6 => {
            start = args::required_integer(args.at(3))?;
            unit = Unit::read(args.get(5))?;
            if let Some(text) = args.get(4) {
                end = args::required_integer(text)?;
            }
        }
        _ => return Err(error::SYNTAX),
    }
    let is_open = args.len() < 5;
    let found = unit.range(bytes.len(), start, end).and_then(|range| {
        let found = range.position(bytes, bit);
        // Without an end, zeros follow the string.
        found.or((is_open && !bit).then_some(range.last + 1))
    });
    ctx.reply.integer(found.map_or(-1, |at| at as i64));
    Ok(Outcome::Done)
}
